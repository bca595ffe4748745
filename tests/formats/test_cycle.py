"""find_cycle: against a plain definition, on random graphs and on large ones."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.model.cycle import find_cycle


@pytest.mark.parametrize(
    ("needs", "cycle"),
    [
        ([], None),
        ([[]], None),
        ([[], [0], [0, 1]], None),
        ([[0]], [0]),
        ([[1], [2], [0]], [0, 1, 2]),
        ([[], [2, 0], [1]], [1, 2]),
        ([[3], [0], [1], [2, 0]], [0, 3]),  # the short one of the two through 0
        ([[1, 1], [0, 0]], [0, 1]),
    ],
)
def test_small(needs: list[list[int]], cycle: list[int] | None) -> None:
    assert find_cycle(needs) == cycle


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    n = draw(st.integers(1, 12))
    return draw(st.lists(st.lists(st.integers(0, n - 1), max_size=4), min_size=n, max_size=n))


def reaches_itself(needs: Sequence[Sequence[int]], start: int) -> bool:
    seen: set[int] = set()
    todo = list(needs[start])
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += needs[node]
    return start in seen


@settings(max_examples=300)
@given(graphs())
def test_says_whether_there_is_one_and_shows_it(needs: list[list[int]]) -> None:
    cycle = find_cycle(needs)
    assert (cycle is not None) == any(reaches_itself(needs, node) for node in range(len(needs)))
    if cycle:
        assert len(set(cycle)) == len(cycle)
        assert cycle[0] == min(cycle)
        assert all(b in needs[a] for a, b in zip(cycle, cycle[1:] + cycle[:1], strict=True))


def test_a_long_chain_and_a_long_cycle() -> None:
    n = 200_000
    chain: list[list[int]] = [[i + 1] for i in range(n - 1)] + [[]]
    assert find_cycle(chain) is None
    chain[-1] = [0]
    assert find_cycle(chain) == list(range(n))
