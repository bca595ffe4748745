"""Random workflows for the simulator: every scheduling feature at random, small enough to read when one fails."""

from random import Random
from typing import Final

import msgspec

from weft.core.facts import Limits
from weft.model.expression import parse
from weft.model.workflow import (
    FRACTIONS,
    Action,
    Approve,
    Breaker,
    Budget,
    Flow,
    Input,
    OnError,
    OnTimeout,
    Pool,
    Rate,
    Retry,
    Role,
    Schedule,
    Shell,
    Sleep,
    Step,
    Workflow,
)
from weft.sim.random_machine import beside, on_machine
from weft.sim.world import Faults

CONDITIONS: Final = ("inputs.go", "success() && inputs.go", "always()", "failed()", "steps.{need}.status == 'failed'")
"""One of each sort: plain, with the default spelled out, and the three ways to override it."""

CROWDS: Final = 20
CROWD_SLOTS: Final = 4
CROWD: Final = 30
"""Steps: some more than may overtake another one."""

SHARED: Final = ("a.txt", "b.txt", "*.txt", "out/", "out/${{ item }}")
"""What few steps read and write: files, globs that mean them or not, and one that is another for each instance."""

DEPTH_MAX: Final = 2
"""Sub-workflows in sub-workflows: one more shows nothing new."""


def random_workflow(random: Random, steps_max: int = 16) -> Workflow:
    """A workflow of 1 to `steps_max` steps; each feature is used by few steps, so that most of the graph still runs. One in
    CROWDS is a crowd."""
    if random.random() < 1 / CROWDS:
        return _crowd(random)
    pools = {name: _pool(random) for name in ("red", "blue")}
    workflow = _workflow(random, steps_max, pools, depth=0)
    schedules: tuple[Schedule, ...] = ("dataflow", "dataflow", "dataflow", "layers", "sequential")
    last = [_step(random, [f"z{m}" for m in range(n + 1)], n, pools, 1) for n in range(random.choice((0, 0, 0, 1, 2)))]
    whole = msgspec.structs.replace(
        workflow,
        steps=(*workflow.steps, *(_with_role(each, "finally") for each in last)),
        budget=Budget(tokens=random.randint(1, 20)) if random.random() < 0.1 else None,
        outputs={"all": "done"} if random.random() < 0.3 else {},
        timeout_s=float(random.randint(10, 60)) if random.random() < 0.15 else None,
        schedule=random.choice(schedules),
        gates=_question(random, layers=True) if random.random() < 0.1 else None,
    )
    return on_machine(whole, beside(random))


def _crowd(random: Random) -> Workflow:
    """Many small steps in a pool, and one that needs it whole: it is overtaken until units are reserved for it."""
    breaker = Breaker(failures=1, cooldown_s=1.0) if random.random() < 0.5 else None
    pools = {"red": Pool(slots=CROWD_SLOTS), "blue": Pool(slots=CROWD, breaker=breaker)}
    small = [
        Step(id=f"s{n}", action=Sleep(seconds=1.0), resources={"red": 1, "blue": 1}, expect_s=float(random.randint(1, 9)))
        for n in range(CROWD)
    ]
    small[0] = msgspec.structs.replace(small[0], priority=1)
    large = Step(id="large", action=Sleep(seconds=1.0), needs=("s0",), resources={"red": CROWD_SLOTS, "blue": 1}, priority=1)
    return Workflow(name="crowd", steps=(*small, large), resources=pools)


def _workflow(random: Random, steps_max: int, pools: dict[str, Pool], depth: int) -> Workflow:
    """Steps that may be sub-workflows, down to some depth, and fan-outs."""
    ids = [f"s{n}" for n in range(random.randint(1, steps_max))]
    needs_max = random.choice((1, 2, 3))
    steps: list[Step] = []
    for n in range(len(ids)):
        step = _step(random, ids, n, pools, needs_max)
        if depth < DEPTH_MAX and random.random() < 0.1:
            inner = _workflow(random, 3, pools, depth + 1)
            outputs = {"all": "done"} if random.random() < 0.5 else {}
            step = msgspec.structs.replace(step, action=Flow(msgspec.structs.replace(inner, outputs=outputs)), resources={})
        steps.append(_fan_out(random, step, steps) if random.random() < 0.2 else step)
    steps += _fall_back(random, steps, pools)
    return Workflow(name="random", steps=tuple(steps), resources=pools)


def _with_role(step: Step, role: Role) -> Step:
    """The step as a loader lets it be in that role."""
    condition = "" if step.condition and not parse(step.condition).uses_status else step.condition
    return msgspec.structs.replace(
        step, role=role, on_error="continue" if step.on_error == "continue" else "isolate", condition=condition
    )


def _fall_back(random: Random, steps: list[Step], pools: dict[str, Pool]) -> list[Step]:
    """Give some of the steps a fallback, and some of those another; these steps, which need what their user may need."""
    found: list[Step] = []
    for n in range(len(steps)):
        if random.random() < 0.1:
            chain = [steps[n]]
            while len(chain) < 2 or random.random() < 0.1:
                ids = [*(each.id for each in steps[:n]), f"{steps[n].id}x{len(chain)}"]
                by = _with_role(_step(random, ids, n, pools, 1), "fallback")
                chain.append(_fan_out(random, by, []) if random.random() < 0.1 else by)
            after = [*(each.id for each in chain[1:]), ""]
            chain = [msgspec.structs.replace(each, fallback=id_) for each, id_ in zip(chain, after, strict=True)]
            steps[n] = chain[0]
            found += chain[1:]
    return found


