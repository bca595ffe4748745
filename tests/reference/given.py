"""What a run is given from outside: how its attempts go, and what people ask. The same for the model and for the core."""

from dataclasses import dataclass, field
from math import inf


@dataclass
class Given:
    """`outcomes[step, attempt]`: after so many seconds it ends "ok", or with a kind of error; else one second and "ok".

    An attempt that is told to stop ends `stop_s` later. `learned_s`: what earlier runs taught of how long steps take.
    """

    outcomes: dict[tuple[str, int], tuple[float, str]] = field(default_factory=dict)
    stop_s: float = 0.25
    cpus: int = 2
    cancel_at_s: float = inf
    learned_s: dict[str, float] = field(default_factory=dict)
    answers: dict[str, tuple[float, str]] = field(default_factory=dict)
    """What somebody says at the gate of a step, so many seconds after it was opened; else yes, at once."""

    def answer(self, step: str) -> tuple[float, str]:
        return self.answers.get(step, (0.625, "approve"))

    def attempt(self, step: str, number: int) -> tuple[float, str]:
        return self.outcomes.get((step, number), (1.0, "ok"))


def or_never(seconds: float | None) -> float:
    return inf if seconds is None else seconds
