"""Steps that are not run: reused by their fingerprint, taken from an earlier run, or not selected."""

import msgspec
import pytest
from story import Story, check, flow, step

from weft.core import facts as f
from weft.core.audit import audit
from weft.core.state import State
from weft.core.why import why
from weft.model.output import Output
from weft.model.workflow import Flow, Step, Workflow


def given(*ids: str) -> dict[str, f.Given]:
    return {id_: f.Given(run="old", output=Output()) for id_ in ids}


def wide(id_: str, needs: str = "", **settings: object) -> Step:
    return msgspec.structs.replace(step(id_, needs), for_each="${{ inputs.x }}", **settings)


def test_a_fingerprint_that_is_known() -> None:
    story = check(
        flow(step("a", reuse=True), step("b", "a")),
        """
        begin  → fingerprint a
        a same → reuse a (old), start b
        b ok   → succeeded
        """,
        "a reused, b succeeded",
    )
    assert [fact.found for fact in story.facts if isinstance(fact, f.FingerprintTaken)] == [None]


def test_a_fingerprint_that_is_not_known() -> None:
    check(
        flow(step("a", reuse=True), step("b", "a")),
        """
        begin → fingerprint a
        a new → start a
        a new → dropped
        a ok  → start b
        b ok  → succeeded
        """,
        "a succeeded, b succeeded",
    )


def test_it_is_asked_for_after_the_condition() -> None:
    check(
        flow(step("a", reuse=True, condition="inputs.x"), step("b", reuse=True, condition="inputs.x")),
        """
        begin           → ask a, ask b
        a true, b false → skip b (condition), fingerprint a
        a same          → reuse a (old), succeeded
        """,
        "a reused, b skipped",
    )


def test_a_retry_takes_it_again_and_keeps_what_was_reused() -> None:
    check(
        flow(step("a", reuse=True), step("b", "a", reuse=True)),
        """
        begin   → fingerprint a
        a same  → reuse a (old), fingerprint b
        b new   → start b
        b fails → fail b (error), failed
        retry   → fingerprint b
        b same  → reuse b (old), succeeded
        """,
        "a reused, b reused",
    )


def test_nothing_is_reused_once_the_run_shall_stop() -> None:
    check(
        flow(step("a", reuse=True), step("b")),
        """
        begin  → start b, fingerprint a
        drain  →
        a same → dropped
        b ok   → suspended
        crash  → fingerprint a
        a same → reuse a (old), succeeded
        """,
        "a reused, b succeeded",
    )


def test_a_lost_attempt_is_followed_by_another() -> None:
    check(
        flow(step("a", reuse=True)),
        """
        begin → fingerprint a
        a new → start a
        crash → lose a (crash), start a#2
        a ok  → succeeded
        """,
        "a succeeded",
    )


def test_outputs_of_an_earlier_run() -> None:
    check(
        flow(step("a"), step("b", "a"), step("c", "a"), step("d", "b c")),
        """
        begin → start b
        b ok  → succeeded
        """,
        "a reused, b succeeded, c reused, d reused",
        given=given("a", "c", "d"),
    )


def test_steps_that_are_not_selected_are_like_those_with_a_false_condition() -> None:
    check(
        flow(step("a"), step("b", "a"), step("c", "a"), step("d", "b c"), step("e", "b")),
        """
        begin → skip b (not_selected), skip e (needs_skipped b), start a
        a ok  → start c
        c ok  → start d
        d ok  → succeeded
        """,
        "a succeeded, b skipped, c succeeded, d succeeded, e skipped",
        left_out=("b",),
    )


def test_a_retry_leaves_out_what_was_left_out() -> None:
    check(
        flow(step("a"), step("b", "a"), step("c", "b")),
        """
        begin   → skip b (not_selected), skip c (needs_skipped b), start a
        a fails → fail a (error), failed
        retry   → skip c (needs_skipped b), start a#2
        a ok    → succeeded
        """,
        "a succeeded, b skipped, c skipped",
        left_out=("b",),
    )


