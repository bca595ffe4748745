"""Fan-outs and sub-workflows of the native format: what becomes of them, and how their files are read."""

import pytest

from weft.formats import Budgets, Loaded, load
from weft.formats.flows import DEPTH_MAX
from weft.host.source import read_source
from weft.model.problem import Problem
from weft.model.workflow import Flow, Pool, Step, Workflow


def loaded(text: str, **files: str) -> Loaded:
    def read(name: str) -> tuple[bytes | None, list[Problem]]:
        return (files[name].encode(), []) if name in files else read_source(name)

    return load(text.encode(), "w.yaml", read=read)


def workflow(text: str, **files: str) -> Workflow:
    result = loaded(text, **files)
    assert not result.problems, result.problems
    assert result.workflow is not None
    return result.workflow


def steps(text: str, **files: str) -> dict[str, Step]:
    return {step.id: step for step in workflow(text, **files).steps}


FAN_OUTS = """
inputs: { sources: { type: list, default: [a] } }
steps:
  fetch: { for_each: "${{ inputs.sources }}", as: source, run: echo 1 }
"""


def test_what_a_fan_out_says() -> None:
    step = steps(
        """
        steps:
          fetch:
            for_each: { a: 1, "b/c": 2 }
            as: source
            key: "${{ key }}-${{ source }}"
            items_max: 5
            run: echo $x
            with: { x: "${{ source }}" }
            if: source != 1
        """
    )["fetch"]
    assert step.for_each == {"a": 1, "b/c": 2}
    assert (step.item, step.key, step.items_max) == ("source", "${{ key }}-${{ source }}", 5)
    assert step.each_if
    assert not step.wired
    assert not step.matrix


def test_matrix() -> None:
    step = steps("steps: { a: { matrix: { x: [1, 2], include: [{ y: 3 }] }, run: echo $y, with: { y: '${{ matrix.y }}' } } }")[
        "a"
    ]
    assert (step.matrix, step.item, step.for_each) == (True, "matrix", {"x": [1, 2], "include": [{"y": 3}]})


@pytest.mark.parametrize(
    ("fields", "wired"),
    [
        ("with: { x: '${{ item }}' }", True),
        ("if: item != null", True),
        ("if: inputs.sources != null", True),
        ("needs: fetch", False),
        ("with: { x: '${{ length(steps.fetch.output) }}' }", False),
        ("if: steps.fetch.status == 'succeeded'", False),
        ("key: '${{ item }}'", False),
        ("env: { X: '${{ steps.fetch.errors }}' }", False),
    ],
)
def test_wired(fields: str, wired: bool) -> None:
    step = steps(FAN_OUTS + f"  clean: {{ for_each: '${{{{ steps.fetch.output }}}}', run: echo 2, {fields} }}")["clean"]
    assert step.wired == ("fetch" if wired else "")
    assert step.needs == ("fetch",)
    assert step.each_if == wired


@pytest.mark.parametrize(
    "items",
    [
        "${{ values(steps.fetch.output) }}",
        "${{ steps.fetch.errors }}",
        "${{ steps.plain.output }}",
        "${{ steps.fetch.output.a }}",
    ],
)
def test_not_wired(items: str) -> None:
    step = steps(FAN_OUTS + f"  plain: {{ run: echo 1 }}\n  clean: {{ for_each: '{items}', run: echo 2 }}")["clean"]
    assert step.wired == ""
    assert len(step.needs) == 1


def test_an_if_that_does_not_see_the_item_is_asked_once() -> None:
    step = steps(FAN_OUTS + "  b: { for_each: [1], run: echo 1, if: inputs.sources != null }")["b"]
    assert not step.each_if


SUB = """
name: sub
inputs: { n: { type: integer, default: 1 } }
secrets: [TOKEN]
resources: { db: 2 }
steps:
  a: { run: echo $n, with: { n: "${{ inputs.n }}" }, resources: { db: 1 }, secrets: [TOKEN] }
outputs: { a: "${{ steps.a.output }}" }
"""


def test_a_sub_workflow_in_a_file() -> None:
    result = workflow("steps: { s: { flow: parts/sub.yaml, with: { n: 2 } } }", **{"parts/sub.yaml": SUB})
    (step,) = result.steps
    assert isinstance(step.action, Flow)
    assert step.action.workflow.name == "sub"
    assert step.inputs == {"n": 2}
    assert result.secrets == ("TOKEN",)
    assert result.resources == {"db": Pool(slots=2)}


