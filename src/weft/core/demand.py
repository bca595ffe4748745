"""What each step asks for, and in which order steps are served: fixed when the step is added, read by everybody.

`max_parallel` is a pool like any other, or rather three: all attempts, those that compute, those that wait. A step belongs to
the kind of steps that ask for exactly the same, so a turn looks at kinds and not at every ready step.
"""

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from weft.core.facts import Limits
from weft.model.graph import Graph
from weft.model.paths import definition
from weft.model.workflow import WAITING_ACTIONS, Flow, Step, Workflow

TOTAL: Final = 0
COMPUTING: Final = 1
WAITING: Final = 2

Demand: TypeAlias = tuple[tuple[int, int], ...]
"""(pool number, weight) pairs."""

Rank: TypeAlias = tuple[int, float, tuple[int, ...], int]
"""Higher priority first, then the longest remaining path, then file order (an added step stands where its parent does). All of
it sorts; the last item is the step's number."""

LAST: Final[Rank] = (2**31, 0.0, (), -1)
"""Comes after every step."""


def weight_of(step: Step, estimates: Mapping[str, float]) -> float:
    """How long a step is taken to last, in seconds: what earlier runs taught, else its `expect`, else 1; a sub-workflow lasts as
    long as its longest path. Of a fan-out it is known how long one instance takes, and not how many there will be."""
    path = definition(step.id)
    if (known := estimates.get(path, step.expect_s)) is not None:
        return known
    if not isinstance(step.action, Flow):
        return 1.0
    inner = [msgspec.structs.replace(each, id=f"{path}/{each.id}", needs=()) for each in step.action.workflow.steps]
    weights = [weight_of(each, estimates) for each in inner]
    return max(Graph(step.action.workflow.steps).remaining(weights), default=0.0)


class Demands:
    """`pools[p]` is a pool's name, `kinds[k]` a distinct demand, `kind[i]` that of step i, `rank[i]` its place in the order of
    dispatch. `shares` are those of COMPUTING and WAITING that anybody asks for. `tail[i]`: how long what follows step i takes."""

    def __init__(self, workflow: Workflow) -> None:
        self.pools = ["max_parallel", "max_parallel (computing)", "max_parallel (waiting)", *workflow.resources]
        self._slots = [pool.slots for pool in workflow.resources.values()]
        self._sequential = workflow.schedule == "sequential"
        self._number = {name: p for p, name in enumerate(self.pools)}
        self._known: dict[Demand, int] = {}
        self.kinds: list[Demand] = []
        self.kind: list[int] = []
        self.shares: set[int] = set()
        self.rank: list[Rank] = []
        self.tail: list[float] = []

    def add(self, steps: Sequence[Step], graph: Graph, estimates: Mapping[str, float], parent: int | None = None) -> None:
        """Take in steps that the graph has just got; they are followed by what follows their parent, and rank in its place."""
        first = len(self.kind)
        weights = [weight_of(step, estimates) for step in steps]
        after, place = (0.0, ()) if parent is None else (self.tail[parent], self.rank[parent][2])
        inner = 0 if parent is None else len(graph.children.get(parent, ())) - len(steps)
        for step in steps:
            share = WAITING if isinstance(step.action, WAITING_ACTIONS) else COMPUTING
            named = sorted([(self._number[name], weight) for name, weight in step.resources.items()])
            self.kind.append(self._kind(((TOTAL, 1), (share, 1), *named)))
        for n, (step, remaining) in enumerate(zip(steps, graph.remaining_among_latest(weights), strict=True)):
            self.tail.append(after + remaining - weights[n])
            order = (0, 0.0) if self._sequential else (-step.priority, -after - remaining)
            self.rank.append((*order, (*place, inner + n), first + n))

    def _kind(self, demand: Demand) -> int:
        k = self._known.setdefault(demand, len(self.kinds))
        if k == len(self.kinds):
            self.kinds.append(demand)
            self.shares.add(demand[1][0])
        return k

    def of(self, i: int) -> Demand:
        """The demand of step i."""
        return self.kinds[self.kind[i]]

    def slots(self, pool: int, limits: Limits) -> int | None:
        """Capacity of a pool; None: unlimited."""
        if pool > WAITING:
            return self._slots[pool - WAITING - 1]
        if self._sequential:
            return 1
        return (limits.total, limits.computing, limits.waiting)[pool]
