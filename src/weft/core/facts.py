"""The facts: one past-tense entry each, in the order of the journal. The only thing that changes scheduling state.

Observed facts come from outside (an attempt ended, somebody asked to cancel). Decided facts are the core's own verdicts; they
are journalled too, so that recovery applies them and decides nothing again. Every fact carries `at`, in seconds on the
engine's clock (seconds since the epoch that never run backwards within a run).
"""

from typing import Literal, TypeAlias

import msgspec

from weft.model.output import ErrorRecord, Output, Usage
from weft.model.workflow import Durability, Step, Value, Workflow

Outcome: TypeAlias = Literal["succeeded", "succeeded_with_errors", "failed", "cancelled"]
"""How a run ended. A run that has not is `running`, `suspended` or `waiting`."""
GiveUpCause: TypeAlias = Literal["cancel", "stop", "stop_layer", "run_timeout", "budget"]
HaltCause: TypeAlias = Literal["suspend"] | GiveUpCause
StopCause: TypeAlias = Literal["timeout", "suspend"] | GiveUpCause
CancelCause: TypeAlias = Literal["rejected"] | StopCause
SkipReason: TypeAlias = Literal["condition", "needs_skipped", "need_failed", "not_selected", "not_needed", "gate"] | GiveUpCause
GateAnswer: TypeAlias = Literal["approve", "reject", "fail"]


