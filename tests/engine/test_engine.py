"""The engine with fake hands: what it performs and shows, and when, relative to what is durable."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from weft.core import facts as f
from weft.core.facts import Fact, Limits
from weft.core.state import State
from weft.engine.clock import SystemClock
from weft.engine.engine import Engine
from weft.engine.folder import RunFolder
from weft.engine.jobs import Jobs, idempotency_key
from weft.engine.secrets import SCAN_BYTES, contains_secret
from weft.engine.values import Values
from weft.journal.memory import MemoryJournal, MemoryStore
from weft.model.errors import MachineError
from weft.model.output import ErrorRecord, Output
from weft.model.workflow import Argv, Retry, Shell, Step, Value, Workflow
from weft.ports import Ended, Job
from weft.testing.runners import FakeRunner, success


class SlowJournal(MemoryJournal):
    """Nothing is durable before `save` says so; `save` may be called with a number, or for all that was appended."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: list[Fact] = []
        self._durable = 0
        self._appended: list[tuple[int, asyncio.Event]] = []

    def append(self, facts: Sequence[Fact], *, urgent: bool = True) -> int:
        self.facts += facts
        for count, event in self._appended:
            if len(self.facts) >= count:
                event.set()
        return len(self.facts)

    @property
    def durable(self) -> int:
        return self._durable

    def listen(self, saved: Callable[[int], None], failed: Callable[[BaseException], None]) -> None:
        self._saved = saved
        self.fail = failed

    def save(self, upto: int | None = None) -> None:
        self._durable = len(self.facts) if upto is None else upto
        self._saved(self._durable)

    def number(self, tag: type, step: str) -> int:
        """Number of the first fact of this kind about a step."""
        return next(n for n, fact in enumerate(self.facts, 1) if isinstance(fact, tag) and getattr(fact, "step", "") == step)


class Watcher:
    """An observer that remembers, and may break."""

    def __init__(self, *, breaks: bool = False) -> None:
        self.seen: list[Fact] = []
        self._breaks = breaks

    def recall(self, facts: Iterable[Fact]) -> None:
        self.seen += facts

    def see(self, facts: Sequence[Fact]) -> None:
        self.seen += facts
        if self._breaks:
            raise RuntimeError("a bug in a view")

    def close(self) -> None:
        pass


class Bench:
    """An engine on a fake runner, in memory."""

    def __init__(
        self,
        tmp_path: Path,
        *steps: Step,
        runner: FakeRunner | None = None,
        journal: MemoryJournal | None = None,
        secrets: dict[str, str] | None = None,
        observers: Sequence[Watcher] = (),
        **workflow: Any,
    ) -> None:
        self.runner = runner or FakeRunner()
        self.journal = journal or MemoryJournal()
        self.state = State()
        self.store = MemoryStore()
        self.created = f.RunCreated(
            at=0.0,
            run="run",
            workflow=Workflow(name="w", steps=steps, **workflow),
            inputs={"who": "you", "go": True},
            seed=1,
            project=str(tmp_path),
        )
        values = Values(self.state, self.created, self.store, {})
        self.engine = Engine(
            self.state,
            journal=self.journal,
            store=self.store,
            runners={Shell: self.runner, Argv: self.runner},
            clock=SystemClock(),
            values=values,
            jobs=Jobs(self.created, values, RunFolder(tmp_path), secrets or {}),
            observers=observers,
            secrets=tuple((secrets or {}).values()),
        )

    async def run(self, limits: Limits | None = None) -> None:
        attached = f.EngineAttached(at=0.0, pid=1, host="h", limits=limits or Limits())
        await asyncio.wait_for(self.engine.run([self.created, attached]), 30)


def shell(id_: str, *needs: str, **more: Any) -> Step:
    return Step(id=id_, action=Shell(script="true"), needs=needs, **more)


async def settle() -> None:
    """Let the loop do all that it can do without anybody else."""
    for _ in range(20):
        await asyncio.sleep(0)


