"""Steps with `reuse`, for real: what is reused, what is not, and what is said about it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from weft import app
from weft.core import facts as f
from weft.core.facts import Limits
from weft.core.why import why
from weft.host.contents import ABSENT, Unreadable, digests
from weft.journal import successes
from weft.journal.index import Index
from weft.journal.successes import SuccessBook
from weft.model.workflow import Argv, Python, Shell, Step, Workflow

LARGE = "head -c 100000 /dev/zero | tr '\\0' x; date +%N"


class Project:
    """A folder in which one step `a` runs again and again, and notes in `ran` that it did."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results: list[app.Result] = []

    def run(self, script: str = "date +%N", *more: Step, **fields: Any) -> app.Result:
        step = Step(id="a", **{"action": Shell(script=f"echo >> {self.folder}/ran; {script}"), "reuse": True, **fields})
        return self.start(Workflow(name="w", steps=(step, *more)))

    def start(self, workflow: Workflow, *, reuse: bool = True) -> app.Result:
        options = app.Options(limits=Limits(), signals=False)
        result = app.start(workflow, {}, self.folder / ".weft", options, project=self.folder, reuse=reuse)
        assert result.status == "succeeded", [str(fact) for fact in result.facts()]
        self.results.append(result)
        return result

    @property
    def runs(self) -> int:
        path = self.folder / "ran"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def said(self, step: str = "a") -> str:
        """Why the step was not reused in the last run."""
        state = self.results[-1].state
        return why(state, state.graph.index[step]).reuse

    def changed(self) -> list[str]:
        return next(fact.changed for fact in self.results[-1].facts() if isinstance(fact, f.FingerprintTaken))

    def write(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def output(result: app.Result, step: str = "a") -> Any:
    for fact in result.facts():
        if isinstance(fact, f.AttemptEnded | f.StepReused) and fact.step == step and fact.output:
            return result.store.load(fact.output)
    raise AssertionError(f"{step} has no output")


def blob(result: app.Result) -> Path:
    return next((result.folder / "outputs").iterdir())


def test_what_has_not_changed_is_not_run(project: Project) -> None:
    user = Step(id="b", action=Argv(argv=("echo", "${{ steps.a.output }}")), needs=("a",))
    first, second = project.run("date +%N", user), project.run("date +%N", user)
    assert project.runs == 1
    assert output(first) == output(second) == output(second, "b")
    assert second.state.status[0].name == "REUSED"
    assert project.results[-1].run != first.run


def test_a_large_output_is_shared_byte_by_byte(project: Project) -> None:
    first, second = project.run(LARGE), project.run(LARGE)
    assert project.runs == 1
    assert blob(first).samefile(blob(second))
    assert output(first) == output(second)
    blob(first).unlink()
    (first.folder / "journal.db").unlink()
    third = project.run(LARGE)
    assert project.runs == 2
    assert output(third) != output(second)


@pytest.mark.parametrize("harm", ["remove", "damage"])
def test_an_output_that_is_not_what_it_was_is_made_again(project: Project, harm: str) -> None:
    first = project.run(LARGE)
    path = blob(first)
    if harm == "remove":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-10] + b"0123456789")
    project.run(LARGE)
    assert project.runs == 2
    assert f"succeeded with the same fingerprint in run {first.run}, but its output {path} " in project.said()


def test_no_disk_of_its_own(project: Project) -> None:
    first = project.run(LARGE)
    step = Step(id="a", action=Shell(script=f"echo >> {project.folder}/ran; {LARGE}"), reuse=True)
    second = project.start(Workflow(name="w", steps=(step,), durability="none"))
    assert project.runs == 1
    assert output(first) == output(second)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"inputs": {"n": 2}}, ["with.n"]),
        ({"inputs": {"n": 1, "m": [1]}}, ["with.m"]),
        ({"inputs": {}}, ["with.n"]),
        ({"env": {"X": "2"}}, ["env.X"]),
        ({"versions": {"tool": "1.3"}}, ["versions.tool"]),
        ({"output": "json"}, ["output"]),
        ({"cwd": "sub"}, ["cwd"]),
        ({"action": Shell(script="echo 2")}, ["run"]),
        ({"action": Shell(script="echo 1", shell=("sh", "-c"))}, ["shell"]),
        ({"action": Argv(argv=("echo", "1"))}, ["run", "run[0]", "run[1]", "shell"]),
        ({"action": Python(code="def run(n): return n")}, ["output", "python", "run", "shell"]),
    ],
)
def test_what_has_changed_is_named(project: Project, fields: dict[str, Any], named: list[str]) -> None:
    (project.folder / "sub").mkdir()
    base: dict[str, Any] = {
        "action": Shell(script="echo 1"),
        "inputs": {"n": 1},
        "env": {"X": "1"},
        "versions": {"tool": "1.2"},
        "output": "text",
    }
    first = project.run(**base)
    if "action" in fields and isinstance(fields["action"], Python):
        fields = {**fields, "output": "json"}
    project.run(**{**base, **fields})
    assert project.changed() == named
    listed = ", ".join(f"`{name}`" for name in named)
    assert project.said() == f"it was not reused: since it succeeded in run {first.run}, {listed} changed"


