"""A workflow of the user's under faults drawn from a seed: what `weft check --simulate` plays."""

from random import Random

import msgspec

from weft.core.facts import EngineAttached, Limits
from weft.model.workflow import Workflow
from weft.sim.random_workflow import random_faults
from weft.sim.world import World


class Played(msgspec.Struct, frozen=True):
    """One simulated run: how it ended, and how often it was restarted in between."""

    outcome: str
    crashes: int


def torture(workflow: Workflow, limits: Limits, seed: int) -> Played:
    """Play the workflow once. The same seed draws the same faults. Raises Violation if the core breaks a rule."""
    world = World(workflow, seed=seed, limits=limits, faults=random_faults(Random(seed)))
    facts = world.play()
    assert world.state.ended is not None
    return Played(world.state.ended.status, sum(isinstance(fact, EngineAttached) for fact in facts) - 1)
