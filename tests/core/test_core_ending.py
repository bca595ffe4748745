"""Ending early: timeouts, cancel, suspend, resume; and what arrives late, twice or out of place."""

import pytest
from story import check, flow, step

from weft.core.facts import Limits
from weft.model.workflow import Workflow

TIMED = flow(step("a", timeout_s=5.0), step("b", "a"))


@pytest.mark.parametrize(
    ("workflow", "script", "expected"),
    [
        pytest.param(
            TIMED,
            """
            begin → start a
            +4    → dropped
            +1    → stop a (timeout)
            +9    → dropped
            a ok  → fail a (timeout), skip b (need_failed a), failed
            """,
            "a failed, b skipped",
            id="a timeout is a failure, whatever the process answers",
        ),
        pytest.param(
            TIMED,
            """
            begin    → start a
            +5, a ok → start b
            b ok     → succeeded
            """,
            "a succeeded, b succeeded",
            id="who ends in the very turn of the timeout has ended in time",
        ),
        pytest.param(
            TIMED,
            """
            begin  → start a
            +5     → stop a (timeout)
            cancel → skip b (cancel)
            a ok   → fail a (timeout), cancelled
            """,
            "a failed, b skipped",
            id="a cancel does not change why an attempt is being stopped",
        ),
        pytest.param(
            TIMED,
            """
            begin   → start a
            +5      → stop a (timeout)
            crash   → lose a (crash), start a#2
            +4      → dropped
            +1      → stop a (timeout)
            a fails → fail a (timeout), skip b (need_failed a), failed
            """,
            "a failed, b skipped",
            id="an attempt that dies with its engine has no outcome, and the next one has its own time",
        ),
        pytest.param(
            flow(step("a", resources={"p": 1}, timeout_s=5.0), step("b", resources={"p": 1}), pools={"p": 1}),
            """
            begin       → start a
            +5          → stop a (timeout)
            a cancelled → fail a (timeout), start b
            b ok        → failed
            """,
            "a failed, b succeeded",
            id="a stopping attempt keeps its slots until it is dead",
        ),
    ],
)
def test_timeouts(workflow: Workflow, script: str, expected: str) -> None:
    check(workflow, script, expected)


