"""The views in the real command: on a pseudo-terminal, into pipes that nobody reads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import Terminal
from test_live import Tty

WEFT = [sys.executable, "-m", "weft.cli.main"]
WORKFLOW = """
steps:
  good: { run: "echo fine" }
  bad: { run: "printf 'it \\\\033[2J broke\\\\n' >&2; exit 3" }
  after: { run: "true", needs: bad }
outputs: { said: "${{ steps.good.output }}" }
"""
PATIENCE_S = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "w.yaml").write_text(WORKFLOW)
    (tmp_path / "good.yaml").write_text("steps: { good: { run: 'echo fine' } }\noutputs: { said: '${{ steps.good.output }}' }\n")
    return tmp_path


def environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "TERM", "COLUMNS", "LINES")}
    return {**kept, **more}


def on_a_terminal(folder: Path, term: str) -> str:
    """What a terminal of 80 by 24 shows in the end."""
    tty = Tty(80, 24)
    done = subprocess.run(
        [*WEFT, "run", "w.yaml", "--color", "never"],
        cwd=folder,
        env=environment(TERM=term),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=tty.stream,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 1, tty.look()
    shown = tty.look()
    tty.close()
    return shown


def test_on_a_terminal(folder: Path) -> None:
    shown = on_a_terminal(folder, "xterm")
    lines = shown.splitlines()
    assert "started" not in shown
    assert sum("succeeded  good" in line for line in lines) == 1
    assert "          │ it \\x1b[2J broke" in lines
    summary = lines[next(n for n, line in enumerate(lines) if line.startswith("failed         run ")) :]
    assert "✗ bad  exit 3" in summary
    assert any(line.startswith("  log: .weft/runs/") and line.endswith("/logs/bad.1.err") for line in summary)
    assert not any("of 3 steps" in line for line in lines)


def test_on_a_dumb_terminal(folder: Path) -> None:
    shown = on_a_terminal(folder, "dumb")
    assert "  started    good" in shown
    assert "  failed     bad" in shown


@pytest.mark.parametrize("output", ["lines", "live"])
def test_nobody_reads_stderr(folder: Path, output: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stderr:
        done = subprocess.run(
            [*WEFT, "run", "good.yaml", "--output", output],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=stderr,
            timeout=PATIENCE_S,
            check=False,
        )
    assert (done.returncode, done.stdout) == (0, b'{\n  "said": "fine"\n}\n')


def test_nobody_reads_the_facts(folder: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stdout:
        done = subprocess.run(
            [*WEFT, "run", "good.yaml", "--output", "json"],
            cwd=folder,
            env=environment(),
            stdout=stdout,
            stderr=subprocess.PIPE,
            timeout=PATIENCE_S,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_terminal_of_the_tests_refuses_what_no_view_sends() -> None:
    with pytest.raises(AssertionError, match="not understood"):
        Terminal(80, 24).feed("\x1b[2J")
