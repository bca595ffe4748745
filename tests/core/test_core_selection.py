"""What the flags of a selection mean, and what is reused of an edited workflow."""

from typing import Any

import msgspec
import pytest
from story import Story, flow, step

from weft.core import facts as f
from weft.core.selection import Before, Chosen, Selection, choose
from weft.model.errors import UsageError
from weft.model.output import Output
from weft.model.workflow import Argv, Flow, Step, Workflow


def wide(id_: str, needs: str = "", **settings: Any) -> Step:
    return msgspec.structs.replace(step(id_, needs), for_each="${{ inputs.items }}", **settings)


def wired(id_: str, to: str) -> Step:
    return wide(id_, to, wired=to, each_if=True)


def sub(id_: str, *steps: Step, needs: str = "", **settings: Any) -> Step:
    return Step(id=id_, action=Flow(workflow=Workflow(name="inner", steps=steps, **settings)), needs=tuple(needs.split()))


DIAMOND = flow(step("a"), step("b", "a"), step("c", "a"), step("d", "b c"), step("z"))
FANS = flow(step("list"), wide("fetch", "list"), wired("clean", "fetch"), step("all", "clean"), step("some", "fetch"))
FLOWS = flow(step("a"), sub("s", step("x"), step("y", "x"), needs="a"), step("z", "s"))


def before(workflow: Workflow, script: str = "", inputs: dict[str, Any] | None = None, *, files: bool = True) -> Before:
    """A run that went as told, and then to its end."""
    story = Story(workflow)
    story.turn(
        [
            f.RunCreated(at=0.0, run="old", workflow=workflow, inputs=inputs or {}, seed=0),
            f.EngineAttached(at=0.0, pid=1, host="h", limits=f.Limits()),
        ]
    )
    for line in filter(None, script.split(";")):
        story.tell(line)
    story.finish()
    outputs = {fact.step: Output() for fact in story.facts if isinstance(fact, f.AttemptEnded) and fact.outcome == "ok"}
    return Before(run="old", state=story.state, outputs=outputs, same_files=lambda step: files)


def of(told: Chosen) -> str:
    """`given ids | left out ids`."""
    names = [f"{id_}({' '.join(given.keys)})" if given.output is None else id_ for id_, given in told.given.items()]
    return " ".join([*sorted(names), *(["|", *told.left_out] if told.left_out else [])])


@pytest.mark.parametrize(
    ("workflow", "selection", "told"),
    [
        (DIAMOND, Selection(), ""),
        (DIAMOND, Selection(until=("b",)), "| c d z"),
        (DIAMOND, Selection(until=("b", "z")), "| c d"),
        (DIAMOND, Selection(skip=("b",)), "| b"),
        (DIAMOND, Selection(until=("d",), skip=("b",)), "| b z"),
        (FANS, Selection(until=("clean",)), "| all some"),
        (FANS, Selection(until=("fetch",)), "| clean all some"),
        (FLOWS, Selection(until=("s/x",)), "| z s/y"),
        (FLOWS, Selection(until=("s",)), "| z"),
        (FLOWS, Selection(skip=("s/x",)), "| s/x"),
        (FLOWS, Selection(skip=("s",)), "| s"),
    ],
)
def test_without_an_earlier_run(workflow: Workflow, selection: Selection, told: str) -> None:
    assert of(choose(workflow, {}, selection)) == told


