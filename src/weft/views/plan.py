"""What a workflow would run: layers, critical path, what can be parallel, and how long it would take. Nothing is run.

- Each step is weighed as `core.estimates` says, and the plan says from where it knows; where nothing is known, it counts steps.
- Short whatever the size: small graphs step by step, large ones layer by layer.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from weft.core.estimates import LEARNED, Estimate, Sample, Source, estimates, kind_of
from weft.core.facts import Limits
from weft.model.graph import Graph
from weft.model.units import format_duration
from weft.model.workflow import Step, Workflow
from weft.sim.foresight import Foreseen, foresee
from weft.views.story import at_once
from weft.views.text import Cell, Paint, chain, fit, fit_name, names, plural, table, visible

LISTED_STEPS_MAX: Final = 40
"""Workflows of up to so many steps are shown step by step."""

LAYERS_MAX: Final = 16
"""Layers that are shown; of a deeper graph the first and the last."""

LAST_LAYERS: Final = 4
LAYER_NAMED_MAX: Final = 30
POOLS_MAX: Final = 10

SIMULATED_STEPS_MAX: Final = 20_000
"""Larger workflows are not simulated: at some 30 µs a step nobody should wait for it unasked."""

LABEL_WIDTH: Final = 15


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`estimates`, and their seconds in `weights`, by step number; where nothing is known, and so not `timed`, these are steps.
    `path`: the critical path. `foreseen`: a simulated run under `limits`; None for a workflow that is too large."""

    workflow: Workflow
    limits: Limits
    graph: Graph
    layers: list[list[int]]
    estimates: list[Estimate]
    weights: list[float]
    timed: bool
    path: list[int]
    foreseen: Foreseen | None

    def count(self, *sources: Source) -> int:
        """Steps whose estimates come from there."""
        return sum(estimate.source in sources for estimate in self.estimates)

    def amount(self, weight: float) -> str:
        return format_duration(weight) if self.timed else plural(round(weight), "step")


def make(workflow: Workflow, limits: Limits, samples: Sequence[Sample] = ()) -> Plan:
    """The plan, with what the `samples` of earlier runs teach."""
    graph = Graph(workflow.steps)
    known = estimates(workflow, samples)
    weights = [estimate.seconds for estimate in known]
    durations = dict(zip(graph.ids, weights, strict=True))
    return Plan(
        workflow=workflow,
        limits=limits,
        graph=graph,
        layers=graph.layers(),
        estimates=known,
        weights=weights,
        timed=any(estimate.source != "assumed" for estimate in known),
        path=graph.critical_path(weights),
        foreseen=foresee(workflow, durations, limits) if len(graph) <= SIMULATED_STEPS_MAX else None,
    )


def render(workflow: Workflow, limits: Limits, *, samples: Sequence[Sample] = (), color: bool, width: int = 100) -> str:
    """The plan as text, lines of at most `width` columns."""
    plan, paint = make(workflow, limits, samples), Paint(color)
    schedule = "" if workflow.schedule == "dataflow" else f", schedule: {workflow.schedule}"
    size = f"{plural(len(workflow.steps), 'step')} in {plural(len(plan.layers), 'layer')}{schedule}"
    listed = len(workflow.steps) <= LISTED_STEPS_MAX
    lines = [f"{paint(visible(workflow.name), 'bold')}: {size}", ""]
    lines += _steps(plan, paint, width) if listed else _layers(plan, paint, width)
    lines.append("")
    for label, text in _facts(plan, width - LABEL_WIDTH):
        lines.append(paint(label.ljust(LABEL_WIDTH - 2), "dim") + "  " + fit(text, width - LABEL_WIDTH))
    return "\n".join(lines)


def as_json(workflow: Workflow, limits: Limits, samples: Sequence[Sample] = ()) -> dict[str, Any]:
    """The plan as data. Times are in seconds, estimated; `estimate_from` says from where, `estimate_runs` from how many earlier
    runs, and `assumed` how many steps count as 1 because nothing is known of them."""
    plan = make(workflow, limits, samples)
    ids, widest = plan.graph.ids, _widest(plan)
    steps = [
        {
            "step": step.id,
            "layer": plan.graph.layer[i],
            "needs": step.needs,
            "resources": step.resources,
            "expect_s": step.expect_s,
            "estimate_s": plan.estimates[i].seconds,
            "estimate_from": plan.estimates[i].source,
            "estimate_runs": plan.estimates[i].runs,
        }
        for i, step in enumerate(workflow.steps)
    ]
    return {
        "name": workflow.name,
        "schedule": workflow.schedule,
        "limits": {"total": limits.total, "computing": limits.computing, "waiting": limits.waiting},
        "pools": {name: pool.slots for name, pool in workflow.resources.items()},
        "layers": len(plan.layers),
        "widest_layer": {"layer": widest, "steps": len(plan.layers[widest])} if plan.layers else None,
        "critical_path": [ids[i] for i in plan.path],
        "assumed": plan.count("assumed"),
        "estimated_work_s": sum(plan.weights),
        "estimated_span_s": sum(plan.weights[i] for i in plan.path),
        "estimated_makespan_s": plan.foreseen.makespan_s if plan.foreseen else None,
        "parallel_max": plan.foreseen.parallel_max if plan.foreseen else None,
        "steps": steps,
    }


# ---- the graph ----


def _steps(plan: Plan, paint: Paint, width: int) -> list[str]:
    rows: list[list[Cell]] = []
    for number, layer in enumerate(plan.layers):
        for i in layer:
            label = f"layer {number}" if i == layer[0] else ""
            step = plan.workflow.steps[i]
            needs = f"needs {names(step.needs, width // 3)}" if step.needs else ""
            rows.append(
                [
                    (label.ljust(LABEL_WIDTH - 2), "dim"),
                    visible(step.id),
                    (needs, "dim"),
                    (_notes(step, plan.estimates[i]), "dim"),
                ]
            )
    return table(rows, paint, width, keep=(0,))


