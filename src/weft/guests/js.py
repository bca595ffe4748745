"""Runs the JavaScript of a step, in a worker process: ECMAScript, the files that it declares, no programs, networks or timers.

The engine bounds memory and stack; time is bounded by the step's `timeout`, which ends the process.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any  # see `lua`

beside: Any = None
"""The module `reach`, where files are declared."""

MEMORY_BYTES_MAX = 512 << 20
"""What all values of one step may take together: a worker for each processor still fits into a small machine."""
STACK_BYTES_MAX = 1 << 20
"""About ten thousand nested calls, and well below the 8 MiB that the thread has."""

NODE = ("require", "process", "Buffer", "setTimeout", "setInterval", "setImmediate", "fetch")

CONSOLE = """
globalThis.console = (() => {
  const text = (value) => typeof value === "string" ? value
    : typeof value === "object" && value !== null ? JSON.stringify(value) ?? String(value) : String(value);
  const say = (...values) => __write(values.map(text).join(" ") + "\\n");
  const warn = (...values) => __warn(values.map(text).join(" ") + "\\n");
  return { log: say, info: say, debug: say, warn, error: warn };
})();
"""
FILES = """
globalThis.std = ((load, write) => ({
  loadFile(path) { const [why, text] = JSON.parse(load(String(path))); if (why) throw new Error(why); return text; },
  writeFile(path, text) { const why = write(String(path), String(text)); if (why) throw new Error(why); },
}))(__load, __save);
delete globalThis.__load, delete globalThis.__save;
"""
"""Two of the functions that the engine's own command has under this name; no file is null, as there."""
CALL = """
globalThis.__end = {};
(async () => {
  const entry = globalThis.__entry ?? (typeof run === "function" ? run : undefined);
  if (typeof entry !== "function") throw { __missing: true };
  return await entry(JSON.parse(__inputs));
})().then(
  (value) => { __end.value = JSON.stringify(value === undefined ? null : value) ?? null; __end.done = true; },
  (error) => {
    __end.missing = !!(error && error.__missing);
    __end.name = error instanceof Error ? error.name : "";
    const text = () => typeof error === "string" ? error : JSON.stringify(error) ?? String(error);
    __end.error = error instanceof Error ? error.message : text();
    __end.stack = error instanceof Error ? error.stack : "";
    __end.done = true;
  },
).catch((error) => { __end.error = String(error); __end.unfit = true; __end.done = true; });
"""


class JavaScriptError(Exception):
    """A failure of the step's JavaScript. `weft_record` is what the engine is told."""

    def __init__(self, kind: str, message: str, hint: str = "", tail: str = "", name: str = "") -> None:
        super().__init__(message)
        exception = " ".join(filter(None, (name, "JavaScriptError")))
        self.weft_record = {"kind": kind, "message": message[:500], "hint": hint, "tail": tail[-8192:], "exception": exception}


def run(
    code: str, inputs: dict[str, Any], memory_bytes_max: int = MEMORY_BYTES_MAX, files: dict[str, list[str]] | None = None
) -> Any:
    """What `run(inputs)` of the code returns, or what the promise that it returns comes to. `files`: see `reach`.

    Raises JavaScriptError.
    """
    import sys

    import quickjs

    context = quickjs.Context()
    context.set_memory_limit(memory_bytes_max)
    context.set_max_stack_size(STACK_BYTES_MAX)
    context.add_callable("__write", sys.stdout.write)
    context.add_callable("__warn", sys.stderr.write)
    try:
        context.eval(CONSOLE)
        if files:
            disk = _Disk(beside.Reach(**files))
            context.add_callable("__load", disk.load)
            context.add_callable("__save", disk.save)
            context.eval(FILES)
        context.set("__inputs", json.dumps(inputs, ensure_ascii=False))
        context.eval(code)
        context.eval(CALL)
        while context.execute_pending_job():
            pass
        end = json.loads(context.eval("JSON.stringify(__end)"))
    except (quickjs.JSException, quickjs.StackOverflow) as error:
        raise _failure(str(error), memory_bytes_max) from None
    if not end.get("done"):
        raise JavaScriptError("error", "its promise never settles", "nothing here waits for anything: there are no timers")
    if end.get("missing"):
        raise JavaScriptError("error", "the code defines no function `run`", "function run(inputs) { … }")
    if end.get("unfit"):
        raise JavaScriptError("invalid_output", f"JSON cannot say what it returned: {end['error']}", "return plain data")
    if "error" in end:
        name = end["name"]
        if name == "InternalError":
            raise _failure(f"{name}: {end['error']}", memory_bytes_max)
        message = f"{name}: {end['error']}" if name else end["error"]
        raise JavaScriptError("error", message, _absent(message), end["stack"], name)
    return json.loads(end["value"]) if end["value"] is not None else None


class _Disk:
    """The files that a step may open, as text; each function says what is wrong instead of raising."""

    def __init__(self, reach: Any) -> None:
        self._refusal = reach.refusal

    def load(self, path: str) -> str:
        """`[problem, text]`, as JSON. A file that is not there is null."""
        why, text = self._refusal(path), None
        if not why:
            try:
                with open(path, encoding="utf-8") as file:
                    text = file.read()
            except FileNotFoundError:
                pass
            except (OSError, ValueError) as error:
                why = f"{path}: {error}"
        return json.dumps([why, text], ensure_ascii=False)

    def save(self, path: str, text: str) -> str:
        if not (why := self._refusal(path, "w")):
            try:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            except (OSError, ValueError) as error:
                why = f"{path}: {error}"
        return str(why)


def _failure(text: str, memory_bytes_max: int) -> JavaScriptError:
    first, _, stack = text.strip().partition("\n")
    if "out of memory" in first:
        message = f"it took more than {memory_bytes_max >> 20} MiB"
        return JavaScriptError("out_of_memory", message, "compute on less at once, or in a step of another kind")
    return JavaScriptError("error", first, _absent(first), stack, first.partition(":")[0] if ": " in first else "")


def _absent(message: str) -> str:
    """A hint for whoever looks for Node."""
    name = message.removeprefix("ReferenceError: ").removesuffix(" is not defined")
    return "there is the language and `console`: no modules, no Node, no timers, no network" if name in NODE else ""
