"""The composition root: with `hands`, which has the runners, the only file that knows which adapter stands behind which port.

Nothing heavy is imported at the top: `check` needs no journal, and a run of shell steps no Python worker.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from weft.core import facts as f
from weft.core.apply import apply
from weft.core.facts import Fact, Limits
from weft.core.gates import refusal, with_injected
from weft.core.interrupts import asked_about, refused
from weft.core.state import State
from weft.hands import make_gauge, make_runners, require_allowed, require_extras
from weft.here import cpu_count as cpu_count
from weft.here import limits_here as limits_here
from weft.here import shared_slots
from weft.here import too_small_for as too_small_for
from weft.here import unasked as unasked
from weft.model.errors import MachineError, RunLocked, UsageError
from weft.model.output import Output
from weft.model.workflow import Value, Workflow, asks_people
from weft.ports import Journal, Observer, OutputStore

if TYPE_CHECKING:
    from weft.core.estimates import Sample
    from weft.core.selection import Chosen, Selection
    from weft.host.recording import Recorder

WAITING_MAX: Final = 256
"""How many attempts that only wait run at once under `max_parallel: auto`: each costs memory and a socket, not a processor."""
ANSWER_TRIES_MAX: Final = 300
ANSWER_WAIT_S: Final = 0.1
"""An engine that comes or goes takes a moment; one that does not listen after half a minute is something else."""
RUN_ID_TRIES_MAX: Final = 100
"""A random id that is taken this often means that no id can be had."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is driven, as opposed to what it is. `say` tells the user something; `observers` are shown the facts."""

    limits: Limits
    grace_s: float = 10.0
    observers: tuple[Observer, ...] = ()
    say: Callable[[str], None] = lambda text: None
    signals: bool = True
    recorder: "Recorder | None" = None
    """Watches which files the steps open."""
    stays: bool = False
    """Stay, rather than leave, while all that is open waits for people."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A run after an engine has left it. `status` is its outcome, `suspended`, or `waiting` (for people); `signal` the one that
    suspended it, or 0."""

    run: str
    folder: Path
    state: State
    facts: Callable[[], Iterator[Fact]]
    store: OutputStore
    signal: int = 0

    @property
    def status(self) -> str:
        if self.state.ended:
            return self.state.ended.status
        return "waiting" if self.state.waiting else "suspended"


def limits_of(max_parallel: int | str, cpus: int) -> Limits:
    """What `max_parallel` means here: a number bounds all attempts; `auto` (or 0) those that compute, and those that wait;
    `adaptive` begins like `auto`."""
    if max_parallel == "unlimited":
        return Limits()
    if max_parallel in ("auto", "adaptive", 0):
        return Limits(computing=cpus, waiting=WAITING_MAX, adaptive=max_parallel == "adaptive")
    return Limits(total=int(max_parallel))


def new_run_id() -> str:
    """A random name that can be said aloud: consonants and vowels in turn, 32 bits in two words."""
    number = int.from_bytes(os.urandom(4), "big")
    letters = []
    for place in range(10):
        alphabet = "aiou" if place % 2 else "bdfghjklmnprstvz"
        number, letter = divmod(number, len(alphabet))
        letters.append(alphabet[letter])
    return "".join(letters[:5]) + "-" + "".join(letters[5:])


def import_engine() -> None:
    """Import what a run of any file needs, for somebody who has to wait for something else anyway."""
    import weft.earlier
    import weft.engine.drive
    import weft.journal.sqlite
    import weft.journal.successes  # noqa: F401


# ---- the four things that can be done with a run ----


