"""Runs steps of YAML workflows in a worker process: evaluates `{{ }}`, starts scripts, judges conditions, waits.

- What a file says was parsed when it was loaded. Here comes a tree of plain data (see `evaluate` and `fill`), and the values that
  it speaks of. Nothing that a value holds is parsed again, as an expression or as text of a shell.
- A value in a command is one argument. Where a shell runs, it gets values as variables.
- What no argument and no variable can carry fails the step before anything is started.
"""

from __future__ import annotations

import math
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from types import ModuleType
from typing import Any, TypeAlias

Tree: TypeAlias = Any
"""A value with holes: scalars and lists stand for themselves, `{"m": {…}}` for a mapping, `{"t": [part, …]}` for a text with
expressions in it, a part being a text or `{"e": node}`; a text that is one expression keeps the type of its value."""
Node: TypeAlias = Any
"""An expression as a list: its kind, and what it is made of."""

ITEM_BYTES_MAX = 100 << 10
"""Of one argument or variable: the kernel takes 128 KiB, with what else belongs to it."""
TAIL_CHARS_MAX = 4096
"""Of what a failed script wrote, kept with the failure."""
TRANSIENT = re.compile(
    r"ECONNRESET|ENOTFOUND|ETIMEDOUT|\btime(?:d )?out\b"
    r"|(?:\b(?:http\S*|status|code|error|err|got|returned|response|answered|with|failed)|^)\W{0,3}"
    r"(?:429|502|503|504)\b(?! \w+ed\b)",
    re.I | re.M,
)
"""What a script says when trying again makes sense: not that 503 tests passed."""


def _sibling(name: str) -> ModuleType:
    """A module beside this one, by its path: the interpreter of a step need not have weft installed."""
    loader = SourceFileLoader(f"weft_{name}", os.path.join(os.path.dirname(__file__), f"{name}.py"))
    spec = spec_from_loader(loader.name, loader)
    assert spec
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


functions = _sibling("ghccli_functions")


class StepError(Exception):
    """A failure of the step in our own words; `weft_record` is what the journal keeps of it."""

    def __init__(self, kind: str, message: str, hint: str = "", **more: Any) -> None:
        super().__init__(message)
        self.weft_record = {"kind": kind, "message": message[:500], "hint": hint, **more}


# ---- expressions ----

Scope: TypeAlias = Mapping[str, Any]
"""`variables`, `parameters`, `workflow`, `env`: mappings; `steps`: what is known of each by its id."""


def evaluate(node: Node, scope: Scope) -> Any:
    """The value of an expression; None for what is not there. Raises StepError."""
    kind, *parts = node
    match kind:
        case "lit":
            return parts[0]
        case "path":
            return follow(parts[0], parts[1], scope)
        case "index":
            return functions.look(evaluate(parts[0], scope), evaluate(parts[1], scope))
        case "list":
            return [evaluate(part, scope) for part in parts[0]]
        case "not":
            return not functions.truthy(evaluate(parts[0], scope))
        case "if":
            return evaluate(parts[1] if functions.truthy(evaluate(parts[0], scope)) else parts[2], scope)
        case "op":
            return _operate(parts[0], parts[1], parts[2], scope)
    return call(parts[0], [evaluate(part, scope) for part in parts[1]], scope)


def call(name: str, arguments: list[Any], scope: Scope) -> Any:
    functions.ENVIRONMENT.clear()
    functions.ENVIRONMENT.update(scope["env"])
    try:
        return (_ARITHMETIC.get(name) or functions.FUNCTIONS[name])(*arguments)
    except (functions.FunctionError, RecursionError, MemoryError) as error:
        raise StepError("input", f"`{name}`: {error}") from None


def _operate(sign: str, left: Node, right: Node, scope: Scope) -> Any:
    a = evaluate(left, scope)
    if sign == "??":
        return evaluate(right, scope) if a is None else a
    if sign in ("&&", "||"):
        return evaluate(right, scope) if functions.truthy(a) == (sign == "&&") else a
    b = evaluate(right, scope)
    if sign in ("==", "!="):
        return functions.same(a, b) == (sign == "==")
    return call(sign, [a, b], scope) if sign in _ARITHMETIC else _ordered(sign, a, b)


