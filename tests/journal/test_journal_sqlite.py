"""What only the journal on a disk does: files and modes, group commit, readers beside the writer."""

import os
import queue
import sqlite3
import threading
from pathlib import Path

import pytest
from journal_facts import created, ended, plain, started

from weft.core.facts import Fact
from weft.journal.lock import holder
from weft.journal.reader import NAME, Reader, read_facts
from weft.journal.sqlite import BATCH_BYTES_MAX, SqliteJournal
from weft.model.errors import MachineError, RunLocked

WAIT_S = 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state" / "runs" / "bold-otter"


class Gate:
    """A listener that holds the writer back after its first commit, until it is opened."""

    def __init__(self, journal: SqliteJournal) -> None:
        self.told: list[int] = []
        self.reached, self._open = threading.Event(), threading.Event()
        journal.listen(self._saved, lambda _: None)

    def _saved(self, number: int) -> None:
        self.told.append(number)
        self.reached.set()
        assert self._open.wait(WAIT_S)

    def open(self) -> None:
        self._open.set()


@pytest.mark.parametrize("umask", [0o022, 0o000, 0o077])
def test_files_are_for_their_owner_only(folder: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        journal = SqliteJournal(folder, durability="power", create=True)
        journal.append([created()])
        modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
        journal.close()
    finally:
        os.umask(before)
    assert modes.pop("journal.db-shm") == 0o600
    assert modes.items() >= {"journal.db": 0o600, "journal.db-wal": 0o600, "lock": 0o600}.items()
    assert [path.stat().st_mode & 0o777 for path in (folder, folder.parent, folder.parent.parent)] == [0o700] * 3


@pytest.mark.parametrize(("durability", "left"), [("power", ["durable", NAME, "lock"]), ("process", [NAME, "lock"])])
def test_what_is_left_when_it_is_closed(folder: Path, durability: str, left: list[str]) -> None:
    journal = SqliteJournal(folder, durability="power" if durability == "power" else "process", create=True)
    journal.append([created()])
    assert holder(folder)
    journal.close()
    assert holder(folder) is None
    assert sorted(path.name for path in folder.iterdir()) == left
    list(read_facts(folder))
    assert sorted(path.name for path in folder.iterdir()) == left


def test_units_that_gather_are_one_commit(folder: Path) -> None:
    journal = SqliteJournal(folder, durability="power", create=True)
    gate = Gate(journal)
    journal.append([created()])
    assert gate.reached.wait(WAIT_S)
    for number in range(1, 101):
        last = journal.append([started(number), ended(number)])
    gate.open()
    journal.close()
    assert gate.told == [1, last]


def test_facts_that_nobody_waits_for_are_saved_with_the_next_that_somebody_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("weft.journal.sqlite.PACE_S", 3600.0)
    journal = SqliteJournal(folder, durability="power", create=True)
    told: queue.SimpleQueue[int] = queue.SimpleQueue()
    journal.listen(told.put, lambda _: None)
    first = journal.append([created()], urgent=False)  # nothing was saved just before
    assert told.get(timeout=WAIT_S) == first
    journal.append([started(1)], urgent=False)
    second = journal.append([ended(1)])
    assert told.get(timeout=WAIT_S) == second
    last = journal.append([started(2)], urgent=False)
    journal.close()
    assert told.get(timeout=WAIT_S) == last


def test_facts_that_nobody_waits_for_are_saved_by_themselves(folder: Path) -> None:
    journal = SqliteJournal(folder, durability="power", create=True)
    told: queue.SimpleQueue[int] = queue.SimpleQueue()
    journal.listen(told.put, lambda _: None)
    journal.append([created()])
    last = journal.append([started(1)], urgent=False)
    while told.get(timeout=WAIT_S) != last:
        pass
    journal.close()


def test_a_commit_is_bounded_and_splits_no_unit(folder: Path) -> None:
    journal = SqliteJournal(folder, durability="power", create=True)
    gate = Gate(journal)
    journal.append([created()])
    assert gate.reached.wait(WAIT_S)
    ends = {1}
    for _ in range(20):
        ends.add(journal.append([created(steps=500), started(1), ended(1)]))
    gate.open()
    journal.close()
    assert set(gate.told) <= ends
    connection = sqlite3.connect(folder / NAME)
    sizes = [size for (size,) in connection.execute("SELECT length(facts) FROM saved")]
    connection.close()
    assert len(sizes) > 3
    assert max(sizes) < BATCH_BYTES_MAX + 100_000


def test_the_journal_can_be_read_with_sqlite_and_jq(folder: Path) -> None:
    journal = SqliteJournal(folder, durability="power", create=True)
    journal.append([created(), started(1)])
    journal.close()
    connection = sqlite3.connect(folder / NAME)
    ((lines,),) = connection.execute("SELECT facts FROM saved").fetchall()
    connection.close()
    assert lines.splitlines()[1] == b'{"fact":"attempt_started","at":1.0,"step":"step1","attempt":1}'


def test_one_writer_at_a_time(folder: Path) -> None:
    journal = SqliteJournal(folder, durability="power", create=True)
    with pytest.raises(RunLocked, match=f"process {os.getpid()}"):
        SqliteJournal(folder, durability="power", create=False)
    journal.close()
    SqliteJournal(folder, durability="power", create=False).close()


def test_a_journal_that_could_not_be_made_leaves_no_lock(tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    with pytest.raises(MachineError, match="bold-otter"):
        SqliteJournal(tmp_path / "runs" / "bold-otter", durability="power", create=True)
    assert holder(tmp_path) is None


def test_tail(folder: Path) -> None:
    journal = SqliteJournal(folder, durability="power", create=True)
    saved = threading.Semaphore(0)
    journal.listen(lambda _: saved.release(), lambda _: None)
    reader = Reader(folder)
    assert reader.poll() == []
    found: list[Fact] = []
    for number in range(1, 30):
        journal.append([started(number), ended(number)])
        assert saved.acquire(timeout=WAIT_S)
        new = reader.poll()
        assert plain(new) == plain([started(number), ended(number)])
        found += new
    journal.close()
    assert reader.poll() == []
    journal = SqliteJournal(folder, durability="power", create=False)
    journal.append([started(99)])
    journal.close()
    assert plain(reader.poll()) == plain([started(99)])
    reader.close()
    assert len(found) == 58


def test_many_facts_are_read_in_pieces(folder: Path) -> None:
    journal = SqliteJournal(folder, durability="process", create=True)
    saved = threading.Semaphore(0)
    journal.listen(lambda _: saved.release(), lambda _: None)
    for number in range(200):
        journal.append([started(number)])
        assert saved.acquire(timeout=WAIT_S)
    reader = Reader(folder)
    pieces = []
    while facts := reader.poll():
        pieces.append(len(facts))
    reader.close()
    journal.close()
    assert sum(pieces) == 200
    assert len(pieces) > 2


def test_readers_beside_a_writer_see_whole_units_in_order(folder: Path) -> None:
    journal = SqliteJournal(folder, durability="process", create=True)
    done = threading.Event()
    wrong: list[str] = []

    def look() -> None:
        while not done.is_set():
            numbers = [int(fact.at) for fact in read_facts(folder)]
            if len(numbers) % 2 or numbers != [n // 2 for n in range(len(numbers))]:
                wrong.append(str(numbers))

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(2000):
        journal.append([started(number), ended(number)])
    journal.close()
    done.set()
    for thread in threads:
        thread.join(WAIT_S)
    assert wrong == []


def test_migrations_run_in_order(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from weft.journal import codec
    from weft.journal import sqlite as module

    SqliteJournal(folder, durability="power", create=True).close()
    monkeypatch.setattr(module, "MIGRATIONS", (*module.MIGRATIONS, "CREATE TABLE more (x)", "ALTER TABLE more ADD COLUMN y"))
    monkeypatch.setattr(codec, "FORMAT", 3)
    journal = SqliteJournal(folder, durability="power", create=False)
    journal.append([created()])
    journal.close()
    connection = sqlite3.connect(folder / NAME)
    assert connection.execute("PRAGMA user_version").fetchone() == (3,)
    assert connection.execute("SELECT x, y FROM more").fetchall() == []
    connection.close()
    assert list(read_facts(folder)) == [created()]
    monkeypatch.undo()
    with pytest.raises(MachineError, match="newer weft"):
        list(read_facts(folder))
