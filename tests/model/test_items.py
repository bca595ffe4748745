"""Items of fan-outs, and what is known of them before a run."""

from typing import Any

import pytest

from weft.model.items import followed, items_of, known_keys, known_value, needs_whole
from weft.model.workflow import Shell, Step, Value


def fan_out(items: Value, **fields: Any) -> Step:
    return Step(id="s", action=Shell(script=""), for_each=items, **fields)


@pytest.mark.parametrize(
    ("step", "items"),
    [
        (fan_out(["a", "b"]), {"0": "a", "1": "b"}),
        (fan_out({"x": 1, "": 2}), {"x": 1, "": 2}),
        (fan_out([1, 2], key="${{ item }}"), {"1": 1, "2": 2}),
        (fan_out([True], key="${{ each }}", item="each"), {"true": True}),
        (fan_out({"a": 1}, key="${{ key }}!"), {"a!": 1}),
        (fan_out({"a": [1, 2]}, matrix=True), {"1": {"a": 1}, "2": {"a": 2}}),
        (fan_out([5], matrix=True), {"0": 5}),
        (fan_out("${{ inputs.list }}"), {"0": "x"}),
    ],
)
def test_items(step: Step, items: dict[str, Value]) -> None:
    found = items_of(step, {"inputs": {"list": ["x"]}})
    assert list(found.items()) == list(items.items())
    assert known_keys(step, {"list": ["x"]}) == list(items)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (fan_out("abc"), "list or a mapping"),
        (fan_out([1, 2], items_max=1), "has 2 items"),
        (fan_out([1, 1], key="${{ item }}"), "two items"),
        (fan_out([None], key="${{ item }}"), "`key` is"),
        (fan_out([[1]], key="${{ item }}"), "`key` is"),
    ],
)
def test_bad_items(step: Step, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        items_of(step, {})
    assert known_keys(step, {}) is None


@pytest.mark.parametrize(
    "step",
    [
        fan_out("${{ inputs.other }}"),
        fan_out("${{ inputs }}"),
        fan_out("${{ steps.a.output }}"),
        fan_out([1], key="${{ run.id }}"),
    ],
)
def test_keys_that_only_a_run_tells(step: Step) -> None:
    assert known_keys(step, {"list": [1]}) is None


def test_known_values() -> None:
    assert known_value({"a": "${{ inputs.n }}"}, {"n": 1}) == (True, {"a": 1})
    assert known_value("${{ steps.a.output }}", {"n": 1}) == (False, None)
    assert known_value("${{ inputs.n.deep }}", {"n": 1}) == (False, None)


@pytest.mark.parametrize(
    ("items", "step"),
    [
        ("${{ steps.a.output }}", "a"),
        ('${{ steps["a"].output }}', "a"),
        ("${{ steps.a.errors }}", ""),
        ("${{ steps.a.output.x }}", ""),
        ("${{ steps.a.output[inputs.x] }}", ""),
        ("${{ inputs.a }}", ""),
        ("${{ values(steps.a.output) }}", ""),
        ("${{ (default(steps.a, {})).output }}", ""),
        ("x ${{ steps.a.output }}", ""),
        ("a", ""),
        (["${{ steps.a.output }}"], ""),
    ],
)
def test_followed(items: Value, step: str) -> None:
    assert followed(items) == step


@pytest.mark.parametrize(
    ("fields", "because"),
    [
        ({"key": "${{ item }}"}, "by `key`"),
        ({"inputs": {"x": "${{ steps.a.output }}"}}, "its `with`"),
        ({"env": {"x": "${{ steps.a.errors }}"}}, "its `env`"),
        ({"condition": "steps.a.status == 'failed'", "inputs": {"x": "${{ inputs.a }} ${{ steps.b.output }}"}}, "its `if`"),
        ({"needs": ("a",)}, "its `needs`"),
        ({}, ""),
    ],
)
def test_needs_whole(fields: dict[str, Any], because: str) -> None:
    step = fan_out("${{ steps.a.output }}", **fields)
    assert because in needs_whole(step, "dataflow")
    assert bool(because) == bool(needs_whole(step, "dataflow"))
    assert needs_whole(step, "layers") == "the schedule is `layers`"
