"""JavaScript in a step: what goes in, what comes out, and what it cannot do."""

from typing import Any

import pytest

from weft.guests import js

SMALL = 8 << 20


def fails(code: str) -> dict[str, Any]:
    with pytest.raises(js.JavaScriptError) as caught:
        js.run(code, {}, SMALL)
    return dict(caught.value.weft_record)


def test_data_in_and_out() -> None:
    inputs = {"a": None, "b": [1, None, 3], "c": {"x": True}, "d": "é\n\x00\u2028\"'`${x}", "n": 2**53, "f": 1.5}
    assert js.run("function run(i) { return i }", inputs) == inputs


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("function run() {}", None),
        ("function run() { return null }", None),
        ("const run = (i) => [i.x]", [5]),
        ("async function run({x}) { await null; return x + await Promise.resolve(1) }", 6),
        ("function run() { return [typeof std, typeof os, typeof process, typeof require, typeof fetch] }", ["undefined"] * 5),
        ("function run() { return [typeof setTimeout, typeof WebAssembly, typeof __loadScript] }", ["undefined"] * 3),
    ],
)
def test_what_comes_back(code: str, value: Any) -> None:
    assert js.run(code, {"x": 5}) == value


def test_what_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    js.run("console.log('a', {b: 1}, null, undefined); function run() { console.error([1]) }", {})
    said = capsys.readouterr()
    assert (said.out, said.err) == ('a {"b":1} null undefined\n', "[1]\n")


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("function run( {", "error", "SyntaxError"),
        ("function run() { throw new TypeError('x') }", "error", "TypeError: x"),
        ("throw new RangeError('top')", "error", "RangeError: top"),
        ("function run() { throw {code: 1} }", "error", '{"code":1}'),
        ("function run() { throw 'text' }", "error", "text"),
        ("function run() { throw undefined }", "error", "undefined"),
        ("var a = 1", "error", "the code defines no function `run`"),
        ("function run() { return run() }", "error", "call stack"),
        ("function run() { return new Promise(() => {}) }", "error", "its promise never settles"),
        ("function run() { return 10n }", "invalid_output", "JSON cannot say what it returned"),
        ("function run() { const a = []; for (;;) a.push('x'.repeat(1e5) + a.length) }", "out_of_memory", "more than 8 MiB"),
        ("const a = []; for (;;) a.push('x'.repeat(1e5) + a.length)", "out_of_memory", "more than 8 MiB"),
    ],
)
def test_failures(code: str, kind: str, message: str) -> None:
    record = fails(code)
    assert record["kind"] == kind
    assert message in record["message"]


@pytest.mark.parametrize(
    ("code", "is_node"),
    [
        ("const fs = require('fs')", True),
        ("async function run() { await fetch('x') }", True),
        ("function run() { return process.env }", True),
        ("function run() { return proces.env }", False),
    ],
)
def test_whoever_looks_for_node_is_told(code: str, is_node: bool) -> None:
    with pytest.raises(js.JavaScriptError) as caught:
        js.run(code, {})
    assert ("no Node" in caught.value.weft_record["hint"]) == is_node


def test_the_name_of_the_exception_can_be_matched() -> None:
    assert fails("function run() { throw new TypeError('x') }")["exception"].split()[0] == "TypeError"
