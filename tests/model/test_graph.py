"""The graph: layers, orders, weights, the critical path; on graphs drawn at random, against plain recursion."""

from functools import cache
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.graph import Graph
from weft.model.workflow import Sleep, Step


def graph(text: str) -> Graph:
    """`a, b < a, c < a b`: c needs a and b."""
    steps = []
    for part in text.split(","):
        id_, _, needs = part.partition("<")
        if id_.strip():
            steps.append(Step(id=id_.strip(), action=Sleep(seconds=0.0), needs=tuple(needs.split())))
    return Graph(steps)


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("", []),
        ("a", [["a"]]),
        ("a, b, c", [["a", "b", "c"]]),
        ("a, b < a, c < b", [["a"], ["b"], ["c"]]),
        ("c < b, b < a, a", [["a"], ["b"], ["c"]]),
        ("a, b < a, c < a, d < b c", [["a"], ["b", "c"], ["d"]]),
        ("a, b < a, c < a b, x", [["a", "x"], ["b"], ["c"]]),
        ("a, b < a, c < b, d < a c, e < a", [["a"], ["b", "e"], ["c"], ["d"]]),
    ],
)
def test_layers(text: str, layers: list[list[str]]) -> None:
    found = graph(text)
    assert [[found.ids[i] for i in layer] for layer in found.layers()] == layers
    assert len(found) == sum(map(len, layers))


@pytest.mark.parametrize(
    ("text", "weights", "path", "remaining"),
    [
        ("", [], "", []),
        ("a", [3.0], "a", [3.0]),
        ("a, b, c", [1.0, 5.0, 2.0], "b", [1.0, 5.0, 2.0]),
        ("a, b, c", [1.0, 1.0, 1.0], "a", [1.0, 1.0, 1.0]),
        ("a, b < a, c < a", [1.0, 2.0, 3.0], "ac", [4.0, 2.0, 3.0]),
        ("a, b < a, c < a", [1.0, 2.0, 2.0], "ab", [3.0, 2.0, 2.0]),
        ("a, x, b < a, d < b x", [1.0, 5.0, 1.0, 1.0], "xd", [3.0, 6.0, 2.0, 1.0]),
        ("c < b, b < a, a", [1.0, 1.0, 1.0], "abc", [1.0, 2.0, 3.0]),
        ("a, b < a", [0.0, 0.0], "ab", [0.0, 0.0]),
    ],
)
def test_critical_path(text: str, weights: list[float], path: str, remaining: list[float]) -> None:
    found = graph(text)
    assert "".join(found.ids[i] for i in found.critical_path(weights)) == path
    assert found.remaining(weights) == remaining


@pytest.mark.parametrize("text", ["a < a", "a < b, b < a", "x, a < c x, b < a, c < b, y < c"])
def test_a_cycle_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the needs form a cycle"):
        graph(text)


def test_an_unknown_need_is_refused() -> None:
    with pytest.raises(ValueError, match="need 'b' is not a step"):
        graph("a < b")


@given(seed=st.integers(0, 2**32), n=st.integers(1, 30))
def test_any_graph(seed: int, n: int) -> None:
    random = Random(seed)
    place = random.sample(range(n), n)  # file order is not the order of needs
    needs = {i: [j for j in range(n) if place[j] < place[i] and random.random() < 3 / n] for i in range(n)}
    found = Graph(Step(id=f"s{i}", action=Sleep(seconds=0.0), needs=tuple(f"s{j}" for j in needs[i])) for i in range(n))
    weights = [random.random() for _ in range(n)]

    @cache
    def layer(i: int) -> int:
        return max((layer(j) + 1 for j in needs[i]), default=0)

    @cache
    def heaviest(i: int) -> float:
        return weights[i] + max((heaviest(j) for j in range(n) if i in needs[j]), default=0.0)

    assert found.layer == [layer(i) for i in range(n)]
    assert [list(needs) for needs in found.needs] == list(needs.values())
    assert sorted(found.order) == list(range(n))
    assert all(found.order.index(j) < found.order.index(i) for i in range(n) for j in needs[i])
    assert found.remaining(weights) == pytest.approx([heaviest(i) for i in range(n)])
    path = found.critical_path(weights)
    assert sum(weights[i] for i in path) == pytest.approx(max(map(heaviest, range(n))))
    assert all(a in needs[b] for a, b in pairwise(path))
    assert not needs[path[0]]
    assert not any(path[-1] in needs[i] for i in range(n))


def test_depth_is_no_limit() -> None:
    n = 50_000
    found = Graph(Step(id=str(i), action=Sleep(seconds=0.0), needs=(str(i - 1),) if i else ()) for i in range(n))
    assert found.layer[-1] == n - 1
    assert len(found.critical_path([1.0] * n)) == n
