"""Workflows of PML: what they say is what the workflow says."""

import json

import pytest
from pml_kit import SEEDS, layers, task

from weft.formats import Loaded, Outside, load
from weft.formats.emit import imported
from weft.model.workflow import Agent, Approve, Flow, Pool, Rate, Server, Step, Tool, Value, Workflow, asks_people

SERVERS = {"work": {"command": "work-server", "args": ["--x"]}}


def read(tasks: Value, **more: Value) -> Loaded:
    return load(json.dumps({"tasks": tasks, "mcpServers": SERVERS, **more}).encode(), "f.json")


def workflow(tasks: Value, **more: Value) -> Workflow:
    found = read(tasks, **more)
    assert [problem for problem in found.problems if problem.severity == "error"] == []
    assert found.format == "pml"
    assert found.workflow is not None
    return found.workflow


def steps(tasks: Value, **more: Value) -> dict[str, Step]:
    return {step.id: step for step in workflow(tasks, **more).steps}


# ---- what a file says ----


def test_the_defaults_of_a_task() -> None:
    found = workflow([task()])
    [step] = found.steps
    assert (step.action, step.timeout_s, step.on_error) == (Tool("work", "work"), 30.0, "isolate")
    assert found.servers == {"work": Server(command=("work-server", "--x"), rate=Rate(10, 1.0))}
    assert found.resources == {"work/work": Pool(rate=Rate(10, 1.0), burst=10)}
    assert step.resources == {"work/work": 1}
    assert (found.max_parallel, found.schedule, found.first_layer) == ("unlimited", "dataflow", 0)


@pytest.mark.parametrize(
    "tool", [{"tool": "work:x"}, {"toolName": "work:x"}, {"tool_name": "work:x"}, {"toolName": "x", "serverHint": "work"}]
)
@pytest.mark.parametrize("arguments", ["arguments", "parameters", "input", "inputs"])
@pytest.mark.parametrize("needs", ["dependsOn", "depends_on", "dependencies"])
def test_every_spelling_says_the_same(tool: dict[str, str], arguments: str, needs: str) -> None:
    found = steps([{"id": "first", **tool}, {"id": "a", **tool, arguments: {"n": 1}, needs: ["first"]}])
    assert (found["a"].action, found["a"].inputs, found["a"].needs) == (Tool("work", "x"), {"n": 1}, ("first",))


def test_wrapped_and_bare_are_the_same() -> None:
    tasks = [task(), task("b", dependsOn=["a"])]
    bare = load(json.dumps({"tasks": tasks, "mcpServers": SERVERS}).encode(), "f.json").workflow
    wrapped = load(json.dumps({"workflow": {"tasks": tasks}, "mcpServers": SERVERS}).encode(), "f.json").workflow
    inside = load(json.dumps({"workflow": {"tasks": tasks}, "mcpServers": SERVERS}).encode(), "f.json", format="pml").workflow
    assert bare == wrapped == inside


