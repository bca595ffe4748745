"""How long a graph of steps takes at least on so many places, whatever the order.

The simple bound is max(critical path, work ÷ places). It can be far from what is possible: a fork-join of 8 equal steps on 4
places takes two rounds in any order. The proved bound is tighter.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

from weft.model.graph import Graph

MARKS_MAX: Final = 300
"""Heads and tails that the proved bound tells apart: all of a small graph, and enough of a large one."""
SHARERS_MAX: Final = 200
"""How many steps on one place are looked at; where the bound is theirs, few are enough."""
CORNERS_MAX: Final = 20
"""Heads, and tails, that are tried for steps which share a place: it costs the product of both."""


def simple_bound_s(graph: Graph, seconds: Sequence[float], places: int) -> float:
    """max(critical path, work ÷ places), in seconds."""
    return max(sum(seconds[i] for i in graph.critical_path(seconds)), sum(seconds) / places)


def proved_bound_s(graph: Graph, seconds: Sequence[float], places: int) -> float:
    """No order of these steps is over sooner.

    Steps that all others come before or after cut the graph into parts, one after the other, whose bounds add up. Within a part,
    the steps before which at least r seconds of a path lie and after which at least q do fit neither into the first r seconds nor
    into the last q: r + their work ÷ P + q, with P places. And of k·P + 1 of them some k + 1 share a place: r +
    the k + 1 shortest of the k·P + 1 longest + q.
    """
    return sum(_part_bound_s(graph, part, seconds, places) for part in parts(graph))


def parts(graph: Graph) -> list[list[int]]:
    """The parts between steps that every other step is ordered with, each in topological order."""
    above, below = [0] * len(graph), [0] * len(graph)  # sets of steps, as bits
    for i in graph.order:
        for need in graph.needs[i]:
            above[i] |= above[need] | (1 << need)
    for i in reversed(graph.order):
        for j in graph.dependents[i]:
            below[i] |= below[j] | (1 << j)
    found: list[list[int]] = [[]]
    for i in sorted(graph.order, key=lambda i: above[i].bit_count()):
        if above[i].bit_count() + below[i].bit_count() == len(graph) - 1:
            found += [[i], []]
        else:
            found[-1].append(i)
    place = {i: n for n, i in enumerate(graph.order)}
    return [sorted(part, key=place.__getitem__) for part in found if part]


def _part_bound_s(graph: Graph, part: list[int], seconds: Sequence[float], places: int) -> float:
    head, tail = dict.fromkeys(part, 0.0), dict.fromkeys(part, 0.0)
    for i in part:
        head[i] = max((head[need] + seconds[need] for need in graph.needs[i] if need in head), default=0.0)
    for i in reversed(part):
        tail[i] = max((tail[j] + seconds[j] for j in graph.dependents[i] if j in tail), default=0.0)
    heads, tails = _marks(head.values()), _marks(tail.values())
    best = max(head[i] + seconds[i] + tail[i] for i in part)
    for r in heads:
        late = [i for i in part if head[i] >= r]
        works = [0.0] * len(tails)
        for i in late:
            works[bisect_right(tails, tail[i]) - 1] += seconds[i]
        work = 0.0
        for q, more in zip(reversed(tails), reversed(works), strict=True):
            work += more
            best = max(best, r + work / places + q if work else 0.0)  # else there is no such step
    for r in heads[:: max(1, len(heads) // CORNERS_MAX)]:
        for q in tails[:: max(1, len(tails) // CORNERS_MAX)]:
            longest = sorted((seconds[i] for i in part if head[i] >= r and tail[i] >= q), reverse=True)
            for k in range(1, min(SHARERS_MAX, (len(longest) - 1) // places + 1)):
                if k * places < len(longest):
                    best = max(best, r + q + sum(longest[k * places - k : k * places + 1]))
    return best


def _marks(values: Iterable[float]) -> list[float]:
    known = sorted(set(values))
    return known if len(known) <= MARKS_MAX else sorted({known[len(known) * n // MARKS_MAX] for n in range(MARKS_MAX)})
