"""Gates: who is asked when, whose answer counts, what it means, and what silence means."""

import msgspec
import pytest
from story import check, flow, step

from weft.core import facts as f
from weft.core.gates import refusal
from weft.model.workflow import Approve, Flow, Step

ASK = Approve(message="Yes?")


def test_an_approval_is_a_step_that_succeeds_without_an_attempt() -> None:
    story = check(
        flow(step("a"), step("review", "a", approve=ASK), step("b", "review")),
        """
        begin           → start a
        a ok            → open review
        review opened   → waits for review
        crash, approve review → done review, start b
        b ok            → succeeded
        """,
        "a succeeded, review succeeded, b succeeded",
    )
    done = next(fact for fact in story.facts if isinstance(fact, f.StepSucceeded))
    assert done.output is not None
    assert msgspec.json.decode(done.output.inline) == {"by": "anna", "at": 0.0, "reason": "", "form": {}}


def test_a_rejection_cancels_the_step_and_skips_what_needs_it() -> None:
    check(
        flow(step("review", approve=ASK), step("b", "review"), step("c")),
        """
        begin                → start c, open review
        review opened        →
        reject review        → cancel review (rejected), skip b (need_failed review)
        c ok                 → cancelled
        """,
        "review cancelled, b skipped, c succeeded",
    )


def test_a_run_that_failed_and_was_rejected_has_failed() -> None:
    check(
        flow(step("review", approve=ASK), step("c")),
        """
        begin                → start c, open review
        review opened        →
        reject review, c fails → cancel review (rejected), fail c (error), failed
        """,
        "review cancelled, c failed",
    )


def test_while_something_else_lives_the_engine_stays() -> None:
    check(
        flow(step("review", approve=ASK), step("a", retry=1)),
        """
        begin          → start a, open review
        review opened  →
        a fails        → retry a at 1
        +1             → start a#2
        a ok           → waits for review
        """,
        "review awaiting_approval, a succeeded",
    )


def test_several_gates_are_open_at_once() -> None:
    check(
        flow(step("x", approve=ASK), step("y", approve=ASK), step("z", "x y")),
        """
        begin                 → open x, open y
        x opened, y opened    → waits for x y
        crash, approve y      → done y, waits for x
        crash                 → waits for x
        crash, approve x      → done x, start z
        """,
        "x succeeded, y succeeded, z running",
    )


def test_one_that_is_asked_to_stay_does() -> None:
    check(
        flow(step("review", approve=ASK)),
        """
        begin staying  → open review
        review opened  →
        approve review → done review, succeeded
        """,
        "review succeeded",
    )


def test_the_first_answer_is_the_only_one() -> None:
    story = check(
        flow(step("review", approve=ASK), step("a", "review")),
        """
        begin staying                   → open review
        review opened                   →
        approve review, reject review   → done review, start a
        reject review by ben            → dropped
        review opened                   → dropped
        a ok                            → succeeded
        """,
        "review succeeded, a succeeded",
    )
    late = f.GateAnswered(at=0.0, gate="review", answer="reject", by="ben")
    assert refusal(story.state, late, 0.0) == "`review` has been answered: anna approved it"


def test_a_gate_before_a_step_is_asked_once_for_all_its_attempts() -> None:
    check(
        flow(step("a", gate=ASK, retry=1, condition="inputs.go")),
        """
        begin      → ask a
        a true     → open a
        a opened   → waits for a
        crash, approve a → start a
        crash      → lose a (crash), start a#2
        a fails    → retry a at 1
        +1         → start a#3
        a ok       → succeeded
        """,
        "a succeeded",
    )


@pytest.mark.parametrize(
    ("script", "end"),
    [
        ("a false → skip a (condition), succeeded", "a skipped"),
        ("a broken → fail a (input), failed", "a failed"),
    ],
)
def test_nobody_is_asked_about_a_step_that_will_not_run(script: str, end: str) -> None:
    check(flow(step("a", gate=ASK, condition="inputs.go")), f"begin → ask a\n{script}", end)


