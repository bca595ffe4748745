"""The simulator: the production core in virtual time, with a journal that lags, attempts that fail, hang and answer twice, and
crashes at any fact.

The core is judged by `core.audit` and by what is seen from outside, never by its own word. The same seed gives the same facts.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from random import Random
from typing import Final, Literal, NoReturn

import msgspec

from weft.core import facts as f
from weft.core.apply import apply
from weft.core.audit import audit
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
from weft.core.gates import question_at
from weft.core.growth import grown
from weft.core.retry import draw
from weft.core.state import State
from weft.model.errors import WeftError
from weft.model.inputs import any_values
from weft.model.output import ErrorKind, ErrorRecord, Output, Usage
from weft.model.workflow import Sleep, Step, Workflow
from weft.sim.chronicle import Chronicle
from weft.sim.lending import Lender
from weft.sim.outside import Outside, doubts, truth
from weft.sim.pacing import Pacing

TURNS_MAX: Final = 20_000
"""Per step of the workflow, a run takes a few turns; far more means that it turns in circles."""
USES: Final = 0.3
"""The chance that an attempt reports what it has used."""
KEYS: Final = ("a", "b", "c")
"""Of pools with `per`."""
ITEMS_MAX: Final = 5
"""More instances of a fan-out take longer and show nothing new."""
BUSY: Final = 0.5
"""The chance that another run has what a lease is asked for."""
PRESSURE: Final = 0.2
"""The chance of a batch to tell how hard the machine works, if anybody wants to know."""
PATIENCE_S: Final = 20.0
"""How long people take to answer, at most."""
CRASHES_MAX: Final = 20
"""A resume reads all facts, so a run that is killed again and again takes time in the square of its crashes."""


class Violation(WeftError):
    """The core broke a rule. The text holds the seed and the story."""


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """Chances, each between 0 and 1, per attempt or per turn."""

    fail: float = 0.0
    hang: float = 0.0
    echo: float = 0.0
    """An attempt reports its process too, and its end a second time."""
    crash: float = 0.0
    cancel: float = 0.0
    suspend: float = 0.0
    retry: float = 0.0
    """Per end of the run that is no success."""
    give: float = 0.0
    """Per step: its output is taken from an earlier run."""
    leave_out: float = 0.0
    """Per step: it is not selected."""
    durable_lag_s: float = 0.0
    slow_s: float = 0.0
    """The engine is late by up to so many seconds, and is then told all that has happened at once."""
    look_s: float = 0.0
    """To take a fingerprint takes up to so many seconds."""
    whole_seconds: bool = False
    """All takes whole seconds, so that much happens at the same instant."""


class World:
    """One simulated run. `play` goes on to its end and returns all facts; `state` is the last state of the core."""

    def __init__(
        self, workflow: Workflow, *, seed: int = 0, limits: Limits | None = None, faults: Faults | None = None, check: bool = True
    ) -> None:
        self.workflow = workflow
        self.seed = seed
        self.limits = limits or Limits()
        self.faults = faults or Faults()
        self.check = check
        self.random = Random(seed)
        self.outside = Outside(workflow)
        self.pacing = Pacing()
        self.chronicle = Chronicle()
        self.lender = Lender(workflow)
        self.state = State()
        self.saved = State()
        self.facts: list[Fact] = []
        self.now = 0.0
        self.turns = 0
        self.crashes = 0
        self.left = False
        self._count = 0
        self._events: list[tuple[float, int, Observed | int]] = []
        self._commands: list[tuple[int, int, Command]] = []
        self._wake_at: float | None = None

    def play(self) -> list[Fact]:
        """Run to the end. Raises Violation if the core breaks a rule."""
        ids = [step.id for step in self.workflow.steps]
        selectable = {step.id for step in self.workflow.steps if step.role == "step"}
        learned = {id_: 10 * draw(self.seed, id_, -3) for id_ in ids if draw(self.seed, id_, -2) < 0.2}
        created = f.RunCreated(
            at=0.0,
            run="sim",
            workflow=self.workflow,
            inputs={},
            seed=self.seed,
            estimates=learned,
            given=dict(self._given()),
            left_out=tuple(id_ for id_ in ids if draw(self.seed, id_, -7) < self.faults.leave_out and id_ in selectable),
        )
        self.outside.reused.update(created.given)
        self.outside.left_out.update(created.left_out)
        self._turn([created, f.EngineAttached(at=self.now, pid=1, host="sim", limits=self.limits)])
        while not (self.saved.ended and self.saved.seq == self.state.seq) or self._tries_again():
            self.turns += 1
            if self.turns > TURNS_MAX + 100 * len(self.state.steps):
                self._fail("the run does not come to an end")
            if self.left or (self.crashes < CRASHES_MAX and self.random.random() < self.faults.crash):
                self._restart()
            else:
                self._turn(self._next_batch())
        self._insist(self.outside.over(self.saved))
        if self.check and truth(self.saved) != truth(self.state):
            self._fail("the state is not what its facts make of it")
        return self.facts

    def _given(self) -> Iterator[tuple[str, f.Given]]:
        """Steps of which the outputs are taken from an earlier run, and fan-outs that have their instances from there."""
        all_given = set[str]()
        for step in (each for each in self.workflow.steps if each.role == "step"):
            if draw(self.seed, step.id, -6) < self.faults.give and draw(self.seed, step.id, -7) >= self.faults.leave_out:
                keys = ("0", "1") if step.for_each is not None else ()
                parts = grown(step, keys) if step.grows else []
                again = {part.id for part in parts if all_given.issuperset(step.needs) and draw(self.seed, part.id, -6) < 0.3}
                if any(part.grows or part.role == "fallback" for part in parts):
                    continue
                yield step.id, f.Given(run="before", keys=keys, output=None if step.grows else Output())
                yield from ((part.id, f.Given(run="before", output=Output())) for part in parts if part.id not in again)
                all_given |= set() if again else {step.id}

    # ---- time ----

    def _some_time(self, max_s: float) -> float:
        return self._rounded(self.random.random() * max_s)

    def _rounded(self, seconds: float) -> float:
        return float(round(seconds)) if self.faults.whole_seconds else seconds

    def _post(self, delay_s: float, event: Observed | int) -> None:
        self._count += 1
        heappush(self._events, (self.now + delay_s, self._count, event))

    def _next_batch(self) -> list[Observed]:
        """Move to the next instant and take all that happens then; a number among the events is a commit of the journal."""
        times = [self._events[0][0]] if self._events else []
        if self._wake_at is not None:
            times.append(self._wake_at)
        if not times:
            self._fail("nothing will ever happen again")
        self.now = max(self.now, min(times)) + self._some_time(self.faults.slow_s)
        batch: list[Observed] = []
        while self._events and self._events[0][0] <= self.now:
            event = heappop(self._events)[2]
            if isinstance(event, int):
                self._save(event)
                continue
            if isinstance(event, f.PoolLeased) and not self.lender.grants(event):
                continue
            if isinstance(event, f.AttemptEnded):
                self.outside.end(event.step, event.attempt)
            batch.append(event)
        if self.random.random() < self.faults.cancel:
            batch.append(f.CancelRequested(at=self.now, by="sim"))
        if self.random.random() < self.faults.suspend:
            batch.append(f.SuspendRequested(at=self.now, how=self.random.choice(("drain", "kill"))))
        if self.limits.adaptive and self.random.random() < PRESSURE:
            batch.append(f.PressureObserved(at=self.now, cpu=self.random.random(), memory=self.random.choice((0.0, 0.5))))
        return batch

    def _turn(self, observed: list[Observed]) -> None:
        turn = receive(self.state, observed, self.now)
        self.facts += turn.facts
        for command in turn.commands:
            self._count += 1
            heappush(self._commands, (command.after, self._count, command))
        if turn.facts and self.faults.durable_lag_s:
            self._post(self._some_time(self.faults.durable_lag_s), len(self.facts))
            self._save(self.saved.seq)
        else:
            self._save(len(self.facts))
        self._wake_at = turn.wake_at
        if self.check and (turn.facts or turn.commands):
            self._insist(audit(self.state))
            self._insist(doubts(turn))

    # ---- the hands ----

    def _save(self, seq: int) -> None:
        """Facts up to `seq` are on disk: completions may be believed, and commands performed."""
        for fact in self.facts[self.saved.seq : seq]:
            apply(self.saved, fact)
            if isinstance(fact, f.StepsAdded | f.RunCreated):
                self.outside.steps.update({step.id: step for step in self.saved.steps[len(self.outside.steps) :]})
            self.outside.saved(fact)
            if self.check:
                self._insist(self.pacing.saved(fact, self.saved))
                self._insist(self.chronicle.saved(fact, self.saved))
            if isinstance(fact, f.GateOpened):
                self._ask(fact.gate)
            elif isinstance(fact, f.StepInterrupted):
                self._post(self._some_time(PATIENCE_S), self._told(self.saved.graph.index[fact.step]))
        while self._commands and self._commands[0][0] <= self.saved.seq:
            self._perform(heappop(self._commands)[2])

    def _perform(self, command: Command) -> None:
        match command:
            case StartAttempt(step=step, attempt=attempt):
                self._insist(self.outside.start(step, attempt, self.limits, self.saved))
                self._insist(self.lender.start(step, self.outside.steps[step].resources))
                self._begin(step, attempt)
            case StopAttempt(step=step, attempt=attempt):
                self._insist(self.outside.stop(step, attempt, self.saved))
                self._post(self._some_time(1.0), self._end(step, attempt, self.random.choice(("ok", "failed", "cancelled"))))
            case EvaluateCondition(step=step):
                self._post(0.0, self._evaluated(step))
            case TakeFingerprint(step=step):
                found = f.Given(run="before", output=Output()) if draw(self.seed, step, -5) < 0.4 else None
                self.chronicle.reusable |= {step} if found else set()
                self._post(self._some_time(self.faults.look_s), f.FingerprintTaken(at=0.0, step=step, found=found))
            case EvaluateItems(step=step):
                chance = draw(self.seed, step, -1)  # the same items whenever they are asked for
                error = ErrorRecord(kind="input", message="no list") if chance > 0.95 else None
                self._post(0.0, f.ItemsEvaluated(at=0.0, step=step, keys=self._keys(step, chance), error=error))
            case EvaluateGroup(step=step):
                error = ErrorRecord(kind="input", message="no such path") if draw(self.seed, step, -4) > 0.9 else None
                self._post(0.0, f.GroupEvaluated(at=0.0, step=step, output=None if error else Output(), error=error))
            case OpenGate(gate=gate):
                error = ErrorRecord(kind="input", message="no such path") if draw(self.seed, gate, -5) > 0.95 else None
                self._post(0.0, _opened(self.state, gate, None if gate.startswith("layer#") else error, self.random))
            case EvaluateOutputs():
                self._post(0.0, f.OutputsEvaluated(at=0.0, outputs={}))
            case LeaseUnits(units=units, count=count):
                for _ in range(self.lender.asked(units, count)):
                    if self.random.random() < BUSY:
                        self._post(0.0, f.PoolBusy(at=0.0, units=units, runs=["other"]))
                    self._post(self._some_time(5.0), f.PoolLeased(at=0.0, units=units))
            case ReturnLeases(units=units, count=count):
                self._insist(self.lender.returned(units, count))
            case Leave():
                self._insist(self.outside.leave())
                self._insist(self.lender.leave())
                self.left = True

    def _evaluated(self, step: str) -> f.ConditionEvaluated:
        """The same verdict and the same keys whenever they are asked for."""
        chance, of = draw(self.seed, step, -1), self.state.steps[self.state.graph.index[step]]
        error = ErrorRecord(kind="input", message="no such path") if chance > 0.95 else None
        keyed = [name for name in of.resources if self.workflow.resources[name].per]
        keys = {name: KEYS[int(draw(self.seed, step + name, -6) * len(KEYS))] for name in keyed}
        return f.ConditionEvaluated(at=0.0, step=step, verdict=chance < 0.7 or not of.condition, error=error, keys=keys)

    def _keys(self, step: str, chance: float) -> list[str]:
        """As many as are drawn; those of the other one for what is wired; none for a sub-workflow."""
        state = self.state
        of = state.steps[state.graph.index[step]]
        if of.wired:
            return [state.keys[i] for i in state.graph.children.get(state.graph.index[of.wired], ())]
        return [str(n) for n in range(int(chance * ITEMS_MAX))] if of.for_each is not None else []

    def _ask(self, gate: str) -> None:
        """Somebody sees that a gate is open, and answers, some time; sometimes somebody else does too."""
        self._post(self._some_time(PATIENCE_S), _answer(self.saved, gate, self.random))
        if self.random.random() < self.faults.echo:
            self._post(self._some_time(PATIENCE_S), _answer(self.saved, gate, self.random))

    def _begin(self, step: str, attempt: int) -> None:
        chance, expected = self.random.random(), self.outside.steps[step].expect_s
        if chance < self.faults.hang and self.outside.steps[step].timeout_s is not None:
            return  # only its timeout ends it
        outcome: Literal["ok", "failed"] = "failed" if chance < self.faults.hang + self.faults.fail else "ok"
        duration = self._some_time(10.0) if expected is None else self._rounded(expected)
        self._post(duration, self._end(step, attempt, outcome))
        if self.random.random() < self.faults.echo:
            self._post(duration / 2, f.AttemptSpawned(at=0.0, step=step, attempt=attempt, pid=1))
            self._post(duration * 2, self._end(step, attempt, "failed"))

    def _end(self, step: str, attempt: int, outcome: Literal["ok", "failed", "cancelled"]) -> f.AttemptEnded:
        usage = Usage(tokens_out=self.random.randint(1, 5), cost=0.5) if self.random.random() < USES else None
        if outcome == "ok":
            return f.AttemptEnded(at=0.0, step=step, attempt=attempt, outcome="ok", output=Output(), usage=usage)
        kinds: tuple[ErrorKind, ...] = ("exit", "error", "invalid_output", "input")
        asks = self._some_time(5.0) if self.random.random() < 0.2 else None
        error = ErrorRecord(kind=self.random.choice(kinds), message="it was drawn", exit_code=3, retry_after_s=asks)
        return f.AttemptEnded(at=0.0, step=step, attempt=attempt, outcome=outcome, error=error, usage=usage)

    # ---- crash and resume ----

    def _tries_again(self) -> bool:
        """Whether somebody asks the ended run to go on; the end was saved, so it is an engine of its own that does."""
        if self.saved.ended is None or self.saved.ended.status == "succeeded" or self.random.random() >= self.faults.retry:
            return False
        self._restart([f.RetryRequested(at=self.now, by="sim")])
        return True

    def _restart(self, asked: Sequence[Observed] = ()) -> None:
        """Lose what was not saved, any fact of it, kill all that runs, and resume from what is left."""
        self.crashes += not self.left
        del self.facts[max(1, self.random.randint(self.saved.seq, len(self.facts))) :]
        self._events.clear()
        self._commands.clear()
        self.outside.running.clear()
        self.lender.forget()
        self.left = False
        self._save(len(self.facts))
        self.state = State()
        for fact in self.facts:
            apply(self.state, fact)
        self.now += 1.0
        answers: list[Observed] = []
        if self.saved.waiting:  # an hour or a day later somebody comes, or does not
            self.now += self._some_time(2 * PATIENCE_S)
            answers = [_answer(self.saved, gate, self.random) for gate in self.saved.asking if self.random.random() < 0.5]
        for gate in self.saved.asking:
            self._ask(gate)
        told = [self._told(i) for i in self.saved.interrupted if self.random.random() < 0.8]
        for i in self.saved.interrupted:
            self._post(self._some_time(PATIENCE_S), self._told(i))
        self._turn([*asked, f.EngineAttached(at=self.now, pid=1, host="sim", limits=self.limits), *answers, *told])

    def _told(self, i: int) -> f.InterruptAnswered:
        """What somebody says about an interrupted step; to run it again is not always allowed."""
        answers: tuple[Literal["again", "done", "give_up"], ...] = ("again", "done", "give_up")
        return f.InterruptAnswered(at=0.0, step=self.saved.graph.ids[i], answer=self.random.choice(answers), by="sim")

    def _insist(self, broken: Iterable[str]) -> None:
        """Nothing may be wrong, if anybody looks."""
        if self.check:
            for sentence in broken:
                self._fail(sentence)

    def _fail(self, sentence: str) -> NoReturn:
        story = "\n".join(f"  {n}: {fact}" for n, fact in enumerate(self.facts, 1) if not isinstance(fact, f.RunCreated))
        raise Violation(f"{sentence} (seed {self.seed}, fact {len(self.facts)}, t={self.now:.3f})\n{story}")


def _opened(state: State, gate: str, error: ErrorRecord | None, random: Random) -> f.GateOpened:
    """A question, with the answer that the gate has by itself, if it has one: a wrong one sometimes, or none."""
    opened, question = f.GateOpened(at=0.0, gate=gate, message="Yes?", error=error), question_at(state, gate)
    if error or question is None or question.answer is None:
        return opened
    if random.random() < 0.2:
        return msgspec.structs.replace(opened, by="agent", unsaid="there is none")
    return msgspec.structs.replace(opened, by="agent", said=msgspec.structs.replace(_answer(state, gate, random), by="agent"))


def _answer(state: State, gate: str, random: Random) -> f.GateAnswered:
    """What somebody says, wrong sometimes: a step that does not exist is skipped, or has a new one's name."""
    question = question_at(state, gate)
    assert question is not None
    by = random.choice(("anna", "ben"))
    if random.random() < 0.2:
        return f.GateAnswered(at=0.0, gate=gate, answer="reject", by=by)
    yes = f.GateAnswered(at=0.0, gate=gate, answer="approve", by=by, form=any_values(question.form))
    if random.random() < 0.5:
        return yes
    open_ = [id_ for i, id_ in enumerate(state.graph.ids) if not state.status[i].settled]
    new = [f"n{len(state.steps) + n}" for n in range(random.randint(0, 3))]
    known = random.sample(state.graph.ids, min(2, len(state.steps)))
    steps = [Step(id=id_, action=Sleep(seconds=1.0), needs=(*known, *new[:n])) for n, id_ in enumerate(new)]
    return msgspec.structs.replace(
        yes,
        skip=[*random.sample(open_, min(len(open_), random.randint(0, 2))), *(["nobody"] if random.random() < 0.05 else [])],
        replan=random.random() < 0.2,
        inject=steps,
    )