def test_a_fan_out_of_an_earlier_run_gets_its_instances_from_there() -> None:
    fetch = {"fetch": f.Given(run="old", keys=("x", "y")), **given("fetch[x]")}
    check(
        flow(wide("fetch"), wide("clean", "fetch", wired="fetch", each_if=True), step("all", "clean")),
        """
        begin       → expand clean (x y), start fetch[y], start clean[x]
        fetch[y] ok → done fetch, start clean[y]
        clean[x] ok →
        clean[y] ok → done clean, start all
        all ok      → succeeded
        """,
        "fetch succeeded, clean succeeded, all succeeded, fetch[x] reused, fetch[y] succeeded, "
        "clean[x] succeeded, clean[y] succeeded",
        given=fetch,
    )


def test_a_fan_out_is_taken_although_the_one_that_it_is_wired_to_runs_again() -> None:
    taken = {"clean": f.Given(run="old", keys=("x",)), **given("clean[x]")}
    check(
        flow(wide("fetch"), wide("clean", "fetch", wired="fetch", each_if=True)),
        """
        begin         → done clean, ask items fetch
        fetch items y → expand fetch (y), start fetch[y]
        fetch[y] ok   → done fetch, succeeded
        """,
        "fetch succeeded, clean succeeded, clean[x] reused, fetch[y] succeeded",
        given=taken,
    )


def test_a_sub_workflow_of_an_earlier_run() -> None:
    inner = Workflow(name="inner", steps=(step("a"), step("b", "a")))
    taken = {"sub": f.Given(run="old"), **given("sub/a")}
    check(
        flow(Step(id="sub", action=Flow(workflow=inner)), step("z", "sub")),
        """
        begin    → start sub/b
        sub/b ok → done sub, start z
        z ok     → succeeded
        """,
        "sub succeeded, z succeeded, sub/a reused, sub/b succeeded",
        given=taken,
    )


@pytest.mark.parametrize(
    ("script", "reason", "reuse"),
    [
        ("begin", "its fingerprint is being taken", ""),
        ("begin; a same", "it was not run: it succeeded with the same fingerprint in run old", ""),
        ("begin; a new", "attempt 1 runs", "it was not reused: since it succeeded in run old, `run` changed"),
        ("begin; a new; a ok", "the first attempt succeeded", "it was not reused: since it succeeded in run old, `run` changed"),
    ],
)
def test_why_it_was_reused_or_not(script: str, reason: str, reuse: str) -> None:
    story = Story(flow(step("a", reuse=True)))
    for line in script.split(";"):
        story.tell(line)
    said = why(story.state, 0)
    assert (said.reason, said.reuse) == (reason, reuse)


def test_why_else_it_was_not_reused() -> None:
    story = Story(flow(step("a", reuse=True), step("b", reuse=True)))
    story.tell("begin")
    story.turn([f.FingerprintTaken(at=0.0, step="a"), f.FingerprintTaken(at=0.0, step="b", note="it has no data")])
    stored = f.Stored(refused="`x` changed while it ran")
    story.turn([f.AttemptEnded(at=0.0, step="b", attempt=1, outcome="ok", output=Output(), stored=stored)])
    assert why(story.state, 0).reuse == "it was not reused: it has not succeeded before, as far as is known"
    assert (
        why(story.state, 1).reuse == "it was not reused: it has no data; it will not be reused either: `x` changed while it ran"
    )


def test_why_a_step_was_taken_or_left_out() -> None:
    story = Story(flow(step("a"), step("b")), given=given("a"), left_out=("b",))
    story.tell("begin")
    assert why(story.state, 0).reason == "it was not run: its output was taken from run old"
    assert why(story.state, 1).reason == "it was not selected when the run was started"


def test_the_audit_sees_what_was_run_though_it_should_not() -> None:
    story = Story(flow(step("a"), step("b")), given=given("a"), left_out=("b",))
    story.tell("begin")
    state: State = story.state
    state.left_out = frozenset("a")
    assert audit(state) == ["step `a` (reused) was not selected"]
    state.reused.clear()
    assert audit(state)[0] == "step `a` (reused) does not match what was taken from earlier runs"
