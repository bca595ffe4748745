"""Answers that do not count, with the reason, and what is said about gates."""

import msgspec
import pytest
from story import Story, flow, step

from weft.core import facts as f
from weft.core.gates import refusal, with_injected
from weft.core.why import why
from weft.model.workflow import Approve, Input, Sleep, Step

ASK = Approve(message="Yes?")
GATES = Approve()


def open_gates() -> Story:
    form = Approve(message="Yes?", form={"n": Input(type="integer", required=True), "s": Input(default="x", choices=("x", "y"))})
    story = Story(
        flow(
            step("a"),
            step("form", approve=form),
            step("gate", gate=ASK, inputs={"day": "today"}),
            step("late", approve=Approve(message="Yes?", timeout_s=5.0)),
            step("b", "a"),
            pools={"red": 1},
        )
    )
    for line in ("begin staying", "form opened, gate opened, late opened"):
        story.tell(line)
    return story


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (f.GateAnswered(at=0.0, gate="frm", answer="approve"), "nothing is asked at `frm` now; did you mean `form`?"),
        (f.GateAnswered(at=0.0, gate="a", answer="approve"), "nothing is asked at `a` now"),
        (f.GateAnswered(at=0.0, gate="form", answer="approve"), "field `n` of the form is missing"),
        (f.GateAnswered(at=0.0, gate="form", answer="approve", form={"n": "1"}), "field `n` of the form must be an integer"),
        (
            f.GateAnswered(at=0.0, gate="form", answer="approve", form={"n": 1, "s": "z"}),
            '`s` of the form is none of ["x","y"]',
        ),
        (f.GateAnswered(at=0.0, gate="form", answer="approve", form={"n": 1, "m": 1}), "`m` is not a field of the form"),
        (f.GateAnswered(at=0.0, gate="form", answer="reject", form={"n": 1}), "a form is filled in with an approval only"),
        (f.GateAnswered(at=0.0, gate="gate", answer="approve", inputs={"dy": 1}), "`dy` in its `with`; did you mean `day`?"),
        (f.GateAnswered(at=0.0, gate="gate", answer="approve", inputs={"zz": 1}), "step `gate` has no `zz` in its `with`"),
        (f.GateAnswered(at=0.0, gate="gate", answer="reject", inputs={"day": 1}), "`with` is changed with an approval only"),
        (f.GateAnswered(at=0.0, gate="gate", answer="reject", skip=["b"]), "skipped and injected with an approval only"),
        (f.GateAnswered(at=0.0, gate="gate", answer="approve", skip=["a"]), "step `a` has begun and cannot be skipped"),
    ],
)
def test_an_answer_that_is_wrong_is_refused_with_the_reason(answer: f.GateAnswered, says: str) -> None:
    story = open_gates()
    assert says in refusal(story.state, answer, 0.0)
    assert not story.turn([answer]).facts


def test_a_form_is_filled_up_with_its_defaults() -> None:
    story = open_gates()
    story.tell("approve form form n=3, approve gate with day=tomorrow")
    done = next(fact for fact in story.facts if isinstance(fact, f.StepSucceeded))
    assert done.output is not None
    assert msgspec.json.decode(done.output.inline)["form"] == {"n": 3, "s": "x"}
    assert story.state.answers["gate"].inputs == {"day": "tomorrow"}


def test_an_answer_after_its_time_or_after_the_end_is_refused() -> None:
    story = open_gates()
    yes = f.GateAnswered(at=0.0, gate="late", answer="approve", by="anna")
    assert refusal(story.state, yes, 5.0) == "the time to answer `late` is over"
    story.tell("cancel")
    assert refusal(story.state, yes, 0.0) == "`late` needs no answer any more"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (f.GateAnswered(at=0.0, gate="layer#0", answer="approve", inputs={"x": 1}), "stands before a layer"),
        (f.GateAnswered(at=0.0, gate="layer#0", answer="reject", replan=True), "with an approval only"),
        (f.GateAnswered(at=0.0, gate="layer#0", answer="approve", skip=["bb"]), "there is no step `bb`; did you mean `b`?"),
        (f.GateAnswered(at=0.0, gate="layer#0", answer="approve", skip=["zzz"]), "there is no step `zzz`"),
        (f.GateAnswered(at=0.0, gate="layer#0", answer="approve", skip=["a"]), "step `a` is over and cannot be skipped"),
        (f.GateAnswered(at=0.0, gate="layer#0", answer="approve", inject=[step("b")]), "there is a step `b` already"),
        (f.GateAnswered(at=0.0, gate="layer#0", answer="approve", inject=[step("n", "x")]), "needs `x`, which does not exist"),
        (f.GateAnswered(at=0.0, gate="layer#0", answer="approve", inject=[step("n"), step("n")]), "two of the new steps"),
        (f.GateAnswered(at=0.0, gate="layer#0", answer="approve", inject=[step("n", "m"), step("m", "n")]), "form a cycle"),
        (
            f.GateAnswered(at=0.0, gate="layer#0", answer="approve", inject=[step("n", resources={"red": 2})]),
            "asks for 2 of pool `red`, which there is not",
        ),
        (
            f.GateAnswered(at=0.0, gate="layer#0", answer="approve", inject=[step("n", "a", wired="a")]),
            "is wired to `a`, which has begun",
        ),
        (
            f.GateAnswered(at=0.0, gate="layer#0", answer="approve", inject=[step("n", role="fallback", resources={"blue": 9})]),
            "must be an ordinary one",
        ),
    ],
)
def test_a_plan_that_is_wrong_is_refused_with_the_reason(answer: f.GateAnswered, says: str) -> None:
    story = Story(flow(step("a"), step("b", "a"), gates=GATES, pools={"red": 1, "blue": None}))
    for line in ("begin", "a ok", "layer#0 opened"):
        story.tell(line)
    assert says in refusal(story.state, answer, 0.0)


