"""The list of runs, and what they teach about how long steps take, kept in `.weft/index.db`.

- The journals are the truth. The index can be deleted at any time, and one that is broken or cannot be written is done without.
- A run is read again only if its journal's files have changed since. A damaged run is listed, and hides no other.
- A run that ends notes what it teaches by itself, and a new one reads at most SAMPLES_MAX notes: neither looks at other runs.
- Any number of processes may use it: what they write is the same.
"""

import os
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from weft.core import facts as f
from weft.core.estimates import Sample, sample_of
from weft.core.growth import grown
from weft.journal.faults import SQLITE_ERRORS
from weft.journal.lock import holder
from weft.journal.reader import NAME as JOURNAL
from weft.journal.reader import read_facts
from weft.journal.successes import TABLES, Fold, Row, save
from weft.model.errors import MachineError, UsageError
from weft.model.suggest import did_you_mean
from weft.model.workflow import Step

NAME: Final = "index.db"
_FORMAT = 4
"""Goes up whenever RunRow or the fold changes: an index of another format is rebuilt."""

_WAIT_S = 2.0
"""How long to wait for another process's write of a few rows before doing without the index."""

LAST: Final = "@"

SAMPLES_MAX: Final = 8
"""Runs of one workflow that are learned from, the last ones: enough for a median that one slow run does not move, few enough to
be read in a millisecond and to follow a change within days."""

SAMPLES_BYTES_MAX: Final = 4 << 20
"""Of large workflows fewer runs are read, down to one: a run of 100,000 steps has 4 MB, which delay the next by 0.2 s."""

_SAVED_TOGETHER_MAX = 32
"""Runs that are read and then saved at once, so that what they teach needs not be in memory for all runs."""

_TABLES: Final = (
    "CREATE TABLE runs (run TEXT PRIMARY KEY, stamp TEXT, row BLOB);"
    "CREATE TABLE learned (run TEXT PRIMARY KEY, workflow TEXT, created REAL, sample BLOB);"
    "CREATE INDEX last ON learned (workflow, created);" + TABLES
)
TABLE_NAMES: Final = ("runs", "learned", "successes")
_FORGET: Final = (
    "DELETE FROM learned WHERE workflow = ?1 AND run NOT IN"
    f" (SELECT run FROM learned WHERE workflow = ?1 ORDER BY created DESC, run LIMIT {SAMPLES_MAX})"
)

_LISTED_MAX = 5
"""Candidates named in a message about an ambiguous run id."""


RunStatus: TypeAlias = Literal["running", "suspended", "waiting"] | f.Outcome


class RunRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One run in the list. Instants in seconds since the epoch; `makespan_s` is the time in which an engine was at work.

    `damage` says why the journal could not be read to its end; the other fields are then those of its good part. `alive`:
    an engine holds the run now. `origin`: the run that it took outputs from.
    A run that is `running` and not alive lost its engine and can be resumed.
    """

    run: str
    workflow: str = ""
    source: str = ""
    status: RunStatus = "running"
    created_at: float = 0.0
    ended_at: float | None = None
    makespan_s: float = 0.0
    steps: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    skipped: int = 0
    reused: int = 0
    origin: str = ""
    damage: str = ""
    alive: bool = False


class Index:
    """The runs below a state folder. Nothing here raises because of one run or of the index itself."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._rows: dict[str, RunRow] = {}

    def refresh(self) -> None:
        """Take in what has changed since the index was last written."""
        known = self._load()
        stamps = {folder.name: _stamp(folder) for folder in run_folders(self._state)}
        changed = [run for run, stamp in stamps.items() if run not in known or known[run][0] != stamp]
        self._rows = {run: row for run, (_, row) in known.items() if run in stamps}
        for first in range(0, len(changed), _SAVED_TOGETHER_MAX):
            rows, notes, successes = list[tuple[str, str, bytes]](), list[Note](), list[Row]()
            for run in changed[first : first + _SAVED_TOGETHER_MAX]:
                self._rows[run], note, found = _fold(self._state / "runs" / run)
                rows.append((run, stamps[run], msgspec.json.encode(self._rows[run])))
                notes += [note] if note else []
                successes += found
            self._save(rows, notes, successes=successes)
        if gone := known.keys() - stamps.keys():
            self._save([], [], gone)

    def note_successes(self, rows: list[Row]) -> None:
        """Remember successes that may be reused."""
        self._save([], [], successes=rows)

    def query(self, sql: str, values: tuple[object, ...]) -> list[tuple[str, str, bytes]]:
        """What the index finds; nothing if it cannot be read, or was never written."""
        if not (self._state / NAME).exists():
            return []
        try:
            with closing(self._open()) as connection:
                return connection.execute(sql, values).fetchall()
        except SQLITE_ERRORS:
            return []

    def runs(self) -> list[RunRow]:
        """The runs as of the last refresh, the newest first."""
        rows = sorted(self._rows.values(), key=lambda row: (-row.created_at, row.run))
        return [
            msgspec.structs.replace(row, alive=holder(self._state / "runs" / row.run) is not None)
            if row.status == "running"
            else row
            for row in rows
        ]

    def _load(self) -> dict[str, tuple[str, RunRow]]:
        try:
            with closing(self._open()) as connection:
                found = connection.execute("SELECT run, stamp, row FROM runs").fetchall()
            return {run: (stamp, msgspec.json.decode(row, type=RunRow)) for run, stamp, row in found}
        except (*SQLITE_ERRORS, ValueError, TypeError):
            return {}

    def samples(self, workflow: str) -> list[Sample]:
        """What the last runs teach that were noted under this name, the newest first."""
        if not (self._state / NAME).exists():
            return []
        select = "SELECT sample FROM learned WHERE workflow = ? ORDER BY created DESC, run"
        found, read_bytes = list[Sample](), 0
        try:
            with closing(self._open()) as connection:
                for (sample,) in connection.execute(f"{select} LIMIT {SAMPLES_MAX}", (workflow,)):
                    read_bytes += len(sample)
                    if found and read_bytes > SAMPLES_BYTES_MAX:
                        break
                    found.append(msgspec.json.decode(sample, type=Sample))
            return found
        except (*SQLITE_ERRORS, ValueError, TypeError):
            return []

    def note(self, created: f.RunCreated, took_s: Mapping[str, float]) -> None:
        """Remember what a run teaches in which these steps succeeded after so many seconds."""
        if note := _note(created, took_s):
            self._save([], [note])

    def _save(
        self, rows: list[tuple[str, str, bytes]], notes: "list[Note]", gone: Iterable[str] = (), successes: Sequence[Row] = ()
    ) -> None:
        """Best effort: an index that is broken is removed and written anew; who finds it busy leaves the work to the next."""
        for _ in range(2):
            try:
                with closing(self._open()) as connection, connection:
                    connection.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?)", rows)
                    connection.executemany("INSERT OR REPLACE INTO learned VALUES (?, ?, ?, ?)", notes)
                    for table in TABLE_NAMES:
                        connection.executemany(f"DELETE FROM {table} WHERE run = ?", [(run,) for run in gone])
                    save(connection, successes)
                    connection.executemany(_FORGET, {(workflow,) for _, workflow, _, _ in notes})
                return
            except SQLITE_ERRORS as error:
                if getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
                    return
                with suppress(OSError):
                    (self._state / NAME).unlink()

    def _open(self) -> sqlite3.Connection:
        path = self._state / NAME
        with suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, timeout=_WAIT_S)
        try:
            connection.execute("PRAGMA synchronous = OFF")
            if connection.execute("PRAGMA user_version").fetchone()[0] != _FORMAT:
                connection.executescript(
                    "BEGIN IMMEDIATE;"
                    + "".join(f"DROP TABLE IF EXISTS {table};" for table in TABLE_NAMES)
                    + f"{_TABLES} PRAGMA user_version = {_FORMAT}; COMMIT"
                )
        except BaseException:
            connection.close()
            raise
        return connection


def run_folders(state: Path) -> Iterator[Path]:
    """The folders of all runs that have a journal, in no order."""
    with suppress(FileNotFoundError), os.scandir(state / "runs") as entries:
        for entry in entries:
            if os.path.exists(os.path.join(entry.path, JOURNAL)):
                yield Path(entry.path)


def find_run(state: Path, text: str) -> Path:
    """The folder of the run that `text` names: an id, the unique beginning of one, or `@` for the newest. Raises UsageError."""
    names = sorted(folder.name for folder in run_folders(state))
    if not names:
        raise UsageError(f"there is no run in {state}; `weft run FILE` makes one, `-C DIR` looks in another project")
    if text == LAST:
        index = Index(state)
        index.refresh()
        return state / "runs" / index.runs()[0].run
    found = [text] if text in names else [name for name in names if text and name.startswith(text)]
    if len(found) == 1:
        return state / "runs" / found[0]
    if found:
        more = f" and {len(found) - _LISTED_MAX} more" if len(found) > _LISTED_MAX else ""
        listed = ", ".join(f"`{name}`" for name in found[:_LISTED_MAX])
        raise UsageError(f"`{text}` is the beginning of {len(found)} runs: {listed}{more}; write more of it")
    near = did_you_mean(text, names)
    hint = f"did you mean `{near}`?" if near else "`weft runs` lists them"
    raise UsageError(f"there is no run `{text}`; {hint}")


