"""After SIGKILL of the engine: Python workers are gone at once, and the sweep finds all the rest and nothing else."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

from weft.host import marks, procfs, tree
from weft.host.tree import sweep
from weft.model.errors import MachineError

VICTIM = str(Path(__file__).with_name("victim_engine.py"))


def wait_for(fd: int, within_s: float = 20) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    assert poll.poll(within_s * 1000), "nothing came"


def wait_until_dead(pid: int) -> None:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    wait_for(pidfd)
    os.close(pidfd)


def alive(pid: int) -> bool:
    found = procfs.stat(pid)
    return found is not None and not found.dead


class Fifo:
    """A place for processes to write their pids to, whoever they are."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self.rest = b""

    def pids(self, count: int) -> list[int]:
        while self.rest.count(b"\n") < count:
            wait_for(self.fd)
            self.rest += os.read(self.fd, 65536)
        return [int(line) for line in self.rest.split()]


@pytest.fixture
def fifo(tmp_path: Path) -> Fifo:
    return Fifo(tmp_path / "fifo")


@pytest.fixture
def run_id(tmp_path: Path) -> str:
    return f"{tmp_path.name}-{os.getpid()}"


def kill_an_engine(folder: Path, run_id: str, jobs: list[tuple[str, str]], fifo: Fifo, pids: int) -> list[tuple[int, int]]:
    """Start an engine with these jobs, kill it when so many pids have come; returns the processes that it had reported."""
    engine = subprocess.Popen([sys.executable, VICTIM, str(folder), run_id, json.dumps(jobs)], stdout=subprocess.PIPE)
    assert engine.stdout
    wait_for(engine.stdout.fileno())
    known = [(pid, started) for pid, started in json.loads(engine.stdout.readline())]
    fifo.pids(pids)
    engine.kill()
    engine.wait()
    engine.stdout.close()
    return known


HELD = {
    "python": "    while True: pass",
    "C code that keeps the interpreter": "    3 ** 3 ** 30",
    "a system call": "    import time; time.sleep(1000)",
    "TERM ignored": "    import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)",
    "a child": "    import subprocess; subprocess.run(['sleep', '1000'])",
}


@pytest.mark.parametrize("busy", HELD.values(), ids=HELD.keys())
def test_workers_die_with_the_engine_without_a_sweep(tmp_path: Path, run_id: str, fifo: Fifo, busy: str) -> None:
    code = f"import os\ndef run():\n    open({str(fifo.path)!r}, 'w').write(f'{{os.getpid()}}\\n')\n{busy}"
    kill_an_engine(tmp_path, run_id, [("python", code), ("python", code)], fifo, 2)
    members = {pid for pid in procfs.pids() if marks.has_prefix(marks.mark_of(pid), marks.run_prefix(run_id))}
    for pid in {*members, *fifo.pids(2)}:
        wait_until_dead(pid)
    assert sweep(run_id) == 0


def test_the_sweep_finds_what_is_left(tmp_path: Path, run_id: str, fifo: Fifo) -> None:
    scripts = [
        f"echo $$ > {fifo.path}; sleep 1000 & wait",
        f"trap '' TERM; setsid sh -c 'echo $$ > {fifo.path}; exec sleep 1000' & sleep 1000",
        f'(setsid env -i sh -c "echo \\$\\$ > {fifo.path}; exec sleep 1000" &); sleep 1000',
    ]
    code = (
        "import os, subprocess\n"
        f"def run():\n    subprocess.run(['setsid', 'env', '-i', 'sh', '-c', 'echo $$ > {fifo.path}; exec sleep 1000'])"
    )
    known = kill_an_engine(tmp_path, run_id, [*(("shell", script) for script in scripts), ("python", code)], fifo, 4)
    bystander = subprocess.Popen(["sleep", "1000"], start_new_session=True, env={**os.environ, "WEFT_RUN": f"{run_id}x"})
    pids = fifo.pids(4)
    assert all(alive(pid) for pid in pids)
    assert sweep(run_id) >= 6
    assert not any(alive(pid) for pid in [*pids, *(pid for pid, _ in known)])
    assert alive(bystander.pid)
    assert sweep(run_id) == 0
    bystander.kill()
    bystander.wait()


def test_without_marks_the_environment_and_the_journal_tell(tmp_path: Path, run_id: str, fifo: Fifo) -> None:
    """Processes of a machine where nothing can be marked: found by environment, by pid and start time, and by descent."""
    script = f"echo $$ > {fifo.path}; sleep 1000 & echo $! > {fifo.path}; wait"
    marked = subprocess.Popen(["sh", "-c", script], start_new_session=True, env={**os.environ, "WEFT_RUN": run_id})
    known = subprocess.Popen(["sh", "-c", script], start_new_session=True)
    reused = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    pids = fifo.pids(4)
    started = procfs.process_start_ticks(known.pid)
    assert sweep(run_id, [(known.pid, started), (reused.pid, procfs.process_start_ticks(reused.pid) - 1), (0, 0)]) == 4
    assert not any(alive(pid) for pid in pids)
    assert alive(reused.pid), "its pid is that of an attempt, its start time is not"
    for child in (marked, known, reused):
        child.kill()
        child.wait()


def test_the_sweep_spares_itself_and_what_is_above_it(tmp_path: Path, run_id: str) -> None:
    """Somebody resumes a run from a shell in which WEFT_RUN is set, or from a step of that run."""
    code = f"from weft.host.tree import sweep; print(sweep({run_id!r}))"
    inner = subprocess.Popen(
        ["sh", "-c", f"sleep 1000 & '{sys.executable}' -c \"$0\"; kill $!", code],
        env={**os.environ, "WEFT_RUN": run_id},
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    out, _ = inner.communicate(timeout=30)
    assert (inner.returncode, out) == (0, "0\n")


def test_what_cannot_be_killed_is_named(monkeypatch: pytest.MonkeyPatch, run_id: str) -> None:
    monkeypatch.setattr(tree, "send", lambda signum, member: None)
    monkeypatch.setattr(tree, "SWEEP_S_MAX", 0.1)
    command = ["sh", "-c", "echo up; read line"]
    child = subprocess.Popen(
        command, start_new_session=True, env={**os.environ, "WEFT_RUN": run_id}, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"  # until then its environment may not be there yet
        with pytest.raises(MachineError, match=rf"cannot be killed: {child.pid};"):
            sweep(run_id)
    finally:
        child.kill()
        child.communicate()
