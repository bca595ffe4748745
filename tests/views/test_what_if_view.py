"""What if: both runs side by side, and in words what limits the second."""

import msgspec
import pytest
from tale import Golden, step

from weft.core.facts import Limits
from weft.core.measure import Numbers
from weft.model.workflow import Pool, Schedule, Workflow
from weft.sim.foresight import perfect
from weft.sim.what_if import Changes, replayed, under
from weft.views import what_if
from weft.views.text import width_painted


def numbers(*, slots: int = 1, total: int | None = None, schedule: Schedule = "dataflow", seconds: float = 2.0) -> Numbers:
    steps = [step(f"part_{n}", resources={"database": 1}) for n in range(6)]
    steps += [step("check", "part_0"), step("publish", "check")]
    workflow = Workflow(name="w", steps=tuple(steps), resources={"database": Pool(slots=1)}, schedule=schedule)
    past = perfect(workflow, {one.id: seconds for one in steps} | {"part_5": 3 * seconds}, Limits(total=total))
    return replayed(under(past, Changes(pools={"database": slots})))


def test_side_by_side(golden: Golden) -> None:
    text = what_if.render(numbers(), numbers(slots=6), title="w: what if database=6", color=False)
    golden("what_if", text + "\n")
    narrow = what_if.render(numbers(), numbers(slots=6), title="w: what if database=6", color=True, width=50)
    assert all(width_painted(line) <= 50 for line in narrow.splitlines())


@pytest.mark.parametrize(
    ("after", "says"),
    [
        (numbers(slots=6), "the critical path, 6s: part_0 2s → check 2s → publish 2s"),
        (numbers(slots=2), "database, which held steps for 18s (summed over steps)"),
        (numbers(slots=6, total=2), "max_parallel, which held steps for"),
        (numbers(slots=6, schedule="layers"), "the layers: steps wait for others that they do not need"),
        (numbers(seconds=0.0), "nothing: no step takes time"),
    ],
)
def test_what_limits(after: Numbers, says: str) -> None:
    assert what_if.limits_of(after).startswith(says)


def test_the_same_and_nothing() -> None:
    assert "12s (the same)" in what_if.render(numbers(slots=2), numbers(slots=2), title="t", color=False).replace("8s", "12s")
    assert "0s" in what_if.render(numbers(seconds=0.0), numbers(seconds=0.0), title="t", color=False)
    assert "more)" in what_if.render(numbers(slots=2), numbers(), title="t", color=False)


def test_as_json() -> None:
    found = msgspec.json.decode(msgspec.json.encode(what_if.as_json(numbers(), numbers(slots=6))))
    assert (found["now"]["makespan_s"], found["then"]["makespan_s"], found["then"]["held_s"]) == (16.0, 6.0, {})
    assert found["limited_by"].startswith("the critical path")
