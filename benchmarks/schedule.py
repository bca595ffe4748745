"""How good the order of dispatch is: makespan over lower bounds, on recorded workflows, the production core in simulated time.

    python benchmarks/schedule.py                # the table of docs/scheduling.md
    python benchmarks/schedule.py --real         # five traces in real time: how far a replay of a run is from the run

Traces are those of WEFT_CORPORA (a folder with `wfinstances/*.json.xz`), by default `../shared/corpora` beside the repository.

- `second`: durations learned from a first run. `first`: nothing known, each step counts as 1. `layers`: the same behind barriers.
- `fcfs`: first come, first served; a control that is written here, since weft has no such order.
- The simple bound is max(critical path, work ÷ P). It can be far from what is possible: a fork-join of 8 equal steps on 4
  processors takes two rounds whatever the order. The proved bound is tighter; see `proved_bound_s`.
"""

import argparse
import os
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from heapq import heappop, heappush
from math import exp, log
from pathlib import Path
from typing import Final

import msgspec

from weft import app
from weft.core.estimates import learned, sample_of
from weft.core.facts import Limits
from weft.core.measure import Measure
from weft.formats import load
from weft.host.source import read_source
from weft.model.graph import Graph
from weft.model.workflow import Schedule, Sleep, Workflow
from weft.sim.foresight import perfect
from weft.sim.replay import past_of
from weft.sim.what_if import makespan_s

CORPORA: Final = Path(os.environ.get("WEFT_CORPORA") or Path(__file__).resolve().parents[2] / "shared" / "corpora")
PROCESSORS: Final = (4, 16, 64)
TARGETS: Final = {4: 1.01, 16: 1.03, 64: 1.04}
MARKS_MAX: Final = 300
"""Heads and tails that the proved bound tells apart: all of a small graph, and enough of a large one."""

REAL: Final = (
    "helloworld-forkjoin-10",
    "cycles-chameleon-1l",
    "chipseq-dirt02",
    "1000genome-chameleon-10ch",
    "srasearch-chameleon-30a-001",
)
REAL_STEP_S: Final = 0.2
"""The mean length of a step in real time."""
REAL_PROCESSORS: Final = 16


def traces() -> Iterator[tuple[str, bytes]]:
    for path in sorted((CORPORA / "wfinstances").glob("*.json.xz")):
        data, problems = read_source(path, size_max=1 << 30)
        assert data is not None, problems
        yield path.name.removesuffix(".json.xz"), data


def workflow_of(name: str, data: bytes, scale: float = 1.0) -> tuple[Workflow, dict[str, float]]:
    """A trace without any `expect`, and how long its steps take."""
    found = load(data, f"{name}.json", time_scale=scale).workflow
    assert found is not None, name
    seconds = {step.id: step.action.seconds for step in found.steps if isinstance(step.action, Sleep)}
    steps = tuple(msgspec.structs.replace(step, expect_s=None) for step in found.steps)
    return msgspec.structs.replace(found, steps=steps), seconds


# ---- simulated ----


def simulated_s(
    workflow: Workflow, seconds: dict[str, float], known: dict[str, float], processors: int, schedule: Schedule
) -> float:
    """The makespan in simulated time, with the estimates that are `known`."""
    past = perfect(msgspec.structs.replace(workflow, schedule=schedule), seconds, Limits(total=processors))
    return makespan_s(msgspec.structs.replace(past, created=msgspec.structs.replace(past.created, estimates=known)))


def first_come_s(graph: Graph, seconds: Sequence[float], processors: int) -> float:
    """The makespan if steps start in the order in which they become ready."""
    left = [len(needs) for needs in graph.needs]
    ready = [i for i, count in enumerate(left) if not count]
    begun, now, running = 0, 0.0, list[tuple[float, int]]()
    while begun < len(ready) or running:
        while begun < len(ready) and len(running) < processors:
            heappush(running, (now + seconds[ready[begun]], ready[begun]))
            begun += 1
        now = running[0][0]
        while running and running[0][0] <= now:
            for j in graph.dependents[heappop(running)[1]]:
                left[j] -= 1
                if not left[j]:
                    ready.append(j)
    return now


# ---- bounds ----


def proved_bound_s(graph: Graph, seconds: Sequence[float], processors: int) -> float:
    """No order of these steps is over sooner.

    Steps that all others come before or after cut the graph into parts, one after the other, whose bounds add up. Within a part,
    the steps before which at least r seconds of a path lie and after which at least q do fit neither into the first r seconds nor
    into the last q: r + their work ÷ P + q. And of k·P + 1 of them some k + 1 share a processor: r + the k + 1 shortest of the
    k·P + 1 longest + q.
    """
    return sum(_part_bound_s(graph, part, seconds, processors) for part in parts(graph))


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


