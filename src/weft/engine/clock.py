"""The engine's clock: wall time that never runs backwards."""

import time


class SystemClock:
    """Wall time at the start, carried on by the monotonic clock, and never before `not_before`, the last fact of the run so far.

    A step of the wall clock therefore moves no deadline of a run that is alive, and after a resume none by more than it takes.
    """

    def __init__(self, not_before: float = 0.0) -> None:
        self._offset = max(time.time(), not_before) - time.monotonic()

    def now(self) -> float:
        return self._offset + time.monotonic()
