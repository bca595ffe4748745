"""A clock that goes only where it is told."""


class FakeClock:
    """Obeys `ports.Clock`: seconds since the epoch, never backwards."""

    def __init__(self, now: float = 0.0) -> None:
        self._now = now

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass. Raises ValueError if it would run backwards."""
        if seconds < 0:
            raise ValueError("a clock does not run backwards")
        self._now += seconds
