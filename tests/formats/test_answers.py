"""What a value says at a gate: an agent's answer, in the words that its schema gives it."""

import re
from typing import Any

import pytest
from pml_kit import task

from weft.core import facts as f
from weft.core.apply import apply
from weft.core.state import State
from weft.formats.answers import TASKS_MAX, read_answer
from weft.formats.pml_checkpoints import SCHEMA
from weft.model.workflow import Pool, Rate, Server, Sleep, Step, Tool, Value, Workflow

RUN = Workflow(
    name="w",
    steps=(Step(id="a", action=Tool("work", "work"), inputs={"n": 1}), Step(id="b", action=Sleep(1.0), needs=("a",))),
    servers={"work": Server(command=("work",)), "s_a_b": Server(command=("x",))},
    resources={"work/work": Pool(rate=Rate(10, 1.0), burst=10)},
)


def read(value: Value) -> f.GateAnswered:
    state = State()
    apply(state, f.RunCreated(at=0.0, run="r", workflow=RUN, inputs={}, seed=0))
    return read_answer(value, "a", state)


def test_each_decision() -> None:
    assert read({"decision": "reject", "reason": "odd"}) == f.GateAnswered(at=0.0, gate="a", answer="reject", reason="odd")
    assert read({"decision": "modify", "arguments": {"n": 2}}).inputs == {"n": 2}
    said = read({"decision": "replan", "skip": ["b"]})
    assert (said.answer, said.replan, said.skip) == ("approve", True, ["b"])


def test_tasks_that_are_added() -> None:
    """They refer to results of the run, and take from the pools that it has."""
    tasks: list[Value] = [
        task("n", arguments={"x": "$OUTPUT[a].y", "z": "${{ inputs.secret }}"}),
        {"id": "m", "tool": "a b:say", "dependsOn": ["n"]},
    ]
    n, m = read({"decision": "approve", "tasks": tasks}).inject
    assert (n.action, n.needs, n.resources) == (Tool("work", "work"), ("a",), {"work/work": 1})
    assert n.inputs == {"x": "${{ parsed(steps['a'].output).y }}", "z": "$${{ inputs.secret }}"}
    assert (m.action, m.needs, m.resources) == (Tool("s_a_b", "say"), ("n",), {})


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("approve", "this is no answer: Expected `object`, got `str`"),
        ({"decision": "maybe"}, "this is no answer: Invalid enum value 'maybe'"),
        ({"decision": "approve", "because": "x"}, "this is no answer: Object contains unknown field `because`"),
        ({"decision": "approve", "tasks": [task("a")]}, "the run has a task `a` already"),
        ({"decision": "approve", "tasks": [task("n", tool="other:x")]}, "the run has no server `other`"),
        ({"decision": "approve", "tasks": [task("n", dependsOn=["zz"])]}, "there is no task `zz`, on which `n` depends"),
        ({"decision": "approve", "tasks": [task("n", arguments={"x": "$OUTPUT[zz]"})]}, "there is no task `zz`, to whose result"),
        ({"decision": "approve", "tasks": [task("n", type="code_execution")]}, "runs TypeScript code"),
        (
            {"decision": "approve", "tasks": [task("n", arguments={"x": {"type": "parameter", "parameterName": "day"}})]},
            "the run has no parameter `day`",
        ),
        (
            {"decision": "approve", "tasks": [task("n", checkpoint={"type": "AIL", "prompt": "?"})]},
            "an answer can add calls of tools, and no questions to agents",
        ),
        ({"decision": "approve", "tasks": [task(f"n{n}") for n in range(TASKS_MAX + 1)]}, "an answer can add 1,000 tasks"),
    ],
)
def test_what_is_no_answer(value: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        read(value)


def test_what_has_begun_is_left_in() -> None:
    state = State()
    apply(state, f.RunCreated(at=0.0, run="r", workflow=RUN, inputs={}, seed=0))
    apply(state, f.StepsSkipped(at=0.0, steps=["b"], reason="condition"))
    said = read_answer({"decision": "approve", "reason": "so", "skip": ["b", "zz"]}, "a", state)
    assert (said.skip, said.reason) == (["zz"], "so (too late to leave out: `b`)")


def test_the_schema_of_agents_asks_for_what_can_be_read() -> None:
    properties: Any = SCHEMA["properties"]
    for decision in properties["decision"]["enum"]:
        item = {"id": "n", "tool": "work:work", "arguments": {}, "dependsOn": []}
        assert item.keys() == properties["tasks"]["items"]["properties"].keys()
        value = {"decision": decision, "reason": "", "arguments": {}, "skip": [], "tasks": [item]}
        assert value.keys() == properties.keys()
        assert read(value).inject
