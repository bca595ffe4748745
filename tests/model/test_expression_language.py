"""The expression language: what texts mean, what they refer to, and what is said of those that mean nothing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from weft.model.evaluate import evaluate, verdict
from weft.model.expression import CACHED_CHARS_MAX, BudgetExceeded, ExpressionError, MissingPath, Reference, parse

SCOPE: dict[str, Any] = {
    "inputs": {"day": "2026-01-31", "n": 3, "list": [10, 20, 30], "none": None, "yes": True, "key": "rows"},
    "steps": {
        "build-frontend": {"output": {"rows": 7, "b c": 1, "in": 2, "0": "zero"}, "status": "succeeded"},
        "empty": {"output": None, "status": "skipped"},
    },
    "source": "crm",
}


def value_of(text: str) -> Any:
    return evaluate(parse(text), SCOPE)


def error_of(text: str) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        value_of(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # literals
        ("1", 1),
        ("-0.5", -0.5),
        ("1e3", 1000.0),
        ("2E-1", 0.2),
        ("-9223372036854775808", -(2**63)),
        ("true", True),
        ("false", False),
        ("null", None),
        ('"a"', "a"),
        ("'a'", "a"),
        (r'"\"\\\/\b\f\n\r\t\'"', "\"\\/\b\f\n\r\t'"),
        (r"'\u00e9\ud83d\ude00'", "é😀"),
        ("'two\nlines'", "two\nlines"),
        ("[]", []),
        ("[1, [2], 'x']", [1, [2], "x"]),
        ("{}", {}),
        ("{a: 1, 'b c': {d: [true]}, in: 2, build-x: 3}", {"a": 1, "b c": {"d": [True]}, "in": 2, "build-x": 3}),
        (" ( 1 ) ", 1),
        # paths
        ("source", "crm"),
        ("steps.build-frontend.output.rows", 7),
        ("steps . build-frontend . output . rows", 7),
        ("steps.build-frontend.output.in", 2),
        ('steps["build-frontend"].output["b c"]', 1),
        ("steps.build-frontend.output[inputs.key]", 7),
        ("inputs.list[0]", 10),
        ("inputs.list[-1]", 30),
        ("inputs.list[length([1])]", 20),
        ("inputs[(inputs.yes ? 'list' : 'none')][1]", 20),
        ("from_json('{\"a\": [1, 2]}').a[1]", 2),
        ("(inputs).list[0]", 10),
        ("(inputs.nothing?)", None),
        # optional paths
        ("inputs.nothing?", None),
        ("inputs.nothing.deeper[3].still?", None),
        ("inputs.list[3]?", None),
        ("inputs.day.x?", None),
        ("inputs.day[0]?", None),
        ("steps.empty.output.rows?", None),
        ("inputs.n?", 3),
        ("from_json('{}').a?", None),
        ("[inputs.a?, inputs.n?]", [None, 3]),
        ("{a: inputs.a?}", {"a": None}),
        ("inputs.a? == null", True),
        ("inputs.yes? ? 1 : 2", 1),
        ("inputs.yes ? inputs.a? : 2", None),
        ("default(inputs.a, 'x')", "x"),
        ("default(inputs.none, 'x')", "x"),
        ("default(inputs.n, inputs.missing)", 3),
        ("default(inputs.list[inputs.n], -1)", -1),
        ("default(first([]), 1)", 1),
        # choices
        ("inputs.yes?1:2", 1),
        ("inputs.yes ?-1:2", -1),
        ("inputs.yes? [1] : 2", [1]),
        ("inputs.yes? !true : 2", False),
        ("false ? 1 : false ? 2 : 3", 3),
        ("true ? true ? 1 : 2 : 3", 1),
        ("true || false ? 'a' : 'b'", "a"),
        # logic, which does not look at what does not matter
        ("!true", False),
        ("!!true", True),
        ("true && false || true", True),
        ("true || true && false", True),
        ("(true || true) && false", False),
        ("false && inputs.missing", False),
        ("true || inputs.missing", True),
        ("true && true && false", False),
        ("false || false || true", True),
        ("!false == true", True),
        # comparisons
        ("1 == 1.0", True),
        ("1 == true", False),
        ("0 == false", False),
        ("'1' == 1", False),
        ("null == null", True),
        ("null != false", True),
        ("[1, {a: 2}] == [1.0, {a: 2.0}]", True),
        ("[1] == [true]", False),
        ("{a: 1, b: 2} == {b: 2, a: 1}", True),
        ("{a: 1} == {a: 1, b: 2}", False),
        ("[] == {}", False),
        ("[['a']] != ['a']", True),
        ("9007199254740993 == 9007199254740992.0", False),
        ("1 < 2", True),
        ("2 <= 1.5", False),
        ("'b' > 'a'", True),
        ("'a' >= 'b'", False),
        ("1 < 2 && 2 < 3", True),
        ("(1 < 2) == true", True),
        # membership
        ("20 in inputs.list", True),
        ("20.0 in inputs.list", True),
        ("true in [1]", False),
        ("[1] in [[1]]", True),
        ("'day' in inputs", True),
        ("'dax' in inputs", False),
        ("'01' in inputs.day", True),
        ("!('x' in inputs.day)", True),
        ("steps.build-frontend.status in ['succeeded', 'reused']", True),
    ],
)
def test_values(text: str, value: object) -> None:
    result = value_of(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "message", "offset", "length", "hint"),
    [
        # not a text of the language
        ("", "expected a value, found the end", 0, 1, ""),
        ("1 +", "unexpected `+`", 2, 1, "no arithmetic"),
        ("inputs.n - 1", "unexpected `-`", 9, 1, "no arithmetic"),
        ("inputs.n -1", "expected an operator or the end, found `-1`", 9, 2, ""),
        ("3 -1", "found `-1`", 2, 2, "no arithmetic"),
        ("a = b", "unexpected `=`", 2, 1, "write `==`"),
        ("a === b", "unexpected `=`", 4, 1, "write `==`"),
        ("a & b", "unexpected `&`", 2, 1, "write `&&`"),
        ("a | upper", "unexpected `|`", 2, 1, "`f(a)`"),
        ("$day", "unexpected `$`", 0, 1, "a name stands alone"),
        ("`a`", "unexpected a backquote", 0, 1, "quotes"),
        ("'abc", "unexpected `'`", 0, 1, "not closed"),
        ('  "abc', 'unexpected `"`', 2, 1, "not closed"),
        ("a\x00b", "unexpected `\\x00`", 1, 1, ""),
        ("\ud800", "unexpected `\\ud800`", 0, 1, ""),
        ("'it''s'", "found `'s'`", 4, 3, "a quote inside a string is written `\\'`"),
        (r"'a\d'", r"unknown escape `\d`", 2, 2, r"`\\`"),
        (r"'\u12'", r"unknown escape `\u`", 1, 2, r"`\\`"),
        (r"'\`'", "unknown escape `\\``", 1, 2, r"`\\`"),
        (r"'\ud800'", "half a surrogate pair", 0, 8, ""),
        ("007", "`007` is not a number", 0, 3, "as in JSON"),
        ("1.", "`1.` is not a number", 0, 2, "as in JSON"),
        ("2fast", "`2fast` is not a number", 0, 5, "as in JSON"),
        ("1e999", "`1e999` is not a number", 0, 5, "as in JSON"),
        ("9223372036854775808", "`9223372036854775808` is not a number", 0, 19, "64 bits"),
        ("9" * 5_000, "is not a number", 0, 5_000, "as in JSON"),
        # words of other languages
        ("inputs.yes and true", "found `and`", 11, 3, "write `&&`"),
        ("inputs.yes or true", "found `or`", 11, 2, "write `||`"),
        ("not inputs.yes", "found `inputs`", 4, 6, "write `!`"),
        ("'a' not in inputs", "found `not`", 4, 3, "write `!`"),
        ("not(true)", "no function `not`", 0, 3, "write `!`"),
        ("inputs.n is null", "found `is`", 9, 2, "write `==`"),
        ("inputs.n eq 1", "found `eq`", 9, 2, "write `==`"),
        ("1 if true else 2", "found `if`", 2, 2, "test ? yes : no"),
        ("[x for x in inputs.list]", "found `for`", 3, 3, "for_each"),
        ('f"a"', 'found `"a"`', 1, 3, "${{ inputs.day }}"),
        ("inputs.yes == True", "there is no `True`", 14, 4, "write `true`"),
        ("inputs.none == None", "there is no `None`", 15, 4, "write `null`"),
        ("inputs.day.upper()", "no method calls", 11, 5, "`upper(text)`"),
        ("inputs.day.strip()", "no method calls", 11, 5, "`trim(text)`"),
        ("inputs.day.startsWith('a')", "no method calls", 11, 10, "`starts_with(text, prefix)`"),
        ("inputs.day.quux()", "no method calls", 11, 4, "the functions are default, length"),
        ("inputs.list[0]()", "no method calls", 11, 3, "the functions are"),
        ("len(inputs.day)", "no function `len`", 0, 3, "did you mean `length(value)`?"),
        ("toJSON(inputs)", "no function `toJSON`", 0, 6, "did you mean `to_json(value)`?"),
        ("quux(1)", "no function `quux`", 0, 4, "the functions are default"),
        # shapes
        ("inputs.list[0:1]", "expected `]`, found `:`", 13, 1, "no slices"),
        ("inputs.list[1.5]", "an index is a string or a whole number", 12, 3, ""),
        ("inputs.list[true]", "an index is a string or a whole number", 12, 4, ""),
        ("inputs.list[null]", "an index is a string or a whole number", 12, 4, ""),
        ("inputs.list.0", "expected a name, found `0`", 12, 1, "`a[0]`"),
        ("inputs.", "expected a name, found the end", 7, 1, ""),
        ("inputs.a?.b", "found `.`", 9, 1, "one `?` at the end"),
        ("inputs.a?[0]", "expected `:`, found the end", 12, 1, "`a.b?`"),
        ("true ? 1", "expected `:`, found the end", 8, 1, "test ? yes : no"),
        ("inputs?", "expected a value, found the end", 7, 1, ""),
        ("1 < 2 < 3", "found `<`", 6, 1, "`a < b && b < c`"),
        ("1 == 2 == 3", "found `==`", 7, 2, "do not chain"),
        ("(1", "expected `)`, found the end", 2, 1, ""),
        ("1)", "found `)`", 1, 1, ""),
        ("[1", "expected `]`, found the end", 2, 1, ""),
        ("[1,]", "expected a value, found `]`", 3, 1, ""),
        ("{a: 1,}", "expected a name or a string, found `}`", 6, 1, ""),
        ("{1: 2}", "expected a name or a string, found `1`", 1, 1, ""),
        ("{a 1}", "expected `:`, found `1`", 3, 1, ""),
        ("{a: 1 b: 2}", "expected `,`, found `b`", 6, 1, ""),
        ("{a: 1, 'a': 2}", "this name stands twice", 7, 3, ""),
        ("true.x", "found `.`", 4, 1, ""),
        ("in", "expected a value, found `in`", 0, 2, ""),
        ("1 in", "expected a value, found the end", 4, 1, ""),
        ("&& true", "expected a value, found `&&`", 0, 2, ""),
        ("length()", "`length(value)` takes 1 argument, not 0", 0, 8, 'for example `length(["a", "b"])`'),
        ("success(1)", "`success()` takes no argument, not 1", 0, 10, ""),
        ("1 == join([])", "`join(items, separator)` takes 2 arguments, not 1", 5, 8, "for example"),
        # types
        ("1 && true", "`&&` needs a boolean, not a number", 0, 1, "compare it"),
        ("true && 'x'", "`&&` needs a boolean, not a string", 8, 3, "compare it"),
        ("false || null", "`||` needs a boolean, not null", 9, 4, "compare it"),
        ("!inputs.list", "`!` needs a boolean, not a list", 1, 11, "compare it"),
        ("inputs ? 1 : 2", "`?` needs a boolean, not a mapping", 0, 6, "compare it"),
        ("true && (1 < 'a')", "`<` compares two numbers or two strings, not a number with a string", 9, 7, "to_number"),
        ("true < false", "not a boolean with a boolean", 0, 12, ""),
        ("[1] >= [1]", "not a list with a list", 0, 10, ""),
        ("null <= 1", "not null with a number", 0, 9, ""),
        ("1 in 'a1'", "only a string can be in a string, not a number", 0, 9, ""),
        ("null in inputs", "only a string can be in a mapping, not null", 0, 14, ""),
        ("1 in 5", "a number holds nothing", 0, 6, ""),
        ("inputs.list[inputs.yes]", "an index is a string or a whole number, not a boolean", 11, 12, ""),
        ("inputs.list[inputs.none]", "an index is a string or a whole number, not null", 11, 13, ""),
        ("upper(inputs.n)", "`upper(text)` takes a string as `text`, not a number", 6, 8, ""),
        ("length(3)", "takes a string or a list or a mapping as `value`, not a number", 7, 1, ""),
        ("success()", "`success()` has a meaning only in `if`", 0, 9, ""),
    ],
)
def test_errors(text: str, message: str, offset: int, length: int, hint: str) -> None:
    error = error_of(text)
    assert message in error.message
    assert str(error) == error.message
    assert (error.offset, error.length) == (offset, length)
    assert hint in error.hint
    assert not hint or error.hint


@pytest.mark.parametrize(
    ("text", "message", "offset", "length", "hint"),
    [
        ("input.day", "there is no `input` here", 0, 5, "did you mean `inputs`?"),
        ("quux", "there is no `quux` here", 0, 4, "there is `inputs`, `steps`, `source`"),
        ("quux.a?", "there is no `quux` here", 0, 4, "there is"),
        ("default(quux.a, 1)", "there is no `quux` here", 8, 4, "there is"),
        ("inputs.dya", "`inputs` has no `dya`", 7, 3, "did you mean `day`?"),
        ("steps.build_frontend.output", "`steps` has no `build_frontend`", 6, 14, "did you mean `build-frontend`?"),
        ("steps.quux.output", "`steps` has no `quux`", 6, 4, "there is `build-frontend`, `empty`"),
        ("steps.build-frontend.output['bc']", "`steps.build-frontend.output` has no `bc`", 27, 6, "did you mean `b c`?"),
        ("steps.build-frontend.output[0]", "is a mapping, its items have names", 27, 3, '`["0"]`'),
        ("steps.build-frontend.output['b c'].x", '`steps.build-frontend.output["b c"]` is a number and has no `x`', 35, 1, ""),
        ("steps.empty.output.rows", "`steps.empty.output` is null and has no `rows`", 19, 4, "add `?`"),
        ("steps.empty.output[0]", "`steps.empty.output` is null and has no items", 18, 3, "add `?`"),
        ("inputs.list[3]", "`inputs.list` has no item 3, its length is 3", 11, 3, ""),
        ("inputs.list[-4]", "`inputs.list` has no item -4", 11, 4, ""),
        ("inputs.list[9223372036854775807]", "has no item 9223372036854775807", 11, 21, ""),
        ("inputs.list.rows", "`inputs.list` is a list and has no `rows`", 12, 4, "`inputs.list[0]`"),
        ("inputs.list.length", "has no `length`", 12, 6, "write `length(inputs.list)`"),
        ("inputs.day.length", "`inputs.day` is a string and has no `length`", 11, 6, "write `length(inputs.day)`"),
        ("inputs.day[0]", "`inputs.day` is a string and has no items", 10, 3, ""),
        ("inputs.list[0].x", "`inputs.list[0]` is a number and has no `x`", 15, 1, ""),
        ("[1, inputs[inputs.day]]", "`inputs` has no `2026-01-31`", 10, 12, ""),
        ("from_json('{}').a", "`from_json(…)` has no `a`", 16, 1, ""),
        ("default(inputs.x?, inputs).y", "`default(inputs.x, inputs)` has no `y`", 27, 1, ""),
        ("(true ? inputs : 1).z", "`…` has no `z`", 20, 1, ""),
    ],
)
def test_missing_paths(text: str, message: str, offset: int, length: int, hint: str) -> None:
    error = error_of(text)
    assert type(error) is MissingPath
    assert message in error.message
    assert (error.offset, error.length) == (offset, length)
    assert hint in error.hint
    assert not hint or error.hint


def test_messages_are_short_whatever_the_path() -> None:
    deep: Any = {}
    for _ in range(1_000):
        deep = {"step": deep}
    with pytest.raises(MissingPath, match="…") as caught:
        evaluate(parse("a" + ".step" * 1_001), {"a": deep})
    assert len(caught.value.message) < 120
    with pytest.raises(MissingPath, match="…") as caught:
        evaluate(parse("a" * 10_000), {"a": deep})
    assert len(caught.value.message) < 120


def test_messages_are_short_whatever_the_data() -> None:
    key = "\x1b[31m" + "x" * 100_000
    scope = {"inputs": {"key": key, **{f"k{n}": n for n in range(1_000)}}}
    with pytest.raises(MissingPath) as caught:
        evaluate(parse("inputs[inputs.key].a"), {**scope, "m": {}})
    assert "\x1b" not in caught.value.message
    assert len(caught.value.message) < 120
    assert len(caught.value.hint) < 250
    with pytest.raises(MissingPath) as caught:
        evaluate(parse("m[inputs.key].a"), {"m": {key: 1}, "inputs": {"key": key}})
    assert len(caught.value.message) < 120


@pytest.mark.parametrize(
    ("text", "references"),
    [
        ("1", []),
        ("source", [Reference("source", (), 0, 6, False)]),
        ("steps.a-b.output.rows", [Reference("steps", ("a-b", "output", "rows"), 0, 21, False)]),
        ('steps["a"].output[-1]["k"]?', [Reference("steps", ("a", "output", -1, "k"), 0, 27, True)]),
        (
            "inputs.a[steps.b.output].c == !steps.c.x",
            [
                Reference("inputs", ("a",), 0, 26, False),
                Reference("steps", ("b", "output"), 9, 14, False),
                Reference("steps", ("c", "x"), 31, 9, False),
            ],
        ),
        (
            "default(a.b, default(a[c.d], c.e))",
            [
                Reference("a", ("b",), 8, 3, True),
                Reference("a", (), 21, 6, True),
                Reference("c", ("d",), 23, 3, False),
                Reference("c", ("e",), 29, 3, False),
            ],
        ),
        ("first(a.b).c", [Reference("a", ("b",), 6, 3, False)]),
        ("default(first(a.b).c, [{k: a.c}])", [Reference("a", ("b",), 14, 3, False), Reference("a", ("c",), 27, 3, False)]),
        ("a ? b : c", [Reference("a", (), 0, 1, False), Reference("b", (), 4, 1, False), Reference("c", (), 8, 1, False)]),
    ],
)
def test_references(text: str, references: list[Reference]) -> None:
    assert list(parse(text).references) == references


@pytest.mark.parametrize(
    ("text", "uses"),
    [
        ("true", False),
        ("steps.a.output.status", False),
        ("inputs.a.status", False),
        ("steps.status", False),
        ("steps.a.status == 'failed'", True),
        ("steps['a'].status in ['failed']", True),
        ("!success()", True),
        ("[failed()] == [true]", True),
        ("inputs.a && always()", True),
        ("success.x", False),
    ],
)
def test_status_is_seen(text: str, uses: bool) -> None:
    assert parse(text).uses_status is uses


def test_status_functions_ask_the_caller() -> None:
    status = {"success": lambda: False, "failed": lambda: True, "always": lambda: True}
    assert evaluate(parse("[success(), failed(), always()]"), {}, status) == [False, True, True]


@pytest.mark.parametrize(
    ("text", "success", "run"),
    [
        ("inputs.n > 2", True, True),
        ("inputs.n > 3", True, False),
        ("inputs.n > 2", False, False),
        ("inputs.missing", False, False),
        ("always()", False, True),
        ("success() || inputs.n == 3", False, True),
        ("steps.empty.status == 'skipped'", False, True),
    ],
)
def test_verdicts(text: str, success: bool, run: bool) -> None:
    status = {"success": lambda: success, "always": lambda: True}
    assert verdict(parse(text), SCOPE, status) is run


def test_a_verdict_is_a_boolean() -> None:
    with pytest.raises(ExpressionError, match="`if` needs a boolean, not a number"):
        verdict(parse("inputs.n"), SCOPE, {"success": lambda: True})


def test_parsing_is_remembered_but_not_for_long_texts() -> None:
    assert parse("inputs.n") is parse("inputs.n")
    long = "'" + "x" * CACHED_CHARS_MAX + "'"
    assert parse(long) == parse(long)
    assert parse(long) is not parse(long)
    assert parse(" inputs.n ").text == " inputs.n "


class Lazy(Mapping[str, Any]):
    """A mapping that notes what is loaded from it."""

    def __init__(self, items: dict[str, Any]) -> None:
        self.items_, self.loaded = items, list[str]()

    def __getitem__(self, key: str) -> Any:
        value = self.items_[key]
        self.loaded.append(key)
        return value

    def __contains__(self, key: object) -> bool:
        return key in self.items_

    def __iter__(self) -> Iterator[str]:
        return iter(self.items_)

    def __len__(self) -> int:
        return len(self.items_)


class LazyList(Sequence[Any]):
    def __init__(self, items: list[Any]) -> None:
        self.items_ = items

    def __getitem__(self, key: Any) -> Any:
        return self.items_[key]

    def __len__(self) -> int:
        return len(self.items_)


def test_nothing_is_loaded_that_is_not_asked_for() -> None:
    steps = Lazy({"a": Lazy({"output": {"rows": 1}}), "b": Lazy({"output": 2})})
    scope = Lazy({"steps": steps})
    assert evaluate(parse("steps.a.output.rows"), scope) == 1
    assert (steps.loaded, scope.loaded) == (["a"], ["steps"])
    assert evaluate(parse("length(steps)"), scope) == 2
    assert evaluate(parse("keys(steps)"), scope) == ["a", "b"]
    assert evaluate(parse("'b' in steps"), scope) is True
    assert evaluate(parse("steps.c?"), scope) is None
    assert steps.loaded == ["a"]
    with pytest.raises(MissingPath, match="`steps` has no `c`"):
        evaluate(parse("steps.c"), scope)
    assert steps.loaded == ["a"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("m", {"a": {"b": [1, {"c": 2}]}}),
        ("m.a", {"b": [1, {"c": 2}]}),
        ("m[k].b", [1, {"c": 2}]),
        ("[m.a.b[1]]", [{"c": 2}]),
        ("{x: m.a.b}", {"x": [1, {"c": 2}]}),
        ("values(m)", [{"b": [1, {"c": 2}]}]),
        ("to_json(m)", '{"a":{"b":[1,{"c":2}]}}'),
        ("m == {a: {b: [1, {c: 2}]}}", True),
        ("m.a.b[-2]", 1),
        ("m.a.b[-1].c", 2),
        ("m.a.b == [1]", False),
        ("length(m.a.b)", 2),
        ("flatten([m.a.b, m])", [1, {"c": 2}, {"a": {"b": [1, {"c": 2}]}}]),
    ],
)
def test_results_are_plain(text: str, value: object) -> None:
    scope = {"m": Lazy({"a": Lazy({"b": LazyList([1, Lazy({"c": 2})])})}), "k": "a"}
    result = evaluate(parse(text), scope)
    assert result == value
    assert type(result) is type(value)
    assert "Lazy" not in repr(result)


def test_lazy_data_is_bounded_too() -> None:
    deep: Any = LazyList([])
    for _ in range(64):
        deep = Lazy({"a": deep})
    with pytest.raises(BudgetExceeded, match="nested deeper than 64 levels"):
        evaluate(parse("m"), {"m": deep})
    with pytest.raises(BudgetExceeded, match="more than 4,000,000 items"):
        evaluate(parse("m"), {"m": LazyList([LazyList([0] * 1_000_000)] * 5)})


def test_a_failure_to_load_is_not_hidden() -> None:
    class Broken(Lazy):
        def __getitem__(self, key: str) -> Any:
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        evaluate(parse("steps.a?"), {"steps": Broken({"a": 1})})


def test_errors_are_value_errors() -> None:
    assert issubclass(MissingPath, ExpressionError)
    assert issubclass(BudgetExceeded, ExpressionError)
    assert issubclass(ExpressionError, ValueError)
