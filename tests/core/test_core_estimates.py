"""Estimates: what earlier runs teach, and the order of dispatch that follows."""

import pytest
from story import flow, step

from weft.core.estimates import STEPS_MAX, Estimate, Sample, estimates, learned, median, sample_of
from weft.core.state import State
from weft.model.workflow import Argv, Shell, Step, Workflow


@pytest.mark.parametrize(("numbers", "middle"), [([3.0], 3.0), ([9.0, 1.0, 2.0], 2.0), ([4.0, 1.0, 2.0, 9.0], 3.0)])
def test_median(numbers: list[float], middle: float) -> None:
    assert median(numbers) == middle


def shell(id_: str, script: str, expect_s: float | None = None) -> Step:
    return Step(id=id_, action=Shell(script=script), expect_s=expect_s)


OLD = flow(shell("a", "one"), shell("b", "two"), shell("c", "two"), step("nap", sleep=True))


def test_what_a_run_teaches() -> None:
    found = sample_of(OLD, {"a": 9.0, "b": 1.0, "c": 2.0})
    assert found.steps == {"a": 9.0, "b": 1.0, "c": 2.0}
    assert sorted(found.actions.values()) == [1.5, 9.0]
    assert found.kinds == {"shell": 2.0}
    assert sample_of(OLD, {}) == Sample()


def test_too_large_a_run_teaches_nothing() -> None:
    assert sample_of(OLD, dict.fromkeys(map(str, range(STEPS_MAX + 1)), 1.0)) == Sample()


def test_where_an_estimate_comes_from() -> None:
    samples = [sample_of(OLD, {"a": seconds, "b": 1.0, "c": 2.0}) for seconds in (9.0, 5.0, 6.0)]
    new = flow(
        shell("a", "changed", expect_s=50.0),
        shell("renamed", "two", expect_s=50.0),
        shell("told", "three", expect_s=50.0),
        shell("new", "three"),
        step("nap", sleep=True),
        Step(id="argv", action=Argv(argv=("ls",))),
    )
    assert estimates(new, samples) == [
        Estimate(6.0, "learned", 3),
        Estimate(1.5, "same action", 3),
        Estimate(50.0, "expect"),
        Estimate(2.0, "same kind", 3),
        Estimate(1.0, "sleep"),
        Estimate(1.0, "assumed"),
    ]
    assert learned(new, samples) == {"a": 6.0, "renamed": 1.5, "new": 2.0}
    assert learned(new, []) == {}
    assert [estimate.source for estimate in estimates(new, [])] == ["expect"] * 3 + ["assumed", "sleep", "assumed"]


def order(workflow: Workflow, known: dict[str, float]) -> list[str]:
    state = State()
    state.load(workflow, known)
    return [state.graph.ids[rank[-1]] for rank in sorted(state.demands.rank)]


def test_the_longest_remaining_path_is_weighed_by_them() -> None:
    """What was learned counts before `expect`, and `expect` before 1."""
    workflow = flow(shell("a", "x"), shell("b", "x", expect_s=2.0), shell("c", "x", expect_s=3.0), shell("d", "x"))
    assert order(workflow, {}) == ["c", "b", "a", "d"]
    assert order(workflow, {"c": 0.5, "d": 2.5}) == ["d", "b", "a", "c"]
