"""Why: for every status, one sentence, and names that a program can use. That the answers are true is checked in every story."""

import typing

import pytest
from story import Story, flow, replay, step

from weft.core.facts import GiveUpCause, Limits
from weft.core.why import _STOPPED, Why, why
from weft.model.workflow import Workflow

MANY = " ".join(f"n{i}" for i in range(11))


@pytest.mark.parametrize(
    ("workflow", "script", "id_", "said"),
    [
        (
            flow(step("a"), step("b", "a")),
            "begin",
            "b",
            Why(step="b", status="waiting", reason="it needs `a`", steps=("a",)),
        ),
        (
            flow(step("a"), step("b"), step("c", "a b")),
            "begin; a ok",
            "c",
            Why(step="c", status="waiting", reason="it needs `b`", steps=("b",)),
        ),
        (
            flow(*map(step, MANY.split()), step("z", MANY)),
            "begin",
            "z",
            Why(
                step="z",
                status="waiting",
                reason="it needs `n0`, `n1`, `n2`, `n3`, `n4`, `n5`, `n6`, `n7` and 3 more",
                steps=tuple(MANY.split()),
            ),
        ),
        (
            flow(step("a"), step("b"), step("c", "a"), schedule="layers"),
            "begin; a ok",
            "c",
            Why(step="c", status="waiting", reason="`schedule: layers` lets layer 1 start after `b`", steps=("b",)),
        ),
        (
            flow(step("a"), step("b"), step("c", "a"), schedule="layers", first_layer=1),
            "begin; a ok",
            "c",
            Why(step="c", status="waiting", reason="`schedule: layers` lets layer 2 start after `b`", steps=("b",)),
        ),
        (
            flow(step("a", condition="inputs.go")),
            "begin",
            "a",
            Why(step="a", status="waiting", reason="its `if` is being evaluated"),
        ),
        (
            flow(step("a"), step("b", "a")),
            "begin; drain; a ok",
            "b",
            Why(step="b", status="waiting", reason="the run is suspended: `weft resume` goes on"),
        ),
        (
            flow(step("a"), step("b")),
            "begin; drain",
            "b",
            Why(
                step="b",
                status="held",
                reason="it asks for a place under `max_parallel (computing)`, 0 free; held by `a`",
                steps=("a",),
                pool="max_parallel (computing)",
                cause="slots",
            ),
        ),
        (
            flow(step("a", retry=1), step("b")),
            "begin; a fails; +1; drain; b ok",
            "a",
            Why(step="a", status="held", reason="the run is suspended: `weft resume` goes on"),
        ),
        (
            flow(step("a", sleep=True, resources={"mem": 3}), step("b", sleep=True, resources={"mem": 2}), pools={"mem": 4}),
            "begin",
            "b",
            Why(
                step="b",
                status="held",
                reason="it asks for 2 of pool `mem`, 1 free; held by `a`",
                steps=("a",),
                pool="mem",
                cause="slots",
            ),
        ),
        (
            flow(step("a")),
            "begin",
            "a",
            Why(step="a", status="running", reason="attempt 1 runs"),
        ),
        (
            flow(step("a", timeout_s=5.0)),
            "begin; a spawned 77",
            "a",
            Why(step="a", status="running", reason="attempt 1 runs in process 77", until=5.0),
        ),
        (
            flow(step("a", timeout_s=5.0)),
            "begin; +5",
            "a",
            Why(
                step="a",
                status="stopping",
                reason="attempt 1 is being ended (timeout); it keeps its slots until its processes are dead",
            ),
        ),
        (
            flow(step("a", retry=2)),
            "begin; a fails",
            "a",
            Why(step="a", status="backing_off", reason="attempt 1 failed; it waits before the next, 2 left", until=1.0),
        ),
        (
            flow(step("a"), step("b", "a")),
            "begin; a ok; b ok",
            "b",
            Why(step="b", status="succeeded", reason="the first attempt succeeded", steps=("a",)),
        ),
        (
            flow(step("a", retry=1)),
            "begin; a fails; +1; a ok",
            "a",
            Why(step="a", status="succeeded", reason="attempt 2 succeeded"),
        ),
        (
            flow(step("a")),
            "begin; a fails exit 3",
            "a",
            Why(step="a", status="failed", reason="exit: told so"),
        ),
        (
            flow(step("a", retry=1)),
            "begin; a fails; +1; a fails",
            "a",
            Why(step="a", status="failed", reason="error after 2 attempts: told so"),
        ),
        (
            flow(step("a", timeout_s=90.0)),
            "begin; +90; a ok",
            "a",
            Why(step="a", status="failed", reason="timeout: it had not ended after 1m30s"),
        ),
        (
            flow(step("a")),
            "begin; a cancelled",
            "a",
            Why(step="a", status="failed", reason="killed: it was cancelled from outside"),
        ),
        (
            flow(step("a")),
            "begin; cancel; a ok",
            "a",
            Why(step="a", status="cancelled", reason="the run was cancelled"),
        ),
        (
            flow(step("a", sleep=True), step("b", on_error="stop")),
            "begin; b fails; a ok",
            "a",
            Why(step="a", status="cancelled", reason="`b` failed and its `on_error: stop` ended the run"),
        ),
        (
            flow(step("a", sleep=True), step("b", on_error="stop_layer")),
            "begin; b fails; a ok",
            "a",
            Why(step="a", status="cancelled", reason="`b` failed and its `on_error: stop_layer` ended the layer"),
        ),
        (
            flow(step("a", condition="inputs.go")),
            "begin; a false",
            "a",
            Why(step="a", status="skipped", reason="its `if` is false: inputs.go"),
        ),
        (
            flow(step("a", condition="inputs.go"), step("b", "a")),
            "begin; a false",
            "b",
            Why(step="b", status="skipped", reason="every step that it needs was skipped", steps=("a",)),
        ),
        (
            flow(step("a"), step("b", "a"), step("c", "b")),
            "begin; a fails",
            "c",
            Why(step="c", status="skipped", reason="it depends on `a`, which failed", steps=("a",)),
        ),
        (
            flow(step("a", retry=1), step("b", on_error="stop_layer"), step("c", "a")),
            "begin; a fails; b fails",
            "c",
            Why(step="c", status="skipped", reason="it depends on `a`, which was cancelled", steps=("a",)),
        ),
        (
            flow(step("b", on_error="stop_layer", priority=1), step("a"), step("c", "a")),
            "begin; b fails",
            "c",
            Why(step="c", status="skipped", reason="it depends on `a`, which was skipped", steps=("a",)),
        ),
        (
            flow(step("b", on_error="stop_layer", priority=1), step("a"), step("c", "a")),
            "begin; b fails",
            "a",
            Why(
                step="a",
                status="skipped",
                reason="it had not started when `b` failed and its `on_error: stop_layer` ended the layer",
                steps=("b",),
            ),
        ),
        (
            flow(step("a"), step("b", "a")),
            "begin; cancel; a ok",
            "b",
            Why(step="b", status="skipped", reason="it had not started when the run was cancelled"),
        ),
    ],
)
def test_why(workflow: Workflow, script: str, id_: str, said: Why) -> None:
    """Only one step computes at a time."""
    story = Story(workflow, Limits(computing=1))
    for line in script.split(";"):
        story.tell(line)
    assert why(story.state, story.state.graph.index[id_]) == said


def test_between_two_facts_of_a_turn() -> None:
    """A view may ask before the whole turn is there."""
    story = Story(flow(step("a")))
    story.tell("begin")
    state = replay(story.facts[:3])
    assert why(state, 0) == Why(step="a", status="held", reason="it starts with this turn")


def test_every_cause_to_give_up_has_words() -> None:
    assert set(_STOPPED) == set(typing.get_args(GiveUpCause))
