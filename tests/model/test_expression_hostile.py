"""Whatever the text and whatever the data: a JSON value or an ExpressionError, soon, and nothing else."""

import json
import sys
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.evaluate import evaluate
from weft.model.expression import BudgetExceeded, Expression, ExpressionError, parse
from weft.model.functions import FUNCTIONS, STATUS_FUNCTIONS
from weft.model.template import parse_template
from weft.model.tokens import DEPTH_MAX, TEXT_CHARS_MAX
from weft.model.units import INTEGER_MAX, INTEGER_MIN

MANY = 50_000
HALF = TEXT_CHARS_MAX // 2 - 1


@pytest.mark.parametrize(
    "text",
    [
        "(" * MANY,
        "(" * HALF + "1" + ")" * HALF,
        "!" * MANY,
        "!" * HALF + "true",
        "[" * HALF + "]" * HALF,
        "{a:" * 5_000,
        "a[" * HALF,
        "upper(" * 2_000,
        "true ? " * 2_000,
        "true ? 1 : " * 1_400 + "2",
        "'" + "\\'" * HALF,
        "'\\" * HALF,
        '"' * (TEXT_CHARS_MAX - 1),
        "''" * HALF,
        " " * MANY,
        " " * HALF + "+",
        "1" * MANY,
        "1e" + "9" * HALF,
        "-" * HALF,
        "a." * HALF,
        "a-" * HALF + "?",
        "?" * HALF,
        "a?" * HALF,
        "&&" * HALF,
        "1==" * 5_000,
        "1" + "<1" * 5_000,
        "x" * (TEXT_CHARS_MAX + 1),
    ],
    ids=lambda text: text[:8].strip() + str(len(text)),
)
def test_hostile_texts_are_refused(text: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(parse(text), {})
    assert 0 <= caught.value.offset <= min(len(text), TEXT_CHARS_MAX)
    assert len(caught.value.message) < 200
    with pytest.raises(ExpressionError):
        evaluate(parse_template("${{" + text + "}}").whole or parse(text), {})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true" + " && true" * 2_000, True),
        ("false" + " || false" * 1_800, False),
        ("[" + "1," * 8_000 + "1]", [1] * 8_001),
        ("a" + ".a" * 8_000 + "?", None),
        ("'" + "\\\\" * 8_000 + "'", "\\" * 8_000),
        ("x-" * 8_000, 1),
    ],
    ids=["and", "or", "list", "path", "string", "name"],
)
def test_long_rows_are_not_deep(text: str, value: object) -> None:
    assert evaluate(parse(text), {"a": {"a": 1}, "x-" * 8_000: 1}) == value


@pytest.mark.parametrize(
    ("opening", "closing"), [("(", ")"), ("[", "]"), ("!!", ""), ("{a:", "}"), ("to_text(", ")"), ("a[", "]")]
)
def test_the_deepest_that_is_allowed_can_be_evaluated(opening: str, closing: str) -> None:
    levels = (DEPTH_MAX - 1) // (2 if opening == "!!" else 1)
    scope = {"a": {"true": "true", True: "x"}}
    core = "'true'" if opening == "a[" else "true"
    evaluate(parse(opening * levels + core + closing * levels), scope)
    with pytest.raises(BudgetExceeded, match="nested deeper than 64 levels"):
        parse(opening * (levels + 1) + "(" + core + ")" + closing * (levels + 1))


