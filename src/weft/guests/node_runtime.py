"""The other end of a step of a Code Evolver file, in a worker process; and what its Python code imports as `node_runtime`.

- `run` carries out one step: a tool, a function or code. `call_tool`, `call_tools_parallel`, `call_llm` and `ToolChain` are for
  the code of steps and of Python tools, in the worker and in the child processes that Python tools are.
- A tool is data: what it may be comes with the step. A value is an argument, stdin, or a part of a request, never program text.
- Imports nothing of weft; is a script too: `python node_runtime.py SPEC` is a Python tool, which reads JSON from stdin.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from contextlib import redirect_stdout, suppress
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["ToolChain", "ToolError", "call_llm", "call_tool", "call_tools_parallel"]

CALLS_MAX = 32
"""Calls of one call_tools_parallel that run at once: more of them wait for a thread, not for the machine to fall over."""
DEPTH_MAX = 8
"""Python tools that call Python tools; more is one that calls itself."""
TIMEOUT_S = 300
"""What the documentation gives a tool."""
HELPERS = Path(__file__).with_name("node_tools.py")


class ToolError(Exception):
    """A call of a tool that failed. `weft_record` is how the failure of a step that does not catch it is told."""

    def __init__(
        self, message: str, *, kind: str = "error", hint: str = "", tail: str = "", exit_code: int | None = None
    ) -> None:
        super().__init__(message)
        self.weft_record: dict[str, Any] = {"kind": kind, "message": message[:500], "hint": hint[:500], "tail": tail[-8192:]}
        self.weft_record["exception"] = f"{type(self).__name__} Exception"
        if exit_code is not None:
            self.weft_record["exit_code"] = exit_code


class Context:
    """What the calls of one step share. `tools`: definitions by name. `scratch`: a folder of the step's own."""

    def __init__(self, tools: dict[str, Any], scratch: str, depth: int) -> None:
        self.tools, self.scratch, self.depth = tools, scratch, depth
        self.numbers = count()
        self.lock = threading.Lock()
        self.used: dict[str, float] = {"calls": 0, "tokens_in": 0, "tokens_out": 0, "cost": 0.0}

    def use(self, **used: float) -> None:
        """Count calls, tokens and cost; the sum is reported at once, so that a step that is killed has told what it cost."""
        with self.lock:
            self.used = {name: number + used.get(name, 0) for name, number in self.used.items()}
            if path := os.environ.get("WEFT_USAGE"):
                Path(path).write_text(json.dumps(self.used), encoding="utf-8")

    def path(self, kind: str) -> Path:
        """A new file in the step's folder."""
        return Path(self.scratch) / f"node-{os.getpid()}-{next(self.numbers)}.{kind}"


class Now:
    """The step that this process works on."""

    context = Context({}, ".", 0)


# ---- for the code of steps ----


def call_tool(tool_name: str, prompt: Any = "", disable_tracking: bool = False, **kwargs: Any) -> str:
    """What the tool gives for the prompt, as text. `kwargs` are its other inputs. Raises ToolError.

    `disable_tracking` is accepted for code that was written elsewhere: nothing is tracked.
    """
    Now.context.use(calls=1)
    return as_text(use(tool_name, prompt, kwargs))


def call_tools_parallel(calls: Any) -> list[str]:
    """What several tools give, in the order of `calls`: `(tool, prompt)`, `(tool, prompt, kwargs)` or a mapping with these keys.

    All of them end before the first failure, in that order, is raised. At most CALLS_MAX run at once.
    """
    wanted = [_call(each) for each in calls]
    if not wanted:
        return []
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(len(wanted), CALLS_MAX)) as pool:
        futures = [pool.submit(call_tool, tool, prompt, **kwargs) for tool, prompt, kwargs in wanted]
    return [future.result() for future in futures]


def _call(given: Any) -> tuple[str, Any, dict[str, Any]]:
    """Tool, prompt and other inputs of a call. Raises TypeError: what would be left out is told."""
    if isinstance(given, dict) and "tool" in given and not given.keys() - {"tool", "prompt", "kwargs"}:
        given = (given["tool"], given.get("prompt", ""), given.get("kwargs"))
    if isinstance(given, (tuple, list)) and 1 < len(given) < 4:
        tool, prompt, kwargs = given if len(given) > 2 else (*given, None)
        kwargs = {} if kwargs is None else kwargs
        if isinstance(tool, str) and isinstance(kwargs, dict) and not kwargs.keys() & {"tool_name", "prompt"}:
            return tool, prompt, kwargs
    form = "(tool, prompt), (tool, prompt, kwargs) or {'tool': …, 'prompt': …, 'kwargs': {…}}, with one prompt and a mapping"
    raise TypeError(f"a call is {form}, not {given!r:.100}")


