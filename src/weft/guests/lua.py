"""Runs the Lua of a step, in a worker process: pure computing, no way to programs, networks or Python.

- What Lua may use is listed here by name; whatever is not listed is not there. `load` takes text only, since bytecode can break
  out of the interpreter, and nothing writes bytecode.
- Files are opened by Lua's own `io.open`, if the step declares them: our function looks at the path first.
- Memory is bounded by the allocator. Time is not: a loop around `pcall` escapes every hook, so it is the process that is killed.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any  # the first step waits for this module, and typing takes longer than all of it

beside: Any = None
"""The module `reach`, where files are declared."""

MEMORY_BYTES_MAX = 512 << 20
"""What all values of one step may take together: a worker for each processor still fits into a small machine."""
DEPTH_MAX = 200
"""Nesting of a result, as for Python steps."""
HOLES_MAX = 1_000
"""Missing items of a list that are filled with null; more of them, and a table is a mapping by number."""

BASE = (
    *("assert", "error", "ipairs", "next", "pairs", "pcall", "rawequal", "rawget", "rawlen", "rawset", "select", "getmetatable"),
    *("setmetatable", "tonumber", "tostring", "type", "xpcall", "_VERSION"),
)
LIBRARIES = ("coroutine", "math", "string", "table", "utf8")
OS = ("clock", "date", "difftime", "time")
SETUP = """
local base, libraries, os_names, write, refusal = ...
local real = _G
local env = {}
for name in base:gmatch("%S+") do env[name] = real[name] end
for name in libraries:gmatch("%S+") do
  env[name] = {}
  for key, value in pairs(real[name]) do env[name][key] = value end
end
env.string.dump = nil
env.os = {}
for name in os_names:gmatch("%S+") do env.os[name] = real.os[name] end
env._G = env
env.print = function(...)
  local parts = {}
  for n = 1, select("#", ...) do parts[n] = tostring((select(n, ...))) end
  write(table.concat(parts, "\\t") .. "\\n")
end
if refusal then
  local function open(path, mode)
    local why = refusal(tostring(path), tostring(mode or "r"))
    if why ~= "" then return nil, why end
    return real.io.open(path, mode)
  end
  env.io = { open = open, type = real.io.type, lines = function(path, ...)
    local file, why = open(path)
    if not file then error(why, 2) end
    return file:lines(...)
  end }
end
env.load = function(chunk, name, mode, inner)
  if type(chunk) == "function" then
    local parts = {}
    for part in chunk do
      if part == "" then break end
      parts[#parts + 1] = part
    end
    chunk = table.concat(parts)
  end
  return load(chunk, name or "=load", "t", inner == nil and env or inner)
end
getmetatable("").__index = env.string  -- methods of texts: without `dump` too
return env, function(code, name) return load(code, name, "t", env) end
"""


class LuaError(Exception):
    """A failure of the step's Lua. `weft_record` is what the engine is told."""

    def __init__(self, kind: str, message: str, hint: str = "", tail: str = "") -> None:
        super().__init__(message)
        self.weft_record = {"kind": kind, "message": message[:500], "hint": hint, "tail": tail[-8192:], "exception": "LuaError"}


def run(
    code: str, inputs: dict[str, Any], memory_bytes_max: int = MEMORY_BYTES_MAX, files: dict[str, list[str]] | None = None
) -> Any:
    """What `run(inputs)` of the code returns, as JSON-shaped data. `files`: what it may open, see `reach`. Raises LuaError."""
    from lupa import lua54

    runtime = lua54.LuaRuntime(
        register_eval=False,
        register_builtins=False,
        attribute_filter=_nothing,
        max_memory=memory_bytes_max,
        unpack_returned_tuples=False,
    )
    try:
        refusal = beside.Reach(**files).refusal if files else None
        env, _ = evaluated(lua54, runtime, code, refusal=refusal)
        function = env["run"]
        if lua54.lua_type(function) != "function":
            raise LuaError("error", "the code defines no function `run`", "function run(inputs) … end")
        try:
            table = runtime.table_from(inputs, recursive=True)
        except OverflowError:
            table = runtime.table_from(_with_floats(inputs), recursive=True)
        return plain(lua54, function(table), "output", ())
    except lua54.LuaMemoryError:
        hint = "compute on less at once, or in a step of another kind"
        raise LuaError("out_of_memory", f"it took more than {memory_bytes_max >> 20} MiB", hint) from None
    except lua54.LuaError as error:
        first, _, rest = str(error).partition("\n")
        raise LuaError("error", first or "it raised an error that is no text", tail=rest) from None
    except UnicodeDecodeError:
        raise LuaError("invalid_output", "the result holds a text that is not UTF-8") from None


def _with_floats(value: Any) -> Any:
    """What Lua makes of whole numbers of more than 64 bits, also where they are written in a program."""
    if isinstance(value, dict):
        return {key: _with_floats(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_floats(item) for item in value]
    return float(f"{value}.0") if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63 else value


def evaluated(
    lua54: Any, runtime: Any, code: str, name: str = "=step", write: Any = None, refusal: Any = None
) -> tuple[Any, Any]:
    """Run the code's top level in a confined environment; that environment, and what the code returned. Raises lua54.LuaError.

    `write` gets what is printed, stdout if it is not given. `refusal` says why a path may not be opened; without
    it there are no files.
    """
    setup = runtime.compile(SETUP)
    env, load = setup(" ".join(BASE), " ".join(LIBRARIES), " ".join(OS), write or sys.stdout.write, refusal)
    loaded = load(code, name)
    chunk, message = loaded if isinstance(loaded, tuple) else (loaded, None)
    if chunk is None:
        raise lua54.LuaError(message)
    return env, chunk()


def _nothing(target: object, name: str, setting: bool) -> str:
    """Lua is given no Python object but one function; of that it may not even read an attribute."""
    raise AttributeError("not from Lua")


def plain(lua54: Any, value: Any, where: str, above: tuple[Any, ...]) -> Any:
    """A Lua value as JSON-shaped data: keys 1 to n make a list, the empty table is an empty mapping, keys are sorted."""
    kind = lua54.lua_type(value)
    if kind is None:
        if isinstance(value, tuple):  # run returned several values: the first counts
            return plain(lua54, value[0], where, above) if value else None
        if isinstance(value, float) and value - value:  # infinite, or no number
            raise LuaError("invalid_output", f"`{where}` is {value}, which JSON cannot say", "return nil for a missing number")
        return value
    if kind != "table":
        return "function"  # or a coroutine, which looks the same from here
    if len(above) > DEPTH_MAX or any(value == each for each in above):
        raise LuaError("invalid_output", f"the result is nested deeper than {DEPTH_MAX} levels, or holds itself")
    above = (*above, value)
    pairs = list(value.items())  # no dict: for that, `true` is the key 1
    if pairs and all(type(key) is int and 0 < key <= len(pairs) + HOLES_MAX for key, _ in pairs):
        items = dict(pairs)
        return [plain(lua54, items.get(n), f"{where}[{n}]", above) for n in range(1, max(items) + 1)]
    texts = {_key(key, where): item for key, item in pairs}
    return {key: plain(lua54, texts[key], f"{where}.{key}", above) for key in sorted(texts)}


def _key(key: Any, where: str) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, int | float):
        return f"{key:g}" if isinstance(key, float) else str(key)
    raise LuaError("invalid_output", f"`{where}` has a key that is neither text nor number", "use texts as keys")
