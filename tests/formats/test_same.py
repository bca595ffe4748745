"""One workflow written in each format has one plan and one result: in six files, nothing is different but the words."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SAME = Path(__file__).parent / "same"
WEFT = Path(sys.executable).with_name("weft")
FILES = ("native.weft.yaml", "hwfe.lua", "evolver.json", "forge.yaml")
RESULT = {"fetch": 7, "double": 14, "triple": 21, "total": 35}


def weft(*arguments: str, folder: Path) -> Any:
    """What it prints, as JSON. Run in a folder without configuration files of anybody."""
    done = subprocess.run([str(WEFT), *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", FILES)
def test_the_plan_is_the_same(tmp_path: Path, name: str) -> None:
    plan = weft("plan", "--json", str(SAME / name), folder=tmp_path)
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
def test_the_result_is_the_same(tmp_path: Path, name: str) -> None:
    assert weft("run", "-q", str(SAME / name), folder=tmp_path) == RESULT


@pytest.mark.parametrize("name", FILES[1:])
def test_it_is_the_same_when_it_is_imported(tmp_path: Path, name: str) -> None:
    weft_import = [str(WEFT), "import", str(SAME / name), "--to", "own.weft.yaml"]
    subprocess.run(weft_import, cwd=tmp_path, timeout=60, check=True)
    assert weft("run", "-q", "own.weft.yaml", folder=tmp_path) == RESULT
