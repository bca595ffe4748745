"""The ports: what the engine needs from the world, as protocols. The engine knows these and never an adapter."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import msgspec

from weft.core.facts import Fact, GateAnswered
from weft.core.state import State
from weft.model.output import ErrorRecord, Output, OutputForm, Usage
from weft.model.workflow import Action, Value


class Clock(Protocol):
    def now(self) -> float:
        """Seconds since the epoch, never running backwards while this clock lives."""
        ...


class Gauge(Protocol):
    def read(self) -> tuple[float, float]:
        """Pressure on CPU and on memory since the last call, each between 0 and 1. Does not block."""
        ...


# ---- journal ----


class Journal(Protocol):
    """The durable, ordered log of one run. One writer; facts are numbered from 1 without gaps."""

    def append(self, facts: Sequence[Fact], *, urgent: bool = True) -> int:
        """Hand facts to the writer, as one unit that is saved whole or not at all; returns the number of the last one.

        `urgent`: somebody waits for these facts, or for earlier ones. Others may be saved some milliseconds later, with more.
        Never blocks on the disk. Raises MachineError if the writer has already failed. For one thread at a time.
        """
        ...

    @property
    def durable(self) -> int:
        """Number of the last fact that survives what this journal's durability promises."""
        ...

    def listen(self, saved: Callable[[int], None], failed: Callable[[BaseException], None]) -> None:
        """Be told, from any thread, of the number of the last durable fact after each commit, or once that the writer failed.

        Commits that `durable` already showed when `append` returned need not be told. Neither callable may raise, block or
        append. Call it before the first `append`.
        """
        ...

    def read(self, start: int = 1) -> Iterator[Fact]:
        """The durable facts from number `start` on. Raises JournalDamaged with the number of the first bad one."""
        ...

    def close(self) -> None:
        """Save what was appended, then release the file and the lock. Idempotent. Never raises: a failure to save is told to
        the listener, before this returns."""
        ...


class OutputStore(Protocol):
    """Turns what a runner left into an Output, and an Output into the value it stands for."""

    def keep(self, payload: "Payload", form: OutputForm) -> Output:
        """Save the payload (inline when small) so that a fact may name it. Raises ValueError if it does not fit the form."""
        ...

    def load(self, output: Output) -> Value:
        """The value, not to be changed. Raises MachineError if the blob is missing or damaged, ValueError if it is too large
        to be a value (it still is an output that can be shown)."""
        ...

    def take_over(self, output: Output, blob: Path) -> Output:
        """The same output, whose bytes are in a file of another run, as one of this store. Raises MachineError if the file is
        missing or damaged."""
        ...


class Success(msgspec.Struct, frozen=True, kw_only=True):
    """A success that may be reused. `parts`: its fingerprint; `wrote`: digests of the files that it wrote, by path; `blob`: where
    the bytes of a large output are."""

    run: str
    step: str
    output: Output
    parts: Mapping[str, str]
    wrote: Mapping[str, str]
    blob: Path | None = None


class Successes(Protocol):
    """The successes of earlier runs of a workflow. Its methods may be called from any thread; none raises."""

    def find(self, step: str, key: str, count: int) -> Sequence[Success]:
        """Those of this step with this fingerprint, the newest first. Instances of a fan-out stand in for each other."""
        ...

    def last(self, step: str) -> Success | None:
        """The newest success of exactly this step."""
        ...


# ---- gates ----

ReadAnswer: TypeAlias = Callable[[Value, str, State], GateAnswered]
"""What a value says at this gate of the run. Raises ValueError with what is wrong with it."""


# ---- runners and executors ----

