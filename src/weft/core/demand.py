"""What each step asks for, and in which order steps are served: fixed when the step is added, read by everybody.

- `max_parallel` is a pool like any other, or rather three: all attempts, those that compute, those that wait. That of a fan-out
  is one of its own, which its instances take.
- A pool with `per` is a pool for each key. The keys of a step are known once the engine has evaluated them, just before it is
  ready; until then the step stands among those that have none.
- Steps that race take pools of their own making (see `races`), and the earlier in the file is as urgent as the later one.
- A step belongs to the kind of steps that ask for exactly the same, so a turn looks at kinds and not at every ready step.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import msgspec

from weft.core.facts import Limits
from weft.core.races import RACE_SLOTS, RacePools, Urgency
from weft.model.graph import Graph
from weft.model.paths import definition
from weft.model.workflow import MACHINE_POOLS, WAITING_ACTIONS, Flow, Pool, Step, Workflow

TOTAL: Final = 0
COMPUTING: Final = 1
WAITING: Final = 2
GPU: Final = "gpu"

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


def _urgencies(steps: Sequence[Step], path: str, after: float, estimates: Mapping[str, float]) -> Iterator[tuple[str, Urgency]]:
    """How urgent each definition is, in the order of the file, as `add` will find it once the steps are there."""
    weights = [weight_of(msgspec.structs.replace(step, id=path + step.id), estimates) for step in steps]
    graph = Graph(steps)
    tails = [left - weight for left, weight in zip(graph.remaining_among_latest(weights), weights, strict=True)]
    for n, step in enumerate(steps):
        at = n
        while step.role != "fallback" and (fallback := steps[at].fallback):
            at = graph.index[fallback]
            tails[at] = tails[n]
    for step, weight, tail in zip(steps, weights, tails, strict=True):
        yield path + step.id, (-step.priority, -after - tail - weight)
        if isinstance(step.action, Flow):
            yield from _urgencies(step.action.workflow.steps, f"{path}{step.id}/", after + tail, estimates)


def _template(steps: Sequence[Step], graph: Graph) -> int | None:
    """The fallback in the file that these are a copy of, for one instance: it ranks in its place."""
    if len(steps) != 1 or steps[0].role != "fallback" or not steps[0].id.endswith("]"):
        return None
    path = steps[0].id.rpartition("[")[0]
    while path not in graph.index:  # of an instance of a copy
        path = path.rpartition("[")[0]
    return graph.index[path]


class Demands:
    """`pools[p]` is a pool's name, `spec[p]` what the workflow says of it, `number` the reverse: of a name and a key, which is
    empty without `per`. `kinds[k]` is a distinct demand, `kind[i]` that of step i, `rank[i]` its place in the order of dispatch.
    `shares` are those of COMPUTING and WAITING that anybody asks for. `heaviest[p]`: the most that a step asks of a pool.
    `paced[k]`: the pools of a demand that have a rate or a breaker. `races`: who takes which of the `race_pools`, and why.
    `shared[k]`: the part of a demand that runs share, `any_shared` whether there is any. `of_machine`: the kinds that ask for
    what the machine has.
    `tail[i]`: how long what follows step i takes. `gpu`: the pool that hands out devices, if there is one: in files of other
    systems one of its name may be just a number."""

    def __init__(self, workflow: Workflow) -> None:
        self.pools = ["max_parallel", "max_parallel (computing)", "max_parallel (waiting)", *workflow.resources]
        self.spec = [Pool()] * (WAITING + 1) + list(workflow.resources.values())
        self.name = [(name, "") for name in self.pools]
        self.number = {name: p for p, name in enumerate(self.name)}
        gpu = self.number.get((GPU, ""))
        self.gpu = gpu if gpu is not None and self.spec[gpu].of_machine else None
        self.races = RacePools(workflow)
        self.race_pools = range(len(self.pools), len(self.pools) + len(self.races.texts))
        for text in self.races.texts:
            self._new(f"races of {text}", (f"races of {text}", ""), Pool(slots=RACE_SLOTS))
        self._urgency: dict[str, Urgency] = {}
        self.heaviest: dict[int, int] = {}
        self._sequential = workflow.schedule == "sequential"
        self._keyed = frozenset(name for name, pool in workflow.resources.items() if pool.per)
        self._fans: set[int] = set()
        self._bounds: dict[int, tuple[int, ...]] = {}
        """For a fan-out or a sub-workflow: the pools that all below it take, for its own `max_parallel` and for those above."""
        self._inherited: dict[int, tuple[int, ...]] = {}
        """For a step: those that it takes."""
        self._known: dict[Demand, int] = {}
        self.kinds: list[Demand] = []
        self.paced: list[tuple[int, ...]] = []
        self.shared: list[Demand] = []
        self.any_shared = False
        self.of_machine: list[int] = []
        self.kind: list[int] = []
        self.shares: set[int] = set()
        self.rank: list[Rank] = []
        self.tail: list[float] = []

    def add(self, steps: Sequence[Step], graph: Graph, estimates: Mapping[str, float], parent: int | None = None) -> None:
        """Take in steps that the graph has just got; they are followed by what follows their parent, and rank in its place."""
        first = len(self.kind)
        weights = [weight_of(step, estimates) for step in steps]
        template = _template(steps, graph)
        above = parent if template is None else template
        after, place = (0.0, ()) if above is None else (self.tail[above], self.rank[above][2])
        inner = first if parent is None or template is not None else len(graph.children.get(parent, ())) - len(steps)
        bounds = () if parent is None else self._bounds.get(parent, ())
        if bounds:
            self._inherited.update(dict.fromkeys(range(first, first + len(steps)), bounds))
        for i, step in enumerate(steps, first):
            self.kind.append(self._kind(self._demand(step, bounds, {})))
            if step.grows:
                self._bound(i, step, bounds, instance=parent in self._fans)
        if not first and self.races.taken and not self._sequential:
            self._urgency = self.races.ranked(dict(_urgencies(steps, "", 0.0, estimates)))
        for n, (step, remaining) in enumerate(zip(steps, graph.remaining_among_latest(weights), strict=True)):
            self.tail.append(after + remaining - weights[n])
            order = (0, 0.0) if self._sequential else (-step.priority, -after - remaining)
            if self._urgency:
                order = min(order, self._urgency.get(definition(step.id), order))
            self.rank.append((*order, (*place, inner + n), first + n))
        for n, step in enumerate(steps):
            if step.fallback and step.role != "fallback" and not self._sequential:
                self._rank_fallbacks(steps, first, n, graph, weights)

    def _rank_fallbacks(self, steps: Sequence[Step], first: int, n: int, graph: Graph, weights: Sequence[float]) -> None:
        """Whatever stands in for step `first + n`, in turn, is followed by what follows that step."""
        user = n
        while (j := graph.index.get(steps[n].fallback, -1)) >= first:
            n = j - first
            self.tail[j] = self.tail[first + user]
            order = (-steps[n].priority, -weights[n] - self.tail[j])
            self.rank[j] = (*min(order, self._urgency.get(definition(steps[n].id), order)), *self.rank[j][2:])

    def keyed(self, step: Step) -> bool:
        """Whether what an attempt of the step takes is known only when keys have been evaluated."""
        return not self._keyed.isdisjoint(step.resources) and not step.grows

    def assign(self, i: int, step: Step, keys: Mapping[str, str]) -> None:
        """Let step i take the pools of its keys. A pool of which no key is given is shared by all such steps."""
        self.kind[i] = self._kind(self._demand(step, self._inherited.get(i, ()), keys))

    def _demand(self, step: Step, bounds: tuple[int, ...], keys: Mapping[str, str]) -> Demand:
        share = WAITING if isinstance(step.action, WAITING_ACTIONS) else COMPUTING
        named = [(self._pool(name, keys.get(name, "")), weight) for name, weight in step.resources.items()]
        races = [(self.race_pools[n], weight) for n, weight in self.races.of(step)]
        return ((TOTAL, 1), (share, 1), *sorted([*named, *races, *[(pool, 1) for pool in bounds]]))

    def _pool(self, name: str, key: str) -> int:
        pool = self.number.get((name, key))
        if pool is None:
            pool = self._new(f"{name}[{key}]", (name, key), self.spec[self.number[name, ""]])
        return pool

    def _new(self, shown: str, name: tuple[str, str], spec: Pool) -> int:
        self.pools.append(shown)
        self.name.append(name)
        self.spec.append(spec)
        self.number[name] = len(self.pools) - 1
        return len(self.pools) - 1

    def _bound(self, i: int, step: Step, bounds: tuple[int, ...], *, instance: bool) -> None:
        """Note what all below a step take. An instance has its `max_parallel` from its fan-out, which has the pool."""
        if step.max_parallel is not None and not instance:
            name = f"max_parallel of {step.id}"
            bounds = (*bounds, self._new(name, (name, ""), Pool(slots=step.max_parallel)))
        if step.for_each is not None:
            self._fans.add(i)
        if bounds:
            self._bounds[i] = bounds

    def _kind(self, demand: Demand) -> int:
        k = self._known.setdefault(demand, len(self.kinds))
        if k == len(self.kinds):
            self.kinds.append(demand)
            self.paced.append(tuple(pool for pool, _ in demand[2:] if self.spec[pool].rate or self.spec[pool].breaker))
            self.shared.append(tuple([(pool, weight) for pool, weight in demand[2:] if self.spec[pool].scope == "engine"]))
            self.any_shared = self.any_shared or bool(self.shared[-1])
            if any(self.name[pool][0] in MACHINE_POOLS for pool, _ in demand[2:]):
                self.of_machine.append(k)
            self.shares.add(demand[1][0])
            for pool, weight in demand[2:]:
                self.heaviest[pool] = max(weight, self.heaviest.get(pool, 1))
        return k

    def of(self, i: int) -> Demand:
        """The demand of step i."""
        return self.kinds[self.kind[i]]

    def share(self, units: Mapping[str, int]) -> Demand:
        """Units of shared pools by name, as a demand."""
        return tuple(sorted((self.number[name, ""], weight) for name, weight in units.items()))

    def slots(self, pool: int, limits: Limits) -> int | None:
        """Capacity of a pool; None: unlimited. Of a pool that asks the machine, what that engine's has."""
        if pool > WAITING:
            spec, here = self.spec[pool], limits.pools.get(self.name[pool][0])
            if spec.auto:
                return here or 0
            return spec.slots if here is None or spec.slots is None else min(spec.slots, here)
        if self._sequential:
            return 1
        return (limits.total, limits.computing, limits.waiting)[pool]