def _fan_out(random: Random, step: Step, before: list[Step]) -> Step:
    """The step for each of some items; often wired to a fan-out that it needs."""
    wide = [each.id for each in before if each.for_each is not None and each.id in step.needs]
    wired = random.choice(wide) if wide and random.random() < 0.7 else ""
    return msgspec.structs.replace(step, for_each="${{ items }}", wired=wired, each_if=bool(wired) or random.random() < 0.5)


def _step(random: Random, ids: list[str], n: int, pools: dict[str, Pool], needs_max: int) -> Step:
    needs = tuple(random.sample(ids[:n], min(n, random.randint(0, needs_max))))
    condition = random.choice(CONDITIONS) if random.random() < 0.15 else ""
    if "{need}" in condition:
        condition = condition.format(need=needs[0]) if needs else ""
    policies: tuple[OnError, ...] = ("isolate", "isolate", "continue", "stop", "stop_layer")
    action: Action = Sleep(seconds=1.0) if random.random() < 0.3 else Shell(script="true")
    if random.random() < 0.05:
        action = _question(random)
    return Step(
        id=ids[n],
        action=action,
        needs=needs,
        condition=condition,
        resources={name: random.randint(1, pool.slots or 1) for name, pool in pools.items() if random.random() < 0.3},
        max_parallel=random.randint(1, 3) if random.random() < 0.2 else None,
        priority=random.choice((0, 0, 0, 5, -5)),
        expect_s=float(random.randint(0, 10)) if random.random() < 0.5 else None,
        on_error=random.choice(policies),
        retry=_retry(random) if random.random() < 0.4 else Retry(),
        timeout_s=float(random.randint(1, 10)) if random.random() < 0.3 else None,
        deadline_s=float(random.randint(1, 20)) if random.random() < 0.15 else None,
        drain=random.random() < 0.3,
        rerun=random.choice(("ask", "never")) if random.random() < 0.1 else "always",
        reuse=random.random() < 0.1,
        reads=tuple(random.sample(SHARED, random.choice((0, 0, 0, 0, 0, 0, 1)))),
        writes=tuple(random.sample(SHARED, random.choice((0, 0, 0, 0, 0, 0, 0, 1)))),
        races="allow" if random.random() < 0.05 else "",
        gate=_question(random) if random.random() < 0.1 else None,
    )


def _question(random: Random, *, layers: bool = False) -> Approve:
    outcomes: tuple[OnTimeout, ...] = ("approve", "reject") if layers else ("approve", "reject", "fail")
    return Approve(
        form={"n": Input(type="integer", required=True)} if random.random() < 0.2 and not layers else {},
        timeout_s=random.choice((None, float(random.randint(1, 20)))),
        on_timeout=random.choice(outcomes),
        answer="of an agent" if random.random() < 0.2 and not layers else None,
    )


def _pool(random: Random) -> Pool:
    """Half of them have slots only."""
    slots = random.randint(1, 4)
    if random.random() < 0.5:
        return Pool(slots=slots)
    paced = random.random() < 0.5
    return Pool(
        slots=None if paced and random.random() < 0.3 else slots,
        rate=Rate(random.randint(1, 5), random.choice((1.0, 10.0))) if paced else None,
        burst=random.randint(1, 3),
        per="${{ item }}" if random.random() < 0.3 else "",
        adaptive=random.random() < 0.5,
        breaker=Breaker(failures=random.randint(1, 3), cooldown_s=random.choice((1.0, 5.0))) if random.random() < 0.3 else None,
    )


def _retry(random: Random) -> Retry:
    return Retry(
        times=random.randint(1, 3),
        delay_s=random.choice((0.0, 1.0, random.random())),
        max_delay_s=random.choice((1.0, 60.0)),
        jitter=random.random() < 0.7,
        when=random.choice(((), (), ("timeout", "exit 3"))),
        max_elapsed_s=random.choice((None, None, 5.0)),
    )


def random_limits(random: Random) -> Limits:
    computing, has = random.choice((None, 1, 2)), beside(random)
    return Limits(
        total=random.choice((None, 1, 2, 3)),
        computing=computing,
        waiting=random.choice((None, 1, 256)),
        adaptive=computing is not None and random.random() < 0.3,
        pools={"gpu": FRACTIONS * has.choice((1, 2, 3)), "mem": has.choice((2, 3, 4))},
        gpus=has.choice(((), ("0", "1"), ("GPU-a", "GPU-b", "GPU-c"))),
    )


def random_faults(random: Random) -> Faults:
    return Faults(
        fail=random.choice((0.0, 0.1, 0.4)),
        hang=random.choice((0.0, 0.2)),
        echo=random.choice((0.0, 0.3)),
        crash=random.choice((0.0, 0.02, 0.1)),
        cancel=random.choice((0.0, 0.0, 0.02)),
        suspend=random.choice((0.0, 0.0, 0.03)),
        retry=random.choice((0.0, 0.0, 0.5)),
        give=random.choice((0.0, 0.0, 0.2)),
        leave_out=random.choice((0.0, 0.0, 0.1)),
        durable_lag_s=random.choice((0.0, 0.5, 5.0)),
        slow_s=random.choice((0.0, 0.0, 3.0)),
        look_s=random.choice((0.0, 1.0)),
        whole_seconds=random.random() < 0.5,
    )
