"""Finding a cycle among needs. Iterative and linear in nodes and needs, and the same answer every time."""

from collections import deque
from collections.abc import Sequence


def find_cycle(needs: Sequence[Sequence[int]]) -> list[int] | None:
    """A cycle, or None: each node in the list needs the next one, and the last needs the first. It begins with its lowest number.

    `needs[i]` holds the nodes that i waits for. Of the cycles through one node that lies on some cycle, a shortest is returned:
    what a person has to read is then short, though not always the shortest in the graph (finding that is not linear).
    """
    left = _left_over(needs)
    if left is None:
        return None
    # Every node left needs another that is left: following first needs must come back to a node seen before.
    node, seen = left.index(True), set[int]()
    while node not in seen:
        seen.add(node)
        node = next(need for need in needs[node] if left[need])
    cycle = _shortest_through(node, needs)
    start = cycle.index(min(cycle))
    return cycle[start:] + cycle[:start]


def _left_over(needs: Sequence[Sequence[int]]) -> list[bool] | None:
    """Which nodes remain when those whose needs are all gone are taken away, again and again; None if none remains."""
    dependents: list[list[int]] = [[] for _ in needs]
    for node, wanted in enumerate(needs):
        for need in wanted:
            dependents[need].append(node)
    count = [len(wanted) for wanted in needs]
    gone = [node for node, n in enumerate(count) if not n]
    for node in gone:  # grows while it is walked
        for dependent in dependents[node]:
            count[dependent] -= 1
            if not count[dependent]:
                gone.append(dependent)
    return None if len(gone) == len(count) else [n > 0 for n in count]


def _shortest_through(start: int, needs: Sequence[Sequence[int]]) -> list[int]:
    """Breadth first from `start`, which is known to lie on a cycle, until it is met again."""
    came_from: dict[int, int] = {}
    queue = deque([start])
    while start not in came_from:
        node = queue.popleft()
        for need in needs[node]:
            if need not in came_from:
                came_from[need] = node
                queue.append(need)
    cycle = [start]
    node = came_from[start]
    while node != start:
        cycle.append(node)
        node = came_from[node]
    cycle[1:] = reversed(cycle[1:])
    return cycle