def gives(**outputs: Value) -> Callable[[Job], Ended | None]:
    """A script in which the named steps succeed with these JSON texts, and all others with null."""

    def script(job: Job) -> Ended | None:
        if job.step in outputs:
            return Ended(key=job.key, outcome="ok", payload=outputs[job.step])
        return success(job)

    return script


def test_a_step_starts_when_its_needs_are_durable_and_not_before(tmp_path: Path) -> None:
    async def go() -> None:
        journal = SlowJournal()
        bench = Bench(tmp_path, shell("a"), shell("b", "a"), shell("free"), journal=journal)
        running = asyncio.ensure_future(bench.run())
        await settle()
        assert not bench.runner.started, "nothing starts that the disk knows nothing of"
        journal.save(1)
        await settle()
        started = [job.step for job in bench.runner.started]
        assert started == ["a", "free"], "what depends on nothing unsaved does not wait"
        end = journal.number(f.AttemptEnded, "a")
        journal.save(end - 1)
        await settle()
        assert len(bench.runner.started) == 2
        journal.save(end)
        await settle()
        assert bench.runner.started[-1].step == "b"
        while not running.done():
            journal.save()
            await settle()
        await running

    asyncio.run(go())


def test_another_attempt_waits_for_the_failure_of_the_one_before(tmp_path: Path) -> None:
    def script(job: Job) -> Ended | None:
        if job.attempt > 1:
            return success(job)
        return Ended(key=job.key, outcome="failed", error=ErrorRecord(kind="error", message="no"))

    async def go() -> None:
        journal = SlowJournal()
        retry = Retry(times=1, delay_s=0.0)
        bench = Bench(tmp_path, shell("a", retry=retry), runner=FakeRunner(script), journal=journal)
        running = asyncio.ensure_future(bench.run())
        await settle()
        journal.save()
        while len([fact for fact in journal.facts if isinstance(fact, f.AttemptStarted)]) < 2:
            await settle()
        assert len(bench.runner.started) == 1
        while not running.done():
            journal.save()
            await settle()
        await running
        assert [job.attempt for job in bench.runner.started] == [1, 2]

    asyncio.run(go())


def test_facts_are_shown_and_acknowledged_when_durable(tmp_path: Path) -> None:
    async def go() -> None:
        journal, watcher, acknowledged = SlowJournal(), Watcher(), asyncio.Event()
        runner = FakeRunner(lambda job: None)
        bench = Bench(tmp_path, shell("a"), journal=journal, observers=[watcher], runner=runner)
        running = asyncio.ensure_future(bench.run())
        await settle()
        journal.save(1)
        await settle()
        bench.engine.post(f.CancelRequested(at=0.0, by="me"), acknowledged.set)
        await settle()
        assert not watcher.seen
        assert not acknowledged.is_set()
        assert not runner.stopped, "a stop waits for its cause"
        journal.save()
        await settle()
        assert watcher.seen
        assert acknowledged.is_set()
        assert runner.stopped == [("a", 1)]
        while not running.done():
            journal.save()
            await settle()
        await running
        assert bench.state.ended
        assert bench.state.ended.status == "cancelled"
        assert watcher.seen == journal.facts

    asyncio.run(go())


def test_a_broken_view_is_dropped_and_the_run_goes_on(tmp_path: Path) -> None:
    async def go() -> None:
        broken, sound, told = Watcher(breaks=True), Watcher(), []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["message"]))
        bench = Bench(tmp_path, shell("a"), shell("b", "a"), observers=[broken, sound])
        await bench.run()
        assert told == ["a view failed and is dropped"]
        assert sound.seen[-1] == f.RunEnded(at=sound.seen[-1].at, status="succeeded")

    asyncio.run(go())


def test_the_journal_fails_and_the_run_with_it(tmp_path: Path) -> None:
    async def go() -> None:
        journal, runner = SlowJournal(), FakeRunner(lambda job: None)
        bench = Bench(tmp_path, shell("a"), journal=journal, runner=runner)
        running = asyncio.ensure_future(bench.run())
        await settle()
        journal.save(1)
        await settle()
        assert runner.alive
        journal.fail(MachineError("the disk is full"))
        with pytest.raises(MachineError, match="the disk is full"):
            await running
        assert not runner.alive, "nothing goes on that nobody can write down"

    asyncio.run(go())