def test_a_module_of_the_project_is_part_of_it(project: Project) -> None:
    project.write("tools/made.py", "def it(): return 1")
    fields: dict[str, Any] = {"action": Python(target="tools.made:it"), "output": "json"}
    project.run(**fields)
    assert output(project.run(**fields)) == 1
    assert project.results[-1].state.status[0].name == "REUSED"
    project.write("tools/made.py", "def it(): return 2")
    assert output(project.run(**fields)) == 2
    assert project.changed() == ["module tools.made"]


def test_files_count_by_their_contents(project: Project) -> None:
    project.write("data/a.csv", "1")
    project.write("data/b.csv", "2")
    fields: dict[str, Any] = {"reads": ("data/*.csv", "folder", "later.txt", "a word"), "script": "true"}
    project.write("folder/inner/c", "3")
    project.run(**fields)
    os.utime(project.folder / "data/a.csv", (1, 1))
    project.write("data/note.txt", "no part of it")
    project.run(**fields)
    assert project.runs == 1
    for name, told in (("data/b.csv", "data/b.csv"), ("data/c.csv", "data/c.csv"), ("folder/inner/c", "folder/inner/c")):
        project.write(name, f"new {name}")
        project.run(**fields)
        assert project.changed() == [f"reads {told}"]
    project.write("later.txt", "")
    project.run(**fields)
    assert project.changed() == ["reads later.txt"]
    assert project.runs == 5


def test_files_that_were_written_must_still_be_there(project: Project) -> None:
    fields: dict[str, Any] = {"script": "echo 7 > out.txt; mkdir -p made; echo 8 > made/x", "writes": ("out.txt", "made/*")}
    first = project.run(**fields)
    project.run(**fields)
    assert project.runs == 1
    (project.folder / "made/x").unlink()
    project.run(**fields)
    assert project.runs == 2
    assert project.said().endswith(f"with the same fingerprint in run {first.run}, but `made/x`, which it wrote, is gone since")
    project.write("out.txt", "somebody else's")
    project.run(**fields)
    assert project.runs == 3
    assert "`out.txt`, which it wrote, has changed since" in project.said()
    project.run(**fields)
    assert project.runs == 3


def test_a_step_that_reads_what_changes_meanwhile_is_not_stored(project: Project) -> None:
    project.write("x", "1")
    fields: dict[str, Any] = {"script": "echo 2 >> x", "reads": ("x",)}
    project.run(**fields)
    assert project.said().endswith("it will not be reused either: `x` changed while it ran")
    project.run(**{**fields, "script": "echo 2 > x", "writes": ("x",)})
    assert "either" not in project.said()


def test_a_file_that_cannot_be_read_stops_nobody(project: Project) -> None:
    os.mkfifo(project.folder / "pipe")
    for _ in range(2):
        project.run("true", reads=("pipe",))
        assert project.said() == "it was not reused: `pipe` is no regular file"
    assert project.runs == 2


def test_no_reuse(project: Project) -> None:
    step = Step(id="a", action=Shell(script=f"echo >> {project.folder}/ran"), reuse=True)
    workflow = Workflow(name="w", steps=(step,))
    for reuse, runs in ((True, 1), (False, 2), (True, 2)):
        project.start(workflow, reuse=reuse)
        assert project.runs == runs
    assert [result.state.reused.get(0) for result in project.results] == [None, None, project.results[1].run]


def test_steps_of_one_run_do_not_stand_in_for_each_other(project: Project) -> None:
    step = Step(id="roll", action=Shell(script=f"echo >> {project.folder}/ran"), reuse=True, for_each=[1, 2, 3])
    project.start(Workflow(name="w", steps=(step,), max_parallel=1))
    assert project.runs == 3
    project.start(Workflow(name="w", steps=(step,)))
    assert project.runs == 3


def test_instances_stand_in_for_those_of_an_earlier_run(project: Project) -> None:
    def workflow(items: list[str]) -> Workflow:
        script = f'echo "$item" >> {project.folder}/ran; echo "$item"'
        step = Step(id="a", action=Shell(script=script), reuse=True, for_each=items, inputs={"item": "${{ item }}"})
        return Workflow(name="w", steps=(step,))

    project.start(workflow(["x", "y"]))
    last = project.start(workflow(["new", "y", "x"]))
    assert (project.folder / "ran").read_text().split().count("new") == 1
    assert project.runs == 3
    assert output(last, "a[2]") == "x"