def call_llm(model: str, prompt: Any, **kwargs: Any) -> str:
    """What a language model answers. `kwargs`: `system`, `temperature`, `endpoint`. Raises ToolError."""
    Now.context.use(calls=1)
    answer: str = _tools().llm({"type": "llm", "model": model, **kwargs}, as_text(prompt), {}, Now.context)
    return answer


class ToolChain:
    """Calls in a row: `ToolChain().call("writer", "a joke").then("translator", "To French: {result}").get()`."""

    def __init__(self) -> None:
        self._result = ""

    def call(self, tool_name: str, prompt: Any = "", **kwargs: Any) -> ToolChain:
        """Begin with this tool."""
        self._result = call_tool(tool_name, prompt, **kwargs)
        return self

    def then(self, tool_name: str, prompt: str = "{result}", **kwargs: Any) -> ToolChain:
        """Go on with this tool; `{result}` in its prompt is what the one before gave."""
        return self.call(tool_name, prompt.replace("{result}", self._result), **kwargs)

    def get(self) -> str:
        """What the last tool gave."""
        return self._result


def as_text(value: Any) -> str:
    """A text as it is, nothing as the empty text, the rest as JSON."""
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def from_text(text: str) -> Any:
    """What a tool printed: an object or a list of JSON, else the text itself."""
    text = text.rstrip("\n")
    if text.lstrip()[:1] in ("{", "["):
        with suppress(ValueError, RecursionError):
            return json.loads(text)
    return text


def use(name: str, prompt: Any, given: dict[str, Any]) -> Any:
    """What a tool gives; if it fails, what its `fallback_tool` gives."""
    tool = Now.context.tools.get(name)
    if tool is None:
        from difflib import get_close_matches

        near = get_close_matches(str(name), Now.context.tools, 1)
        known = ", ".join(f"`{each}`" for each in list(Now.context.tools)[:10])
        hint = f"did you mean `{near[0]}`?" if near else f"it can call {known}" if known else "it can call none"
        raise ToolError(f"there is no tool `{name}` among those that this step can call", hint=hint)
    try:
        return _tools().carry_out(name, tool, prompt, given, Now.context)
    except ToolError:
        fallback = tool.get("fallback_tool")
        if not fallback or fallback == name:
            raise
        return use(fallback, prompt, given)


# ---- one step ----


def run(task: dict[str, Any], given: dict[str, Any] | None = None, prompt: Any = "") -> Any:
    """Carry out a step: `task` has `tool` (a name), `function` (`module:name`) or `code`, the `tools` that may be called, and
    what is asked of the result (`repeat`, `expects_exception`, `validation`)."""
    before = sys.modules.get("node_runtime")
    Now.context = Context(task.get("tools", {}), os.environ["WEFT_DIR"], 0)
    sys.modules["node_runtime"] = sys.modules[__name__]
    try:
        results = [_checked(task, given or {}, prompt) for _ in range(task.get("repeat", 1))]
        return results if "repeat" in task else results[0]
    except Exception as error:
        if not isinstance(error, ToolError | MemoryError):
            names = " ".join(base.__name__ for base in type(error).__mro__ if base is not object)
            first = f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(": ")
            record = {"kind": "error", "message": first[:500], "exception": names, "tail": told(error)[-8192:]}
            with suppress(AttributeError):  # it takes no attributes: then it is told as any other
                error.weft_record = record  # type: ignore[attr-defined]
                sys.stderr.write(record["tail"])
        raise
    finally:
        del sys.modules["node_runtime"]
        if before is not None:
            sys.modules["node_runtime"] = before


def _checked(task: dict[str, Any], given: dict[str, Any], prompt: Any) -> Any:
    expected = task.get("expects_exception")
    try:
        result = _once(task, given, prompt)
    except Exception as error:  # the step may expect any
        names = [base.__name__ for base in type(error).__mro__]
        if not expected or (isinstance(expected, str) and expected not in names):
            raise
        return {"exception": names[0], "message": str(error)}
    if expected:
        raise ToolError(f"it was expected to raise {expected if isinstance(expected, str) else 'an exception'}, and did not")
    if (rule := task.get("validation")) is not None:
        _validate(rule, result)
    return result


def _validate(rule: dict[str, Any], result: Any) -> None:
    """Raise ToolError if the result is not what the step's `validation` wants."""
    field = rule.get("success_field", "success")
    if "success_field" in rule and not (isinstance(result, dict) and result.get(field)):
        said = as_text(result)[:200]
        raise ToolError(f"its result is not valid: `{field}` is not true in {said}", kind="invalid_output")
    if isinstance(result, dict) and result.get(field, True) in (False, None):
        raise ToolError(f"its result is not valid: `{field}` is false in {as_text(result)[:200]}", kind="invalid_output")
    if rule.get("required") and result is None:
        raise ToolError("its result is not valid: there is none, and it is required", kind="invalid_output")