def test_a_question_that_cannot_be_evaluated_fails_the_step() -> None:
    check(
        flow(step("a", approve=ASK), step("b", "a")),
        """
        begin            → open a
        a opened broken  → fail a (input), skip b (need_failed a), failed
        """,
        "a failed, b skipped",
    )


@pytest.mark.parametrize(
    ("on_timeout", "script", "end"),
    [
        ("reject", "+10 → silence a (reject), cancel a (rejected), cancelled", "a cancelled"),
        ("approve", "+10 → silence a (approve), done a, succeeded", "a succeeded"),
        ("fail", "+10 → silence a (fail), fail a (timeout), failed", "a failed"),
    ],
)
def test_silence_is_an_answer(on_timeout: str, script: str, end: str) -> None:
    ask = Approve(message="Yes?", timeout_s=10.0, on_timeout=on_timeout)  # type: ignore[arg-type]
    check(flow(step("a", approve=ask)), f"begin staying → open a\na opened →\n{script}", end)


def test_time_passes_while_no_engine_lives_and_a_late_answer_is_refused() -> None:
    check(
        flow(step("a", approve=Approve(message="Yes?", timeout_s=10.0))),
        """
        begin                    → open a
        a opened                 → waits for a
        +20, crash, approve a    → silence a (reject), cancel a (rejected), cancelled
        """,
        "a cancelled",
    )


def test_an_answer_at_the_last_instant_is_late() -> None:
    check(
        flow(step("a", approve=Approve(message="Yes?", timeout_s=10.0, on_timeout="approve"))),
        """
        begin staying            → open a
        a opened                 →
        +10, reject a            → silence a (approve), done a, succeeded
        """,
        "a succeeded",
    )


def test_a_cancel_closes_gates() -> None:
    check(
        flow(step("a", gate=ASK), step("b", approve=ASK), step("c")),
        """
        begin                → start c, open a, open b
        a opened             →
        cancel               → stop c (cancel), skip a b (cancel)
        approve a, b opened  → dropped
        c cancelled          → cancel c (cancel), cancelled
        """,
        "a skipped, b skipped, c cancelled",
    )


def test_a_gate_waits_while_the_run_is_suspended_and_its_answer_is_kept() -> None:
    check(
        flow(step("a", gate=Approve(timeout_s=5.0)), step("b")),
        """
        begin       → start b, open a
        a opened    →
        drain       →
        approve a   →
        +10         → dropped
        b ok        → suspended
        crash       → start a
        a ok        → succeeded
        """,
        "a succeeded, b succeeded",
    )


def test_a_retry_asks_again() -> None:
    check(
        flow(step("a", approve=ASK), step("b", "a", gate=ASK), step("c", gate=ASK)),
        """
        begin staying       → open a, open c
        a opened, c opened  →
        reject a            → cancel a (rejected), skip b (need_failed a)
        approve c           → start c
        c ok                → cancelled
        retry staying       → open a
        a opened            →
        approve a           → done a, open b
        b opened            →
        approve b           → start b
        b ok                → succeeded
        """,
        "a succeeded, b succeeded, c succeeded",
    )


def test_a_fan_out_is_asked_about_once() -> None:
    check(
        flow(step("a", for_each="${{ items }}", gate=ASK)),
        """
        begin            → open a
        a opened         → waits for a
        crash, approve a → ask items a
        a items x y      → expand a (x y), start a[x], start a[y]
        a[x] ok, a[y] ok → done a, succeeded
        """,
        "a succeeded, a[x] succeeded, a[y] succeeded",
    )


def test_a_fan_out_of_questions_asks_for_each() -> None:
    check(
        flow(step("a", approve=ASK, for_each="${{ items }}")),
        """
        begin                      → ask items a
        a items x y                → expand a (x y), open a[x], open a[y]
        a[x] opened, a[y] opened   → waits for a[x] a[y]
        crash, approve a[x], reject a[y] → done a[x], cancel a[y] (rejected), cancel a (rejected), cancelled
        """,
        "a cancelled, a[x] succeeded, a[y] cancelled",
    )


