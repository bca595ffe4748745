"""Replay: the production core in virtual time over attempts of which it is known how they go.

- The one loop behind foresight, what-if and advice. Nothing is drawn, nothing fails that did not, nothing takes time but the
  attempts and the waits that the core decides.
- Attempt n of a step goes like the n-th that is known of it; beyond those like the last. One that is stopped ends at once if it
  would have succeeded, else when it is known to have ended.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heappop, heappush
from typing import Final, assert_never

import msgspec

from weft.core import facts as f
from weft.core.commands import (
    Command,
    EvaluateCondition,
    EvaluateGroup,
    EvaluateItems,
    EvaluateOutputs,
    LeaseUnits,
    Leave,
    OpenGate,
    ReturnLeases,
    StartAttempt,
    StopAttempt,
    TakeFingerprint,
)
from weft.core.decide import receive
from weft.core.facts import Fact, Limits, Observed
from weft.core.gates import can_be_left_out, question_at
from weft.core.state import State
from weft.model.errors import Bug
from weft.model.inputs import any_values
from weft.model.output import ErrorRecord, Output
from weft.model.paths import definition

OK: Final = f.AttemptEnded(at=0.0, step="", attempt=0, outcome="ok", output=Output())


class Tried(msgspec.Struct, frozen=True):
    """How an attempt goes: after so many seconds it ends like this."""

    took_s: float
    end: f.AttemptEnded = OK


class Past(msgspec.Struct, frozen=True, kw_only=True):
    """A run that can be played again. `created` holds its workflow, its seed and its estimates; a step of which no attempt is
    known takes no time and succeeds, an `if` of which no verdict is known is true. What is known of a step of the file goes for
    all instances of which nothing else is."""

    created: f.RunCreated
    limits: Limits
    tried: Mapping[str, Sequence[Tried]]
    verdicts: Mapping[str, f.ConditionEvaluated] = {}
    reused: Mapping[str, f.Given] = {}
    """Steps that were not run, with the output that they had before."""
    keys: Mapping[str, Sequence[str]] = {}
    """Those of the instances of each fan-out that was expanded; of another, no item is known."""
    pressure: Sequence[tuple[float, f.PressureObserved]] = ()
    """What the machine told of itself, and when, in seconds since the run began."""
    refused: Mapping[str, ErrorRecord] = {}
    """Why steps failed of which no attempt is known: what they asked for could not be evaluated."""
    answers: Mapping[str, tuple[float, f.GateAnswered | None]] = {}
    """For gates that were opened: how long afterwards they were answered, in seconds, and how, if they were. All others are
    approved at once."""


def past_of(facts: Iterable[Fact]) -> Past:
    """What the facts of a run tell of how it went, with the limits of its last engine. Raises ValueError if they hold no run.

    An attempt that an engine took with it tells nothing: that was no doing of the workflow.
    """
    created, limits = None, Limits()
    started: dict[str, float] = {}
    tried: dict[str, list[Tried]] = {}
    verdicts, keys, refused, reused = {}, {}, {}, {}
    pressure: list[tuple[float, f.PressureObserved]] = []
    opened, answers = dict[str, float](), dict[str, tuple[float, f.GateAnswered | None]]()
    passed_s = last = 0.0
    for fact in facts:
        passed_s += 0.0 if isinstance(fact, f.EngineAttached | f.RunCreated) else fact.at - last
        last = fact.at
        match fact:
            case f.GateOpened():
                opened[fact.gate] = passed_s
                answers[fact.gate] = 0.0, None
            case f.GateAnswered():
                answers[fact.gate] = passed_s - opened[fact.gate], fact
            case f.PressureObserved():
                pressure.append((passed_s, fact))
            case f.AttemptStarted():
                started[fact.step] = fact.at
            case f.AttemptEnded():
                tried.setdefault(fact.step, []).append(Tried(fact.at - started[fact.step], fact))
            case f.ConditionEvaluated():
                verdicts[fact.step] = fact
            case f.StepsAdded() if fact.parent and not fact.steps:
                keys[fact.parent] = fact.keys
            case f.StepReused():
                reused[fact.step] = f.Given(run=fact.run, output=fact.output)
            case f.StepFailed() | f.FallbackStarted() if fact.step not in tried and fact.step not in refused:
                refused[fact.step] = fact.error
            case f.RetryRequested():  # what had not succeeded began anew
                tried = {step: of for step, of in tried.items() if of[-1].end.outcome == "ok"}
                verdicts = {step: verdict for step, verdict in verdicts.items() if step in tried}
                refused.clear()
            case f.EngineAttached():
                limits = fact.limits
            case f.RunCreated():
                created = fact
    if created is None:
        raise ValueError("a run begins with its creation")
    return Past(
        created=created,
        limits=limits,
        tried=tried,
        verdicts=verdicts,
        keys=keys,
        refused=refused,
        reused=reused,
        pressure=tuple(pressure),
        answers=answers,
    )


class Player:
    """Plays a past once. `now` is the time that has passed, `state` the core's."""

    def __init__(self, past: Past) -> None:
        self.past = past
        self.state = State()
        self.now = 0.0
        self._count = 0
        self._events: list[tuple[float, int, f.AttemptEnded | f.PressureObserved | f.GateAnswered | f.PoolLeased]] = []
        for when, fact in past.pressure:
            self._count += 1
            heappush(self._events, (when, self._count, fact))
        self._left = False

    def play(self) -> Iterator[Fact]:
        """The facts, up to the end of the run. Raises Bug if it does not come to one."""
        attached = f.EngineAttached(at=0.0, pid=0, host="", limits=self.past.limits, stays=True)
        observed: list[Observed] = [self.past.created, attached]
        while not self._left:
            turn = receive(self.state, observed, self.now)
            yield from turn.facts
            observed = [fact for command in turn.commands if (fact := self._perform(command))]
            while self._events and self._events[0][0] <= self.now and isinstance(self._events[0][2], f.PressureObserved):
                observed.append(heappop(self._events)[2])  # of the same instant: who starts now starts under it
            if not observed and not self._left:
                self._move(turn.wake_at)
                while self._events and self._events[0][0] <= self.now:
                    event = heappop(self._events)[2]
                    observed.append(self._as_far_as_can_be(event) if isinstance(event, f.GateAnswered) else event)

    def _move(self, wake_at: float | None) -> None:
        """To the next instant at which something happens."""
        times = [self._events[0][0]] if self._events else []
        times += [] if wake_at is None else [wake_at]
        if not times:
            raise Bug("a replay has nothing more to wait for, and its run has not ended")
        self.now = min(times)

    def _tried(self, step: str, attempt: int) -> Tried:
        known = self.past.tried.get(step) or self.past.tried.get(definition(step), (Tried(0.0),))
        return known[min(attempt, len(known)) - 1]

    def _asked(self, gate: str) -> Observed:
        question = question_at(self.state, gate)
        assert question is not None
        yes = f.GateAnswered(at=0.0, gate=gate, answer="approve", form=any_values(question.form))
        waited_s, answer = self.past.answers.get(gate, (0.0, yes))
        if answer and answer.answer == "approve" and not answer.by:  # silence filled in no form
            answer = msgspec.structs.replace(answer, form=yes.form)
        error = None if gate in self.past.answers else self.past.refused.get(gate)
        if question.answer is not None:
            return f.GateOpened(at=0.0, gate=gate, error=error, said=answer and self._as_far_as_can_be(answer))
        self._count += 1
        if answer:
            heappush(self._events, (self.now + waited_s, self._count, answer))
        return f.GateOpened(at=0.0, gate=gate, error=error)

    def _as_far_as_can_be(self, answer: f.GateAnswered) -> f.GateAnswered:
        """An answer without the steps that have begun this time, when it would leave them out."""
        skip = [id_ for id_ in answer.skip if id_ in self.state.graph.index and can_be_left_out(self.state, id_)]
        return msgspec.structs.replace(answer, skip=skip)

    def _perform(self, command: Command) -> Observed | None:
        match command:
            case StartAttempt(step=step, attempt=attempt):
                self._count += 1
                tried = self._tried(step, attempt)
                end = msgspec.structs.replace(tried.end, step=step, attempt=attempt)
                heappush(self._events, (self.now + tried.took_s, self._count, end))
            case StopAttempt(step=step, attempt=attempt):
                if self._tried(step, attempt).end.outcome == "ok":  # that end, when it comes, finds nobody
                    return f.AttemptEnded(at=0.0, step=step, attempt=attempt, outcome="cancelled")
            case EvaluateCondition(step=step):
                return self.past.verdicts.get(step, f.ConditionEvaluated(at=0.0, step=step, verdict=True))
            case TakeFingerprint(step=step):
                return f.FingerprintTaken(at=0.0, step=step, found=self.past.reused.get(step))
            case EvaluateItems(step=step):
                return f.ItemsEvaluated(
                    at=0.0,
                    step=step,
                    keys=list(self.past.keys.get(step) or self.past.keys.get(definition(step), ())),
                    error=None if step in self.past.keys else self.past.refused.get(step),
                )
            case EvaluateGroup(step=step):
                return f.GroupEvaluated(at=0.0, step=step, error=self.past.refused.get(step))
            case OpenGate(gate=gate):
                return self._asked(gate)
            case EvaluateOutputs():
                return f.OutputsEvaluated(at=0.0, outputs={})
            case LeaseUnits(units=units, count=count):  # of what other runs held nothing is known
                for _ in range(count):
                    self._count += 1
                    heappush(self._events, (self.now, self._count, f.PoolLeased(at=0.0, units=units)))
            case ReturnLeases():
                pass
            case Leave():
                self._left = True
            case _:
                assert_never(command)
        return None
