"""The code inside a worker, called as functions: how `run` is called, and what may be returned."""

import asyncio
import json
from collections import OrderedDict, namedtuple
from collections.abc import Iterator
from datetime import datetime
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.executors import worker
from weft.executors.worker import Failure

WRAPPED = """
import functools
def log(function):
    @functools.wraps(function)
    def inner(*args, **more): return function(*args, **more)
    return inner
@log
def run(a): return a
"""


def call(code: str, **inputs: Any) -> Any:
    function = worker.find_function({"step": "s", "request": {"code": code, "inputs": inputs}}, {})
    return worker.invoke(function, inputs)


@pytest.mark.parametrize(
    ("code", "inputs", "result"),
    [
        ("def run(): return 1", {}, 1),
        ("def run(a): return a", {"a": 1}, 1),
        ("def run(a, b=2): return [a, b]", {"a": 1}, [1, 2]),
        ("def run(a, *, b): return [a, b]", {"a": 1, "b": 3}, [1, 3]),
        ("def run(a, *, b=4): return [a, b]", {"a": 1}, [1, 4]),
        ("def run(**rest): return rest", {"a": 1}, {"a": 1}),
        ("def run(a, **rest): return rest", {"a": 1, "b": 2}, {"b": 2}),
        ("def run(*more, a=1): return [a, *more]", {"a": 2}, [2]),
        ("def run(inputs): return inputs", {"a": 1}, {"a": 1}),
        ("def run(inputs): return inputs", {}, {}),
        ("def run(inputs): return inputs", {"inputs": 1}, 1),
        ("def run(inputs, b): return [inputs, b]", {"inputs": 1, "b": 2}, [1, 2]),
        ("async def run(a): return a", {"a": 1}, 1),
        ("class run:\n    def __new__(cls, a): return a", {"a": 1}, 1),
        ("from functools import partial\nrun = partial(lambda a, b: [a, b], b=2)", {"a": 1}, [1, 2]),
        ("run = dict", {"a": 1}, {"a": 1}),
        (
            WRAPPED,
            {"a": 1},
            1,
        ),
    ],
)
def test_run_is_called_the_way_it_asks_for(code: str, inputs: dict[str, Any], result: Any) -> None:
    assert call(code, **inputs) == result


@pytest.mark.parametrize(
    ("code", "inputs", "says"),
    [
        ("def run(a, b): pass", {"b": 1}, ["it needs `a`"]),
        ("def run(a): pass", {"a": 1, "x": 1, "y": 2}, ["it does not take `x`, `y`"]),
        ("def run(a): pass", {"x": 1}, ["it needs `a` and it does not take `x`"]),
        ("def run(): pass", {"x": 1}, ["it does not take `x`"]),
        ("def run(*, a): pass", {}, ["it needs `a`"]),
        ("class run:\n    def __init__(self, a): pass", {}, ["it needs `a`"]),
        ("async def run(a): pass", {}, ["it needs `a`"]),
    ],
)
def test_inputs_that_do_not_fit(code: str, inputs: dict[str, Any], says: list[str]) -> None:
    with pytest.raises(Failure) as caught:
        call(code, **inputs)
    assert caught.value.record["kind"] == "input"
    assert all(text in caught.value.record["message"] for text in says)
    assert "`run` takes" in caught.value.record["hint"]


def test_parameters_by_position_only_cannot_be_given_by_name() -> None:
    with pytest.raises((Failure, TypeError)):
        call("def run(a, /): return a", a=1)


def test_a_module_without_run() -> None:
    with pytest.raises(Failure, match="defines no function `run`"):
        call("x = 1")


def test_a_namespace_is_fresh_for_each_call_and_compiled_once() -> None:
    codes: dict[str, Any] = {}
    request = {"step": "s", "request": {"code": "seen = []\ndef run():\n    seen.append(1)\n    return seen"}}
    assert [worker.invoke(worker.find_function(request, codes), {}) for _ in range(2)] == [[1], [1]]
    assert len(codes) == 1


def test_compiled_texts_are_bounded() -> None:
    codes: dict[str, Any] = {}
    for i in range(worker.CODES_MAX + 10):
        worker.find_function({"step": "s", "request": {"code": f"def run(): return {i}"}}, codes)
    assert len(codes) <= worker.CODES_MAX


def test_dataclasses_can_be_defined_in_a_step() -> None:
    code = (
        "from __future__ import annotations\nfrom dataclasses import dataclass, asdict\n"
        "@dataclass\nclass P:\n    x: int\ndef run(x): return asdict(P(x))"
    )
    assert call(code, x=1) == {"x": 1}


class Colour(IntEnum):
    RED = 1


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        ((1, (2,)), "[1,[2]]"),
        (Pair(1, 2), "[1,2]"),
        (OrderedDict(b=1), '{"b":1}'),
        ([Colour.RED], "[1]"),
        (10**30, "1" + "0" * 30),
        ("é\0\n", '"é\\u0000\\n"'),
        ({"a": [True, 1.5, None]}, '{"a":[true,1.5,null]}'),
    ],
)
def test_what_json_can_say_is_returned(value: Any, text: str) -> None:
    assert worker.as_json(value).decode() == text


