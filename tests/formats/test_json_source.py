"""The JSON reader against the one of the standard library: values, duplicate keys, depth, places."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_yaml_source import JSON, paths

from weft.formats.document import Where
from weft.formats.json_source import read_json

PAIRS = st.recursive(
    st.sampled_from(['"a"', '"\\"{[:"', "1", "null", '""']),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.lists(st.tuples(st.sampled_from(['"a"', '"b"', '"\\u0061"', '"{\\\\"', '":"']), inner), max_size=4).map(
            lambda pairs: "{" + ",".join(f"{key} : {value}" for key, value in pairs) + "}"
        )
    ),
    max_leaves=15,
)
"""JSON texts in which keys repeat, with signs of JSON inside strings."""


@settings(max_examples=300)
@given(PAIRS)
def test_duplicates_are_found_wherever_they_are(text: str) -> None:
    twice = 0

    def count(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal twice
        twice += len(pairs) - len(dict(pairs))
        return dict(pairs)

    value = json.loads(text, object_pairs_hook=count)
    document, problems = read_json(text.encode(), "f.json", 64)
    assert document is not None
    assert document.value == value
    assert [problem.code for problem in problems] == ["W119"] * twice
    for problem in problems:
        place, first = problem.place, problem.seconds[0].place
        keys = [json.loads(text[p.column - 1 : p.column - 1 + p.length]) for p in (first, place)]
        assert keys[0] == keys[1]
        assert first.column < place.column


@settings(max_examples=150)
@given(JSON, st.sampled_from([None, 2]))
def test_values_and_places(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    document, problems = read_json(text.encode(), "f.json", 64)
    assert problems == []
    assert document is not None
    assert document.value == json.loads(text)
    lines = text.split("\n")
    wheres = [Where(path) for path in paths(value)]
    for where, place in zip(wheres, document.places(wheres), strict=True):
        found = value
        for key in where.path:
            found = found[key]
        if not isinstance(found, dict | list) or indent is None:
            assert json.loads(lines[place.line - 1][place.column - 1 : place.column - 1 + place.length]) == found
        else:
            assert lines[place.line - 1][place.column - 1] in "[{"


@pytest.mark.parametrize(
    ("opening", "closing", "levels"),
    [("[", "]", 1), ('{"a": ', "}", 1), ('{"\\"[": [', "]}", 2), ('["[[{\\\\", ', "]", 1)],
)
def test_depth(opening: str, closing: str, levels: int) -> None:
    for repeats, told in ((64 // levels, []), (64 // levels + 1, ["W114"])):
        _, problems = read_json((opening * repeats + "0" + closing * repeats).encode(), "f.json", 64)
        assert [problem.code for problem in problems] == told


def test_long_numbers_do_not_hinder_places() -> None:
    text = '{"a": %s, "b": {"c": 1, "c": 2}}' % ("1" * 4000)
    document, problems = read_json(text.encode(), "f.json", 64)
    assert document is not None
    assert [problem.code for problem in problems] == ["W119"]
    assert document.places([Where(("b", "c"))])[0].column == text.index("2}") + 1


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        ("", "W108", 0),
        ('{"a": 1,}', "W111", 9),
        ('{"é": 01}', "W111", 8),
        ('{"a" 1}', "W111", 6),
        ('["a" "b"]', "W111", 6),
        ('["\\x"]', "W111", 4),
        ('"\\ud800"', "W111", 2),
        ('{"a": [1, 2}', "W111", 12),
        ("[1e400, -1E999]", "W121", 2),
        ('["1e999", -1E999]', "W121", 11),
        ("[]]", "W111", 3),
        ('["\\u12"]', "W111", 8),
        ('["a\nb"]', "W111", 4),
        ("[" + "1" * 5000 + "]", "W121", 2),
        ("]" * 70, "W111", 1),
    ],
)
def test_bad_json(text: str, code: str, column: int) -> None:
    document, problems = read_json(text.encode(), "f.json", 64)
    assert document is None
    assert [(problem.code, problem.place.column) for problem in problems] == [(code, column)]
