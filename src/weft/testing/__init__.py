"""For those who test weft, or with it; nothing else in weft imports this. Each name is loaded when it is first asked for.

The strategies need hypothesis: import them from `weft.testing.strategies`.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weft.testing.clock import FakeClock
    from weft.testing.journals import CrashingJournal
    from weft.testing.runners import FakeRunner
    from weft.testing.simulator import Simulator

__all__ = ["CrashingJournal", "FakeClock", "FakeRunner", "Simulator"]


def __getattr__(name: str) -> object:
    match name:
        case "CrashingJournal":
            from weft.testing.journals import CrashingJournal

            return CrashingJournal
        case "FakeClock":
            from weft.testing.clock import FakeClock

            return FakeClock
        case "FakeRunner":
            from weft.testing.runners import FakeRunner

            return FakeRunner
        case "Simulator":
            from weft.testing.simulator import Simulator

            return Simulator
        case _:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
