"""The only loop: what happened goes to the core, its facts to the journal, its commands to whoever performs them.

- Decisions are the core's. The engine does: it starts, stops, evaluates, saves, and reports what came of it.
- A command is performed, and a fact shown, only when the facts it depends on are durable.
- Everything here runs on the thread of the event loop; the journal's writer speaks to it through `call_soon_threadsafe`.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush
from pathlib import Path
from typing import Final, TypeAlias

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
from weft.core.facts import Fact, Observed
from weft.core.shared import named
from weft.core.state import State
from weft.engine.jobs import Jobs
from weft.engine.leases import Leases
from weft.engine.questions import Questions
from weft.engine.reuse import Reuse
from weft.engine.secrets import contains_secret, masked
from weft.engine.values import Values, input_error
from weft.model.errors import MachineError
from weft.model.output import ErrorRecord, Output
from weft.model.workflow import Value
from weft.ports import Clock, Ended, Journal, Observer, OutputStore, Payload, ReadAnswer, Runner, SlotLeases, Spawned

BATCH_MAX: Final = 512
"""Facts taken in one turn: enough to share its cost, few enough that starts do not wait long for the last of them."""
INLINE_KEEP_BYTES: Final = 1 << 20
"""Outputs up to this size are saved on the loop's thread (about a millisecond); larger ones in a thread beside it."""

Acknowledge: TypeAlias = Callable[[], None]


def _nobody_reads(value: Value, gate: str, state: State) -> f.GateAnswered:
    raise ValueError("this engine reads no answers")