def start(
    workflow: Workflow,
    inputs: Mapping[str, Value],
    state_folder: Path,
    options: Options,
    *,
    source: str = "",
    digest: str = "",
    parts: Mapping[str, str] | None = None,
    project: Path,
    time_scale: float = 1.0,
    reuse: bool = True,
    selection: "Selection | None" = None,
    before: Path | None = None,
) -> Result:
    """Create a run and drive it to its end or suspension. Raises UsageError before anything starts, MachineError at any time.

    `source`, `digest`, `parts`: see `RunCreated`. `before`: the folder of an earlier run, from which it takes what `selection`
    does not run, or what has not changed.
    """
    from weft import __version__
    from weft.core.selection import Selection
    from weft.earlier import first_choice, take_over

    _require(workflow, project)
    secrets = secret_values(workflow.secrets)
    chosen, earlier = first_choice(workflow, inputs, selection, before, str(project))
    run, folder, journal, store = _create(workflow, state_folder)
    if before and earlier:
        try:
            chosen = take_over(workflow, inputs, selection or Selection(), earlier, before, store)
        except BaseException:
            journal.close()
            _remove(folder)
            raise
    _say_what_is_old(chosen, options.say)
    created = f.RunCreated(
        at=0.0,
        run=run,
        workflow=workflow,
        inputs=dict(inputs),
        seed=int.from_bytes(run.encode(), "big") % 2**32,
        source=source,
        digest=digest,
        parts=dict(parts or {}),
        project=str(project),
        durability=workflow.durability,
        time_scale=time_scale,
        version=__version__,
        estimates=_estimates(workflow, state_folder, time_scale, options.limits),
        reuse=reuse and not (selection and selection.names_what_runs),
        origin=earlier.run if earlier else "",
        given=chosen.given,
        left_out=chosen.left_out,
    )
    result = _drive(State(), folder, journal, store, options, secrets, [created])
    if workflow.durability == "none":
        _remove(folder)  # without a journal nobody could make sense of it
    return result


def _require(workflow: Workflow, project: Path) -> None:
    """Raises UsageError or MachineError if the workflow cannot run here."""
    require_extras(workflow)
    require_allowed(workflow, project)
    if workflow.durability == "none" and asks_people(workflow):
        raise UsageError("the workflow waits for people, who answer to its journal: `durability: none` keeps none")


def _say_what_is_old(chosen: "Chosen", say: Callable[[str], None]) -> None:
    for step in chosen.changed:
        say(f"`{step}` is not what it was in run {chosen.given[step].run}; its output is taken all the same")


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def again(folder: Path, options: Options, selection: "Selection", limits: Limits | None = None) -> Result:
    """A new run of what the run in `folder` ran, which takes from it what `selection` does not run. Raises UsageError."""
    from weft.earlier import look_back

    state = look_back(folder).state
    created = state.created
    assert created is not None
    if limits is None:
        options = msgspec.structs.replace(options, limits=state.limits)
    return start(
        created.workflow,
        created.inputs,
        folder.parents[1],
        options,
        source=created.source,
        digest=created.digest,
        parts=created.parts,
        project=Path(created.project or "."),
        time_scale=created.time_scale,
        selection=selection,
        before=folder,
    )


def resume(folder: Path, options: Options, limits: Limits | None = None, answers: Sequence[f.InterruptAnswered] = ()) -> Result:
    """Go on with a run. `limits` replaces those that its last engine had; `answers` say what becomes of interrupted steps. Raises
    UsageError if it has ended, or an answer does not fit."""
    return _reopen(folder, options, limits, list(answers))


def cancel(folder: Path, options: Options, *, by: str, reason: str = "") -> Result | None:
    """End a run for good: by its engine if it has one (None is returned: that engine goes on to end it), else here."""
    from weft.engine.control import Request, ask
    from weft.journal.lock import holder

    if holder(folder):
        reply = ask(folder, Request(ask="cancel", by=by, reason=reason))
        if reply and reply.ok:
            return None
        if reply:
            raise UsageError(f"run `{folder.name}` was not cancelled: {reply.message}")
    return _reopen(folder, options, None, [f.CancelRequested(at=0.0, by=by, reason=reason)])


def answer(folder: Path, options: Options, fact: f.Said, *, go_on: bool = True) -> Result | None:
    """Hand in the answer to a gate or about an interrupted step: to the run's engine if it has one (then None is returned), else
    here, and go on with the run.

    The first answer counts, whoever comes at the same time. Not `go_on`: it is only written down, and the run suspended. Raises
    UsageError if the answer does not count, with the reason; MachineError if nobody takes it.
    """
    from select import select

    from weft.engine.control import Request, ask
    from weft.journal.lock import holder

    for _ in range(ANSWER_TRIES_MAX):
        if holder(folder):
            reply = ask(folder, Request(ask="answer", by=fact.by, answer=fact))
            if reply and reply.ok:
                return None
            if reply and not reply.again:
                raise UsageError(reply.message)
        else:
            then: list[f.Observed] = [fact]
            then += [] if go_on else [f.SuspendRequested(at=0.0, how="drain", by=fact.by)]
            try:
                return _reopen(folder, options, None, then)
            except RunLocked:
                pass  # somebody was faster: perhaps with an answer too
        select([], [], [], ANSWER_WAIT_S)  # its engine is about to listen, or to leave
    raise MachineError(f"run `{folder.name}` is held by a process that does not take the answer: {holder(folder)}")


