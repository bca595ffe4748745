"""Time limits beyond one attempt's: the deadline of a step, the timeout of a run; and a stop that lets run what runs."""

import pytest
from story import check, flow, step

from weft.core.facts import Limits
from weft.model.workflow import Workflow


@pytest.mark.parametrize(
    ("workflow", "script", "expected"),
    [
        pytest.param(
            flow(step("a", deadline_s=5.0, retry=9), step("b", "a")),
            """
            begin   → start a
            +2      → dropped
            a fails → retry a at 3
            +1      → start a#2
            +2      → stop a (timeout)
            a ok    → fail a (timeout), skip b (need_failed a), failed
            """,
            "a failed, b skipped",
            id="a deadline spans attempts and the waits between them",
        ),
        pytest.param(
            flow(step("a", deadline_s=5.0, retry=9)),
            """
            begin   → start a
            +4      → dropped
            a fails → fail a (error), failed
            """,
            "a failed",
            id="no attempt begins at the deadline or after it",
        ),
        pytest.param(
            flow(step("a", deadline_s=5.0, timeout_s=3.0, retry=1)),
            """
            begin   → start a
            +3      → stop a (timeout)
            a fails → retry a at 4
            +1      → start a#2
            +1      → stop a (timeout)
            a fails → fail a (timeout), failed
            """,
            "a failed",
            id="whichever of timeout and deadline comes first",
        ),
        pytest.param(
            flow(step("a", deadline_s=5.0, retry=1)),
            """
            begin   → start a
            a fails → retry a at 1
            +5      → fail a (timeout), failed
            """,
            "a failed",
            id="a turn that comes late finds the backoff over, and the deadline too",
        ),
        pytest.param(
            flow(step("a"), step("b", "a"), step("c"), timeout_s=10.0),
            """
            begin → start a, start c
            +4    → dropped
            c ok  →
            +6    → stop a (run_timeout), skip b (run_timeout)
            a ok  → cancel a (run_timeout), failed
            """,
            "a cancelled, b skipped, c succeeded",
            id="a run that takes too long is stopped and has failed",
        ),
        pytest.param(
            flow(step("a"), step("b", "a"), timeout_s=10.0),
            """
            begin     → start a
            +4, drain →
            a ok      → suspended
            +100      → dropped
            crash     → start b
            +5        → dropped
            +1        → stop b (run_timeout)
            b fails   → cancel b (run_timeout), failed
            retry     → start b#2
            +9        → dropped
            b ok      → succeeded
            """,
            "a succeeded, b succeeded",
            id="no time passes while no engine works; a retry has all the time again",
        ),
        pytest.param(
            flow(step("a", on_error="stop", drain=True), step("b", retry=1), step("c", "b"), step("d")),
            """
            begin   → start b, start a, start d
            a fails → fail a (error), skip c (stop a)
            d ok    →
            b fails → fail b (error), failed
            """,
            "a failed, b failed, c skipped, d succeeded",
            id="drain lets run what runs, once",
        ),
        pytest.param(
            flow(step("a", on_error="stop", drain=True), step("b"), timeout_s=5.0),
            """
            begin       → start a, start b
            +1, a fails → fail a (error)
            +4          → stop b (run_timeout)
            b cancelled → cancel b (run_timeout), failed
            """,
            "a failed, b cancelled",
            id="what drains may not outlast the run",
        ),
        pytest.param(
            flow(step("a", on_error="stop", drain=True), step("b", on_error="stop"), step("c"), step("d", "c")),
            """
            begin   → start c, start a, start b
            a fails → fail a (error), skip d (stop a)
            b fails → fail b (error), stop c (stop)
            c ok    → cancel c (stop), failed
            """,
            "a failed, b failed, c cancelled, d skipped",
            id="a stop that does not drain overrules one that does",
        ),
    ],
)
def test_time(workflow: Workflow, script: str, expected: str) -> None:
    check(workflow, script, expected)


def test_a_held_step_fails_at_its_deadline() -> None:
    check(
        flow(step("a", deadline_s=5.0, retry=1), step("b")),
        """
        begin   → start a
        a fails → retry a at 1, start b
        +1      →
        +4      → fail a (timeout)
        b ok    → failed
        """,
        "a failed, b succeeded",
        Limits(total=1),
    )
