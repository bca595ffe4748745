"""The simulator: the production core in virtual time, with a journal that lags, attempts that fail, hang and answer twice, and
crashes at any fact.

It keeps books of its own (`Outside`): what really runs, what was reported complete, how much of each pool is taken. The core is
judged by these and by `core.audit`, never by its own word. The same seed gives the same facts.
"""

from collections import Counter
from collections.abc import Iterator
from heapq import heappop, heappush
from random import Random
from typing import Final, Literal, NoReturn

import msgspec

from weft.core import facts as f
from weft.core.apply import apply
from weft.core.audit import audit
from weft.core.commands import Command, EvaluateCondition, EvaluateOutputs, Leave, StartAttempt, StopAttempt
from weft.core.decide import receive
from weft.core.facts import Fact, Limits, Observed
from weft.core.retry import draw
from weft.core.state import State
from weft.model.errors import WeftError
from weft.model.output import ErrorKind, ErrorRecord, Output
from weft.model.workflow import WAITING_ACTIONS, Workflow

TURNS_MAX: Final = 20_000
"""Per step of the workflow, a run takes a few turns; far more means that it turns in circles."""


class Violation(WeftError):
    """The core broke a rule. The text holds the seed and the story."""


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """Chances, each between 0 and 1, per attempt or per turn."""

    fail: float = 0.0
    hang: float = 0.0
    echo: float = 0.0
    """An attempt reports its end a second time."""
    crash: float = 0.0
    cancel: float = 0.0
    suspend: float = 0.0
    durable_lag_s: float = 0.0