OUTPUT = "steps['n1'].output"
RESULT = f"default({OUTPUT}.result?, {OUTPUT})"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("$OUTPUT[n1]", f"${{{{ {OUTPUT} }}}}"),
        ("$OUTPUT[n1].a.b", f"${{{{ parsed({OUTPUT}).a.b }}}}"),
        ("$OUTPUT[n1].items[0].x", f"${{{{ parsed({OUTPUT}).items[0].x }}}}"),
        ("$OUTPUT[n1].a-b.$c", f'${{{{ parsed({OUTPUT})["a-b"]["$c"] }}}}'),
        ("$n1.result", f"${{{{ {RESULT} }}}}"),
        ("$n1.result.a", f"${{{{ parsed({RESULT}).a }}}}"),
        ({"type": "reference", "expression": "n1.items[0].x"}, f"${{{{ parsed({OUTPUT}).items[0].x }}}}"),
        ({"type": "reference", "expression": "`${n1.path}/x`"}, f"${{{{ parsed({OUTPUT}).path }}}}/x"),
        ({"type": "reference", "expression": "`a ${n1} b ${n1.c} ${{ d`"}, None),
        ("`${n1.path}/x`", f"${{{{ parsed({OUTPUT}).path }}}}/x"),
        (["`it's ${ n1 }`"], [f"it's ${{{{ {OUTPUT} }}}}"]),
        ("`${n1.path} ${HOME}`", None),
        ("`${HOME}/x`", "`${HOME}/x`"),
        ("`$n1`", "`$n1`"),
        ({"type": "literal", "value": "$OUTPUT[n1]"}, "$OUTPUT[n1]"),
        ({"type": "literal", "value": ["${{ 1 }}", {"a": "$n1.result"}]}, ["$${{ 1 }}", {"a": "$n1.result"}]),
        ({"type": "parameter", "parameterName": "day"}, "${{ inputs.day }}"),
        ({"type": "literal", "value": 1, "more": 2}, {"type": "literal", "value": 1, "more": 2}),
        ("$5.00", "$5.00"),
        ("$HOME.result", "$HOME.result"),
        ("${{ inputs.x }}", "$${{ inputs.x }}"),
        (["$n1.result", {"deep": "$OUTPUT[n1].a"}], [f"${{{{ {RESULT} }}}}", {"deep": f"${{{{ parsed({OUTPUT}).a }}}}"}]),
    ],
)
def test_references(written: Value, read: Value) -> None:
    tasks = [task("n1"), task(arguments={"v": written})]
    if read is None:
        assert [
            problem.code for problem in load(json.dumps({"tasks": tasks, "mcpServers": SERVERS}).encode(), "f.json").problems
        ] == ["W704"]
        return
    found = steps(tasks)["a"]
    assert found.inputs == {"v": read}
    assert found.needs == (("n1",) if "steps['n1']" in json.dumps(read) else ())


def test_a_reference_to_the_node_that_a_task_was_made_for() -> None:
    tasks = [
        task("task_n1"),
        task("task_n2", staticArguments={"v": {"type": "reference", "expression": "n1.x"}}),
        task(
            "c",
            variableBindings={"rows": "n2"},
            literalBindings={"limit": {"n": 5, "}": 1}},
            staticArguments={
                "a": {"type": "reference", "expression": "rows.y"},
                "b": {"type": "reference", "expression": "limit.n"},
            },
            arguments={"a2": 1},
        ),
    ]
    found = steps(tasks)
    assert found["task_n2"].inputs == {"v": "${{ parsed(steps['task_n1'].output).x }}"}
    assert found["c"].needs == ("task_n2",)
    assert found["c"].inputs["a2"] == 1
    from weft.model.template import resolve

    scope = {"steps": {"task_n2": {"output": {"y": 7}}}}
    assert resolve(found["c"].inputs, scope) == {"a": 7, "b": 5, "a2": 1}


def test_a_reference_in_a_longer_text_is_told_and_kept() -> None:
    kept = {"u": "it is ${n1.x}", "v": "it is $OUTPUT[n1].x"}
    found = read([task("n1"), task(arguments={**kept, "w": "${{ $n1.result }}"})])
    assert [(problem.code, problem.severity) for problem in found.problems] == [("W709", "warning")] * 3
    assert found.workflow is not None
    assert found.workflow.steps[1].inputs == {**kept, "w": "$${{ $n1.result }}"}


@pytest.mark.parametrize(
    ("condition", "output", "verdict"),
    [
        ("$n1.result.count > 1", {"count": 2}, True),
        ("$n1.result > 1", "5", True),
        ("n1.status === 'ok' && !(n1.n !== 3)", {"status": "ok", "n": 3}, True),
        ("$OUTPUT[n1].items.length == 2", {"items": [1, 2]}, True),
        ("n1.a === null || n1.b === undefined", {"a": None, "b": None}, True),
        ("n1.a === 'n1.b'", {"a": "n1.b"}, True),
        ("n1.done", {"done": False}, False),
    ],
)
def test_conditions(condition: str, output: Value, verdict: bool) -> None:
    from weft.model.evaluate import evaluate
    from weft.model.expression import parse

    found = steps([task("n1"), task(condition=condition)])["a"]
    assert found.needs == ("n1",)
    assert evaluate(parse(found.condition), {"steps": {"n1": {"output": output}}}) is verdict