def _part_bound_s(graph: Graph, part: list[int], seconds: Sequence[float], processors: int) -> float:
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
            best = max(best, r + work / processors + q if work else 0.0)  # else there is no such step
    for r in heads[:: max(1, len(heads) // 20)]:
        for q in tails[:: max(1, len(tails) // 20)]:
            longest = sorted((seconds[i] for i in part if head[i] >= r and tail[i] >= q), reverse=True)
            for k in range(1, min(200, (len(longest) - 1) // processors + 1)):
                if k * processors < len(longest):
                    best = max(best, r + q + sum(longest[k * processors - k : k * processors + 1]))
    return best


def _marks(values: Iterable[float]) -> list[float]:
    known = sorted(set(values))
    return known if len(known) <= MARKS_MAX else sorted({known[len(known) * n // MARKS_MAX] for n in range(MARKS_MAX)})


# ---- tables ----


def ratios(workflow: Workflow, seconds: dict[str, float], processors: int) -> list[float]:
    """Makespan ÷ simple bound of second, first, fcfs, layers; then second ÷ proved bound, and proved ÷ simple bound."""
    graph = Graph(workflow.steps)
    weights = [seconds[id_] for id_ in graph.ids]
    simple_s = max(sum(weights[i] for i in graph.critical_path(weights)), sum(weights) / processors)
    proved_s = max(simple_s, proved_bound_s(graph, weights, processors))
    known = learned(workflow, [sample_of(workflow, seconds)])
    second_s = simulated_s(workflow, seconds, known, processors, "dataflow")
    first_s = simulated_s(workflow, seconds, {}, processors, "dataflow")
    layers_s = simulated_s(workflow, seconds, {}, processors, "layers")
    fcfs_s = first_come_s(graph, weights, processors)
    return [*(time_s / simple_s for time_s in (second_s, first_s, fcfs_s, layers_s)), second_s / proved_s, proved_s / simple_s]


def simulated() -> None:
    head = "| trace | steps | P | second | first | fcfs | layers | second, proved bound |"
    say(head, "|---|---:|---:|---:|---:|---:|---:|---:|")
    found: dict[int, list[list[float]]] = {processors: [] for processors in PROCESSORS}
    for name, data in traces():
        workflow, seconds = workflow_of(name, data)
        for processors in PROCESSORS:
            row = ratios(workflow, seconds, processors)
            found[processors].append(row)
            say(f"| {name} | {len(seconds):,} | {processors} | " + " | ".join(f"{ratio:.3f}" for ratio in row[:5]) + " |")
    say("", "| P | second | first | fcfs | layers | second, proved bound | proved ÷ simple bound | target |", "|" + "---:|" * 8)
    for processors, rows in found.items():
        means = [exp(sum(map(log, column)) / len(rows)) for column in zip(*rows, strict=True)]
        say(f"| {processors} | " + " | ".join(f"{mean:.3f}" for mean in means) + f" | {TARGETS[processors]:.2f} |")


def real() -> None:
    """Run some traces, twice, and say how far the replay of each run is from the run."""
    say("| trace | scale | run | seconds | replayed | error | ÷ simple bound |", "|---|---:|---|---:|---:|---:|---:|")
    for name, data in traces():
        if not name.startswith(REAL):
            continue
        _, seconds = workflow_of(name, data)
        scale = REAL_STEP_S * len(seconds) / sum(seconds.values())
        workflow, seconds = workflow_of(name, data, scale)
        graph = Graph(workflow.steps)
        weights = [seconds[id_] for id_ in graph.ids]
        bound_s = max(sum(weights[i] for i in graph.critical_path(weights)), sum(weights) / REAL_PROCESSORS)
        with tempfile.TemporaryDirectory() as folder:
            for run in ("first", "second"):
                options = app.Options(limits=Limits(total=REAL_PROCESSORS), signals=False)
                result = app.start(workflow, {}, Path(folder), options, project=Path(folder))
                measure = Measure()
                for fact in result.facts():
                    measure.see(fact)
                took_s, again_s = measure.makespan_s, makespan_s(past_of(result.facts()))
                row = f"{scale:.3g} | {run} | {took_s:.2f} | {again_s:.2f} | {again_s / took_s - 1:+.1%} | {took_s / bound_s:.3f}"
                say(f"| {name} | {row} |")


def say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--real", action="store_true", help="five traces in real time, about a minute")
    if not (CORPORA / "wfinstances").is_dir():
        sys.stderr.write("no traces: WEFT_CORPORA names a folder with wfinstances/*.json.xz\n")
        return 2
    (real if arguments.parse_args().real else simulated)()
    return 0


if __name__ == "__main__":
    sys.exit(main())
