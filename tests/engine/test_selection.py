"""Runs that take outputs from an earlier one, for real."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from weft import app
from weft.core import facts as f
from weft.core.facts import Limits
from weft.core.selection import Selection
from weft.journal.reader import read_facts
from weft.model.errors import UsageError
from weft.model.workflow import Flow, Shell, Step, Workflow

OPTIONS = app.Options(limits=Limits(), signals=False)


def note(text: str, rest: str = "true") -> Shell:
    """Notes in the file `ran` that it ran."""
    return Shell(script=f"echo {text} >> ran; {rest}")


def start(folder: Path, workflow: Workflow, *, ends: str = "succeeded", **how: Any) -> app.Result:
    result = app.start(workflow, {}, folder / ".weft", OPTIONS, project=folder, **how)
    assert result.status == ends, [str(fact) for fact in result.facts()]
    return result


def again(result: app.Result, **selection: tuple[str, ...]) -> app.Result:
    return app.again(result.folder, OPTIONS, Selection(**selection))


def ran(folder: Path) -> str:
    """What has run since the last time."""
    text = (folder / "ran").read_text() if (folder / "ran").exists() else ""
    (folder / "ran").unlink(missing_ok=True)
    return " ".join(text.split())


LARGE = "head -c 100000 /dev/zero | tr '\\0' x; date +%N"
CHAIN = Workflow(
    name="chain",
    steps=(
        Step(id="a", action=note("a", LARGE)),
        Step(id="b", action=note("b", 'echo "${#x}"'), needs=("a",), inputs={"x": "${{ steps.a.output }}"}),
        Step(id="c", action=note("c", 'echo "$x"'), needs=("b",), inputs={"x": "${{ steps.b.output }}"}),
    ),
    outputs={"b": "${{ steps.b.output }}", "c": "${{ steps.c.output }}"},
)


def outputs(result: app.Result) -> dict[str, Any]:
    assert result.state.outputs
    return result.state.outputs.outputs


def test_a_new_run_takes_what_it_does_not_run(tmp_path: Path) -> None:
    first = start(tmp_path, CHAIN)
    assert ran(tmp_path) == "a b c"
    second = again(first, from_=("b",))
    assert ran(tmp_path) == "b c"
    assert outputs(second) == outputs(first)
    (one,), (two,) = (list((result.folder / "outputs").iterdir()) for result in (first, second))
    assert one.samefile(two)
    created = next(second.facts())
    assert isinstance(created, f.RunCreated)
    assert (created.origin, list(created.given)) == (first.run, ["a"])
    third = again(second, downstream=("b",))
    assert ran(tmp_path) == "c"
    assert third.state.reused == {0: first.run, 1: second.run}


def test_only_what_was_asked_for(tmp_path: Path) -> None:
    first = start(tmp_path, CHAIN, selection=Selection(until=("b",)))
    assert ran(tmp_path) == "a b"
    assert outputs(first) == {"b": "100009"}
    with pytest.raises(UsageError, match="there is no step `x`"):
        again(first, only=("x",))
    start(tmp_path, CHAIN, before=first.folder, selection=Selection(only=("c",)))
    assert ran(tmp_path) == "c"
    start(tmp_path, CHAIN, selection=Selection(skip=("b",)))
    assert ran(tmp_path) == "a"


def test_an_output_that_is_gone_is_refused_or_made_again(tmp_path: Path) -> None:
    first = start(tmp_path, CHAIN)
    next((first.folder / "outputs").iterdir()).unlink()
    ran(tmp_path)
    runs = sorted((tmp_path / ".weft" / "runs").iterdir())
    with pytest.raises(UsageError, match=r"the output of `a` cannot be taken: .*`--from a`"):
        again(first, only=("b",))
    assert sorted((tmp_path / ".weft" / "runs").iterdir()) == runs
    assert ran(tmp_path) == ""
    start(tmp_path, CHAIN, before=first.folder)
    assert ran(tmp_path) == "a b c"


def test_an_edited_file(tmp_path: Path) -> None:
    first = start(tmp_path, CHAIN)
    ran(tmp_path)
    a, b, c = CHAIN.steps
    new = msgspec.structs.replace(CHAIN, steps=(a, msgspec.structs.replace(b, action=note("new-b", "echo 7")), c))
    second = start(tmp_path, new, before=first.folder)
    assert ran(tmp_path) == "new-b c"
    assert outputs(second) == {"b": "7", "c": "7"}
    start(tmp_path, new, before=second.folder)
    assert ran(tmp_path) == ""


def test_files_that_steps_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1")
    known = Step(id="known", action=note("known"), reads=("x",), reuse=True)
    unknown = Step(id="unknown", action=note("unknown"), reads=("x",))
    workflow = Workflow(name="w", steps=(known, unknown))
    first = start(tmp_path, workflow)
    assert sorted(ran(tmp_path).split()) == ["known", "unknown"]
    start(tmp_path, workflow, before=first.folder)
    assert ran(tmp_path) == "unknown"
    (tmp_path / "x").write_text("2")
    start(tmp_path, workflow, before=first.folder)
    assert sorted(ran(tmp_path).split()) == ["known", "unknown"]


def test_one_instance_of_a_fan_out(tmp_path: Path) -> None:
    fetch = Step(
        id="fetch",
        action=note("$x", 'test ! -e "bad-$x"; echo "got $x"'),
        for_each={"web": 1, "shop": 2},
        inputs={"x": "${{ key }}"},
    )
    merge = Step(id="merge", action=note("merge", 'echo "$all"'), needs=("fetch",), inputs={"all": "${{ steps.fetch.output }}"})
    workflow = Workflow(name="w", steps=(fetch, merge))
    (tmp_path / "bad-web").touch()
    first = start(tmp_path, workflow, ends="failed")
    assert sorted(ran(tmp_path).split()) == ["shop", "web"]
    (tmp_path / "bad-web").unlink()
    with pytest.raises(UsageError, match=r"`merge` needs the output of `fetch\[web\]`.*it failed"):
        again(first, only=("merge",))
    second = again(first, from_=("fetch[web]",))
    assert ran(tmp_path) == "web merge"
    last = [fact.output for fact in second.facts() if isinstance(fact, f.AttemptEnded) and fact.step == "merge"]
    assert last[0]
    assert second.store.load(last[0]) == '{"web":"got web","shop":"got shop"}'


def test_a_step_of_a_sub_workflow(tmp_path: Path) -> None:
    inner = Workflow(
        name="inner",
        steps=(
            Step(id="x", action=note("x", "echo 1")),
            Step(id="y", action=note("y", 'echo "$v"'), needs=("x",), inputs={"v": "${{ steps.x.output }}"}),
        ),
        outputs={"x": "${{ steps.x.output }}", "y": "${{ steps.y.output }}"},
    )
    workflow = Workflow(name="w", steps=(Step(id="s", action=Flow(workflow=inner)),), outputs={"s": "${{ steps.s.output }}"})
    first = start(tmp_path, workflow)
    assert ran(tmp_path) == "x y"
    second = again(first, only=("s/y",))
    assert ran(tmp_path) == "y"
    assert outputs(second) == outputs(first) == {"s": {"x": "1", "y": "1"}}
    third = start(tmp_path, workflow, selection=Selection(until=("s/x",)))
    assert ran(tmp_path) == "x"
    assert outputs(third) == {"s": {"x": "1"}}


def test_a_run_that_took_outputs_is_resumed_with_them(tmp_path: Path) -> None:
    first = start(tmp_path, CHAIN)
    ran(tmp_path)
    a, b, c = CHAIN.steps
    breaks = msgspec.structs.replace(c, action=note("c", 'test -e there; echo "$x"'))
    second = start(tmp_path, msgspec.structs.replace(CHAIN, steps=(a, b, breaks)), before=first.folder, ends="failed")
    assert ran(tmp_path) == "c"
    (tmp_path / "there").touch()
    third = app.retry(second.folder, OPTIONS, by="somebody")
    assert third.status == "succeeded"
    assert ran(tmp_path) == "c"
    assert outputs(third) == outputs(first)


def test_no_run_to_take_from(tmp_path: Path) -> None:
    from weft.journal.sqlite import SqliteJournal

    journal = SqliteJournal(tmp_path / ".weft" / "runs" / "empty", durability="process", create=True)
    with pytest.raises(UsageError, match="is still going on"):
        start(tmp_path, CHAIN, before=tmp_path / ".weft" / "runs" / "empty")
    journal.close()
    with pytest.raises(UsageError, match="never started"):
        start(tmp_path, CHAIN, before=tmp_path / ".weft" / "runs" / "empty")
    assert list(read_facts(tmp_path / ".weft" / "runs" / "empty")) == []