def _plus(a: Any, b: Any) -> Any:
    """As in JavaScript: what is added to a text is put behind it."""
    as_text = isinstance(a, str) or isinstance(b, str)
    return functions.text(a) + functions.text(b) if as_text else functions.add(a, b)


def _rest(a: Any, b: Any) -> Any:
    """As in JavaScript: with the sign of the first."""
    return functions.subtract(a, functions.multiply(b, math.trunc(functions.divide(a, b))))


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": _plus,
    "-": functions.subtract,
    "*": functions.multiply,
    "/": functions.divide,
    "%": _rest,
}


def _ordered(sign: str, a: Any, b: Any) -> bool:
    """Numbers with numbers and texts with texts; nothing is smaller or larger than what is not there."""
    if a is None or b is None:
        return False
    kinds = {"number" if isinstance(x, int | float) and not isinstance(x, bool) else type(x).__name__ for x in (a, b)}
    if kinds not in ({"number"}, {"str"}):
        hint = "types are not converted: use `toNumber(…)` for a number that is text, as what a program prints is"
        raise StepError("input", f"{functions.shown(a)} and {functions.shown(b)} cannot be put in order", hint)
    below, equal = bool(a < b), bool(a == b)
    return {"<": below, "<=": below or equal, ">": not (below or equal), ">=": not below}[sign]


def follow(root: str, keys: list[str | int], scope: Scope) -> Any:
    if root == "steps":
        return of_step(scope["steps"].get(keys[0]), keys[1:]) if keys else None
    value = scope[root]
    for key in keys:
        value = functions.look(value, key)
    return value


def of_step(known: Any, keys: list[str | int]) -> Any:
    """What is known of a step: `result` is how it ended, `output` the text that it gave, and the rest a part of its record, or
    of the JSON object that it gave."""
    if known is None:
        return None
    record, error = record_of(known), known["error"] or {}
    good = known["status"] == "succeeded"
    if not keys:
        return record
    special = {
        "success": good,
        "error": error.get("message"),
        "output": record.get(_MAIN[known["type"]]),
    }
    if known["type"] != "http" or "status" not in record:
        special["status"] = "completed" if good else known["status"]
    if known["type"] != "condition":
        special["result"] = "success" if good else "skipped" if known["status"] == "skipped" else "failure"
    key, rest = keys[0], list(keys[1:])
    if key in special and (not rest or key in ("status", "success", "error")):
        value = special[key]
    elif key in ("result", "output") and rest:
        return of_step(known, rest)
    else:
        value = record[key] if key in record else functions.look(record.get("outputs"), key)
    for inner in rest:
        value = functions.look(value, inner)
    return value


_MAIN = {"script": "stdout", "agent": "response", "http": "body", "condition": "result", "delay": "message"}


def record_of(known: Mapping[str, Any]) -> dict[str, Any]:
    """What a step leaves behind, by the names that are documented."""
    output, error, took_s = known["output"], known["error"] or {}, known.get("took_s")
    took = {} if took_s is None else {"executionTime": round(took_s * 1000)}
    match known["type"]:
        case "agent":
            made = output if isinstance(output, dict) else _parsed(output)
            return {"agentId": known["agent"], "response": output, "metadata": {}, "outputs": made, **took}
        case "http":
            body = (output or {}).get("body")
            same = {"statusCode": (output or {}).get("status"), "data": body, "outputs": body if isinstance(body, dict) else {}}
            return {**(output or {}), **same, **took}
        case "script":
            failed = {"exitCode": error.get("exit_code"), "stderr": error.get("tail")} if error else {}
            return output or failed
    return {**(output or {}), **took}


def _parsed(text: Any) -> dict[str, Any]:
    """The JSON object that a text is, if it is one."""
    if not isinstance(text, str) or not text.lstrip().startswith("{"):
        return {}
    try:
        found = functions.fromJson(text)
    except functions.FunctionError:
        return {}
    return found if isinstance(found, dict) else {}


