"""Causes: each command waits for exactly the facts that it depends on, and facts stand in the order in which they follow."""

import pytest
from story import Story, flow, replay, step

from weft.core import facts as f
from weft.core.apply import apply
from weft.core.commands import Command, Leave, StartAttempt, StopAttempt
from weft.core.decide import receive
from weft.core.facts import Fact
from weft.core.state import State
from weft.model.errors import Bug
from weft.model.workflow import Workflow


def told(command: Command) -> str:
    match command:
        case StartAttempt(step=step, after=after):
            return f"start {step} after {after}"
        case StopAttempt(step=step, after=after):
            return f"stop {step} after {after}"
        case Leave(after=after):
            return f"leave after {after}"
    return f"ask after {command.after}"


def test_every_fact_has_its_number() -> None:
    """The facts of one story, numbered; the tables below count on it."""
    story = Story(flow(step("a"), step("b", "a")))
    for line in ("begin", "a ok", "b fails"):
        story.tell(line)
    assert [type(fact).__name__ for fact in story.facts] == [
        *("RunCreated", "EngineAttached", "StepsReady", "AttemptStarted"),
        *("AttemptEnded", "StepsReady", "AttemptStarted"),
        *("AttemptEnded", "StepFailed", "RunEnded"),
    ]


@pytest.mark.parametrize(
    ("workflow", "script"),
    [
        pytest.param(
            flow(step("a"), step("b", "a"), step("c")),
            """
            begin → start a after 1, start c after 1
            a ok  → start b after 6
            b ok  →
            c ok  → leave after 11
            """,
            id="a root waits for the run to exist, another step for its last need, the end for itself",
        ),
        pytest.param(
            flow(step("a"), step("b", "a"), step("c")),
            """
            begin      → start a after 1, start c after 1
            c ok, a ok → start b after 7
            """,
            id="the need, not what came with it",
        ),
        pytest.param(
            flow(step("a"), step("b"), step("c", "a b")),
            """
            begin      → start a after 1, start b after 1
            b ok       →
            a ok       → start c after 7
            """,
            id="the last of two needs",
        ),
        pytest.param(
            flow(step("a", resources={"p": 1}), step("b", resources={"p": 1}), pools={"p": 1}),
            """
            begin → start a after 1
            a ok  → start b after 1
            """,
            id="whose slot it gets is nothing that it depends on",
        ),
        pytest.param(
            flow(step("a", retry=1)),
            """
            begin   → start a after 1
            a fails →
            +1      → start a after 5
            """,
            id="another attempt waits for the end of the last",
        ),
        pytest.param(
            flow(step("a"), step("b", "a", condition="always()")),
            """
            begin  → start a after 1
            a ok   → ask after 0
            b true → start b after 6
            """,
            id="a step with an `if` waits for its verdict; asking depends on nothing",
        ),
        pytest.param(
            flow(step("a"), step("b", "a"), step("c"), schedule="layers"),
            """
            begin → start a after 1, start c after 1
            a ok  →
            c ok  → start b after 7
            """,
            id="layers: the end of the layer before",
        ),
        pytest.param(
            flow(step("a", condition="inputs.go"), step("b", "a", condition="always()")),
            """
            begin   → ask after 0
            a false → ask after 0
            b true  → start b after 5
            """,
            id="a skip is a cause like any other",
        ),
        pytest.param(
            flow(step("a", timeout_s=5.0), step("b", on_error="stop")),
            """
            begin   → start a after 1, start b after 1
            +5      → stop a after 6
            b fails →
            a ok    → leave after 11
            """,
            id="a stop waits for its cause",
        ),
        pytest.param(
            flow(step("a"), step("b")),
            """
            begin      → start a after 1, start b after 1
            kill       → stop a after 7, stop b after 8
            a ok, b ok → leave after 11
            crash      → start a after 9, start b after 10
            """,
            id="a resumed step waits for the loss of its last attempt",
        ),
    ],
)
def test_causes(workflow: Workflow, script: str) -> None:
    story = Story(workflow)
    lines = [line.strip() for line in script.strip().splitlines()]
    heard = []
    for line in lines:
        what = line.partition("→")[0]
        commands = story.tell(what).commands
        heard.append(f"{what}→ {', '.join(map(told, commands))}".rstrip())
    assert heard == lines


def test_a_replayed_state_names_the_same_causes() -> None:
    story = Story(flow(step("a"), step("b", "a"), step("c"), schedule="layers"))
    for line in ("begin", "a ok", "c ok"):
        story.tell(line)
    assert replay(story.facts).depends_on(1) == story.state.depends_on(1) == 7


@pytest.mark.parametrize(
    ("fact", "what"),
    [
        (f.AttemptStarted(at=0.0, step="b", attempt=1), "step `b` is waiting, where started has no place (fact 5)"),
        (f.StepsReady(at=0.0, steps=["a"]), "step `a` is running, where ready has no place (fact 5)"),
        (f.AttemptEnded(at=0.0, step="a", attempt=2, outcome="ok"), "attempt 2 of step `a` is not alive (fact 5)"),
        (f.AttemptLost(at=0.0, step="b", attempt=1), "attempt 1 of step `b` is not alive (fact 5)"),
    ],
)
def test_a_fact_out_of_place_is_a_bug(fact: Fact, what: str) -> None:
    story = Story(flow(step("a"), step("b", "a")))
    story.tell("begin")
    with pytest.raises(Bug, match="^" + what.replace("(", r"\(").replace(")", r"\)") + "$"):
        apply(story.state, fact)


def test_time_never_runs_backwards() -> None:
    story = Story(flow(step("a", retry=1)))
    story.now = 100.0
    story.tell("begin")
    story.now = 90.0
    story.tell("a fails")
    assert [fact.at for fact in story.facts] == [100.0] * 6
    assert story.state.backoff_until == {0: 101.0}


def test_a_state_without_a_run_decides_nothing() -> None:
    turn = receive(State(), [], 1.0)
    assert (turn.facts, turn.commands, turn.wake_at) == ([], [], None)
