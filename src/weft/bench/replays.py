"""How far the replay of a recorded run, under its own limits, is from the run."""

from collections.abc import Iterable

import msgspec

from weft.core.facts import Fact
from weft.core.measure import Measure
from weft.sim.replay import past_of
from weft.sim.what_if import makespan_s


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """Makespans in seconds, as it was and as its replay says. `mean_step_s`: how long an attempt took, in the mean."""

    took_s: float
    replayed_s: float
    attempts: int
    mean_step_s: float

    @property
    def error(self) -> float:
        """How much of the run's makespan the replay is off; negative: it says less."""
        return self.replayed_s / self.took_s - 1 if self.took_s else 0.0


def replayed(facts: Iterable[Fact]) -> Replayed:
    """Play a run again that has ended. Raises ValueError if the facts hold no run."""
    kept, measure = list(facts), Measure()
    for fact in kept:
        measure.see(fact)
    past = past_of(kept)
    took = [tried.took_s for of in past.tried.values() for tried in of]
    return Replayed(
        took_s=measure.makespan_s,
        replayed_s=makespan_s(past),
        attempts=len(took),
        mean_step_s=sum(took) / len(took) if took else 0.0,
    )
