"""Races of definitions, against a plain judge that compares every two of them; and the cases of sub-workflows and fan-outs."""

import re
from random import Random

import pytest

from weft.model import races
from weft.model.globs import meet, pattern
from weft.model.races import Race, cure, find_races, shares
from weft.model.workflow import Flow, Shell, Step, Workflow


def step(id_: str, needs: str = "", *, reads: str = "", writes: str = "", **more: object) -> Step:
    return Step(
        id=id_,
        action=more.pop("action", Shell(script="true")),  # type: ignore[arg-type]
        needs=tuple(needs.split()),
        reads=_texts(reads),
        writes=_texts(writes),
        **more,  # type: ignore[arg-type]
    )


def _texts(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"(?:\$\{\{.*?\}\}|\$\{\{.*|\S)+", text))


def flow(*steps: Step) -> Workflow:
    return Workflow(name="w", steps=steps)


def inner(id_: str, *steps: Step, **more: object) -> Step:
    return step(id_, action=Flow(flow(*steps)), **more)  # type: ignore[arg-type]


def told(*steps: Step) -> list[str]:
    """The pairs as text; all of them are racing, and nobody else."""
    found = find_races(flow(*steps), 100)
    assert found.exact
    assert found.count == len(found.pairs)
    assert {each.path for each in found.racing} == {each.path for pair in found.pairs for each in pair[:2]}
    return [f"{pair.first.path} {pair.second.path}" for pair in found.pairs]


EACH = "[1]"


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([step("a", writes="x"), step("b", writes="x")], ["a b"]),
        ([step("a", reads="x"), step("b", writes="x")], ["a b"]),
        ([step("a", reads="x"), step("b", reads="x")], []),
        ([step("a", writes="x"), step("b", writes="y")], []),
        ([step("a", writes="x"), step("b", "a", writes="x")], []),
        ([step("a", writes="x"), step("m", "a"), step("b", "m", reads="x")], []),
        ([step("b", "m", reads="x"), step("a", writes="x"), step("m", "a")], []),
        ([step("a", writes="x"), step("b", writes="x", races="allow")], []),
        ([step("a", writes="out/"), step("b", reads="out/*.csv"), step("c", reads="out.csv")], ["a b"]),
        ([step("a", reads="*.csv"), step("b", writes="a.csv"), step("c", writes="b.csv")], ["a b", "a c"]),
        ([step("a", reads="x", writes="y"), step("b", reads="y", writes="x")], ["a b"]),
        # instances of one step
        ([step("f", writes="x", for_each=EACH)], ["f f"]),
        ([step("f", reads="x", for_each=EACH)], []),
        ([step("f", writes="${{ item }}.txt", for_each=EACH)], []),
        ([step("f", writes="${{ key }}.txt", for_each=EACH)], []),
        ([step("f", writes="${{ shop.id }}.txt", item="shop", for_each=EACH)], []),
        ([step("f", writes="${{ inputs.day }}.txt", for_each=EACH)], ["f f"]),
        ([step("f", writes="${{ broken", for_each=EACH)], ["f f"]),
        ([step("f", writes="${{ item }}.txt", reads="*.txt", for_each=EACH)], ["f f"]),
        ([step("f", writes="out/${{ item }}", for_each=EACH), step("g", reads="out/*")], ["f g"]),
        ([step("f", writes="out/${{ item }}", for_each=EACH), step("g", "f", reads="out/*")], []),
        # a fan-out that is wired to another, or waits for all of it
        (
            [
                step("f", writes="out/${{ item }}", for_each=EACH),
                step("g", "f", reads="out/${{ item }}", for_each=EACH, wired="f"),
                step("h", "g", reads="out/*"),
            ],
            [],
        ),
        ([step("f", writes="log", for_each=EACH), step("g", "f", reads="log", for_each=EACH, wired="f")], ["f f", "f g"]),
        ([step("f", writes="${{ item }}", for_each=EACH), step("g", "f", reads="log", for_each=EACH, wired="f")], ["f g"]),
        ([step("f", writes="${{ item }}", for_each=EACH), step("g", "f", reads="log", for_each=EACH)], []),
        (
            [
                step("f", writes="${{ item }}", for_each=EACH),
                step("m", "f"),
                step("g", "f m", reads="log", for_each=EACH, wired="f"),
            ],
            [],
        ),
        ([step("f", writes="${{ item }}", for_each=EACH), step("g", reads="${{ item }}", for_each=EACH)], ["f g"]),
        # fallbacks and what comes last
        ([step("a", writes="x", fallback="g"), step("g", writes="x", role="fallback"), step("d", "a", reads="x")], []),
        ([step("a", writes="x", fallback="g"), step("g", reads="y", role="fallback"), step("d", writes="y")], ["d g"]),
        (
            [
                step("h", writes="x", role="fallback"),
                step("g", "y", writes="x", role="fallback", fallback="h"),
                step("a", writes="x", fallback="g"),
                step("d", "a", reads="x"),
                step("y", writes="x"),
            ],
            ["y a", "y d"],
        ),
        (
            [
                step("f", writes="${{ item }}", fallback="g", for_each=EACH),
                step("g", writes="x", role="fallback"),
                step("d", "f"),
            ],
            ["f g", "g g"],
        ),
        (
            [
                step("f", writes="${{ item }}", fallback="g", for_each=EACH),
                step("g", writes="${{ item }}", role="fallback", fallback="h"),
                step("h", writes="${{ key }}", role="fallback"),
                step("d", "f", reads="*"),
            ],
            [],
        ),
        ([step("z", reads="x", role="finally"), step("a", writes="x"), step("b", "a"), step("y", reads="x", role="finally")], []),
        ([step("z", reads="x", role="finally"), step("y", writes="x", role="finally")], ["z y"]),
        (
            [
                step("z", role="finally", fallback="g"),
                step("g", writes="x", role="fallback"),
                step("a", writes="x"),
                step("y", writes="x", role="finally"),
            ],
            ["y g"],
        ),
        # sub-workflows
        ([step("a", writes="x"), inner("s", step("b", reads="x"))], ["a s/b"]),
        ([step("a", writes="x"), inner("s", step("b", reads="x"), needs="a"), step("z", "s", writes="x")], []),
        ([inner("s", step("a", writes="x"), step("b", "a", reads="x"), step("c", reads="x"))], ["s/a s/c"]),
        ([inner("s", step("a", writes="x"), step("b", "a", reads="x"), for_each=EACH)], ["s/a s/a", "s/a s/b"]),
        (
            [
                inner(
                    "s",
                    step("a", writes="${{ inputs.k }}"),
                    step("b", "a", reads="${{ inputs.k }}"),
                    for_each=EACH,
                    inputs={"k": "${{ item }}"},
                )
            ],
            [],
        ),
        (
            [
                inner(
                    "s",
                    step("a", writes="${{ inputs.k }}"),
                    step("b", reads="${{ inputs.k }}"),
                    for_each=EACH,
                    inputs={"k": ["${{ item.name }}"]},
                ),
                step("t", writes="z", needs="s"),
            ],
            ["s/a s/b"],
        ),
        (
            [
                inner(
                    "s",
                    step("a", writes="${{ item }}", for_each=EACH),
                    step("b", writes="${{ item }}-${{ inputs.k }}", for_each=EACH, needs="a"),
                    for_each=EACH,
                    inputs={"k": "${{ item }}"},
                )
            ],
            ["s/a s/a", "s/a s/b"],
        ),
    ],
)
def test_cases(steps: list[Step], expected: list[str]) -> None:
    assert told(*steps) == expected


