"""One seed, one simulated run: workflow, limits, faults and everything that happens are drawn from it."""

from random import Random

from weft.core.facts import Limits
from weft.model.workflow import Workflow
from weft.sim.random_workflow import random_faults, random_limits, random_workflow
from weft.sim.world import Faults, World


class Simulator(World):
    """What is not given is drawn from the seed. `play` returns all facts, or raises Violation with the seed and the story."""

    def __init__(
        self,
        seed: int,
        *,
        workflow: Workflow | None = None,
        limits: Limits | None = None,
        faults: Faults | None = None,
        steps_max: int = 16,
    ) -> None:
        random = Random(seed)
        drawn = random_workflow(random, steps_max), random_limits(random), random_faults(random)
        super().__init__(workflow or drawn[0], seed=seed, limits=limits or drawn[1], faults=faults or drawn[2])
