"""The YAML reader: the core schema of YAML 1.2, keys as text, tabs, aliases, and the place of everything."""

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from weft.formats.document import Document, Where
from weft.formats.yaml_source import read_yaml
from weft.model.problem import Place


def read(text: str) -> Document:
    document, problems = read_yaml(text.encode(), "f.yaml", 64, 1000)
    assert problems == []
    assert document is not None
    return document


def code(text: str) -> str:
    _, problems = read_yaml(text.encode(), "f.yaml", 64, 1000)
    assert len(problems) == 1, problems
    return problems[0].code


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((word, word) for word in ("no", "yes", "on", "off", "y", "n", "No", "nULL", "TrUe", "none", "<", "=")),
        *((word, None) for word in ("null", "Null", "NULL", "~", "")),
        *((word, True) for word in ("true", "True", "TRUE")),
        *((word, False) for word in ("false", "False", "FALSE")),
        *(("0", 0), ("-19", -19), ("+7", 7), ("007", 7), ("0o17", 15), ("0x1F", 31), ("0b11", "0b11"), ("1_000", "1_000")),
        *(("0.", 0.0), (".5", 0.5), ("-1.5e+3", -1500.0), ("1e3", 1000.0), ("1e", "1e"), (".", "."), ("1.2.3", "1.2.3")),
        *((".inf", float("inf")), ("-.INF", float("-inf")), ("+.Inf", float("inf")), (".Infinity", ".Infinity")),
        *(("12:30:45", "12:30:45"), ("2026-01-31", "2026-01-31"), ("0o8", "0o8"), ("0xg", "0xg"), ("-0x1", "-0x1")),
        *(("'no'", "no"), ('"7"', "7"), ("'null'", "null"), ('""', ""), ("|\n  7\n", "7\n"), (">-\n  a\n  b\n", "a b")),
    ],
)
def test_core_schema(text: str, value: Any) -> None:
    found = read(f"key: {text}\n").value["key"]
    assert (type(found), found) == (type(value), value)


def test_not_a_number() -> None:
    assert read("[.nan, .NaN, .NAN]\n").value != read("[.nan, .NaN, .NAN]\n").value


def test_keys_are_text() -> None:
    assert read("{1: a, true: b, ~: c, 1.0: d, no: e}\n").value == {"1": "a", "true": "b", "~": "c", "1.0": "d", "no": "e"}
    assert code("{1: a, '1': b}\n") == "W119"
    assert read("'<<': 1\n").value == {"<<": 1}


def test_aliases() -> None:
    document = read("a: &x {b: [1, &y two]}\nc: *x\nd: *y\n&k e: 1\nf: *k\n")
    assert document.value == {"a": {"b": [1, "two"]}, "c": {"b": [1, "two"]}, "d": "two", "e": 1, "f": "e"}
    places = document.places([Where(("c", "b", 1)), Where(("d",)), Where(("c",), "key"), Where(("f",))])
    assert [(place.line, place.column) for place in places] == [(1, 15), (1, 15), (2, 1), (4, 1)]
    assert read("a: &x 1\nb: &x 2\nc: *x\n").value["c"] == 2
    assert code("*a : 1\n") == "W116"
    assert code("a: &x 1\n*x : 1\n") == "W120"


def test_a_list_as_a_key_hides_nothing_else() -> None:
    document, problems = read_yaml(b"? {a: [b]}\n: {c: d}\ne: f\n? [x]\n: y\n", "f", 64, 10)
    assert document is not None
    assert document.value == {"e": "f"}
    assert [problem.code for problem in problems] == ["W120", "W120"]
    assert document.places([Where(("e",))]) == [Place("f", 3, 4, 1)]


def test_of_duplicates_the_first_is_kept_with_its_place() -> None:
    document, problems = read_yaml(b"a: 1\nb: {c: 2, c: {d: 3}}\na: [4]\n", "f", 64, 10)
    assert document is not None
    assert document.value == {"a": 1, "b": {"c": 2}}
    assert [(problem.place.line, problem.place.column) for problem in problems] == [(2, 11), (3, 1)]
    assert [problem.seconds[0].place.line for problem in problems] == [2, 1]
    assert document.places([Where(("a",))]) == [Place("f", 1, 4, 1)]


