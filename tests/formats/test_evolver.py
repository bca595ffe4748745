"""Workflow files of Code Evolver: what the documents show, read, planned and run as they say; and every dialect of its files."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from evolver_kit import SEEDS, WEFT, model_server, needs_of, portable, program, read, run, step_of, workflow_of

from weft.formats.evolver_config import read_mode
from weft.formats.evolver_order import with_order
from weft.model.workflow import Agent, Budget

PLAN = """\
Workflow Plan (3 steps):
  1. Write a joke
  2. Translate to French
     Node task: Translate to French
  3. Translate to Spanish
     Node task: Translate to Spanish
"""
TOGETHER = """\
Executing 2 steps in parallel:
  - Translate to French
  - Translate to Spanish
"""
TRANSLATE = "import sys\nprint('<' + sys.argv[1] + '>', end='')"


def seed(folder: Path, name: str) -> str:
    """A snippet of the document as printed, with tools beside it."""
    shutil.copytree(SEEDS / "tools", folder / "tools")
    program(folder, "stand_in_writer", "print('A joke.')")
    program(folder, "stand_in_translator", TRANSLATE)
    return (SEEDS / name).read_text()


def told(said: str) -> str:
    """What is said in the margin."""
    lines = [line.partition("│ ")[2] for line in said.splitlines() if "│ " in line]
    return "\n".join(lines) + "\n"


# ---- the document ----


def test_parallel_translations_are_planned_and_run_as_documented(tmp_path: Path) -> None:
    text = seed(tmp_path, "parallel_translations.json")
    outputs, said, code = run(tmp_path, text, name="joke.json")
    assert code == 0, said
    assert outputs == {
        "step1": "A joke.",
        "step2": "<Translate to French: A joke.>",
        "step3": "<Translate to Spanish: A joke.>",
    }
    assert PLAN in told(said)
    assert TOGETHER in told(said)
    command = [str(WEFT), "plan", "joke.json"]
    planned = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert PLAN in planned.stdout
    assert "layer 2 with 2 steps" in planned.stdout
    assert "this is a part of a workflow" in planned.stderr


def test_three_jokes_are_asked_of_a_model_all_at_once(tmp_path: Path) -> None:
    text = seed(tmp_path, "three_jokes.json")
    assert needs_of(workflow_of(text, "jokes.json")) == {"step1": [], "step2": [], "step3": []}
    with model_server() as model:
        variables = {"WEFT_MODEL": "openai:stub", "OPENAI_BASE_URL": f"{model.url}/v1"}
        outputs, said, code = run(tmp_path, text, name="jokes.json", **variables)
    assert code == 0, said
    assert outputs["step2"] == "[Write joke about dogs]"
    assert "Executing 3 steps in parallel:\n  - Write joke about cats\n" in told(said)
    assert "21 tokens" in said


def test_the_node_of_the_document_calls_tools_in_parallel(tmp_path: Path) -> None:
    seed(tmp_path, "multi_language_node.py.txt")
    shutil.copy(SEEDS / "multi_language_node.py.txt", tmp_path / "node.py")
    text = "workflow_id: n\ninputs: { content: { type: string } }\nsteps:\n"
    text += "- { step_id: a, type: python_tool, tool_path: node.py, input_mapping: { content: inputs.content } }\n"
    outputs, said, code = run(tmp_path, text, "content=hello")
    assert code == 0, said
    assert outputs["a"] == {language: f"<Translate to {language}: hello>" for language in ("french", "spanish", "german")}


def test_the_configuration_of_the_document() -> None:
    mode = read_mode({"config.yaml": (SEEDS / "config.yaml").read_bytes()})
    assert (mode.enabled, mode.detect_keywords, mode.problems) == (True, ("and", "then", "translate", "convert"), ())
    text = "workflow_id: w\nsteps: [{ step_id: a, description: x }]\n"
    off = {"config.yaml": b"chat: { workflow_mode: { enabled: false } }"}
    assert workflow_of(text).schedule == "dataflow"
    assert workflow_of(text, files=lambda names: off).schedule == "sequential"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("chat: [", "cannot be read"),
        ("chat: { workflow_mode: 1 }", "is no mapping"),
        ("chat: { workflow_mode: { enabled: 1 } }", "`enabled` is `1`"),
        ("chat: { workflow_mode: { detect_keywords: and } }", "no list of texts"),
        ("chat: { workflow_mode: { min_steps: 0 } }", "`min_steps` is `0`"),
        ("chat: { workflow_mode: { enabeld: true } }", "did you mean `enabled`?"),
    ],
)
def test_what_is_wrong_with_a_configuration(content: str, problem: str) -> None:
    files = {"config.yaml": content.encode()}
    mode = read_mode(files)
    assert problem in mode.problems[0]
    assert mode.enabled
    loaded = read("workflow_id: w\nsteps: [{ step_id: a, description: x }]\n", files=lambda names: files)
    assert [(found.code, found.message) for found in loaded.problems] == [("W814", mode.problems[0])]


def test_a_configuration_of_another_program_is_none_of_ours() -> None:
    assert read_mode({"config.yaml": b"a: ["}).problems == ()


# ---- the order ----


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([("a", None, []), ("b", None, []), ("c", None, [])], {"a": [], "b": ["a"], "c": ["b"]}),
        ([("a", 1, []), ("b", 1, []), ("c", None, [])], {"a": [], "b": [], "c": ["a", "b"]}),
        ([("a", None, []), ("b", "g", []), ("c", None, ["a"])], {"a": [], "b": [], "c": ["a"]}),
        ([("a", None, ["b"]), ("b", None, []), ("c", None, [])], {"a": ["b"], "b": [], "c": ["b"]}),
        ([("a", 1, ["c"]), ("b", 1, []), ("c", None, [])], {"a": ["c"], "b": [], "c": ["b"]}),
    ],
)
def test_what_follows_the_file(steps: list[tuple[str, Any, list[str]]], expected: dict[str, list[str]]) -> None:
    needs = {id_: own for id_, _, own in steps}
    assert with_order(needs, {id_: group for id_, group, _ in steps}) == expected


def test_all_spellings_of_dependencies_count() -> None:
    step = "{ step_id: d, description: x, depends_on: [], dependsOn: [a], dependencies: b }"
    text = "".join(f"- {{ step_id: {id_}, description: x, parallel_group: 1 }}\n" for id_ in "abc")
    assert needs_of(workflow_of(f"workflow_id: w\nsteps:\n{text}- {step}\n"))["d"] == ["a", "b"]


def test_groups_dependencies_and_references_make_the_edges() -> None:
    text = """
