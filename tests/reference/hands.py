"""The production core in virtual time, under hands that do what is given and nothing else.

- All that happens at one instant is told in one turn: ends in the order of the steps, then what people ask.
- Conditions and items are evaluated by the engine's own `Values`.
"""

from math import inf
from typing import Literal

from given import Given
from msgspec.structs import replace

from weft.app import limits_of
from weft.core import facts as f
from weft.core.commands import (
    EvaluateCondition,
    EvaluateGroup,
    EvaluateItems,
    EvaluateOutputs,
    OpenGate,
    StartAttempt,
    StopAttempt,
)
from weft.core.decide import receive
from weft.core.facts import Fact, Observed
from weft.core.state import State
from weft.core.status import Status
from weft.core.turn import Turn
from weft.engine.values import Values
from weft.journal.memory import MemoryStore
from weft.model.output import ErrorRecord, Output, Usage
from weft.model.workflow import Workflow

TURNS_MAX = 2_000
"""The graphs are small; far more means that a run turns in circles."""


_CLASSES = {"need_failed": "failure", "needs_skipped": "condition", "not_needed": "condition"}


class Hands:
    def __init__(self, workflow: Workflow, given: Given) -> None:
        self.given = given
        self.state = State()
        self.now = 0.0
        self.starts: list[tuple[float, str, int]] = []
        self.facts: list[Fact] = []
        self.created = f.RunCreated(at=0.0, run="r", workflow=workflow, inputs={}, seed=0, estimates=given.learned_s)
        self.limits = limits_of(workflow.max_parallel, given.cpus)
        self.values = Values(self.state, self.created, MemoryStore(), {})
        self.ends: dict[str, tuple[float, f.AttemptEnded]] = {}
        self.answers: list[tuple[float, f.GateAnswered]] = []
        self.cancelled = False

    def run(self) -> str:
        """Play to the end; how it ended."""
        attached = f.EngineAttached(at=0.0, pid=1, host="h", limits=self.limits, stays=True)
        observed: list[Observed] = [self.created, attached]
        for _ in range(TURNS_MAX):
            turn = receive(self.state, observed + self.due(), self.now)
            self.facts += turn.facts
            observed = self.perform(turn)
            if self.state.ended:
                return self.state.ended.status
            if not observed:
                self.move(turn.wake_at)
        raise AssertionError("the run turns in circles")

    def move(self, wake_at: float | None) -> None:
        times = [at for at, _ in [*self.ends.values(), *self.answers]]
        times += [] if wake_at is None else [wake_at]
        if self.given.cancel_at_s < inf and not self.cancelled:
            times.append(self.given.cancel_at_s)
        assert times, "nothing will ever happen again"
        self.now = min(times)

    def due(self) -> list[Observed]:
        ready = sorted(step for step, (at, _) in self.ends.items() if at <= self.now)
        observed: list[Observed] = [self.ends.pop(step)[1] for step in sorted(ready, key=self.state.graph.index.__getitem__)]
        observed += [answer for at, answer in self.answers if at <= self.now]
        self.answers = [(at, answer) for at, answer in self.answers if at > self.now]
        if self.given.cancel_at_s <= self.now and not self.cancelled:
            self.cancelled = True
            observed.append(f.CancelRequested(at=0.0, by="somebody"))
        return observed

    def perform(self, turn: Turn) -> list[Observed]:
        answers: list[Observed] = []
        for command in turn.commands:
            match command:
                case StartAttempt(step=step, attempt=attempt):
                    self.starts.append((self.now, step, attempt))
                    seconds, outcome = self.given.attempt(step, attempt)
                    self.ends[step] = (self.now + seconds, _end(step, attempt, outcome))
                case StopAttempt(step=step, attempt=attempt):
                    self.ends[step] = (self.now + self.given.stop_s, _end(step, attempt, "cancelled"))
                case EvaluateCondition(step=step):
                    answers.append(self.values.condition(step))
                case EvaluateItems(step=step):
                    answers.append(self.values.items(step))
                case OpenGate(gate=gate):
                    seconds, said = self.given.answer(gate)
                    answer: Literal["approve", "reject"] = "approve" if said == "approve" else "reject"
                    answers.append(f.GateOpened(at=0.0, gate=gate))
                    self.answers.append((self.now + seconds, f.GateAnswered(at=0.0, gate=gate, answer=answer, by="somebody")))
                case EvaluateGroup(step=step):
                    answers.append(f.GroupEvaluated(at=0.0, step=step, output=Output()))
                case EvaluateOutputs():
                    answers.append(f.OutputsEvaluated(at=0.0, outputs={}))
        return answers

    def steps(self) -> dict[str, tuple[str, str]]:
        """Status and class of the reason of every step."""
        return {id_: self._step(i) for i, id_ in enumerate(self.state.graph.ids)}

    def _step(self, i: int) -> tuple[str, str]:
        state, status = self.state, self.state.status[i]
        reason = ""
        if status is Status.FAILED:
            reason = state.errors[i].kind
        elif status is Status.CANCELLED:
            reason = state.stop_causes[i]
        elif status is Status.SKIPPED:
            reason = _CLASSES.get(state.skips[i].reason, state.skips[i].reason)
        return status.name.lower(), reason


def _end(step: str, attempt: int, outcome: str) -> f.AttemptEnded:
    """Each attempt uses one token."""
    ended = f.AttemptEnded(at=0.0, step=step, attempt=attempt, outcome="ok", output=Output(), usage=Usage(tokens_out=1))
    if outcome == "ok":
        return ended
    error = ErrorRecord(kind=outcome, message="as given")  # type: ignore[arg-type]
    return replace(ended, outcome="cancelled" if outcome == "cancelled" else "failed", output=None, error=error)
