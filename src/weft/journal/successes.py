"""Successes of steps with `reuse`, by fingerprint: a table of the index. The journals are the truth, as for all of it.

A run notes its successes as they become durable, so that the next one finds them even if this one is killed; what it could not
note, `Index.refresh` reads from its journal.
"""

import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import msgspec

from weft.core import facts as f
from weft.core.facts import Fact
from weft.journal.reader import NAME as JOURNAL
from weft.journal.store import blob_path
from weft.model.output import Output
from weft.model.paths import definition
from weft.ports import Success

SUCCESSES_MAX: Final = 20_000
"""Successes that are remembered, the newest: of 100 steps with `reuse` those of 200 runs."""

SUCCESSES_BYTES_MAX: Final = 64 << 20
"""The same in bytes; small outputs are among them."""

TABLES: Final = (
    "CREATE TABLE successes (run TEXT, step TEXT, workflow TEXT, definition TEXT, key TEXT, at REAL, bytes INTEGER, success BLOB,"
    " PRIMARY KEY (run, step));"
    "CREATE INDEX same ON successes (workflow, definition, key, at);"
    "CREATE INDEX latest ON successes (workflow, step, at);"
    "CREATE INDEX oldest ON successes (at);"
)
INSERT: Final = "INSERT OR REPLACE INTO successes VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
FORGET: Final = (
    "DELETE FROM successes WHERE rowid IN (SELECT rowid FROM (SELECT rowid, row_number() OVER newest AS n, sum(bytes) OVER newest"
    " AS total FROM successes WINDOW newest AS (ORDER BY at DESC, rowid DESC))"
    f" WHERE n > {SUCCESSES_MAX} OR total > {SUCCESSES_BYTES_MAX})"
)
FIND: Final = (
    "SELECT run, step, success FROM successes WHERE workflow = ? AND definition = ? AND key = ? AND run != ?"
    " ORDER BY step = ? DESC, at DESC LIMIT ?"
)
LATEST: Final = "SELECT run, step, success FROM successes WHERE workflow = ? AND step = ? AND run != ? ORDER BY at DESC LIMIT 1"

Row: TypeAlias = tuple[str, str, str, str, str, float, int, bytes]


class Table(Protocol):
    """Where they are: the index."""

    def query(self, sql: str, values: tuple[object, ...]) -> list[tuple[str, str, bytes]]: ...
    def note_successes(self, rows: list[Row]) -> None: ...


class _Kept(msgspec.Struct, frozen=True):
    """What a row holds of a success."""

    output: Output
    parts: dict[str, str]
    wrote: dict[str, str]


class Fold:
    """Facts of one run → rows. `see` takes facts in order, `take` gives the rows that have come since."""

    def __init__(self, run: str = "", workflow: str = "", parts: Mapping[str, dict[str, str]] | None = None) -> None:
        self._run, self._workflow = run, workflow
        self._parts = dict(parts or {})
        self._rows: list[Row] = []

    def see(self, fact: Fact) -> None:
        match fact:
            case f.RunCreated():
                self._run, self._workflow = fact.run, fact.workflow.name
            case f.FingerprintTaken():
                self._parts[fact.step] = fact.parts
            case f.AttemptEnded(stored=f.Stored(key=key, wrote=wrote), output=Output() as output) if key:
                success = msgspec.json.encode(_Kept(output, self._parts.get(fact.step, {}), wrote))
                row = (self._run, fact.step, self._workflow, definition(fact.step), key, fact.at, len(success), success)
                self._rows.append(row)

    def take(self) -> list[Row]:
        rows, self._rows = self._rows, []
        return rows


class SuccessBook:
    """The successes of earlier runs of a workflow, for the run `run`, which notes its own here too (it is an Observer).

    `parts`: fingerprints that an earlier engine of that run has taken, by step."""

    def __init__(
        self, index: Table, state: Path, workflow: str, run: str, parts: Mapping[str, dict[str, str]] | None = None
    ) -> None:
        self._index = index
        self._state = state
        self._workflow = workflow
        self._run = run
        self._fold = Fold(run, workflow, parts)

    # ---- Observer ----

    def recall(self, facts: Iterable[Fact]) -> None:
        """What earlier engines noted is there."""

    def see(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            self._fold.see(fact)
        if rows := self._fold.take():
            self._index.note_successes(rows)

    def close(self) -> None:
        if rows := self._fold.take():
            self._index.note_successes(rows)

    # ---- Successes ----

    def find(self, step: str, key: str, count: int) -> list[Success]:
        return self._query(FIND, (self._workflow, definition(step), key, self._run, step, count))

    def last(self, step: str) -> Success | None:
        return next(iter(self._query(LATEST, (self._workflow, step, self._run))), None)

    def _query(self, sql: str, values: tuple[object, ...]) -> list[Success]:
        found = []
        for run, step, row in self._index.query(sql, values):
            folder = self._state / "runs" / run
            if not os.path.exists(folder / JOURNAL):
                continue  # it was removed: what it did is as good as unknown
            try:
                kept = msgspec.json.decode(row, type=_Kept)
            except (ValueError, TypeError):
                continue
            blob = blob_path(folder, kept.output) if kept.output.blob else None
            found.append(Success(run=run, step=step, output=kept.output, parts=kept.parts, wrote=kept.wrote, blob=blob))
        return found


def save(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Write rows, and drop the oldest beyond the bounds."""
    if rows:
        connection.executemany(INSERT, rows)
        connection.execute(FORGET)