class Outside:
    """What somebody who watches from outside sees: processes, completions, and slots in use."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.steps = {step.id: step for step in workflow.steps}
        self.running: dict[str, int] = {}
        self.completed: set[str] = set()
        self.starts: Counter[str] = Counter()

    def start(self, step: str, attempt: int, limits: Limits) -> Iterator[str]:
        """Note a start; yields the rules that it breaks."""
        if step in self.running:
            yield f"step `{step}` starts attempt {attempt} while attempt {self.running[step]} lives"
        if step in self.completed:
            yield f"step `{step}` was reported complete and starts again"
        self.running[step] = attempt
        self.starts[step] += 1
        waiting = sum(isinstance(self.steps[id_].action, WAITING_ACTIONS) for id_ in self.running)
        bounds = {
            "attempts": (len(self.running), 1 if self.workflow.schedule == "sequential" else limits.total),
            "computing attempts": (len(self.running) - waiting, limits.computing),
            "waiting attempts": (waiting, limits.waiting),
        }
        for what, (taken, slots) in bounds.items():
            if slots is not None and taken > slots:
                yield f"{taken} {what} run, {slots} may"
        for name, pool in self.workflow.resources.items():
            taken = sum(self.steps[id_].resources.get(name, 0) for id_ in self.running)
            if taken > pool.slots:
                yield f"{taken} units of pool `{name}` are taken, it has {pool.slots}"

    def end(self, step: str, attempt: int) -> None:
        """Note the end of an attempt; of what is not running (an echo) nothing is noted."""
        if self.running.get(step) == attempt:
            del self.running[step]


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
        self.state = State()
        self.saved = State()
        self.facts: list[Fact] = []
        self.now = 0.0
        self.turns = 0
        self.left = False
        self._count = 0
        self._events: list[tuple[float, int, Observed | int | None]] = []
        self._commands: list[tuple[int, int, Command]] = []
        self._wake_at: float | None = None

    def play(self) -> list[Fact]:
        """Run to the end. Raises Violation if the core breaks a rule."""
        created = f.RunCreated(at=0.0, run="sim", workflow=self.workflow, inputs={}, seed=self.seed)
        self._turn([created, self._attached()])
        while not self.saved.ended:
            self.turns += 1
            if self.turns > TURNS_MAX + 100 * len(self.workflow.steps):
                self._fail("the run does not come to an end")
            if self.left or self.random.random() < self.faults.crash:
                self._restart()
            else:
                self._turn(self._next_batch())
        return self.facts

    # ---- time ----

    def _post(self, delay_s: float, event: Observed | int | None) -> None:
        self._count += 1
        heappush(self._events, (self.now + delay_s, self._count, event))

    def _next_batch(self) -> list[Observed]:
        """Move to the next instant and take all that happens then; a number among the events is a commit of the journal."""
        times = [self._events[0][0]] if self._events else []
        if self._wake_at is not None:
            times.append(self._wake_at)
        if not times:
            self._fail("nothing will ever happen again")
        self.now = max(self.now, min(times))
        batch: list[Observed] = []
        while self._events and self._events[0][0] <= self.now:
            event = heappop(self._events)[2]
            if isinstance(event, int):
                self._save(event)
            elif event is not None:
                if isinstance(event, f.AttemptEnded):
                    self.outside.end(event.step, event.attempt)
                batch.append(event)
        if self.random.random() < self.faults.cancel:
            batch.append(f.CancelRequested(at=self.now, by="sim"))
        if self.random.random() < self.faults.suspend:
            batch.append(f.SuspendRequested(at=self.now, how=self.random.choice(("drain", "kill"))))
        return batch

    def _turn(self, observed: list[Observed]) -> None:
        turn = receive(self.state, observed, self.now)
        self.facts += turn.facts
        for command in turn.commands:
            self._count += 1
            heappush(self._commands, (command.after, self._count, command))
        if self.faults.durable_lag_s:
            self._post(self.random.random() * self.faults.durable_lag_s, len(self.facts))
        else:
            self._save(len(self.facts))
        self._wake_at = turn.wake_at
        if self.check:
            for sentence in audit(self.state):
                self._fail(sentence)

    # ---- the hands ----

    def _save(self, seq: int) -> None:
        """Facts up to `seq` are on disk: completions may be believed, and commands performed."""
        for fact in self.facts[self.saved.seq : seq]:
            apply(self.saved, fact)
            if isinstance(fact, f.AttemptEnded) and fact.outcome == "ok":
                self.outside.completed.add(fact.step)
        while self._commands and self._commands[0][0] <= self.saved.seq:
            self._perform(heappop(self._commands)[2])

    def _perform(self, command: Command) -> None:
        match command:
            case StartAttempt(step=step, attempt=attempt):
                for sentence in self.outside.start(step, attempt, self.limits):
                    self._fail(sentence)
                if self.saved.unsettled[self.saved.graph.index[step]]:
                    self._fail(f"step `{step}` starts before its needs are settled on disk")
                self._begin(step, attempt)
            case StopAttempt(step=step, attempt=attempt):
                self._post(self.random.random(), self._end(step, attempt, self.random.choice(("ok", "failed", "cancelled"))))
            case EvaluateCondition(step=step):
                chance = draw(self.seed, step, -1)  # the same verdict whenever it is asked for
                error = ErrorRecord(kind="input", message="no such path") if chance > 0.95 else None
                self._post(0.0, f.ConditionEvaluated(at=0.0, step=step, verdict=chance < 0.7, error=error))
            case EvaluateOutputs():
                self._post(0.0, f.OutputsEvaluated(at=0.0, outputs={}))
            case Leave():
                self.left = True

    def _begin(self, step: str, attempt: int) -> None:
        chance, expected = self.random.random(), self.outside.steps[step].expect_s
        if chance < self.faults.hang and self.outside.steps[step].timeout_s is not None:
            return  # only its timeout ends it
        outcome: Literal["ok", "failed"] = "failed" if chance < self.faults.hang + self.faults.fail else "ok"
        duration = self.random.random() * 10 if expected is None else expected
        self._post(duration, self._end(step, attempt, outcome))
        if self.random.random() < self.faults.echo:
            self._post(duration * 2, self._end(step, attempt, "failed"))

    def _end(self, step: str, attempt: int, outcome: Literal["ok", "failed", "cancelled"]) -> f.AttemptEnded:
        if outcome == "ok":
            return f.AttemptEnded(at=0.0, step=step, attempt=attempt, outcome="ok", output=Output())
        kinds: tuple[ErrorKind, ...] = ("exit", "error", "invalid_output")
        error = ErrorRecord(kind=self.random.choice(kinds), message="it was drawn", exit_code=3)
        return f.AttemptEnded(at=0.0, step=step, attempt=attempt, outcome=outcome, error=error)

    # ---- crash and resume ----

    def _attached(self) -> f.EngineAttached:
        return f.EngineAttached(at=self.now, pid=1, host="sim", limits=self.limits)

    def _restart(self) -> None:
        """Lose what was not saved, any fact of it, kill all that runs, and resume from what is left."""
        del self.facts[max(1, self.random.randint(self.saved.seq, len(self.facts))) :]
        self._events.clear()
        self._commands.clear()
        self.outside.running.clear()
        self.left = False
        self._save(len(self.facts))
        self.state = State()
        for fact in self.facts:
            apply(self.state, fact)
        self.now += 1.0
        self._turn([self._attached()])

    def _fail(self, sentence: str) -> NoReturn:
        story = "\n".join(f"  {n}: {fact}" for n, fact in enumerate(self.facts, 1) if not isinstance(fact, f.RunCreated))
        raise Violation(f"{sentence} (seed {self.seed}, fact {len(self.facts)}, t={self.now:.3f})\n{story}")