def retry(folder: Path, options: Options, *, by: str, limits: Limits | None = None) -> Result:
    """Go on with a run that has ended: what failed, was cancelled or skipped waits again; or with one that waits: its interrupted
    steps run again. Raises UsageError if there is no such step."""
    return _reopen(folder, options, limits, [f.RetryRequested(at=0.0, by=by)])


def secret_values(names: Sequence[str]) -> dict[str, str]:
    """The values of secrets, from the environment. Raises UsageError naming all that are missing."""
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise UsageError(f"the secrets {', '.join(missing)} are not in the environment: set them and try again")
    return {name: os.environ[name] for name in names}


def samples(workflow: Workflow, state_folder: Path, time_scale: float) -> "list[Sample]":
    """What the last runs of a workflow teach about how long its steps take."""
    from weft.journal.index import Index, learned_under

    return Index(state_folder).samples(learned_under(workflow.name, time_scale))


def _estimates(workflow: Workflow, state_folder: Path, time_scale: float, limits: Limits) -> dict[str, float]:
    """What was learned, for the first fact. One at a time takes as long in any order; then it stays that of the first run."""
    from weft.core.estimates import learned

    one = limits.total == 1 or workflow.schedule == "sequential"
    return {} if one else learned(workflow, samples(workflow, state_folder, time_scale))


# ---- composition ----


def _create(workflow: Workflow, state_folder: Path) -> tuple[str, Path, Journal, OutputStore]:
    """A run id that is free, its folder, a journal and a store."""
    runs = state_folder / "runs"
    run = next(id_ for id_ in (new_run_id() for _ in range(RUN_ID_TRIES_MAX)) if not (runs / id_).exists())
    if workflow.durability == "none":
        from weft.journal.memory import MemoryJournal, MemoryStore

        return run, runs / run, MemoryJournal(), MemoryStore()
    from weft.journal.sqlite import SqliteJournal
    from weft.journal.store import Store

    journal = SqliteJournal(runs / run, durability=workflow.durability, create=True)
    return run, runs / run, journal, Store(runs / run, workflow.durability)


def _reopen(folder: Path, options: Options, limits: Limits | None, then: list[f.Observed]) -> Result:
    """Take over a run that no engine holds: fold its journal, prove its old attempts dead, and drive it on."""
    from weft.earlier import taken_in
    from weft.host.tree import sweep
    from weft.journal.reader import read_facts
    from weft.journal.sqlite import SqliteJournal
    from weft.journal.store import Store

    first = next(read_facts(folder), None)
    if not isinstance(first, f.RunCreated) or first.durability == "none":
        raise UsageError(f"run `{folder.name}` had not begun when its engine died; nothing ran: start it again")
    require_extras(first.workflow)
    journal = SqliteJournal(folder, durability=first.durability, create=False)
    try:
        state, outputs = State(), dict[str, Output]()
        for fact in journal.read():
            apply(state, fact)
            outputs |= taken_in(fact)
        then = _as_answers(state, then)
        _refuse_unfit(state, folder.name, then)
        _say_if_changed(first, options.say)
        ends = any(isinstance(fact, f.CancelRequested | f.SuspendRequested) for fact in then)
        secrets = {} if ends else secret_values(state.workflow.secrets)
        if not ends:
            require_allowed(state.workflow, Path(first.project or "."))
        for observer in options.observers:
            observer.recall(journal.read())
        sweep(first.run, [(attempt.pid, attempt.pid_started) for attempt in state.alive.values()])
    except BaseException:
        journal.close()
        raise
    if limits is None:
        options = msgspec.structs.replace(options, limits=state.limits)
    store = Store(folder, first.durability)
    return _drive(state, folder, journal, store, options, secrets, then, outputs)


def _as_answers(state: State, then: list[f.Observed]) -> list[f.Observed]:
    """A retry of a run that waits for people lets its interrupted steps run again; all else can be tried when it has ended."""
    asked, facts = asked_about(state), list[f.Observed]()
    for fact in then:
        if isinstance(fact, f.RetryRequested) and asked and not state.ended:
            facts += [f.InterruptAnswered(at=0.0, step=state.graph.ids[i], answer="again", by=fact.by) for i in asked]
        else:
            facts.append(fact)
    return facts


