"""With every limit set to 1 nothing deadlocks: nested sub-workflows, fan-outs in fan-outs, steps that take three pools."""

from itertools import permutations
from random import Random

import pytest
from msgspec.structs import replace

from weft.core import facts as f
from weft.core.facts import Limits
from weft.model.workflow import Flow, Pool, Retry, Shell, Sleep, Step, Workflow
from weft.sim.random_workflow import random_faults, random_workflow
from weft.sim.world import Faults, World

ONE = Limits(total=1, computing=1, waiting=1)
POOLS = {name: Pool(slots=1) for name in ("red", "green", "blue")}
DEPTH = 3
SEEDS = 60


def tangle(random: Random, depth: int = DEPTH) -> Workflow:
    """Each order of taking three pools, in chains that meet; below them the same again, inside sub-workflows and fan-outs."""
    steps = [
        Step(
            id=f"s{n}",
            action=Sleep(seconds=1.0) if random.random() < 0.3 else Shell("true"),
            needs=tuple(f"s{k}" for k in range(n) if random.random() < 0.3),
            resources=dict.fromkeys(order[: random.randint(1, 3)], 1),
            priority=random.choice((0, 0, 1)),
            retry=Retry(times=1),
        )
        for n, order in enumerate(permutations(POOLS))
    ]
    if depth:
        inner = Flow(tangle(random, depth - 1))
        steps.append(
            Step(id="wide", action=Shell("true"), needs=("s0",), for_each="${{ items }}", resources=dict.fromkeys(POOLS, 1))
        )
        steps.append(Step(id="flow", action=inner, needs=(random.choice(("s0", "s1")),)))
        if depth == DEPTH:  # more of them would only be more of the same
            steps.append(Step(id="flows", action=inner, for_each="${{ items }}", needs=("wide",)))
            steps.append(
                Step(
                    id="wired",
                    action=Flow(tangle(random, 1)),
                    for_each="${{ items }}",
                    needs=("flows",),
                    wired="flows",
                    each_if=True,
                )
            )
    return Workflow(name="tangle", steps=tuple(steps), resources=POOLS)


def play(seed: int) -> list[f.Fact]:
    random = Random(seed)
    schedule = random.choice(("dataflow", "dataflow", "layers", "sequential"))
    faults = random_faults(random) if seed % 2 else Faults()
    world = World(replace(tangle(random), schedule=schedule), seed=seed, limits=ONE, faults=faults, check=seed % 10 == 0)
    return world.play()


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_tangle_comes_to_its_end(seed: int) -> None:
    assert isinstance(play(seed)[-1], f.RunEnded)


def test_a_tangle_is_one() -> None:
    """Or there would be nothing to get caught in: steps run three sub-workflows deep, and in fan-outs in fan-outs."""
    started = {fact.step for seed in range(10) for fact in play(seed) if isinstance(fact, f.AttemptStarted)}
    assert any(step.startswith("flow/flow/flow/") for step in started)
    assert any(step.startswith("flows[") and "]/wide[" in step for step in started)
    assert any(step.startswith("wired[") for step in started)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_whatever_is_drawn_comes_to_its_end(seed: int) -> None:
    random = Random(seed)
    drawn = random_workflow(random, 12)
    pools = {name: replace(pool, slots=pool.unit, auto=False) for name, pool in drawn.resources.items()}
    workflow = replace(drawn, steps=tuple(_one(step, pools) for step in drawn.steps), resources=pools)
    assert isinstance(World(workflow, seed=seed, limits=replace(ONE, gpus=("0",))).play()[-1], f.RunEnded)


def _one(step: Step, pools: dict[str, Pool]) -> Step:
    """The same step with demands of all that there is."""
    action = step.action
    if isinstance(action, Flow):
        action = Flow(replace(action.workflow, steps=tuple(_one(part, pools) for part in action.workflow.steps)))
    return replace(step, action=action, resources={name: pools[name].unit for name in step.resources})
