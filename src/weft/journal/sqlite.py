"""The durable journal: SQLite with a write-ahead log, one writer thread, group commit.

- One thread owns the one connection that writes and checkpoints: SQLite 3.7.0 to 3.51.2 can corrupt a log that two of them reset.
- A row is a commit: all units that had gathered while the one before was synced, as lines of JSON. One statement does it all,
  because a thread that leaves and re-enters the interpreter waits up to 5 ms each time while another computes; a statement
  for each fact makes a busy engine hundreds of times slower (docs/decisions/journal-rows.md).
- No unit is split over two rows. Nothing is reported as saved before SQLite has synced it.
- After the first failure nothing more is written: what was reported stays true, and what was not never happened.
"""

import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic
from typing import Final, Literal

from weft.core.facts import Fact
from weft.journal import codec, folders
from weft.journal.faults import SQLITE_ERRORS, explain
from weft.journal.lock import RunLock
from weft.journal.reader import APPLICATION_ID, END, NAME, Reader, read_facts, version_of
from weft.journal.witness import Witness
from weft.model.errors import Bug, MachineError, WeftError

MIGRATIONS: Final = ("CREATE TABLE saved (last INTEGER PRIMARY KEY, facts BLOB NOT NULL, sums BLOB NOT NULL)",)
"""Entry n leads from version n to n + 1 (PRAGMA user_version). `last` is the number of the last fact of the row, `facts` holds
one JSON text a line, `sums` the checksums of codec.py, four bytes each, little-endian."""

BATCH_BYTES_MAX: Final = 256 << 10
"""A commit takes no further unit once it holds this much: larger ones gain nothing, and readers hold 64 of them at once."""

UNIT_BYTES_MAX: Final = 512 << 20
"""One unit is one SQLite value, which may have 1,000,000,000 bytes. The largest, RunCreated, has some 25 MB at 100k steps."""

BACKLOG_BYTES_MAX: Final = 1 << 30
"""Facts that wait for the disk are held in memory. This many mean that the disk has stopped, not that it is slow."""

LOG_BYTES_MAX: Final = 4 << 20
"""The write-ahead log is cut back to this after a checkpoint; SQLite makes one at each 1,000 pages (4 MB)."""

PACE_S: Final = 0.005
"""Commits for which nobody waits begin at least this far apart. They cost the same whatever is in them, and beside short steps
that is more than the steps; what an engine that is killed has to do again is little longer for it."""

LOOK_S: Final = 0.02
"""Under load the writer looks after its files and renews the witness at most this often: each look lets the interpreter go."""

CLOSE_TIMEOUT_S: Final = 30.0
"""A disk that syncs nothing for so long is taken for dead: leaving beats hanging."""

_Unit = tuple[bytes, list[int]]


