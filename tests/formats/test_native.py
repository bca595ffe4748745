"""The native format: a good file gives the workflow that it says. (What is wrong with bad ones: test_catalogue.py.)"""

from typing import Any

import msgspec
import pytest

from weft.formats import Loaded, load
from weft.model.workflow import Argv, Input, Pool, Python, Rate, Retry, Server, Shell, Sleep, Step, Tool, Workflow


def loaded(text: str, name: str = "f.weft.yaml") -> Loaded:
    return load(text.encode(), name)


def workflow(text: str, name: str = "f.weft.yaml") -> Workflow:
    found = loaded(text, name)
    assert found.problems == ()
    assert found.format == "native"
    assert found.workflow is not None
    return found.workflow


def steps(text: str) -> dict[str, Step]:
    return {step.id: step for step in workflow(text).steps}


def told(text: str) -> list[tuple[str, str]]:
    return [(problem.code, f"{problem.place.line}:{problem.place.column}") for problem in loaded(text).problems]


WHOLE = """\
name: nightly
description: Counts rows.
inputs:
  day: { type: string, default: "2026-01-31", description: The day., choices: ["2026-01-31", "2026-02-01"] }
  limit: { type: integer }
  note: { default: null }
outputs: { rows: "${{ steps.count.output.rows }}", all: [1, "${{ run.id }}"] }
secrets: [TOKEN, TOKEN]
env: { DAY: "${{ inputs.day }}", RUN: "${{ run.name }}" }
resources: { database: 2, memory: 8GiB, api: { slots: 3 } }
defaults: { timeout: 10m, retry: { times: 1, delay: 2m }, on_error: continue, shell: zsh, cwd: build, output: lines }
max_parallel: 4
schedule: layers
durability: process
steps:
  fetch:
    run: |
      echo "$day" '$${{ literal }}'
    with: { day: "${{ inputs.day }}" }
    env: { LANG: C }
    secrets: [TOKEN]
    resources: { database: 1, memory: 512MiB }
    title: Fetch the $${{ rows }}
    description: All of them.
  count:
    python: |
      def run(day, rows=()):
          return {"rows": len(rows), "text": "$${{ x }}"}
    with: { day: "${{ inputs.day }}", rows: "${{ steps.fetch.output }}" }
    if: ${{ steps.fetch.status == 'succeeded' }}
    needs: [fetch, wait]
    timeout: 90
    retry: 3
    priority: -5
    expect: 1h30m
    on_error: stop
  show:
    run: [echo, "--rows", "${{ steps.count.output.rows }}", ""]
    if: "  failed() || steps.wait.status == 'x'  "
    depends_on: count
    cwd: .
  check:
    python: package.module:Class.method
    dependsOn: fetch
    if: false
  wait:
    sleep: 250ms
    retry: { times: 2, factor: 1.5, max_delay: 3m, jitter: false, when: [timeout, exit 22, KeyError], max_elapsed: 1d }
  script:
    run: print(1)
    shell: [python3, -c]
    output: text
    depends: []
    if: true
"""


