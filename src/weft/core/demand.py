"""What each step asks for, and in which order steps are served: fixed when the graph is, read by everybody.

`max_parallel` is a pool like any other, or rather three: all attempts, those that compute, those that wait. A step belongs to
the kind of steps that ask for exactly the same, so a turn looks at kinds and not at every ready step.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

from weft.core.facts import Limits
from weft.model.graph import Graph
from weft.model.workflow import WAITING_ACTIONS, Step, Workflow

TOTAL: Final = 0
COMPUTING: Final = 1
WAITING: Final = 2

Demand: TypeAlias = tuple[tuple[int, int], ...]
"""(pool number, weight) pairs."""


def weight_of(step: Step, estimates: Mapping[str, float]) -> float:
    """How long a step is taken to last, in seconds: what earlier runs taught, else its `expect`, else 1."""
    return estimates.get(step.id, 1.0 if step.expect_s is None else step.expect_s)


class Demands:
    """`pools[p]` is a pool's name, `kinds[k]` a distinct demand, `kind[i]` that of step i, `rank[i]` its place in the order of
    dispatch, and `by_rank` the reverse. `shares` are those of COMPUTING and WAITING that anybody asks for."""

    def __init__(self, workflow: Workflow, graph: Graph, estimates: Mapping[str, float]) -> None:
        self.pools = ["max_parallel", "max_parallel (computing)", "max_parallel (waiting)", *workflow.resources]
        self._slots = [pool.slots for pool in workflow.resources.values()]
        self._sequential = workflow.schedule == "sequential"
        number = {name: p for p, name in enumerate(self.pools)}
        kinds: dict[Demand, int] = {}
        self.kind: list[int] = []
        for step in workflow.steps:
            share = WAITING if isinstance(step.action, WAITING_ACTIONS) else COMPUTING
            named = sorted([(number[name], weight) for name, weight in step.resources.items()])
            self.kind.append(kinds.setdefault(((TOTAL, 1), (share, 1), *named), len(kinds)))
        self.kinds = list(kinds)
        self.shares = {share for _, (share, _), *_ in self.kinds}
        self.by_rank = self._order(workflow, graph, estimates)
        self.rank = [0] * len(graph)
        for rank, i in enumerate(self.by_rank):
            self.rank[i] = rank

    def _order(self, workflow: Workflow, graph: Graph, estimates: Mapping[str, float]) -> list[int]:
        """Higher priority, then the longest remaining path, then file order."""
        order = list(range(len(graph)))
        if not self._sequential:
            remaining = graph.remaining([weight_of(step, estimates) for step in workflow.steps])
            order.sort(key=lambda i: (-workflow.steps[i].priority, -remaining[i]))
        return order

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