FIVE = flow(step("a"), step("b", "a"), step("c", retry=1), step("d"), step("e", condition="inputs.go"), step("f", sleep=True))


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param(
            """
            begin   → start a, start c, ask e
            c fails → retry c at 1, start d
            cancel  → stop a (cancel), cancel c (cancel), stop d (cancel), skip b e f (cancel)
            e true  → dropped
            cancel  → dropped
            a ok    → cancel a (cancel)
            d fails → cancel d (cancel), cancelled
            d ok    → dropped
            """,
            "a cancelled, b skipped, c cancelled, d cancelled, e skipped, f skipped",
            id="running, backing off, held, waiting, asked",
        ),
        pytest.param(
            """
            begin, cancel → skip a b c d e f (cancel), cancelled
            """,
            "a skipped, b skipped, c skipped, d skipped, e skipped, f skipped",
            id="before anything",
        ),
        pytest.param(
            """
            begin        → start a, start c, ask e
            a ok, cancel → stop c (cancel), skip b d e f (cancel)
            c cancelled  → cancel c (cancel), cancelled
            cancel       → dropped
            kill         → dropped
            crash        → dropped
            """,
            "a succeeded, b skipped, c cancelled, d skipped, e skipped, f skipped",
            id="what is done stays done",
        ),
        pytest.param(
            """
            begin  → start a, start c, ask e
            cancel → stop a (cancel), stop c (cancel), skip b d e f (cancel)
            crash  → lose a (crash), lose c (crash), cancel a (cancel), cancel c (cancel), cancelled
            """,
            "a cancelled, b skipped, c cancelled, d skipped, e skipped, f skipped",
            id="a cancel survives a crash",
        ),
        pytest.param(
            """
            begin           → start a, start c, ask e
            c fails, cancel → stop a (cancel), skip b d e f (cancel), fail c (error)
            a fails         → cancel a (cancel), cancelled
            """,
            "a cancelled, b skipped, c failed, d skipped, e skipped, f skipped",
            id="a failure that was there first is a failure, without another attempt",
        ),
    ],
)
def test_cancel(script: str, expected: str) -> None:
    check(FIVE, script, expected, Limits(total=2))


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param(
            """
            begin      → start a, start c, ask e
            drain      →
            drain      → dropped
            a ok       →
            e true     →
            c fails    → retry c at 1, suspended
            d ok       → dropped
            cancel     → dropped
            kill       → dropped
            +9         → dropped
            crash      → start b, start c#2
            b ok       → start d
            c ok       → start e
            d ok, e ok → start f
            f ok       → succeeded
            """,
            "a succeeded, b succeeded, c succeeded, d succeeded, e succeeded, f succeeded",
            id="drain: attempts may end, nothing starts",
        ),
        pytest.param(
            """
            begin      → start a, start c, ask e
            kill       → stop a (suspend), stop c (suspend)
            drain      → dropped
            a ok       → lose a (suspend)
            c fails    → lose c (suspend), suspended
            crash      → start a#2, start c#2, ask e
            cancel     → stop a (cancel), stop c (cancel), skip b d e f (cancel)
            a ok, c ok → cancel a (cancel), cancel c (cancel), cancelled
            """,
            "a cancelled, b skipped, c cancelled, d skipped, e skipped, f skipped",
            id="kill: attempts are ended and lost, and count for nothing",
        ),
        pytest.param(
            """
            begin         → start a, start c, ask e
            drain         →
            kill          → stop a (suspend), stop c (suspend)
            kill          → dropped
            a ok          → lose a (suspend)
            crash         → lose c (crash), start a#2, start c#2, ask e
            a ok, e false → skip e (condition), start b
            b ok, c ok    → start d, start f
            d ok, f ok    → succeeded
            """,
            "a succeeded, b succeeded, c succeeded, d succeeded, e skipped, f succeeded",
            id="drain, then kill, then a crash",
        ),
        pytest.param(
            """
            begin      → start a, start c, ask e
            kill       → stop a (suspend), stop c (suspend)
            cancel     → skip b d e f (cancel)
            a ok, c ok → lose a (suspend), lose c (suspend), cancel a (cancel), cancel c (cancel), cancelled
            """,
            "a cancelled, b skipped, c cancelled, d skipped, e skipped, f skipped",
            id="a cancel while it leaves",
        ),
        pytest.param(
            """
            begin                   → start a, start c, ask e
            a fails, c fails, drain → fail a (error), retry c at 1, suspended
            crash, cancel           → cancel c (cancel), skip b d e f (cancel), cancelled
            """,
            "a failed, b skipped, c cancelled, d skipped, e skipped, f skipped",
            id="a suspended run is cancelled",
        ),
    ],
)
def test_suspend(script: str, expected: str) -> None:
    check(FIVE, script, expected, Limits(total=2))


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param(
            """
            begin          → start a
            begin          → lose a (crash), start a#2
            a#1 ok         → dropped
            a#1 fails      → dropped
            a#3 ok         → dropped
            a#1 spawned 7  → dropped
            a spawned 8    →
            b ok           → dropped
            b true         → dropped
            outputs        → dropped
            a ok           → ask b
            a ok           → dropped
            a fails        → dropped
            a lost         → dropped
            b true, b true → start b
            b false        → dropped
            b spawned 9    →
            b ok, b fails  → ask outputs
            outputs        → succeeded
            b fails        → dropped
            +1             → dropped
            """,
            "a succeeded, b succeeded",
            id="late, twice, out of place",
        ),
    ],
)
def test_what_has_no_place_is_dropped(script: str, expected: str) -> None:
    check(flow(step("a"), step("b", "a", condition="inputs.go"), outputs={"x": 1}), script, expected)


def test_nothing_happens_before_the_run_is_created() -> None:
    check(flow(step("a")), "crash → dropped\ncancel → dropped\nkill → dropped\n+1 → dropped", "")
