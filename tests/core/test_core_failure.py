"""What a failure does to others: on_error, skips, conditions, the outcome of the run."""

import pytest
from story import check, flow, step

from weft.model.workflow import OnError, Workflow


def diamond(on_error: OnError) -> Workflow:
    """a feeds b and c, they feed d; x stands alone. It is a whose failure matters."""
    return flow(step("a", on_error=on_error), step("b", "a"), step("c", "a"), step("d", "b c"), step("x"))


@pytest.mark.parametrize(
    ("on_error", "script", "expected"),
    [
        (
            "isolate",
            """
            begin   → start a, start x
            a fails → fail a (error), skip b c (need_failed a), skip d (need_failed a)
            x ok    → failed
            """,
            "a failed, b skipped, c skipped, d skipped, x succeeded",
        ),
        (
            "continue",
            """
            begin      → start a, start x
            a fails    → fail a (error), start b, start c
            x ok       →
            b ok, c ok → start d
            d ok       → succeeded_with_errors
            """,
            "a failed, b succeeded, c succeeded, d succeeded, x succeeded",
        ),
        (
            "stop",
            """
            begin   → start a, start x
            a fails → fail a (error), stop x (stop), skip b c d (stop a)
            x ok    → cancel x (stop), failed
            """,
            "a failed, b skipped, c skipped, d skipped, x cancelled",
        ),
        (
            "stop_layer",
            """
            begin       → start a, start x
            a fails     → fail a (error), stop x (stop_layer), skip b c (need_failed a), skip d (need_failed a)
            x cancelled → cancel x (stop_layer), failed
            """,
            "a failed, b skipped, c skipped, d skipped, x cancelled",
        ),
    ],
)
def test_on_error(on_error: OnError, script: str, expected: str) -> None:
    check(diamond(on_error), script, expected)


STOP = flow(step("a", on_error="stop"), step("b"), step("c", retry=3), step("d"))
LAYER = flow(step("a", on_error="stop_layer"), step("b", retry=3), step("c", "b"), step("d", "x"), step("x"))


@pytest.mark.parametrize(
    ("workflow", "script", "expected"),
    [
        pytest.param(
            STOP,
            """
            begin            → start a, start b, start c, start d
            a fails, b fails → fail a (error), fail b (error), stop c (stop), stop d (stop)
            c ok, d ok       → cancel c (stop), cancel d (stop), failed
            """,
            "a failed, b failed, c cancelled, d cancelled",
            id="a stop is not forgotten for another failure in the same turn",
        ),
        pytest.param(
            STOP,
            """
            begin               → start a, start b, start c, start d
            b ok, d ok, c fails → retry c at 1
            a fails             → fail a (error), cancel c (stop), failed
            """,
            "a failed, b succeeded, c cancelled, d succeeded",
            id="a stop ends a backoff",
        ),
        pytest.param(
            STOP,
            """
            begin                        → start a, start b, start c, start d
            b ok, d ok, a fails, c fails → fail a (error), fail c (error), failed
            """,
            "a failed, b succeeded, c failed, d succeeded",
            id="after a stop nobody gets another attempt",
        ),
        pytest.param(
            flow(step("a", on_error="stop"), step("b"), step("c", "b"), step("d")),
            """
            begin         → start b, start a, start d
            a fails, b ok → fail a (error), stop d (stop), skip c (stop a)
            d ok          → cancel d (stop), failed
            """,
            "a failed, b succeeded, c skipped, d cancelled",
            id="who would be ready in the turn of the stop is skipped",
        ),
        pytest.param(
            LAYER,
            """
            begin   → start b, start x, start a
            a fails → fail a (error), stop b (stop_layer), stop x (stop_layer)
            b ok    → cancel b (stop_layer), skip c (need_failed b)
            x fails → cancel x (stop_layer), skip d (need_failed x), failed
            """,
            "a failed, b cancelled, c skipped, d skipped, x cancelled",
            id="a stopped layer takes its dependents along, each by its own need",
        ),
        pytest.param(
            LAYER,
            """
            begin   → start b, start x, start a
            x ok    → start d
            b fails → retry b at 1
            a fails → fail a (error), cancel b (stop_layer), skip c (need_failed b)
            d ok    → failed
            """,
            "a failed, b cancelled, c skipped, d succeeded, x succeeded",
            id="other layers go on",
        ),
        pytest.param(
            flow(step("a", on_error="stop_layer"), step("b"), step("c", "b"), step("d", "c")),
            """
            begin         → start b, start a
            a fails, b ok → fail a (error), start c
            c ok          → start d
            d ok          → failed
            """,
            "a failed, b succeeded, c succeeded, d succeeded",
            id="a layer that is over already has nothing to stop",
        ),
        pytest.param(
            flow(step("a", on_error="stop_layer"), step("b"), step("c", "b"), schedule="sequential"),
            """
            begin   → start a
            a fails → fail a (error), skip b (stop_layer a), skip c (need_failed b), failed
            """,
            "a failed, b skipped, c skipped",
            id="held steps of a stopped layer are skipped, and their dependents name them",
        ),
        pytest.param(
            flow(step("a"), step("b", "a"), step("c", "b"), step("d", "c")),
            """
            begin            → start a
            a fails silently → fail a (error), skip b (need_failed a), skip c (need_failed a), skip d (need_failed a), failed
            """,
            "a failed, b skipped, c skipped, d skipped",
            id="a chain of skips names the first failure",
        ),
        pytest.param(
            flow(step("a", on_error="continue"), step("b", on_error="continue")),
            """
            begin   → start a, start b
            a fails → fail a (error)
            b fails → fail b (error), succeeded_with_errors
            """,
            "a failed, b failed",
            id="errors that may be",
        ),
    ],
)
def test_failures(workflow: Workflow, script: str, expected: str) -> None:
    check(workflow, script, expected)


