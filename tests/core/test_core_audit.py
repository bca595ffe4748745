"""The audit sees what it is there to see: each thing that can be wrong with a state is done to one."""

from collections.abc import Callable

import pytest
from story import Story, flow, step

from weft.core.audit import audit
from weft.core.facts import Limits, RunEnded, SuspendRequested
from weft.core.state import Attempt, State
from weft.core.status import Status
from weft.model.workflow import Breaker, Pool

WORKFLOW = flow(
    step("a", resources={"p": 1}),
    step("b", "a", resources={"p": 1}),
    step("c", retry=1),
    step("d", resources={"p": 1}),
    step("e", condition="inputs.go"),
    step("x", "e"),
    pools={"p": 1},
    schedule="layers",
)


def well() -> State:
    """a runs, b waits for it, c backs off, d is held by a, e is asked for, x waits for it."""
    story = Story(WORKFLOW)
    story.tell("begin")
    story.tell("c fails")
    assert [status.name for status in story.state.status] == ["RUNNING", "WAITING", "BACKING_OFF", "READY", "WAITING", "WAITING"]
    return story.state


def put(attribute: str, value: object, i: int | None = None) -> Callable[[State], None]:
    def change(state: State) -> None:
        if i is None:
            setattr(state, attribute, value)
        else:
            getattr(state, attribute)[i] = value

    return change


def settle(state: State) -> None:
    """a succeeds, and nobody notices."""
    state.status[0] = Status.SUCCEEDED
    state.alive.clear()
    state.holders = [{} for _ in state.holders]


def start(i: int, number: int = 1) -> Callable[[State], None]:
    def change(state: State) -> None:
        state.alive[i] = Attempt(number, 0.0)

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (put("unsettled", 0, 1), "step `b` (waiting) counts 0 unsettled needs, there are 1"),
        (put("status", Status.READY, 1), "step `b` (ready) has 1 needs that have not settled"),
        (put("status", Status.RUNNING, 3), "step `d` (running) is not among the living"),
        (start(3), "step `d` (ready) is among the living"),
        (start(0, 2), "step `a` (running) runs attempt 2 of 1"),
        (put("status", Status.STOPPING, 0), "step `a` (stopping) has the stop cause None"),
        (put("backoff_until", {}), "step `c` (backing_off) has no backoff to match"),
        (put("backoff_until", 1.0, 3), "step `d` (ready) has no backoff to match"),
        (lambda state: state.ready[state.demands.kind[3]].clear(), "step `d` (ready) does not match the ready steps of its kind"),
        (put("failures", 3, 2), "step `c` (backing_off) failed 3 times"),
        (put("pending", None, 2), "step `c` (backing_off) awaits a verdict after the turn"),
        (put("open", 5), "5 steps are counted as open, there are 6"),
        (put("layer_open", [3, 2]), "open steps by layer are counted as [3, 2], they are [4, 2]"),
        (put("front", 1), "the first open layer is taken to be 1, it is 0"),
        (start(1), "step `b` runs although layer 0 is open"),
        (put("holders", [{}, {}, {}, {}]), "pool `p` is held by {}, alive are {1: {0}}"),
        (start(3), "pool `p` is held by {1: {0}}, alive are {1: {0, 3}}"),
        (put("limits", Limits(total=0)), "pool `max_parallel` is exceeded by 1"),
        (put("ended", RunEnded(at=0.0, status="failed")), "the run is over and 1 attempts live"),
        (put("ended", RunEnded(at=0.0, status="failed")), "the run has ended and 6 steps have not settled"),
        (put("left", True), "the run is over and 1 attempts live"),
        (lambda state: state.agenda.append(1), "the turn left work on the agenda"),
        (put("halt_due", True), "the turn left work on the agenda"),
        (put("suspending", SuspendRequested(at=0.0, how="kill")), "step `a` runs though nobody wants it any more"),
        (put("stopped_by", 2), "step `a` runs though nobody wants it any more"),
        (put("stopped_layers", {0: 2}), "step `a` runs though nobody wants it any more"),
        (settle, "step `d` is ready and fits, and was not started"),
        (put("verdicts", {4: None}), "step `e` waits for nothing"),
    ],
)
def test_each_thing_that_can_be_wrong_is_seen(change: Callable[[State], None], sentence: str) -> None:
    state = well()
    change(state)
    assert sentence in audit(state)


LIMITED = flow(
    step("a", resources={"p": 1}),
    step("b", resources={"p": 1}),
    pools={"p": Pool(slots=1, adaptive=True, breaker=Breaker(failures=2))},
)


def curb(attribute: str, value: object) -> Callable[[State], None]:
    return lambda state: setattr(state.curbs, attribute, value)


def reserve(i: int, pools: frozenset[int]) -> Callable[[State], None]:
    def change(state: State) -> None:
        state.curbs.holder, state.curbs.reserved = i, pools

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (curb("sizes", {3: 2}), "pool `p` has been given 2 slots of 1"),
        (curb("sizes", {0: 1}), "pool `max_parallel` has been given 1 slots of None"),
        (curb("open_until", {3: 9.0}), "the breaker of pool `p` is open until 9.0 for no reason"),
        (curb("open_until", {0: 9.0}), "the breaker of pool `max_parallel` is open until 9.0 for no reason"),
        (curb("strikes", {3: 2}), "the breaker of pool `p` is closed after 2 failures in a row"),
        (curb("trials", {3: 0}), "step `a` does not try whether pool `p` may be closed"),
        (curb("overtaken", {0: 1}), "step `a` cannot be overtaken, it is running"),
        (curb("reserved", frozenset({3})), "pools [3] are reserved for step None, which asks for []"),
        (reserve(1, frozenset({2})), "pools [2] are reserved for step 1, which asks for [0, 1, 3]"),
        (reserve(1, frozenset({3})), "units are reserved for step `b`, which was not overtaken so often"),
    ],
)
def test_each_curb_that_can_be_wrong_is_seen(change: Callable[[State], None], sentence: str) -> None:
    story = Story(LIMITED)
    story.tell("begin")
    change(story.state)
    assert sentence in audit(story.state)


def test_what_is_reserved_fits_nobody_else() -> None:
    """It is no neglect that a step waits for units that are kept for another one."""
    story = Story(flow(step("a", resources={"p": 2}, priority=1), step("b", resources={"p": 1}), pools={"p": 2}))
    story.tell("begin")
    state = story.state
    settle(state)
    reserve(0, frozenset({3}))(state)
    assert "step `b` is ready and fits, and was not started" not in audit(state)
