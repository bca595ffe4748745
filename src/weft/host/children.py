"""The children of one runner: being told when one ends, and asking what they left behind.

One epoll of our own stands under the loop's: the loop's bookkeeping for a descriptor costs more than the system calls.
"""

import asyncio
import os
import select
from collections.abc import Callable

from weft.host.census import Census

ASK_AGAIN_S = 0.02
"""How often a child is asked for its end when no descriptor was left to be told by."""


class Children:
    """Belongs to the loop on which the first child is watched. Holds two descriptors, and one for each child."""

    def __init__(self) -> None:
        self.census = Census()
        self._epoll: select.epoll | None = None
        self._ended: dict[int, Callable[[], bool]] = {}

    def watch(self, pid: int, ended: Callable[[], bool]) -> None:
        """Call `ended` when the child may have ended, again and again until it says True."""
        loop = asyncio.get_running_loop()
        if self._epoll is None:
            self._epoll = select.epoll()
            loop.add_reader(self._epoll.fileno(), self._tell)
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:  # No descriptor is free.
            loop.call_later(ASK_AGAIN_S, self._ask, ended)
            return
        self._epoll.register(pidfd, select.EPOLLIN)
        self._ended[pidfd] = ended

    def close(self) -> None:
        """No child is left. Idempotent."""
        self.census.close()
        if self._epoll is not None:
            asyncio.get_running_loop().remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None

    def _tell(self) -> None:
        assert self._epoll is not None
        for pidfd, _ in self._epoll.poll(0):
            # Closing alone would not do: a child that is just being spawned still holds a copy.
            self._epoll.unregister(pidfd)
            os.close(pidfd)
            self._ask(self._ended.pop(pidfd))

    def _ask(self, ended: Callable[[], bool]) -> None:
        if not ended():
            asyncio.get_running_loop().call_later(ASK_AGAIN_S, self._ask, ended)
