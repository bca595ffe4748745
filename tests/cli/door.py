"""Running `weft` as a user does: as a process, in a folder of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WEFT = [sys.executable, "-m", "weft.cli.main"]


class Finished:
    """A command that has ended: exit code, what it printed, and the folder it ran in."""

    def __init__(self, done: "subprocess.CompletedProcess[bytes]", folder: Path) -> None:
        self.code = done.returncode
        self.out = done.stdout.decode(errors="replace")
        self.err = done.stderr.decode(errors="replace")
        self.folder = folder

    @property
    def outputs(self) -> Any:
        return json.loads(self.out)

    def facts(self) -> list[dict[str, Any]]:
        """The facts of a `--output json` run, without the last line, which holds the outputs."""
        return [fact for fact in map(json.loads, self.out.splitlines()) if "fact" in fact]


class Weft:
    """A folder in which commands are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "HOME": str(folder), "NO_COLOR": "1"}

    def write(self, name: str, content: str | dict[str, Any]) -> Path:
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    def __call__(self, *arguments: str, code: int | None = 0, env: dict[str, str] | None = None, **more: Any) -> Finished:
        """Run a verb to its end; its exit code must be `code` (None: any)."""
        done = Finished(
            subprocess.run(
                [*WEFT, *arguments],
                check=False,
                cwd=self.folder,
                env={**self.env, **(env or {})},
                capture_output=True,
                timeout=60,
                **more,
            ),
            self.folder,
        )
        assert code is None or done.code == code, f"exit code {done.code}\n{done.out}\n{done.err}"
        assert done.code == 5 or "Traceback" not in done.err, done.err
        return done

    def start(self, *arguments: str, **more: Any) -> "subprocess.Popen[bytes]":
        """Start a verb and come back at once; its stdout is a pipe."""
        return subprocess.Popen(
            [*WEFT, *arguments],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            **more,
        )


def read_until(engine: "subprocess.Popen[bytes]", wanted: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Read the facts that a `--output json` run shows until one is wanted; returns all that were read."""
    assert engine.stdout is not None
    facts: list[dict[str, Any]] = []
    for line in engine.stdout:
        facts.append(json.loads(line))
        if wanted(facts[-1]):
            return facts
    assert engine.stderr is not None
    raise AssertionError(f"it never came; the last was {facts[-1:]}\n{engine.stderr.read().decode()}")


def is_fact(tag: str, **fields: Any) -> Callable[[dict[str, Any]], bool]:
    return lambda fact: fact.get("fact") == tag and all(fact.get(key) == value for key, value in fields.items())


def lives(pid: int) -> bool:
    """Whether a process exists and is no zombie (an orphan's corpse waits for init, not for us)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


@pytest.fixture
def weft(tmp_path: Path) -> Weft:
    return Weft(tmp_path)