def _once(task: dict[str, Any], given: dict[str, Any], prompt: Any) -> Any:
    if "code" in task:
        return execute(task["code"], "<step>", given, prompt)
    if "function" in task:
        return _function(task["function"], task.get("folder", ""))(**given)
    return use(task["tool"], prompt, given)


def _function(target: str, folder: str) -> Any:
    """A function that the file names, from a module beside its tools, or any that can be imported."""
    from importlib import import_module

    module, _, name = target.partition(":")
    if folder and os.path.abspath(folder) not in sys.path:
        sys.path.insert(0, os.path.abspath(folder))
    found = getattr(import_module(module), name, None)
    if not callable(found):
        raise ToolError(f"the module `{module}` has no function `{name}`")
    return found


def execute(code: str, name: str, given: dict[str, Any], prompt: Any = "") -> Any:
    """Run the code of a node: what it leaves in `result`, what its `main()` returns, or the JSON that it prints.

    It finds its inputs in `inputs`, and as JSON on stdin.
    """
    import linecache

    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    compiled = compile(code, name, "exec", dont_inherit=True)
    module = ModuleType("__main__")
    space = module.__dict__
    space.update(inputs=given, prompt=prompt, json=json, sys=sys, __file__=name)
    printed, stdin = io.StringIO(), sys.stdin
    sys.stdin = io.StringIO(as_text(given or ({"prompt": prompt} if prompt else {})))
    told = True
    try:
        with redirect_stdout(printed):
            returned = _call_main(compiled, code, space)
        value = space.get("result", returned)
        told = value is None and bool(printed.getvalue())
        return from_text(printed.getvalue()) if told else value
    except BaseException:
        told = False
        raise
    finally:
        sys.stdin = stdin
        if not told:
            sys.stdout.write(printed.getvalue())  # it is no result: it belongs into the log


def _call_main(compiled: Any, code: str, space: dict[str, Any]) -> Any:
    """Run the module, then its `main` unless the module calls it itself. To leave with success is to end."""
    try:
        exec(compiled, space)
        if callable(space.get("main")) and not _calls_main(code):
            return space["main"]()
    except SystemExit as leave:
        if leave.code not in (None, 0):
            raise
    return None


def _calls_main(code: str) -> bool:
    """Whether a statement outside of all functions and classes calls `main`."""
    import ast

    waiting: list[ast.AST] = list(ast.parse(code).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "main":
            return True
        waiting += ast.iter_child_nodes(node)
    return False


def _tools() -> Any:
    """The module beside this one that knows how each kind of tool is called; most code of steps calls none."""
    name = "weft_node_tools"
    if name not in sys.modules:
        from importlib.machinery import SourceFileLoader
        from importlib.util import module_from_spec, spec_from_loader

        loader = SourceFileLoader(name, str(HELPERS))
        spec = spec_from_loader(name, loader)
        assert spec
        module = module_from_spec(spec)
        loader.exec_module(module)
        module.__dict__["runtime"] = sys.modules[__name__]
        sys.modules[name] = module
    return sys.modules[name]


# ---- a Python tool: this file as a script ----


def serve() -> None:
    """Run the code that the file argv[1] holds as JSON, with stdin as its inputs. What it returns goes to a file,
    what it prints to stdout."""
    spec = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    os.unlink(sys.argv[1])
    Now.context = Context(spec["tools"], spec["scratch"], spec["depth"])
    sys.modules["node_runtime"] = sys.modules[__name__]
    sys.path[0] = spec["folder"] or os.getcwd()
    sys.argv[1:] = []
    text = sys.stdin.read()
    given = from_text(text)
    given = given if isinstance(given, dict) else {"prompt": given}
    try:
        answer = {"result": execute(spec["code"], spec["name"], given)}
    except Exception as error:  # all that a tool can raise is its own failure
        tail = told(error)
        sys.stderr.write(tail)
        record = dict(error.weft_record) if isinstance(error, ToolError) else {"message": f"{type(error).__name__}: {error}"}
        answer = {"error": {**record, "tail": tail}}
    try:
        data = json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:  # what no JSON, or no text, can hold
        message = f"what it returned is no JSON: {error}"
        data = json.dumps({"error": {"message": message, "kind": "invalid_output"}}).encode()
    Path(spec["result"]).write_bytes(data)


def told(error: Exception) -> str:
    """The traceback of an error in the code of a tool, from its first line on, and without what is ours below it."""
    import traceback

    frames = traceback.extract_tb(error.__traceback__)
    ours = (__file__, str(HELPERS))
    kept = [frame for frame in frames if frame.filename not in ours and "concurrent" not in frame.filename]
    lines = [*traceback.format_list(kept), *traceback.format_exception_only(error)]
    return "Traceback (most recent call last):\n" * bool(kept) + "".join(lines).replace("node_runtime.ToolError", "ToolError")


if __name__ == "__main__":
    serve()