def _refuse_unfit(state: State, run: str, then: list[f.Observed]) -> None:
    """Only a run that has not ended can go on or be cancelled, only one that ended badly can be retried, and only an open gate
    and an interrupted step be answered."""
    asked = asked_about(state)
    for fact in then:
        if isinstance(fact, f.GateAnswered):
            wrong, known = refusal(state, fact, max(time.time(), state.now)), fact.gate in state.answers
        elif isinstance(fact, f.InterruptAnswered):
            wrong, known = refused(state, fact, asked), state.graph.index.get(fact.step) in state.told
        else:
            continue
        if wrong:
            raise UsageError(f"run `{run}` has ended; {wrong}" if state.ended and not known else wrong)
    again = any(isinstance(fact, f.RetryRequested) for fact in then)
    if again and not state.ended:
        raise UsageError(f"run `{run}` has not ended; `weft resume {run}` goes on with it")
    if again and state.ended and state.ended.status == "succeeded":
        raise UsageError(f"run `{run}` has succeeded; there is nothing to retry")
    if state.ended and not again:
        hint = "" if state.ended.status == "succeeded" else f"; `weft retry {run}` tries again what did not succeed"
        raise UsageError(f"run `{run}` has ended ({state.ended.status}){hint}")


def _say_if_changed(created: f.RunCreated, say: Callable[[str], None]) -> None:
    changed = []
    for path, digest in [(created.source, created.digest), *created.parts.items()]:
        with suppress(OSError):  # if it is gone: the run has all it needs
            changed += [path] if digest and sha256(Path(path).read_bytes()).hexdigest() != digest else []
    if changed:
        named = f"{changed[0]} and {len(changed) - 1} more have" if changed[1:] else f"{changed[0]} has"
        say(f"{named} changed since run {created.run} began; the run goes on with what it began with")


def _read_answer(value: Value, gate: str, state: State) -> f.GateAnswered:
    from weft.formats.answers import read_answer

    return read_answer(value, gate, state)


def _drive(
    state: State,
    folder: Path,
    journal: Journal,
    store: OutputStore,
    options: Options,
    secrets: Mapping[str, str],
    facts: list[f.Observed],
    outputs: dict[str, Output] | None = None,
) -> Result:
    """Let an engine attach to the run, and come back when it has left."""
    import asyncio
    import socket

    from weft import __version__
    from weft.engine.drive import drive
    from weft.journal.index import Index
    from weft.journal.successes import SuccessBook

    workflow = next((fact.workflow for fact in facts if isinstance(fact, f.RunCreated)), state.workflow)
    options = msgspec.structs.replace(options, limits=limits_here(workflow, options.limits))
    list(map(options.say, too_small_for(workflow)))
    slots = shared_slots(workflow, folder, options.limits, options.say)
    pid, host, stays = os.getpid(), socket.gethostname(), options.stays
    attached = f.EngineAttached(at=0.0, pid=pid, host=host, limits=options.limits, version=__version__, stays=stays)
    work = with_injected(workflow, state, facts)
    opening = [fact for fact in facts if isinstance(fact, f.RunCreated | f.RetryRequested)]
    known = {state.graph.ids[i]: taken.parts for i, taken in state.prints.items()}
    book = SuccessBook(Index(folder.parents[1]), folder.parents[1], workflow.name, folder.name, known)
    noted = state.created or facts[0]
    if isinstance(noted, f.RunCreated) and noted.durability != "none":
        options = msgspec.structs.replace(options, observers=(*options.observers, book))
    try:
        signal = asyncio.run(
            drive(
                state,
                folder=folder,
                journal=journal,
                store=store,
                runners=lambda: make_runners(work, folder, options.limits, options.say, options.recorder),
                first=[*opening, attached, *(fact for fact in facts if fact not in opening)],
                outputs=outputs or {},
                secrets=secrets,
                successes=book,
                gauge=make_gauge(options.limits),
                read_answer=_read_answer,
                slots=slots,
                observers=options.observers,
                grace_s=options.grace_s,
                signals=options.signals,
                say=options.say,
            )
        )
    finally:
        journal.close()
        if slots:
            slots.close()
    if state.created and state.created.durability != "none":
        Index(folder.parents[1]).note(state.created, {state.graph.ids[i]: seconds for i, seconds in state.took_s.items()})
    return Result(run=folder.name, folder=folder, state=state, facts=journal.read, store=store, signal=signal)
