"""How a step of a Hybrid Workflow Engine file is called: constant code around the author's, one maker for each language.

The contracts: `run()` of a step without dependencies, `run(inputs)` of another; Python has `inputs` as a variable too. A shell
step has `INPUT_<NAME>` variables and `parse_input`, and gives the first line of its output that is a JSON object, or else its
output, its errors and its exit code. JavaScript wraps what is no object; WebAssembly reports about a call.
"""

import re
from collections.abc import Sequence
from typing import Final

from weft.model.workflow import Action, Js, Lua, Python, Wasm

LUA_TAIL: Final = """
;do local run_without_inputs = run; run = run_without_inputs and function() return run_without_inputs() end end
"""

PYTHON: Final = """\
import json


def run(**inputs):
    space = {{"inputs": inputs, "__name__": "step"}}
    exec(compile(CODE, "<step>", "exec"), space)
    function = space.get("run")
    if not callable(function):
        raise NameError("the code defines no function `run`")
    result = function(inputs) if HAS_INPUTS else function()
    try:
        return json.loads(json.dumps(result))
    except (TypeError, ValueError, RecursionError):
        return result  # whoever takes it says what is wrong with it


HAS_INPUTS = {has_inputs}
CODE = {code}
"""

PYTHON_BY: Final = '''\
import json
import os
import subprocess
import sys


class Failed(Exception):
    def __init__(self, code, err):
        code = code if code > 0 else 128 - code
        tail = err.decode("utf-8", "replace")[-8192:]
        self.weft_record = {{"kind": "exit", "message": f"exit {{code}}", "exit_code": code, "tail": tail}}


def run(**inputs):
    path = os.path.join(os.environ["WEFT_DIR"], "output.json")
    call = json.dumps([path, CODE, inputs, HAS_INPUTS]).encode()
    done = subprocess.run([PROGRAM, "-c", THERE], input=call, capture_output=True)
    sys.stdout.write(done.stdout.decode("utf-8", "replace"))
    sys.stderr.write(done.stderr.decode("utf-8", "replace"))
    if done.returncode:
        raise Failed(done.returncode, done.stderr)
    with open(path, encoding="utf-8") as file:
        return json.load(file)


THERE = """\\
import json, os, sys
path, code, inputs, has_inputs = json.load(sys.stdin)
space = {{"inputs": inputs, "__name__": "step"}}
exec(compile(code, "<step>", "exec"), space)
if not callable(space.get("run")):
    raise NameError("the code defines no function `run`")
with open(path, "w") as file:
    json.dump(space["run"](inputs) if has_inputs else space["run"](), file)
"""
PROGRAM = {program}
HAS_INPUTS = {has_inputs}
CODE = {code}
'''

