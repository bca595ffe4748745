"""The audit sees what is wrong with gates."""

from collections.abc import Callable

import pytest
from story import Story, flow, step
from test_core_audit import put

from weft.core.audit import audit
from weft.core.facts import RunEnded
from weft.core.state import State
from weft.core.status import Status
from weft.model.workflow import Approve

ASK = Approve(message="Yes?")


def asking() -> State:
    """a and the way into layer 1 wait for people, b has succeeded, c would be next, f stands in for a."""
    story = Story(
        flow(step("a", approve=ASK, fallback="f"), step("b"), step("c", "b"), step("f", role="fallback"), gates=Approve())
    )
    for line in ("begin staying", "a opened", "b ok"):
        story.tell(line)
    assert [status.name for status in story.state.status] == ["AWAITING_APPROVAL", "SUCCEEDED", "WAITING", "WAITING"]
    return story.state


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (put("asking", {}), "step `a` (awaiting_approval) does not match the open gates"),
        (put("unsettled", 1, 0), "step `a` (awaiting_approval) counts 1 unsettled needs, there are 0"),
        (
            put("asking", {"a": None, "layer#7": None}),
            "the gates ['layer#7'] are open, and layer 0 is the first that has not settled",
        ),
        (put("gates", {}), "the gate `a` is open or answered, but not as it should"),
        (put("status", Status.READY, 0), "step `a` is ready, and nobody has approved it"),
        (put("status", Status.READY, 2), "step `c` is ready, and the gate before its layer has not been passed"),
        (put("waiting", True), "the run waits for people, and step `b` for something else"),
        (put("ended", RunEnded(at=0.0, status="failed")), "the run is over, and 1 gates are open"),
    ],
)
def test_each_thing_that_can_be_wrong_is_seen(change: Callable[[State], None], sentence: str) -> None:
    state = asking()
    if "for something else" in sentence:
        state.status[1] = Status.READY
    change(state)
    assert sentence in audit(state)


def test_a_question_is_asked_when_nothing_else_is_awaited() -> None:
    story = Story(flow(step("z"), step("a", "z", approve=ASK)))
    story.tell("begin")
    story.state.status[1] = Status.AWAITING_APPROVAL
    assert "step `a` (awaiting_approval) asks although 1 of its needs have not settled" in audit(story.state)


def test_only_what_grows_or_has_a_fallback_is_expanded() -> None:
    story = Story(flow(step("a"), step("b")))
    story.tell("begin")
    story.state.status[0] = Status.EXPANDED
    assert "step `a` (expanded) stands for no others" in audit(story.state)
