"""Pools of the machine and pools that runs share, put into random workflows.

They are drawn beside everything else: what is drawn for a seed without them stays as it is, and so do the seeds that tests know.
"""

from random import Random

import msgspec

from weft.model.workflow import FRACTIONS, Flow, Pool, Step, Workflow


def beside(random: Random) -> Random:
    """Another source of draws, which follows from the state of this one and changes nothing in it."""
    return Random(repr(random.getstate()[1][-3:]))


def on_machine(workflow: Workflow, random: Random) -> Workflow:
    """The same workflow, now and then with further pools that some steps take."""
    pools = _pools(random)
    if not pools:
        return workflow
    steps = tuple(_taking(step, pools, random) for step in workflow.steps)
    return msgspec.structs.replace(workflow, steps=steps, resources={**workflow.resources, **pools})


def _pools(random: Random) -> dict[str, Pool]:
    found = {}
    if random.random() < 0.2:
        found["gpu"] = Pool(slots=2 * FRACTIONS, unit=FRACTIONS) if random.random() < 0.3 else Pool(auto=True, unit=FRACTIONS)
    if random.random() < 0.1:
        found["mem"] = Pool(auto=True, is_bytes=True, scope=random.choice(("run", "engine")))
    for name in ("shared", "other"):
        if random.random() < 0.15:
            found[name] = Pool(slots=random.randint(1, 3), scope="engine")
    return found


def _taking(step: Step, pools: dict[str, Pool], random: Random) -> Step:
    if isinstance(step.action, Flow):
        inner = step.action.workflow
        steps = tuple(_taking(each, pools, random) for each in inner.steps)
        return msgspec.structs.replace(step, action=Flow(msgspec.structs.replace(inner, steps=steps)))
    taken = {name: _weight(random, pool) for name, pool in pools.items() if random.random() < 0.3}
    return msgspec.structs.replace(step, resources={**step.resources, **taken})


def _weight(random: Random, pool: Pool) -> int:
    if pool.unit > 1:
        return random.choice((pool.unit // 2, pool.unit // 4, pool.unit, pool.unit, 2 * pool.unit))
    return random.randint(1, pool.slots or 3)
