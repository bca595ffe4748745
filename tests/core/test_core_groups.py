"""The pieces of a growing graph: ids, definitions, estimates, the audit."""

from collections.abc import Callable

import pytest
from growing import each, inner, sub
from hypothesis import given
from hypothesis import strategies as st
from story import Story, flow, step

from weft.core import facts as f
from weft.core.apply import apply
from weft.core.audit import audit
from weft.core.decide import receive
from weft.core.demand import weight_of
from weft.core.estimates import learned, sample_of
from weft.core.facts import Limits
from weft.core.growth import grown
from weft.core.state import State
from weft.core.status import Status
from weft.model.graph import Graph
from weft.model.paths import KEY_CHARS_MAX, definition, escaped, instance_id


def test_steps_that_join_the_graph_by_themselves() -> None:
    """What is added at a gate: ordinary steps, in a layer that exists."""
    told = Story(flow(step("a"), step("b", "a")))
    told.tell("begin")
    graph = Graph(told.workflow.steps)
    graph.add([step("c", "a")], None, 1)
    assert (graph.needs[2], graph.layer[2], graph.order) == ((0,), 1, [0, 1, 2])
    with pytest.raises(ValueError, match="one id"):
        graph.add([step("a")], None, 1)


@given(st.text(), st.text())
def test_no_two_keys_have_one_id(one: str, other: str) -> None:
    assert (escaped(one) == escaped(other)) == (one == other)
    assert len(escaped(one)) <= KEY_CHARS_MAX + 20
    assert not set(escaped(one)) & set("/[]#\n\" '\\")
    assert definition(instance_id("a/b", one) + "/c") == "a/b/c"


def test_what_a_step_stands_for() -> None:
    of = inner(step("x"), each("y", "x", wired="", each_if=False))
    names = [(one.id, one.needs) for one in grown(sub("s", of=of), [])]
    assert names == [("s/x", ()), ("s/y", ("s/x",))]
    assert [one.id for one in grown(each("f"), ["a b", "c"])] == ["f[a%20b]", "f[c]"]


def test_steps_that_join_the_graph_wait_like_any_other() -> None:
    state = State()
    workflow = flow(step("a"), step("b", "a"))
    for fact in (
        f.RunCreated(at=0.0, run="r", workflow=workflow, inputs={}, seed=0),
        f.StepsAdded(at=0.0, steps=[step("c"), step("d", "a")], layer=1),
    ):
        apply(state, fact)
    assert (state.open, state.layer_open, state.unsettled) == (4, [1, 3], [0, 1, 0, 1])
    turn = receive(state, [f.EngineAttached(at=0.0, pid=1, host="h", limits=Limits())], 0.0)
    assert [fact.step for fact in turn.facts if isinstance(fact, f.AttemptStarted)] == ["a", "c"]
    assert audit(state) == []


def test_a_long_key_is_cut() -> None:
    assert escaped("x" * 200) != escaped("x" * 201)
    assert escaped("x" * 200).startswith("x" * KEY_CHARS_MAX + "%~")


def test_what_is_learned_of_instances_and_of_steps_in_sub_workflows() -> None:
    workflow = flow(each("a"), sub("b", of=inner(step("x"), step("y", "x"))))
    sample = sample_of(workflow, {"a[p]": 1.0, "a[q]": 3.0, "b/x": 5.0, "gone": 9.0})
    assert sample.steps == {"a": 2.0, "b/x": 5.0, "gone": 9.0}
    assert learned(workflow, [sample]) == {"a": 2.0, "b/x": 5.0, "b/y": 3.0}
    found = {"b/x": 5.0, "b/y": 2.0}
    assert [weight_of(one, found) for one in workflow.steps] == [1.0, 7.0]
    assert weight_of(sub("e", of=inner()), {}) == 0.0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda state: state.steps.__setitem__(0, step("a")), "step `a` (expanded) stands for no others"),
        (
            lambda state: state.unsettled_children.__setitem__(0, 2),
            "step `a` (expanded) counts 2 parts that have not settled, there are 1",
        ),
        (lambda state: state.status.__setitem__(0, Status.SUCCEEDED), "step `a` (succeeded) has 1 parts that have not settled"),
    ],
)
def test_what_the_audit_sees(change: Callable[[State], None], sentence: str) -> None:
    told = Story(flow(each("a")))
    told.tell("begin")
    told.tell("a items x")
    change(told.state)
    assert sentence in audit(told.state)
