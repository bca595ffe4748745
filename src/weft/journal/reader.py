"""Reading a journal: without its lock, while it is written, after a crash, in bounded memory.

- A reader opens the file read-only, so it can neither change the journal nor shorten its write-ahead log.
- What it sees is durable: SQLite shows a transaction only after it was synced.
- Good facts come first. What follows the first bad one is never given, whatever its own state.
- Nobody but SQLite opens `journal.db`: closing any other descriptor of it would drop SQLite's own file locks.
"""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from weft.core.facts import Fact
from weft.journal import codec, witness
from weft.journal.faults import SQLITE_ERRORS, damaged, explain, lost
from weft.model.errors import MachineError

NAME: Final = "journal.db"

APPLICATION_ID: Final = 0x77656674
"""Tells a journal from any other SQLite database: `weft` in ASCII."""

END: Final = 1 << 62
"""A number behind every fact: a reader that starts here knows the last fact's number and checksum, and reads nothing."""

_ROWS_MAX = 64
"""Rows read at a time. A row is one commit, so this bounds memory to 64 × BATCH_BYTES_MAX, or one larger unit."""

_QUICK_CHECK_BYTES_MAX = 64 << 20
"""A larger file is opened without `quick_check` (it reads all of it): each fact is checked when it is read anyway."""

_HEADER_BYTES = 100
"""Every SQLite file has at least these."""

_WAIT_S = 5.0
"""How long SQLite waits for a lock: another weft holds one for milliseconds, only a stranger's tool for longer."""

_BEFORE = "SELECT last, CAST(sums AS BLOB) FROM saved WHERE last < ? ORDER BY last DESC LIMIT 1"
_NEXT = "SELECT last, CAST(facts AS BLOB), CAST(sums AS BLOB) FROM saved WHERE last > ? ORDER BY last LIMIT ?"


class Reader:
    """A place in the journal of the run in `folder`, in front of fact `start`. Raises MachineError if there is no journal."""

    def __init__(self, folder: Path, start: int = 1) -> None:
        self.number = 0
        """Number of the last fact that was read, or passed over because of `start`."""
        self.sum = 0
        """Its checksum."""
        self._folder = folder
        self._start = start
        self._damage: MachineError | None = None
        self._connection = _connect(folder)
        try:
            for number, sums in self._query(_BEFORE, start):
                self.number, self.sum = number, self._last_sum(number, sums)
        except BaseException:
            self.close()
            raise

    def poll(self) -> list[Fact]:
        """Durable facts that no poll has given yet: some of them, or none if there are no more for now.

        Raises JournalDamaged with the number of the first bad fact once all before it have been given, and for ever after.
        """
        if self._damage is not None:
            raise self._damage
        promised = witness.read(self._folder)  # before the query: the writer may go on between the two
        facts: list[Fact] = []
        try:
            for last, lines, sums in self._query(_NEXT, self.number, _ROWS_MAX):
                for fact in self._unpack(last, lines or b"", sums or b""):
                    facts.append(fact)  # one by one: those before a bad one are kept
            if not facts and self.number < promised:
                raise lost(self._folder, self.number + 1, promised, self._folder / witness.NAME)
        except ValueError as error:
            self._damage = damaged(self._folder, f"fact {self.number + 1}: {error}")
        except MachineError as error:
            self._damage = error
        if self._damage is not None and not facts:
            raise self._damage
        return facts

    def _last_sum(self, number: int, packed: bytes) -> int:
        try:
            return codec.unpack_sums(packed)[-1]
        except (ValueError, IndexError, TypeError) as error:
            raise damaged(self._folder, f"the checksum of fact {number} cannot be read") from error

    def _unpack(self, last: int, text: bytes, packed: bytes) -> Iterator[Fact]:
        """The facts of one row. Raises ValueError at the first bad one."""
        lines, sums = text.split(b"\n"), codec.unpack_sums(packed)
        for line, sum_ in zip(lines, sums, strict=False):
            if crc32(line, self.sum) != sum_:
                raise ValueError("its checksum is wrong")
            fact = codec.decode(line)
            self.number += 1
            self.sum = sum_
            if self.number >= self._start:
                yield fact
        if not len(lines) == len(sums) or self.number != last:
            raise ValueError("it is missing")

    def quick_check(self) -> None:
        """SQLite's own check of the structure of the file; large files are passed. Raises JournalDamaged."""
        if (self._folder / NAME).stat().st_size <= _QUICK_CHECK_BYTES_MAX:
            for (found,) in self._query("PRAGMA quick_check(1)"):
                if found != b"ok":
                    raise damaged(self._folder, " ".join(found.decode(errors="replace").split()))

    def close(self) -> None:
        """Idempotent."""
        self._connection.close()

    def _query(self, sql: str, *values: object) -> Iterator[Any]:
        try:
            yield from self._connection.execute(sql, values)
        except SQLITE_ERRORS as error:
            raise explain(error, self._folder) from error


def read_facts(folder: Path, start: int = 1) -> Iterator[Fact]:
    """The durable facts of the run in `folder` from number `start` on, in bounded memory, without its lock.

    Raises MachineError if there is no journal; JournalDamaged, naming the first bad fact, once all before it were given.
    """
    reader = Reader(folder, start)
    try:
        while facts := reader.poll():
            yield from facts
    finally:
        reader.close()


def version_of(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _connect(folder: Path) -> sqlite3.Connection:
    """A read-only connection to something that is surely a journal of ours, of a version that we know."""
    path = folder / NAME
    try:
        size = path.stat().st_size
    except OSError as error:
        raise MachineError(f"run `{folder.name}` has no readable journal at {path}: {error.strerror}") from error
    if size < _HEADER_BYTES:  # SQLite may take it for a new database, and remove the log beside it
        raise damaged(folder, f"{NAME} has {size} bytes: nothing was ever saved in it, or it was cut")
    try:
        return _checked(folder, "mode=ro")
    except SQLITE_ERRORS as error:
        if os.access(folder, os.W_OK):
            raise explain(error, folder) from error
        if _log_bytes(path):
            where = "which SQLite reads only in a folder that may be written"
            what = f"journal of run `{folder.name}`: its last facts are in {NAME}-wal, {where}"
            raise MachineError(f"{what}; copy {folder} to one") from error
    # Where SQLite may not make the files that it wants beside this one, and there is nothing in them, it can do without.
    try:
        return _checked(folder, "mode=ro&immutable=1")
    except SQLITE_ERRORS as error:
        raise explain(error, folder) from error


def _log_bytes(path: Path) -> int:
    try:
        return path.with_name(NAME + "-wal").stat().st_size
    except OSError:
        return 0


def _checked(folder: Path, how: str) -> sqlite3.Connection:
    uri = f"{(folder / NAME).absolute().as_uri()}?{how}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_WAIT_S, check_same_thread=False)
    try:
        connection.text_factory = bytes
        found = connection.execute("PRAGMA application_id").fetchone()[0]
        version = version_of(connection)
        if found != APPLICATION_ID:
            raise damaged(folder, f"{NAME} is an SQLite database but no journal of weft (application_id {found:#x})")
        if version > codec.FORMAT:
            raise MachineError(
                f"journal of run `{folder.name}` was written by a newer weft (format {version}, this one knows up to "
                f"{codec.FORMAT}); install that version or a later one"
            )
        if version < 1:
            raise damaged(folder, f"{NAME} has format {version}, which never was")
    except BaseException:
        connection.close()
        raise
    return connection
