"""The lock of a run, with real processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from weft.journal import lock
from weft.journal.lock import RunLock, holder
from weft.model.errors import MachineError, RunLocked

HOLD = """
import sys
from pathlib import Path
from weft.journal.lock import RunLock
lock = RunLock(Path(sys.argv[1]))
{more}
sys.stdout.write("held\\n")
sys.stdout.flush()
sys.stdin.read()
"""


def hold(folder: Path, more: str = "") -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", HOLD.format(more=more), str(folder)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "bold-otter"
    made.mkdir()
    return made


def test_refusal_names_the_holder(folder: Path) -> None:
    with hold(folder) as process:
        found = holder(folder)
        assert found
        assert found.pid == process.pid
        with pytest.raises(RunLocked) as refused:
            RunLock(folder)
        process.kill()
    says = str(refused.value)
    assert "run `bold-otter` is held by process" in says
    assert f"process {process.pid}, since 2" in says
    assert str(folder) in says
    assert "weft cancel bold-otter" in says
    assert f"kill {process.pid}" in says


def test_a_dead_holder_is_no_obstacle(folder: Path) -> None:
    with hold(folder) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    assert holder(folder) is None
    assert str(process.pid) in (folder / lock.NAME).read_text()
    taken = RunLock(folder)
    found = holder(folder)
    assert found
    assert found.pid == os.getpid()
    taken.close()
    taken.close()
    assert holder(folder) is None


def test_children_do_not_keep_it(folder: Path) -> None:
    child = "import subprocess; child = subprocess.Popen(['sleep', '60'], close_fds=False); print(child.pid)"
    command = [sys.executable, "-c", HOLD.format(more=child), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        pid = int(process.stdout.readline())
        assert process.stdout.readline() == "held\n"
        process.kill()
        process.wait(20)
        os.kill(pid, 0)  # the child lives
        RunLock(folder).close()
        os.kill(pid, signal.SIGKILL)


def test_asking_does_not_disturb(folder: Path) -> None:
    assert holder(folder) is None
    assert holder(folder / "missing") is None
    mine = RunLock(folder)
    for _ in range(3):
        assert holder(folder)
    mine.close()


@pytest.mark.parametrize("content", [b"", b"\xff\x00", b'{"pid": "x"}', b"[" * 5000])
def test_a_holder_that_has_not_said_who_it_is(folder: Path, content: bytes) -> None:
    mine = RunLock(folder)
    (folder / lock.NAME).write_bytes(content)
    with pytest.raises(RunLocked, match="held by another process"):
        RunLock(folder)
    mine.close()


def test_a_long_command_line_is_cut(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/weft", "run", *(f"key{n}=ü" for n in range(5000))])
    mine = RunLock(folder)
    found = holder(folder)
    assert found
    assert found.command.startswith("weft run key0=")
    assert len(found.command) < 600
    mine.close()


def test_a_folder_that_is_not_there(folder: Path) -> None:
    with pytest.raises(MachineError, match="lock"):
        RunLock(folder / "missing")
