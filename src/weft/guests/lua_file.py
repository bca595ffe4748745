"""A program of its own: Lua text on stdin, and what its global `workflow` holds on stdout, as JSON. For files that are programs.

The text runs confined like the Lua of a step, and has seconds instead of as long as it likes: whoever starts this kills it then.
A function in the table comes as its place in the text, since a workflow may define a step's `run` right there.
"""

from __future__ import annotations

import json
import os
import resource
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import lua  # type: ignore[import-not-found]  # the module beside this one

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any  # somebody waits for this program: with typing and pathlib it starts a third slower

MEMORY_BYTES_MAX = 64 << 20
"""A definition is text; a bomb is stopped before it hurts."""
OUTPUT_BYTES_MAX = 32 << 20
ITEMS_MAX = 1_000_000
"""More is no definition."""
CPU_S = 1
"""Processor seconds for the whole program; a definition takes milliseconds."""

WHERE = "local info = debug.getinfo(...) return info.linedefined, info.lastlinedefined"


class Plain:
    """A Lua table as JSON-shaped data, functions as `{"__function__": [first line, last line]}`."""

    def __init__(self, lua54: Any, runtime: Any) -> None:
        self._type = lua54.lua_type
        self._where = runtime.compile(f"local f = ... return (function(...) {WHERE} end)(f, 'S')")
        self._items = 0

    def of(self, value: Any, depth: int = 0) -> Any:
        kind = self._type(value)
        self._items += 1
        if self._items > ITEMS_MAX or depth > lua.DEPTH_MAX:
            raise lua.LuaError("error", "the table `workflow` is too large, too deep, or holds itself")
        if kind is None:
            return value
        if kind != "table":
            first, last = self._where(value)
            return {"__function__": [first, last]}
        pairs = list(value.items())
        if pairs and all(type(key) is int and 0 < key <= len(pairs) for key, _ in pairs):
            return [self.of(item, depth + 1) for _, item in sorted(pairs)]
        return {lua._key(key, "workflow"): self.of(item, depth + 1) for key, item in pairs}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    text = sys.stdin.buffer.read().decode()
    answer: dict[str, Any] = {}
    try:
        from lupa import lua54

        runtime = lua54.LuaRuntime(
            register_eval=False, register_builtins=False, attribute_filter=lua._nothing, max_memory=MEMORY_BYTES_MAX
        )
        try:
            env, _ = lua.evaluated(lua54, runtime, text, "=file", write=sys.stderr.write)
            answer["workflow"] = Plain(lua54, runtime).of(env["workflow"])
        except lua54.LuaMemoryError:
            answer["error"] = f"it took more than {MEMORY_BYTES_MAX >> 20} MiB"
        except lua54.LuaError as error:
            answer["error"] = str(error).partition("\n")[0] or "it raises an error that is no text"
        except UnicodeDecodeError:
            answer["error"] = "the table `workflow` holds a text that is not UTF-8"
        packet = json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        packet = b'{"error": "the table `workflow` holds a number that is infinite or no number"}'
    except lua.LuaError as error:
        packet = json.dumps({"error": str(error)}).encode()
    except ImportError:
        packet = b'{"missing": true}'
    if len(packet) > OUTPUT_BYTES_MAX:
        packet = b'{"error": "the table `workflow` is too large"}'
    sys.stdout.buffer.write(packet)


if __name__ == "__main__":
    main()