def test_the_deepest_fits_a_stack_that_is_half_full() -> None:
    def below(frames: int) -> Any:
        return below(frames - 1) if frames else evaluate(parse("!" * (DEPTH_MAX - 1) + "true"), {})

    assert below(sys.getrecursionlimit() // 3) is False


def test_a_scope_with_deep_data_is_no_harm() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = {"a": deep}
    assert evaluate(parse("length(x)"), {"x": deep}) == 1
    assert evaluate(parse("x.a.a"), {"x": deep})
    for text in ("to_json(x)", "to_text(x)", "x == x", "unique([x])", "x in [x]", "join([x], '')", "x != x.a"):
        with pytest.raises(BudgetExceeded):
            evaluate(parse(text), {"x": deep})
    while isinstance(deep, dict):  # taken apart by hand: the interpreter would recurse
        deep = deep.pop("a")


# ---- any text ----

WORDS = [
    *"()[]{}<>!?:,.=+-*/'\"\\ 01",
    "==",
    "&&",
    "||",
    "in",
    "a",
    "b-c",
    "true",
    "null",
    "1.5",
    "'s'",
    "\u00e9",
    "\ud800",
    "\n",
]
SCOPE: dict[str, Any] = {
    "a": {"a": 1, "b-c": [1, "x", None, {"a": True}], "s": "text"},
    "b-c": [[], {}, 1.5, "1"],
    "e": "",
    "t": True,
    "n": None,
}


def outcome(text: str) -> Any:
    """The value, checked to be JSON; or the error, checked to have a place."""
    try:
        expression = parse(text)
        assert isinstance(expression, Expression)
        for reference in expression.references:
            assert text[reference.offset :].startswith(reference.root)
            assert reference.offset + reference.length <= len(text)
        value = evaluate(expression, SCOPE)
    except ExpressionError as error:
        found = error
    else:
        return msgspec.json.decode(msgspec.json.encode(value))
    assert 0 <= found.offset <= len(text)
    assert found.length >= 1
    assert found.message
    return found


@given(st.text(max_size=40) | st.lists(st.sampled_from([*WORDS, *(f"{name}(" for name in FUNCTIONS)]), max_size=14).map("".join))
def test_any_text_is_evaluated_or_refused(text: str) -> None:
    outcome(text)


# ---- any expression ----

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(INTEGER_MIN, INTEGER_MAX)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def same(a: Any, b: Any) -> bool:
    """Equality of JSON values, spelled out."""
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return isinstance(a, bool) == isinstance(b, bool) and a == b and isinstance(a, list | dict) == isinstance(b, list | dict)


@given(json_values)
def test_json_is_a_part_of_the_language(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert same(evaluate(parse(text), {}), value)
    assert same(evaluate(parse(json.dumps(value)), {}), value)
    assert same(evaluate(parse("from_json(to_json(x))"), {"x": value}), value)


@given(json_values, json_values)
def test_equality(a: Any, b: Any) -> None:
    def ask(text: str) -> Any:
        return evaluate(parse(text), {"a": a, "b": b, "again": json.loads(json.dumps(a))})

    assert ask("a == again && a in [b, again] && length(unique([a, again])) == 1")
    assert ask("a == b") is same(a, b)
    assert ask("a != b") is not same(a, b)
    assert ask("length(unique([a, b]))") == 2 - same(a, b)


operands = st.sampled_from(
    ["a", "a.b-c", "a.s", "b-c[1]", "b-c[-1]", "a[e]?", "n", "t", "e", "1", "-2.5", "'x'", "true", "[]", "{}", "q"]
)
calls = [function for function in FUNCTIONS.values() if function.name not in STATUS_FUNCTIONS]


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    arguments = st.lists(inner, min_size=3, max_size=3)
    signs = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "&&", "||"])
    return (
        st.tuples(inner, signs, inner).map(lambda t: f"({t[0]}) {t[1]} ({t[2]})")
        | st.tuples(st.sampled_from(calls), arguments).map(lambda t: f"{t[0].name}({', '.join(t[1][: len(t[0].parameters)])})")
        | st.tuples(inner, inner, inner).map(lambda t: f"({t[0]}) ? {t[1]} : {t[2]}")
        | inner.map(lambda text: f"!({text})")
        | st.tuples(inner, inner).map(lambda t: f"[{t[0]}, {t[1]}]")
        | st.tuples(inner, inner).map(lambda t: f"{{k: {t[0]}, 'l': {t[1]}}}")
        | st.tuples(inner, inner).map(lambda t: f"({t[0]})[{t[1]}]?")
    )


@given(st.recursive(operands, larger, max_leaves=8))
def test_any_expression_is_evaluated_or_refused(text: str) -> None:
    first = outcome(text)
    again = outcome(text)
    assert str(first) == str(again)
    assert not isinstance(first, ExpressionError) or "expected" not in first.message, "it is well-formed"
