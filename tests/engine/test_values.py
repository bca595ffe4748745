"""What steps of fan-outs and sub-workflows see, and what their keys and outputs are."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from test_engine import Bench, gives, shell

from weft.model.workflow import Argv, Flow, Input, Step, Value, Workflow
from weft.testing.runners import FakeRunner


def each(id_: str, items: Value, *needs: str, **more: Any) -> Step:
    return shell(id_, *needs, for_each=items, **more)


def sub(id_: str, workflow: Workflow, **more: Any) -> Step:
    return replace(shell(id_, **more), action=Flow(workflow))


def seen(bench: Bench) -> dict[str, dict[str, Value]]:
    asyncio.run(bench.run())
    return {job.step: job.inputs for job in bench.runner.started}


def outputs(bench: Bench) -> dict[str, Value]:
    assert bench.state.outputs, bench.state.errors
    return bench.state.outputs.outputs


SEE = {"it": "${{ item }}", "key": "${{ key }}"}


def test_a_list_gives_its_items_by_index_and_a_mapping_by_key(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        each("a", ["x", {"y": 1}], inputs=SEE),
        each("b", {"p q": 1, "r": None}, inputs={"it": "${{ n }}", "key": "${{ key }}"}, item="n"),
    )
    assert seen(bench) == {
        "a[0]": {"it": "x", "key": "0"},
        "a[1]": {"it": {"y": 1}, "key": "1"},
        "b[p%20q]": {"it": 1, "key": "p q"},
        "b[r]": {"it": None, "key": "r"},
    }


def test_a_template_gives_the_items_and_another_the_keys(tmp_path: Path) -> None:
    source = gives(a=b'[{"id": 7}, {"id": true}]')
    step = each("b", "${{ steps.a.output }}", "a", key="${{ item.id }}", inputs={"it": "${{ item.id }}"})
    assert seen(Bench(tmp_path, shell("a"), step, runner=FakeRunner(source))) == {
        "a": {},
        "b[7]": {"it": 7},
        "b[true]": {"it": True},
    }


def test_a_matrix_gives_every_combination(tmp_path: Path) -> None:
    step = each("a", {"os": "${{ inputs.oses }}", "n": [1]}, matrix=True, item="matrix", inputs={"os": "${{ matrix.os }}"})
    bench = Bench(tmp_path, step)
    bench.created.inputs["oses"] = ["linux", "mac"]
    assert seen(bench) == {"a[linux-1]": {"os": "linux"}, "a[mac-1]": {"os": "mac"}}


@pytest.mark.parametrize(
    ("items", "more", "says"),
    [
        ("${{ inputs.who }}", {}, "`for_each` is string, where a list or a mapping must be"),
        ("${{ inputs.nobody }}", {}, "`inputs` has no `nobody`"),
        ([1, 2, 3], {"items_max": 2}, "`for_each` has 3 items, `items_max` is 2"),
        ([1, 2], {"key": "same"}, "two items of `for_each` have the key `same`"),
        ([[1]], {"key": "${{ item }}"}, "`key` is list, where a text must be"),
        ({"a": 1}, {"matrix": True}, "the axis `a` of `matrix` is not a list"),
    ],
)
def test_items_that_cannot_be(tmp_path: Path, items: Value, more: dict[str, Any], says: str) -> None:
    bench = Bench(tmp_path, each("a", items, **more))
    assert seen(bench) == {}
    assert says in bench.state.errors[0].message
    assert bench.state.errors[0].kind == "input"


def test_outputs_are_collected_by_key_and_so_are_errors(tmp_path: Path) -> None:
    def script(job: Any) -> Any:
        text = b'"%s"' % job.step.encode() if job.step != "a[1]" else b"{bad"
        return gives(**{job.step: text})(job)

    collected = {
        "all": "${{ steps.a.output }}",
        "list": "${{ values(steps.a.output) }}",
        "kind": "${{ steps.a.errors['1'].kind }}",
        "one": "${{ steps.a.output['2'] }}",
    }
    bench = Bench(tmp_path, each("a", [5, 6, 7], on_error="continue"), runner=FakeRunner(script), outputs=collected)
    seen(bench)
    assert outputs(bench) == {
        "all": {"0": "a[0]", "2": "a[2]"},
        "list": ["a[0]", "a[2]"],
        "kind": "invalid_output",
        "one": "a[2]",
    }


@pytest.mark.parametrize("schedule", ["dataflow", "layers"])
def test_wired_instances_see_the_output_of_theirs(tmp_path: Path, schedule: str) -> None:
    source = {"a[x]": b"1", "a[y]": b"2"}
    wired = each("b", "${{ steps.a.output }}", "a", wired="a", each_if=True, condition="item == 2", inputs=SEE)
    bench = Bench(tmp_path, each("a", {"x": 0, "y": 0}), wired, runner=FakeRunner(gives(**source)), schedule=schedule)
    assert seen(bench)["b[y]"] == {"it": 2, "key": "y"}
    assert bench.state.status[bench.state.graph.index["b[x]"]].name == "SKIPPED"


INNER = Workflow(
    name="inner",
    inputs={"who": Input(type="string", required=True), "n": Input(type="integer", default=3, choices=(3, 5))},
    steps=(
        shell("x", inputs={"who": "${{ inputs.who }}", "n": "${{ inputs.n }}"}, env={"C": "${{ inputs.who }}"}),
        shell(
            "y",
            "x",
            inputs={
                "x": "${{ steps.x.output }}",
                "status": "${{ steps.x.status }}",
                "run": "${{ run.name }}",
                "took": "${{ steps.x.took_s >= 0 }}",
            },
        ),
    ),
    outputs={"said": "${{ steps.y.output }}"},
    env={"B": "${{ inputs.who }}"},
)


def test_a_sub_workflow_sees_its_own_inputs_and_steps(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        shell("x"),
        sub("s", INNER, inputs={"who": "${{ inputs.who }}"}, env={"A": "a"}),
        runner=FakeRunner(gives(**{"s/x": b'"hi"', "s/y": b'"ho"'})),
        outputs={"s": "${{ steps.s.output }}"},
        env={"A": "0", "Z": "${{ inputs.who }}"},
    )
    assert seen(bench) == {
        "x": {},
        "s/x": {"who": "you", "n": 3},
        "s/y": {"x": "hi", "status": "succeeded", "run": "w", "took": True},
    }
    assert outputs(bench) == {"s": {"said": "ho"}}
    env = next(job.env for job in bench.runner.started if job.step == "s/x")
    assert {name: env[name] for name in "ABCZ"} == {"A": "a", "B": "you", "C": "you", "Z": "you"}


def test_a_sub_workflow_for_each_item(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        sub("s", INNER, inputs={"who": "${{ item }}"}, for_each=["p", "q"]),
        runner=FakeRunner(gives(**{"s[0]/y": b"1", "s[1]/y": b"2"})),
        outputs={"s": "${{ steps.s.output }}"},
    )
    assert seen(bench)["s[1]/x"] == {"who": "q", "n": 3}
    assert outputs(bench) == {"s": {"0": {"said": 1}, "1": {"said": 2}}}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "input `who` of workflow `inner` is missing"),
        ({"who": 1}, "input `who` of workflow `inner` must be a string"),
        ({"who": "a", "n": "x"}, "input `n` of workflow `inner` must be an integer"),
        ({"who": "a", "n": 4}, "input `n` of workflow `inner` is none of [3,5]"),
        ({"who": "a", "m": 1}, "`m` is not an input of workflow `inner`"),
        ({"who": "${{ inputs.nobody }}"}, "`inputs` has no `nobody`"),
    ],
)
def test_a_sub_workflow_that_cannot_be_entered(tmp_path: Path, given: dict[str, Value], says: str) -> None:
    bench = Bench(tmp_path, sub("s", INNER, inputs=given))
    assert seen(bench) == {}
    assert says in bench.state.errors[0].message


def test_outputs_of_a_sub_workflow_that_cannot_be_evaluated(tmp_path: Path) -> None:
    workflow = replace(INNER, outputs={"said": "${{ steps.y.output.word }}"})
    bench = Bench(tmp_path, sub("s", workflow, inputs={"who": "a"}))
    seen(bench)
    assert bench.state.errors[0].kind == "input"


def test_a_secret_in_the_output_of_a_sub_workflow_is_marked(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        sub("s", INNER, inputs={"who": "a"}),
        runner=FakeRunner(gives(**{"s/y": b'"it is s3cret!"'})),
        secrets={"TOKEN": "s3cret!"},
    )
    seen(bench)
    assert bench.engine.values.outputs["s"].secret


def test_instances_of_a_program_with_arguments(tmp_path: Path) -> None:
    step = Step(id="a", action=Argv(argv=("echo", "${{ item }}")), for_each=["-x", "y z"])
    bench = Bench(tmp_path, step)
    asyncio.run(bench.run())
    assert [job.action for job in bench.runner.started] == [Argv(argv=("echo", "-x")), Argv(argv=("echo", "y z"))]
