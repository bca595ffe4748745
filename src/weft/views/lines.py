"""The view for what is no terminal: one line for each transition that matters, and a heartbeat when nothing happens.

It never raises and never waits: when nobody reads, it goes silent (see `outlet`), and the run does not notice.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Final

from weft.core.facts import Fact
from weft.views.alarm import Alarm, Later, on_loop
from weft.views.outlet import Outlet
from weft.views.story import Story
from weft.views.text import Paint

HEARTBEAT_S: Final = 30.0
"""Silence that makes people and build servers wonder whether anything is alive."""


class Lines:
    """An Observer. `verbose` ≥ 1 also tells processes, CPU time and memory."""

    def __init__(
        self,
        stream: IO[str],
        *,
        color: bool,
        verbose: int = 0,
        clock: Callable[[], float] = time.monotonic,
        later: Later = on_loop,
    ) -> None:
        self._outlet = Outlet(stream)
        self._clock = clock
        self._story = Story(Paint(color), clock, verbose=verbose)
        self._alarm = Alarm(self._beat, clock, later)
        self._spoke_at = clock()

    def recall(self, facts: Iterable[Fact]) -> None:
        """Facts of earlier engines of the run: taken in, not shown."""
        self._story.recall(facts)

    def see(self, facts: Sequence[Fact]) -> None:
        self._write(self._story.tell(facts))
        self._alarm.set(self._spoke_at + HEARTBEAT_S)

    def say(self, text: str) -> None:
        """Something for the user that is no fact."""
        self._write([text])

    def close(self) -> None:
        self._alarm.cancel()
        self._outlet.close()

    def _beat(self) -> None:
        if self._clock() >= self._spoke_at + HEARTBEAT_S:
            self._write(self._story.heartbeat())
        self._alarm.set(self._spoke_at + HEARTBEAT_S)

    def _write(self, lines: Sequence[str]) -> None:
        if lines:
            self._spoke_at = self._clock()
            self._outlet.write("\n".join(lines) + "\n")