def test_by_what_they_race() -> None:
    pair = find_races(flow(step("a", reads="q x.*", writes="y"), step("b", reads="y", writes="x.txt")), 1).pairs[0]
    assert [(touch.does, touch.text) for touch in pair.by] == [("writes", "y"), ("reads", "y")]


def test_nothing_is_looked_for_where_nothing_is_written() -> None:
    assert not shares(flow(step("a", reads="x"), inner("s", step("b", reads="x"))))
    assert shares(flow(inner("s", step("b", writes="x"))))
    assert find_races(flow(step("a", reads="x"), step("b", reads="x"))) is races.NONE


def test_too_many_patterns_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.model.globs.COMPARED_MAX", 5)
    found = find_races(flow(*(step(f"s{n}", writes=f"*{n}*") for n in range(4))), 10)
    assert (found.exact, found.count, len(found.racing)) == (False, 0, 4)


@pytest.mark.parametrize("bits_max", [races.BITS_MAX, 1, 3])
@pytest.mark.parametrize("seed", range(60))
def test_it_agrees_with_a_plain_judge(seed: int, bits_max: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(races, "BITS_MAX", bits_max)
    random = Random(seed)
    texts = ["a", "b", "*", "a*", "dir/", "dir/a", "${{inputs.x}}b"]
    steps: list[Step] = []
    for n in range(random.randint(2, 12)):
        needs = random.sample([each.id for each in steps], min(len(steps), random.choice((0, 1, 1, 2))))
        reads, writes = (" ".join(random.sample(texts, random.choice((0, 0, 1, 2)))) for _ in range(2))
        steps.append(step(f"s{n}", " ".join(needs), reads=reads, writes=writes))
    assert {frozenset(pair.split()) for pair in told(*steps)} == {frozenset(pair.split()) for pair in plain(steps)}


def plain(steps: list[Step]) -> list[str]:
    above: dict[str, set[str]] = {}
    for each in steps:
        above[each.id] = set(each.needs).union(*(above[need] for need in each.needs))
    found = []
    for m, second in enumerate(steps):
        for first in steps[:m]:
            both = [(x, y) for x in first.writes for y in (*second.writes, *second.reads)]
            both += [(x, y) for x in first.reads for y in second.writes]
            if first.id not in above[second.id] and any(meet(pattern(x), pattern(y)) for x, y in both):
                found.append(f"{first.id} {second.id}")
    return found


def test_pairs_are_counted_beyond_those_that_are_told() -> None:
    found = find_races(flow(*(step(f"s{n}", writes="log") for n in range(100))), 7)
    assert (found.count, len(found.pairs), len(found.racing)) == (4950, 7, 100)
    assert isinstance(found.pairs[0], Race)


def test_what_orders_steps_of_sub_workflows() -> None:
    nested = flow(step("a"), inner("s", step("u", "w"), step("v"), step("w"), needs="b"), step("b"))
    assert cure(nested, "s/v", "s/u") == ("s/u", "needs: [w, v]")
    assert cure(nested, "a", "s/u") == ("s", "needs: [b, a]")
    assert cure(nested, "s/u", "a") == ("a", "needs: [s]")