def _notes(step: Step, estimate: Estimate) -> str:
    notes = [_source(step, estimate)] if estimate.source in (*LEARNED, "expect") else []
    notes += [f"{visible(pool)} {weight}" for pool, weight in step.resources.items()]
    notes += [f"priority {step.priority}"] if step.priority else []
    notes += [f"if {visible(step.condition)}"] if step.condition else []
    return ", ".join(notes)


def _source(step: Step, estimate: Estimate) -> str:
    """An estimate, and where it comes from."""
    seconds = format_duration(estimate.seconds)
    match estimate.source:
        case "learned":
            return f"{seconds} in {plural(estimate.runs, 'run')}"
        case "same action":
            return f"{seconds} as its action in {plural(estimate.runs, 'run')}"
        case "same kind":
            return f"{seconds} as other {kind_of(step.action)} steps in {plural(estimate.runs, 'run')}"
    return f"expect {seconds}"


def _layers(plan: Plan, paint: Paint, width: int) -> list[str]:
    numbers = list(range(len(plan.layers)))
    if len(numbers) > LAYERS_MAX:
        numbers[LAYERS_MAX - LAST_LAYERS : -LAST_LAYERS] = [-1]
    rows: list[list[Cell]] = []
    for number in numbers:
        if number < 0:
            hidden = plan.layers[LAYERS_MAX - LAST_LAYERS : -LAST_LAYERS]
            rows.append([("…", "dim"), "", f"{plural(len(hidden), 'layer')} with {plural(sum(map(len, hidden)), 'step')}"])
            continue
        layer = plan.layers[number]
        named = names([plan.graph.ids[i] for i in layer[:LAYER_NAMED_MAX]], width - LABEL_WIDTH - 10, total=len(layer))
        rows.append([(f"layer {number}".ljust(LABEL_WIDTH - 2), "dim"), f"{len(layer):,}", named])
    return table(rows, paint, width, right=(1,), keep=(0, 1))


# ---- what can be said of it ----


def _facts(plan: Plan, width: int) -> list[tuple[str, str]]:
    if not plan.layers:
        return []
    widest = _widest(plan)
    rows = [
        ("critical path", _path(plan, width)),
        ("widest layer", f"layer {widest} with {plural(len(plan.layers[widest]), 'step')}"),
        ("at once", _at_once(plan)),
        *_pools(plan, width),
        ("estimate", _estimate(plan)),
    ]
    rows.append(("times", _sources(plan)))
    return rows


def _sources(plan: Plan) -> str:
    """Where the estimates come from, by number of steps."""
    if not plan.timed:
        return "unknown: no earlier run, no `expect`; each step counts the same"
    runs = max(estimate.runs for estimate in plan.estimates)
    told = [
        (plan.count("learned"), f"learned from {plural(runs, 'run')}"),
        (plan.count("same action"), "same action"),
        (plan.count("expect"), "`expect`"),
        (plan.count("sleep"), "sleep"),
        (plan.count("same kind"), "same kind"),
        (plan.count("assumed"), "assumed 1s"),
    ]
    return ", ".join(f"{count:,} {how}" for count, how in told if count)


def _widest(plan: Plan) -> int:
    return max(range(len(plan.layers)), key=lambda layer: len(plan.layers[layer]), default=0)


def _path(plan: Plan, width: int) -> str:
    head = f"{plan.amount(sum(plan.weights[i] for i in plan.path))}: "
    parts = [(_timed_name(plan, i), plan.weights[i]) for i in plan.path]
    return head + chain(parts, width - len(head))


def _timed_name(plan: Plan, i: int) -> str:
    name = fit_name(visible(plan.graph.ids[i]), 32)
    return f"{name} {format_duration(plan.weights[i])}" if plan.timed else name


def _at_once(plan: Plan) -> str:
    if plan.workflow.schedule == "sequential":
        return "1 (schedule: sequential)"
    allowed = f"max_parallel: {at_once(plan.limits, plan.workflow.steps)}"
    return f"{plan.foreseen.parallel_max} of {len(plan.weights):,} here ({allowed})" if plan.foreseen else allowed


def _pools(plan: Plan, width: int) -> list[tuple[str, str]]:
    takers: dict[str, list[str]] = {name: [] for name in plan.workflow.resources}
    for step in plan.workflow.steps:
        for name, weight in step.resources.items():
            takers[name].append(step.id if weight == 1 else f"{step.id} ({weight})")
    rows: list[tuple[str, str]] = []
    for name, pool in islice(plan.workflow.resources.items(), POOLS_MAX):
        head = f"{visible(name)}, {plural(pool.slots, 'slot')}: "
        taken = names(takers[name][:LAYER_NAMED_MAX], width - len(head), total=len(takers[name])) if takers[name] else "no step"
        rows.append(("" if rows else "pools", head + taken))
    return rows


def _estimate(plan: Plan) -> str:
    work = sum(plan.weights)
    if plan.foreseen is None:
        return f"{plan.amount(work)} of work; simulated only up to {plural(SIMULATED_STEPS_MAX, 'step')}"
    makespan = plan.foreseen.makespan_s
    speedup = f", speedup {work / makespan:.1f}×" if makespan else ""
    if plan.timed:
        return f"{format_duration(makespan)} under these limits for {format_duration(work)} of work{speedup}"
    return f"{plural(round(work), 'step')} in the time of {round(makespan):,} under these limits{speedup}"
