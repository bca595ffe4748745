"""Inputs of a run: texts of the command line against what a workflow declares."""

import pytest

from weft.model.errors import UsageError
from weft.model.inputs import bind_inputs, check_inputs, fits, read_values
from weft.model.workflow import Input, InputType, Value, Workflow


def workflow(**inputs: Input) -> Workflow:
    return Workflow(name="w", steps=(), inputs=inputs)


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        ("string", "007", "007"),
        ("string", "", ""),
        ("integer", "-3", -3),
        ("number", "2.5", 2.5),
        ("number", "2", 2),
        ("boolean", "true", True),
        ("list", '["a", 1]', ["a", 1]),
        ("mapping", '{"a": {"b": null}}', {"a": {"b": None}}),
        ("any", "[1]", [1]),
        ("any", "not json", "not json"),
        ("any", "a=b", "a=b"),
    ],
)
def test_text_is_read_by_the_declared_type(type_: InputType, text: str, value: Value) -> None:
    assert bind_inputs(workflow(x=Input(type=type_)), {"x": text}) == {"x": value}


@pytest.mark.parametrize(
    ("type_", "text", "says"),
    [
        ("integer", "1.5", "`1.5` is not an integer"),
        ("integer", "true", "`true` is not an integer"),
        ("number", "many", "`many` is not a number"),
        ("boolean", "yes", "`yes` is not a boolean (`true` or `false`)"),
        ("list", '{"a": 1}', "is not a list (as JSON"),
        ("mapping", "[]", "is not a mapping (as JSON"),
    ],
)
def test_text_of_another_type_is_refused(type_: InputType, text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        bind_inputs(workflow(x=Input(type=type_)), {"x": text})
    assert str(caught.value).startswith("input `x`: ")
    assert says in str(caught.value)


def test_defaults_stand_where_nothing_is_given() -> None:
    declared = workflow(a=Input(type="integer", default=3), b=Input(type="string"))
    assert bind_inputs(declared, {}) == {"a": 3, "b": None}


def test_choices_bound_the_value() -> None:
    declared = workflow(day=Input(type="string", choices=("mon", "tue")))
    assert bind_inputs(declared, {"day": "tue"}) == {"day": "tue"}
    with pytest.raises(UsageError, match="`sun` is none of mon, tue"):
        bind_inputs(declared, {"day": "sun"})


def test_everything_that_is_wrong_is_said_at_once() -> None:
    declared = workflow(day=Input(type="string", required=True), count=Input(type="integer"))
    with pytest.raises(UsageError) as caught:
        bind_inputs(declared, {"cuont": "1", "count": "x"})
    assert str(caught.value).splitlines() == [
        "`cuont` is not an input of workflow `w`; did you mean `count`?",
        "input `day` (string) is missing: give `day=…`",
        "input `count`: `x` is not an integer",
    ]


def test_an_unlike_name_gets_the_list() -> None:
    with pytest.raises(UsageError, match="it has `day`"):
        bind_inputs(workflow(day=Input()), {"zzzzzz": "1"})
    with pytest.raises(UsageError, match="it has no inputs"):
        bind_inputs(workflow(), {"zzzzzz": "1"})


def test_true_is_no_number() -> None:
    assert not fits("integer", True)
    assert not fits("number", True)
    assert fits("boolean", True)
    assert fits("any", True)


def test_values_for_a_sub_workflow_are_checked_as_they_are() -> None:
    declared = workflow(day=Input(type="string", required=True, choices=("mon",)), count=Input(type="integer", default=3))
    assert check_inputs(declared, {"day": "mon"}) == {"day": "mon", "count": 3}
    with pytest.raises(ValueError, match="`dya` is not an input of workflow `w`; input `day` of workflow `w` is missing"):
        check_inputs(declared, {"dya": "mon"})
    with pytest.raises(
        ValueError, match=r'`day` of workflow `w` is none of \["mon"\]; .*`count` of workflow `w` must be an integer'
    ):
        check_inputs(declared, {"day": "sun", "count": "3"})


def test_texts_become_what_is_declared() -> None:
    assert read_values({"n": Input(type="integer")}, {"n": "3", "other": "3"}) == {"n": 3, "other": "3"}
