"""Steps of Code Evolver files: what they run, what follows a failure, and values that want to be more than data."""

import json
from pathlib import Path
from typing import Any

import pytest
from evolver_kit import SAY, codes, model_server, portable, program, read, run, step_of, workflow_of

from weft.formats.emit import imported
from weft.model.workflow import Agent, Flow, Input, Python, Retry

# ---- what a step runs, and what follows ----


def test_a_failure_stops_the_run(tmp_path: Path) -> None:
    text = (
        SAY
        + "workflow_id: w\nsteps:\n- { step_id: a, code: 'raise ValueError(1)' }\n- { step_id: b, tool: say, description: x }\n"
    )
    outputs, said, code = run(tmp_path, text)
    assert (code, outputs) == (1, {"a": None, "b": None})
    assert "`a` stopped the run" in said
    assert 'File "<step>", line 1' in said
    assert "node_runtime" not in said


def test_retries_timeouts_and_priorities() -> None:
    text = (
        SAY
        + """
workflow_id: w
steps:
- { step_id: a, tool: say, description: x, retry_on_failure: true }
- { step_id: b, tool: say, description: x, retry_on_failure: true, max_retries: 1, timeout: 2.5, priority: HIGH }
- { step_id: c, tool: say, description: x, max_retries: 5, priority: 7 }
- { step_id: d, tool: slow, description: x, priority: BACKGROUND }
"""
    )
    text = text.replace("tools: {", "tools: { slow: { type: executable, command: x, timeout: 60, retry_on_failure: true },", 1)
    workflow = workflow_of(text)
    assert [step.retry.times for step in workflow.steps] == [3, 1, 0, 3]
    assert [step.timeout_s for step in workflow.steps] == [300, 2.5, 300, 60]
    assert [step.priority for step in workflow.steps] == [-50, -10, -7, -100]
    assert {step.on_error for step in workflow.steps} == {"stop"}


def test_a_tool_that_fails_is_retried_and_falls_back(tmp_path: Path) -> None:
    with model_server() as model:
        model.failures = 2
        spec = portable(model.url)
        spec["steps"] = [{"step_id": "a", "tool": "writer", "prompt_template": "x"}]
        spec["tools"]["writer"]["fallback_tool"] = "translator"
        del spec["inputs"], spec["outputs"]
        spec["steps"][0] |= {"retry_on_failure": True, "max_retries": 1}
        workflow = workflow_of(spec)
        assert (workflow.steps[0].fallback, workflow.steps[1].role) == ("a/fallback", "fallback")
        outputs, said, code = run(tmp_path, spec)
    assert (code, outputs) == (0, {"a": "[x]"}), said
    assert len(model.asked) == 3


def test_workflows_in_steps(tmp_path: Path) -> None:
    inner = {
        "workflow_id": "inner",
        "inputs": {"x": {"type": "integer", "required": True}},
        "outputs": {"twice": {"source_reference": "steps.a.output"}},
        "steps": [{"step_id": "a", "code": "result = 2 * inputs['x']", "input_mapping": {"x": "inputs.x"}}],
    }
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "inner.json").write_text(json.dumps(inner))
    spec = {
        "workflow_id": "outer",
        "inputs": {"n": {"type": "integer", "default": 3}},
        "steps": [
            {"step_id": "f", "type": "sub_workflow", "workflow_path": "flows/inner.json", "input_mapping": {"x": "inputs.n"}},
            {"step_id": "s", "type": "sub_workflow", "workflow_spec": inner, "input_mapping": {"x": "${steps.f.twice}"}},
        ],
        "outputs": {"n": "steps.s.twice"},
    }
    outputs, said, code = run(tmp_path, spec)
    assert (code, outputs) == (0, {"n": 12}), said
    steps: list[dict[str, Any]] = spec["steps"]  # type: ignore[assignment]
    steps[1]["input_mapping"] = {"y": 1}
    loaded = read(spec)
    assert [(problem.code, problem.place.line) for problem in loaded.problems if problem.severity == "error"] != []
    assert {"W806"} <= set(codes(loaded))