def test_a_question_inside_a_sub_workflow() -> None:
    inner = flow(step("review", approve=ASK), step("b", "review"))
    check(
        flow(Step(id="f", action=Flow(workflow=inner))),
        """
        begin                   → ask items f
        f items                 → expand f (), open f/review
        f/review opened         → waits for f/review
        crash, approve f/review → done f/review, start f/b
        f/b ok                  → done f, succeeded
        """,
        "f succeeded, f/review succeeded, f/b succeeded",
    )


def test_what_is_wired_waits_for_its_gate_and_then_for_all() -> None:
    wide = step("a", for_each="${{ items }}")
    check(
        flow(wide, step("b", "a", for_each="${{ steps.a.output }}", wired="a", each_if=True, gate=ASK)),
        """
        begin         → ask items a
        a items x     → expand a (x), start a[x]
        a[x] ok       → done a, open b
        b opened      → waits for b
        crash, approve b → ask items b
        b items x     → expand b (x), start b[x]
        b[x] ok       → done b, succeeded
        """,
        "a succeeded, b succeeded, a[x] succeeded, b[x] succeeded",
    )


# ---- between layers ----

GATES = Approve()


def test_a_layer_starts_when_somebody_says_so() -> None:
    check(
        flow(step("a"), step("b"), step("c", "a"), step("d", "c"), gates=GATES),
        """
        begin                    → start a, start b
        a ok                     →
        b ok                     → open layer#0
        layer#0 opened           → waits for layer#0
        crash                    → waits for layer#0
        crash, approve layer#0   → start c
        c ok                     → open layer#1
        layer#1 opened           → waits for layer#1
        crash, approve layer#1   → start d
        d ok                     → succeeded
        """,
        "a succeeded, b succeeded, c succeeded, d succeeded",
    )


def test_to_reject_a_layer_cancels_the_run() -> None:
    check(
        flow(step("a"), step("b", "a"), gates=GATES),
        """
        begin                  → start a
        a ok                   → open layer#0
        layer#0 opened         → waits for layer#0
        crash, reject layer#0  → skip b (cancel), cancelled
        retry                  → open layer#0
        layer#0 opened         → waits for layer#0
        crash, approve layer#0 → start b
        b ok                   → succeeded
        """,
        "a succeeded, b succeeded",
    )


def test_a_cancel_in_the_same_moment_keeps_its_author() -> None:
    story = check(
        flow(step("a"), step("b", "a"), gates=GATES),
        """
        begin staying           → start a
        a ok                    → open layer#0
        layer#0 opened          →
        cancel, reject layer#0  → skip b (cancel), cancelled
        """,
        "a succeeded, b skipped",
    )
    assert story.state.cancelled is not None
    assert story.state.cancelled.by == "somebody"


@pytest.mark.parametrize(("on_timeout", "decided"), [("approve", "start b"), ("reject", "skip b (cancel), cancelled")])
def test_silence_between_layers(on_timeout: str, decided: str) -> None:
    gates = Approve(timeout_s=10.0, on_timeout=on_timeout)  # type: ignore[arg-type]
    check(
        flow(step("a"), step("b", "a"), gates=gates),
        f"""
        begin staying   → start a
        a ok            → open layer#0
        layer#0 opened  →
        +10             → silence layer#0 ({on_timeout}), {decided}
        """,
        f"a succeeded, b {'running' if on_timeout == 'approve' else 'skipped'}",
    )


def test_steps_are_left_out_at_a_layer() -> None:
    check(
        flow(step("a"), step("b", "a"), step("c", "a"), step("d", "b"), gates=GATES),
        """
        begin                          → start a
        a ok                           → open layer#0
        layer#0 opened                 → waits for layer#0
        crash, approve layer#0 skip b  → skip b (gate layer#0), start c
        c ok                           → open layer#1
        layer#1 opened                 → waits for layer#1
        crash, approve layer#1         → skip d (needs_skipped b), succeeded
        """,
        "a succeeded, b skipped, c succeeded, d skipped",
    )


