"""Two patterns meet exactly when some path is meant by both: tried out against all short paths of a small alphabet."""

import re
from functools import cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.model import globs
from weft.model.globs import meet, meetings, pattern

HOLES = ("", "a", "b", "ab", "/", "a/b", "b/a", "/a", "a/")
"""What an expression may come to, as far as it matters to short paths."""

PATHS = sorted(
    {
        "/" * absolute + "/".join("".join(letters) for letters in parts)
        for absolute in (False, True)
        for count in range(5)
        for lengths in product((1, 2, 3, 4), repeat=count)
        if sum(lengths) <= 4
        for parts in product(*(product("ab", repeat=length) for length in lengths))
    }
)


def normal(path: str) -> str:
    parts = [part for part in path.split("/") if part]
    return "/" * path.startswith("/") + "/".join(parts)


@cache
def meant(text: str) -> frozenset[str]:
    """The short paths that a pattern means, by regular expressions made part by part."""
    if "${{x}}" in text:
        return frozenset().union(*(meant(text.replace("${{x}}", hole, 1)) for hole in HOLES))
    text = text + "**" if text.endswith("/") else text
    parts = [part for part in text.split("/") if part not in ("", ".")]
    return frozenset(path for path in PATHS if _matches(parts, path, text.startswith("/")))


def _matches(parts: list[str], path: str, absolute: bool) -> bool:
    if absolute != path.startswith("/") and not (parts[:1] == ["**"] and not absolute):
        return False
    return _match_parts(parts, [part for part in path.split("/") if part])


def _match_parts(parts: list[str], path: list[str]) -> bool:
    if not parts:
        return not path
    if parts[0] == "**":
        return any(_match_parts(parts[1:], path[n:]) for n in range(len(path) + 1))
    one = re.sub(r"\*+", "[^/]*", parts[0]).replace("?", "[^/]").replace("[!", "[^")
    return bool(path) and bool(re.fullmatch(one, path[0])) and _match_parts(parts[1:], path[1:])


PIECES = st.sampled_from(["a", "b", "*", "?", "[ab]", "[!a]", "[a-b]", "${{x}}", "a*", "*b", "**", "a"])
PATTERNS = st.builds(
    lambda lead, parts, tail: lead + "/".join(map("".join, parts)) + tail,
    st.sampled_from(["", "", "./", "/"]),
    st.lists(st.lists(PIECES, min_size=1, max_size=2), min_size=1, max_size=2).filter(
        lambda parts: sum(map(len, parts)) <= 2 and not any(len(part) > 1 and "**" in part for part in parts)
    ),
    st.sampled_from(["", "", "", "/"]),
)


@settings(deadline=None)
@given(PATTERNS, PATTERNS)
def test_it_agrees_with_all_short_paths(one: str, two: str) -> None:
    both = meant(one) & meant(two)
    found = meet(pattern(one), pattern(two))
    assert found == meet(pattern(two), pattern(one))
    assert found or not both, sorted(both)[:3]
    if "${{" not in one + two:  # what an expression may come to is more than is tried here
        assert bool(both) == found


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ("out.txt", "./out.txt", True),
        ("out.txt", "a/../out.txt", True),
        ("a//b", "a/./b", True),
        ("../x", "x", False),
        ("a/../../x", "../x", True),
        ("/../x", "/x", True),
        ("**/../x", "x", False),
        ("a*/../x", "x", True),
        ("${{ a }}b/../x", "x", False),
        ("out/", "out/deep/file", True),
        ("out/", "out", True),
        ("out/", "outer", False),
        ("/", "/anything/at/all", True),
        ("", ".", True),
        ("database", "database", True),
        ("database", "*", True),
        ("*.csv", "*.txt", False),
        ("*.csv", "a/b.csv", False),
        ("**/*.csv", "a/b.csv", True),
        ("a**b", "a/b", False),
        ("[*]", "*", True),
        ("[*]", "x", False),
        ("[!]", "[", False),
        ("[!]x]", "a", True),
        ("[]a]", "]", True),
        ("[a", "[a", True),
        ("[a", "xa", False),
        ("[!ab]", "[ab]", False),
        ("[!ab]", "[!ba]", True),
        ("[!a]", "[a-c]", True),
        ("[a-\U0010ffff]", "b", True),
        ("[a/b]", "a/b", False),
        ("out/${{ item }}.csv", "out/*", True),
        ("out/${{ item }}.csv", "out/${{ key }}.txt", False),
        ("${{ a }}", "anything/at/all", True),
        ("x${{ broken", "xy", True),
        ("/a", "a", False),
        ("é", "e\u0301", False),
    ],
)
def test_cases(one: str, two: str, expected: bool) -> None:
    assert meet(pattern(one), pattern(two)) is expected
    assert meet(pattern(two), pattern(one)) is expected


@given(st.lists(st.tuples(PATTERNS, st.booleans()), max_size=8))
def test_meetings_are_those_of_each_pair(drawn: list[tuple[str, bool]]) -> None:
    patterns = [pattern(text) for text, _ in drawn]
    written = {n for n, (_, writes) in enumerate(drawn) if writes}
    expected = [
        [m for m in range(len(patterns)) if (n in written or m in written) and meet(patterns[n], patterns[m])]
        for n in range(len(patterns))
    ]
    assert meetings(patterns, written) == expected


def test_many_patterns_that_differ_at_one_end_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(globs, "COMPARED_MAX", 5_000)  # all pairs would be 250,000
    same_start = [pattern(f"out/${{{{ x }}}}/{n}.csv") for n in range(500)]
    assert meetings(same_start, range(500)) == [[n] for n in range(500)]
    same_end = [pattern(f"out/{n}/*.csv") for n in range(500)]
    assert meetings(same_end, range(500)) == [[n] for n in range(500)]
    assert meetings([pattern(f"*{n}*") for n in range(500)], range(500)) is None
