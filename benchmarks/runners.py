"""What weft's hands cost, without the rest of it: runners driven directly, interleaved with the floor that nothing can go below.

python benchmarks/runners.py           # shell steps over bare posix_spawn, Python round trips, cold start
python benchmarks/runners.py --large   # a step that writes 1 GB, and a Python result of 100 MB
"""

import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from weft.executors.processes import ProcessExecutor
from weft.model.workflow import Action, Argv, Python, Shell
from weft.ports import Ended, Runner, Spawned
from weft.runners.python import PythonRunner
from weft.runners.shell import ShellRunner
from weft.testing.runners import make_job

ROUNDS = 7
"""Of each kind, one after the other, so that a busy moment of the machine hits all alike; the median counts."""
STEPS = 400


def bare(argv: list[str], at_once: int) -> float:
    """Seconds a process of a plain loop: posix_spawn, then wait for any."""
    alive, begin = 0, time.perf_counter()
    for _ in range(STEPS):
        if alive == at_once:
            os.wait()
            alive -= 1
        os.posix_spawn(argv[0], argv, os.environ)
        alive += 1
    while alive:
        os.wait()
        alive -= 1
    return (time.perf_counter() - begin) / STEPS


async def drive(runner: Runner, folder: Path, action: Action, at_once: int, steps: int) -> tuple[float, float]:
    """Seconds and CPU seconds of this process, for each step."""
    jobs = [make_job(folder, action, f"s{i}", env={"WEFT_IDEMPOTENCY_KEY": "k"}) for i in range(steps)]
    rest, done, ended = iter(jobs), asyncio.Event(), 0

    def report(message: Spawned | Ended) -> None:
        nonlocal ended
        if isinstance(message, Ended):
            assert message.outcome == "ok", message
            ended += 1
            if job := next(rest, None):
                runner.start(job, report)
            elif ended == steps:
                done.set()

    begin, cpu = time.perf_counter(), time.process_time()
    for _ in range(at_once):
        runner.start(next(rest), report)
    await done.wait()
    return (time.perf_counter() - begin) / steps, (time.process_time() - cpu) / steps


async def shell(folder: Path) -> None:
    runner = ShellRunner(os.environ, folder)
    true = shutil.which("true") or "/bin/true"
    bash = shutil.which("bash") or "/bin/bash"
    script = [bash, "-eu", "-o", "pipefail", "-c", "true"]
    for name, argv, action in (("argv true", [true], Argv(argv=(true,))), ("script true", script, Shell(script="true"))):
        for at_once in (1, 2, 8):
            floor, ours, cpu = [], [], []
            for _ in range(ROUNDS):
                floor.append(bare(argv, at_once))
                wall_s, cpu_s = await drive(runner, folder, action, at_once, STEPS)
                ours.append(wall_s)
                cpu.append(cpu_s)
            a, b = statistics.median(floor), statistics.median(ours)
            figures = f"bare {a * 1e6:.0f} µs, weft {b * 1e6:.0f} µs, {b / a:.2f}×"
            print(f"{name}, {at_once} at once: {figures}, CPU of the engine {min(cpu) * 1e6:.0f} µs")
    await runner.close()


async def python(folder: Path) -> None:
    code = Python(code="def run(): return 1")
    for workers in (1, 2):
        runner = PythonRunner(ProcessExecutor(os.environ, folder, "bench"))
        first_s, _ = await drive(runner, folder, code, workers, workers)
        rounds = [await drive(runner, folder, code, workers, 3000) for _ in range(ROUNDS)]
        best, median = min(rounds), statistics.median(wall_s for wall_s, _ in rounds)
        print(
            f"python, {workers} workers: cold start {first_s * workers * 1e3:.1f} ms, a call {median * 1e6:.0f} µs "
            f"(best {best[0] * 1e6:.0f}), CPU of the engine {best[1] * 1e6:.0f} µs"
        )
        await runner.close()


async def large(folder: Path) -> None:
    runner = ShellRunner(os.environ, folder)
    wall_s, _ = await drive(runner, folder, Shell(script="head -c 1000000000 /dev/zero | tr '\\0' x"), 1, 1)
    print(f"a line of 1 GB through stdout: {wall_s:.1f} s")
    await runner.close()
    python_runner = PythonRunner(ProcessExecutor(os.environ, folder, "bench"))
    wall_s, _ = await drive(python_runner, folder, Python(code="def run(): return 'x' * 100_000_000"), 1, 1)
    print(f"a Python result of 100 MB: {wall_s:.1f} s")
    await python_runner.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=".") as name:
        if sys.argv[1:] == ["--large"]:
            asyncio.run(large(Path(name)))
        else:
            asyncio.run(shell(Path(name)))
            asyncio.run(python(Path(name)))
