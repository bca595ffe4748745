"""A retry: a run that has ended goes on with what did not succeed."""

import pytest
from story import check, flow, step

from weft.model.workflow import Workflow


@pytest.mark.parametrize(
    ("workflow", "script", "expected"),
    [
        pytest.param(
            flow(step("a"), step("b", "a"), step("c", "b"), step("d")),
            """
            begin   → start a, start d
            a ok    → start b
            b fails → fail b (error), skip c (need_failed b)
            d ok    → failed
            retry   → start b#2
            b ok    → start c
            c ok    → succeeded
            """,
            "a succeeded, b succeeded, c succeeded, d succeeded",
            id="what succeeded stays, what failed and what was skipped waits again",
        ),
        pytest.param(
            flow(step("a", retry=1), step("b", "a")),
            """
            begin   → start a
            a fails → retry a at 1
            +1      → start a#2
            a fails → fail a (error), skip b (need_failed a), failed
            retry   → start a#3
            a fails → retry a at 2
            +1      → start a#4
            a ok    → start b
            b ok    → succeeded
            """,
            "a succeeded, b succeeded",
            id="the step has all its attempts again, and goes on counting them",
        ),
        pytest.param(
            flow(step("a", on_error="stop"), step("b"), step("c", "b")),
            """
            begin   → start b, start a
            a fails → fail a (error), stop b (stop), skip c (stop a)
            b ok    → cancel b (stop), failed
            retry   → start b#2, start a#2
            a ok    →
            b ok    → start c
            c ok    → succeeded
            """,
            "a succeeded, b succeeded, c succeeded",
            id="a stop is over",
        ),
        pytest.param(
            flow(step("a"), step("b", "a")),
            """
            begin  → start a
            cancel → stop a (cancel), skip b (cancel)
            a ok   → cancel a (cancel), cancelled
            retry  → start a#2
            cancel → stop a (cancel), skip b (cancel)
            a ok   → cancel a (cancel), cancelled
            retry  → start a#3
            a ok   → start b
            b ok   → succeeded
            """,
            "a succeeded, b succeeded",
            id="a cancelled run can be taken up again, and cancelled again",
        ),
        pytest.param(
            flow(step("a", on_error="continue"), step("b", "a"), step("c", "a", condition="steps.a.output.x")),
            """
            begin   → start a
            a fails → fail a (error), start b, ask c
            c false → skip c (condition)
            b ok    → succeeded_with_errors
            retry   → start a#2
            a ok    → ask c
            c true  → start c
            c ok    → succeeded
            """,
            "a succeeded, b succeeded, c succeeded",
            id="a step that ran on a forgiven failure is complete; a condition is asked again",
        ),
        pytest.param(
            flow(step("a"), step("b", "a"), step("x"), schedule="layers"),
            """
            begin   → start a, start x
            x fails → fail x (error)
            a ok    → start b
            b ok    → failed
            retry   → start x#2
            x ok    → succeeded
            """,
            "a succeeded, b succeeded, x succeeded",
            id="layers below that are complete do not matter",
        ),
        pytest.param(
            flow(step("a"), outputs={"x": "1"}),
            """
            begin          → start a
            a ok           → ask outputs
            outputs broken → failed
            retry          → ask outputs
            outputs        → succeeded
            """,
            "a succeeded",
            id="outputs that could not be evaluated are evaluated again",
        ),
        pytest.param(
            flow(step("a")),
            """
            begin → start a
            retry → lose a (crash), start a#2
            a ok  → succeeded
            retry → dropped
            """,
            "a succeeded",
            id="a run that has not ended, or has succeeded, cannot be retried",
        ),
    ],
)
def test_retry(workflow: Workflow, script: str, expected: str) -> None:
    check(workflow, script, expected)
