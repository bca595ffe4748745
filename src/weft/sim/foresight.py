"""Possible speedup: the same steps under the same limits, started by somebody who knew how long each would take."""

from collections.abc import Mapping

import msgspec

from weft.core import facts as f
from weft.core.facts import Limits
from weft.model.workflow import Retry, Workflow
from weft.sim.world import World


class Foreseen(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: makespan in seconds, and the largest number of attempts that were alive at once."""

    makespan_s: float
    parallel_max: int


def foresee(workflow: Workflow, durations_s: Mapping[str, float], limits: Limits) -> Foreseen:
    """A run in which every step succeeds at once and takes its known duration (0 if it has none).

    The dispatch order weighs the longest remaining path by these durations, which is the perfect foresight.
    """
    steps = tuple(
        msgspec.structs.replace(step, expect_s=durations_s.get(step.id, 0.0), condition="", timeout_s=None, retry=Retry())
        for step in workflow.steps
    )
    world = World(msgspec.structs.replace(workflow, steps=steps, outputs={}), limits=limits, check=False)
    alive = most = 0
    for fact in world.play():
        alive += isinstance(fact, f.AttemptStarted) - isinstance(fact, f.AttemptEnded)
        most = max(most, alive)
    return Foreseen(makespan_s=world.now, parallel_max=most)


def foreseen_makespan_s(workflow: Workflow, durations_s: Mapping[str, float], limits: Limits) -> float:
    """The makespan of `foresee`, in seconds."""
    return foresee(workflow, durations_s, limits).makespan_s