@pytest.mark.parametrize(
    ("workflow", "script", "expected"),
    [
        pytest.param(
            flow(step("a", condition="inputs.go"), step("b", "a"), step("c", "b")),
            """
            begin   → ask a
            a false → skip a (condition), skip b (needs_skipped a), skip c (needs_skipped b), succeeded
            """,
            "a skipped, b skipped, c skipped",
            id="a skip by `if` is passed on",
        ),
        pytest.param(
            flow(step("a", condition="inputs.go"), step("b"), step("c", "a b")),
            """
            begin   → start b, ask a
            a false → skip a (condition)
            b ok    → start c
            c ok    → succeeded
            """,
            "a skipped, b succeeded, c succeeded",
            id="the join after a branch runs",
        ),
        pytest.param(
            flow(step("a", condition="inputs.go"), step("b", "a")),
            """
            begin  → ask a
            a true → start a
            a ok   → start b
            b ok   → succeeded
            """,
            "a succeeded, b succeeded",
            id="a true `if`",
        ),
        pytest.param(
            flow(step("a", condition="inputs.go"), step("b", "a")),
            """
            begin    → ask a
            a broken → fail a (input), skip b (need_failed a), failed
            """,
            "a failed, b skipped",
            id="an `if` that cannot be evaluated fails the step",
        ),
        pytest.param(
            flow(step("a", condition="inputs.go", on_error="continue"), step("b", "a")),
            """
            begin    → ask a
            a broken → fail a (input), start b
            b ok     → succeeded_with_errors
            """,
            "a failed, b succeeded",
            id="and on_error holds for that too",
        ),
        pytest.param(
            flow(step("a"), step("b", "a", condition="inputs.go")),
            """
            begin   → start a
            a fails → fail a (error), skip b (need_failed a), failed
            """,
            "a failed, b skipped",
            id="after a failure a plain `if` is not asked",
        ),
        pytest.param(
            flow(step("a", condition="inputs.go"), step("b", "a", condition="inputs.go")),
            """
            begin   → ask a
            a false → skip a (condition), skip b (needs_skipped a), succeeded
            """,
            "a skipped, b skipped",
            id="nor is it when all needs were skipped",
        ),
        pytest.param(
            flow(step("a"), step("b", "a", condition="always()"), step("c", "b")),
            """
            begin   → start a
            a fails → fail a (error), ask b
            b true  → start b
            b ok    → start c
            c ok    → failed
            """,
            "a failed, b succeeded, c succeeded",
            id="always() runs after a failure",
        ),
        pytest.param(
            flow(step("a"), step("b", "a", condition="failed()"), step("c", "b")),
            """
            begin   → start a
            a ok    → ask b
            b false → skip b (condition), skip c (needs_skipped b), succeeded
            """,
            "a succeeded, b skipped, c skipped",
            id="failed() does not run after a success",
        ),
        pytest.param(
            flow(step("a"), step("x"), step("b", "a x", condition="steps.x.status == 'failed'"), step("c", "b")),
            """
            begin   → start a, start x
            x ok    →
            a fails → fail a (error), ask b
            b false → skip b (need_failed a), skip c (need_failed a), failed
            """,
            "a failed, x succeeded, b skipped, c skipped",
            id="a status that was not met after another failure counts as failed",
        ),
        pytest.param(
            flow(step("a", condition="inputs.go"), step("b", "a", condition="steps.a.status == 'skipped'")),
            """
            begin   → ask a
            a false → skip a (condition), ask b
            b true  → start b
            b ok    → succeeded
            """,
            "a skipped, b succeeded",
            id="steps.a.status sees a skip",
        ),
        pytest.param(
            flow(step("a"), step("b", "a"), step("c", "b", condition="always()")),
            """
            begin   → start a
            a fails → fail a (error), skip b (need_failed a), ask c
            c true  → start c
            c ok    → failed
            """,
            "a failed, b skipped, c succeeded",
            id="always() below a skip",
        ),
        pytest.param(
            flow(step("a", on_error="stop"), step("b", "a", condition="always()")),
            """
            begin   → start a
            a fails → fail a (error), skip b (stop a), failed
            """,
            "a failed, b skipped",
            id="but nothing starts after a stop",
        ),
    ],
)
def test_conditions(workflow: Workflow, script: str, expected: str) -> None:
    check(workflow, script, expected)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (
            """
            begin   → start a
            a ok    → ask outputs
            outputs → succeeded
            """,
            "a succeeded",
        ),
        (
            """
            begin          → start a
            a ok           → ask outputs
            outputs broken → failed
            """,
            "a succeeded",
        ),
        (
            """
            begin   → start a
            a fails → fail a (error), ask outputs
            outputs → failed
            outputs → dropped
            """,
            "a failed",
        ),
        (
            """
            begin   → start a
            a ok    → ask outputs
            cancel  →
            outputs → cancelled
            outputs → dropped
            """,
            "a succeeded",
        ),
        (
            """
            begin   → start a
            a ok    → ask outputs
            drain   →
            +1      → dropped
            crash   → ask outputs
            outputs → succeeded
            """,
            "a succeeded",
        ),
    ],
)
def test_outputs(script: str, expected: str) -> None:
    check(flow(step("a"), outputs={"x": "${{ steps.a.output }}"}), script, expected)


def test_nothing_to_do() -> None:
    check(flow(), "begin → succeeded", "")
    check(flow(outputs={"x": 1}), "begin → ask outputs\noutputs → succeeded", "")