def test_settings_of_the_run_and_of_a_task() -> None:
    found = workflow([task(priority=2, timeout=1500), task("b", priority=-1)], config={"max_concurrent": 3, "taskTimeout": 5000})
    assert found.max_parallel == 3
    assert [(step.priority, step.timeout_s) for step in found.steps] == [(-2, 1.5), (1, 5.0)]
    assert workflow([task()], per_layer_validation=True).gates == Approve()


def test_pure_tasks_are_safe_to_fail_and_never_ask() -> None:
    found = steps([task(metadata={"pure": True, "approvalMode": "hil"})])["a"]
    assert (found.on_error, found.gate) == ("continue", None)


def test_a_server_or_a_task_that_wants_approval_is_asked_about() -> None:
    asks = {"work": {**SERVERS["work"], "approvalMode": "hil"}}
    for found in (steps([task()], mcpServers=asks), steps([task(metadata={"approvalMode": "hil"})])):
        assert found["a"].gate == Approve(message="`work:work` wants approval: may it be called for `a`?", timeout_s=300.0)


def test_a_checkpoint_of_a_person() -> None:
    checkpoint = {
        "type": "HIL",
        "message": "Delete {count} of {kind} ({list.total}, {other}) ${{ x }}?",
        "risk_level": "high",
        "timeout": 60,
    }
    found = steps([task("list"), task(arguments={"kind": "users"}, dependsOn=["list"], checkpoint=checkpoint)])["a"]
    assert found.gate is not None
    from weft.model.template import resolve

    scope = {"steps": {"list": {"output": '{"count": 3, "total": 9}'}}}
    assert resolve(found.gate.message, scope) == "Delete 3 of users (9, {other}) ${{ x }}? (risk: high)"
    assert (found.gate.timeout_s, found.gate.on_timeout) == (60.0, "reject")
    assert steps([task(checkpoint={"type": "HIL"})])["a"].gate == Approve(message="run `a`?", timeout_s=300.0)
    prompted = steps([task(checkpoint={"type": "hil", "prompt": "Sure?", "timeout": 5})])["a"].gate
    assert prompted == Approve(message="Sure?", timeout_s=5.0)


def test_what_is_not_executable_is_skipped() -> None:
    """It is a part of another one, told for the record."""
    assert steps([task(metadata={"executable": False}, condition="1 > 0")])["a"].condition == "false"
    assert steps([task(metadata={"executable": True})])["a"].condition == ""


def test_null_is_as_good_as_nothing() -> None:
    nothing: dict[str, Value] = dict.fromkeys(("dependsOn", "arguments", "checkpoint", "condition", "timeout"), None)
    assert workflow([task(**nothing)], max_concurrent=None, per_layer_validation=None) == workflow([task()])


def test_a_checkpoint_of_an_agent() -> None:
    checkpoint = {"type": "AIL", "prompt": "Is {kind} safe?", "fallback": "reject"}
    tasks = [task("list"), task(arguments={"kind": "$list.result"}, condition="list.n > 1", checkpoint=checkpoint), task("b")]
    found = steps(tasks)
    ask, gate = found["a:ask"], found["a"].gate
    assert isinstance(ask.action, Agent)
    assert (ask.needs, ask.timeout_s, ask.on_error) == (("list",), 60.0, "continue")
    assert (ask.condition, found["a"].needs) == (found["a"].condition, ("list", "a:ask"))
    assert ask.inputs["others"] == [{"id": "b", "tool": "work:work", "dependsOn": []}]
    assert gate is not None
    assert (gate.answer, gate.on_timeout, gate.timeout_s) == ("${{ steps['a:ask'].output }}", "reject", None)
    approving = steps([task(checkpoint={**checkpoint, "fallback": "approve"})])["a"].gate
    assert approving is not None
    assert approving.on_timeout == "approve"
    assert not asks_people(workflow(tasks))