@pytest.mark.parametrize(
    ("workflow", "selection", "told"),
    [
        (DIAMOND, Selection(from_=("b",)), "a c z"),
        (DIAMOND, Selection(downstream=("a",)), "a z"),
        (DIAMOND, Selection(downstream=("b",)), "a b c z"),
        (DIAMOND, Selection(downstream=("b", "a")), "a z"),
        (DIAMOND, Selection(only=("b",)), "a c d z"),
        (DIAMOND, Selection(only=("b", "d")), "a c z"),
        (DIAMOND, Selection(from_=("b",), only=("z",)), "a c"),
        (DIAMOND, Selection(from_=("a",), until=("b",)), "| c d z"),
        (DIAMOND, Selection(from_=("a",), skip=("b",)), "z | b"),
        (FANS, Selection(from_=("fetch",)), "list"),
        (FANS, Selection(from_=("fetch[y]",)), "clean(x y) clean[x] fetch(x y) fetch[x] list"),
        (FANS, Selection(from_=("clean[y]",)), "clean(x y) clean[x] fetch(x y) fetch[x] fetch[y] list some"),
        (FANS, Selection(downstream=("fetch[y]",)), "clean(x y) clean[x] fetch(x y) fetch[x] fetch[y] list"),
        (FANS, Selection(downstream=("fetch",)), "fetch(x y) fetch[x] fetch[y] list"),
        (FANS, Selection(only=("fetch",)), "all clean(x y) clean[x] clean[y] list some"),
        (FANS, Selection(only=("fetch[x]",)), "all clean(x y) clean[x] clean[y] fetch(x y) fetch[y] list some"),
        (FANS, Selection(only=("list", "fetch[x]")), "all clean(x y) clean[x] clean[y] some"),
        (FLOWS, Selection(from_=("s/y",)), "a s() s/x"),
        (FLOWS, Selection(only=("s/x",)), "a s() s/y z"),
        (FLOWS, Selection(from_=("a",)), ""),
        (FLOWS, Selection(downstream=("s/x",)), "a s() s/x"),
    ],
)
def test_with_an_earlier_run(workflow: Workflow, selection: Selection, told: str) -> None:
    script = "begin; list ok; fetch items x y" if workflow is FANS else ""
    story = before(workflow, "list ok; fetch items x y") if script else before(workflow)
    assert of(choose(workflow, {}, selection, story)) == told


def test_parts_of_parts() -> None:
    inner = flow(msgspec.structs.replace(sub("s", step("x"), step("y", "x")), for_each=[1]), step("z", "s"))
    old = before(inner, "s items k")
    assert of(choose(inner, {}, Selection(from_=("s[k]/y",)), old)) == "s(k) s[k]() s[k]/x"
    assert of(choose(inner, {}, Selection(only=("z",)), old)) == "s(k) s[k]() s[k]/x s[k]/y"


def test_what_was_given_to_the_earlier_run_comes_from_where_it_was_made() -> None:
    old = before(flow(step("a"), step("b")))
    old.state.reused[0] = "older"
    given = choose(flow(step("a"), step("b")), {}, Selection(only=("b",)), old).given
    assert given["a"].run == "older"


@pytest.mark.parametrize(
    ("workflow", "script", "selection", "told"),
    [
        # what was skipped by its condition is null again; so is what it made skip
        (flow(step("a", condition="inputs.x"), step("b", "a"), step("c")), "a false", Selection(only=("c",)), "| a b"),
        (flow(step("a", condition="x"), step("b"), step("c", "a b")), "a false", Selection(only=("c",)), "b | a"),
        (flow(wide("a", condition="inputs.x"), step("c")), "a false", Selection(only=("c",)), "| a"),
        # nobody needs what failed
        (flow(step("a"), step("b")), "a fails", Selection(only=("b",)), "| a"),
        (FANS, "list ok; fetch items x y; fetch[x] fails", Selection(only=("fetch[x]",)),
         "clean(x y) clean[y] fetch(x y) fetch[y] list | all some clean[x]"),
        (flow(wide("a"), step("b")), "a items broken", Selection(only=("b",)), "| a"),
        (flow(wide("a"), step("b")), "a items", Selection(only=("b",)), "a()"),
    ],
)  # fmt: skip
def test_what_has_no_output(workflow: Workflow, script: str, selection: Selection, told: str) -> None:
    assert of(choose(workflow, {}, selection, before(workflow, script))) == told