workflow_id: w
steps:
- { step_id: a, description: first, parallel_group: null, depends_on: [] }
- { step_id: b, description: second, output_name: words }
- { step_id: c, description: third, input_mapping: { x: steps.a.output } }
- { step_id: d, description: "4", parallel_group: prep }
- { step_id: e, description: "5", parallel_group: prep, depends_on: [b] }
- { step_id: f, description: "6", input_from_step: b }
- { step_id: g, description: "7", prompt_template: "{words} and {e.x}" }
- { step_id: h, description: "8", dependsOn: a }
"""
    expected = {"a": [], "b": ["a"], "c": ["a"], "d": [], "e": ["b"], "f": ["b"], "g": ["b", "e"], "h": ["a"]}
    assert needs_of(workflow_of(text)) == expected


# ---- dialects ----


def test_a_portable_file_asks_ollama(tmp_path: Path) -> None:
    with model_server() as model:
        text = "\ufeff" + json.dumps(portable(model.url))
        outputs, said, code = run(tmp_path, text, "topic=weaving", name="a.json")
    assert code == 0, said
    assert outputs == {"article": "[To Spanish: [Outline weaving]]"}
    path, body = model.asked[0]
    assert path == "/api/generate"
    known = {"model": "llama3", "prompt": "Outline weaving", "system": "Be brief.", "temperature": 0.2, "stream": False}
    assert {name: body[name] for name in known} == known
    assert "14 tokens" in said


def test_a_tool_without_an_endpoint_is_an_agent() -> None:
    spec = portable("")
    for tool in spec["tools"].values():
        del tool["endpoint"]
    spec["tools"]["translator"]["prompt_template"] = "Task: {prompt} ({language})"
    workflow = workflow_of(spec)
    assert step_of(workflow, "outline").action == Agent(
        prompt='Outline ${{ inputs["topic"] }}', model="ollama:llama3", system="Be brief.", temperature=0.2
    )
    action = step_of(workflow, "translate").action
    assert isinstance(action, Agent)
    text = 'To ${{ inputs["language"] }}: ${{ steps["outline"].output }}'
    assert action.prompt == f'Task: {text} (${{{{ inputs["language"] }}}})'
    assert needs_of(workflow) == {"outline": [], "translate": ["outline"]}


def test_dollar_references(tmp_path: Path) -> None:
    text = """
