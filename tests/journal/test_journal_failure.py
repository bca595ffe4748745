"""A disk that does not take it: one clear report, nothing that was reported is lost, no unit is there in part, nothing hangs."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from journal_facts import created, ended, started

from weft.journal.reader import NAME, read_facts
from weft.journal.sqlite import SqliteJournal
from weft.model.errors import MachineError

HERE = Path(__file__).parent
WAIT_S = 20
NOBODY = 65534


@pytest.mark.parametrize("durability", ["power", "process"])
@pytest.mark.parametrize("file_kib_max", [64, 300, 6000])
def test_the_disk_is_full(tmp_path: Path, durability: str, file_kib_max: int) -> None:
    """A file size limit makes the same write fail in the same place as a full disk; 6000 KiB lets some checkpoints through."""
    folder = tmp_path / "bold-otter"
    env = {**os.environ, "PYTHONPATH": str(HERE)}
    command = [sys.executable, str(HERE / "writer.py"), str(folder), durability, str(file_kib_max << 10)]
    done = subprocess.run(command, env=env, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    *numbers, why = done.stdout.decode().splitlines()
    assert "bold-otter" in why
    assert "make room" in why or "free some space" in why
    assert "weft resume bold-otter" in why
    units = [int(fact.at) for fact in read_facts(folder)]
    assert len(units) >= int(numbers[-1])
    assert units == [number // 3 + 1 for number in range(len(units))]
    assert len(units) % 3 == 0
    journal = SqliteJournal(folder, durability="power", create=False)
    assert journal.durable == len(units)
    assert journal.append([started(1)]) == len(units) + 1
    journal.close()
    assert sum(1 for _ in read_facts(folder)) == len(units) + 1


class Listener:
    def __init__(self, journal: SqliteJournal) -> None:
        self.failures: list[BaseException] = []
        self.changed = threading.Event()
        journal.listen(lambda _: self.changed.set(), self._failed)

    def _failed(self, error: BaseException) -> None:
        self.failures.append(error)
        self.changed.set()

    def wait(self) -> None:
        assert self.changed.wait(WAIT_S)
        self.changed.clear()


@pytest.mark.parametrize("name", [NAME, NAME + "-wal"])
def test_a_file_was_removed(tmp_path: Path, name: str) -> None:
    journal = SqliteJournal(tmp_path / "bold-otter", durability="power", create=True)
    listener = Listener(journal)
    journal.append([created()])
    listener.wait()
    (tmp_path / "bold-otter" / name).unlink()
    while not listener.failures:
        with suppress(MachineError):
            journal.append([started(1)])
        listener.wait()
    with pytest.raises(MachineError, match="removed or replaced"):
        journal.append([started(1)])
    journal.close()
    assert len(listener.failures) == 1


def test_another_program_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, **{**options, "timeout": 0.05}))
    folder = tmp_path / "bold-otter"
    journal = SqliteJournal(folder, durability="power", create=True)
    listener = Listener(journal)
    journal.append([created()])
    listener.wait()
    stranger = connect(folder / NAME, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    journal.append([started(1), ended(1)])
    listener.wait()
    assert "another program holds it locked" in str(listener.failures[0])
    stranger.execute("ROLLBACK")
    stranger.close()
    journal.close()
    assert list(read_facts(folder)) == [created()]


def test_a_unit_over_the_limit_is_refused_and_leaves_no_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from weft.journal import sqlite

    monkeypatch.setattr(sqlite, "UNIT_BYTES_MAX", 1000)
    journal = SqliteJournal(tmp_path / "bold-otter", durability="power", create=True)
    with pytest.raises(MachineError, match="over the limit"):
        journal.append([created(steps=100)])
    assert journal.append([started(1)]) == 1
    journal.close()
    assert list(journal.read()) == [started(1)]


def test_a_disk_that_has_stopped_is_not_fed_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from weft.journal import sqlite

    monkeypatch.setattr(sqlite, "BACKLOG_BYTES_MAX", 10_000)
    journal = SqliteJournal(tmp_path / "bold-otter", durability="power", create=True)
    stuck, go_on = threading.Event(), threading.Event()
    journal.listen(lambda _: hold(stuck, go_on), lambda _: None)
    journal.append([created()])
    assert stuck.wait(WAIT_S)
    with suppress(MachineError):
        while last := journal.append([started(1)]):
            appended = last
    with pytest.raises(MachineError, match="behind"):
        journal.append([started(1)])
    go_on.set()
    journal.close()
    assert journal.durable == appended == len(list(journal.read()))


def test_close_does_not_hang_on_a_dead_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from weft.journal import sqlite

    monkeypatch.setattr(sqlite, "CLOSE_TIMEOUT_S", 0.05)
    journal = SqliteJournal(tmp_path / "bold-otter", durability="power", create=True)
    failures: list[BaseException] = []
    stuck, go_on = threading.Event(), threading.Event()
    journal.listen(lambda _: hold(stuck, go_on), failures.append)
    journal.append([created()])
    assert stuck.wait(WAIT_S)
    journal.append([started(1)])
    journal.close()
    assert "has not answered" in str(failures[0])
    go_on.set()


def hold(stuck: threading.Event, go_on: threading.Event) -> None:
    """Keep the writer, as a disk does that does not answer."""
    stuck.set()
    go_on.wait(WAIT_S)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that another user can reach."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


PRELUDE = f"""
import os, sys, urllib.parse  # whoever we become may not be able to read the library
from pathlib import Path
from weft.journal.reader import read_facts
from weft.journal.sqlite import SqliteJournal
from weft.model.errors import MachineError
folder = Path(sys.argv[1])
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
"""


def as_nobody(code: str, folder: Path) -> str:
    """What a process that may write nowhere says."""
    command = [sys.executable, "-c", PRELUDE + code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


READ = """
try:
    print(len(list(read_facts(folder))))
except MachineError as error:
    print(error)
"""
OPEN = """
try:
    SqliteJournal(folder, durability="power", create={create})
except MachineError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not write")
def test_a_folder_that_may_not_be_written(shared: Path) -> None:
    folder = shared / "bold-otter"
    journal = SqliteJournal(folder, durability="power", create=True)
    journal.append([created(), started(1)])
    journal.close()
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    assert as_nobody("print(len(list(read_facts(folder))))", folder) == "2\n"
    assert sorted(path.name for path in folder.iterdir()) == ["durable", "journal.db", "lock"]
    assert "Permission denied" in as_nobody(OPEN.format(create=False), folder)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not write")
@pytest.mark.parametrize(
    ("kept", "says"), [(("-wal", "-shm"), "3"), (("-wal",), "may be written; copy"), ((), "2")], ids=["live", "moved", "bare"]
)
def test_a_crashed_run_in_a_folder_that_may_not_be_written(shared: Path, kept: tuple[str, ...], says: str) -> None:
    folder, live = shared / "bold-otter", shared / "live"
    journal = SqliteJournal(live, durability="process", create=True)
    journal.append([created(), started(1)])
    journal.close()
    journal = SqliteJournal(live, durability="process", create=False)
    listener = Listener(journal)
    journal.append([started(2)])
    listener.wait()
    shutil.copytree(live, folder)
    journal.close()
    for end in {"-wal", "-shm"} - set(kept):
        (folder / (NAME + end)).unlink()
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    assert says in as_nobody(READ, folder)
    assert "Permission denied" in as_nobody(OPEN.format(create=True), shared / "calm-heron")
