"""What an answer says of other steps, and answers that a gate has by itself."""

import msgspec
import pytest
from story import check, flow, step

from weft.core import facts as f
from weft.core.gates import refusal
from weft.model.workflow import Approve

ASK = Approve(message="Yes?")


def test_what_else_is_to_be_done_is_said_at_any_gate() -> None:
    check(
        flow(step("a"), step("b", gate=ASK), step("c", "a"), step("d", "b"), step("e", gate=ASK), step("f", "d")),
        """
        begin                                        → start a, open b, open e
        b opened, e opened                           →
        approve b skip c e inject n:a m              → add m, add n, skip c e (gate b), start b, start m
        a ok, b ok                                   → start d, start n
        d ok, n ok, m ok                             → start f
        """,
        "a succeeded, b succeeded, c skipped, d succeeded, e skipped, f running, m succeeded, n succeeded",
    )


def test_a_new_plan_at_the_gate_of_a_step_replaces_that_step_too() -> None:
    check(
        flow(step("a"), step("b", gate=ASK), step("c", "b"), step("e", gate=ASK), step("x", resources={"p": 1}), pools={"p": 1}),
        """
        begin                          → start a, start x, open b, open e
        b opened, e opened             →
        approve b replan inject n:a    → add n, skip b c e (gate b)
        a ok, x ok                     → start n
        n ok                           → succeeded
        """,
        "a succeeded, b skipped, c skipped, e skipped, x succeeded, n succeeded",
    )


def test_what_has_just_ended_cannot_be_left_out() -> None:
    """It waits for the verdict of the same turn."""
    check(
        flow(step("a", retry=1), step("b", gate=ASK)),
        """
        begin                             → start a, open b
        b opened                          →
        a fails, approve b skip a         → retry a at 1
        approve b replan                  → skip b (gate b)
        +1                                → start a#2
        """,
        "a running, b skipped",
    )


GIVEN = Approve(message="Yes?", answer="${{ steps.judge.output }}")


@pytest.mark.parametrize(
    ("said", "decided", "ends"),
    [
        ("approve", "start b", "b running, c waiting"),
        ("reject", "cancel b (rejected), skip c (need_failed b), cancelled", "b cancelled, c skipped"),
        ("approve skip c", "skip c (gate b), start b", "b running, c skipped"),
        ("approve skip judge", "cancel b (rejected), skip c (need_failed b), cancelled", "b cancelled, c skipped"),
        ("without", "cancel b (rejected), skip c (need_failed b), cancelled", "b cancelled, c skipped"),
    ],
)
def test_a_gate_may_have_its_answer_by_itself(said: str, decided: str, ends: str) -> None:
    story = check(
        flow(step("judge"), step("b", "judge", gate=GIVEN), step("c", "b")),
        f"""
        begin            → start judge
        judge ok         → open b
        b opened {said} → {decided}
        """,
        f"judge succeeded, {ends}",
    )
    assert story.state.answers["b"].by == "judge"
    opened = story.state.gates["b"]
    assert (opened.said, opened.unsaid) == (None, "")


def test_why_an_answer_did_not_count_is_kept_with_what_stands_for_it() -> None:
    story = check(
        flow(step("judge"), step("b", "judge", gate=msgspec.structs.replace(GIVEN, on_timeout="approve"))),
        """
        begin                        → start judge
        judge ok                     → open b
        b opened approve skip nobody
        """,
        "judge succeeded, b running",
    )
    assert (story.state.answers["b"].answer, story.state.answers["b"].reason) == ("approve", "there is no step `nobody`")


def test_what_joins_a_layer_that_was_stopped_is_given_up_with_it() -> None:
    check(
        flow(step("a"), step("b", "a", on_error="stop_layer"), step("c", "a"), step("y", "a"), step("d", "c", gate=ASK)),
        """
        begin                     → start a
        a ok                      → start c, start b, start y
        c ok                      → open d
        d opened                  →
        b fails                   → fail b (error), stop y (stop_layer)
        approve d inject n:a      → add n, skip n (stop_layer b), start d
        y cancelled, d ok         → cancel y (stop_layer), failed
        """,
        "a succeeded, b failed, c succeeded, y cancelled, d succeeded, n skipped",
    )


def test_nothing_joins_a_run_that_is_ending() -> None:
    story = check(
        flow(step("a"), step("z", role="finally", gate=ASK)),
        """
        begin                     → start a
        a ok                      → ending (succeeded), open z
        z opened
        """,
        "a succeeded, z awaiting_approval",
    )
    yes = f.GateAnswered(at=0.0, gate="z", answer="approve", inject=[step("n")])
    assert refusal(story.state, yes, 0.0) == "steps are skipped and injected before the run ends, and it is ending"
