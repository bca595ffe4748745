"""Further attempts: whether, when, and what counts."""

import pytest
from story import Story, check, flow, step

from weft.core.retry import backoff_s, draw, matches
from weft.model.output import ErrorRecord
from weft.model.workflow import Retry, Step


def a(retry: Retry | int, timeout_s: float | None = None) -> Step:
    return step("a", retry=retry, timeout_s=timeout_s)


FILTERED = Retry(times=9, jitter=False, delay_s=0.0, when=("timeout", "exit 22", "ConnectionError"))


@pytest.mark.parametrize(
    ("only", "script", "expected"),
    [
        pytest.param(
            a(2),
            """
            begin   → start a
            a fails → retry a at 1
            +1      → start a#2
            a fails → retry a at 3
            +1      → dropped
            +1      → start a#3
            a fails → fail a (error), failed
            """,
            "a failed",
            id="two further attempts, after 1 and 2 seconds",
        ),
        pytest.param(
            a(1),
            """
            begin   → start a
            a fails → retry a at 1
            +5      → start a#2
            a ok    → succeeded
            """,
            "a succeeded",
            id="a late call makes a late attempt",
        ),
        pytest.param(
            a(Retry(times=4, delay_s=2.0, factor=10.0, max_delay_s=30.0, jitter=False)),
            """
            begin   → start a
            a fails → retry a at 2
            +2      → start a#2
            a fails → retry a at 22
            +20     → start a#3
            a fails → retry a at 52
            +30     → start a#4
            a ok    → succeeded
            """,
            "a succeeded",
            id="the wait is capped",
        ),
        pytest.param(
            a(Retry(times=2, delay_s=0.0)),
            """
            begin   → start a
            a fails → retry a at 0, start a#2
            a fails → retry a at 0, start a#3
            a fails → fail a (error), failed
            """,
            "a failed",
            id="no delay: in the same turn",
        ),
        pytest.param(
            a(Retry(times=9, max_elapsed_s=4.0, jitter=False)),
            """
            begin       → start a
            +1, a fails → retry a at 2
            +1          → start a#2
            a fails     → retry a at 4
            +2          → start a#3
            a fails     → fail a (error), failed
            """,
            "a failed",
            id="max_elapsed: no attempt starts more than 4 s after the first",
        ),
        pytest.param(
            a(Retry(times=9, max_delay_s=3.0, jitter=False)),
            """
            begin          → start a
            a throttled 90 → retry a at 90
            +90            → start a#2
            a ok           → succeeded
            """,
            "a succeeded",
            id="Retry-After is honoured",
        ),
        pytest.param(
            a(Retry(times=9, max_elapsed_s=60.0)),
            """
            begin          → start a
            a throttled 90 → fail a (error), failed
            """,
            "a failed",
            id="but not past max_elapsed",
        ),
        pytest.param(
            a(FILTERED),
            """
            begin                                         → start a
            a fails exit 22                               → retry a at 0, start a#2
            a raises ConnectionResetError ConnectionError → retry a at 0, start a#3
            a fails exit 1                                → fail a (exit), failed
            """,
            "a failed",
            id="when: by exit code and by exception, its bases included",
        ),
        pytest.param(
            a(FILTERED, timeout_s=5.0),
            """
            begin → start a
            +5    → stop a (timeout)
            a ok  → retry a at 5, start a#2
            +5    → stop a (timeout)
            a ok  → retry a at 10, start a#3
            a ok  → succeeded
            """,
            "a succeeded",
            id="when: by kind",
        ),
        pytest.param(
            a(Retry(times=1, delay_s=5.0, jitter=False), timeout_s=5.0),
            """
            begin   → start a
            a fails → retry a at 5
            +5      → start a#2
            a ok    → succeeded
            """,
            "a succeeded",
            id="the timeout of the failed attempt and its backoff end at the same instant",
        ),
        pytest.param(
            a(Retry(times=1, delay_s=9.0, jitter=False), timeout_s=5.0),
            """
            begin       → start a
            +4, a fails → retry a at 13
            +1          → dropped
            +8          → start a#2
            +5          → stop a (timeout)
            a cancelled → fail a (timeout), failed
            """,
            "a failed",
            id="a timeout is for one attempt",
        ),
        pytest.param(
            a(1),
            """
            begin   → start a
            a lost  → lose a (crash), start a#2
            crash   → lose a (crash), start a#3
            a fails → retry a at 1
            +1      → start a#4
            a lost  → lose a (crash), start a#5
            a fails → fail a (error), failed
            """,
            "a failed",
            id="an attempt that was lost counts for nothing",
        ),
        pytest.param(
            a(1),
            """
            begin       → start a
            a cancelled → retry a at 1
            +1          → start a#2
            a cancelled → fail a (killed), failed
            """,
            "a failed",
            id="cancelled from outside is a failure",
        ),
    ],
)
def test_attempts(only: Step, script: str, expected: str) -> None:
    check(flow(only), script, expected)


