"""`finally`: when its steps run, what ends them, and what the run comes to. Budgets: what they stop."""

from typing import Any

import pytest
from growing import each, inner, sub
from story import Story, check, flow, step

from weft.core.why import why
from weft.model.graph import Graph
from weft.model.workflow import Approve, Budget, Step, Workflow


def last(id_: str, needs: str = "", **settings: Any) -> Step:
    return step(id_, needs, role="finally", **settings)


PLAIN = flow(step("a"), step("b", "a"), last("z"))
TWO = flow(step("a"), last("y"), last("z", "y"))
LIMITED = flow(step("a"), step("b", "a"), last("z"), timeout_s=5.0)
OUTPUTS = flow(step("a"), last("z"), outputs={"x": 1})
NONE = flow(last("z"))
BACKED = flow(step("a"), last("z", fallback="f"), step("f", role="fallback"))


ASKING = flow(
    step("a"), last("q", approve=Approve(message="")), last("z", "q"), last("y", gate=Approve(message="", timeout_s=5.0))
)


@pytest.mark.parametrize(
    ("workflow", "script", "expected"),
    [
        pytest.param(
            ASKING,
            """
            begin     → start a
            a ok      → ending (succeeded), open q, open y
            q opened, y opened → waits for q y
            crash, approve q   → done q, start z
            z ok      → waits for y
            crash, +9 → silence y (reject), cancel y (rejected), cancelled
            """,
            "a succeeded, q succeeded, z succeeded, y cancelled",
            id="people are asked, and the run has not ended before",
        ),
        pytest.param(
            ASKING,
            """
            begin       → start a
            a fails     → fail a (error), ending (failed), open q, open y
            q opened, y opened → waits for q y
            crash, reject q → cancel q (rejected), skip z (need_failed q), waits for y
            crash, cancel → skip y (cancel), cancelled
            retry       → start a#2
            a ok        → ending (succeeded), open q, open y
            q opened, y opened, approve q, approve y → done q, start z, start y
            y ok, z ok  → succeeded
            """,
            "a succeeded, q succeeded, z succeeded, y succeeded",
            id="somebody says no, or cancels instead",
        ),
        pytest.param(
            PLAIN,
            """
            begin → start a
            a ok  → start b
            b ok  → ending (succeeded), start z
            z ok  → succeeded
            """,
            "a succeeded, b succeeded, z succeeded",
            id="after everything else",
        ),
        pytest.param(
            PLAIN,
            """
            begin   → start a
            a fails → fail a (error), skip b (need_failed a), ending (failed), start z
            z ok    → failed
            """,
            "a failed, b skipped, z succeeded",
            id="after a failure too",
        ),
        pytest.param(
            PLAIN,
            """
            begin   → start a
            a ok    → start b
            b ok    → ending (succeeded), start z
            z fails → fail z (error), failed
            retry   → ending (succeeded), start z#2
            z ok    → succeeded
            """,
            "a succeeded, b succeeded, z succeeded",
            id="a failure in it makes the run failed",
        ),
        pytest.param(
            PLAIN,
            """
            begin   → start a
            a fails → fail a (error), skip b (need_failed a), ending (failed), start z
            z ok    → failed
            retry   → start a#2
            a ok    → start b
            b ok    → ending (succeeded), start z#2
            z ok    → succeeded
            """,
            "a succeeded, b succeeded, z succeeded",
            id="it runs again at the new end",
        ),
        pytest.param(
            PLAIN,
            """
            begin       → start a
            cancel      → stop a (cancel), skip b (cancel)
            cancel      → dropped
            a cancelled → cancel a (cancel), ending (cancelled), start z
            z ok        → cancelled
            """,
            "a cancelled, b skipped, z succeeded",
            id="after a cancel, when all is dead",
        ),
        pytest.param(
            TWO,
            """
            begin       → start a
            a ok        → ending (succeeded), start y
            cancel      → stop y (cancel), skip z (cancel)
            cancel      → dropped
            y ok        → cancel y (cancel), cancelled
            retry       → ending (succeeded), start y#2
            y ok        → start z
            z ok        → succeeded
            """,
            "a succeeded, y succeeded, z succeeded",
            id="a cancel that comes then ends it",
        ),
        pytest.param(
            PLAIN,
            """
            begin       → start a
            cancel      → stop a (cancel), skip b (cancel)
            a cancelled → cancel a (cancel), ending (cancelled), start z
            cancel      → stop z (cancel)
            z cancelled → cancel z (cancel), cancelled
            """,
            "a cancelled, b skipped, z cancelled",
            id="a second cancel",
        ),
        pytest.param(
            LIMITED,
            """
            begin       → start a
            +5          → stop a (run_timeout), skip b (run_timeout)
            a cancelled → cancel a (run_timeout), ending (failed), start z
            +9          → dropped
            z ok        → failed
            """,
            "a cancelled, b skipped, z succeeded",
            id="after a timeout of the run, which does not bound it",
        ),
        pytest.param(
            PLAIN,
            """
            begin → start a
            drain →
            a ok  → suspended
            crash → start b
            b ok  → ending (succeeded), start z
            drain →
            kill  → stop z (suspend)
            z ok  → lose z (suspend), suspended
            crash → start z#2
            z ok  → succeeded
            """,
            "a succeeded, b succeeded, z succeeded",
            id="a suspended run has not ended",
        ),
        pytest.param(
            PLAIN,
            """
            begin → start a
            a ok  → start b
            drain →
            b ok  → ending (succeeded), suspended
            crash → start z
            crash → lose z (crash), start z#2
            z ok  → succeeded
            """,
            "a succeeded, b succeeded, z succeeded",
            id="a run that was being suspended when its last step ended",
        ),
        pytest.param(
            OUTPUTS,
            """
            begin          → start a
            a ok           → ask outputs
            outputs broken → ending (failed), start z
            outputs        → dropped
            z ok           → failed
            """,
            "a succeeded, z succeeded",
            id="the outputs are evaluated before",
        ),
        pytest.param(
            TWO,
            """
            begin   → start a
            a ok    → ending (succeeded), start y
            y fails → fail y (error), skip z (need_failed y), failed
            """,
            "a succeeded, y failed, z skipped",
            id="they may need each other",
        ),
        pytest.param(
            NONE,
            """
            begin → ending (succeeded), start z
            z ok  → succeeded
            """,
            "z succeeded",
            id="when there is nothing else",
        ),
        pytest.param(
            BACKED,
            """
            begin   → start a
            a ok    → ending (succeeded), start z
            z fails → try f for z, start f
            f ok    → done z, succeeded
            """,
            "a succeeded, z succeeded, f succeeded",
            id="with a fallback of its own",
        ),
        pytest.param(
            flow(step("a"), last("z", on_error="continue")),
            """
            begin   → start a
            a ok    → ending (succeeded), start z
            z fails → fail z (error), succeeded_with_errors
            """,
            "a succeeded, z failed",
            id="a failure that does not matter",
        ),
        pytest.param(
            flow(step("a"), each("z", role="finally"), sub("y", of=inner(step("x")), role="finally")),
            """
            begin               → start a
            a ok                → ending (succeeded), ask items z, ask items y
            z items k, y items  → expand z (k), expand y (), start z[k], start y/x
            z[k] ok, y/x ok     → done z, done y, succeeded
            """,
            "a succeeded, z succeeded, y succeeded, z[k] succeeded, y/x succeeded",
            id="fan-outs and sub-workflows",
        ),
        pytest.param(
            flow(step("a"), step("b", "a"), last("y"), last("z", "y"), schedule="layers"),
            """
            begin → start a
            a ok  → start b
            b ok  → ending (succeeded), start y
            y ok  → start z
            z ok  → succeeded
            """,
            "a succeeded, b succeeded, y succeeded, z succeeded",
            id="by layers",
        ),
    ],
)
def test_finally(workflow: Workflow, script: str, expected: str) -> None:
    check(workflow, script, expected)


