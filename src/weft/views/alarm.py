"""One call in the future, on the event loop that runs; without a loop it never comes."""

from collections.abc import Callable
from typing import Protocol, TypeAlias


class Handle(Protocol):
    def cancel(self) -> None: ...


Later: TypeAlias = Callable[[float, Callable[[], None]], Handle | None]
"""Calls something after so many seconds, and gives what cancels it; None: it will not be called."""


def on_loop(delay_s: float, call: Callable[[], None]) -> Handle | None:
    import asyncio

    try:
        return asyncio.get_running_loop().call_later(delay_s, call)
    except RuntimeError:  # no loop: whoever feeds the view from a file has no use for a clock either
        return None


class Alarm:
    """Calls `ring` at the earliest time that was asked for, once."""

    def __init__(self, ring: Callable[[], None], clock: Callable[[], float], later: Later) -> None:
        self._ring = ring
        self._clock = clock
        self._later = later
        self._handle: Handle | None = None
        self._when = 0.0

    def set(self, when: float) -> None:
        """Ring at `when` on the clock, or earlier if that was asked for already."""
        if self._handle is None or when < self._when:
            self.cancel()
            self._when = when
            self._handle = self._later(max(0.0, when - self._clock()), self._fire)

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        self._ring()