def iter_nothing() -> Iterator[int]:
    yield from ()


def _cycle() -> list[Any]:
    cycle: list[Any] = []
    cycle.append({"again": cycle})
    return cycle


@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        ({"a": [1, {2}]}, "`output.a[1]` is of type set", "list(…)"),
        (b"x", "`output` is of type bytes", "decode"),
        ([float("nan")], "`output[0]` is nan", "None"),
        ({"x": float("-inf")}, "`output.x` is -inf", "None"),
        ({1: 2}, "`output` has the key 1 of type int", "str(k)"),
        ({"a": {None: 2}}, "`output.a` has the key None of type NoneType", "str(k)"),
        (iter_nothing(), "`output` is of type generator", "list(…)"),
        ([datetime(2026, 1, 1)], "`output[0]` is of type datetime", "isoformat"),
        (Path("/"), "`output` is of type PosixPath", "str(…)"),
        (partial(print), "`output` is of type partial", "what JSON can say"),
        (_cycle(), "nested deeper than 200 levels", "JSON"),
        ("\udc80", "surrogate", "decode"),
    ],
)
def test_what_json_cannot_say_is_refused_with_its_place(value: Any, message: str, hint: str) -> None:
    with pytest.raises(Failure) as caught:
        worker.as_json(value)
    assert caught.value.record["kind"] == "invalid_output"
    assert message in caught.value.record["message"]
    assert hint in caught.value.record["hint"]


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(plain)
def test_a_result_reads_back_as_it_was(value: Any) -> None:
    assert json.loads(worker.as_json(value)) == value


@settings(deadline=None)
@given(plain, st.sampled_from([float("nan"), float("inf"), {1}, b"x", {1: 1}, object()]))
def test_no_depth_hides_what_json_cannot_say(value: Any, bad: Any) -> None:
    with pytest.raises(Failure):
        worker.as_json([value, {"k": [value, bad]}])


def test_an_exception_shows_the_steps_own_lines() -> None:
    code = "def run(a):\n    return helper(a)\ndef helper(a):\n    return a['missing']\n"
    request = {"step": "parse", "request": {"code": code, "inputs": {"a": {}}}}
    _, record = worker.run(request, {})
    assert record is not None
    assert (record["kind"], record["message"]) == ("error", "KeyError: 'missing'")
    assert record["exception"].split() == ["KeyError", "LookupError", "Exception", "BaseException"]
    assert 'File "<parse>", line 4, in helper' in record["tail"]
    assert "return a['missing']" in record["tail"]
    assert "worker.py" not in record["tail"]


def test_a_traceback_of_async_code_leaves_the_machinery_out() -> None:
    _, record = worker.run({"step": "s", "request": {"code": "async def run(): raise ValueError('x\\ny')", "inputs": {}}}, {})
    assert record is not None
    assert record["message"] == "ValueError: x"
    assert "runners.py" not in record["tail"]


@pytest.mark.parametrize(
    ("code", "kind", "message", "exit_code"),
    [
        ("import sys\ndef run(): sys.exit(3)", "exit", "exit 3", 3),
        ("import sys\ndef run(): sys.exit('no luck')", "exit", "no luck", 1),
        ("def run(): raise KeyboardInterrupt", "error", "KeyboardInterrupt", None),
        ("def run(:", "error", "SyntaxError: invalid syntax (<s>, line 1)", None),
        ("def run(): return run()", "error", "RecursionError: maximum recursion depth exceeded", None),
        ("class E(Exception):\n    def __str__(self): return 1 / 0\ndef run(): raise E", "error", "E", None),
        ("import sys\ndef run(): sys.stderr = None; 1 / 0", "error", "ZeroDivisionError: division by zero", None),
        ("1/0\ndef run(): pass", "error", "ZeroDivisionError: division by zero", None),
        (
            "def run(): raise ExceptionGroup('two', [ValueError(1), KeyError(2)])",
            "error",
            "ExceptionGroup: two (2 sub-exceptions)",
            None,
        ),
    ],
)
def test_whatever_a_step_raises_is_its_failure(code: str, kind: str, message: str, exit_code: int | None) -> None:
    _, record = worker.run({"step": "s", "request": {"code": code, "inputs": {}}}, {})
    assert record is not None
    assert (record["kind"], record["message"], record.get("exit_code")) == (kind, message, exit_code)


@pytest.mark.parametrize("code", ["0", "None", ""])
def test_leaving_with_success_is_success(code: str) -> None:
    assert worker.run({"step": "s", "request": {"code": f"import sys\ndef run(): sys.exit({code})", "inputs": {}}}, {}) == (
        b"null",
        None,
    )


def test_asyncio_has_no_loop_left(recwarn: pytest.WarningsRecorder) -> None:
    assert call("import asyncio\nasync def run():\n    await asyncio.sleep(0)\n    return 1") == 1
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