def test_leading_tabs_are_two_columns_and_places_count_them_as_one() -> None:
    text = "steps:\n\t- id: a\n\t\trun: |\n\t\t\tif x; then\n\t\t\t\tcat <<-END\n\n\t\t\t\t\tEND\n\t\t\tfi\n"
    text += "\t\t# note\n\n\t\tneeds: b\n"
    document = read(text)
    assert document.value == {"steps": [{"id": "a", "run": "if x; then\n\tcat <<-END\n\n\t\tEND\nfi\n", "needs": "b"}]}
    script = document.value["steps"][0]["run"]
    wheres = [Where(("steps", 0, "needs")), Where(("steps", 0, "needs"), "key"), Where(("steps", 0, "id"))]
    wheres += [Where(("steps", 0, "run"), "value", script.index(word), len(word)) for word in ("then", "<<-END", "fi")]
    places = [(place.line, place.column, place.length) for place in document.places(wheres)]
    assert places == [(11, 10, 1), (11, 3, 5), (2, 8, 1), (4, 10, 4), (5, 9, 6), (8, 4, 2)]


@pytest.mark.parametrize(
    "text",
    [
        "a:\n\tb: 1\n  c: 2\n",
        "a:\n  b: 1\nc:\n\td: 2\n",
        "a:\n\tb:\n\t  c: 1\n",
        "a:\n\tb: |\n\t\tx\n  y\n",
    ],
)
def test_mixed_indentation(text: str) -> None:
    assert code(text) == "W113"


@pytest.mark.parametrize("text", ["a:\n  b: |\n    x\n    \ty\n", "a: {\t b:\t1 }\n"])
def test_tabs_that_do_no_harm(text: str) -> None:
    assert read(text).value["a"]


def test_positions_inside_texts() -> None:
    text = (
        "a: \"\\tx\\u00e4 'q' END\"\n"
        "b: 'it''s END'\n"
        "c: plain END\n"
        "d: |2\n  one\n   two END\n"
        "e: >\n  folded\n  END\n"
        'f: "folded\n  END"\n'
        "g: |-\n\n  x\n\n  END\n"
        "h: |\n\n"
    )
    document = read(text)
    value = document.value
    wheres = [Where((key,), "value", value[key].index("END"), 3) for key in "abcdefg"]
    places = [(place.line, place.column) for place in document.places(wheres)]
    assert places == [(1, 19), (2, 11), (3, 10), (6, 8), (7, 4), (10, 4), (16, 3)]
    assert document.places([Where(("h",), "value", 0)])[0].line == 18
    assert [document.places([Where((key,), "value", 999)])[0].line for key in "ah"] == [1, 17]


def test_places_of_what_is_not_there() -> None:
    document = read("a:\n  b: [1]\n")
    wheres = [Where(("a", "b", 7, "x")), Where(("z",)), Where((), "key"), Where(("a", "nope"))]
    assert [(place.line, place.column) for place in document.places(wheres)] == [(2, 3), (1, 1), (1, 1), (1, 1)]


@pytest.mark.parametrize("depth", [64, 65])
def test_depth(depth: int) -> None:
    _, problems = read_yaml(("[" * depth + "]" * depth).encode(), "f", 64, 0)
    assert [problem.code for problem in problems] == ["W114"] * (depth == 65)


@pytest.mark.parametrize(("count", "told"), [(10, []), (11, ["W115"])])
def test_alias_budget(count: int, told: list[str]) -> None:
    text = f"a: &a [1, 2, 3, 4]\nb: [{', '.join(['*a'] * (count // 5))}]\nc: &c x\nd: [{', '.join(['*c'] * (count % 5))}]\n"
    _, problems = read_yaml(text.encode(), "f", 64, 10)
    assert [problem.code for problem in problems] == told


EXCLUDED = "\u2028\u2029\ufffe\uffff\x7f" + "".join(map(chr, range(0x80, 0xA0)))
"""libyaml takes the Unicode separators for line breaks, and control characters have to be written as escapes."""

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=EXCLUDED), max_size=8)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS.filter(bool), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150)
@given(JSON)
@example({"<<": [{"~": "~", "a: b": "\t"}], "é": "\x00\ufeff\U0001f600"})
def test_json_is_yaml(value: Any) -> None:
    text = json.dumps({"v": value}, ensure_ascii=False)
    assert read(text).value == {"v": value}


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(below for key, inner in inside for below in paths(inner, (*path, key)))]


@settings(max_examples=100)
@given(JSON)
def test_places_hold_what_they_say(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    document = read(text)
    wheres = [Where(path) for path in paths(value)]
    for where, place in zip(wheres, document.places(wheres), strict=True):
        found = value
        for key in where.path:
            found = found[key]
        assert place.line == 1
        assert json.loads(text[place.column - 1 : place.column - 1 + place.length]) == found
    keys = [where.key() for where in wheres if where.path and isinstance(where.path[-1], str)]
    for where, place in zip(keys, document.places(keys), strict=True):
        assert json.loads(text[place.column - 1 : place.column - 1 + place.length]) == where.path[-1]
