"""The keys of steps in other languages: rows of the one table in `spec`, which holds them together with the others."""

from typing import Final

from weft.model.keys import Key, Keys
from weft.model.shape import Boolean, Either, Record, Text

LUA: Final = Key(
    "lua",
    Text(what="Lua code", field="code"),
    "Lua 5.4 code that defines `run(inputs)`: it gets the table of `with` and returns the output. It reaches no files, "
    "programs or networks.",
    "'function run(inputs) return 42 end'",
)
JS: Final = Key(
    "js",
    Text(what="JavaScript code", field="code"),
    "JavaScript code that defines `run(inputs)`, which gets `with` and returns the output, or a promise of it. It reaches no "
    "files, programs or networks.",
    "'function run(inputs) { return 42 }'",
)
WASM: Final = Key(
    "wasm",
    Either((Text(what="a path"), Record("wasm"))),
    "Path of a WebAssembly module, a WASI command: it reads `with` as JSON from stdin and writes the output as JSON to "
    "stdout. It reaches nothing else. A mapping names a function of the module that is called instead.",
    "./sum.wasm",
)

WASM_RECORDS: Final = {
    "wasm": Keys(
        "`wasm`",
        (
            Key("module", Text(what="a path"), "Path of the module, relative to the step's folder.", "./sum.wasm", required=True),
            Key(
                "function",
                Text(what="the name of a function"),
                "An exported function without parameters that is called instead of the command. The output is what it returns, a "
                "number.",
                "run",
            ),
            Key(
                "report",
                Boolean(),
                "The number is a status, and the output tells about the call: 0 is a success, up to 10 a warning, else the step "
                "has failed.",
                "true",
                "false",
            ),
        ),
        meant={"path": "module", "file": "module", "func": "function", "export": "function"},
    ),
}
