"""The figures of `weft bench schedule`: bounds that hold, and the orders on graphs whose optimum is known."""

from itertools import permutations
from random import Random

import pytest

from weft.bench import schedule
from weft.bench.bounds import parts, proved_bound_s, simple_bound_s
from weft.model.graph import Graph
from weft.model.workflow import Shell, Sleep, Step, Workflow


def graph_of(*needs: str) -> Graph:
    """Steps a, b, c … with what each needs."""
    names = "abcdefghijklmnop"
    return Graph(Step(id=names[n], action=Shell("true"), needs=tuple(each)) for n, each in enumerate(needs))


def best_s(graph: Graph, seconds: list[float], places: int) -> float:
    """The shortest makespan, by trying all orders: each step starts as early as its needs and a place allow."""
    found = []
    for order in permutations(range(len(graph))):
        free, ended = [0.0] * places, dict[int, float]()
        for i in order:
            if any(need not in ended for need in graph.needs[i]):
                break
            free.sort()
            start = max([free[0], *(ended[need] for need in graph.needs[i])])
            free[0] = ended[i] = start + seconds[i]
        else:
            found.append(max(ended.values()))
    return min(found)


def test_bounds_of_a_fork_join() -> None:
    """Four equal steps between two others, on three places: two rounds in any order."""
    graph = graph_of("", "a", "a", "a", "a", "bcde")
    seconds = [1.0] * 6
    assert simple_bound_s(graph, seconds, 3) == 3.0
    assert proved_bound_s(graph, seconds, 3) == 4.0
    assert [len(part) for part in parts(graph)] == [1, 4, 1]


@pytest.mark.parametrize("seed", range(40))
def test_no_order_beats_the_proved_bound(seed: int) -> None:
    random = Random(seed)
    needs = ["".join(random.sample("abcdef"[:n], random.randint(0, min(n, 2)))) for n in range(6)]
    seconds = [float(random.randint(1, 5)) for _ in needs]
    graph, places = graph_of(*needs), random.randint(1, 3)
    best = best_s(graph, seconds, places)
    assert simple_bound_s(graph, seconds, places) <= best + 1e-9
    assert proved_bound_s(graph, seconds, places) <= best + 1e-9


def test_what_was_learned_makes_the_second_run_shorter() -> None:
    """The long step is the last in the file: who knows nothing takes it last."""
    lengths = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0, "long": 4.0}
    steps = tuple(Step(id=id_, action=Sleep(seconds=s), expect_s=s) for id_, s in lengths.items())
    workflow, seconds = schedule.timed(Workflow(name="w", steps=steps))
    assert [step.expect_s for step in workflow.steps] == [None] * 5
    row = schedule.ratios(workflow, seconds, 2)
    assert (row.second, row.first, row.fcfs, row.proved, row.over_proved) == (1.0, 1.5, 1.5, 1.0, 1.0)
    assert schedule.mean([row, row]).first == pytest.approx(1.5)


def test_layers_wait_for_the_slowest_and_first_come_does_not() -> None:
    steps = (
        Step(id="a", action=Sleep(seconds=4.0)),
        Step(id="b", action=Sleep(seconds=1.0)),
        Step(id="c", action=Sleep(seconds=3.0), needs=("b",)),
    )
    row = schedule.ratios(*schedule.timed(Workflow(name="w", steps=steps)), 2)
    assert (row.fcfs, row.layers) == (1.0, 1.75)


def test_the_mean_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no rows"):
        schedule.mean([])
