"""Possible speedup: the same steps under the same limits, started by somebody who knew how long each would take."""

from collections.abc import Mapping

import msgspec

from weft.core.facts import Limits
from weft.model.workflow import Retry, Workflow
from weft.sim.world import World


def foreseen_makespan_s(workflow: Workflow, durations_s: Mapping[str, float], limits: Limits) -> float:
    """Makespan in seconds of a run in which every step succeeds at once and takes its known duration (0 if it has none).

    The dispatch order weighs the longest remaining path by these durations, which is the perfect foresight.
    """
    steps = tuple(
        msgspec.structs.replace(step, expect_s=durations_s.get(step.id, 0.0), condition="", timeout_s=None, retry=Retry())
        for step in workflow.steps
    )
    world = World(msgspec.structs.replace(workflow, steps=steps, outputs={}), limits=limits, check=False)
    world.play()
    return world.now
