"""How a step of a Hybrid Workflow Engine file is called: constant code around the author's, one maker for each language.

The contracts: `run()` of a step without dependencies, `run(inputs)` of another; Python has `inputs` as a variable too. A shell
step has `INPUT_<NAME>` variables and `parse_input`, and gives the first line of its output that is a JSON object, or else its
output, its errors and its exit code. JavaScript wraps what is no object; WebAssembly reports about a call.
"""

from typing import Final

from weft.model.workflow import Action, Js, Lua, Python, Wasm

LUA_TAIL: Final = """
;do local run_without_inputs = run; run = run_without_inputs and function() return run_without_inputs() end end
"""

PYTHON: Final = """\
def run(**inputs):
    space = {{"inputs": inputs, "__name__": "step"}}
    exec(compile(CODE, "<step>", "exec"), space)
    function = space.get("run")
    if not callable(function):
        raise NameError("the code defines no function `run`")
    return function(inputs) if HAS_INPUTS else function()


HAS_INPUTS = {has_inputs}
CODE = {code}
"""

SHELL: Final = '''\
import json
import os
import subprocess
import sys


def run(**inputs):
    path = os.path.join(os.environ["WEFT_DIR"], "step.sh")
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD + CODE + TAIL)
    texts = {{name: json.dumps(value, ensure_ascii=False) for name, value in inputs.items()}}
    variables = {{"INPUT_" + name.upper().replace("-", "_"): text for name, text in texts.items()}}
    too_long = [name for name, text in variables.items() if len(text.encode()) > VARIABLE_BYTES_MAX or "\\0" in text]
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
    for line in out.splitlines():
        line = line.strip()
        if line.startswith("{{") and line.endswith("}}"):
            try:
                return json.loads(line)
            except ValueError:
                continue
    return {{"stdout": out.strip(), "stderr": err.strip(), "exit_code": done.returncode}}


VARIABLE_BYTES_MAX = 100 << 10
HEAD = """\\
set -e
parse_input() {{
  local name="INPUT_$(printf %s "$1" | tr 'a-z-' 'A-Z_')"
  local text="${{!name-}}"
  case "$text" in '"'*'"') text="${{text#?}}"; text="${{text%?}}" ;; esac
  printf '%s\\\\n' "$text"
}}
"""
TAIL = """
if declare -F run >/dev/null; then run; fi
"""
CODE = {code}
'''

JS_HEAD: Final = "globalThis.inputs = JSON.parse(__inputs);"
JS_TAIL: Final = """
;globalThis.__entry = ((author) => author && ((given) => {
  const value = %s;
  if (value === undefined || value === null) return {};
  return typeof value === "object" ? value : { value };
}))(typeof run === "function" ? run : undefined);
"""


def lua(code: str, has_inputs: bool) -> Action:
    return Lua(code=code if has_inputs else code + LUA_TAIL)


def python(code: str, has_inputs: bool) -> Action:
    return Python(code=PYTHON.format(code=repr(code), has_inputs=has_inputs))


def shell(code: str, has_inputs: bool) -> Action:
    return Python(code=SHELL.format(code=repr(code)))


def javascript(code: str, has_inputs: bool) -> Action:
    call = "author(given)" if has_inputs else "author()"
    return Js(code=JS_HEAD + code + JS_TAIL % call)


def wasm(module: str, function: str) -> Action:
    return Wasm(module=module, function=function, report=True)


def language_of(action: Action) -> str:
    """What the system calls the language of a step; of a step from another format, what weft calls its kind."""
    if isinstance(action, Python):
        return "shell" if action.code.startswith(SHELL.partition("{")[0][:200]) else "python"
    return "javascript" if isinstance(action, Js) else type(action).__name__.lower()


MAKERS: Final = {"lua": lua, "python": python, "shell": shell, "javascript": javascript}
