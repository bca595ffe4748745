"""300 steps at once. usage: many_steps.py FOLDER; exits with 0 if all succeed"""

import asyncio
import os
import sys
from pathlib import Path

from weft.executors.processes import ProcessExecutor
from weft.model.workflow import Action, Python, Shell
from weft.runners.python import PythonRunner
from weft.runners.shell import ShellRunner
from weft.testing.runners import Reports, make_job

STEPS: list[tuple[Action, int]] = [(Shell(script="echo $n"), 280), (Python(code="def run(n): return n"), 20)]


async def main(folder: Path) -> None:
    shell, python, reports = ShellRunner(os.environ, folder), PythonRunner(ProcessExecutor(os.environ, folder, "r")), Reports()
    jobs = [
        make_job(folder, action, f"{type(action).__name__}{i}", inputs={"n": i}, cwd=folder if i % 2 else None)
        for action, count in STEPS
        for i in range(count)
    ]
    for job in jobs:
        (python if isinstance(job.action, Python) else shell).start(job, reports)
    for job in jobs:
        end = await reports.ended(job.key)
        assert end.outcome == "ok", end
        assert end.payload is not None
        data = end.payload.read_bytes() if isinstance(end.payload, Path) else end.payload
        assert int(data) == job.inputs["n"]
    await shell.close()
    await python.close()


asyncio.run(main(Path(sys.argv[1])))