def test_servers_come_from_a_file_of_their_own() -> None:
    both = {"mcp-servers.json": b'{"mcpServers": {"a b": {"command": "x"}}}', ".mcp.json": b'{"mcpServers": {}}'}
    data = json.dumps({"tasks": [{"id": "a", "tool": "a b:x"}]}).encode()
    found = load(data, "f.json", outside=Outside(files=lambda names: both))
    assert found.problems == ()
    assert found.workflow is not None
    assert list(found.workflow.servers) == ["s_a_b"]
    wrong = load(data, "f.json", outside=Outside(files=lambda names: {".mcp.json": b"{"}))
    assert [problem.code for problem in wrong.problems] == ["W706", "W706"]
    assert "`.mcp.json` cannot be read" in wrong.problems[0].message


def test_variables_of_servers_are_secrets() -> None:
    servers = {
        "work": {"command": "w", "env": {"LOG": "debug", "TOKEN": "${TOKEN}"}},
        "web": {"url": "https://x.example/mcp", "headers": {"Authorization": "Bearer ${KEY}", "X-Key": "$KEY", "X-A": "b"}},
    }
    found = workflow([task(), {"id": "b", "tool": "web:y"}], mcpServers=servers)
    assert found.secrets == ("TOKEN", "KEY")
    assert found.servers["work"].secrets == ("TOKEN",)
    web = found.servers["web"]
    assert (web.bearer, web.secret_headers, web.headers) == ("KEY", {"X-Key": "KEY"}, {"X-A": "b"})


def test_without_a_map_a_file_can_be_looked_at() -> None:
    found = load((SEEDS / "merge.json").read_bytes(), "merge.json")
    assert [(problem.code, problem.severity) for problem in found.problems] == [("W707", "warning")]
    assert found.workflow is not None
    assert layers(found.workflow) == [["read_a", "read_b", "read_c"], ["merge"]]


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ({"tasks": [{"id": "a", "toolName": "x"}]}, "pml"),
        ({"workflow": {"tasks": [{"id": "a", "type": "code_execution"}]}}, "pml"),
        ({"workflow": {"id": "w"}, "tasks": [{"id": "a", "tool": "t", "candidates": []}]}, "evolver"),
        ({"workflow": {"tasks": [{"id": "a", "runtimeInSeconds": 1}]}}, "wfformat"),
        ({"steps": {"a": {"run": "x"}}, "tasks": [{"id": "a", "tool": "x"}]}, "native"),
    ],
)
def test_the_content_tells_the_format(value: Value, form: str) -> None:
    assert load(json.dumps(value).encode(), "f.json").format == form


# ---- templates ----

TEMPLATES = """\
workflows:
  - { name: mail, steps: ["files:read", "mail:send"] }
  - { name: fan, edges: [["files:read", "a:x"], ["files:read", "a:y"], ["a:x", "a:z"], ["a:y", "a:z"]] }
"""


def test_templates_become_workflows() -> None:
    found = load(TEMPLATES.encode(), "t.yaml")
    assert found.format == "pml"
    assert found.workflow is not None
    mail, fan = (step.action.workflow for step in found.workflow.steps if isinstance(step.action, Flow))
    assert layers(mail) == [["files_read"], ["mail_send"]]
    assert layers(fan) == [["files_read"], ["a_x", "a_y"], ["a_z"]]
    one = load(b"workflows: [{ name: mail, steps: ['files:read', 'files:read'] }]", "t.yaml").workflow
    assert one is not None
    assert [(step.id, step.needs) for step in one.steps] == [("files_read", ()), ("files_read_2", ("files_read",))]
    text = imported(found, "t.yaml")
    assert "tool: files/read" in text
    assert load(text.encode(), "native.yaml").problems == ()
