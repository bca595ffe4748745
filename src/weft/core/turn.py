"""One turn while it is being made: facts are applied the moment they are decided, commands wait for the engine."""

from weft.core import facts as f
from weft.core.apply import apply
from weft.core.commands import Command
from weft.core.facts import Fact
from weft.core.state import State


class Turn:
    """What one call of `receive` gives: `facts` to be journalled as one unit, `commands` to be performed as their `after` becomes
    durable, and `wake_at`, the time at which the core wants to be called even if nothing happens (None: never)."""

    __slots__ = ("commands", "facts", "now", "state", "wake_at")

    def __init__(self, state: State, now: float) -> None:
        self.state = state
        self.now = now
        self.facts: list[Fact] = []
        self.commands: list[Command] = []
        self.wake_at: float | None = None

    def emit(self, fact: Fact) -> None:
        self.facts.append(fact)
        apply(self.state, fact)

    def order(self, command: Command) -> None:
        self.commands.append(command)


class Round:
    """The verdicts of one pass over the agenda."""

    def __init__(self) -> None:
        self.ready: list[str] = []
        self.skips: dict[tuple[f.SkipReason, str], list[str]] = {}

    def skip(self, step: str, reason: f.SkipReason, because: str) -> None:
        self.skips.setdefault((reason, because), []).append(step)

    def close(self, turn: Turn) -> None:
        """Turn what was gathered into facts."""
        if self.ready:
            turn.emit(f.StepsReady(at=turn.now, steps=self.ready))
        for (reason, because), steps in self.skips.items():
            turn.emit(f.StepsSkipped(at=turn.now, steps=steps, reason=reason, because=because))