def test_tools_of_every_sort(tmp_path: Path) -> None:
    (tmp_path / "tools" / "more" / "node").mkdir(parents=True)
    (tmp_path / "tools" / "more" / "node" / "main.py").write_text(
        "import json, sys\ndef main():\n    given = json.load(sys.stdin)\n    print(json.dumps({'got': given}))\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    (tmp_path / "tools" / "more" / "node.yaml").write_text("type: workflow\nname: a node\n")
    (tmp_path / "tools" / "more" / "here.yaml").write_text(
        "type: executable\nexecutable: { command: sh, args: ['{tool_dir}/here.sh', '{x}'] }\n"
    )
    (tmp_path / "tools" / "more" / "here.sh").write_text('read -r given; echo "$1 $given"\n')
    (tmp_path / "tools" / "err.yaml").write_text(
        "type: executable\nexecutable: { command: sh, args: [-c, 'echo only here >&2'] }\n"
    )
    with model_server() as model:
        text = f"""
workflow_id: w
tools:
  get: {{ type: api, api_spec: {{ url: "{model.url}/rows/{{id}}" }} }}
  post:
    type: api
    api_spec: {{ url: "{model.url}/rows", method: POST, headers: {{ X-A: "{{id}}" }}, body: {{ row: "{{row}}" }} }}
  query: {{ type: api, api_spec: {{ base_url: "{model.url}", path: /find }} }}
steps:
- {{ step_id: node, tool: node, input_mapping: {{ a: [1] }} }}
- {{ step_id: here, tool: here, input_mapping: {{ x: "a b" }} }}
- {{ step_id: err, tool: err, description: d }}
- {{ step_id: get, tool: get, input_mapping: {{ id: "../x?y=1" }} }}
- {{ step_id: post, tool: post, input_mapping: {{ id: 1, row: {{ a: 2 }} }} }}
- {{ step_id: query, tool: query, input_mapping: {{ q: "a&b" }} }}
"""
        outputs, said, code = run(tmp_path, text)
    assert code == 0, said
    assert outputs == {
        "node": {"got": {"a": [1]}},
        "here": 'a b {"x": "a b"}',
        "err": "only here",
        "get": {"path": "/rows/..%2Fx%3Fy%3D1"},
        "post": {"path": "/rows", "body": {"row": {"a": 2}}},
        "query": {"path": "/find?q=a%26b"},
    }


def test_an_unknown_tool_is_an_error_that_says_where_it_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "nmt_translator.yaml").write_text("type: executable\nexecutable: { command: x }\n")
    _, said, code = run(tmp_path, "workflow_id: w\nsteps: [{ step_id: a, tool: nmt_transaltor, description: x }]\n")
    assert code == 2
    assert "there is no tool `nmt_transaltor`: neither in `tools` of the file nor in the folder `tools`" in said
    assert "did you mean `nmt_translator`?" in said


def test_definitions_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    for name, content in {"broken": "a: [", "number": "1", "custom": "type: custom", "wrong": "type: llm\nmodel: 1"}.items():
        (tmp_path / "tools" / f"{name}.yaml").write_text(content)
    (tmp_path / "tools" / "code.py").write_text("def main(:")
    (tmp_path / "tools" / "unused.py").write_text("def main(:")
    names = ("broken", "number", "custom", "wrong", "code")
    steps = "".join(f"- {{ step_id: {name}, tool: {name}, description: x }}\n" for name in names)
    loaded = read(f"workflow_id: w\nsteps:\n{steps}", str(tmp_path / "w.yaml"))
    assert [(problem.code, problem.place.line) for problem in loaded.problems] == [
        ("W808", 3),
        ("W808", 4),
        ("W808", 5),
        ("W802", 6),
        ("W810", 7),
    ]


