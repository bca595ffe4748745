"""What is read of processes: start times, marks, and who is left."""

import asyncio
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from weft.host import census, marks, procfs
from weft.host.census import Census
from weft.host.process import Streams, spawn
from weft.model.workflow import Shell
from weft.runners.shell import ShellRunner
from weft.testing.runners import Reports, make_job


@contextmanager
def child(mark: int, *argv: str, cwd: str | None = None) -> Iterator[tuple[int, int]]:
    """A spawned program, killed and reaped at the end."""
    pid, started = spawn(f"/bin/{argv[0]}", list(argv), os.environ, Streams(*[os.devnull] * 3), mark, cwd)
    try:
        yield pid, started
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


@pytest.mark.parametrize("cwd", [None, "/"])
def test_a_child_has_its_start_time_session_mark_and_nothing_ignored(cwd: str | None) -> None:
    for _ in range(30):  # The start time is mostly known from the clock, and read only when a tick passed meanwhile.
        mark = marks.new_mark("r")
        with child(mark, "sleep", "1000", cwd=cwd) as (pid, started):
            found = procfs.stat(pid)
            assert found is not None
            assert (found.started, found.session, found.group, found.parent) == (started, pid, pid, os.getpid())
            assert marks.mark_of(pid) == mark
            ignored = next(line for line in procfs.read(f"/proc/{pid}/status", 4096).splitlines() if line.startswith(b"SigIgn"))
            assert int(ignored.split()[1], 16) & (1 << 12) == 0, "SIGPIPE"
    assert marks.mark_of(os.getpid()) == 0, "the spawner keeps no mark"


def test_a_failed_spawn_leaves_no_mark() -> None:
    with pytest.raises(FileNotFoundError):
        spawn("/nonexistent", ["x"], {}, Streams(*[os.devnull] * 3), marks.new_mark("r"))
    assert marks.mark_of(os.getpid()) == 0


def test_marks_differ_and_tell_the_run() -> None:
    first, second, other = marks.new_mark("r"), marks.new_mark("r"), marks.new_mark("s")
    assert len({first, second, other}) == 3
    assert marks.has_prefix(first, marks.run_prefix("r"))
    assert marks.has_prefix(second, marks.run_prefix("r"))
    assert not marks.has_prefix(other, marks.run_prefix("r"))
    assert not marks.has_prefix(0, marks.run_prefix("r"))
    assert max(first, other) < 1 << 63


def test_names_with_spaces_and_parentheses_are_read_over(tmp_path: Path) -> None:
    tool = tmp_path / "a) R (b"
    tool.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(tool), "1000"])
    try:
        found = procfs.stat(process.pid)
        assert found is not None
        assert (found.parent, found.dead) == (os.getpid(), False)
    finally:
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        zombie = procfs.stat(process.pid)
        assert zombie is not None
        assert zombie.dead
        process.wait()
    assert procfs.stat(process.pid) is None
    assert procfs.process_start_ticks(process.pid) == 0
    assert procfs.environ(process.pid) == [b""]


def test_descendants_are_found_through_all_generations() -> None:
    def entry(pid: int, parent: int) -> procfs.Stat:
        return procfs.Stat(pid, "S", parent, 0, 0, 0)

    table = {pid: entry(pid, parent) for pid, parent in [(1, 0), (2, 1), (3, 2), (4, 3), (5, 1), (6, 6)]}
    assert procfs.descendants({2, 6}, table) == {2, 3, 4, 6}


@pytest.mark.parametrize("counts", [True, False])
def test_the_census_tells_survivors_by_mark(counts: bool) -> None:
    """With the kernel's counter of pids, and where it cannot be believed."""
    found = Census()
    mark, other = marks.new_mark("r"), marks.new_mark("r")
    script = "sleep 1000 & setsid -f env -i sleep 1000; echo; wait"
    reading, writing = os.pipe()
    pid, _ = spawn("/bin/sh", ["sh", "-c", script], os.environ, Streams(os.devnull, f"/proc/self/fd/{writing}", os.devnull), mark)
    with child(other, "sleep", "1000") as (second, _):
        found.enroll(mark, pid)
        found.enroll(other, second)
        found._counts = found._counts and counts
        assert found.marks_hold
        os.read(reading, 1)
        left = found.survivors(mark)
        assert len(left) == 2
        assert pid not in left
        assert found.survivors(other) == set()
        family = found.family(mark, pid, {})
        assert family.keys() == left | {pid}
        for member in [*left, pid]:
            os.kill(member, 9)
        os.waitpid(pid, 0)
        while any((seen := procfs.stat(member)) and not seen.dead for member in left):
            os.sched_yield()
        assert found.survivors(mark) == set()
        found.forget(mark, pid)
    found.close()
    found.close()
    os.close(reading)
    os.close(writing)


def test_threads_of_a_marked_process_are_no_survivors() -> None:
    found = Census()
    mark = marks.new_mark("r")
    code = (
        "import threading, time; threading.Thread(target=time.sleep, args=(1000,)).start(); print(flush=True); time.sleep(1000)"
    )
    reading, writing = os.pipe()
    streams = Streams(os.devnull, f"/proc/self/fd/{writing}", os.devnull)
    pid, _ = spawn(sys.executable, [sys.executable, "-c", code], os.environ, streams, mark)
    found.enroll(mark, pid)
    os.read(reading, 1)
    assert len(os.listdir(f"/proc/{pid}/task")) == 2
    assert found.survivors(mark) == set()
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    found.close()
    os.close(reading)
    os.close(writing)


def test_a_long_list_of_new_processes_is_read_off_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(census, "SPAN_MAX", 0)
    test_the_census_tells_survivors_by_mark(True)


def test_where_no_mark_can_be_given_trees_still_end(tmp_path: Path) -> None:
    """A finite hard limit forbids marks (in a process of its own: the limit cannot be raised again)."""
    code = Path(__file__).with_name("unmarked.py")
    done = subprocess.run([sys.executable, str(code), str(tmp_path)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_runner_works_under_a_small_limit_of_descriptors(tmp_path: Path) -> None:
    """`ulimit -n 256` and 300 steps at once."""
    code = Path(__file__).with_name("many_steps.py")
    command = f"ulimit -n 256 && exec '{sys.executable}' '{code}' '{tmp_path}'"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_child_is_watched_without_a_descriptor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> int:
        raise OSError(24, "Too many open files")

    async def main() -> str:
        runner, reports = ShellRunner(os.environ, tmp_path), Reports()
        job = make_job(tmp_path, Shell(script="true"))
        with monkeypatch.context() as patch:
            patch.setattr(os, "pidfd_open", refuse)
            runner.start(job, reports)
        end = await reports.ended(job.key)
        await runner.close()
        return end.outcome

    assert asyncio.run(main()) == "ok"


def test_a_loop_in_another_thread_than_the_main_one(tmp_path: Path) -> None:
    outcomes: list[str] = []

    async def main() -> None:
        runner, reports = ShellRunner(os.environ, tmp_path), Reports()
        job = make_job(tmp_path, Shell(script="setsid sleep 1000 & echo hi"))
        runner.start(job, reports)
        outcomes.append((await reports.ended(job.key)).outcome)
        await runner.close()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join(30)
    assert outcomes == ["ok"]


def test_the_limit_for_marks_is_as_it_was() -> None:
    assert resource.getrlimit(resource.RLIMIT_RTTIME) == (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