def test_paths_are_relative_to_the_file_they_stand_in() -> None:
    middle = "steps: { m: { flow: ../sub.yaml } }"
    result = workflow("steps: { s: { flow: parts/middle.yaml } }", **{"parts/middle.yaml": middle, "sub.yaml": SUB})
    action = result.steps[0].action
    assert isinstance(action, Flow)
    assert isinstance(action.workflow.steps[0].action, Flow)


def test_the_file_that_is_run_decides_on_a_pool() -> None:
    assert workflow("resources: { db: 5 }\nsteps: { s: { flow: sub } }", sub=SUB).resources == {"db": Pool(slots=5)}


def test_an_inline_sub_workflow_knows_the_pools_around_it() -> None:
    inner = "{ steps: { b: { sleep: 1, resources: { db: %d } } } }"
    text = "resources: { db: 1 }\nsteps: { s: { flow: { steps: { a: { flow: " + inner + " } } } } }"
    assert workflow(text % 1).resources == {"db": Pool(slots=1)}
    (problem,) = loaded(text % 2).problems
    assert problem.code == "W308"
    assert "`s/a/b`" in problem.message


def test_names_of_a_sub_workflow_are_its_own() -> None:
    text = """
    inputs: { day: { default: monday } }
    steps:
      a: { run: echo 1 }
      s:
        flow:
          steps: { b: { run: echo $x, with: { x: "${{ inputs.day }}" }, needs: a } }
    """
    assert [problem.code for problem in loaded(text).problems] == ["W305", "W301"]


def test_problems_point_into_the_file_that_has_them() -> None:
    result = loaded("steps: { s: { flow: sub }, t: { flow: sub } }", sub="steps:\n  a: { run: 5 }\n")
    (problem,) = result.problems
    assert (problem.place.file, problem.place.line) == ("sub", 2)
    assert result.contents == {"sub": b"steps:\n  a: { run: 5 }\n"}
    assert result.workflow is None


def test_a_file_is_read_once() -> None:
    read: list[str] = []

    def take(name: str) -> tuple[bytes | None, list[Problem]]:
        read.append(name)
        return SUB.encode(), []

    text = b"steps: { s: { flow: sub.yaml }, t: { flow: ./sub.yaml } }"
    assert load(text, "w.yaml", read=take).workflow is not None
    assert read == ["sub.yaml"]


def test_without_a_reader_there_are_no_files() -> None:
    (problem,) = load(b"steps: { s: { flow: sub.yaml } }", "w.yaml").problems
    assert problem.code == "W103"


def test_all_files_share_one_budget() -> None:
    budgets = Budgets(yaml_bytes_max=len(SUB), json_bytes_max=len(SUB))
    text = b"steps: { s: { flow: a }, t: { flow: b } }"
    (problem,) = load(text, "w.yaml", read=lambda name: (SUB.encode(), []), budgets=budgets).problems
    assert (problem.code, problem.place.line) == ("W104", 1)
    assert "together" in problem.message


def test_as_deep_as_it_may_be() -> None:
    files = {f"f{n}": f"steps: {{ s: {{ flow: f{n + 1} }} }}" for n in range(1, DEPTH_MAX)}
    assert workflow("steps: { s: { flow: f1 } }", **files, **{f"f{DEPTH_MAX}": SUB})


def test_steps_of_sub_workflows_are_bounded() -> None:
    wide = "steps: {" + ", ".join(f"s{n}: {{ flow: f%d }}" for n in range(20)) + "}"
    files = {f"f{n}": wide.replace("%d", str(n + 1)) for n in range(1, 4)}
    problems = loaded(wide.replace("%d", "1"), **files, f4=SUB).problems
    assert [problem.code for problem in problems] == ["W322"]
    assert "100,000" in problems[0].message


def test_what_is_about_runs_is_refused_in_a_sub_workflow() -> None:
    (problem,) = loaded("steps: { s: { flow: { timeout: 5m, schedule: dataflow, steps: { a: { run: echo 1 } } } } }").problems
    assert problem.code == "W214"
    assert "`timeout`" in problem.message


def test_places_of_parts_are_those_of_their_step() -> None:
    result = loaded("steps:\n  a: { run: echo 1 }\n  s: { for_each: [1], flow: sub }\n", sub=SUB)
    assert result.places("s[0]/a").line == result.places("s").line == 3