Payload: TypeAlias = bytes | Path
"""The raw output: bytes (for form `json`: JSON text), or a file that holds them and that the store may read but not change."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """All that a runner needs to know of one attempt. Everything in it is resolved: no `${{ }}` is left."""

    run: str
    step: str
    attempt: int
    action: Action
    inputs: dict[str, Value]
    """The step's `with`, resolved."""
    env: dict[str, str]
    """What to add to the runner's base environment: `env`, secrets, WEFT_* (not the inputs)."""
    form: OutputForm
    stdout: str
    stderr: str
    """Paths of the log files, absolute as all paths here; the runner creates them."""
    scratch: str
    """$WEFT_DIR; the runner creates it, and removes it after a success."""
    cwd: str
    secrets: tuple[str, ...] = ()
    """Values (not names) that may not appear in an argument list."""
    mem_bytes: int | None = None
    """Memory that it asked for, which bounds it where this machine can. None: it did not ask."""
    cpu: int | None = None
    """The same for processors, in thousandths."""
    leases: tuple[int, ...] = ()
    """Descriptors that its processes inherit: shared slots are held as long as somebody has one."""
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    """Paths and globs, absolute, that code which reaches no files otherwise may open."""

    @property
    def key(self) -> "JobKey":
        return (self.step, self.attempt)


JobKey: TypeAlias = tuple[str, int]


class Spawned(msgspec.Struct, frozen=True, kw_only=True):
    """The process of an attempt exists. `started`: clock ticks since boot (field 22 of /proc/PID/stat)."""

    key: JobKey
    pid: int
    started: int = 0


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The process tree of an attempt is dead: nothing of it runs any more."""

    key: JobKey
    outcome: Literal["ok", "failed", "cancelled"]
    payload: Payload | None = None
    form: OutputForm = "json"
    error: ErrorRecord | None = None
    cpu_s: float | None = None
    rss_bytes: int | None = None
    usage: Usage | None = None


Report: TypeAlias = Callable[[Spawned | Ended], None]
"""Called on the event loop's thread; never from inside `start`. Each started job gets exactly one Ended, and nothing after it."""


class Runner(Protocol):
    """HOW one kind of action runs. Lives on the engine's event loop; no method blocks."""

    def start(self, job: Job, report: Report) -> None:
        """Begin the attempt. Every failure, that of starting included, is reported and never raised."""
        ...

    def stop(self, key: JobKey, grace_s: float) -> None:
        """End the whole process tree: terminate, after `grace_s` kill. Idempotent; unknown keys are ignored."""
        ...

    async def close(self) -> None:
        """Release what is left. Jobs that still run are killed and reported first."""
        ...


class Executor(Protocol):
    """WHERE a call runs: a warm worker process, here or elsewhere. Same life cycle and threading rules as a Runner.

    `request` is the JSON text that the code at the other end understands (see weft.executors.worker); Ended.payload is JSON.
    """

    def start(self, job: Job, request: bytes, report: Report) -> None: ...

    def stop(self, key: JobKey, grace_s: float) -> None: ...

    async def close(self) -> None: ...


# ---- shared pools ----


class Lease(Protocol):
    """Units of shared pools, as one. They are held as long as any process has one of the descriptors."""

    @property
    def descriptors(self) -> tuple[int, ...]: ...

    def release(self) -> None:
        """Let go of our own descriptors. Idempotent."""
        ...


class SlotLeases(Protocol):
    """The part that one run has of the pools which all runs of a state folder share. No method waits for another run."""

    def take(self, units: Mapping[str, int], waiting_since: float) -> Lease | None:
        """Units of each of these pools together, or nothing: then the run counts as waiting, since an instant on the monotonic
        clock; who waits longer comes first. Raises MachineError."""
        ...

    def blockers(self) -> list[str]:
        """The runs that kept the last `take` from its units; empty if that is not known."""
        ...

    def stop_waiting(self) -> None: ...

    def close(self) -> None:
        """The run has no engine any more."""
        ...


# ---- observers ----


class Observer(Protocol):
    """Somebody who is shown facts, in order, once they are durable."""

    def recall(self, facts: Iterable[Fact]) -> None:
        """Facts of earlier engines: to be known, not to be shown. Called once, before `see`, when a run is resumed."""
        ...

    def see(self, facts: Sequence[Fact]) -> None: ...

    def close(self) -> None: ...


SecretSource: TypeAlias = Callable[[Sequence[str]], Mapping[str, str]]
"""Values for secret names; raises UsageError naming the missing ones."""