def test_steps_are_injected_at_a_layer() -> None:
    check(
        flow(step("a"), step("b", "a"), step("c", "b"), gates=GATES),
        """
        begin                                    → start a
        a ok                                     → open layer#0
        layer#0 opened                           → waits for layer#0
        crash, approve layer#0 inject n:a m:n+c  → add n, add m, start b, start n
        b ok, n ok                               → open layer#1
        layer#1 opened                           → waits for layer#1
        crash, approve layer#1                   → start c
        c ok                                     → open layer#2
        layer#2 opened                           → waits for layer#2
        crash, approve layer#2                   → start m
        m ok                                     → succeeded
        """,
        "a succeeded, b succeeded, c succeeded, n succeeded, m succeeded",
    )


def test_a_new_plan_replaces_all_that_has_not_begun() -> None:
    check(
        flow(step("a"), step("b", "a"), step("c", "b"), gates=GATES),
        """
        begin                                   → start a
        a ok                                    → open layer#0
        layer#0 opened                          → waits for layer#0
        crash, approve layer#0 replan inject n:a → add n, skip b c (gate layer#0), start n
        n ok                                    → succeeded
        """,
        "a succeeded, b skipped, c skipped, n succeeded",
    )


def test_of_a_fan_out_that_was_expanded_before_a_retry_the_parts_are_left_out() -> None:
    check(
        flow(step("a", retry=0), step("b", "a", for_each="${{ items }}"), gates=GATES),
        """
        begin staying                  → start a
        a ok                           → open layer#0
        layer#0 opened                 →
        approve layer#0                → ask items b
        b items x y                    → expand b (x y), start b[x], start b[y]
        b[x] ok, b[y] fails            → fail b[y] (error), fail b (error), failed
        retry staying                  → start b[y]#2
        b[y]#2 ok                      → done b, succeeded
        """,
        "a succeeded, b succeeded, b[x] succeeded, b[y] succeeded",
    )
    check(
        flow(step("a"), step("c", on_error="continue"), step("b", "a", for_each="${{ items }}"), gates=GATES),
        """
        begin staying                  → start a, start c
        a ok, c fails                  → fail c (error), open layer#0
        layer#0 opened                 →
        approve layer#0                → ask items b
        b items x y                    → expand b (x y), start b[x], start b[y]
        b[x] ok, b[y] fails            → fail b[y] (error), fail b (error), failed
        retry staying                  → start c#2
        c#2 ok                         → open layer#0
        layer#0 opened                 →
        approve layer#0 replan         → skip b[y] (gate layer#0), done b, succeeded
        """,
        "a succeeded, c succeeded, b succeeded, b[x] succeeded, b[y] skipped",
    )


def test_layers_that_were_given_up_need_no_answer() -> None:
    check(
        flow(step("a", on_error="stop"), step("b", "a"), gates=GATES),
        """
        begin     → start a
        a fails   → fail a (error), skip b (stop a), failed
        """,
        "a failed, b skipped",
    )
    check(
        flow(step("a"), step("b", "a"), gates=Approve(timeout_s=5.0), timeout_s=3.0),
        """
        begin staying   → start a
        a ok            → open layer#0
        layer#0 opened  →
        +3              → skip b (run_timeout), failed
        """,
        "a succeeded, b skipped",
    )


def test_suspended_at_a_layer() -> None:
    check(
        flow(step("a"), step("b", "a"), gates=Approve(timeout_s=5.0)),
        """
        begin                   → start a
        drain, a ok             → suspended
        crash                   → open layer#0
        layer#0 opened, drain   → suspended
        +9, crash               → silence layer#0 (reject), skip b (cancel), cancelled
        """,
        "a succeeded, b skipped",
    )