@pytest.mark.parametrize(
    ("need", "says"),
    [("x", "does not exist"), ("f", "is a fallback: need the step that names it"), ("z", "belongs to `finally`")],
)
def test_what_a_new_step_cannot_need(need: str, says: str) -> None:
    story = Story(
        flow(step("a", fallback="f"), step("b", "a"), step("f", role="fallback"), step("z", role="finally"), gates=GATES)
    )
    for line in ("begin", "a ok", "layer#0 opened"):
        story.tell(line)
    answer = f.GateAnswered(at=0.0, gate="layer#0", answer="approve", inject=[step("n", need)])
    assert f"the new step `n` needs `{need}`, which {says}" in refusal(story.state, answer, 0.0)


def test_new_steps_are_part_of_the_workflow_from_then_on() -> None:
    workflow = flow(step("a"), step("b", "a"), gates=GATES)
    story = Story(workflow)
    for line in ("begin", "a ok", "layer#0 opened", "crash, approve layer#0 inject n:a"):
        story.tell(line)
    more = f.GateAnswered(at=0.0, gate="layer#1", answer="approve", inject=[step("m")])
    assert [each.id for each in with_injected(workflow, story.state, [more]).steps] == ["a", "b", "n", "m"]


def test_a_run_can_only_become_so_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.core.gates.STEPS_MAX", 3)
    story = Story(flow(step("a"), step("b", "a"), gates=GATES))
    for line in ("begin staying", "a ok", "layer#0 opened"):
        story.tell(line)
    many = f.GateAnswered(at=0.0, gate="layer#0", answer="approve", inject=[step("n"), step("m")])
    assert "more than 3 steps" in refusal(story.state, many, 0.0)


# ---- why ----


def reason(story: Story, id_: str) -> str:
    return why(story.state, story.state.graph.index[id_]).reason


def test_why_tells_of_gates() -> None:
    ask = Approve(message="Yes?", timeout_s=5.0)
    story = Story(flow(step("a", approve=ask), step("b", gate=ASK), step("c", approve=ASK)))
    story.tell("begin staying")
    assert reason(story, "a") == "what is asked at its gate is being evaluated"
    story.tell("a opened, b opened, c opened")
    assert reason(story, "a") == "somebody must approve it (`weft approve RUN a`): Yes?"
    assert why(story.state, 0).until == 5.0
    story.tell("approve c, reject b")
    assert reason(story, "b") == "anna rejected it"
    assert reason(story, "c") == "anna approved it"
    story.tell("+5")
    assert reason(story, "a") == "its timeout rejected it: nobody answered within 5s"


def test_why_tells_of_gates_between_layers() -> None:
    story = Story(flow(step("a"), step("b", "a"), step("c", "a"), step("d", "b"), gates=Approve(timeout_s=5.0)))
    story.tell("begin staying")
    story.tell("a ok")
    assert reason(story, "b") == "layer 1 starts when somebody says so, and what is asked at `layer#0` is being evaluated"
    story.turn([f.GateOpened(at=0.0, gate="layer#0", message="Go on?")])
    assert reason(story, "b") == "layer 1 starts when somebody says so (`weft approve RUN layer#0`): Go on?"
    assert why(story.state, 1).until == 5.0
    story.tell("approve layer#0 skip b")
    assert reason(story, "b") == "it was skipped at the gate `layer#0`: anna approved it"
    assert reason(story, "d") == "`gates: each-layer` lets layer 2 start after `c`"


def test_why_a_fan_out_was_rejected() -> None:
    story = Story(flow(Step(id="a", action=ASK, for_each="${{ items }}"), Step(id="b", action=Sleep(seconds=1.0), gate=ASK)))
    for line in ("begin staying", "a items x", "a[x] opened, b opened", "reject a[x]"):
        story.tell(line)
    assert reason(story, "a") == "one of its steps was rejected"
