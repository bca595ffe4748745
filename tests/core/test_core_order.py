"""Who starts when: schedules, limits, pools, priorities."""

import pytest
from story import check, flow, step

from weft.core.facts import Limits
from weft.model.workflow import Workflow

CHAINS = (step("a"), step("b"), step("c", "a"), step("d", "b"))


@pytest.mark.parametrize(
    ("workflow", "script", "expected"),
    [
        pytest.param(
            flow(*CHAINS),
            """
            begin → start a, start b
            a ok  → start c
            c ok  →
            b ok  → start d
            d ok  → succeeded
            """,
            "a succeeded, b succeeded, c succeeded, d succeeded",
            id="dataflow: a step starts when its own needs are done",
        ),
        pytest.param(
            flow(*CHAINS, schedule="layers"),
            """
            begin → start a, start b
            a ok  →
            b ok  → start c, start d
            d ok  →
            c ok  → succeeded
            """,
            "a succeeded, b succeeded, c succeeded, d succeeded",
            id="layers: when all of the layer before are",
        ),
        pytest.param(
            flow(step("a"), step("b"), step("c", "a"), step("d", "c", condition="always()"), schedule="layers"),
            """
            begin   → start a, start b
            a fails → fail a (error)
            b ok    → skip c (need_failed a), ask d
            d true  → start d
            d ok    → failed
            """,
            "a failed, b succeeded, c skipped, d succeeded",
            id="layers: a layer of skips is over at once",
        ),
        pytest.param(
            flow(step("a", sleep=True), step("b", priority=9), step("c", "a"), schedule="sequential"),
            """
            begin → start a
            a ok  → start b
            b ok  → start c
            c ok  → succeeded
            """,
            "a succeeded, b succeeded, c succeeded",
            id="sequential: one at a time, in file order among the ready",
        ),
    ],
)
def test_schedules(workflow: Workflow, script: str, expected: str) -> None:
    check(workflow, script, expected)


FOUR = (step("a"), step("b"), step("c", sleep=True), step("d", sleep=True))


@pytest.mark.parametrize(
    ("limits", "started"),
    [
        (Limits(), "start a, start b, start c, start d"),
        (Limits(total=3), "start a, start b, start c"),
        (Limits(computing=1), "start a, start c, start d"),
        (Limits(waiting=1), "start a, start b, start c"),
        (Limits(computing=1, waiting=1), "start a, start c"),
        (Limits(total=1, computing=2, waiting=2), "start a"),
    ],
)
def test_max_parallel(limits: Limits, started: str) -> None:
    story = check(flow(*FOUR), f"begin → {started}", _status(started), limits)
    story.finish()
    assert story.state.ended is not None
    assert story.state.ended.status == "succeeded"


def _status(started: str) -> str:
    return ", ".join(f"{id_} {'running' if f'start {id_}' in started else 'ready'}" for id_ in "abcd")


@pytest.mark.parametrize(
    ("workflow", "total", "script", "expected"),
    [
        pytest.param(
            flow(
                step("a", resources={"p": 2}),
                step("b", resources={"p": 2}),
                step("c", resources={"p": 1}),
                step("d", resources={"p": 1}),
                pools={"p": 3},
            ),
            2,
            """
            begin → start a, start c
            c ok  → start d
            d ok  →
            a ok  → start b
            b ok  → succeeded
            """,
            "a succeeded, b succeeded, c succeeded, d succeeded",
            id="a smaller step may overtake: nobody waits who fits",
        ),
        pytest.param(
            flow(
                step("a", resources={"p": 2}),
                step("b", resources={"p": 2}, priority=-1),
                step("c", resources={"p": 2}),
                pools={"p": 2},
            ),
            None,
            """
            begin → start a
            a ok  → start c
            c ok  → start b
            b ok  → succeeded
            """,
            "a succeeded, b succeeded, c succeeded",
            id="but nobody overtakes who does not fit either",
        ),
        pytest.param(
            flow(
                step("a", resources={"p": 1}),
                step("b", resources={"q": 1}),
                step("c", resources={"p": 1, "q": 1}),
                step("d"),
                pools={"p": 1, "q": 1},
            ),
            None,
            """
            begin → start a, start b, start d
            a ok  →
            d ok  →
            b ok  → start c
            c ok  → succeeded
            """,
            "a succeeded, b succeeded, c succeeded, d succeeded",
            id="a step takes all it asks for at once, or nothing",
        ),
        pytest.param(
            flow(
                step("a"),
                step("b", expect_s=3.0),
                step("c", priority=1),
                step("d", "a", expect_s=1.5),
                step("e", sleep=True),
            ),
            1,
            """
            begin → start c
            c ok  → start b
            b ok  → start a
            a ok  → start d
            d ok  → start e
            e ok  → succeeded
            """,
            "a succeeded, b succeeded, c succeeded, d succeeded, e succeeded",
            id="priority, then the longest remaining path, then file order",
        ),
        pytest.param(
            flow(step("a"), step("b", "a"), step("c", "a"), step("d", "a", priority=1), step("x", priority=-1)),
            1,
            """
            begin → start a
            a ok  → start d
            d ok  → start b
            b ok  → start c
            c ok  → start x
            x ok  → succeeded
            """,
            "a succeeded, b succeeded, c succeeded, d succeeded, x succeeded",
            id="who becomes ready later may be better than who is held",
        ),
        pytest.param(
            flow(step("a", resources={"p": 0}), step("b", resources={"p": 1}), pools={"p": 1}),
            1,
            """
            begin → start a
            a ok  → start b
            b ok  → succeeded
            """,
            "a succeeded, b succeeded",
            id="nothing of a pool is nothing",
        ),
    ],
)
def test_pools_and_priorities(workflow: Workflow, total: int | None, script: str, expected: str) -> None:
    check(workflow, script, expected, Limits(total=total))


def test_a_held_step_that_is_skipped_leaves_its_place_to_the_next_of_its_kind() -> None:
    workflow = flow(
        step("a", on_error="stop_layer"),
        step("b", resources={"p": 1}),
        step("c", resources={"p": 1}),
        step("x", "b", resources={"p": 1}),
        step("r", sleep=True),
        step("s", "r", resources={"p": 1}, priority=-1),
        pools={"p": 1},
    )
    check(
        workflow,
        """
        begin   → start b, start r, start a
        r ok    →
        a fails → fail a (error), stop b (stop_layer), skip c (stop_layer a)
        b ok    → cancel b (stop_layer), skip x (need_failed b), start s
        s ok    → failed
        """,
        "a failed, b cancelled, c skipped, x skipped, r succeeded, s succeeded",
    )
