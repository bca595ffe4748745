"""Steps that must not run again by themselves: `rerun: ask` and `rerun: never`."""

from typing import Literal

import pytest
from growing import each
from story import Story, check, flow, step

from weft.core.commands import StartAttempt
from weft.core.facts import AttemptStarted, InterruptAnswered
from weft.core.interrupts import asked_about, refused
from weft.core.why import why
from weft.model.workflow import Schedule, Workflow

PAY = flow(step("a", rerun="ask"), step("b", "a"), step("x"))
BACKED = flow(step("a", rerun="never", fallback="f"), step("f", role="fallback"))


@pytest.mark.parametrize(
    ("workflow", "script", "expected"),
    [
        pytest.param(
            PAY,
            """
            begin   → start a, start x
            crash   → lose a (crash), lose x (crash), interrupt a, start x#2
            x ok    → waits for a
            crash   → waits for a
            a again → dropped
            crash, a again → start a#2
            a again → dropped
            a ok    → start b
            b ok    → succeeded
            """,
            "a succeeded, b succeeded, x succeeded",
            id="what does not need it goes on; then the run waits",
        ),
        pytest.param(
            PAY,
            """
            begin   → start a, start x
            crash   → lose a (crash), lose x (crash), interrupt a, start x#2
            a done  → done a, start b
            b ok    →
            x ok    → succeeded
            """,
            "a succeeded, b succeeded, x succeeded",
            id="somebody says that it is done",
        ),
        pytest.param(
            PAY,
            """
            begin     → start a, start x
            x ok      →
            crash     → lose a (crash), interrupt a, waits for a
            crash, a give_up → fail a (lost), skip b (need_failed a), failed
            retry     → start a#2
            a ok      → start b
            b ok      → succeeded
            """,
            "a succeeded, b succeeded, x succeeded",
            id="or gives it up",
        ),
        pytest.param(
            PAY,
            """
            begin          → start a, start x
            crash, a again → lose a (crash), lose x (crash), interrupt a, start a#2, start x#2
            crash, x again, a again → lose a (crash), lose x (crash), interrupt a, start a#3, start x#3
            a ok, x ok     → start b
            b ok           → succeeded
            """,
            "a succeeded, b succeeded, x succeeded",
            id="it is said at once, when the next engine comes",
        ),
        pytest.param(
            flow(step("a", rerun="ask"), step("b", "a")),
            """
            begin                  → start a
            crash, cancel, a again → lose a (crash), skip b (cancel), cancel a (cancel), cancelled
            """,
            "a cancelled, b skipped",
            id="but not of a run that is over",
        ),
        pytest.param(
            BACKED,
            """
            begin            → start a
            crash            → lose a (crash), interrupt a, waits for a
            crash, a give_up → try f for a, start f
            f ok             → done a, succeeded
            """,
            "a succeeded, f succeeded",
            id="then its fallback is tried",
        ),
        pytest.param(
            PAY,
            """
            begin    → start a, start x
            drain, x ok →
            kill     → stop a (suspend)
            a fails  → lose a (suspend), interrupt a, suspended
            crash, cancel → cancel a (cancel), skip b (cancel), cancelled
            retry    → start a#2
            a ok     → start b
            b ok     → succeeded
            """,
            "a succeeded, b succeeded, x succeeded",
            id="a kill interrupts it, a cancel ends it",
        ),
        pytest.param(
            PAY,
            """
            begin         → start a, start x
            crash, cancel → lose a (crash), lose x (crash), skip b (cancel), cancel a (cancel), cancel x (cancel), cancelled
            """,
            "a cancelled, b skipped, x cancelled",
            id="nobody is asked about a run that is over",
        ),
    ],
)
def test_interrupted(workflow: Workflow, script: str, expected: str) -> None:
    check(workflow, script, expected)


@pytest.mark.parametrize("schedule", ["layers", "dataflow"])
def test_the_run_waits_for_the_engine_first(schedule: Schedule) -> None:
    workflow = flow(step("a", rerun="ask"), step("c", condition="inputs.go"), each("e"), step("b", "a"), schedule=schedule)
    story = Story(workflow)
    story.tell("begin")
    story.tell("crash")
    assert not story.state.waiting
    story.tell("c false")
    assert not story.state.waiting
    story.tell("e items")
    assert story.state.waiting


def test_it_starts_when_that_is_on_disk() -> None:
    story = Story(PAY)
    turn = story.tell("begin")
    after = {command.step: command.after for command in turn.commands if isinstance(command, StartAttempt)}
    started = {fact.step: n for n, fact in enumerate(story.facts, 1) if isinstance(fact, AttemptStarted)}
    assert after["a"] == started["a"]
    assert after["x"] < started["x"]


def test_why() -> None:
    story = Story(flow(step("a", rerun="ask"), step("n", rerun="never")))
    story.tell("begin")
    story.tell("crash")
    ask, never = why(story.state, 0).reason, why(story.state, 1).reason
    lost = "attempt 1 was lost, and `rerun: {}` lets a person decide: {}; `weft reject RUN {}` gives it up"
    assert ask == lost.format("ask", "`weft approve RUN a` lets it run again, with `--done` it counts as done", "a")
    assert never == lost.format("never", "`weft approve RUN n --done` says that its work is done", "n")
    story.tell("crash, n done, a again")
    assert why(story.state, 1).reason == "it was interrupted, and somebody said that its work is done"
    story.tell("a ok")
    assert why(story.state, 0).reason == "attempt 2 succeeded"


def test_the_first_answer_counts_until_it_is_interrupted_again() -> None:
    story = Story(flow(step("a", rerun="ask"), step("x")))
    story.tell("begin")
    story.tell("crash")
    story.tell("a again")
    assert refused(story.state, said("a"), story.state.interrupted) == "`a` has been answered: somebody let it run again"
    story.tell("a give_up")
    story.tell("crash")
    assert refused(story.state, said("a", "done"), story.state.interrupted) == ""
    assert refused(story.state, said("x"), story.state.interrupted) == "step `x` is not interrupted; `a` is"
    story.tell("a done")
    assert story.state.told[0].answer == "done"


def test_what_cannot_be_said() -> None:
    story = Story(flow(step("n", rerun="never"), step("x")))
    story.tell("begin")
    assert refused(story.state, said("y"), {}) == "step `y` is not interrupted; none is"
    assert asked_about(story.state) == {0: 1}
    story.tell("crash")
    assert asked_about(story.state) == {0: 1}
    assert refused(story.state, said("n"), story.state.interrupted).startswith("step `n` says `rerun: never`, so it does not run")
    story.tell("n again")
    assert 0 in story.state.interrupted
    story.tell("cancel")
    assert asked_about(story.state) == {}


def said(step: str, answer: Literal["again", "done", "give_up"] = "again") -> InterruptAnswered:
    return InterruptAnswered(at=0.0, step=step, answer=answer, by="somebody")