def test_a_secret_output_stays_one(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hunter2-hunter2")
    step = Step(id="a", action=Shell(script='echo "$TOKEN"'), reuse=True, secrets=("TOKEN",))
    workflow = Workflow(name="w", steps=(step,), secrets=("TOKEN",))
    project.start(workflow)
    monkeypatch.setenv("TOKEN", "hunter3-hunter3")  # another token gives no other result
    last = project.start(workflow)
    reused = next(fact for fact in last.facts() if isinstance(fact, f.StepReused))
    assert reused.output
    assert reused.output.secret
    parts = next(fact.parts for fact in last.facts() if isinstance(fact, f.FingerprintTaken))
    assert not any("hunter" in text for item in parts.items() for text in item)


def test_what_cannot_be_resolved_fails_as_it_would_have(project: Project) -> None:
    step = Step(id="a", action=Shell(script="true"), reuse=True, inputs={"x": "${{ inputs.gone }}"})
    options = app.Options(limits=Limits(), signals=False)
    result = app.start(Workflow(name="w", steps=(step,)), {}, project.folder / ".weft", options, project=project.folder)
    assert result.status == "failed"
    assert result.state.errors[0].kind == "input"


def test_the_index_is_rebuilt_from_the_journals(project: Project) -> None:
    project.run(LARGE)
    for path in (project.folder / ".weft").glob("index.db*"):
        path.unlink()
    Index(project.folder / ".weft").refresh()
    project.run(LARGE)
    assert project.runs == 1


def test_the_oldest_are_forgotten(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        project.run("true", inputs={"n": n})
    state = project.folder / ".weft"
    book = SuccessBook(Index(state), state, "w", "")
    index = Index(state)
    assert len(index.query("SELECT run, step, success FROM successes", ())) == 3
    monkeypatch.setattr(successes, "FORGET", successes.FORGET.replace(str(successes.SUCCESSES_MAX), "2"))
    index.note_successes([("r", "a", "w", "a", "k", 0.0, 3, b"bad")])
    assert [run for run, _, _ in index.query("SELECT run, step, success FROM successes ORDER BY at", ())] == [
        result.run for result in project.results[1:]
    ]
    assert book.find("a", "k", 9) == []


def test_bad_rows_are_passed(project: Project) -> None:
    first = project.run("true")
    state = project.folder / ".weft"
    Index(state).note_successes([(first.run, "a", "w", "a", "k", 0.0, 3, b"bad")])
    assert SuccessBook(Index(state), state, "w", "").last("a") is None
    (state / "index.db").write_bytes(b"no database at all" * 100)
    assert SuccessBook(Index(state), state, "w", "").last("a") is None


def test_a_run_that_was_killed_has_noted_what_succeeded(project: Project) -> None:
    text = (
        "steps:\n  a: { run: echo >> ran, reuse: true }\n"
        f"  b: {{ run: 'echo x > {project.folder}/there; sleep 60', needs: a }}\n"
    )
    project.write("w.weft.yaml", text)
    os.mkfifo(project.folder / "there")
    command = [str(Path(sys.executable).with_name("weft")), "run", "w.weft.yaml"]
    with subprocess.Popen(command, cwd=project.folder, stderr=subprocess.DEVNULL) as engine:
        assert (project.folder / "there").read_text() == "x\n"
        os.kill(engine.pid, signal.SIGKILL)
    project.write("w.weft.yaml", text.replace("sleep 60", "true").replace("/there", "/other"))
    done = subprocess.run(command, cwd=project.folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "reused     a  as in run" in done.stderr
    assert project.runs == 1


def test_files_are_told_apart(tmp_path: Path) -> None:
    for n in range(300):
        (tmp_path / f"f{n}").write_text(str(n))
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "[odd]").write_text("x")

    def of(*patterns: str) -> dict[str, str]:
        return digests(patterns, str(tmp_path), lambda: True)

    assert list(of("f1", "f2")) == ["f1", "f2"]
    many = of("f*")
    assert list(many) == ["f*"]
    (tmp_path / "f7").write_text("other")
    assert of("f*") != many
    assert list(of(".hidden", "[odd]")) == [".hidden", "[odd]"]
    assert of("nothing/*", "word") == {"nothing/*": ABSENT, "word": ABSENT}
    assert ".hidden" not in digests([str(tmp_path)], "/", lambda: True)
    with pytest.raises(Unreadable, match="leaves"):
        digests(["f1"], str(tmp_path), lambda: False)


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.host.contents.FILES_MAX", 2)
    for name in "abc":
        (tmp_path / name).write_text("")
    with pytest.raises(Unreadable, match="more than 2 files"):
        digests(["?"], str(tmp_path), lambda: True)