def test_references_are_resolved_when_a_step_starts(tmp_path: Path) -> None:
    steps = (
        shell("a"),
        Step(
            id="b",
            action=Argv(argv=("echo", "${{ steps.a.output.name }}", "${{ steps.a.output }}", "${{ inputs.who }}!")),
            needs=("a",),
            inputs={"deep": [{"x": "${{ steps.a.output.n }}"}], "status": "${{ steps.a.status }}", "run": "${{ run.id }}"},
            env={"WHO": "${{ inputs.who }}"},
            secrets=("TOKEN",),
        ),
    )
    bench = Bench(tmp_path, *steps, runner=FakeRunner(gives(a=b'{"name": "x y", "n": 1}')), secrets={"TOKEN": "s3cret!"})
    asyncio.run(bench.run())
    job = bench.runner.started[1]
    assert job.action == Argv(argv=("echo", "x y", '{"name":"x y","n":1}', "you!"))
    assert job.inputs == {"deep": [{"x": 1}], "status": "succeeded", "run": "run"}
    assert job.env == {"WHO": "you", "TOKEN": "s3cret!", "WEFT_IDEMPOTENCY_KEY": idempotency_key("run", "b")}


def test_the_idempotency_key_is_that_of_the_step() -> None:
    keys = {idempotency_key(run, step) for run in ("r", "s") for step in ("a", "b")}
    assert len(keys) == 4
    assert idempotency_key("r", "a") in keys


@pytest.mark.parametrize(
    ("inputs", "says"),
    [({"x": "${{ steps.a.output.nmae }}"}, "name"), ({"x": "${{ join(steps.a.output, 1) }}"}, "join")],
)
def test_data_that_cannot_be_resolved_fails_the_attempt(tmp_path: Path, inputs: dict[str, Value], says: str) -> None:
    bench = Bench(tmp_path, shell("a"), shell("b", "a", inputs=inputs), runner=FakeRunner(gives(a=b'{"name": 1}')))
    asyncio.run(bench.run())
    error = bench.state.errors[1]
    assert error.kind == "input"
    assert says in error.message + error.hint
    assert [job.step for job in bench.runner.started] == ["a"]


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("inputs.go", "SUCCEEDED"),
        ("!inputs.go", "SKIPPED"),
        ("steps.a.output.n == 1", "SUCCEEDED"),
        ("steps.a.output.missing", "FAILED"),
        ("steps.a.output.n", "FAILED"),
        ("failed()", "SKIPPED"),
        ("always() && steps.a.status == 'succeeded'", "SUCCEEDED"),
    ],
)
def test_conditions(tmp_path: Path, condition: str, status: str) -> None:
    bench = Bench(tmp_path, shell("a"), shell("b", "a", condition=condition), runner=FakeRunner(gives(a=b'{"n": 1}')))
    asyncio.run(bench.run())
    assert bench.state.status[1].name == status
    if status == "FAILED":
        assert bench.state.errors[1].kind == "input"


def test_outputs_of_the_run(tmp_path: Path) -> None:
    outputs = {"n": "${{ steps.a.output.n }}", "text": "n is ${{ steps.a.output.n }}"}
    bench = Bench(tmp_path, shell("a"), runner=FakeRunner(gives(a=b'{"n": 1}')), outputs=outputs)
    asyncio.run(bench.run())
    assert bench.state.outputs
    assert bench.state.outputs.outputs == {"n": 1, "text": "n is 1"}


def test_outputs_that_cannot_be_evaluated_fail_the_run(tmp_path: Path) -> None:
    bench = Bench(tmp_path, shell("a"), outputs={"n": "${{ steps.a.output.n }}"})
    asyncio.run(bench.run())
    assert bench.state.ended
    assert bench.state.ended.status == "failed"


def test_an_output_that_does_not_fit_its_form(tmp_path: Path) -> None:
    bench = Bench(tmp_path, shell("a"), runner=FakeRunner(gives(a=b"{not json")))
    asyncio.run(bench.run())
    assert bench.state.errors[0].kind == "invalid_output"


