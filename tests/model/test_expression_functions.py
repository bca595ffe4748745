"""Each function: what it gives, what it refuses, and that the page of the language tells the truth about it."""

import json
import math
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from weft.model.evaluate import evaluate
from weft.model.expression import BudgetExceeded, ExpressionError, parse
from weft.model.frame import CHARS_MAX, CHARS_PER_STEP, STEPS_MAX
from weft.model.functions import ALIASES, FUNCTIONS, RANGE_MAX, STATUS_FUNCTIONS
from weft.model.tokens import DEPTH_MAX

DATA: dict[str, Any] = {
    "fan": {"web": {"rows": 1}, "crm": {"rows": 2}},
    "big": 10**400,
    "huge": [1e308, 1e308],
    "mixed": [2, 1.5, -1],
    "inf_sum": [10**400, 0.5],
    "inputs": {},
}


def call(text: str, **data: Any) -> Any:
    return evaluate(parse(text), {**DATA, **data})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("length('äö😀')", 3),
        ("length([])", 0),
        ("length(fan)", 2),
        ("keys(fan)", ["web", "crm"]),
        ("values(fan)", [{"rows": 1}, {"rows": 2}]),
        ("contains('abc', 'bc')", True),
        ("contains('abc', '')", True),
        ("contains([1, 'a'], 1.0)", True),
        ("contains([[1]], [true])", False),
        ("contains(fan, 'web')", True),
        ("contains([], null)", False),
        ("first([])", None),
        ("first([[1], 2])", [1]),
        ("last([])", None),
        ("last([1, 2])", 2),
        ("min([])", None),
        ("max([])", None),
        ("min(mixed)", -1),
        ("max(mixed)", 2),
        ("max(['a', 'b', 'B'])", "b"),
        ("sum([])", 0),
        ("sum(mixed)", 2.5),
        ("sum([9223372036854775806, 1])", 2**63 - 1),
        ("sort([])", []),
        ("sort(mixed)", [-1, 1.5, 2]),
        ("sort(['b', 'a', 'B'])", ["B", "a", "b"]),
        ("unique([1, 1.0, true, '1', 1])", [1, True, "1"]),
        ("unique([[1], [1.0], {a: [null]}, {a: [null]}])", [[1], {"a": [None]}]),
        ("flatten([])", []),
        ("flatten([[1, [2]], 3, []])", [1, [2], 3]),
        ("range(0)", []),
        ("range(3)", [0, 1, 2]),
        ("length(range(100000))", RANGE_MAX),
        ("starts_with('abc', 'ab')", True),
        ("starts_with('abc', 'b')", False),
        ("ends_with('abc', 'bc')", True),
        ("ends_with('abc', '')", True),
        ("lower('ÄB')", "äb"),
        ("upper('äß')", "ÄSS"),
        ("trim(' \t\\n a b ')", "a b"),
        ("replace('aaa', 'a', 'bc')", "bcbcbc"),
        ("replace('abc', 'x', 'y')", "abc"),
        ("split('a,,b', ',')", ["a", "", "b"]),
        ("split('', ',')", [""]),
        ("join([], ',')", ""),
        ("join(['a', 1, 2.0, true, null, [1, 'b']], ' ')", 'a 1 2.0 true  [1,"b"]'),
        ("to_text('a\"b')", 'a"b'),
        ("to_text(null)", ""),
        ("to_text(1.0)", "1.0"),
        ("to_text({a: [1, 'x']})", '{"a":[1,"x"]}'),
        ("to_number(' 6.5\\n')", 6.5),
        ("to_number('-7')", -7),
        ("to_number(7)", 7),
        ("to_json('a\"b')", '"a\\"b"'),
        ("to_json(null)", "null"),
        ("from_json(' [1, {\"a\": null}] ')", [1, {"a": None}]),
        ("from_json(to_json(fan)) == fan", True),
        ("parsed('{\"a\": [1]}').a[0]", 1),
        ("parsed('plain text')", "plain text"),
        ("parsed('{\"a\": ')", '{"a": '),
        ("parsed([1, 2])", [1, 2]),
        ("parsed(null)", None),
        ("default(fan.crm, 1)", {"rows": 2}),
    ],
)
def test_values(text: str, value: object) -> None:
    result = call(text)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("min([1, 'a'])", "only numbers, or only strings, can be put in order; here are number and string"),
        ("sort([true])", "here are boolean"),
        ("max([[1]])", "here are list"),
        ("sum(['a', null])", "only numbers have a sum; here is null and string"),
        ("sum(huge)", "the sum is too large"),
        ("sum(inf_sum)", "the sum is too large"),
        ("sum([9223372036854775807, 1])", "the sum is too large"),
        ("sum([-9223372036854775808, -1])", "the sum is too large"),
        ("to_number('9223372036854775808')", "is not a number"),
        ("range(-1)", "`range` takes a whole number from 0 to 100,000, not -1"),
        ("range(100001)", "not 100001"),
        ("range(1.5)", "not 1.5"),
        ("range(big)", "…"),
        ("replace('a', '', 'b')", "`old` is empty"),
        ("split('a', '')", "needs a separator"),
        ("to_number('1,5')", "`1,5` is not a number"),
        ("to_number('')", "is not a number"),
        ("to_number('true')", "`true` is not a number"),
        ("to_number('\"1\"')", "is not a number"),
        ("to_number('nan')", "is not a number"),
        ("to_number('1e999')", "is not a number"),
        ("to_number(odd)", "is not a number"),
        ("to_number(true)", "takes a string or a number as `value`, not a boolean"),
        ("from_json('{')", "the string is not JSON"),
        ("from_json('')", "the string is not JSON"),
        ("from_json('[1] [2]')", "the string is not JSON"),
        ("from_json('NaN')", "the string is not JSON"),
        ("from_json(odd)", "the string is not JSON"),
        ("keys([1])", "`keys(mapping)` takes a mapping as `mapping`, not a list"),
        ("contains(1, 1)", "takes a string or a list or a mapping as `whole`, not a number"),
        ("contains('a', 1)", "only a string can be in a string, not a number"),
    ],
)
def test_refusals(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        call(f"[{text}]", odd="\ud800")
    assert message in caught.value.message
    assert caught.value.offset >= 1
    assert caught.value.offset + caught.value.length <= len(text) + 1


LONG = "x" * (CHARS_MAX // 2 + 1)
DEEP: Any = 1
for _ in range(DEPTH_MAX + 1):
    DEEP = [DEEP]
DEEPER: Any = {"a": DEEP}
SHARED: Any = [0] * 1_000
for _ in range(3):
    SHARED = [SHARED] * 1_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("join([long, long], '')", "a text of more than 16,777,216 characters"),
        ("join([[long], [long]], '')", "a text of more than"),
        ("replace(long, 'x', 'yz')", "a text of more than"),
        ("to_json([long, long])", "a text of more than"),
        ("to_json(controls)", "a text of more than"),
        ("upper(longest)", "a text of more than"),
        ("lower(longest)", "a text of more than"),
        ("[" + "longest == longest, " * 100 + "1]", "more than 4,000,000 items"),
        ("trim(longest)", "a text of more than"),
        ("split(long, 'x')", "more than 4,000,000 items"),
        ("from_json(commas)", "more than 4,000,000 items"),
        ("to_json(shared)", "more than 4,000,000 items"),
        ("flatten(flatten(flatten(shared)))", "more than 4,000,000 items"),
        ("shared == shared", "more than 4,000,000 items"),
        ("unique(shared)", "more than 4,000,000 items"),
        ("shared in [shared]", "more than 4,000,000 items"),
        ("sort(same)", "more than 4,000,000 items"),
        ("to_json(deep)", "nested deeper than 64 levels"),
        ("deeper == deeper", "nested deeper than 64 levels"),
        ("unique([deep])", "nested deeper than 64 levels"),
        ("parsed(brackets)", "nested deeper than 64 levels"),
        ("from_json(brackets)", "nested deeper than 64 levels"),
        ("from_json(many_brackets)", "nested deeper than 64 levels"),
        ("from_json(braces)", "nested deeper than 64 levels"),
    ],
)
def test_budgets(text: str, message: str) -> None:
    scope = {
        "long": LONG,
        "longest": "x" * (CHARS_MAX + 1),
        "controls": "\x00" * (CHARS_MAX // 4),
        "commas": "[" + "0," * (STEPS_MAX + 1) + "0]",
        "shared": SHARED,
        "same": ["x" * CHARS_PER_STEP * 1_000] * 5_000,
        "deep": DEEP,
        "deeper": DEEPER,
        "brackets": "[" * (DEPTH_MAX + 2) + "]" * (DEPTH_MAX + 2),
        "many_brackets": "[" * 100_000,
        "braces": '{"a":' * 70 + "1" + "}" * 70,
    }
    with pytest.raises(BudgetExceeded) as caught:
        evaluate(parse(text), scope)
    assert message in caught.value.message
    assert "in a step" in caught.value.hint
    assert caught.value.length > 1


def test_depth_is_counted_alike() -> None:
    fits = "[" * DEPTH_MAX + "]" * DEPTH_MAX
    assert call(f"to_json(from_json('{fits}'))") == fits
    assert call("x == x && contains([x], x)", x=msgspec.json.decode(fits[1:-1])) is True


def test_large_but_honest_data_passes() -> None:
    rows = [{"id": n, "name": f"row {n}"} for n in range(100_000)]
    assert call("length(unique(rows))", rows=rows) == 100_000
    assert call("length(split(join(names, ','), ','))", names=[row["name"] for row in rows]) == 100_000
    assert call("last(sort(names))", names=[row["name"] for row in rows]) == "row 99999"
    assert call("from_json(to_json(rows)) == rows", rows=rows[:10_000]) is True


def test_aliases_lead_to_functions() -> None:
    assert set(ALIASES.values()) <= set(FUNCTIONS)
    assert not set(ALIASES) & set(FUNCTIONS)
    assert set(STATUS_FUNCTIONS) <= set(FUNCTIONS)


# ---- the page ----

PAGE = Path(__file__).parents[2] / "docs" / "expressions.md"
STATUS = dict.fromkeys(STATUS_FUNCTIONS, lambda: True)


def table() -> str:
    """The table of functions, from the functions themselves."""
    lines = ["| function | gives | example | result |", "|---|---|---|---|"]
    for function in FUNCTIONS.values():
        result = msgspec.json.encode(evaluate(parse(function.example), DATA, STATUS)).decode()
        shown = "" if function.name in STATUS_FUNCTIONS else f"`{result}`"
        lines.append(f"| `{function.signature}` | {function.summary} | `{function.example}` | {shown} |")
    return "\n".join(lines)


def test_the_page_has_the_table_of_functions() -> None:
    assert table() in PAGE.read_text(encoding="utf-8"), f"put this into {PAGE}:\n{table()}"


def test_the_page_tells_the_budgets() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for budget in (16_384, DEPTH_MAX, STEPS_MAX, RANGE_MAX):
        assert f"{budget:,}" in text
    assert math.log2(CHARS_MAX) == 24
    assert "16 MiB" in text


def test_the_examples_of_the_page_hold() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## By example")[2].partition("\n## ")[0]
    data = json.loads(section.partition("```json")[2].partition("```")[0])
    rows = re.findall(r"^\| `(.+?)` \| `(.+?)` \|", section, re.MULTILINE)
    assert len(rows) > 12
    for text, result in rows:
        value = evaluate(parse(text.replace("\\|", "|")), data)
        assert json.dumps(value, separators=(",", ":")) == result, text