class Engine:
    """Runs one run until it has ended, is suspended, or waits for people.

    `runners` maps action types to runners. `grace_s` is what a process tree gets between being asked to end and being killed.
    """

    def __init__(
        self,
        state: State,
        *,
        journal: Journal,
        store: OutputStore,
        runners: Mapping[type, Runner],
        clock: Clock,
        values: Values,
        jobs: Jobs,
        reuse: Reuse | None = None,
        read_answer: ReadAnswer = _nobody_reads,
        slots: SlotLeases | None = None,
        observers: Sequence[Observer] = (),
        secrets: Sequence[str] = (),
        grace_s: float = 10.0,
    ) -> None:
        self.state = state
        self.values = values
        self._journal = journal
        self._store = store
        self._runners = runners
        self.kinds = frozenset(runners)
        """The types of actions that it can run."""
        self._clock = clock
        self._jobs = jobs
        self._reuse = reuse
        self._leases = Leases(slots, self.post, self._fail)
        self._observers = list(observers)
        self._secrets = secrets
        self._questions = Questions(values, secrets, read_answer, self.kinds)
        self._grace_s = grace_s
        self._inbox: deque[tuple[Observed, Acknowledge | None]] = deque()
        self._commands: list[tuple[int, int, Command]] = []
        self._unseen: deque[tuple[int, list[Fact]]] = deque()
        self._acks: deque[tuple[int, Acknowledge]] = deque()
        self._count = 0
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._keeping: set[asyncio.Future[None]] = set()

    async def run(self, first: Sequence[Observed]) -> None:
        """Take the run over with these facts and come back when it is left. Raises MachineError if the journal fails."""
        self._loop = asyncio.get_running_loop()
        self._left: asyncio.Future[None] = self._loop.create_future()
        self._journal.listen(
            lambda seq: self._from_writer(self._advance, seq),
            lambda error: self._from_writer(self._fail, error),
        )
        for fact in first:
            self.post(fact)
        try:
            await self._left
        finally:
            if self._timer:
                self._timer.cancel()
            if self._reuse:
                self._reuse.close()
            await asyncio.gather(*[runner.close() for runner in dict.fromkeys(self._runners.values())])
            self._leases.close()

    def post(self, fact: Observed, acknowledge: Acknowledge | None = None) -> None:
        """Observe a fact. `acknowledge` is called when it, and what was decided with it, is durable."""
        self._inbox.append((fact, acknowledge))
        self._schedule()

    def hurry(self) -> None:
        """From now on whoever is stopped is killed without grace, those included that are being stopped already."""
        self._grace_s = 0.0
        for i, attempt in self.state.alive.items():
            if attempt.cause:
                self._runner(self.state.graph.ids[i]).stop((self.state.graph.ids[i], attempt.number), 0.0)

    # ---- the turn ----

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._guarded_turn)

    def _guarded_turn(self) -> None:
        self._scheduled = False
        if self._left.done():
            return
        try:
            self._turn()
        except BaseException as error:  # a bug of ours or a dead journal: `run` raises it, the loop would only log it
            self._fail(error)

    def _turn(self) -> None:
        batch = [self._inbox.popleft() for _ in range(min(len(self._inbox), BATCH_MAX))]
        turn = receive(self.state, [fact for fact, _ in batch], self._clock.now())
        seq = self.state.seq
        if turn.facts:
            if any(isinstance(fact, f.RetryRequested) for fact, _ in batch):
                self.values.forget()
            for fact in turn.facts:
                if isinstance(fact, f.AttemptEnded | f.StepSucceeded | f.StepReused) and fact.output is not None:
                    self.values.outputs[fact.step] = fact.output
            durable = self._journal.durable
            waits = any(command.after > durable for command in turn.commands) or any(acknowledge for _, acknowledge in batch)
            seq = self._journal.append(turn.facts, urgent=waits)
            if self._observers:
                self._unseen.append((seq, turn.facts))
        self._acks.extend((seq, acknowledge) for _, acknowledge in batch if acknowledge)
        for command in turn.commands:
            self._count += 1
            heappush(self._commands, (command.after, self._count, command))
        self._wake_at(turn.wake_at)
        self._advance(self._journal.durable)
        if self._inbox:
            self._schedule()

    def _wake_at(self, at: float | None) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer = self._loop.call_later(max(0.0, at - self._clock.now()), self._schedule)

    def _from_writer(self, call: Callable[..., None], *arguments: object) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(call, *arguments)

    def _advance(self, durable: int) -> None:
        """Facts up to `durable` are saved: perform, show and acknowledge what waited for them."""
        if self._left.done():
            return
        while self._unseen and self._unseen[0][0] <= durable:
            self._show(self._unseen.popleft()[1])
        while self._acks and self._acks[0][0] <= durable:
            self._acks.popleft()[1]()
        while self._commands and self._commands[0][0] <= durable:
            self._perform(heappop(self._commands)[2])

    def _show(self, facts: list[Fact]) -> None:
        for observer in self._observers[:]:
            try:
                observer.see(facts)
            except Exception as error:  # our bug, but no reason for a run to suffer: it goes on without this view
                self._observers.remove(observer)
                self._loop.call_exception_handler({"message": "a view failed and is dropped", "exception": error})

    def _fail(self, error: BaseException) -> None:
        if not self._left.done():
            self._left.set_exception(error)

    # ---- commands ----

    def _perform(self, command: Command) -> None:
        match command:
            case StartAttempt(step=step, attempt=attempt):
                self._start(step, attempt)
            case StopAttempt(step=step, attempt=attempt):
                self._runner(step).stop((step, attempt), self._grace_s)
            case EvaluateCondition(step=step):
                self.post(self.values.condition(step))
            case TakeFingerprint(step=step):
                if self._reuse:
                    self._reuse.take(step, self.post)
                else:
                    self.post(f.FingerprintTaken(at=0.0, step=step))
            case EvaluateItems(step=step):
                self.post(self.values.items(step))
            case EvaluateGroup(step=step):
                self.post(self._group(step))
            case EvaluateOutputs(partial=partial):
                self.post(self.values.run_outputs(partial=partial))
            case OpenGate(gate=gate):
                self.post(self._questions.open(gate))
            case LeaseUnits(units=units, count=count):
                self._leases.want(units, count)
            case ReturnLeases(units=units, count=count):
                self._leases.give_back(units, count)
            case Leave():
                self._left.set_result(None)

    def _group(self, step: str) -> f.GroupEvaluated:
        """The outputs of a sub-workflow, kept like the output of an attempt."""
        try:
            payload = msgspec.json.encode(self.values.flow_outputs(step))
            secret = bool(self._secrets) and contains_secret(payload, self._secrets)
            output = msgspec.structs.replace(self._store.keep(payload, "json"), secret=secret)
        except (ValueError, MachineError) as error:
            return f.GroupEvaluated(at=0.0, step=step, error=input_error(error))
        return f.GroupEvaluated(at=0.0, step=step, output=output)

    def _runner(self, step: str) -> Runner:
        return self._runners[type(self.state.steps[self.state.graph.index[step]].action)]

    def _start(self, step: str, attempt: int) -> None:
        state = self.state
        i, alive = state.graph.index[step], state.alive[state.graph.index[step]]
        leases = self._leases.use((step, attempt), named(state.demands, state.demands.shared[state.demands.kind[i]]))
        try:
            job = self._jobs.make(state.steps[i], attempt, alive.gpus, leases)
        except (ValueError, MachineError) as error:
            self._leases.ended((step, attempt))
            self.post(f.AttemptEnded(at=0.0, step=step, attempt=attempt, outcome="failed", error=input_error(error)))
            return
        self._runner(step).start(job, self._report)

    # ---- reports ----

    def _report(self, report: Spawned | Ended) -> None:
        step, attempt = report.key
        if isinstance(report, Spawned):
            self.post(f.AttemptSpawned(at=0.0, step=step, attempt=attempt, pid=report.pid, started=report.started))
            return
        self._leases.ended(report.key)
        if report.payload is None:
            self._ended(report, None)
        elif _size(report.payload) > INLINE_KEEP_BYTES or (self._reuse and self._reuse.wanted(step)):
            self._keep_beside(report.payload, report)
        else:
            self._ended(report, self._keep(report.payload, report))

    def _keep(self, payload: Payload, report: Ended) -> Output | ErrorRecord:
        try:
            output = self._store.keep(payload, report.form)
        except ValueError as error:
            return ErrorRecord(kind="invalid_output", message=str(error))
        except MachineError as error:
            return ErrorRecord(kind="error", message=str(error))
        if self._secrets and contains_secret(payload, self._secrets):
            return Output(form=output.form, inline=output.inline, blob=output.blob, size=output.size, secret=True)
        return output

    def _keep_beside(self, payload: Payload, report: Ended) -> None:
        """Save a large output, or one that may be reused, in a thread; the attempt has not ended before that is done."""
        step, reuse = report.key[0], self._reuse

        def work() -> tuple[Output | ErrorRecord, f.Stored | None]:
            kept = self._keep(payload, report)
            return kept, reuse.stored(step) if reuse and reuse.wanted(step) and isinstance(kept, Output) else None

        async def keep() -> None:
            self._ended(report, *await asyncio.to_thread(work))

        task = self._loop.create_task(keep())
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)

    def _ended(self, report: Ended, kept: Output | ErrorRecord | None, stored: f.Stored | None = None) -> None:
        step, attempt = report.key
        error = kept if isinstance(kept, ErrorRecord) else report.error
        if error and self._secrets:
            error = masked(error, self._secrets)
        self.post(
            f.AttemptEnded(
                at=0.0,
                step=step,
                attempt=attempt,
                outcome="failed" if isinstance(kept, ErrorRecord) else report.outcome,
                output=kept if isinstance(kept, Output) else None,
                error=error,
                cpu_s=report.cpu_s,
                rss_bytes=report.rss_bytes,
                usage=report.usage,
                stored=stored,
            )
        )


def _size(payload: Payload) -> int:
    try:
        return payload.stat().st_size if isinstance(payload, Path) else len(payload)
    except OSError:
        return 0  # the store will say what is wrong with it