RETRY = Retry(times=1, delay_s=120.0, max_delay_s=120.0)
COMMON: dict[str, Any] = {"on_error": "continue", "cwd": "build", "timeout_s": 600.0, "retry": RETRY}
EXPECTED = Workflow(
    name="nightly",
    description="Counts rows.",
    inputs={
        "day": Input(
            type="string", default="2026-01-31", description="The day.", choices=("2026-01-31", "2026-02-01"), required=False
        ),
        "limit": Input(type="integer", required=True),
        "note": Input(),
    },
    outputs={"rows": "${{ steps.count.output.rows }}", "all": [1, "${{ run.id }}"]},
    secrets=("TOKEN",),
    env={"DAY": "${{ inputs.day }}", "RUN": "${{ run.name }}"},
    resources={"database": Pool(slots=2), "memory": Pool(slots=8 << 30), "api": Pool(slots=3)},
    max_parallel=4,
    schedule="layers",
    durability="process",
    steps=(
        Step(
            id="fetch",
            action=Shell(script="echo \"$day\" '${{ literal }}'\n", shell=("zsh", "-c")),
            inputs={"day": "${{ inputs.day }}"},
            env={"LANG": "C"},
            secrets=("TOKEN",),
            resources={"database": 1, "memory": 512 << 20},
            title="Fetch the ${{ rows }}",
            output="lines",
            **COMMON,
        ),
        Step(
            id="count",
            action=Python(code='def run(day, rows=()):\n    return {"rows": len(rows), "text": "${{ x }}"}\n'),
            inputs={"day": "${{ inputs.day }}", "rows": "${{ steps.fetch.output }}"},
            condition="steps.fetch.status == 'succeeded'",
            needs=("fetch", "wait"),
            timeout_s=90.0,
            retry=Retry(times=3),
            priority=-5,
            expect_s=5400.0,
            on_error="stop",
            output="json",
            cwd="build",
        ),
        Step(
            id="show",
            action=Argv(argv=("echo", "--rows", "${{ steps.count.output.rows }}", "")),
            condition="failed() || steps.wait.status == 'x'",
            needs=("count", "wait"),
            output="lines",
            **{**COMMON, "cwd": "."},
        ),
        Step(
            id="check",
            action=Python(target="package.module:Class.method"),
            needs=("fetch",),
            condition="false",
            output="json",
            **COMMON,
        ),
        Step(
            id="wait",
            action=Sleep(seconds=0.25),
            output="json",
            **{
                **COMMON,
                "retry": Retry(
                    times=2,
                    factor=1.5,
                    max_delay_s=180.0,
                    jitter=False,
                    when=("timeout", "exit 22", "KeyError"),
                    max_elapsed_s=86400.0,
                ),
            },
        ),
        Step(
            id="script",
            action=Shell(script="print(1)", shell=("python3", "-c")),
            output="text",
            condition="true",
            **COMMON,
        ),
    ),
)


def test_a_whole_file() -> None:
    assert workflow(WHOLE) == EXPECTED


def test_it_survives_the_journal() -> None:
    found = workflow(WHOLE)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Workflow) == found


def test_json_and_yaml_say_the_same() -> None:
    as_json = '{"steps": {"a": {"run": "echo é"}, "b": {"run": ["x"], "needs": "a", "timeout": 5}}}'
    as_yaml = "steps:\n  a:\n    run: echo é\n  b:\n    run: [x]\n    needs: a\n    timeout: 5\n"
    assert workflow(as_json, "f.json") == workflow(as_yaml) == workflow(as_json, "f.yaml") == workflow(as_json, "f")


def test_the_smallest_file() -> None:
    found = workflow("steps: {a: {run: echo hi}, b: {run: echo ho, needs: a}}", "some/folder/small.weft.yaml")
    first = Step(id="a", action=Shell(script="echo hi"))
    assert found == Workflow(name="small", steps=(first, Step(id="b", action=Shell(script="echo ho"), needs=("a",))))


def test_a_name_for_a_file_without_one() -> None:
    assert workflow("steps: {a: {sleep: 1}}", ".yaml").name == "workflow"


def test_steps_as_a_list() -> None:
    listed = "steps:\n- {id: b, run: x, needs: [a]}\n- id: a\n  run: y\n"
    assert workflow(listed) == workflow("steps:\n  b: {run: x, needs: [a]}\n  a: {run: y}\n")
    places = loaded(listed).places
    assert [(places(id_).line, places(id_).column) for id_ in "ab"] == [(3, 3), (2, 3)]


def test_places_of_steps() -> None:
    found = loaded("steps:\n  a:\n    run: x\n  b: &b { run: y }\n")
    assert [(found.places(id_).line, found.places(id_).column) for id_ in "ab"] == [(3, 5), (4, 6)]


def test_needs_are_written_then_inferred_without_repeats() -> None:
    found = steps(
        """
steps:
  a: { run: x }
  b: { run: x }
  c: { run: x }
  d: { run: x }
  e:
    run: [x, "${{ steps.d.output }}", "${{ steps.b.output }}"]
    with: { y: { z: ["${{ steps.c.error }}"] } }
    env: { A: "${{ steps.a.output }} ${{ default(steps.b.output.x, 1) }}" }
    needs: [b, b]
    if: steps.a.output.x? == 1
"""
    )
    assert found["e"].needs == ("b", "a", "d", "c")


