"""Every bad file through the real command: exit code 2 and the message, within 2 s of CPU time and 300 MB; nothing has run."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from catalogue import HERE, Case, cases

CPU_S_MAX = 2
RSS_BYTES_MAX = 300 << 20


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_run_refuses(case: Case, tmp_path: Path) -> None:
    file = tmp_path / case.name
    file.parent.mkdir()
    file.write_bytes(case.data)
    for folder in (HERE / case.name).parent.glob("*/"):
        if folder.is_dir():
            (file.parent / folder.name).symlink_to(folder)
    with (tmp_path / "stderr").open("wb") as stderr:
        command = subprocess.Popen(
            [sys.executable, "-m", "weft.cli.main", "run", case.name],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        resource.prlimit(command.pid, resource.RLIMIT_CPU, (CPU_S_MAX, CPU_S_MAX))
        _, status, used = os.wait4(command.pid, 0)
        command.returncode = os.waitstatus_to_exitcode(status)
    told = (tmp_path / "stderr").read_text()
    assert command.returncode == 2, told
    assert used.ru_maxrss * 1024 < RSS_BYTES_MAX
    assert "Traceback" not in told
    for problem in case.problems:
        assert f"[{problem.code}]" in told  # an error, or a warning beside one
        for words in problem.says:
            assert words in told
    assert not (tmp_path / ".weft").exists()
