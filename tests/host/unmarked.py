"""Trees end where nothing can be marked. usage: unmarked.py FOLDER; exits with 0 if all is well"""

import asyncio
import os
import resource
import sys
from pathlib import Path

from weft.executors.processes import ProcessExecutor
from weft.host import procfs
from weft.model.workflow import Python, Shell
from weft.runners.python import PythonRunner
from weft.runners.shell import ShellRunner
from weft.testing.runners import Reports, make_job


async def main(folder: Path) -> None:
    resource.setrlimit(resource.RLIMIT_RTTIME, (1000, 1000))
    shell, python, reports = ShellRunner(os.environ, folder), PythonRunner(ProcessExecutor(os.environ, folder, "r")), Reports()
    script = (
        f'up=$WEFT_DIR/up; mkfifo $up; sh -c "echo \\$\\$ >> {folder}/pids; echo > $up; exec sleep 1000" & read < $up; echo done'
    )
    code = f"""
import subprocess
def run():
    child = subprocess.Popen(['sleep', '1000'])
    open('{folder}/pids', 'a').write(f'{{child.pid}}\\n')
"""
    for number in range(2):
        first, second = make_job(folder, Shell(script=script), f"a{number}"), make_job(folder, Python(code=code), f"b{number}")
        shell.start(first, reports)
        python.start(second, reports)
        for job in (first, second):
            end = await reports.ended(job.key)
            assert end.outcome == "ok", end
    pids = [int(line) for line in (folder / "pids").read_text().split()]
    assert len(pids) == 4
    assert all((found := procfs.stat(pid)) is None or found.dead for pid in pids)
    await shell.close()
    await python.close()


asyncio.run(main(Path(sys.argv[1])))