def _tag(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class Base(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag_field="fact", tag=_tag):
    at: float


class Limits(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What `max_parallel` means on this machine. None: no limit. `total` bounds all attempts together."""

    total: int | None = None
    computing: int | None = None
    waiting: int | None = None
    adaptive: bool = False
    """`computing` is where it begins; from there it follows the pressure on the machine."""
    pools: dict[str, int] = {}
    """What this machine has for the pools that ask it, in their units; a pool of a fixed size never has more than that."""
    gpus: tuple[str, ...] = ()
    """The GPUs that the engine may use, as CUDA names them."""


class Given(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is taken from an earlier run: the output of a step, or of a fan-out or sub-workflow the keys of its instances."""

    run: str
    output: Output | None = None
    keys: tuple[str, ...] = ()


class Stored(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Under which fingerprint a success may be reused, and digests of the files that it wrote, by path; or why it may not."""

    key: str = ""
    wrote: dict[str, str] = {}
    refused: str = ""


class PoolKey(msgspec.Struct, frozen=True, omit_defaults=True):
    """A pool, and of one with `per` the key."""

    pool: str
    key: str = ""


# ---- observed ----


class RunCreated(Base, frozen=True, omit_defaults=True, kw_only=True):
    """The first fact: everything that a resume needs to know, except secrets."""

    run: str
    workflow: Workflow
    inputs: dict[str, Value]
    seed: int
    source: str = ""
    """Path of the workflow file, for messages and as the base of relative paths."""
    digest: str = ""
    """SHA-256 of the file, to say on resume that it has changed."""
    parts: dict[str, str] = {}
    """The same of the files of its sub-workflows, by path."""
    project: str = ""
    """Working folder of the steps."""
    time_scale: float = 1.0
    durability: Durability = "power"
    version: str = ""
    estimates: dict[str, float] = {}
    """Seconds that steps are expected to take, learned from earlier runs. They stand here so that every engine of the run
    serves its steps in the same order."""
    origin: str = ""
    """The run that this one takes outputs from, or goes on from."""
    given: dict[str, Given] = {}
    """Steps that count as succeeded from the beginning; what a step is a part of stands before it."""
    left_out: tuple[str, ...] = ()
    """Steps that were not selected: they are skipped, as if their `if` were false."""
    reuse: bool = True
    """False: steps with `reuse` run all the same, as somebody asked for it or named what is to run."""


class EngineAttached(Base, frozen=True, omit_defaults=True, kw_only=True):
    """An engine took the run: after the creation, and again at each resume."""

    pid: int
    host: str
    limits: Limits
    version: str = ""
    stays: bool = False
    """It stays when all that is open waits for people, rather than leave."""


class AttemptSpawned(Base, frozen=True, omit_defaults=True, kw_only=True):
    """The process of an attempt exists. `started`, its start time in clock ticks since boot, tells it from a reused pid."""

    step: str
    attempt: int
    pid: int
    started: int = 0


class AttemptEnded(Base, frozen=True, omit_defaults=True, kw_only=True):
    """The process tree of an attempt is dead. `output` when ok, else `error`. Times in CPU seconds, memory in bytes."""

    step: str
    attempt: int
    outcome: Literal["ok", "failed", "cancelled"]
    output: Output | None = None
    error: ErrorRecord | None = None
    cpu_s: float | None = None
    rss_bytes: int | None = None
    stored: Stored | None = None
    usage: Usage | None = None
    """What it reported as used, if anything."""


class AttemptLost(Base, frozen=True, omit_defaults=True, kw_only=True):
    """An attempt was alive when its engine died or was told to leave: it counts as no failure, the step will run again."""

    step: str
    attempt: int
    reason: Literal["crash", "suspend"] = "crash"


class ConditionEvaluated(Base, frozen=True, omit_defaults=True, kw_only=True):
    """What the engine evaluates just before a step is ready: the verdict of its `if`, and its keys; with `error` when something
    could not be evaluated."""

    step: str
    verdict: bool
    error: ErrorRecord | None = None
    keys: dict[str, str] = {}
    """For each pool with `per` that the step takes, the value of `per` as text."""


class FingerprintTaken(Base, frozen=True, omit_defaults=True, kw_only=True):
    """What a step with `reuse` is about to be run with: digests by part. `found`: a success with the same ones; it comes to the
    journal as StepReused. Else `changed` are the parts that differ from the last success, in run `last`, or `note` says why
    that could not be reused."""

    step: str
    parts: dict[str, str] = {}
    found: Given | None = None
    changed: list[str] = []
    last: str = ""
    note: str = ""


class ItemsEvaluated(Base, frozen=True, omit_defaults=True, kw_only=True):
    """The keys of a fan-out's items, none for a sub-workflow; with `error` when there is none. What follows is a StepsAdded or
    a StepFailed, so this is not journalled itself."""

    step: str
    keys: list[str] = []
    error: ErrorRecord | None = None


class GroupEvaluated(Base, frozen=True, omit_defaults=True, kw_only=True):
    """The output of a sub-workflow; with `error` when it could not be evaluated. It comes to the journal with what follows."""

    step: str
    output: Output | None = None
    error: ErrorRecord | None = None


class OutputsEvaluated(Base, frozen=True, omit_defaults=True, kw_only=True):
    """The outputs of the run; with `error` when they could not be evaluated."""

    outputs: dict[str, Value]
    error: ErrorRecord | None = None


class CancelRequested(Base, frozen=True, omit_defaults=True, kw_only=True):
    by: str
    reason: str = ""


class SuspendRequested(Base, frozen=True, omit_defaults=True, kw_only=True):
    """Somebody asked to leave: `drain` starts nothing new, `kill` also ends what runs."""

    how: Literal["drain", "kill"]
    by: str = ""


class PressureObserved(Base, frozen=True, omit_defaults=True, kw_only=True):
    """How hard it is to get at a processor and at memory on this machine, each between 0 (easy) and 1. The engine tells it only
    if it changes what `max_parallel: adaptive` allows."""

    cpu: float
    memory: float


class InterruptAnswered(Base, frozen=True, omit_defaults=True, kw_only=True):
    """Somebody says what becomes of an interrupted step: it runs `again`, its work is `done`, or they `give_up`: it fails. The
    first answer is the only one; `id` is chosen by whoever answers, and tells the own answer from others."""

    step: str
    answer: Literal["again", "done", "give_up"]
    by: str
    reason: str = ""
    id: str = ""


class RetryRequested(Base, frozen=True, omit_defaults=True, kw_only=True):
    """Somebody asked a run that has ended to go on: its failed, cancelled and skipped steps wait again."""

    by: str


class GateOpened(Base, frozen=True, omit_defaults=True, kw_only=True):
    """A person is asked: what, with what to look at, and until when an answer counts. Steps call their gate by their id, that
    after layer n is `layer#n`. With `error` when the question could not be evaluated: then nobody is asked. Of a gate with an
    `answer` of its own, `by` tells whose that is; it comes along as `said`, or why there is none as `unsaid`, neither of which
    is kept."""

    gate: str
    message: str = ""
    show: Value = None
    until: float | None = None
    error: ErrorRecord | None = None
    by: str = ""
    said: "GateAnswered | None" = None
    unsaid: str = ""


class GateAnswered(Base, frozen=True, omit_defaults=True, kw_only=True):
    """What somebody answered, or what silence means (then `by` is empty). The first answer to a gate is the only one.

    `form`: its fields. `inputs`: what replaces values of the step's `with`. `skip` names steps that shall not run (with
    `replan`, all that has not begun), `inject` are new steps. `id` is chosen by whoever answers, and tells the own answer from
    others.
    """

    gate: str
    answer: GateAnswer
    by: str = ""
    reason: str = ""
    form: dict[str, Value] = {}
    inputs: dict[str, Value] = {}
    skip: list[str] = []
    replan: bool = False
    inject: list[Step] = []
    id: str = ""


class PoolLeased(Base, frozen=True, omit_defaults=True, kw_only=True):
    """The run has a lease of so many units of shared pools, for one attempt."""

    units: dict[str, int]


class PoolBusy(Base, frozen=True, omit_defaults=True, kw_only=True):
    """There is no such lease for now: these runs have too much of the pools, or have waited longer."""

    units: dict[str, int]
    runs: list[str] = []


# ---- decided ----


class StepsReady(Base, frozen=True, omit_defaults=True, kw_only=True):
    """These steps may start as soon as their limits allow."""

    steps: list[str]


class StepsAdded(Base, frozen=True, omit_defaults=True, kw_only=True):
    """The graph grows. `steps` join it, in the layer `layer`, as parts of `parent` if there is one. Without them `parent` is a
    fan-out, and gets an instance for each of the `keys`, or a sub-workflow, and gets its steps."""

    parent: str = ""
    keys: list[str] = []
    steps: list[Step] = []
    layer: int = 0


class AttemptStarted(Base, frozen=True, omit_defaults=True, kw_only=True):
    """`gpus`: the devices that it gets, as CUDA names them."""

    step: str
    attempt: int
    gpus: list[str] = []


class AttemptStopping(Base, frozen=True, omit_defaults=True, kw_only=True):
    """The process tree of this attempt is being ended; it keeps its slots until it is dead."""

    step: str
    attempt: int
    cause: StopCause


class BackoffStarted(Base, frozen=True, omit_defaults=True, kw_only=True):
    """A failed attempt will be followed by another, not before `until`."""

    step: str
    attempt: int
    until: float


class StepInterrupted(Base, frozen=True, omit_defaults=True, kw_only=True):
    """This attempt was lost, and the step says by `rerun` that it must not run again by itself: it waits for a person."""

    step: str
    attempt: int


class FallbackStarted(Base, frozen=True, omit_defaults=True, kw_only=True):
    """The step has failed with `error`, and the step `fallback` is tried in its place."""

    step: str
    fallback: str
    error: ErrorRecord


class StepSucceeded(Base, frozen=True, omit_defaults=True, kw_only=True):
    """It has succeeded without an attempt of its own: all its parts have, or its fallback, or it was approved. `output`: where it
    is not theirs."""

    step: str
    output: Output | None = None


class StepReused(Base, frozen=True, omit_defaults=True, kw_only=True):
    """It does not run: it has succeeded in an earlier `run` with the same fingerprint, and this is its output."""

    step: str
    run: str
    output: Output | None = None


class StepFailed(Base, frozen=True, omit_defaults=True, kw_only=True):
    """No attempt is left, or none could be made. `error`: that of the last attempt, or of an `if` that cannot be evaluated."""

    step: str
    error: ErrorRecord


class StepCancelled(Base, frozen=True, omit_defaults=True, kw_only=True):
    step: str
    cause: CancelCause


class StepsSkipped(Base, frozen=True, omit_defaults=True, kw_only=True):
    """These steps will not run. `because` is the step that caused it, where there is one."""

    steps: list[str]
    reason: SkipReason
    because: str = ""


class UnitsReserved(Base, frozen=True, omit_defaults=True, kw_only=True):
    """This step is the first in the order and has been overtaken too often: what becomes free of these pools is kept for it."""

    step: str
    pools: list[PoolKey]


class LeasesReturned(Base, frozen=True, omit_defaults=True, kw_only=True):
    """Nobody could use these leases, so the run has them no more."""

    units: dict[str, int]
    count: int


class PoolResized(Base, frozen=True, omit_defaults=True, kw_only=True):
    """An adaptive pool has so many slots now."""

    pool: str
    key: str = ""
    slots: int
    reason: str = ""


class BreakerOpened(Base, frozen=True, omit_defaults=True, kw_only=True):
    """So many attempts in a row failed that held this pool: nothing that takes it starts before `until`."""

    pool: str
    key: str = ""
    until: float
    failures: int = 0


class BreakerClosed(Base, frozen=True, omit_defaults=True, kw_only=True):
    """The attempt that tried succeeded: whatever takes this pool may start again."""

    pool: str
    key: str = ""


class RunTimedOut(Base, frozen=True, omit_defaults=True, kw_only=True):
    """The run has taken longer than its `timeout`: what runs is stopped, nothing else starts."""


class BudgetSpent(Base, frozen=True, omit_defaults=True, kw_only=True):
    """What the run has used has reached its `budget`, and steps were still to start: what runs may end, nothing else starts."""

    usage: Usage


class RunEnding(Base, frozen=True, omit_defaults=True, kw_only=True):
    """All steps but those of `finally` have settled, and so has what the run came to: now these run."""

    status: Outcome


class RunSuspended(Base, frozen=True, omit_defaults=True, kw_only=True):
    """Nothing is alive any more, and the run can be resumed."""


class RunWaiting(Base, frozen=True, omit_defaults=True, kw_only=True):
    """Nothing is alive, and all that is open waits for people: those who are asked at `gates`. An answer lets it go on."""

    gates: list[str]


class RunEnded(Base, frozen=True, omit_defaults=True, kw_only=True):
    status: Outcome


Said: TypeAlias = GateAnswered | InterruptAnswered
"""What people answer when they are asked."""
Answer: TypeAlias = ItemsEvaluated | GroupEvaluated
"""What the engine observes and the journal does not keep: it holds what the core decides on it."""
Witnessed: TypeAlias = (
    RunCreated
    | EngineAttached
    | AttemptSpawned
    | AttemptEnded
    | AttemptLost
    | ConditionEvaluated
    | FingerprintTaken
    | OutputsEvaluated
    | CancelRequested
    | SuspendRequested
    | RetryRequested
    | PressureObserved
    | GateOpened
    | GateAnswered
    | PoolLeased
    | PoolBusy
    | InterruptAnswered
)
Observed: TypeAlias = Witnessed | Answer
Decided: TypeAlias = (
    StepsReady
    | StepsAdded
    | AttemptStarted
    | AttemptStopping
    | BackoffStarted
    | FallbackStarted
    | StepInterrupted
    | StepSucceeded
    | StepReused
    | StepFailed
    | StepCancelled
    | StepsSkipped
    | UnitsReserved
    | LeasesReturned
    | PoolResized
    | BreakerOpened
    | BreakerClosed
    | RunTimedOut
    | BudgetSpent
    | RunEnding
    | RunSuspended
    | RunWaiting
    | RunEnded
)
Fact: TypeAlias = Witnessed | Decided
