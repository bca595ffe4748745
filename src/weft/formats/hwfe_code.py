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

SHELL: Final = '''\
import json
import os
import subprocess
import sys


def no_number(name):
    raise ValueError(f"{{name}} is not JSON")


def run(**inputs):
    path = os.path.join(os.environ["WEFT_DIR"], "step.sh")
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD + CODE + TAIL)
    texts = {{name: json.dumps(value, ensure_ascii=False, separators=(",", ":")) for name, value in inputs.items()}}
    variables = {{VARIABLES[name]: text for name, text in texts.items()}}
    too_long = [name for name, text in variables.items() if len(text.encode()) > VARIABLE_BYTES_MAX]
    if too_long:
        raise ValueError(f"{{too_long[0]}} is longer than {{VARIABLE_BYTES_MAX}} bytes, which no environment variable can carry; "
                         "let the step before write a file and return its name")
    done = subprocess.run(["bash", path], env={{**os.environ, **variables}}, capture_output=True, stdin=subprocess.DEVNULL)
    os.unlink(path)
    out, err = done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")
    sys.stdout.write(out)
    sys.stderr.write(err)
    if done.returncode:
        raise SystemExit(done.returncode if done.returncode > 0 else 128 - done.returncode)
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
HEAD = """\\
set -e
parse_input() {{
  local LC_ALL=C
  local name="${{1//[^A-Za-z0-9_]/_}}"
  name="INPUT_${{name^^}}"
  local text="${{!name-}}" escaped='\\\\"' quote='"'
  case "$text" in
    '"'*'"') text="${{text#?}}"; text="${{text%?}}"; printf '%b\\\\n' "${{text//"$escaped"/$quote}}" ;;
    *) printf '%s\\\\n' "$text" ;;
  esac
}}
"""
TAIL = """
if declare -F run >/dev/null; then run; fi
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


def shell(code: str, needs: Sequence[str]) -> Action:
    return Python(code=SHELL.format(code=repr(code), variables={name: variable(name) for name in needs}))


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
