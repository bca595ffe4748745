"""Steps that must not run again by themselves: `rerun: ask` and `rerun: never`."""

import pytest
from growing import each
from story import Story, check, flow, step

from weft.core.commands import StartAttempt
from weft.core.facts import AttemptStarted
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
    assert (
        ask == "attempt 1 was lost, and `rerun: ask` lets a person decide: `weft resume` with `--again`, `--done` or `--give-up`"
    )
    assert never == "attempt 1 was lost, and `rerun: never` lets a person decide: `weft resume` with `--done` or `--give-up`"
    story.tell("crash, n done")
    assert why(story.state, 1).reason == "it was interrupted, and somebody says that its work is done"
