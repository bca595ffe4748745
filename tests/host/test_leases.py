"""Leases of shared pools: one contract for the real ones, locks on files, and for the fake."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

import pytest

from weft.host import leases
from weft.host.leases import FileLeases, Note, note_of, taken
from weft.model.errors import MachineError
from weft.ports import SlotLeases
from weft.testing.leases import FakeLeases, FakeMachine

Join: TypeAlias = Callable[[str, Mapping[str, int]], SlotLeases]
"""A run and what it declares → its leases."""


@pytest.fixture(params=["files", "fake"])
def join(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Join]:
    machine, joined = FakeMachine(), list[SlotLeases]()

    def make(run: str, sizes: Mapping[str, int]) -> SlotLeases:
        found = FileLeases(tmp_path / "pools", run, sizes) if request.param == "files" else FakeLeases(machine, run, sizes)
        joined.append(found)
        return found

    yield make
    for run in joined:
        run.close()


def test_no_more_than_there_is(join: Join) -> None:
    a, b = join("a", {"db": 3}), join("b", {"db": 3})
    first, second = a.take({"db": 2}, 1.0), b.take({"db": 1}, 2.0)
    assert first
    assert second
    assert b.take({"db": 1}, 3.0) is None
    assert b.blockers() == ["a", "b"]
    first.release()
    first.release()
    assert b.take({"db": 2}, 3.0)


def test_several_pools_as_one(join: Join) -> None:
    a, b = join("a", {"db": 1, "net": 1}), join("b", {"db": 1, "net": 1})
    held = a.take({"db": 1}, 1.0)
    assert held
    assert b.take({"db": 1, "net": 1}, 2.0) is None
    b.stop_waiting()
    assert a.take({"net": 1}, 3.0), "nobody has a part of what cannot be had whole"


def test_the_smallest_size_counts(join: Join) -> None:
    a, b = join("a", {"db": 5}), join("b", {"db": 2})
    assert a.take({"db": 2}, 1.0)
    assert a.take({"db": 1}, 2.0) is None
    a.stop_waiting()
    b.close()
    assert a.take({"db": 3}, 3.0)


def test_who_waits_longer_comes_first(join: Join) -> None:
    a, b, c = (join(run, {"db": 2}) for run in "abc")
    held = a.take({"db": 1}, 1.0)
    assert held
    assert b.take({"db": 2}, 2.0) is None
    assert c.take({"db": 1}, 3.0) is None, "one is free, and is kept for b"
    assert c.blockers() == ["a", "b"]
    held.release()
    assert c.take({"db": 1}, 3.0) is None
    both = b.take({"db": 2}, 2.0)
    assert both
    both.release()
    assert c.take({"db": 1}, 3.0)


def test_who_does_not_wait_any_more_is_in_nobodys_way(join: Join) -> None:
    a, b, c = (join(run, {"db": 2}) for run in "abc")
    assert a.take({"db": 1}, 1.0)
    assert b.take({"db": 2}, 2.0) is None
    b.stop_waiting()
    assert c.take({"db": 1}, 3.0)


def test_bytes_are_units_too(join: Join) -> None:
    a = join("a", {"mem": 64 << 30})
    assert a.take({"mem": 40 << 30}, 1.0)
    assert a.take({"mem": 25 << 30}, 2.0) is None
    assert a.take({"mem": 24 << 30}, 2.0)


# ---- files ----


def test_a_child_keeps_what_it_inherited(tmp_path: Path) -> None:
    a, b = FileLeases(tmp_path, "a", {"db": 1}), FileLeases(tmp_path, "b", {"db": 1})
    lease = a.take({"db": 1}, 1.0)
    assert lease
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=lease.descriptors) as child:
        lease.release()
        a.close()
        assert b.take({"db": 1}, 2.0) is None
        assert b.blockers() == ["a"]
        assert taken(tmp_path / "db") == {"a": 1}
        child.kill()
        child.wait()
        assert b.take({"db": 1}, 2.0)
        assert sorted(path.name for path in (tmp_path / "db").iterdir()) == ["b"], "what a dead run left is removed"
    b.close()


HOLD = """
import sys
from pathlib import Path
from weft.host.leases import FileLeases
leases = FileLeases(Path(sys.argv[1]), "killed", {"db": 1})
assert leases.take({"db": 1}, 1.0)
sys.stdout.write("held\\n")
sys.stdout.flush()
sys.stdin.read()
"""


def test_what_a_killed_process_held_is_free(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        b = FileLeases(tmp_path, "b", {"db": 1})
        assert b.take({"db": 1}, 2.0) is None
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    assert b.take({"db": 1}, 2.0)
    b.close()


def test_a_note_that_is_not_renewed_is_void(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = FileLeases(tmp_path, "a", {"db": 2}), FileLeases(tmp_path, "b", {"db": 2})
    assert a.take({"db": 1}, 1.0)
    assert b.take({"db": 2}, 2.0) is None
    assert a.take({"db": 1}, 3.0) is None
    later = time.monotonic() + leases.WAIT_STALE_S + 1
    monkeypatch.setattr("weft.host.leases.time.monotonic", lambda: later)
    assert a.take({"db": 1}, 3.0)
    a.close()
    b.close()


def test_nobody_waits_for_the_lock_of_the_folder(tmp_path: Path) -> None:
    a = FileLeases(tmp_path, "a", {"db": 1})
    fd = os.open(tmp_path / leases.FOLDER_LOCK, os.O_RDWR)
    leases._lock(fd, 0, 1)
    assert a.take({"db": 1}, 1.0) is None
    assert a.blockers() == []
    os.close(fd)
    assert a.take({"db": 1}, 1.0)
    a.close()


def test_gaps_are_filled(tmp_path: Path) -> None:
    a = FileLeases(tmp_path, "a", {"db": 10})
    held = [a.take({"db": weight}, 1.0) for weight in (1, 2, 3, 4)]
    assert all(held)
    for n in (0, 2):
        lease = held[n]
        assert lease
        lease.release()
    assert taken(tmp_path / "db") == {"a": 6}
    assert a.take({"db": 3}, 1.0)
    assert a.take({"db": 1}, 1.0)
    assert taken(tmp_path / "db") == {"a": 10}
    a.close()


def test_a_note_that_is_no_note(tmp_path: Path) -> None:
    a, b = FileLeases(tmp_path, "a", {"db": 1}), FileLeases(tmp_path, "b", {"db": 1})
    path = tmp_path / "db" / "a"
    assert note_of(path) == Note(slots=1)
    path.write_bytes(b"\xff")
    assert note_of(path) is None
    assert note_of(tmp_path / "none") is None
    assert b.take({"db": 1}, 1.0)
    with suppress(OSError):
        a.close()
    b.close()


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "pools").write_text("")
    with pytest.raises(MachineError, match="shared pools"):
        FileLeases(tmp_path / "pools", "a", {"db": 1})
    good = FileLeases(tmp_path / "good", "a", {"db": 1})
    (tmp_path / "good" / "db" / "a").unlink()
    with pytest.raises(MachineError, match="shared pools"):
        good.take({"db": 1}, 1.0)
    good.close()