def test_a_step_that_backs_off_holds_nothing() -> None:
    check(
        flow(step("a", retry=1, resources={"p": 1}), step("b", resources={"p": 1}), pools={"p": 1}),
        """
        begin   → start a
        a fails → retry a at 1, start b
        +1      →
        b ok    → start a#2
        a ok    → succeeded
        """,
        "a succeeded, b succeeded",
    )


@pytest.mark.parametrize(
    ("retry", "waits"),
    [
        (Retry(delay_s=1.0, factor=2.0, max_delay_s=5.0, jitter=False), [1.0, 2.0, 4.0, 5.0, 5.0]),
        (Retry(delay_s=3.0, factor=1.0, jitter=False), [3.0, 3.0, 3.0, 3.0, 3.0]),
        (Retry(delay_s=90.0, max_delay_s=60.0, jitter=False), [60.0] * 5),
        (Retry(delay_s=0.0, factor=1e300, jitter=False), [0.0] * 5),
        (Retry(delay_s=1.0, factor=1e300, jitter=False), [1.0, 60.0, 60.0, 60.0, 60.0]),
        (Retry(delay_s=1.0, factor=2.0, max_delay_s=5.0), [0.25, 0.5, 1.0, 1.25, 1.25]),
    ],
)
def test_backoff(retry: Retry, waits: list[float]) -> None:
    assert [backoff_s(retry, failures, chance=0.25) for failures in range(1, 6)] == waits


def test_jitter_depends_on_seed_step_and_attempt_alone() -> None:
    draws = [draw(seed, step, attempt) for seed in range(10) for step in "abc" for attempt in range(1, 11)]
    assert draws == [draw(seed, step, attempt) for seed in range(10) for step in "abc" for attempt in range(1, 11)]
    assert len(set(draws)) == len(draws)
    assert 0.0 <= min(draws) < 0.1
    assert 0.9 < max(draws) < 1.0
    assert draw(1, "a", 1) == 0.3208240150784832  # a resumed run must find the same number in a newer version


def test_jitter_in_a_run() -> None:
    stories = [Story(flow(step("a", retry=Retry(times=1, delay_s=8.0))), seed=seed) for seed in (1, 1, 2)]
    for story in stories:
        story.tell("begin")
        story.tell("a fails")
    untils = [story.state.backoff_until[0] for story in stories]
    assert untils[0] == untils[1] == 8.0 * draw(1, "a", 1)
    assert untils[2] == 8.0 * draw(2, "a", 1)


@pytest.mark.parametrize(
    ("error", "matching"),
    [
        (ErrorRecord(kind="exit", message="", exit_code=22), {"exit", "exit 22"}),
        (ErrorRecord(kind="timeout", message=""), {"timeout"}),
        (ErrorRecord(kind="error", message="", exception="TimeoutError OSError"), {"error", "TimeoutError", "OSError"}),
    ],
)
def test_when(error: ErrorRecord, matching: set[str]) -> None:
    names = ("exit", "exit 22", "exit 2", "timeout", "error", "TimeoutError", "OSError", "Error")
    assert {name for name in names if matches((name,), error)} == matching
    assert matches((), error)
