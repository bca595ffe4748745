"""The audit sees what is wrong with fallbacks, interrupted steps and `finally`."""

from collections.abc import Callable

import pytest
from story import Story, flow, step
from test_core_audit import put

from weft.core.audit import audit
from weft.core.facts import RunEnding
from weft.core.state import State
from weft.core.status import Status

ROLES = flow(
    step("a", fallback="f", rerun="ask"), step("f", role="fallback"), step("b", fallback="g"), step("g", role="fallback")
)


def interrupted() -> State:
    """a was interrupted, f is its fallback; b has failed, and g runs in its place."""
    story = Story(ROLES)
    story.tell("begin")
    story.tell("crash")
    story.tell("b fails")
    assert [status.name for status in story.state.status] == ["INTERRUPTED", "WAITING", "EXPANDED", "RUNNING"]
    return story.state


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (put("stand_ins", {}), "the fallbacks {} do not match the graph's {3: 2}"),
        (put("status", Status.READY, 1), "step `f` (ready) has begun before its time"),
        (put("interrupted", {}), "step `a` (interrupted) does not match the interrupted steps"),
        (put("steps", step("a"), 0), "step `a` (interrupted) may run again by itself"),
        (put("steps", step("b", fallback="f"), 2), "step `b` (expanded) has a fallback that does not match"),
        (put("status", Status.FAILED, 2), "step `g` (running) goes on, and `b`, whose fallback it is, is over"),
        (put("ending", RunEnding(at=0.0, status="failed")), "step `b` (expanded) has not settled, and the run is ending"),
        (put("last_open", 1), "1 steps of `finally` are counted as open"),
    ],
)
def test_each_thing_that_can_be_wrong_is_seen(change: Callable[[State], None], sentence: str) -> None:
    state = interrupted()
    assert audit(state) == []
    change(state)
    assert sentence in audit(state)