def test_the_kinds_of_actions() -> None:
    text = "workflow_id: w\ninputs: [{ name: x, type: array, default: [] }]\nsteps:\n"
    text += "- { step_id: a, description: d }\n- { step_id: b, code: 'result = 1' }\n"
    workflow = workflow_of(text)
    assert isinstance(step_of(workflow, "a").action, Agent)
    assert isinstance(step_of(workflow, "b").action, Python)
    assert not any(isinstance(step.action, Flow) for step in workflow.steps)
    assert workflow.inputs == {"x": Input(type="list", default=[])}


# ---- hostile values ----

HOSTILE = [
    '"; touch X #',
    "$(touch X)",
    "`touch X`",
    "a\nb",
    "-n",
    "--help",
    "'",
    "{prompt}",
    "${{ x }}",
    "${inputs.v}",
    "é\u2028",
    "x" * 50_000,
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_arrive_as_data(tmp_path: Path, value: str) -> None:
    program(tmp_path, "args", "import json, sys\nprint(json.dumps({'argv': sys.argv[1:], 'stdin': json.load(sys.stdin)}))")
    text = """
workflow_id: w
inputs: { v: { type: string } }
tools:
  args: { type: executable, command: args, args: ["{v}", "a {v} b", "{prompt}"] }
  node:
    type: python
    source_code: "from node_runtime import call_tool\\ndef main(): return json.loads(call_tool('args', inputs['v']))"
steps:
- { step_id: code, code: "result = inputs['v']", input_mapping: { v: inputs.v } }
- { step_id: args, tool: args, input_mapping: { v: "${inputs.v}" }, prompt_template: "{v}" }
- { step_id: node, tool: node, input_mapping: { v: "{v}" } }
"""
    outputs, said, code = run(tmp_path, text, f"v={value}")
    assert code == 0, said
    assert outputs["code"] == value
    assert outputs["args"]["argv"] == [value, f"a {value} b", value]
    assert outputs["args"]["stdin"]["v"] == value
    assert outputs["node"]["argv"][2] == value
    assert not (tmp_path / "X").exists()


@pytest.mark.parametrize(
    ("made", "limit"), [("'x' * 10_000_000", "102,400 bytes fit into one"), ("'a' + chr(0)", "holds a NUL character")]
)
def test_what_no_argument_can_carry_is_refused_with_the_cure(tmp_path: Path, made: str, limit: str) -> None:
    text = f"""
workflow_id: w
tools:
  touch: {{ type: executable, command: touch, args: [ran, "{{v}}"] }}
  size: {{ type: executable, command: wc, args: [-c] }}
steps:
- {{ step_id: a, code: "result = {made}" }}
- {{ step_id: size, tool: size, input_mapping: {{ v: steps.a.output }} }}
- {{ step_id: b, tool: touch, input_mapping: {{ v: steps.a.output }}, depends_on: [size] }}
"""
    outputs, said, code = run(tmp_path, text)
    assert code == 1
    assert int(outputs["size"]) > 5
    assert "argument 2 of the tool `touch`" in said
    assert limit in said
    assert "let the program read its inputs from stdin" in said
    assert not (tmp_path / "ran").exists()


def test_a_name_stands_for_the_last_output_of_it_before_the_step(tmp_path: Path) -> None:
    steps = [{"step_id": id_, "tool": "say", "prompt_template": f"{id_} {{text}}", "output_name": "text"} for id_ in "abc"]
    steps[0]["prompt_template"] = "a"
    steps.append({"step_id": "d", "tool": "say", "prompt_template": "{a.text} {a.output} {a} ${b.text}"})
    tools = {"say": {"type": "executable", "command": "echo", "args": ["{prompt}"]}}
    outputs, said, _ = run(tmp_path, {"workflow_id": "w", "tools": tools, "steps": steps})
    assert outputs == {"a": "a", "b": "b a", "c": "c b a", "d": "a a a b a"}, said


def test_several_steps_to_get_input_from(tmp_path: Path) -> None:
    text = SAY + "steps:\n- { step_id: a, tool: say, description: x }\n- { step_id: b, tool: say, description: y }\n"
    text += "- { step_id: c, tool: say, task_for_node: Join, input_from_step: [a, b] }\n"
    text += "- { step_id: d, tool: say, task_for_node: Tell, input_from_step: [a] }\n"
    outputs, said, _ = run(tmp_path, text)
    assert outputs == {"a": "x", "b": "y", "c": "Join\n\na: x\n\nb: y", "d": "Tell: x"}, said


def test_what_has_no_effect_is_told() -> None:
    text = (
        SAY
        + """
workflow_id: w
optimization: { strategy: balanced }
outputs: { kept: steps.b.output, lost: { type: string } }
steps:
- { step_id: a, tool: say, code: result = 1, workflow_path: none.json }
- { step_id: b, tool: say, type: llm_call, prompt_template: x }
- { step_id: c, tool: say, type: existing_tool, prompt_template: x }
"""
    )
    loaded = read(text)
    assert [(problem.code, problem.message) for problem in loaded.problems] == [
        ("W812", "`optimization` says nothing about one run"),
        ("W812", "the output `lost` does not say where it comes from: it is left out"),
        ("W812", "`tool` is not used: the step has `code`"),
        ("W812", "`workflow_path` is not used: the step has `code`"),
        ("W812", "the step says `llm_call`, and the tool `say` is of the type `executable`: that counts"),
    ]


def test_what_is_imported_has_names_of_ours_and_does_the_same(tmp_path: Path) -> None:
    say = {"type": "executable", "command": "echo", "args": ["{prompt}"]}
    tools = {"say": say, "fails": {"type": "executable", "command": "false", "fallback_tool": "say"}}
    inner = [
        {"step_id": "1st", "tool": "fails", "description": "x"},
        {"step_id": "2nd", "tool": "say", "prompt_template": "${steps.1st.output}y"},
    ]
    steps = [
        {"step_id": "1st", "type": "sub_workflow", "workflow_spec": {"steps": inner}},
        {
            "step_id": "c",
            "code": "steps = {'1st': 2}; result = [inputs, steps['1st']]",
            "input": {"x": "${steps.1st.output.2nd}"},
        },
    ]
    file = {"workflow_id": "w", "tools": tools, "steps": steps}
    expected = [{"x": "xy"}, 2]
    outputs, said, _ = run(tmp_path, file)
    assert outputs == {"1st": {"1st": "x", "2nd": "xy"}, "c": expected}, said
    text = imported(read(file), "w.json")
    assert "# `1st/1st/fallback` is called `s_1st_fallback` here" in text
    assert run(tmp_path, text, name="w.weft.yaml")[0] == {"s_1st": {"s_1st": "x", "s_2nd": "xy"}, "c": expected}


def test_what_a_workflow_cannot_be_asked_is_told() -> None:
    inner = {"steps": [{"step_id": "b", "description": "x"}]}
    step = {"step_id": "a", "workflow_spec": inner, "timeout": 5, "retry_on_failure": True, "priority": "HIGH"}
    loaded = read({"workflow_id": "w", "steps": [{**step, "validation": {"error_action": "continue"}}]})
    assert [problem.message.split()[0] for problem in loaded.problems] == ["`timeout`", "`retry_on_failure`", "`priority`"]
    assert loaded.workflow
    made = loaded.workflow.steps[0]
    assert (made.retry, made.priority, made.on_error) == (Retry(), 0, "continue")


def test_an_address_holds_what_is_meant_for_it(tmp_path: Path) -> None:
    with model_server() as model:
        spec = {"url": f"{model.url}/x", "headers": {"X-Key": "{key}"}}
        tools = {"ask": {"type": "api", "api_spec": spec}}
        step = {"step_id": "a", "tool": "ask", "input_mapping": {"q": "", "key": "inputs.key"}}
        inputs = {"key": {"type": "string"}}
        file = {"workflow_id": "w", "inputs": inputs, "tools": tools, "steps": [step]}
        assert run(tmp_path, file, "key=k")[0] == {"a": {"path": "/x?q="}}
        _, said, _ = run(tmp_path, file, "key=a\nb")
    assert "the header `X-Key` of the tool `ask` cannot hold this value" in said
