"""An engine to be killed: starts the jobs given as JSON on its command line, prints the pids, and waits for ever.

usage: victim_engine.py FOLDER RUN JOBS, where JOBS is a list of [kind, text]
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import msgspec

from weft.executors.processes import ProcessExecutor
from weft.model.workflow import Python, Shell
from weft.ports import Spawned
from weft.runners.python import PythonRunner
from weft.runners.shell import ShellRunner
from weft.testing.runners import Reports, make_job


async def main(folder: Path, run: str, jobs: list[list[str]]) -> None:
    shell = ShellRunner(os.environ, folder)
    python = PythonRunner(ProcessExecutor(os.environ, folder, run))
    reports = Reports()
    started: list[Spawned] = []
    for number, (kind, text) in enumerate(jobs):
        job = make_job(folder, Python(code=text) if kind == "python" else Shell(script=text), f"s{number}")
        job = msgspec.structs.replace(job, run=run)
        (python if kind == "python" else shell).start(job, reports)
        if kind == "shell":
            started.append(await reports.spawned(job.key))
    print(json.dumps([[spawned.pid, spawned.started] for spawned in started]), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])))
