"""Worker processes: data, logs, what they leave behind, how they die, and that they never outlive the engine."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from weft.executors.processes import PACKET_BYTES_MAX, ProcessExecutor
from weft.host import procfs
from weft.host.bounds import Bounds
from weft.model.output import ErrorRecord
from weft.model.workflow import Python
from weft.ports import Ended
from weft.runners.python import PythonRunner
from weft.testing.runners import Reports, make_job


class Bench:
    """A runner with its executor and reports; `run` starts a job and waits for its end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.executor = ProcessExecutor(dict(os.environ), folder, "test-run")
        self.runner = PythonRunner(self.executor)
        self.reports = Reports()
        self.count = 0
        self.pids: dict[tuple[str, int], int] = {}

    def start(self, code: str = "", target: str = "", **job: Any) -> tuple[str, int]:
        """Start a call; `pids` then knows its worker."""
        self.count += 1
        made = make_job(self.folder, Python(code=code, target=target), f"s{self.count}", **job)
        self.runner.start(made, self.reports)
        if worker := self.executor._busy.get(made.key):
            self.pids[made.key] = worker.tree.pid
        return made.key

    async def run(self, code: str = "", target: str = "", **job: Any) -> Ended:
        return await self.reports.ended(self.start(code, target, **job))

    def log(self, number: int, stream: str = "out") -> str:
        path = self.folder / "logs" / f"s{number}.1.{stream}"
        return path.read_text() if path.exists() else ""


def play(folder: Path, body: Callable[[Bench], Awaitable[None]]) -> Bench:
    async def main() -> Bench:
        bench = Bench(folder)
        await body(bench)
        await bench.runner.close()
        return bench

    return asyncio.run(main())


def value(end: Ended) -> Any:
    assert end.outcome == "ok", end
    assert end.payload is not None
    return json.loads(end.payload.read_bytes() if isinstance(end.payload, Path) else end.payload)


def error(end: Ended) -> ErrorRecord:
    assert end.outcome == "failed"
    assert end.error is not None
    return end.error


def alive(pid: int) -> bool:
    found = procfs.stat(pid)
    return found is not None and not found.dead


