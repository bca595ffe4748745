"""Templates: what is inserted how, what stays as it is, and where errors are."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.expression import CACHED_CHARS_MAX, BudgetExceeded, ExpressionError, MissingPath
from weft.model.frame import CHARS_MAX
from weft.model.template import PARTS_MAX, expressions, find, has_template, literal, parse_template, resolve, strings
from weft.model.tokens import DEPTH_MAX

SCOPE: dict[str, Any] = {
    "inputs": {"day": "d", "n": 3, "list": [1, "a"], "map": {"k": None}, "none": None, "yes": True, "f": 1.0},
    "evil": "${{ inputs.day }} $${{ {{ }}",
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", ""),
        ("plain", "plain"),
        ("${{ inputs.n }}", 3),
        ("${{inputs.list}}", [1, "a"]),
        ("${{ inputs.none }}", None),
        ("${{\n  inputs.yes\n}}", True),
        (" ${{ inputs.n }}", " 3"),
        ("${{ inputs.n }}\n", "3\n"),
        ("${{ inputs.n }}${{ inputs.n }}", "33"),
        ("a ${{ inputs.day }} b", "a d b"),
        ("<${{ inputs.none }}>", "<>"),
        ("<${{ inputs.yes }}>", "<true>"),
        ("<${{ inputs.f }}>", "<1.0>"),
        ("<${{ inputs.list }}>", '<[1,"a"]>'),
        ("<${{ inputs.map }}>", '<{"k":null}>'),
        ("<${{ evil }}>", "<${{ inputs.day }} $${{ {{ }}>"),
        ("${{ evil }}", "${{ inputs.day }} $${{ {{ }}"),
        ("$${{ inputs.n }}", "${{ inputs.n }}"),
        ("$${{", "${{"),
        ("$$${{ x }}", "$${{ x }}"),
        ("$${{ a }} ${{ inputs.n }} $${{ b }}", "${{ a }} 3 ${{ b }}"),
        ("$ { {{ }} ${ } $${ }} {{x}}", "$ { {{ }} ${ } $${ }} {{x}}"),
        ("${{ '}}' }}", "}}"),
        ("""${{ "}}" }} and ${{ '\\'}}' }}""", "}} and '}}"),
        ("${{ {a: {b: 1}} }}", {"a": {"b": 1}}),
        ("${{{a: {b: 1}}}}", {"a": {"b": 1}}),
        ("${{ {} }}}", "{}}"),
        ("${{ '${{' }}x", "${{x"),
        ("it's ${{ inputs.n }} o'clock", "it's 3 o'clock"),
    ],
)
def test_values(text: str, value: object) -> None:
    result = resolve(text, SCOPE)
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("text", "message", "offset", "length"),
    [
        ("a ${{ inputs.dya }}", "`inputs` has no `dya`", 13, 3),
        ("${{ inputs.n }} ${{  inputs.n && true }}", "`&&` needs a boolean", 21, 8),
        ("${{ a b }}", "found `b`", 6, 1),
        ("${{ }}", "expected a value", 4, 1),
        ("${{}}", "expected a value", 3, 1),
        ("x ${{ inputs.n", "this `${{` is never closed", 2, 3),
        ("x ${{ inputs.n }", "unexpected `}`", 15, 1),
        ("${{ {a: 1", "never closed", 0, 3),
        ("${{ don't }}", "unexpected `'`", 7, 1),
        ('${{ "a }}', 'unexpected `"`', 4, 1),
        ("$${{ ${{ x y }}", "found `y`", 11, 1),
        ("é😀${{ + }}", "unexpected `+`", 6, 1),
    ],
)
def test_errors(text: str, message: str, offset: int, length: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        resolve({"a": [0, text]}, SCOPE)
    assert message in caught.value.message
    assert (caught.value.offset, caught.value.length) == (offset, length)
    assert caught.value.path == ("a", 1)


def test_the_same_error_twice_is_at_the_same_place() -> None:
    for _ in range(2):
        with pytest.raises(MissingPath) as caught:
            resolve("x ${{ inputs.q }}", SCOPE)
        assert (caught.value.offset, caught.value.path) == (13, ())


def test_deep_values_keep_what_has_no_template() -> None:
    same = {"x": [1, {"y": "plain"}], "${{ key }}": 2}
    value = {"same": same, "new": ["${{ inputs.n }}", same, {"z": "$${{"}], "none": None}
    result = resolve(value, SCOPE)
    assert result == {"same": same, "new": [3, same, {"z": "${{"}], "none": None}
    assert list(result) == list(value)
    assert result["same"] is same
    assert result["new"][1] is same
    assert resolve(same, SCOPE) is same
    assert value["new"][0] == "${{ inputs.n }}"  # type: ignore[index]


def test_status_is_passed_on() -> None:
    assert resolve(["${{ failed() }}"], {}, {"failed": lambda: True}) == [True]


def test_parts() -> None:
    template = parse_template("a$${{ ${{  inputs.n }}b${{ evil }}")
    assert [part if isinstance(part, str) else (part.text,) for part in template.parts] == [
        "a${{ ",
        ("inputs.n",),
        "b",
        ("evil",),
    ]
    assert template.offsets == (0, 11, 22, 27)
    assert template.whole is None
    whole = parse_template("${{ inputs.n }}")
    assert whole.whole is whole.parts[0]
    assert whole.offsets == (4,)
    assert parse_template("") == parse_template("")
    assert parse_template("").parts == ()


def test_short_templates_are_remembered() -> None:
    assert parse_template("x ${{ inputs.n }}") is parse_template("x ${{ inputs.n }}")
    long = "x" * CACHED_CHARS_MAX + "${{ inputs.n }}"
    assert parse_template(long) is not parse_template(long)
    assert resolve(long, SCOPE) == "x" * CACHED_CHARS_MAX + "3"


def test_every_expression_of_a_value() -> None:
    value = {"a": "${{ inputs.n }}", "b": ["x", "$${{", {"c": "é ${{ evil }}${{evil}}"}], "d": 1, "${{ no }}": None}
    found = [(path, offset, expression.text) for path, offset, expression in expressions(value)]
    assert found == [(("a",), 4, "inputs.n"), (("b", 2, "c"), 6, "evil"), (("b", 2, "c"), 16, "evil")]
    assert [path for path, _ in strings(value)] == [("a",), ("b", 1), ("b", 2, "c")]
    assert [part.text for _, _, part in expressions("${{ evil }}")] == ["evil"]


def test_a_wrong_expression_of_a_value_is_placed() -> None:
    with pytest.raises(ExpressionError) as caught:
        list(expressions({"a": "${{ evil }}", "b": ["${{ + }}"]}))
    assert (caught.value.path, caught.value.offset) == (("b", 0), 4)


@pytest.mark.parametrize(
    ("text", "offset", "code"),
    [
        ("echo hi", -1, "echo hi"),
        ("echo ${{ x }}", 5, "echo ${{ x }}"),
        ("echo $${{ x }}", -1, "echo ${{ x }}"),
        ("$${{ ${{", 5, "${{ ${{"),
        ("${ {", -1, "${ {"),
    ],
)
def test_code(text: str, offset: int, code: str) -> None:
    assert find(text) == offset
    assert literal(text) == code
    assert has_template(text) is ("${{" in text)


def test_budgets() -> None:
    assert resolve("${{ inputs.n }}" * PARTS_MAX, SCOPE) == "3" * PARTS_MAX
    with pytest.raises(BudgetExceeded, match="more than 2,000 parts") as caught:
        resolve("${{ inputs.n }}" * (PARTS_MAX + 1), SCOPE)
    assert caught.value.offset == PARTS_MAX * len("${{ inputs.n }}")
    with pytest.raises(BudgetExceeded, match="a text of more than") as caught:
        resolve("${{ long }}${{ long }}", {"long": "x" * (CHARS_MAX // 2 + 1)})
    assert (caught.value.offset, caught.value.length) == (15, 4)
    assert len(resolve("${{ long }}" * 100, {"long": "x" * (CHARS_MAX // 200)})) == CHARS_MAX // 200 * 100
    deep: Any = "${{ inputs.n }}"
    for _ in range(DEPTH_MAX + 1):
        deep = [deep]
    assert str(resolve(deep, SCOPE)).strip("[]") == "3"
    with pytest.raises(BudgetExceeded, match="nested deeper than 64 levels"):
        resolve([deep], SCOPE)


@given(
    st.lists(st.sampled_from(["${{", "}}", "$", "{", "}", "'", '"', "\\", " ", "evil", "a", "$${{", ".", "😀"]), max_size=12).map(
        "".join
    )
)
def test_any_text_resolves_or_is_placed(text: str) -> None:
    error = None
    try:
        resolve(text, SCOPE)
    except ExpressionError as caught:
        error = caught
    assert error is None or (0 <= error.offset <= len(text) and error.length >= 1)


@given(st.text())
def test_any_text_can_be_escaped(text: str) -> None:
    """What holds no `$${{` of its own is carried through unchanged by escaping it."""
    plain = text.replace("$", "§")
    for sample in (plain, plain + "${{ x }}", "${{" + plain):
        assert resolve(sample.replace("${{", "$${{"), SCOPE) == sample