def _stamp(folder: Path) -> str:
    """Changes whenever the journal does. Taken before reading, so that a change in between is seen the next time."""
    parts = []
    for name in (JOURNAL, JOURNAL + "-wal"):
        with suppress(OSError):
            found = os.stat(folder / name)
            parts.append(f"{found.st_ino}.{found.st_mtime_ns}.{found.st_size}")
    return " ".join(parts)


def learned_under(workflow: str, time_scale: float) -> str:
    """The name under which runs of a workflow are noted: a clock that runs faster teaches nothing about one that does not."""
    return workflow if time_scale == 1 else f"{workflow} × {time_scale:g}"


Note: TypeAlias = tuple[str, str, float, bytes]
"""A row of the table `learned`."""


def _note(created: f.RunCreated, took_s: Mapping[str, float]) -> Note | None:
    sample = sample_of(created.workflow, took_s)
    under = learned_under(created.workflow.name, created.time_scale)
    return (created.run, under, created.at, msgspec.json.encode(sample)) if sample.steps else None


def _settle(settled: dict[str, str], fact: f.Fact) -> None:
    """Note which steps have settled, and how."""
    match fact:
        case f.RunCreated():
            settled.update(dict.fromkeys((id_ for id_, given in fact.given.items() if given.output), "reused"))
        case f.AttemptEnded(outcome="ok") | f.StepSucceeded():
            settled[fact.step] = "succeeded"
        case f.StepReused():
            settled[fact.step] = "reused"
        case f.StepFailed():
            settled[fact.step] = "failed"
        case f.StepCancelled():
            settled[fact.step] = "cancelled"
        case f.StepsSkipped():
            settled.update(dict.fromkeys(fact.steps, "skipped"))
        case f.RetryRequested():
            for step in [step for step, word in settled.items() if word not in ("succeeded", "reused")]:
                del settled[step]


def _fold(folder: Path) -> tuple[RunRow, Note | None, list[Row]]:
    """One run, from its journal."""
    created: f.RunCreated | None = None
    status: RunStatus = "running"
    settled: dict[str, str] = {}
    steps: dict[str, Step] = {}
    started, took_s = dict[str, float](), dict[str, float]()
    successes = Fold()
    damage = ""
    makespan_s = last_at = 0.0
    try:
        for fact in read_facts(folder):
            # between two engines no time passes for the run
            if not isinstance(fact, f.RunCreated | f.EngineAttached | f.RetryRequested):
                makespan_s += max(0.0, fact.at - last_at)
            last_at = fact.at
            successes.see(fact)
            _settle(settled, fact)
            match fact:
                case f.RunCreated():
                    created = fact
                    steps = {step.id: step for step in fact.workflow.steps}
                case f.StepsAdded():
                    steps |= {step.id: step for step in (grown(steps[fact.parent], fact.keys) if fact.parent else fact.steps)}
                case f.EngineAttached():
                    status = "running"
                case f.AttemptStarted():
                    started[fact.step] = fact.at
                case f.AttemptEnded(outcome="ok") if fact.step in started:
                    took_s[fact.step] = fact.at - started[fact.step]
                case f.RunSuspended():
                    status = "suspended"
                case f.RunWaiting():
                    status = "waiting"
                case f.RunEnded():
                    status = fact.status
    except MachineError as error:
        damage = str(error)
    if created is None:
        return RunRow(run=folder.name, damage=damage or "it never started: its journal holds no facts"), None, []
    counts = Counter(settled.values())
    row = RunRow(
        run=folder.name,
        workflow=created.workflow.name,
        source=created.source,
        status=status,
        created_at=created.at,
        ended_at=None if status in ("running", "suspended", "waiting") else last_at,
        makespan_s=makespan_s,
        steps=len(steps),
        succeeded=counts["succeeded"],
        failed=counts["failed"],
        cancelled=counts["cancelled"],
        skipped=counts["skipped"],
        reused=counts["reused"],
        origin=created.origin,
        damage=damage,
    )
    return row, _note(created, took_s), successes.take()
