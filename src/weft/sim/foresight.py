"""Possible speedup: the same steps under the same limits, started by somebody who knew how long each would take."""

from collections.abc import Mapping

import msgspec

from weft.core import facts as f
from weft.core.facts import Limits
from weft.model.workflow import Retry, Workflow
from weft.sim.replay import Past, Player, Tried


class Foreseen(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: makespan in seconds, and the largest number of attempts that were alive at once."""

    makespan_s: float
    parallel_max: int


def perfect(workflow: Workflow, durations_s: Mapping[str, float], limits: Limits) -> Past:
    """A run in which every step succeeds at once and takes its known duration (0 if it has none).

    The dispatch order weighs the longest remaining path by these durations, which is the perfect foresight.
    """
    steps = tuple(
        msgspec.structs.replace(step, condition="", timeout_s=None, deadline_s=None, retry=Retry()) for step in workflow.steps
    )
    known = {step.id: durations_s.get(step.id, 0.0) for step in steps}
    bare = msgspec.structs.replace(workflow, steps=steps, outputs={}, timeout_s=None)
    created = f.RunCreated(at=0.0, run="", workflow=bare, inputs={}, seed=0, estimates=known)
    return Past(created=created, limits=limits, tried={step: (Tried(seconds),) for step, seconds in known.items()})


def foresee(workflow: Workflow, durations_s: Mapping[str, float], limits: Limits) -> Foreseen:
    """What comes of the run that `perfect` describes."""
    player = Player(perfect(workflow, durations_s, limits))
    most = 0
    for fact in player.play():
        if isinstance(fact, f.AttemptStarted):
            most = max(most, len(player.state.alive))
    return Foreseen(makespan_s=player.now, parallel_max=most)


def foreseen_makespan_s(workflow: Workflow, durations_s: Mapping[str, float], limits: Limits) -> float:
    """The makespan of `foresee`, in seconds."""
    return foresee(workflow, durations_s, limits).makespan_s
