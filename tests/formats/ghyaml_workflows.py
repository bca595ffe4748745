"""What the tests of YAML workflows share: reading and running them, and programs that stand in for npm and its like."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import indent
from typing import Any

from weft.formats import Loaded, Outside, load
from weft.model.problem import Problem
from weft.model.workflow import Step, Workflow

SEEDS = Path(__file__).parent / "seeds" / "ghyaml"
WEFT = Path(sys.executable).with_name("weft")


def read(text: str, name: str = "w.yaml", files: Mapping[str, str] | None = None, **outside: Any) -> Loaded:
    def find(path: str) -> tuple[bytes | None, list[Problem]]:
        return (files[path].encode(), []) if files and path in files else (None, [])

    return load(text.encode(), name, read=find, outside=Outside(**outside))


def workflow_of(text: str, **more: Any) -> Workflow:
    loaded = read(text, **more)
    assert loaded.workflow is not None, loaded.problems
    assert loaded.format == "ghyaml"
    return loaded.workflow


def whole(steps: str, head: str = "") -> str:
    return f"name: w\nversion: 1.0.0\n{head}\nsteps:\n" + indent(steps.strip("\n"), "  ") + "\n"


def step_of(step: str, head: str = "", **more: Any) -> Step:
    return workflow_of(whole(f"- {{ id: s, name: S, {step} }}", head), **more).steps[0]


def script(id_: str, more: str = "", command: str = "date") -> str:
    return f"- {{ id: {id_}, name: N, type: script, config: {{ command: {command} }}{', ' if more else ''}{more} }}\n"


def run(folder: Path, text: str, *arguments: str, **variables: str) -> tuple[dict[str, Any], str, int]:
    """What is printed at the end, what was said, and the exit code."""
    (folder / "w.yaml").write_text(text)
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", **variables}
    command = [str(WEFT), "run", "w.yaml", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)
    return json.loads(done.stdout or "{}"), done.stderr, done.returncode


def outputs_of(folder: Path, text: str, *arguments: str, **variables: str) -> dict[str, Any]:
    printed, said, code = run(folder, text, *arguments, **variables)
    assert code == 0, said
    return {id_: result["output"] for id_, result in printed["stepResults"].items()}
