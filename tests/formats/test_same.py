"""One workflow written in each format has one plan and one result: in six files, nothing is different but the words."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SAME = Path(__file__).parent / "same"
WEFT = Path(sys.executable).with_name("weft")
FILES = ("native.weft.yaml", "hwfe.lua", "evolver.json", "forge.yaml", "pml.json", "yaml_workflow.yaml")
RESULT = {"fetch": 7, "double": 14, "triple": 21, "total": 35}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Without configuration files of anybody, but for the servers of PML."""
    servers = {"numbers": {"command": sys.executable, "args": [str(SAME / "number_tools.py")]}}
    (tmp_path / "mcp-servers.json").write_text(json.dumps({"mcpServers": servers}))
    return tmp_path


def weft(*arguments: str, folder: Path) -> Any:
    """What it prints, as JSON."""
    env = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    done = subprocess.run([str(WEFT), *arguments], cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def results(printed: Any) -> dict[str, Any]:
    """What each step gave, out of what a system prints; PML's tools give it under `result`, programs write text."""
    if "results" in printed:
        printed = {task["taskId"]: task["output"] for task in printed["results"]}
    if "stepResults" in printed:
        printed = {id_: step["output"] for id_, step in printed["stepResults"].items()}
    return {name: _number(value) for name, value in printed.items()}


def _number(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return int(value["stdout"]) if "stdout" in value else value["result"]


@pytest.mark.parametrize("name", FILES)
def test_the_plan_is_the_same(folder: Path, name: str) -> None:
    plan = weft("plan", "--json", str(SAME / name), folder=folder)
    first = plan["steps"][0]["layer"]
    assert [(step["step"], step["layer"] - first, set(step["needs"])) for step in plan["steps"]] == [
        ("fetch", 0, set()),
        ("double", 1, {"fetch"}),
        ("triple", 1, {"fetch"}),
        ("total", 2, {"double", "triple"}),
    ]
    assert (plan["layers"], plan["widest_layer"]["steps"]) == (3, 2)
    assert plan["name"] == "totals"


@pytest.mark.parametrize("name", FILES)
def test_the_result_is_the_same(folder: Path, name: str) -> None:
    assert results(weft("run", "-q", "-y", str(SAME / name), folder=folder)) == RESULT


@pytest.mark.parametrize("name", FILES[1:])
def test_it_is_the_same_when_it_is_imported(folder: Path, name: str) -> None:
    weft_import = [str(WEFT), "import", str(SAME / name), "--to", "own.weft.yaml"]
    subprocess.run(weft_import, cwd=folder, timeout=60, check=True)
    assert results(weft("run", "-q", "-y", "own.weft.yaml", folder=folder)) == RESULT
