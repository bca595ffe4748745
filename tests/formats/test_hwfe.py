"""Workflow files of the Hybrid Workflow Engine: read, planned and run as their documentation says."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from weft.formats import Loaded, Outside, load
from weft.formats.hwfe_config import SETTINGS, Config, read_config
from weft.host.programs import evaluate_lua
from weft.model.graph import Graph
from weft.model.workflow import Workflow

DEMO = Path(__file__).parent / "seeds" / "hwfe" / "parallel_demo.lua"
WEFT = Path(sys.executable).with_name("weft")


def read(text: str, name: str = "w.lua", **outside: Any) -> Loaded:
    return load(text.encode(), name, outside=Outside(evaluate_lua=evaluate_lua, **outside))


def workflow_of(text: str, **outside: Any) -> Workflow:
    loaded = read(text, **outside)
    assert loaded.workflow is not None, loaded.problems
    return loaded.workflow


def run(folder: Path, text: str, *arguments: str, **variables: str) -> tuple[dict[str, Any], str, int]:
    """The outputs of the steps, what was said, and the exit code."""
    (folder / "w.lua").write_text(text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HWFE_")} | variables
    command = [str(WEFT), "run", "w.lua", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)
    return json.loads(done.stdout or "{}"), done.stderr, done.returncode


def steps(body: str) -> str:
    return f'workflow = {{ name = "w", description = "d", steps = {{\n{body}\n}} }}\n'


def test_the_demo_is_read_as_printed() -> None:
    workflow = workflow_of(DEMO.read_text())
    assert (workflow.name, workflow.description) == ("parallel_demo", "Demonstrates parallel execution")
    assert [step.id for step in workflow.steps] == ["init", "task_a", "task_b", "task_c", "task_d", "merge"]
    assert [len(layer) for layer in Graph(workflow.steps).layers()] == [1, 4, 1]
    assert {(step.on_error, step.drain) for step in workflow.steps} == {("stop", True)}


def test_levels_are_counted_from_one(tmp_path: Path) -> None:
    command = [str(WEFT), "plan", str(DEMO)]
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False).stdout
    assert "layer 1        init" in said
    assert "widest layer   layer 2 with 4 steps" in said


def test_it_is_known_by_its_content_too() -> None:
    assert read(DEMO.read_text(), "demo").format == "hwfe"
    assert read("\ufeff" + DEMO.read_text(), "demo.lua").workflow is not None
    assert read("#!/usr/bin/env lua\n" + DEMO.read_text(), "demo.lua").workflow is not None
    assert read("steps: { a: { run: 'workflow = x' } }", "x").format == "native"


def test_the_mode_comes_from_the_configuration() -> None:
    text = DEMO.read_text()
    assert (workflow_of(text).schedule, workflow_of(text).banner) == ("sequential", ("Execution mode: sequential",))
    toml = b'[execution]\nmode = "parallel"\nmax_parallel_steps = 8\nenable_step_parallelism = false\n'
    parallel = workflow_of(text, files=lambda names: {"config.toml": toml})
    assert (parallel.schedule, parallel.max_parallel, parallel.banner) == ("dataflow", 8, ("Execution mode: parallel",))
    variables = {"HWFE_EXECUTION_MODE": "parallel"}
    assert workflow_of(text, variables=variables).max_parallel == 4
    assert workflow_of(text, variables=variables | {"HWFE_MAX_PARALLEL_STEPS": "0"}).max_parallel == "auto"


def settings(config: Config) -> dict[str, tuple[Any, str]]:
    return {name: (setting.value, setting.origin) for name, setting in config.settings.items() if setting.origin != "default"}


def test_where_each_setting_comes_from() -> None:
    files = {
        "config.yml": b"execution: { mode: parallel }\nserver: { port: 1 }\n",
        "config.yaml": b"execution: { mode: parallel }\n",
        "config.json": b'{"execution": {"mode": "parallel", "max_parallel_steps": 2}}',
        "config.toml": b"[execution]\nmax_parallel_steps = 9\n[runners.python]\nenabled = false\n",
        ".env": b"# mine\nexport HWFE_MAX_PARALLEL_STEPS='3'\nHWFE_ENABLE_PARALLELISM=true # yes\n\nOTHER=1\n",
    }
    assert settings(read_config(files, {"HWFE_EXECUTION_MODE": "sequential", "HWFE_WORKFLOW_EXTENSIONS": "lua, yml"})) == {
        "execution.mode": ("sequential", "HWFE_EXECUTION_MODE (environment)"),
        "execution.max_parallel_steps": (3, "HWFE_MAX_PARALLEL_STEPS (.env)"),
        "execution.enable_step_parallelism": (True, "HWFE_ENABLE_PARALLELISM (.env)"),
        "runners.python.enabled": (False, "config.toml"),
        "workflows.extensions": (["lua", "yml"], "HWFE_WORKFLOW_EXTENSIONS (environment)"),
    }
    del files[".env"], files["config.toml"]
    assert settings(read_config(files, {})) == {
        "execution.mode": ("parallel", "config.json"),
        "execution.max_parallel_steps": (2, "config.json"),
    }
    del files["config.json"]
    assert settings(read_config(files, {})) == {"execution.mode": ("parallel", "config.yaml")}
    del files["config.yaml"]
    assert settings(read_config(files, {}))["server.port"] == (1, "config.yml")


@pytest.mark.parametrize(("name", "known"), SETTINGS.items())
def test_each_documented_setting_can_be_given(name: str, known: Any) -> None:
    """By its variable, and in a file."""
    default = known.default
    other = {bool: "true" if default is False else "false", int: "7", list: "lua,yml", str: "parallel"}[type(default)]
    by_variable = read_config({}, {known.variable: other})
    assert by_variable.problems == ()
    value = by_variable[name]
    assert value != default
    *sections, key = name.split(".")
    inner: dict[str, Any] = {key: value}
    for section in reversed(sections):
        inner = {section: inner}
    assert settings(read_config({"config.json": json.dumps(inner).encode()}, {})) == {name: (value, "config.json")}


@pytest.mark.parametrize(
    ("files", "variables", "problem"),
    [
        ({"config.toml": b"[execution\n"}, {}, "config.toml: it cannot be read"),
        ({"config.json": b"[1]"}, {}, "config.json: it holds no sections"),
        ({"config.yaml": b"a: [\n"}, {}, "config.yaml: it cannot be read"),
        ({"config.toml": b"execution = 1\n"}, {}, "config.toml: the section `execution` is no mapping"),
        ({"config.toml": b"[runners]\npython = 1\n"}, {}, "config.toml: the section `runners.python` is no mapping"),
        ({"config.toml": b"[excution]\n"}, {}, "there is no section `excution`; did you mean `execution`?"),
        ({"config.toml": b"[execution]\nmodus = 1\n"}, {}, "`execution` has no `modus`"),
        ({"config.toml": b"[runners.shell]\nenable = 1\n"}, {}, "`runners.shell` has no `enable`; did you mean `enabled`?"),
        ({"config.toml": b'[execution]\nmode = "fast"\n'}, {}, "there is no mode `fast`"),
        ({"config.toml": b"[execution]\nmax_parallel_steps = -1\n"}, {}, "`max_parallel_steps` is `-1`"),
        ({"config.toml": b'[execution]\nmax_parallel_steps = "4"\n'}, {}, "`max_parallel_steps` is `4`, where a number"),
        ({"config.toml": b"[execution]\nmax_parallel_steps = true\n"}, {}, "`max_parallel_steps` is `True`"),
        ({"config.toml": b"[server]\nport = 65536\n"}, {}, "`port` is `65536`, where a number from 0 must be (up to 65535)"),
        ({"config.toml": b"[workflows]\nextensions = [1]\n"}, {}, "`extensions` is `[1]`, where a list of texts must be"),
        ({}, {"HWFE_MAX_PARALLEL_STEPS": "many"}, "`max_parallel_steps` is `many`"),
        ({}, {"HWFE_ENABLE_PARALLELISM": "yes"}, "`enable_step_parallelism` is `yes`"),
        ({}, {"HWFE_EXECUTION_MOD": "x"}, "nothing is called so; did you mean `HWFE_EXECUTION_MODE`?"),
        ({".env": b"what\n"}, {}, ".env: line 1 is no `NAME=value`"),
    ],
)
def test_what_is_wrong_with_a_configuration(files: dict[str, bytes], variables: dict[str, str], problem: str) -> None:
    config = read_config(files, variables)
    assert problem in config.problems[0]
    assert (config.execution.parallel, config.execution.max_parallel_steps) == (False, 4)
    loaded = read(steps('a = { code = "x" }'), files=lambda names: files, variables=variables)
    assert [warning.code for warning in loaded.problems] == ["W610"], "whoever runs a workflow is told"
    assert loaded.workflow is not None


def test_what_of_a_configuration_is_not_told_with_a_workflow() -> None:
    """The configuration of another program; and what it says of interpreters that are not used is told."""
    files = {"config.yaml": b"chat: { model: x }\nrunners: { shell: { interpreter: bash }, python: { interpreter: python3 } }\n"}
    assert read(steps('a = { code = "x" }'), files=lambda names: files).problems == ()
    (problem,) = read(steps('a = { code = "x" }'), variables={"HWFE_JS_INTERPRETER": "bun"}).problems
    assert "the interpreter `bun` is not used" in problem.message


def test_a_failed_shell_step_tells_what_it_wrote_and_the_line(tmp_path: Path) -> None:
    text = steps('a = { language = "sh", code = [[\n#!/bin/bash\necho fine\nif nonsense; then :; fi\nnonsense\n]] }')
    _, said, code = run(tmp_path, text)
    assert code == 1
    assert "exit 127" in said
    assert "step.sh: line 4: nonsense: command not found" in said


def test_python_and_the_shell_may_be_other_programs(tmp_path: Path) -> None:
    """A stand-in tells that it was called, and by it everything is as usual."""
    for name, real in (("py", sys.executable), ("dash", "/bin/sh")):
        (tmp_path / name).write_text(f'#!/bin/sh\necho >> {name}.called\nexec {real} "$@"\n')
        (tmp_path / name).chmod(0o755)
    text = steps(
        "a = { language = 'python', code = [==[\n"
        "import json\n"
        "print('said')\n"
        "def run(): return {1: json.dumps('\"$(touch X)\\n')}\n]==] },\n"
        "b = { language = 'sh', depends_on = {'a'}, code = 'run() { local n=1; echo $INPUT_A; parse_input a; }' },\n"
        "c = { language = 'python', depends_on = {'b'}, code = 'def run(i): return [i == inputs, i[\"b\"]]' },\n"
    )
    usual, said, code = run(tmp_path, text)
    assert code == 0, said
    named = {"HWFE_PYTHON_INTERPRETER": "./py", "HWFE_SHELL_INTERPRETER": "./dash"}
    assert run(tmp_path, text, **named)[0] == usual
    assert [len((tmp_path / f"{name}.called").read_text()) for name in ("py", "dash")] == [2, 1]
    failing = steps("a = { language = 'python', code = 'def run(): raise ValueError(1)' }")
    _, said, code = run(tmp_path, failing, **named)
    assert (code, "ValueError: 1" in said) == (1, True)


def test_a_disabled_language_is_refused() -> None:
    text = steps('a = { language = "sh", code = "x" }, b = { code = "x" }')
    (problem,) = read(text, variables={"HWFE_SHELL_ENABLED": "false"}).problems
    assert (problem.code, problem.message) == ("W606", "shell is disabled by HWFE_SHELL_ENABLED (environment)")
    assert read(text, variables={"HWFE_PYTHON_ENABLED": "false"}).problems == ()


def test_the_demo_runs_as_documented(tmp_path: Path) -> None:
    outputs, said, code = run(tmp_path, DEMO.read_text(), HWFE_EXECUTION_MODE="parallel")
    assert code == 0, said
    assert "Execution mode: parallel" in said
    assert "6 steps, at most 4 at once" in said
    assert outputs["init"] == "initialized"
    assert outputs["task_a"] == {"stdout": "Task A\nresult_a", "stderr": "", "exit_code": 0}
    assert (outputs["task_b"], outputs["task_c"], outputs["merge"]) == ("result_b", "result_c", "merged")


def test_without_a_configuration_one_step_runs_at_a_time(tmp_path: Path) -> None:
    outputs, said, code = run(tmp_path, DEMO.read_text())
    assert (code, outputs["merge"]) == (0, "merged")
    assert "Execution mode: sequential" in said
    assert "6 steps, one at a time" in said
    assert "at most 1 at once" in said


CONTRACTS = steps(
    """
  data = { code = [[ function run() return { list = {1, 2}, name = 'q"; touch X #', empty = {}, none = nil } end ]] },
  text = { code = [[ function run(...) return select("#", ...) .. " given" end ]] },
  old = { run = function(inputs)
    return "old " .. tostring(inputs)
  end },
  py = { language = "python", depends_on = {"data", "text"}, code = [[
import json
top = inputs["data"]["list"]
def helper():
    return json.dumps(top)
def run(given):
    return {"top": helper(), "given": sorted(given), "name": given["data"]["name"]}
]] },
  py_keys = { language = "python", code = "def run(): return {1: 'one', None: {True: []}}" },
  py_alone = { language = "python", code = "def run(): return (1, None)" },
  sh_object = { language = "bash", depends_on = {"data"}, code = [[
echo before
echo '{"broken": }'
echo '{"broken": NaN}'
echo "{\\"name\\": $(printf '%s' "$INPUT_DATA" | python3 -c 'import json, sys; print(json.dumps(json.load(sys.stdin)["name"]))')}"
echo '{"second": 1}'
]] },
  sh_compact = { language = "sh", depends_on = {"data"}, code = [[ parse_input data | grep -o '"list":.1,2.' ]] },
  sh_lines = { language = "sh", code = [[
printf '{\\n"a": 1\\n}\\n'
echo oops >&2
]] },
  sh_run = { language = "shell", depends_on = {"text"}, code = [[
run() { echo "it says: $(parse_input text)"; }
]] },
  js = { language = "node", depends_on = {"data"}, code = [[
const top = inputs.data.name;
function run(given) { return { top, list: given.data.list }; }
]] },
  js_module = { language = "js", code = "function run() { return 1 }; module.exports = { run }; exports.x = 1" },
  js_promise = { language = "js", code = "async function run() { return 'later' }" },
  js_number = { language = "js", code = "const run = () => 42" },
  js_nothing = { language = "javascript", code = "function run() {}" },