@pytest.mark.parametrize(("text", "value"), [("0", "auto"), ("auto", "auto"), ("unlimited", "unlimited"), ("3", 3)])
def test_max_parallel(text: str, value: object) -> None:
    assert workflow(f"max_parallel: {text}\nsteps: {{a: {{sleep: 1}}}}").max_parallel == value


@pytest.mark.parametrize(
    ("shell", "argv"), [("zsh", ("zsh", "-c")), ("zsh -eu -c", ("zsh", "-eu", "-c")), ("[perl, -e]", ("perl", "-e"))]
)
def test_shell(shell: str, argv: tuple[str, ...]) -> None:
    action = steps(f"steps: {{a: {{run: x, shell: {shell}}}}}")["a"].action
    assert isinstance(action, Shell)
    assert action.shell == argv


@pytest.mark.parametrize(
    "code",
    [
        "run = print",
        "from os import walk as run",
        "from os.path import *",
        "if True:\n    def run(): pass",
        "async def run(): pass",
        "class run: pass",
        "try:\n    import run\nexcept ImportError:\n    pass",
        "run: object = 1\nx = '\\d'",  # no warning about the escape either
    ],
)
def test_python_that_defines_run(code: str) -> None:
    assert told(msgspec.json.encode({"steps": {"a": {"python": code}}}).decode()) == []


@pytest.mark.parametrize(
    "code", ["print(1)", "def main(): run()", "import subprocess\nsubprocess.run(['x'])", "x.run = 1", "# run"]
)
def test_python_that_does_not(code: str) -> None:
    assert [code for code, _ in told(msgspec.json.encode({"steps": {"a": {"python": code}}}).decode())] == ["W212"]


@pytest.mark.parametrize(
    ("signature", "told_of"),
    [
        ("def run(day, n=1):", []),
        ("async def run(*, day):", []),
        ("def run(day, *rest, **more):", []),
        ("def run(**more):", []),
        ("def run(inputs):", []),
        ("@decorated\ndef run():", []),
        ("def run(x, /):", []),
        ("if True:\n  def run(): pass\ndef run(x):", []),
        ("class run:", []),
        ("def run(day, x, *, y, z=1):", ["x", "y"]),
        ("def run():", ["day"]),
        ("def run(inputs, n=1):", ["inputs", "day"]),
    ],
)
def test_parameters_of_run(signature: str, told_of: list[str]) -> None:
    text = msgspec.json.encode({"steps": {"a": {"python": f"{signature}\n  pass", "with": {"day": 1}}}})
    problems = load(text, "f.json").problems
    assert [problem.code for problem in problems] == ["W215"] * len(told_of)
    assert all(f"`{name}`" in problem.message for problem, name in zip(problems, told_of, strict=True))


@pytest.mark.parametrize("code", ["-" * 100_000 + "1", "a." * 100_000 + "b", "(" * 1000])
def test_python_that_is_nested_too_deeply(code: str) -> None:
    assert [code for code, _ in told(msgspec.json.encode({"steps": {"a": {"python": code}}}).decode())] == ["W211"]


def test_a_thousand_problems_are_enough() -> None:
    text = "steps:\n" + "".join(f"  s{number}:\n    run: echo\n    needs: t{number}\n" for number in range(1500))
    problems = loaded(text).problems
    assert [problem.code for problem in problems] == ["W301"] * 1000 + ["W199"]
    assert problems[-1].message == "500 more problems are not listed"
    assert [problem.place.line for problem in problems[:-1]] == list(range(4, 3004, 3))


def test_a_long_cycle_is_cut() -> None:
    n = 5000
    text = "steps:\n" + "".join(f"  s{number}: {{ run: x, needs: s{(number + 1) % n} }}\n" for number in range(n))
    (problem,) = loaded(text).problems
    assert problem.code == "W303"
    assert problem.message.startswith("these steps wait for each other: `s0 → s1 → ")
    assert problem.message.endswith(f"→ … → {' → '.join(f's{number}' for number in range(n - 10, n))} → s0`")
    assert len(problem.seconds) == 19


