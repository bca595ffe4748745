"""Standard streams that are closed or nobody reads: the run does not care, and no traceback is shown."""

import subprocess

import pytest
from door import WEFT, Weft, weft


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(weft: Weft, closed: str) -> None:
    weft.write("w.yaml", "steps: {a: {run: echo 1 > ran}}\noutputs: {a: '${{ steps.a.output }}'}")
    done = subprocess.run(
        ["bash", "-c", f'"$@" {closed}', "bash", *WEFT, "run", "w.yaml"], cwd=weft.folder, check=False, timeout=60
    )
    assert done.returncode == 0
    assert (weft.folder / "ran").read_text() == "1\n"
    assert "succeeded" in weft("show").out


@pytest.mark.parametrize("verb", ["run w.yaml --output json", "run w.yaml", "show --json", "explain", "schema"])
def test_nobody_reads(weft: Weft, verb: str) -> None:
    weft.write("w.yaml", "steps: {a: {run: ':'}}\noutputs: {a: '${{ steps.a.output }}'}")
    weft("run", "w.yaml")
    command = f'"$@" {verb} 2> err | true; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(["bash", "-c", command, "bash", *WEFT], cwd=weft.folder, check=True, timeout=60, capture_output=True)
    assert done.stdout == b"0\n"
    assert "Traceback" not in (weft.folder / "err").read_text()