workflow_id: b
inputs: { who: { type: string, default: you }, none: { type: string, required: false } }
steps:
- { step_id: a, code: "result = {'n': [1, {'x': 2}], 'output': 3}", output_name: thing }
- step_id: b
  code: "result = inputs"
  input_mapping:
    whole: "${steps.a.output}"
    own: steps.a.thing
    deep: "${steps.a.n[1].x}"
    text: "for ${inputs.who}: ${ steps.a.n[0] } of $${inputs.who}"
    first: "${inputs.none || steps.a.missing || inputs.who}"
    last: "${inputs.none || 'nobody'}"
    kept: "${HOME} ${{ x }} {a b}"
outputs: { b: steps.b }
"""
    outputs, said, code = run(tmp_path, text)
    assert code == 0, said
    whole = {"n": [1, {"x": 2}], "output": 3}
    assert outputs["b"] == {
        "whole": whole,
        "own": whole,
        "deep": 2,
        "text": "for you: 1 of $you",
        "first": "you",
        "last": "nobody",
        "kept": "${HOME} ${{ x }} {a b}",
    }
    assert "`${HOME}` is no input and no output: it stays as it is" in said


def test_braces_keys_of_their_own_and_json_in_a_text(tmp_path: Path) -> None:
    spec = {
        "workflow_id": "docker",
        "input_parameters": {
            "tool_id": {"type": "string", "required": True},
            "port": {"type": "integer", "required": False, "default": 8080},
            "name": {"type": "string", "required": False, "default": None},
        },
        "steps": [
            {
                "step_id": "analyze",
                "tool": "echo",
                "input": {"config_json": '{"tool_id": "{tool_id}", "sub": {"port": {port}}, "as": "{name or tool_id}.exe"}'},
                "output_key": "dependencies",
            },
            {
                "step_id": "copy",
                "tool": "echo",
                "input": {"files": "{dependencies.config_json}", "port": "{port}"},
                "parallel_group": "x",
            },
        ],
        "tools": {"echo": {"type": "python", "source_code": "import json, sys\nprint(json.dumps(json.load(sys.stdin)))\n"}},
        "output_schema": {"success": "bool"},
    }
    hostile = '"; touch X #\n$(touch X)'
    outputs, said, code = run(tmp_path, spec, f"tool_id={hostile}")
    assert code == 0, said
    config = json.loads(outputs["analyze"]["config_json"])
    assert config == {"tool_id": hostile, "sub": {"port": 8080}, "as": f"{hostile}.exe"}
    assert (outputs["copy"]["files"], outputs["copy"]["port"]) == (outputs["analyze"]["config_json"], 8080)
    assert needs_of(workflow_of(spec))["copy"] == ["analyze"]


def test_steps_that_test(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "trigger.py").write_text(
        "calls = []\n\ndef fail(message):\n    raise ValueError(message)\n\n"
        "def count(by):\n    calls.append(by)\n    return {'success': True, 'sum': sum(calls)}\n\n"
        "def check(ok):\n    return {'success': ok}\n"
    )
    text = """
workflow_id: test
priority: medium
steps:
- { step_id: raises, tool_type: python, tool_name: trigger.fail, inputs: { message: no }, expects_exception: true }
- { step_id: named, tool_type: python, tool_name: trigger.fail, inputs: { message: no }, expects_exception: ValueError }
- { step_id: often, tool_type: python, tool_name: trigger.count, inputs: { by: 2 }, repeat: 3 }
- { step_id: valid, tool_type: python, tool_name: trigger.check, inputs: { ok: true },
    validation: { success_field: success, required: true } }
- { step_id: goes_on, tool_type: python, tool_name: trigger.check, inputs: { ok: false },
    validation: { success_field: success, error_action: continue } }
- { step_id: last, tool_type: python, tool_name: trigger.check, inputs: { ok: false },
    validation: { required: true, error_action: fail } }
outputs: [that all of it was captured]
success_criteria: { all_steps_complete: true }
"""
    outputs, said, code = run(tmp_path, text)
    assert code == 1
    assert outputs["raises"] == outputs["named"] == {"exception": "ValueError", "message": "no"}
    assert [each["sum"] for each in outputs["often"]] == [2, 4, 6]
    assert outputs["valid"] == {"success": True}
    assert 'goes_on  its result is not valid: `success` is not true in {"success": false}  (on_error: continue)' in said
    assert "its result is not valid: `success` is false" in said
    unexpected = text.replace(
        "trigger.fail, inputs: { message: no }, expects_exception: true",
        "trigger.check, inputs: { ok: 1 }, expects_exception: true",
    )
    assert "it was expected to raise an exception, and did not" in run(tmp_path, unexpected)[1]


PROSE = """Here is the plan.