def test_ten_cycles_are_enough() -> None:
    text = "steps:\n" + "".join(f"  a{k}: {{ run: x, needs: b{k} }}\n  b{k}: {{ run: x, needs: a{k} }}\n" for k in range(12))
    assert told(text) == [("W303", f"{2 * k + 2}:24") for k in range(10)]


def test_formats_can_be_named() -> None:
    assert [problem.code for problem in load(b"nodes: []\n", "f.yaml", format="native").problems] == ["W201", "W203"]
    assert [problem.code for problem in load(b"[]", "f.yaml", format="native").problems] == ["W202"]
    assert load(b"steps: {a: {sleep: 1}}\n", "f.yaml", format="native").workflow is not None
    for text in (b"[]", b"steps: {a: {sleep: 1}}", b"workflow: {}", b"workflow: []"):
        found = load(text, "f.yaml", format="wfformat")
        assert [problem.code for problem in found.problems] == ["W401"]
        assert found.places("a").line == 0


def test_a_whole_float_is_a_whole_number() -> None:
    assert steps("steps: {a: {sleep: 1, priority: 2.0, retry: 1e1}}")["a"].priority == 2


def test_twenty_expressions_in_one_piece_of_code_are_enough() -> None:
    assert len(told("steps: { a: { run: '" + "${{ inputs.x }} " * 30 + "' } }")) == 20


TOOLS = """\
secrets: [TOKEN]
servers:
  files: { command: [mcp-server-files, ./data], env: { LOG: debug }, secrets: [TOKEN], rate: 10/s }
  web: { url: "https://tools.example/mcp", headers: { X-Tenant: acme }, bearer: TOKEN, secret_headers: { X-Key: TOKEN } }
steps:
  read: { tool: files/read_file, with: { path: a.txt } }
  send: { tool: web/mail.send, with: { text: "${{ steps.read.output }}" } }
  part: { flow: { steps: { read: { tool: files/list } } } }
"""


def test_tools_and_their_servers() -> None:
    found = workflow(TOOLS)
    files = Server(
        command=("mcp-server-files", "./data"), env={"LOG": "debug"}, secrets=("TOKEN",), rate=Rate(starts=10, window_s=1.0)
    )
    web = Server(url="https://tools.example/mcp", headers={"X-Tenant": "acme"}, bearer="TOKEN", secret_headers={"X-Key": "TOKEN"})
    assert found.servers == {"files": files, "web": web}
    read, send, _ = found.steps
    assert (read.action, read.inputs, read.output) == (Tool("files", "read_file"), {"path": "a.txt"}, "json")
    assert (send.action, send.needs) == (Tool("web", "mail.send"), ("read",))


def test_the_rate_of_a_server_is_a_pool_for_each_of_its_tools() -> None:
    found = workflow(TOOLS)
    rate = Pool(rate=Rate(starts=10, window_s=1.0), burst=10)
    assert found.resources == {"files/read_file": rate, "files/list": rate}
    assert [step.resources for step in found.steps] == [{"files/read_file": 1}, {}, {}]


def test_a_server_of_a_sub_workflow_is_one_of_the_run() -> None:
    found = workflow("steps: { a: { flow: { servers: { n: { command: [n] } }, steps: { x: { tool: n/list } } } } }")
    assert found.servers == {"n": Server(command=("n",))}


@pytest.mark.parametrize(
    ("argv", "warned"),
    [
        ("[bash, -euo, pipefail, -c, 'echo ${{ inputs.v }}']", True),
        ("[bash, -c, 'echo \"$1\"', sh, '${{ inputs.v }}']", False),
        ("[python3, -c, print(1), '${{ inputs.v }}']", False),
        ("[env, /usr/bin/python3.12, -Ic, 'print(${{ inputs.v }})']", True),
        ("[node, -e, '${{ inputs.v }}']", True),
        ("[grep, -c, '${{ inputs.v }}', x]", False),
        ("[bash, '${{ inputs.v }}', -c]", False),
    ],
)
def test_a_value_within_program_text_is_told(argv: str, warned: bool) -> None:
    found = loaded(f"inputs: {{ v: {{ default: x }} }}\nsteps: {{ a: {{ run: {argv} }} }}")
    assert [problem.code for problem in found.problems] == ["W216"] * warned
    assert found.workflow is not None