def fill(tree: Tree, scope: Scope) -> Any:
    """The value that a tree stands for. Raises StepError."""
    if isinstance(tree, list):
        return [fill(item, scope) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if "m" in tree:
        return {key: fill(item, scope) for key, item in tree["m"].items()}
    parts = tree["t"]
    if len(parts) == 1 and isinstance(parts[0], dict):
        return evaluate(parts[0]["e"], scope)
    return "".join(part if isinstance(part, str) else functions.text(evaluate(part["e"], scope)) for part in parts)


def text_of(tree: Tree, scope: Scope) -> str:
    text: str = functions.text(fill(tree, scope))
    return text


# ---- what steps do ----


def run(inputs: dict[str, Any]) -> Any:
    """The door: does what `type` says with `config`, a tree."""
    given = inputs["scope"]
    scope = {**given, "env": os.environ.copy()}
    now_ms, started_ms = round(time.time() * 1000), round(given["workflow"]["started"] * 1000)
    times = {"startTime": functions.addDays(started_ms, 0), "executionTime": max(0, now_ms - started_ms)}
    scope["workflow"] = {**given["workflow"], **times, "currentStepId": inputs["id"]}
    scope["env"] |= {name: text_of(value, scope) for name, value in given.get("env", {}).items()}
    return _TYPES[inputs["type"]](inputs, scope)


def values(inputs: dict[str, Any], scope: Scope) -> Any:
    """The configuration itself, for a step that runs elsewhere."""
    return fill(inputs["config"], scope)


def delay(inputs: dict[str, Any], scope: Scope) -> Any:
    config = fill(inputs["config"], scope)
    try:
        seconds = float(functions.number(config["duration"])) * config["seconds"]
    except functions.FunctionError as error:
        raise StepError("input", f"`duration`: {error}") from None
    if not 0 <= seconds <= SECONDS_MAX:
        raise StepError("input", f"`duration` cannot be {config['duration']}")
    if config["message"]:
        sys.stdout.write(f"{functions.text(config['message'])}\n")
        sys.stdout.flush()
    select.select([], [], [], seconds)
    return {"duration": round(seconds * 1000), "message": config["message"]}


SECONDS_MAX = 366 * 24 * 3600
"""A year: more is a mistake in the unit."""


# ---- conditions ----


def condition(inputs: dict[str, Any], scope: Scope) -> Any:
    config = inputs["config"]
    result = judge(config["expression"], scope)
    chosen = {True: config["onTrue"], False: config["onFalse"]}
    return {
        "result": result,
        "triggeredSteps": chosen[result],
        "skippedSteps": [s for s in chosen[not result] if s not in chosen[result]],
    }


def judge(test: Tree, scope: Scope) -> bool:
    """Whether a condition holds. A test is an expression under `e`, a row of tests, or an operator with `left` and `right`."""
    if "e" in test:
        return bool(functions.truthy(evaluate(test["e"], scope)))
    operator = test["operator"]
    if operator in ("and", "or", "not"):
        found = (judge(each, scope) for each in test["conditions"])
        return all(found) if operator == "and" else any(found) if operator == "or" else not all(found)
    holds = _holds(operator.removeprefix("not_"), fill(test["left"], scope), fill(test["right"], scope))
    return not holds if operator.startswith("not_") else holds


def _holds(operator: str, left: Any, right: Any) -> bool:
    match operator:
        case "exists":
            return left is not None and left != ""
        case "equals":
            return bool(functions.same(left, right))
        case "contains":
            return bool(functions.contains(left, right))
        case "matches":
            try:
                return bool(re.search(functions.text(right), functions.text(left)))
            except re.error as error:
                raise StepError("input", f"`matches` has no valid pattern: {error}") from None
    return _ordered(_ORDERS[operator], left, right)


_ORDERS = {"greater_than": ">", "greater_than_or_equal": ">=", "less_than": "<", "less_than_or_equal": "<="}


# ---- scripts ----


def script(inputs: dict[str, Any], scope: Scope) -> Any:
    """Starts the program with our own streams, which are the logs of the step, and reads them when it has ended."""
    config = inputs["config"]
    argv = argv_of(config, scope)
    environment = environment_of(inputs, scope)
    folder = text_of(config.get("workingDirectory"), scope) or "."
    for index, item in enumerate(argv):
        _check_item(item, f"`{item[:40]}`" if index == 0 else f"argument {index}")
    began = time.monotonic()
    try:
        with subprocess.Popen(argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL) as process:
            code = process.wait()
    except OSError as error:
        raise _not_started(error, argv[0], folder) from None
    took_ms = round((time.monotonic() - began) * 1000)
    out, err = _written(1), _written(2)
    if code:
        raise _failed(code, out, err)
    record = {"exitCode": code, "stdout": _last_line_end(out), "stderr": _last_line_end(err), "executionTime": took_ms}
    made = _parsed(out)
    return {**record, "outputs": made} if made else record


def argv_of(config: Mapping[str, Any], scope: Scope) -> list[str]:
    """The program and its arguments: of `words` each is one; `shell` is a script, in which values are variables."""
    if "shell" in config:
        return ["/bin/sh", "-c", config["shell"], "sh"]
    return [text_of(word, scope) for word in config["words"]]


def environment_of(inputs: Mapping[str, Any], scope: Scope) -> dict[str, str]:
    """What the script sees: the environment of the workflow, the `WORKFLOW_*` variables, and its own `env`."""
    config = inputs["config"]
    told = {"WORKFLOW_ID": functions.text(scope["workflow"].get("id")), "WORKFLOW_CURRENT_STEP_ID": inputs["id"]}
    for name, value in (scope["variables"] or {}).items():
        if value is None:
            continue  # somebody asks for it, and nobody gave it
        told[f"WORKFLOW_VAR_{_variable(name)}"] = told[f"WORKFLOW_VAR_{_variable(name).upper()}"] = functions.text(value)
    for step, known in scope["steps"].items():
        record = record_of(known)
        for key, value in {**(record.get("outputs") or {}), **record}.items():
            if key != "outputs":
                told[f"WORKFLOW_OUTPUT_{_variable(step).upper()}_{_variable(key).upper()}"] = functions.text(value)
    for name in [name for name, value in told.items() if not _fits(value)]:
        del told[name]
        sys.stderr.write(f"weft: {name} is left out: it is longer than {ITEM_BYTES_MAX >> 10} KiB, or holds a NUL\n")
    own = {name: text_of(value, scope) for name, value in config.get("env", {}).items()}
    own |= {name: text_of(value, scope) for name, value in config.get("values", {}).items()}
    for name, value in own.items():
        _check_item(value, f"the value of `{name}`")
    return {**scope["env"], **told, **own}


def _variable(name: str) -> str:
    return re.sub(r"\W", "_", name, flags=re.A)


def _fits(value: str) -> bool:
    return "\0" not in value and len(value) <= ITEM_BYTES_MAX and len(value.encode("utf-8", "surrogatepass")) <= ITEM_BYTES_MAX


def _check_item(value: str, what: str) -> None:
    if "\0" in value:
        raise StepError("input", f"{what} holds a NUL character, which no program can be given", "write it to a file")
    if not _fits(value):
        hint = "let the step before write it to a file, and give the name of the file"
        raise StepError("input", f"{what} has {len(value):,} characters; a program can be given {ITEM_BYTES_MAX >> 10} KiB", hint)


def _written(descriptor: int) -> str:
    """All that the script wrote to a log of ours."""
    sys.stdout.flush()
    with open(f"/proc/self/fd/{descriptor}", "rb") as file:
        return file.read().decode("utf-8", "replace")


def _last_line_end(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")


def _not_started(error: OSError, program: str, folder: str) -> StepError:
    if not os.path.isdir(folder):
        return StepError(
            "error", f"the folder `{folder[:200]}` of `workingDirectory` does not exist", "create it in a step before"
        )
    if isinstance(error, FileNotFoundError):
        hint = "the words of a command belong into `args`" if " " in program else "install it, or correct its name or path"
        return StepError("error", f"there is no program `{program[:200]}`", hint)
    return StepError("error", f"`{program[:200]}` cannot be started: {error.strerror}", "chmod +x makes a file a program")


def _failed(code: int, out: str, err: str) -> StepError:
    told = (err.strip() or out.strip())[-TAIL_CHARS_MAX:]
    last = told.rpartition("\n")[2].strip()
    message = f"exit {code}" if code > 0 else f"ended by signal {-code}"
    more: dict[str, Any] = {"exit_code": code} if code > 0 else {}
    if TRANSIENT.search(told):
        more["exception"] = "Transient"
    return StepError("exit" if code > 0 else "killed", f"{message}: {last}" if last else message, tail=told, **more)


_TYPES = {"script": script, "condition": condition, "delay": delay, "values": values}
