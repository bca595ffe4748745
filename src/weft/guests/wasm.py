"""Runs a WebAssembly module of a step, in a worker process: a WASI command with JSON on stdin and JSON on stdout.

It sees its standard streams and the folders that the step declares, and nothing else: no environment, no network. Time is bounded
by the step's `timeout`, which ends the process.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any  # see `lua`

beside: Any = None
"""The module `reach`, where files are declared."""

MEMORY_BYTES_MAX = 512 << 20
"""Of its linear memory: a worker for each processor still fits into a small machine."""
TAIL_CHARS_MAX = 8192
WARNING_MAX = 10
"""Return codes up to this are no errors, where a module reports."""


class WasmError(Exception):
    """A failure of the step's module. `weft_record` is what the engine is told."""

    def __init__(self, kind: str, message: str, hint: str = "", tail: str = "", exit_code: int | None = None) -> None:
        super().__init__(message)
        self.weft_record = {"kind": kind, "message": message[:500], "hint": hint, "tail": tail, "exception": "WasmError"}
        if exit_code is not None:
            self.weft_record["exit_code"] = exit_code  # type: ignore[assignment]


def run(
    module: str,
    inputs: dict[str, Any],
    function: str = "",
    report: bool = False,
    memory_bytes_max: int = MEMORY_BYTES_MAX,
    files: dict[str, list[str]] | None = None,
) -> Any:
    """What the command writes to stdout, as JSON; or what the exported `function`, called without arguments, returns, a number.

    With `report` the number is a status, and the result tells about the call.

    `module` is a path, relative to the step's folder; `.wat` text is taken too. `files`: see `reach`; a module is
    given the folders among them, by their paths from its own. Raises WasmError.
    """
    import wasmtime

    engine = wasmtime.Engine()
    store = wasmtime.Store(engine)
    store.set_limits(memory_size=memory_bytes_max)
    try:
        compiled = wasmtime.Module.from_file(engine, module)
    except (wasmtime.WasmtimeError, OSError) as error:
        hint = f"paths begin in the step's folder, {os.getcwd()}"
        raise WasmError("error", f"`{module}` is no module that can be run: {_first(error)}", hint) from None
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    streams = _Streams(inputs)
    config = streams.config(wasmtime)
    for path, writable in beside.Reach(**files).folders().items() if files else ():
        config.preopen_dir(path, os.path.relpath(path), writable)
    store.set_wasi(config)
    try:
        instance = linker.instantiate(store, compiled)
        entry = instance.exports(store).get(function or "_start")
        if not isinstance(entry, wasmtime.Func):
            raise WasmError(
                "error", f"`{module}` exports no function `{function or '_start'}`", _exports(store, instance, wasmtime)
            )
        result = entry(store)
    except wasmtime.ExitTrap as leave:
        if leave.code:
            raise WasmError("exit", f"exit {leave.code}", tail=streams.errors(), exit_code=leave.code) from None
        result = None
    except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
        raise WasmError(
            "error", f"`{module}` failed: {_first(error)}", tail=streams.errors() or str(error)[-TAIL_CHARS_MAX:]
        ) from None
    finally:
        streams.close()
    if report:
        return _report(module, function, inputs, result)
    return result if function else streams.output()


def _report(module: str, function: str, inputs: dict[str, Any], code: Any) -> dict[str, Any]:
    """0 is a success, 1 to WARNING_MAX an error that only warns, anything else one that the step fails of."""
    code = 0 if code is None else code
    if not isinstance(code, int):
        raise WasmError("invalid_output", f"`{function}` of `{module}` returned {code!r}, which is no whole number")
    if not 0 <= code <= WARNING_MAX:
        raise WasmError("exit", f"`{function}` of `{module}` returned {code}", exit_code=code)
    outcome = "warning" if code else "success"
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "wasm_execution": {
            "module": module,
            "function": function,
            "return_code": code,
            "status": "error" if code else "success",
            "input_count": len(inputs),
        },
        "input_summary": {name: _summary(value) for name, value in inputs.items()},
        "processed_data": {outcome: True, "message": f"{function} returned {code}", "timestamp": now},
    }


def _summary(value: Any) -> str:
    """The type of an input, by its name in JSON, with how large it is: `array[3]`, `number[1.5]`."""
    if value is None:
        return "null"
    if isinstance(value, bool | int | float):
        return f"{'bool' if isinstance(value, bool) else 'number'}[{json.dumps(value)}]"
    kind = "object" if isinstance(value, dict) else "array" if isinstance(value, list) else "string"
    return f"{kind}[{len(value)}]"


def _exports(store: Any, instance: Any, wasmtime: Any) -> str:
    names = [name for name, item in instance.exports(store).items() if isinstance(item, wasmtime.Func)]
    return "it exports " + ", ".join(f"`{name}`" for name in names) if names else "it exports no function at all"


def _first(error: BaseException) -> str:
    """The cause, where one is given after a backtrace."""
    text = str(error).strip()
    return text.partition("Caused by:")[2].strip().partition("\n")[0] or text.partition("\n")[0]


class _Streams:
    """The standard streams of a module, as files of the step's scratch folder; what it wrote to stderr goes to the step's log."""

    def __init__(self, inputs: dict[str, Any]) -> None:
        folder = os.environ["WEFT_DIR"]
        self._paths = [os.path.join(folder, f".wasm.{name}") for name in ("in", "out", "err")]
        with open(self._paths[0], "w", encoding="utf-8") as file:
            json.dump(inputs, file, ensure_ascii=False)
        self._out = self._err = b""

    def config(self, wasmtime: Any) -> Any:
        config = wasmtime.WasiConfig()
        config.stdin_file, config.stdout_file, config.stderr_file = self._paths
        return config

    def errors(self) -> str:
        self._read()
        return self._err.decode("utf-8", "replace")[-TAIL_CHARS_MAX:]

    def _read(self) -> None:
        if os.path.exists(self._paths[1]):
            with open(self._paths[1], "rb") as out, open(self._paths[2], "rb") as err:
                self._out, self._err = out.read(), err.read()

    def close(self) -> None:
        import sys

        self._read()
        sys.stderr.write(self._err.decode("utf-8", "replace"))
        for path in self._paths:
            if os.path.exists(path):
                os.unlink(path)

    def output(self) -> Any:
        text = self._out.strip()
        try:
            return json.loads(text) if text else None
        except ValueError as error:
            message = f"what it wrote to stdout is not JSON: {error}"
            raise WasmError("invalid_output", message, "write one JSON value, and logs to stderr") from None
