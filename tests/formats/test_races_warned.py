"""A file whose steps race is good, and is warned about: both places, and what would order the two."""

from textwrap import dedent

import pytest

from weft.formats import load, races
from weft.model.problem import Problem


def warned(text: str) -> list[Problem]:
    loaded = load(dedent(text).encode(), "w.yaml")
    assert loaded.workflow is not None
    assert {problem.severity for problem in loaded.problems} <= {"warning"}
    return list(loaded.problems)


def told(text: str) -> list[str]:
    return [f"{p.place.line}:{p.place.column} {p.message}; {p.hint}" for p in warned(text)]


def test_both_places_and_a_line_that_can_be_pasted() -> None:
    (problem,) = warned(
        """
        steps:
          first: { run: echo 1 }
          a: { run: echo a, writes: [log, out.txt] }
          b: { run: echo b, reads: ./out.txt, needs: first }
        """
    )
    assert problem.code == "W501"
    assert problem.message == "`a` and `b` race: one writes `out.txt`, the other reads `./out.txt`"
    assert (problem.place.line, problem.place.column, problem.place.length) == (5, 28, 9)
    assert [(s.place.line, s.place.column, s.label) for s in problem.seconds] == [(4, 35, "`a` writes `out.txt` here")]
    assert problem.hint.startswith("`needs: [first, a]` in `b` lets `a` go first; if any order is fine")


def test_the_line_of_the_hint_orders_them() -> None:
    assert warned("steps: { a: { run: echo a, writes: x }, b: { run: echo b, writes: x, needs: [a] } }") == []
    assert warned("steps: { a: { run: echo a, writes: x }, b: { run: echo b, writes: x, races: allow } }") == []
    reference = 'steps: { a: { run: echo a, writes: x }, b: { run: echo b, writes: ["x", "${{ steps.a.output }}"] } }'
    assert warned(reference) == []


def test_steps_in_a_list() -> None:
    text = """
        steps:
          - { id: a, run: echo a, writes: x }
          - { id: b, run: echo b, writes: [y, x] }
        """
    hint = "`needs: [a]` in `b` lets `a` go first; if any order is fine, say `races: allow` in one of them"
    assert told(text) == [f"4:39 `a` and `b` race: both write `x`; {hint}"]


def test_many_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(races, "PAIRS_MAX", 2)
    steps = "".join(f"  s{n}: {{ run: echo {n}, writes: log }}\n" for n in range(4))
    problems = warned(f"steps:\n{steps}")
    assert [problem.code for problem in problems] == ["W502", "W501", "W501"]
    assert problems[0].message == "4 more pairs of steps race"


def test_globs_that_are_too_many_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.model.globs.COMPARED_MAX", 3)
    steps = "".join(f"  s{n}: {{ run: echo {n}, writes: '*{n}*' }}\n" for n in range(4))
    (problem,) = warned(f"steps:\n{steps}")
    assert problem.code == "W502"
    assert "too many globs" in problem.message
