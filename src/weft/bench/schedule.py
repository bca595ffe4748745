"""The order of dispatch on one recorded workflow: makespan over lower bounds, by the production core in simulated time."""

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from math import exp, log
from typing import Final

import msgspec

from weft.bench.bounds import proved_bound_s, simple_bound_s
from weft.core.estimates import learned, sample_of
from weft.core.facts import Limits
from weft.model.graph import Graph
from weft.model.workflow import Schedule, Sleep, Workflow
from weft.sim.foresight import perfect
from weft.sim.what_if import makespan_s

PLACES: Final = (4, 16, 64)
TARGETS: Final = {4: 1.01, 16: 1.03, 64: 1.04}
"""What a second run is to come to at most, over the simple bound, in the geometric mean; the proved bound may lie above it."""


class Ratios(msgspec.Struct, frozen=True, kw_only=True):
    """Makespans over the simple bound.

    `second`: durations learned from a first run. `first`: nothing known, each step counts as 1. `fcfs`: first come, first served,
    without barriers. `layers`: nothing known, behind barriers. `proved`: the proved bound, which no order beats. `over_proved`:
    the second run over that one.
    """

    second: float
    first: float
    fcfs: float
    layers: float
    proved: float
    over_proved: float


def timed(workflow: Workflow) -> tuple[Workflow, dict[str, float]]:
    """A recorded workflow without any `expect`, and the seconds that its steps take: they are sleeps."""
    seconds = {step.id: step.action.seconds for step in workflow.steps if isinstance(step.action, Sleep)}
    steps = tuple(msgspec.structs.replace(step, expect_s=None) for step in workflow.steps)
    return msgspec.structs.replace(workflow, steps=steps), seconds


def ratios(workflow: Workflow, seconds: Mapping[str, float], places: int) -> Ratios:
    """How the orders do on so many places. `workflow` and `seconds` as `timed` gives them."""
    graph = Graph(workflow.steps)
    weights = [seconds[id_] for id_ in graph.ids]
    simple_s = simple_bound_s(graph, weights, places)
    proved_s = max(simple_s, proved_bound_s(graph, weights, places))
    known = learned(workflow, [sample_of(workflow, seconds)])
    second_s = _simulated_s(workflow, seconds, known, places, "dataflow")
    return Ratios(
        second=second_s / simple_s,
        first=_simulated_s(workflow, seconds, {}, places, "dataflow") / simple_s,
        fcfs=first_come_s(graph, weights, places) / simple_s,
        layers=_simulated_s(workflow, seconds, {}, places, "layers") / simple_s,
        proved=proved_s / simple_s,
        over_proved=second_s / proved_s,
    )


def mean(rows: Sequence[Ratios]) -> Ratios:
    """The geometric mean of each column. Raises ValueError without a row."""
    if not rows:
        raise ValueError("no rows to take the mean of")
    columns = {name: [getattr(row, name) for row in rows] for name in Ratios.__struct_fields__}
    return Ratios(**{name: exp(sum(map(log, column)) / len(rows)) for name, column in columns.items()})


def _simulated_s(
    workflow: Workflow, seconds: Mapping[str, float], known: Mapping[str, float], places: int, schedule: Schedule
) -> float:
    """The makespan in simulated time, with the estimates that are `known`."""
    past = perfect(msgspec.structs.replace(workflow, schedule=schedule), seconds, Limits(total=places))
    return makespan_s(msgspec.structs.replace(past, created=msgspec.structs.replace(past.created, estimates=dict(known))))


def first_come_s(graph: Graph, seconds: Sequence[float], places: int) -> float:
    """The makespan if steps start in the order in which they become ready: a control, weft has no such order."""
    left = [len(needs) for needs in graph.needs]
    ready = [i for i, count in enumerate(left) if not count]
    begun, now, running = 0, 0.0, list[tuple[float, int]]()
    while begun < len(ready) or running:
        while begun < len(ready) and len(running) < places:
            heappush(running, (now + seconds[ready[begun]], ready[begun]))
            begun += 1
        now = running[0][0]
        while running and running[0][0] <= now:
            for j in graph.dependents[heappop(running)[1]]:
                left[j] -= 1
                if not left[j]:
                    ready.append(j)
    return now