@pytest.mark.parametrize(
    ("workflow", "script", "selection", "says"),
    [
        (
            DIAMOND,
            "a ok; b fails",
            Selection(only=("d",)),
            "step `d` needs the output of `b`, of which run `old` has none: it failed; let it run too: `--from b`",
        ),
        (
            FANS,
            "list ok; fetch items x y; fetch[x] fails",
            Selection(from_=("some",)),
            "needs the output of `fetch[x]`, of which",
        ),
        (FANS, "list ok; fetch items x y; fetch[x] fails", Selection(from_=("all",)), "needs the output of `clean[x]`, of which"),
        (DIAMOND, "", Selection(from_=("e",)), "there is no step `e`; there is `a`, `b`, `c`"),
        (FANS, "", Selection(from_=("lits",)), "there is no step `lits`; did you mean `list`?"),
        (FANS, "list ok; fetch items x y", Selection(from_=("fetch[web-shop]",)), "which instances `fetch` has is known when"),
    ],
)
def test_what_is_refused(workflow: Workflow, script: str, selection: Selection, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        choose(workflow, {}, selection, before(workflow, script))
    assert says in str(refused.value)


def test_what_the_earlier_run_left_out_is_not_known() -> None:
    skipped = before(flow(step("a", condition="x"), step("b", "a"), step("c", "b")), "a false")
    skipped.state.left_out = frozenset("z")
    with pytest.raises(UsageError, match="needs the output of `b`, of which run `old` has none: it was skipped"):
        choose(skipped.state.workflow, {}, Selection(only=("c",)), skipped)


def test_a_step_that_the_earlier_run_did_not_have() -> None:
    new = flow(step("new"), step("b", "new"))
    with pytest.raises(UsageError, match="`new`, of which run `old` has none: there was no such step"):
        choose(new, {}, Selection(only=("b",)), before(flow(step("b"))))


def reused(old: Workflow, new: Workflow, inputs: dict[str, Any] | None = None, script: str = "", **told: Any) -> str:
    was = {"n": 1, "m": 2}
    return of(choose(new, was if inputs is None else inputs, Selection(), before(old, script, was, **told)))


def test_what_has_not_changed_is_reused() -> None:
    assert reused(DIAMOND, DIAMOND) == "a b c d z"
    later = flow(step("a"), step("b", "a", title="new", priority=7, retry=3), step("c", "a", env={"X": "1"}), step("d", "b c"))
    assert reused(DIAMOND, later) == "a b"
    assert reused(DIAMOND, flow(step("a"), step("b", "a"), step("new", "b"))) == "a b"
    assert reused(DIAMOND, flow(step("a"), step("b"))) == "a"


@pytest.mark.parametrize(
    "fields",
    [
        {"inputs": {"x": "${{ inputs.n }}"}},
        {"env": {"X": "${{ inputs.n }}"}},
        {"condition": "inputs.n == 1"},
        {"versions": {"tool": "${{ inputs.n }}"}},
        {"action": Argv(argv=("echo", "${{ inputs.n }}"))},
        {"inputs": {"x": "${{ inputs }}"}},
    ],
)
def test_a_step_runs_again_if_an_input_that_it_names_has_changed(fields: dict[str, Any]) -> None:
    named = msgspec.structs.replace(step("a"), **fields)
    workflow = flow(named, step("b", "a"), step("c"))
    script = "a true" if "condition" in fields else ""
    assert reused(workflow, workflow, script=script) == "a b c"
    assert reused(workflow, workflow, {"n": 2, "m": 2}, script=script) == "c"
    rest = "c" if "inputs" in fields and fields["inputs"]["x"] == "${{ inputs }}" else "a b c"
    assert reused(workflow, workflow, {"n": 1, "m": 3}, script=script) == rest


def test_environment_of_the_workflow() -> None:
    old, new = (flow(step("a"), env={"X": value}) for value in ("1", "${{ inputs.n }}"))
    assert reused(old, new) == ""
    assert reused(new, new) == "a"
    assert reused(new, new, {"n": 2, "m": 2}) == ""


def test_files_that_it_reads() -> None:
    workflow = flow(step("a", reads=("x.csv",)), step("b", "a"), step("c"))
    assert reused(workflow, workflow) == "a b c"
    assert reused(workflow, workflow, files=False) == "c"


def test_what_failed_or_was_skipped() -> None:
    assert reused(DIAMOND, DIAMOND, script="a ok; b fails") == "a c z"
    workflow = flow(step("a", condition="inputs.n"), step("b", "a"), step("c"))
    assert reused(workflow, workflow, script="a false") == "c | a b"
    assert reused(workflow, workflow, {"n": 2, "m": 2}, script="a false") == "c"


def test_fan_outs_and_sub_workflows_of_an_edited_file() -> None:
    told = "list ok; fetch items x y"
    assert reused(FANS, FANS, script=told) == "all clean(x y) clean[x] clean[y] fetch(x y) fetch[x] fetch[y] list some"
    new = flow(step("list"), wide("fetch", "list", env={"X": "1"}), wired("clean", "fetch"), step("all", "clean"), step("z"))
    assert reused(FANS, new, script=told) == "list"
    other = flow(step("list"), wide("other", "list"), wired("clean", "other"), step("fetch", "list"), step("all", "clean"))
    assert reused(FANS, other, script=told) == "list"
    inner = flow(step("a"), sub("s", step("x"), step("y", "x", env={"Y": "1"}), needs="a"), step("z", "s"))
    assert reused(FLOWS, FLOWS) == "a s() s/x s/y z"
    assert reused(FLOWS, inner) == "a s() s/x"
    outer = flow(step("a"), sub("s", step("x"), step("y", "x"), needs="a", env={"Y": "1"}), step("z", "s"))
    assert reused(FLOWS, outer) == "a"
    assert reused(FLOWS, flow(step("a"), step("s", "a"), step("z", "s"))) == "a"
    fans = flow(step("list"), wide("fetch", "list"), step("clean"), step("all", "clean"))
    assert reused(FANS, fans, script="list fails") == ""


def test_what_is_taken_though_it_has_changed_is_named() -> None:
    edited = flow(step("a", env={"X": "1"}), step("b", "a"))
    told = choose(edited, {}, Selection(only=("b",)), before(flow(step("a"), step("b", "a"))))
    assert (of(told), told.changed) == ("a", ("a",))


# ---- fallbacks and finally ----


def fallback(id_: str, needs: str = "", **settings: Any) -> Step:
    return step(id_, needs, role="fallback", **settings)


BACKED = flow(
    step("a", fallback="f"),
    fallback("f", fallback="g"),
    fallback("g"),
    step("b", "a"),
    step("c", fallback="h"),
    fallback("h"),
    step("z", role="finally"),
)


@pytest.mark.parametrize(
    ("selection", "told"),
    [(Selection(until=("c",)), "| a b"), (Selection(skip=("z", "f")), "| f z"), (Selection(), "")],
)
def test_what_has_a_role_is_run_when_it_is_needed(selection: Selection, told: str) -> None:
    assert of(choose(BACKED, {}, selection)) == told


RESCUED = "begin; a fails; f fails; g ok"


def test_the_output_of_a_fallback_is_given_as_that_of_its_step() -> None:
    old = before(BACKED, RESCUED)
    assert of(choose(BACKED, {}, Selection(from_=("b",)), old)) == "a c"
    assert of(choose(BACKED, {}, Selection(), old)) == "a b c"


def test_a_changed_fallback_is_run_if_its_output_was_taken() -> None:
    def edited(*ids: str) -> Workflow:
        steps = [msgspec.structs.replace(each, action=Argv(argv=("new",))) if each.id in ids else each for each in BACKED.steps]
        return msgspec.structs.replace(BACKED, steps=tuple(steps))

    old = before(BACKED, RESCUED)
    assert of(choose(edited("f"), {}, Selection(), old)) == "c"
    assert of(choose(edited("h", "z"), {}, Selection(), old)) == "a b c"
    without = flow(step("a"), step("b", "a"), step("c"))
    assert of(choose(without, {}, Selection(), old)) == "b c" or of(choose(without, {}, Selection(), old)) == "c"


def test_a_fallback_that_is_a_fan_out_gives_no_output_of_its_own() -> None:
    workflow = flow(step("a", fallback="f"), wide("f", role="fallback"), step("b", "a"))
    old = before(workflow, "begin; a fails; f items x; f[x] ok")
    with pytest.raises(UsageError, match="of which run `old` has none"):
        choose(workflow, {}, Selection(from_=("b",)), old)