async def until_dead(pid: int) -> None:
    """Wait until a process of anybody's is dead."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    dead = asyncio.Event()
    asyncio.get_running_loop().add_reader(fd, dead.set)
    async with asyncio.timeout(20):
        await dead.wait()
    asyncio.get_running_loop().remove_reader(fd)
    os.close(fd)


PID = "import os\ndef run(): return os.getpid()"


def test_a_worker_is_used_again(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        assert len({value(await bench.run(PID)) for _ in range(5)}) == 1

    play(tmp_path, body)


def test_there_are_as_many_workers_as_calls_at_once(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        keys = [bench.start(PID) for _ in range(3)]
        assert len({value(await bench.reports.ended(key)) for key in keys}) == 3

    play(tmp_path, body)


def test_workers_can_be_there_before_the_first_call(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.executor.prewarm(2, 2)
        bench.executor.prewarm(2, 2)
        children = {pid for pid, found in procfs.table().items() if found.parent == os.getpid()}
        assert value(await bench.run(PID)) in children

    play(tmp_path, body)


def test_workers_ahead_of_calls_start_a_few_at_a_time(tmp_path: Path) -> None:
    """All at once they would keep the processors from what runs already."""

    async def body(bench: Bench) -> None:
        counts, all_there, hire = list[int](), asyncio.Event(), bench.executor._hire

        def counted(bounds: Bounds) -> Any:
            worker = hire(bounds)
            counts.append(len(bench.executor._idle))
            if len(counts) == 4:
                all_there.set()
            return worker

        bench.executor._hire = counted  # type: ignore[method-assign]
        bench.executor.prewarm(4, abreast=2)
        assert counts == [0, 1]
        async with asyncio.timeout(20):
            await all_there.wait()
        assert counts == [0, 1, 2, 3]
        assert value(await bench.run(PID))
        assert len(counts) == 4

    play(tmp_path, body)


def test_prints_of_the_step_and_its_children_are_its_logs(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "def run():\n"
        "    print('one'); os.system('echo two; echo err >&2'); os.write(1, b'three\\n'); sys.stderr.write('unfinished')"
    )

    async def body(bench: Bench) -> None:
        await bench.run(code)
        await bench.run("def run(): pass")
        await bench.run("def run(): print('four')")

    bench = play(tmp_path, body)
    assert [bench.log(1), bench.log(1, "err")] == ["one\ntwo\nthree\n", "err\nunfinished"]
    assert [bench.log(2), bench.log(3)] == ["", "four\n"]


def test_a_job_sees_nothing_of_the_one_before(tmp_path: Path) -> None:
    litter = (
        "import os, sys, builtins\n"
        "def run():\n"
        "    os.environ['LITTER'] = 'x'; del os.environ['HOME']; os.chdir('/'); sys.path.insert(0, '/litter')\n"
        "    open(os.environ['WEFT_DIR'] + '/litter', 'w').close(); sys.stdout = None\n"
        "    global seen; seen = 1"
    )
    look = (
        "import os, sys\n"
        "def run():\n"
        "    print('hi')\n"
        "    env = [os.environ.get(name) for name in ('LITTER', 'HOME', 'MINE', 'WEFT_STEP')]\n"
        "    found = os.listdir(os.environ['WEFT_DIR'])\n"
        "    return [*env, os.getcwd(), '/litter' in sys.path, sys.path[0], found, 'seen' in globals()]"
    )

    async def body(bench: Bench) -> None:
        first = bench.start(litter, env={"MINE": "yes"})
        await bench.reports.ended(first)
        second = bench.start(look)
        here = str(Path.cwd())
        expected: list[Any] = [None, os.environ.get("HOME"), None, "s2", here, False, here, [], False]
        assert value(await bench.reports.ended(second)) == expected
        assert bench.pids[first] == bench.pids[second]

    assert play(tmp_path, body).log(2) == "hi\n"


def test_the_scratch_folder_of_a_failure_is_kept(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        await bench.run("import os\ndef run(): open(os.environ['WEFT_DIR'] + '/evidence', 'w').close(); return 1 / 0")
        assert value(await bench.run("import os\ndef run(): return os.listdir(os.environ['WEFT_DIR'])")) == []

    play(tmp_path, body)
    assert (tmp_path / "work" / "s1.1" / "evidence").exists()
    assert not list((tmp_path / "slots").iterdir())


def test_a_function_of_the_project(tmp_path: Path) -> None:
    for name, number in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "steps.py").write_text(
            f"def f(x): return x + {number}\nclass A:\n    @staticmethod\n    def g(): return {number}"
        )

    async def body(bench: Bench) -> None:
        assert value(await bench.run(target="steps:f", inputs={"x": 1}, cwd=tmp_path / "one")) == 2
        assert value(await bench.run(target="steps:f", inputs={"x": 1}, cwd=tmp_path / "two")) == 3
        assert value(await bench.run(target="steps:A.g", cwd=tmp_path / "one")) == 1
        assert "nosuch" in error(await bench.run(target="steps:nosuch", cwd=tmp_path / "one")).message
        assert error(await bench.run(target="nosuch:f")).exception.startswith("ModuleNotFoundError")

    play(tmp_path, body)


@pytest.mark.parametrize("size", [10, PACKET_BYTES_MAX // 2, PACKET_BYTES_MAX, 20_000_000])
def test_any_size_goes_in_and_out(tmp_path: Path, size: int) -> None:
    async def body(bench: Bench) -> None:
        for _ in range(2):
            assert value(await bench.run("def run(text): return text", inputs={"text": "x" * size})) == "x" * size

    play(tmp_path, body)


def test_inputs_that_are_not_text(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        assert error(await bench.run("def run(a): pass", inputs={"a": "\ud800"})).kind == "input"

    play(tmp_path, body)


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        assert "could not be prepared" in error(await bench.run(PID, cwd=tmp_path / "nosuch")).message
        assert value(await bench.run(PID))

    play(tmp_path, body)


@pytest.mark.parametrize(
    ("code", "kind", "says"),
    [
        ("os._exit(4)", "exit", "exit 4"),
        ("os._exit(0)", "lost", "was lost"),
        ("os.kill(os.getpid(), 9)", "killed", "killed by SIGKILL"),
        ("os.kill(os.getpid(), 15)", "killed", "killed by SIGTERM"),
        ("__import__('ctypes').string_at(0)", "killed", "killed by SIGSEGV"),
        ("os.closerange(3, 20)", "exit", "exit 1"),
        ("os.write(3, b'junk')", "lost", "was lost"),
        ("(os.close(3), __import__('time').sleep(1000))", "lost", "was lost"),
    ],
)
def test_a_lost_worker_costs_its_own_call_only(tmp_path: Path, code: str, kind: str, says: str) -> None:
    async def body(bench: Bench) -> None:
        other = bench.start("import time\ndef run(): time.sleep(1000)")
        lost = bench.start(f"import os\ndef run():\n    print('before', flush=True)\n    {code}")
        found = error(await bench.reports.ended(lost))
        assert (found.kind, says in found.message) == (kind, True)
        assert not alive(bench.pids[lost])
        assert value(await bench.run(PID)) != bench.pids[lost]
        assert bench.reports.of(other) == []
        bench.runner.stop(other, 1)
        await bench.reports.ended(other)

    assert play(tmp_path, body).log(2) == "before\n"


def test_a_crash_says_where(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        assert "in run" in error(await bench.run("import ctypes\ndef run():\n    ctypes.string_at(0)")).tail

    play(tmp_path, body)


def test_an_idle_worker_that_is_killed_is_replaced(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        pid = value(await bench.run(PID))
        os.kill(pid, 9)
        await until_dead(pid)
        again = value(await bench.run(PID))
        assert again != pid

    play(tmp_path, body)


LEFT = {
    "a process": "    child = subprocess.Popen(['sleep', '1000'])",
    "a daemon": "    child = subprocess.Popen(['sleep', '1000'], start_new_session=True, env={})",
}


@pytest.mark.parametrize("leave", LEFT.values(), ids=LEFT.keys())
def test_processes_left_behind_are_ended_and_the_worker_with_them(tmp_path: Path, leave: str) -> None:
    async def body(bench: Bench) -> None:
        key = bench.start(f"import subprocess\ndef run():\n{leave}\n    return child.pid")
        child = value(await bench.reports.ended(key))
        assert not alive(child)
        assert not alive(bench.pids[key])

    play(tmp_path, body)


def test_threads_left_behind_end_with_the_worker(tmp_path: Path) -> None:
    code = "import threading, time\ndef run(): threading.Thread(target=time.sleep, args=(1000,)).start(); return 1"

    async def body(bench: Bench) -> None:
        key = bench.start(code)
        assert value(await bench.reports.ended(key)) == 1
        assert not alive(bench.pids[key])

    play(tmp_path, body)


def test_a_step_that_cleans_up_keeps_its_worker(tmp_path: Path) -> None:
    code = (
        "import subprocess, threading, asyncio, os\n"
        "async def nap(): await asyncio.to_thread(len, '')\n"
        "def run():\n"
        "    subprocess.run(['true']); asyncio.run(nap())\n"
        "    thread = threading.Thread(target=len, args=('',)); thread.start(); thread.join()\n"
        "    return os.getpid()"
    )

    async def body(bench: Bench) -> None:
        assert value(await bench.run(code)) == value(await bench.run(PID))

    play(tmp_path, body)


def test_a_fork_that_comes_back_does_not_answer(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        assert (
            value(await bench.run("import os\ndef run():\n    if os.fork(): os.wait(); return 'parent'\n    return 'child'"))
            == "parent"
        )

    play(tmp_path, body)


HUNG = {
    "python loop": "    while True: pass",
    "ignores TERM": "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    time.sleep(1000)",
    "never gives the interpreter back": "    3 ** 3 ** 30",
    "waits for a child": "    subprocess.run(['sh', '-c', 'setsid sleep 1000 & wait'])",
}


@pytest.mark.parametrize("hang", HUNG.values(), ids=HUNG.keys())
def test_stop_ends_whatever_hangs(tmp_path: Path, hang: str) -> None:
    async def body(bench: Bench) -> None:
        os.mkfifo(tmp_path / "fifo")
        fifo = os.open(tmp_path / "fifo", os.O_RDWR | os.O_NONBLOCK)
        begun = asyncio.Event()
        asyncio.get_running_loop().add_reader(fifo, begun.set)
        code = f"import signal, subprocess, time\ndef run(fifo):\n    open(fifo, 'w').write('x')\n{hang}"
        key = bench.start(code, inputs={"fifo": str(tmp_path / "fifo")})
        async with asyncio.timeout(20):
            await begun.wait()
        asyncio.get_running_loop().remove_reader(fifo)
        os.close(fifo)
        bench.runner.stop(key, 0.2)
        assert (await bench.reports.ended(key)).outcome == "cancelled"
        assert not alive(bench.pids[key])

    play(tmp_path, body)


def test_cpu_and_memory_of_a_call(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        end = await bench.run("def run(): return len('x' * 300_000_000) + sum(range(2_000_000))")
        assert end.cpu_s is not None
        assert end.cpu_s > 0.01
        assert end.rss_bytes is not None
        assert end.rss_bytes > 300_000_000
        later = (await bench.run(PID)).rss_bytes
        assert later is not None
        assert later < 100_000_000, "the peak of a call is its own, not that of an earlier one"

    play(tmp_path, body)


def test_no_interpreter(tmp_path: Path) -> None:
    async def main() -> Ended:
        runner = PythonRunner(ProcessExecutor(os.environ, tmp_path, "test-run", python="/nonexistent/python"))
        reports = Reports()
        job = make_job(tmp_path, Python(code=PID))
        runner.start(job, reports)
        end = await reports.ended(job.key)
        await runner.close()
        return end

    assert "no Python worker could be given the call" in error(asyncio.run(main())).message


def test_output_that_cannot_be_kept_is_told_and_costs_the_worker(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")

    async def body(bench: Bench) -> None:
        key = bench.start("def run(): print('hi')")
        assert "could not be kept" in error(await bench.reports.ended(key)).message
        assert not alive(bench.pids[key])
        assert value(await bench.run(PID))

    play(tmp_path, body)


def test_more_calls_than_workers_wait_for_their_turn(tmp_path: Path) -> None:
    async def body(bench: Bench) -> None:
        bench.executor._workers_max = 2
        keys = [bench.start(PID) for _ in range(8)]
        bench.runner.stop(keys[-1], 0)
        ends = [await bench.reports.ended(key) for key in keys]
        assert len({value(end) for end in ends[:-1]}) == 2
        assert ends[-1].outcome == "cancelled"

    play(tmp_path, body)
