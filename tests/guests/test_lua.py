"""Lua in a step: what goes in, what comes out, and what it cannot do. (What never ends is killed with its process.)"""

from typing import Any

import pytest

from weft.guests import lua

SMALL = 8 << 20


def fails(code: str, inputs: dict[str, Any] | None = None) -> dict[str, Any]:
    with pytest.raises(lua.LuaError) as caught:
        lua.run(code, inputs or {}, SMALL)
    return dict(caught.value.weft_record)


def test_data_in_and_out() -> None:
    inputs = {"a": None, "b": [1, None, 3], "c": {"x": True}, "d": "é\n\x00", "n": 2**53, "f": 1.5}
    assert lua.run("function run(i) return i end", inputs) == {key: inputs[key] for key in "bcdfn"}


def test_whole_numbers_that_are_too_large_become_floats_as_in_a_program() -> None:
    inputs = {"a": [2**64, {"b": -(2**70)}], "c": 2**63 - 1, "d": True}
    assert lua.run("function run(i) return i end", inputs) == {"a": [2.0**64, {"b": -(2.0**70)}], "c": 2**63 - 1, "d": True}


@pytest.mark.parametrize(
    ("returns", "value"),
    [
        ("nil", None),
        ("{}", {}),
        ("{1, 2, {a = 1}}", [1, 2, {"a": 1}]),
        ("{[1] = 1, [3] = 3}", [1, None, 3]),
        ("{[5000] = 1}", {"5000": 1}),
        (
            "{b = 1, a = 2, [true] = 3, [1] = 4, [1.5] = 5, [false] = 6}",
            {"1": 4, "1.5": 5, "a": 2, "b": 1, "false": 6, "true": 3},
        ),
        ("1, 2", 1),
        ("print", "function"),
        ("{x = {coroutine.create(print)}}", {"x": ["function"]}),
        ("('x'):upper()", "X"),
        ("load('return 1 + 1')()", 2),
        ("load(coroutine.wrap(function() coroutine.yield('return ') coroutine.yield('7') coroutine.yield('') end))()", 7),
        ("_G.print == print", True),
    ],
)
def test_what_comes_back(returns: str, value: Any) -> None:
    found = lua.run(f"function run() return {returns} end", {})
    assert found == value
    if isinstance(value, dict):
        assert list(found) == sorted(found)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "io",
            "package",
            "require",
            "debug",
            "dofile",
            "loadfile",
            "python",
            "collectgarbage",
            "os.execute",
            "os.getenv",
            "os.exit",
        ),
        *("os.remove", "os.rename", "os.tmpname", "string.dump", "getmetatable('').__index.dump"),
    ],
)
def test_what_is_not_there(name: str) -> None:
    assert lua.run(f"function run() return {name} end", {}) is None


def test_bytecode_is_refused() -> None:
    assert lua.run("function run() local f, why = load(string.char(27) .. 'Lua') return {f == nil, why} end", {})[0] is True
    assert "binary chunk" in fails("\x1bLua")["message"]


def test_it_has_one_python_function_and_no_way_from_there() -> None:
    escape = """
    function run()
      local write = nil
      for n = 1, 20 do
        local ok, got = pcall(function() return print.__globals__ end)
        if ok and got then return got end
      end
      local ok, got = pcall(function() return getmetatable(print) end)
      return {ok, got}
    end
    """
    assert lua.run(escape, {}) == [True]


def test_what_is_printed_is_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    lua.run("print('top') function run() print(1, nil, 'x') end", {})
    assert capsys.readouterr().out == "top\n1\tnil\tx\n"


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("function run( return 1 end", "error", "step:1: <name> or '...' expected near 'return'"),
        ("x = 1\nfunction run() error('boom') end", "error", "step:2: boom"),
        ("function run() error({code = 1}) end", "error", "it raised an error that is no text"),
        ("return 5", "error", "the code defines no function `run`"),
        ("function run() local t = {} t.t = t return t end", "invalid_output", "holds itself"),
        ("function run() return '\\xff' end", "invalid_output", "not UTF-8"),
        ("function run() return {[{}] = 1} end", "invalid_output", "neither text nor number"),
        (
            "function run() local t = {} while true do t[#t + 1] = ('y'):rep(1e5) .. #t end end",
            "out_of_memory",
            "more than 8 MiB",
        ),
        ("t = {} while true do t[#t + 1] = ('y'):rep(1e5) .. #t end", "out_of_memory", "more than 8 MiB"),
        ("function run() return ('x'):rep(1e15) end", "error", "resulting string too large"),
    ],
)
def test_failures(code: str, kind: str, message: str) -> None:
    record = fails(code)
    assert record["kind"] == kind
    assert message in record["message"]


@pytest.mark.parametrize("number", ["1/0", "-1/0", "0/0"])
def test_what_json_cannot_say(number: str) -> None:
    record = fails(f"function run() return {{ x = {{ {number} }} }} end")
    assert record["kind"] == "invalid_output"
    assert record["message"].startswith("`output.x[1]` is ")
    assert record["hint"] == "return nil for a missing number"


def test_a_failure_has_its_stack() -> None:
    assert "stack traceback" in fails("function run() error('boom') end")["tail"]