"""
)


def test_what_each_language_gets_and_gives(tmp_path: Path) -> None:
    outputs, said, code = run(tmp_path, CONTRACTS, HWFE_EXECUTION_MODE="parallel")
    assert code == 0, said
    hostile = 'q"; touch X #'
    assert outputs == {
        "data": {"empty": {}, "list": [1, 2], "name": hostile},
        "text": "0 given",
        "old": "old nil",
        "py": {"top": "[1, 2]", "given": ["data", "text"], "name": hostile},
        "py_keys": {"1": "one", "null": {"true": []}},
        "py_alone": [1, None],
        "sh_object": {"name": hostile},
        "sh_compact": {"stdout": '"list":[1,2]', "stderr": "", "exit_code": 0},
        "sh_lines": {"stdout": '{\n"a": 1\n}', "stderr": "oops", "exit_code": 0},
        "sh_run": {"stdout": "it says: 0 given", "stderr": "", "exit_code": 0},
        "js": {"top": hostile, "list": [1, 2]},
        "js_module": {"value": 1},
        "js_promise": {"value": "later"},
        "js_number": {"value": 42},
        "js_nothing": {},
    }
    assert not (tmp_path / "X").exists()


def test_web_assembly_reports_about_its_call(tmp_path: Path) -> None:
    functions = "".join(f'(func (export "f{n}") (result i32) (i32.const {n}))' for n in (0, 7, 11))
    (tmp_path / "m.wat").write_text(f"(module {functions})")
    outputs, said, code = run(
        tmp_path,
        steps(
            'a = { language = "wasm", module = "m.wat", func = "f0" },\n'
            'b = { language = "webassembly", module = "m.wat", ["function"] = "f7", depends_on = {"a"} }'
        ),
    )
    assert code == 0, said
    assert outputs["a"]["wasm_execution"] == {
        "module": "m.wat",
        "function": "f0",
        "return_code": 0,
        "status": "success",
        "input_count": 0,
    }
    assert outputs["a"]["input_summary"] == {}
    assert outputs["a"]["processed_data"]["success"] is True
    assert outputs["b"]["wasm_execution"]["return_code"] == 7
    assert outputs["b"]["wasm_execution"]["status"] == "error", "which is no failure up to 10"
    assert outputs["b"]["input_summary"] == {"a": "object[3]"}
    assert outputs["b"]["processed_data"]["warning"] is True
    _, said, code = run(tmp_path, steps('c = { language = "wasm", module = "m.wat", func = "f11" }'))
    assert (code, "`f11` of `m.wat` returned 11" in said) == (1, True)


FUNCTIONS = """
local function named(inputs) return "named" end -- end
workflow = { steps = {
  a = { run = function() return 1 end }, b = { run = function() if true then return 2 end end },
  -- c = { run = function() return "of a comment" end },
  c = { run = named },
  d = { depends_on = { "a" }, run = function(i)
    local s = "end" -- function
    for k = 1, 2 do while true do break end end
    repeat until s
    return { i.a, [[ function ]], (function() return 3 end)() }
  end },
} }
"""


def test_functions_of_the_file_are_run_as_they_stand_there(tmp_path: Path) -> None:
    outputs, said, code = run(tmp_path, FUNCTIONS)
    assert code == 0, said
    assert outputs == {"a": 1, "b": 2, "c": "named", "d": [1, " function ", 3]}


def test_what_a_wasm_function_returns_must_be_a_status(tmp_path: Path) -> None:
    (tmp_path / "m.wat").write_text('(module (func (export "f") (result f64) (f64.const 5)) (func (export "none")))')
    outputs, _, code = run(tmp_path, steps('a = { language = "wasm", module = "m.wat", func = "none" }'))
    assert (outputs["a"]["wasm_execution"]["return_code"], code) == (0, 0)
    _, said, code = run(tmp_path, steps('a = { language = "wasm", module = "m.wat", func = "f" }'))
    assert (code, "`f` of `m.wat` returned 5.0" in said) == (1, True)


def test_a_failure_ends_the_run_and_what_runs_may_end(tmp_path: Path) -> None:
    text = steps(
        'a = { language = "shell", code = "until [ -e failed ]; do sleep 0.01; done; touch ended" },\n'
        'b = { language = "shell", code = "touch failed; echo no >&2; exit 3" },\n'
        'c = { language = "shell", depends_on = {"b"}, code = "touch ran" }'
    )
    _, said, code = run(tmp_path, text, HWFE_EXECUTION_MODE="parallel")
    assert code == 1
    assert (tmp_path / "ended").exists()
    assert "exit 3" in said
    assert not (tmp_path / "ran").exists()


HOSTILE = ['"; touch X #', "$(touch X)", "`touch X`", "a\nb", "-n", "'", "é\u2028", "x" * 50_000]
HOSTILE += ['{"a": "\\\\"}', '"', "\x1b[0m\t\\n", "%s%b"]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_arrive_as_data(tmp_path: Path, value: str) -> None:
    text = steps(
        f"a = {{ language = 'python', code = [==[def run(): return {value!r}]==] }},\n"
        'b = { language = "shell", depends_on = {"a"}, code = [[ printf "%s" "$INPUT_A" >b; parse_input a >parsed ]] },\n'
        'c = { language = "python", depends_on = {"a"}, code = "def run(i): return i[\'a\']" },\n'
        'd = { language = "lua", depends_on = {"a"}, code = "function run(i) return i.a end" },\n'
        'e = { language = "js", depends_on = {"a"}, code = "function run(i) { return [i.a] }" }'
    )
    outputs, said, code = run(tmp_path, text)
    assert code == 0, said
    assert json.loads((tmp_path / "b").read_text()) == outputs["c"] == outputs["d"] == outputs["e"][0] == value
    assert (tmp_path / "parsed").read_text() == value + "\n"
    assert not (tmp_path / "X").exists()


def test_what_no_variable_can_carry_is_refused_with_the_cure(tmp_path: Path) -> None:
    text = steps(
        'a = { language = "python", code = "def run(): return \'x\' * 10_000_000" },\n'
        'b = { language = "shell", depends_on = {"a"}, code = "touch ran" }'
    )
    _, said, code = run(tmp_path, text)
    assert code == 1
    assert "INPUT_A is longer than" in said
    assert not (tmp_path / "ran").exists()


def test_without_lua_there_is_one_clear_error() -> None:
    (problem,) = load(DEMO.read_bytes(), "demo.lua").problems
    assert (problem.code, problem.hint) == ("W601", "pip install 'weft[lua]'")


def test_places_of_steps() -> None:
    text = steps('  first = { code = "x" },\n  ["second"] = { code = "x" }')
    loaded = read(text)
    assert [loaded.places(step).line for step in ("first", "second")] == [2, 3]


def test_four_tasks_that_sleep_do_so_at_once(tmp_path: Path) -> None:
    """How long that takes, benchmarks/hwfe.py measures."""
    text = DEMO.with_name("four_sleeps.lua").read_text()
    outputs, said, code = run(tmp_path, text, HWFE_EXECUTION_MODE="parallel", HWFE_MAX_PARALLEL_STEPS="4")
    assert (outputs["merge"], code) == ("merged", 0)
    assert "possible here, at most 4 at once" in said


def test_text_that_looks_like_a_key_is_none() -> None:
    """Code and comments are no part of the tables, and a value that is computed has the place of what is around it."""
    text = (
        "workflow = { steps = {\n"
        "  first = { code = [[\nsecond = 1\nthird = {\nfunction run() end ]] },\n"
        "  -- third = { is the last\n"
        '  second = { depends_on = { -- "no", {\n "nobody"}, code = "third = { second = 2" },\n'
        "  third = { code = 5, depends_on = second == 1 and {} or nil },\n"
        "} }\n"
        'workflow.steps.fourth = { language = "pyhton" .. "", code = "x" }\n'
    )
    loaded = read(text)
    assert [(problem.place.line, problem.place.column) for problem in loaded.problems] == [(8, 2), (9, 11), (11, 38)]
    assert [problem.place.length for problem in loaded.problems] == [8, 52, 8]


@pytest.mark.parametrize(
    ("body", "warning"),
    [
        ('a = { code = "x" } }, version = 1, x = {', "a workflow has no `version`"),
        ('a = { code = "x", run = function() end }', "the `run` of `a` has no effect: its `code` is run"),
        ('a = { code = "x", module = "m.wasm" }', "the `module` of `a` has no effect: that is for WebAssembly"),
        ('a = { language = "wasm", module = "m.wasm", code = "x" }', "the `code` of `a` has no effect"),
        (
            'a_b = { code = "x" }, ["a-b"] = { code = "x" }, c = { language = "sh", code = "x", depends_on = {"a_b", "a-b"} }',
            "`a_b` and `a-b` have the same variable `INPUT_A_B`, so only one of them is seen",
        ),
    ],
)
def test_what_has_no_effect_is_told(body: str, warning: str) -> None:
    loaded = read(steps(body))
    assert loaded.workflow is not None, loaded.problems
    assert warning in [problem.message.partition(": WebAssembly")[0] for problem in loaded.problems]


ODD = ["a/b[1]", 'it\'s \\"odd\\" \\\\ ${{ x }}', "x y\\n", "--all"]


def test_names_may_be_any_text(tmp_path: Path) -> None:
    """They are data: of expressions, of paths and of the command line."""
    body = "".join(f'["{name}"] = {{ code = "function run() return {n} end" }},\n' for n, name in enumerate(ODD))
    listed = ", ".join(f'"{name}"' for name in ODD)
    body += f"all = {{ language = 'python', depends_on = {{ {listed} }}, code = 'def run(inputs): return inputs' }}"
    outputs, _, code = run(tmp_path, steps(body))
    names = [json.loads(f'"{name}"') for name in ODD]
    assert code == 0
    assert outputs["all"] == {name: n for n, name in enumerate(names)}
    assert outputs.keys() == {*names, "all"}


def test_odd_names_become_ours_when_a_file_is_imported(tmp_path: Path) -> None:
    (tmp_path / "w.lua").write_text(steps('["a b"] = { code = "x" }, c = { depends_on = {"a b"}, code = "x" }'))
    done = subprocess.run([str(WEFT), "import", "w.lua"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert "# `a%20b` is called `a_20b` here" in done.stdout
    assert "steps['a_20b'].output" in done.stdout


def test_a_cycle_tells_the_names_of_the_file() -> None:
    loaded = read(steps('["a/b"] = { depends_on = {"c"}, code = "x" }, c = { depends_on = {"a/b"}, code = "x" }'))
    assert any("a/b → c → a/b" in problem.message for problem in loaded.problems)


def test_whoever_waits_for_lua_can_do_something_else_meanwhile() -> None:
    done: list[str] = []
    assert evaluate_lua("workflow = {name = 'w'}", lambda: done.append("meanwhile")) == {"workflow": {"name": "w"}}
    assert done == ["meanwhile"]
