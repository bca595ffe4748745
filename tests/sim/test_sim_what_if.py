"""What if: replays under other limits, where the answer is known."""

import pytest
from msgspec.structs import replace
from test_sim_foresight import flow

from weft.core.facts import Limits
from weft.model.errors import UsageError
from weft.model.workflow import Flow, Pool, Rate, Shell, Step, Workflow
from weft.sim.foresight import foreseen_makespan_s, perfect
from weft.sim.replay import Past
from weft.sim.what_if import Changes, makespan_s, replayed, under


def past(text: str, limits: Limits, pool: int | None = None, **more: object) -> Past:
    workflow, durations = flow(text, pool=pool, **more)  # type: ignore[arg-type]
    return perfect(workflow, durations, limits)


@pytest.mark.parametrize(
    ("changes", "makespan", "held"),
    [
        (Changes(), 10.0, {"p": 4.0 + 7.0 + 9.0}),
        (Changes(pools={"p": 2}), 5.0, {"p": 3.0 + 4.0}),
        (Changes(pools={"p": 4}), 4.0, {}),
        (Changes(pools={"p": 4}, limits=Limits(total=1)), 10.0, {"max_parallel": 20.0}),
        (Changes(pools={"p": 4}, limits=Limits(computing=3)), 4.0, {"max_parallel": 2.0}),
        (Changes(pools={"p": 4}, schedule="sequential"), 10.0, {"max_parallel": 1.0 + 3.0 + 6.0}),
    ],
)
def test_pools_and_limits(changes: Changes, makespan: float, held: dict[str, float]) -> None:
    before = past("a 1, b 2, c 3, d 4", Limits(), pool=1)
    after = under(before, changes)
    numbers = replayed(after)
    assert numbers.makespan_s == makespan_s(after) == makespan
    assert numbers.work_s == 10.0
    assert numbers.held_s == held


def test_another_rate() -> None:
    before = past("a 1, b 1, c 1", Limits(), pool=3)
    slower = under(before, Changes(rates={"p": Rate(1, 2.0)}))
    numbers = replayed(slower)
    assert numbers.makespan_s == makespan_s(slower) == 5.0
    assert numbers.held_s == {"rate (p)": 2.0 + 4.0}
    assert makespan_s(under(slower, Changes(rates={"p": Rate(10, 1.0)}))) == pytest.approx(1.2)
    with pytest.raises(UsageError, match="no pool `q`"):
        under(before, Changes(rates={"q": Rate(1, 2.0)}))


def test_keys_of_pools_are_foreseen() -> None:
    workflow, durations = flow("a 1, b 1, c 1", pool=1)
    workflow = replace(workflow, resources={"p": Pool(slots=1, per="${{ inputs.x }}")})
    assert foreseen_makespan_s(workflow, durations, Limits()) == 3.0
    keys = {"a": {"p": "x"}, "b": {"p": "y"}, "c": {"p": "x"}}
    assert foreseen_makespan_s(workflow, durations, Limits(), pool_keys=keys) == 2.0


def test_another_schedule() -> None:
    before = past("a 2, a2 2 < a, a3 2 < a2, b 6", Limits(), schedule="layers")
    assert makespan_s(before) == 10.0
    assert makespan_s(under(before, Changes(schedule="dataflow"))) == 6.0


@pytest.mark.parametrize(
    ("pools", "says"),
    [
        ({"q": 2}, "no pool `q`; there are `max_parallel`, `schedule`, `races`, `p`"),
        ({"max_paralel": 2}, "did you mean `max_parallel`"),
        ({"p": 0}, "cannot have 0"),
    ],
)
def test_what_cannot_be_asked(pools: dict[str, int], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        under(past("a 1", Limits(), pool=3), Changes(pools=pools))


def test_a_pool_that_a_step_would_never_get() -> None:
    workflow, durations = flow("a 1", pool=3)
    workflow = replace(workflow, steps=(replace(workflow.steps[0], resources={"p": 3}),), resources={"p": Pool(slots=3)})
    with pytest.raises(UsageError, match="step `a` asks for 3 of pool `p`, which would have 2"):
        under(perfect(workflow, durations, Limits()), Changes(pools={"p": 2}))


def test_races_allowed() -> None:
    a, b, c = (Step(id=id_, action=Shell(script="true"), writes=("x",)) for id_ in "abc")
    inner = Workflow(name="i", steps=(c,))
    workflow = Workflow(name="w", steps=(a, b, Step(id="s", action=Flow(inner))))
    past = perfect(workflow, {"a": 2.0, "b": 3.0}, Limits())
    assert replayed(past).held_s == {"races": 2.0 + 5.0}
    assert replayed(past).makespan_s == 5.0
    assert replayed(under(past, Changes(races=True))).makespan_s == 3.0