def test_large_outputs_are_saved_beside_the_loop(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(b'"' + b"x" * (3 << 20) + b'"')
    bench = Bench(tmp_path, shell("a"), shell("b", "a", inputs={"x": "${{ length(steps.a.output) }}"}), runner=FakeRunner())
    bench.runner._script = gives(a=large)
    asyncio.run(bench.run())
    assert bench.runner.started[1].inputs == {"x": 3 << 20}


def test_secrets_are_found_in_outputs_and_masked_in_errors(tmp_path: Path) -> None:
    def script(job: Job) -> Ended | None:
        if job.step == "a":
            return Ended(key=job.key, outcome="ok", payload=b'"it is s3cret!!"')
        error = ErrorRecord(kind="exit", message="s3cret!! is wrong", exit_code=1, tail="line\ns3cret!!")
        return Ended(key=job.key, outcome="failed", error=error)

    bench = Bench(tmp_path, shell("a"), shell("b"), runner=FakeRunner(script), secrets={"T": "s3cret!!"})
    asyncio.run(bench.run())
    facts = list(bench.journal.read())
    outputs = [fact.output for fact in facts if isinstance(fact, f.AttemptEnded) and fact.output]
    assert [output.secret for output in outputs] == [True]
    assert bench.state.errors[1].message == "*** is wrong"
    assert bench.state.errors[1].tail == "line\n***"


def test_a_secret_over_the_edge_of_two_pieces_is_found(tmp_path: Path) -> None:
    file = tmp_path / "file"
    for shift in range(10):
        file.write_bytes(b"x" * (SCAN_BYTES - shift) + b"s3cret!!" + b"y" * 100)
        assert contains_secret(file, ["s3cret!!"])
    file.write_bytes(b"x" * (SCAN_BYTES + 10))
    assert not contains_secret(file, ["s3cret!!"])
    assert not contains_secret(file, ["short"])


def test_retries_wake_the_engine_by_themselves(tmp_path: Path) -> None:
    def script(job: Job) -> Ended | None:
        if job.attempt == 3:
            return Ended(key=job.key, outcome="ok", payload=b"1")
        return Ended(key=job.key, outcome="failed", error=ErrorRecord(kind="error", message="no"))

    bench = Bench(tmp_path, shell("a", retry=Retry(times=2, delay_s=0.01, jitter=False)), runner=FakeRunner(script))
    asyncio.run(bench.run())
    assert bench.state.ended
    assert bench.state.ended.status == "succeeded"


def test_a_timeout_stops_the_attempt(tmp_path: Path) -> None:
    bench = Bench(tmp_path, shell("a", timeout_s=0.01), runner=FakeRunner(lambda job: None))
    asyncio.run(bench.run())
    assert bench.runner.stopped == [("a", 1)]
    assert bench.state.errors[0].kind == "timeout"


def test_hurry_stops_again_without_grace(tmp_path: Path) -> None:
    graces: list[float] = []

    class Runner(FakeRunner):
        def stop(self, key: tuple[str, int], grace_s: float) -> None:
            graces.append(grace_s)
            if grace_s == 0:
                super().stop(key, grace_s)

    async def go() -> None:
        bench = Bench(tmp_path, shell("a"), runner=Runner(lambda job: None))
        running = asyncio.ensure_future(bench.run())
        await settle()
        bench.engine.post(f.SuspendRequested(at=0.0, how="kill"))
        await settle()
        bench.engine.hurry()
        await running
        assert bench.state.suspended

    asyncio.run(go())
    assert graces == [10.0, 0.0]


def test_the_clock_does_not_run_backwards() -> None:
    late = SystemClock(not_before=4_000_000_000.0)
    assert late.now() >= 4_000_000_000.0
    assert late.now() <= late.now()


def test_an_output_counts_for_the_steps_after_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, shell("a"), runner=FakeRunner(gives(a=b"[1]")))
    asyncio.run(bench.run())
    assert isinstance(bench.engine.values.outputs["a"], Output)
    assert bench.engine.values.output("a") == [1]
    assert bench.engine.values.output("none") is None