```json
{"steps": [
  {"step_id": "s1", "tool": "say", "task_for_node": "Say {hello}", "output_name": "text"},
  {"step_id": "s2", "tool": "say", "description": "Again", "input_from_step": "%s"}
]}
```
Good luck with {it}!
"""


@pytest.mark.parametrize("name", ["plan.md", "plan.txt", "plan", "plan.json"])
def test_a_plan_in_the_midst_of_prose(tmp_path: Path, name: str) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "say.yaml").write_text("type: executable\nexecutable: { command: echo, args: ['{prompt}'] }\n")
    for text in (PROSE % "s1", (PROSE % "s1").replace("```json\n", "").replace("```\n", "")):
        outputs, said, code = run(tmp_path, text, name=name)
        assert code == 0, said
        assert outputs == {"s1": "Say {hello}", "s2": "Again: Say {hello}"}
        assert "     Node task: Say {hello}" in said


def test_places_in_prose_are_those_of_the_file() -> None:
    loaded = read(PROSE % "s3", "plan.md")
    problem = next(problem for problem in loaded.problems if problem.code == "W805")
    assert (problem.place.line, problem.place.column) == (6, 79)
    broken = read((PROSE % "s1").replace('"say", "task', '"say" "task'), "plan.md")
    assert [problem.place.line for problem in broken.problems] == [5]


FORGE = """
workflow: { id: translation, name: Translation, description: d, version: 1.0.0 }
inputs:
- { name: content, type: string, required: true }
- { name: summarize, type: boolean, required: false, default: false }
outputs:
- { name: all, type: object, source_reference: steps.combine.output }
tasks:
- id: summarize
  role: summarizer
  depends_on: []
  condition: "inputs.summarize == true"
  candidates:
  - { tool_id: fails, priority: 1 }
  - { tool_id: shorten, version: 2.0.0, variant_tag: fast, priority: 2 }
  - { tool_id: unknown, priority: 3 }
  input_mapping: { text: "${inputs.content}" }
- id: translate
  role: translator
  depends_on: [summarize]
  parallel_group: 1
  candidates: [{ tool_id: shout }]
  input_mapping: { text: "${steps.summarize.output || inputs.content}" }
  batch_mode: true
- id: combine
  role: aggregator
  depends_on: [translate]
  candidates: [{ tool_id: shout }]
  input_mapping: { text: "${steps.translate.output}!" }
constraints: { max_latency_ms_p95: 800, max_cost_per_run: 0.01 }
tools:
  fails: { type: python, source_code: "raise SystemExit(3)" }
  shorten: { type: python, source_code: "def main(): return json.load(sys.stdin)['text'][:5]" }
  shout: { type: python, source_code: "def main(): return json.load(sys.stdin)['text'].upper()" }
"""


def test_tasks_of_the_forge(tmp_path: Path) -> None:
    outputs, said, code = run(tmp_path, FORGE, "content=hello world")
    assert code == 0, said
    assert outputs == {"all": "HELLO WORLD!"}
    assert "there is no tool `unknown`: this candidate is left out" in said
    assert "`max_latency_ms_p95` says nothing about one run" in said
    outputs, said, code = run(tmp_path, FORGE, "content=hello world", "summarize=true")
    assert (code, outputs) == (0, {"all": "HELLO!"})
    assert "`summarize/fallback` is tried in its place" in said
    assert workflow_of(FORGE).budget == Budget(cost=0.01)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("inputs.n > 2 AND NOT inputs.b", 'inputs["n"] > 2 && !inputs["b"]'),
        ("${steps.a.output.score >= 0.5 or inputs.s != 'x'}", 'steps["a"].output["score"] >= 0.5 || inputs["s"] != "x"'),
        ('(inputs.s == "y") && true', '( inputs["s"] == "y" ) && true'),
        ('${inputs.s} == "y" or ${ steps.a.output }', 'inputs["s"] == "y" || steps["a"].output'),
    ],
)
def test_conditions(condition: str, expected: str) -> None:
    text = f"""
workflow_id: w
inputs: {{ n: {{ type: integer }}, b: {{ type: boolean }}, s: {{ type: string }} }}
steps:
- {{ step_id: a, description: x }}
- step_id: b
  description: y
  depends_on: [a]
  condition: {json.dumps(condition)}
"""
    assert step_of(workflow_of(text), "b").condition == f"!failed() && ({expected})"