SHELL: Final = '''\
import json
import os
import subprocess
import sys


class Failed(Exception):
    def __init__(self, code, err):
        code = code if code > 0 else 128 - code
        tail = err.decode("utf-8", "replace")[-8192:]
        self.weft_record = {{"kind": "exit", "message": f"exit {{code}}", "exit_code": code, "tail": tail}}


def no_number(name):
    raise ValueError(f"{{name}} is not JSON")


def run(**inputs):
    folder = os.environ["WEFT_DIR"]
    path = os.path.join(folder, "step.sh")
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD + CODE + TAIL)
    texts = {{name: json.dumps(value, ensure_ascii=False, separators=(",", ":")) for name, value in inputs.items()}}
    variables = {{VARIABLES[name]: text for name, text in texts.items()}}
    files = {{name: os.path.join(folder, f"input.{{number}}") for number, name in enumerate(inputs)}}
    for name, value in inputs.items():
        with open(files[name], "w", encoding="utf-8") as file:
            file.write(value if isinstance(value, str) else texts[name])
    too_long = [name for name, text in variables.items() if len(text.encode()) > VARIABLE_BYTES_MAX]
    if too_long:
        raise ValueError(f"{{too_long[0]}} is longer than {{VARIABLE_BYTES_MAX}} bytes, which no environment variable can carry; "
                         "let the step before write a file and return its name")
    variables |= {{"WEFT_FILE_" + VARIABLES[name]: file for name, file in files.items()}}
    done = subprocess.run([PROGRAM, path], env={{**os.environ, **variables}}, capture_output=True, stdin=subprocess.DEVNULL)
    for each in filter(os.path.exists, (path, *files.values())):
        os.unlink(each)
    out, err = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    sys.stdout.write(out)
    sys.stderr.write(err)
    if done.returncode:
        raise Failed(done.returncode, done.stderr)
    for line in out.split("\\n"):
        line = line.strip()
        if line.startswith("{{") and line.endswith("}}"):
            try:
                return json.loads(line, parse_constant=no_number)
            except ValueError:
                continue
    return {{"stdout": out.strip(), "stderr": err.strip(), "exit_code": done.returncode}}


VARIABLE_BYTES_MAX = 100 << 10
VARIABLES = {variables}
PROGRAM = {program}
HEAD = (  # without a line of its own, so that bash counts the author's
    r'set -e; parse_input() {{ set -- "$(printf %s "$1" | LC_ALL=C tr a-z A-Z | LC_ALL=C tr -c A-Z0-9_ _)"; '
    r'eval "weft_file=\\${{WEFT_FILE_INPUT_$1-}}"; if [ -n "$weft_file" ]; then cat "$weft_file"; fi; echo; }}; '
)
TAIL = """
case "$(LC_ALL=C type run 2>/dev/null)" in "run is a function"*|"run is a shell function"*) run ;; esac
"""
CODE = {code}
'''

JS_HEAD: Final = (
    "globalThis.inputs = JSON.parse(__inputs);"
    "globalThis.module = { exports: {} }; globalThis.exports = module.exports;"  # set by many files, and read by nobody
)
JS_TAIL: Final = """
;globalThis.__entry = ((author) => author && ((given) => {
  const shape = (value) => value === undefined || value === null ? {} : typeof value === "object" ? value : { value };
  const value = %s;
  return typeof value?.then === "function" ? value.then(shape) : shape(value);
}))(typeof run === "function" ? run : undefined);
"""


def variable(name: str) -> str:
    """The variable that has the output of a step: each byte that no name of a variable can hold is `_` in it."""
    return "INPUT_" + re.sub(rb"[^A-Za-z0-9_]", b"_", name.encode()).decode().upper()


def lua(code: str, needs: Sequence[str]) -> Action:
    return Lua(code=code if needs else code + LUA_TAIL)


def python(code: str, needs: Sequence[str]) -> Action:
    return Python(code=PYTHON.format(code=repr(code), has_inputs=bool(needs)))


def python_by(program: str, code: str, needs: Sequence[str]) -> Action:
    """The same in another Python than ours."""
    return Python(code=PYTHON_BY.format(code=repr(code), has_inputs=bool(needs), program=repr(program)))


def shell(code: str, needs: Sequence[str]) -> Action:
    return shell_by("bash", code, needs)


def shell_by(program: str, code: str, needs: Sequence[str]) -> Action:
    """The same in another shell."""
    variables = {name: variable(name) for name in needs}
    return Python(code=SHELL.format(code=repr(code), variables=variables, program=repr(program)))


def javascript(code: str, needs: Sequence[str]) -> Action:
    return Js(code=JS_HEAD + code + JS_TAIL % ("author(given)" if needs else "author()"))


def wasm(module: str, function: str) -> Action:
    return Wasm(module=module, function=function, report=True)


def language_of(action: Action) -> str:
    """What the system calls the language of a step; of a step from another format, what weft calls its kind."""
    if isinstance(action, Python):
        return "shell" if action.code.startswith(SHELL.partition("{")[0][:200]) else "python"
    return "javascript" if isinstance(action, Js) else type(action).__name__.lower()


MAKERS: Final = {"lua": lua, "python": python, "shell": shell, "javascript": javascript}
MAKERS_BY: Final = {"python": python_by, "shell": shell_by}
"""For those whose program can be chosen."""