class SqliteJournal:
    """The journal of the run in `folder`. It holds the run's lock and is used from one thread, `read` apart.

    `create` makes the folder (mode 0700) and an empty journal. `durability`: `power` syncs each commit, `process` leaves the
    syncing to the kernel and survives only the death of the process. Raises RunLocked, JournalDamaged or MachineError.
    """

    def __init__(self, folder: Path, *, durability: Literal["power", "process"], create: bool) -> None:
        self._folder = folder
        self._power = durability == "power"
        self._queue: queue.SimpleQueue[_Unit | None] = queue.SimpleQueue()
        self._urgent = threading.Event()
        self._begin_at = 0.0
        self._thread: threading.Thread | None = None
        self._failure: WeftError | None = None
        self._closed = False
        self._saved: Callable[[int], None] = _ignore
        self._failed: Callable[[BaseException], None] = _ignore
        self._last = self._sum = self._durable = 0
        self._bytes_in = self._bytes_out = 0
        if create:
            _create(folder, durable=self._power)
        self._lock = RunLock(folder)
        try:
            if create:
                _lay_out(folder, durable=self._power)
                self._begin()
            else:
                self._find_end()
        except BaseException:
            self._lock.close()
            raise

    def append(self, facts: Sequence[Fact], *, urgent: bool = True) -> int:
        if self._failure is not None:
            raise MachineError(str(self._failure)) from self._failure
        if self._closed:
            raise Bug("append to a journal that was closed")
        if not facts:
            return self._last
        if self._thread is None:
            self._begin()
        lines, sums = codec.encode(facts, self._sum)
        text = b"\n".join(lines)
        backlog = self._bytes_in - self._bytes_out
        if len(text) > UNIT_BYTES_MAX or backlog > BACKLOG_BYTES_MAX:
            what = f"{len(text):,} bytes in one unit" if len(text) > UNIT_BYTES_MAX else f"the disk is {backlog:,} bytes behind"
            raise MachineError(f"journal of run `{self._folder.name}`: {what}, which is over the limit")
        self._last += len(sums)
        self._sum = sums[-1]
        self._bytes_in += len(text)
        self._queue.put((text, sums))
        if urgent:
            self._urgent.set()
        return self._last

    @property
    def durable(self) -> int:
        return self._durable

    def listen(self, saved: Callable[[int], None], failed: Callable[[BaseException], None]) -> None:
        self._saved = saved
        self._failed = failed

    def read(self, start: int = 1) -> Iterator[Fact]:
        return read_facts(self._folder, start)

    def close(self) -> None:
        """Never raises: a failure to save what was left is told to the listener."""
        if self._closed:
            return
        self._closed = True
        if self._thread is not None:
            self._queue.put(None)
            self._urgent.set()
            self._thread.join(CLOSE_TIMEOUT_S)
            if self._thread.is_alive():  # it may still write: the lock stays ours until this process ends
                what = f"the disk has not answered for {CLOSE_TIMEOUT_S:g} s; facts after {self._durable} may be lost"
                self._fail(MachineError(f"journal of run `{self._folder.name}`: {what}"))
                return
        self._lock.close()

    def _find_end(self) -> None:
        """Go to the end of an existing journal without writing: a damaged one is left as it is, for its owner to look at."""
        reader = Reader(self._folder, END)
        try:
            reader.quick_check()
            reader.poll()
            self._last = self._durable = reader.number
            self._sum = reader.sum
        finally:
            reader.close()

    def _begin(self) -> None:
        """Open the writing connection and start the writer."""
        connection = None
        try:
            connection = sqlite3.connect(self._folder / NAME, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._power else 'NORMAL'}")
            connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES_MAX}")
            _migrate(connection)
            thread = threading.Thread(target=self._write, args=(connection,), name="weft-journal", daemon=True)
            thread.start()
            self._thread = thread
        except (*SQLITE_ERRORS, OSError, RuntimeError) as error:  # RuntimeError: no thread can be made
            if connection is not None:
                connection.close()
            raise explain(error, self._folder) from error

    # ---- the writer thread ----

    def _write(self, connection: sqlite3.Connection) -> None:
        witness = None
        try:
            witness = Witness(self._folder) if self._power else None
            files = _identities(self._folder)
            looked_at = 0.0
            while batch := self._gather():
                number = self._durable + sum(len(sums) for _, sums in batch)
                text = b"\n".join([text for text, _ in batch])
                packed = codec.pack_sums([sum_ for _, sums in batch for sum_ in sums])
                connection.execute("INSERT INTO saved VALUES (?, ?, ?)", (number, text, packed))
                self._durable = number
                self._bytes_out += sum(len(text) for text, _ in batch)
                self._saved(number)
                if self._queue.empty() or monotonic() - looked_at > LOOK_S:
                    if _identities(self._folder) != files:
                        raise MachineError(
                            f"journal of run `{self._folder.name}`: its files in {self._folder} were removed or replaced"
                        )
                    if witness is not None:
                        witness.write(number)
                    looked_at = monotonic()
        except Exception as error:  # whatever it was, the engine must hear of it: nobody else sees this thread
            self._fail(error if isinstance(error, WeftError) else explain(error, self._folder))
        finally:
            if witness is not None:
                witness.close()
            _shut(connection, tidy=self._failure is None)

    def _gather(self) -> list[_Unit]:
        """Wait for a unit and until one is due, then take what has gathered; nothing when the journal is to be closed."""
        units: list[_Unit] = []
        size = 0
        while not units or (size < BATCH_BYTES_MAX and not self._queue.empty()):
            unit = self._queue.get()
            if unit is None:
                self._queue.put(None)  # once more, for the call after this one
                break
            if not units:
                self._urgent.wait(self._begin_at - monotonic())
                self._urgent.clear()
                self._begin_at = monotonic() + PACE_S
            units.append(unit)
            size += len(unit[0])
        if size >= BATCH_BYTES_MAX:
            self._urgent.set()  # somebody may wait for what is left
        return units

    def _fail(self, error: WeftError) -> None:
        if self._failure is None:
            self._failure = error
            self._failed(error)


def _ignore(_: object) -> None:
    """What is called when nobody listens."""


def _create(folder: Path, *, durable: bool) -> None:
    """The folder and an empty file in it, whose mode SQLite also gives to the log beside it."""
    try:
        folders.make(folder, durable=durable)
        os.close(os.open(folder / NAME, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise explain(error, folder) from error


def _lay_out(folder: Path, *, durable: bool) -> None:
    """Make the empty file a journal without facts. It is synced once, at the end: until then there is nothing to lose."""
    try:
        with closing(sqlite3.connect(folder / NAME, isolation_level=None)) as connection:
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA journal_mode = MEMORY")
            _migrate(connection)
            connection.execute("PRAGMA journal_mode = WAL")
        if durable:
            folders.sync(folder / NAME)
            folders.sync(folder)
    except (*SQLITE_ERRORS, OSError) as error:
        raise explain(error, folder) from error


def _migrate(connection: sqlite3.Connection) -> None:
    version = version_of(connection)
    if version < len(MIGRATIONS):
        connection.execute("BEGIN IMMEDIATE")
        for step in MIGRATIONS[version:]:
            connection.execute(step)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")


def _identities(folder: Path) -> list[int]:
    """Inode numbers of the journal's two files: SQLite goes on writing happily to files that were removed."""
    try:
        return [os.stat(folder / name).st_ino for name in (NAME, NAME + "-wal")]
    except FileNotFoundError:
        return []


def _shut(connection: sqlite3.Connection, *, tidy: bool) -> None:
    """Close, the log folded into the file so that even a read-only folder can be read. No fact depends on it: errors pass."""
    with suppress(sqlite3.Error):
        if tidy:
            connection.execute("PRAGMA busy_timeout = 0")  # a reader that is just looking is no reason to wait
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            if not busy:  # all facts are in the file and synced: whether the change of mode reaches the disk does not matter
                connection.execute("PRAGMA synchronous = OFF")
            connection.execute("PRAGMA journal_mode = DELETE")
    with suppress(sqlite3.Error):
        connection.close()
