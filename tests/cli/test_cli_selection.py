"""`--from`, `--only` and their like, as a user gives them."""

import json

import pytest
from door import Weft, weft

FILE = """
inputs: { n: { type: integer, default: 1 } }
steps:
  a: { run: "echo a >> ran; echo $n", with: { n: "${{ inputs.n }}" } }
  b: { run: "echo b >> ran; test ! -e bad; echo b$x", with: { x: "${{ steps.a.output }}" } }
  c: { run: "echo c >> ran; echo c$x", with: { x: "${{ steps.b.output }}" } }
outputs: { c: "${{ steps.c.output }}" }
"""


@pytest.fixture
def project(weft: Weft) -> Weft:
    weft.write("w.weft.yaml", FILE)
    return weft


def ran(weft: Weft) -> str:
    path = weft.folder / "ran"
    text = path.read_text() if path.exists() else ""
    path.unlink(missing_ok=True)
    return " ".join(text.split())


def test_run_a_part_of_a_file(project: Weft) -> None:
    assert project("run", "w.weft.yaml", "--until", "b").outputs == {}
    assert ran(project) == "a b"
    done = project("run", "w.weft.yaml", "--from", "c")
    assert ran(project) == "c"
    assert done.outputs == {"c": "cb1"}
    assert "outputs of 2 steps taken from run" in done.err
    project("run", "w.weft.yaml", "--only", "b", "--only", "a")
    assert ran(project) == "a b"
    project("run", "w.weft.yaml", "--skip", "b")
    assert ran(project) == "a"
    assert "it was not selected when the run was started" in project("why", "@", "b").out
    assert "`b`, of which run" in project("run", "w.weft.yaml", "--from", "c", code=2).err
    assert ran(project) == ""


def test_what_an_edit_leaves_as_it_was(project: Weft) -> None:
    project("run", "w.weft.yaml")
    project.write("w.weft.yaml", FILE.replace("echo b$x", "echo B$x"))
    ran(project)
    dry = project("run", "-n", "w.weft.yaml", "--reuse-from", "@")
    assert "runs       b, c\ntakes      a from run" in dry.out
    assert project("run", "w.weft.yaml", "--reuse-from", "@").outputs == {"c": "cB1"}
    assert ran(project) == "b c"
    assert project("run", "w.weft.yaml", "n=2", "--reuse-from", "@").outputs == {"c": "cB2"}
    assert ran(project) == "a b c"
    forced = project("run", "w.weft.yaml", "n=3", "--only", "c")
    assert ran(project) == "c"
    assert "`a` is not what it was in run" in forced.err


def test_try_a_part_of_a_run_again(project: Weft) -> None:
    (project.folder / "bad").touch()
    project("run", "w.weft.yaml", code=1)
    (project.folder / "bad").unlink()
    ran(project)
    first = json.loads(project("show", "--json").out)
    assert project("retry", "@", "--from", "b").outputs == {"c": "cb1"}
    assert ran(project) == "b c"
    second = json.loads(project("show", "--json").out)
    assert second["origin"] == first["run"]
    assert [step["status"] for step in second["steps"]] == ["reused", "succeeded", "succeeded"]
    assert f"takes outputs from run {first['run']}" in project("show").out
    assert f"1 reused, from {first['run']}" in project("runs").out
    project("retry", "@", "--downstream", "b")
    assert ran(project) == "c"
    shown = project("show", "--step", "a").out
    assert "it was not run: its output was taken from run" in shown
    assert "output      text, 2B" in shown
    assert "did you mean" in project("retry", "--only", "bb", code=2).err


def test_no_earlier_run(project: Weft) -> None:
    assert "there is no earlier run of" in project("run", "w.weft.yaml", "--from", "c", code=2).err
    assert "there is no run" in project("run", "w.weft.yaml", "--reuse-from", "@", code=2).err


def test_reuse_is_told(weft: Weft) -> None:
    weft.write(
        "w.weft.yaml", "inputs: { n: { default: 1 } }\nsteps: { a: { run: echo, with: { n: '${{ inputs.n }}' }, reuse: true } }"
    )
    first = weft("run", "--output", "json", "w.weft.yaml").facts()[0]["run"]
    assert f"reused     a  as in run {first}" in weft("run", "w.weft.yaml").err
    assert weft("why", "@", "a").out == f"a was reused: it was not run: it succeeded with the same fingerprint in run {first}\n"
    assert "changed    a  with.n" in weft("run", "w.weft.yaml", "n=2").err
    assert f"it was not reused: since it succeeded in run {first}, `with.n` changed" in weft("why", "@", "a").out
    assert "anew       a" in weft("retry", "@", "--only", "a").err
    assert "anew       a  the run was started so that it runs in any case" in weft("run", "w.weft.yaml", "--no-reuse").err
