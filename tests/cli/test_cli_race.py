"""`weft race` as a user runs it: real files, really opened."""

import json
from pathlib import Path
from typing import Any

import pytest
from door import Weft, weft

from weft.host.strace import find_strace

pytestmark = pytest.mark.skipif(find_strace() is None, reason="strace is not here, or may not trace")

EXAMPLE = Path(__file__).parents[2] / "examples" / "races.weft.yaml"
PYTHON = "def run():\n    import subprocess\n    open('log', 'a').write('x')\n    subprocess.run(['true'])\n"


def found(weft: Weft, steps: dict[str, Any], *flags: str, code: int = 1) -> dict[str, Any]:
    weft.write("w.yaml", {"steps": steps})
    told: dict[str, Any] = json.loads(weft("race", "w.yaml", "--json", "-q", *flags, code=code).out)
    return told


def pairs(told: dict[str, Any]) -> list[tuple[str, str, list[str], str]]:
    return [(r["first"], r["second"], [f["path"] for f in r["files"]], f"{r['change']}: {r['needs']}") for r in told["races"]]


def test_the_example(weft: Weft) -> None:
    shown = weft("race", str(EXAMPLE), code=1).out
    assert "note.txt: " in shown
    assert "`needs: [report, note]` in `publish` orders them" in shown
    assert "rows.csv: " in shown
    assert "`needs: [rows]` in `report` orders them" in shown
    assert "declared: `publish` read without declaring it `note.txt`" in shown
    assert "by strace `" in shown
    assert "by audit events `publish`" in shown
    assert "2 races found" in shown
    assert not list(weft.folder.glob("*.trace"))


def test_a_race_that_did_not_bite_and_its_cure(weft: Weft) -> None:
    steps: dict[str, Any] = {"a": {"run": "echo 1 > x"}, "b": {"run": "sleep 0.1; cat x"}, "c": {"run": "echo 2 > y"}}
    told = found(weft, steps)
    assert pairs(told) == [("a", "b", ["x"], "b: needs: [a]")]
    assert told["status"] == "succeeded"
    steps["b"]["needs"] = ["a"]
    told = found(weft, steps, code=0)
    assert pairs(told) == []
    assert told["files"]["b"] == {"reads": ["x"], "writes": []}


def test_a_reader_that_came_too_early(weft: Weft) -> None:
    (weft.folder / "sub").mkdir()
    steps = {"early": {"run": "cat made || true", "cwd": "sub"}, "late": {"run": "cd sub; sleep 0.2; echo > made"}}
    assert pairs(found(weft, steps)) == [("early", "late", ["sub/made"], "early: needs: [late]")]


def test_python_and_shell_together(weft: Weft) -> None:
    told = found(weft, {"p": {"python": PYTHON}, "s": {"run": "echo > log"}})
    assert [each["path"] for each in told["races"][0]["files"]] == ["log"]
    by = {each["step"]: (each["by"], each["started"]) for each in told["watched"]}
    assert by == {"p": ("audit events", ["true"]), "s": ("strace", [])}


def test_globs_choose_files(weft: Weft) -> None:
    steps = {"a": {"run": "echo > x.log; echo > x.txt"}, "b": {"run": "echo > x.log; echo > x.txt"}}
    assert pairs(found(weft, steps))[0][2] == ["x.log", "x.txt"]
    assert pairs(found(weft, steps, "--exclude", "*.log"))[0][2] == ["x.txt"]
    assert pairs(found(weft, steps, "--include", "*.log"))[0][2] == ["x.log"]
    assert pairs(found(weft, steps, "--exclude", "x.*", code=0)) == []


def test_declarations_are_compared(weft: Weft) -> None:
    told = found(weft, {"a": {"run": "cat in > out", "reads": ["in", "no.csv"], "writes": "gone/"}}, code=1)
    assert told["status"] == "failed"
    (weft.folder / "in").write_text("x")
    told = found(weft, {"a": {"run": "cat in > out", "reads": ["in", "no.csv"], "writes": "gone/"}}, code=0)
    assert told["declarations"] == [
        {"step": "a", "never_read": ["no.csv"], "never_written": ["gone/"], "read": [], "written": ["out"]}
    ]


def test_a_run_that_fails_says_so(weft: Weft) -> None:
    weft.write("w.yaml", {"steps": {"a": {"run": "exit 3"}}})
    shown = weft("race", "w.yaml", code=1).out
    assert "the run itself did not succeed (failed)" in shown
    assert "no race found" in shown


def test_samples_are_the_last_resort(weft: Weft, tmp_path: Path) -> None:
    steps = {"a": {"run": "echo > x"}, "b": {"run": "echo > x"}}
    told = found(weft, steps, "--by", "samples", code=0)
    assert {each["by"] for each in told["watched"]} == {"samples"}
    weft.write("w.yaml", {"steps": steps})
    refused = weft("race", "w.yaml", "--by", "strace", code=6, env={"PATH": str(tmp_path)})
    assert "strace is not here" in refused.err


def test_a_bad_file_runs_nothing(weft: Weft) -> None:
    weft.write("w.yaml", "steps: { a: { rum: echo } }\n")
    weft("race", "w.yaml", code=2)
    assert not (weft.folder / ".weft").exists()