def test_it_comes_in_layers_of_its_own() -> None:
    assert Graph(BACKED.steps).layer == [0, 1, 1]
    assert Graph(flow(step("a"), step("b", "a"), last("y"), last("z", "y")).steps).layer == [0, 1, 2, 3]


def test_why_it_waits() -> None:
    story = Story(OUTPUTS)
    story.tell("begin")
    assert why(story.state, 1).reason == "it runs when the run ends; `a` has not settled"
    story.tell("a ok")
    assert why(story.state, 1).reason == "it runs when the run ends; its outputs are due first"


def test_a_cancel_in_it_is_remembered_with_its_author() -> None:
    story = Story(PLAIN)
    for line in ("begin", "a ok", "b ok", "cancel", "z ok"):
        story.tell(line)
    assert story.state.cancelled is not None
    assert story.state.cancelled.by == "somebody"


# ---- budgets ----

TOKENS = flow(step("a"), step("b", "a"), step("x"), last("z"), budget=Budget(tokens=5))
COST = flow(step("a", retry=1), step("b"), budget=Budget(cost=0.5))
LAST = flow(step("a", fallback="f"), step("f", role="fallback"), budget=Budget(tokens=5))


@pytest.mark.parametrize(
    ("workflow", "script", "expected"),
    [
        pytest.param(
            TOKENS,
            """
            begin       → start a, start x
            a ok uses 5 → spent 5, skip b (budget)
            x ok        → ending (failed), start z
            z ok uses 9 → failed
            retry       → start b
            b ok uses 4 → ending (succeeded), start z#2
            z ok        → succeeded
            """,
            "a succeeded, b succeeded, x succeeded, z succeeded",
            id="what runs may end, nothing else starts but finally; a retry has it anew",
        ),
        pytest.param(
            COST,
            """
            begin          → start a, start b
            b ok uses 3    →
            a fails uses 2 → retry a at 1, spent 5, cancel a (budget), failed
            """,
            "a cancelled, b succeeded",
            id="no further attempt either",
        ),
        pytest.param(
            COST,
            """
            begin           → start a, start b
            b ok uses 5     →
            a fails         → retry a at 1, spent 5, cancel a (budget), failed
            """,
            "a cancelled, b succeeded",
            id="it is spent when something would start",
        ),
        pytest.param(
            LAST,
            """
            begin        → start a
            a ok uses 50 → skip f (not_needed a), succeeded
            """,
            "a succeeded, f skipped",
            id="the last step may spend it all",
        ),
        pytest.param(
            LAST,
            """
            begin           → start a
            a fails uses 50 → try f for a, spent 50, skip f (budget), cancel a (budget), failed
            """,
            "a cancelled, f skipped",
            id="a fallback is a start as well",
        ),
        pytest.param(
            TOKENS,
            """
            begin       → start a, start x
            x ok uses 5 → spent 5, skip b (budget)
            a ok        → ending (failed), start z
            z ok        → failed
            """,
            "a succeeded, b skipped, x succeeded, z succeeded",
            id="what waits for a step that runs is given up at once",
        ),
    ],
)
def test_budgets(workflow: Workflow, script: str, expected: str) -> None:
    check(workflow, script, expected)


def test_why_nothing_starts() -> None:
    story = Story(TOKENS)
    for line in ("begin", "x ok uses 5"):
        story.tell(line)
    assert why(story.state, 1).reason == "it had not started when the budget of the run was spent"
