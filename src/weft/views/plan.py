"""What a workflow would run: layers, critical path, what can be parallel, and how long it would take. Nothing is run.

- Each step is weighed as `core.estimates` says, and the plan says from where it knows; where nothing is known, it counts steps.
- Short whatever the size: small graphs step by step, large ones layer by layer.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from weft.core.demand import weight_of
from weft.core.estimates import LEARNED, Estimate, Sample, Source, estimates_by_path, kind_of
from weft.core.facts import Limits
from weft.model.graph import Graph
from weft.model.units import format_duration
from weft.model.workflow import Approve, Flow, Pool, Step, Workflow
from weft.sim.foresight import Foreseen, foresee, perfect
from weft.sim.replay import Past
from weft.views.parts import Part, parts_of
from weft.views.text import Cell, Paint, chain, fit, fit_name, names, plural, pool_words, table, taken_words, visible
from weft.views.words import at_once

LISTED_STEPS_MAX: Final = 40
"""Workflows of up to so many steps are shown step by step."""

LAYERS_MAX: Final = 16
"""Layers that are shown; of a deeper graph the first and the last."""

LAST_LAYERS: Final = 4
LAYER_NAMED_MAX: Final = 30
NAMES_WIDTH: Final = 60
POOLS_MAX: Final = 10

SIMULATED_STEPS_MAX: Final = 20_000
"""Larger workflows are not simulated: at some 30 µs a step nobody should wait for it unasked."""

LABEL_WIDTH: Final = 15


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`parts`: every step of the files, those of sub-workflows after the step that they belong to. `estimates` are by path, for
    one instance of a fan-out; a sub-workflow is what its steps are. `weights` hold their seconds by step number; where nothing is
    known, and so not `timed`, these are steps. `path`: the critical path. `size`: the steps that a run will have, if a fan-out of
    which nothing is known has one instance. `foreseen`: a simulated run under `limits`; None if there are too many."""

    workflow: Workflow
    limits: Limits
    graph: Graph
    layers: list[list[int]]
    parts: list[Part]
    estimates: dict[str, Estimate]
    weights: list[float]
    timed: bool
    path: list[int]
    size: int
    foreseen: Foreseen | None

    def count(self, *sources: Source) -> int:
        """Steps whose estimates come from there."""
        return sum(estimate.source in sources for estimate in self.estimates.values())

    @property
    def work_s(self) -> float:
        """Of all instances together."""
        return sum(part.times * self.estimates[part.path].seconds for part in self.parts if part.path in self.estimates)

    @property
    def open_ended(self) -> int:
        """Fan-outs of which it is not known how many instances they will have."""
        return sum(part.step.for_each is not None and part.keys is None for part in self.parts)

    def amount(self, weight: float) -> str:
        return format_duration(weight) if self.timed else plural(round(weight), "step")


def make(workflow: Workflow, limits: Limits, samples: Sequence[Sample] = ()) -> Plan:
    """The plan, with what the `samples` of earlier runs teach."""
    graph, parts = Graph(workflow.steps), parts_of(workflow)
    known = estimates_by_path(workflow, samples)
    durations = {path: estimate.seconds for path, estimate in known.items()}
    weights = [weight_of(step, durations) for step in workflow.steps]
    size = sum(part.times for part in parts)
    return Plan(
        workflow=workflow,
        limits=limits,
        graph=graph,
        layers=graph.layers(),
        parts=parts,
        estimates=known,
        weights=weights,
        timed=any(estimate.source != "assumed" for estimate in known.values()),
        path=graph.critical_path(weights),
        size=size,
        foreseen=foresee(workflow, durations, limits, _keys(parts)) if size <= SIMULATED_STEPS_MAX else None,
    )


def expected(workflow: Workflow, limits: Limits, samples: Sequence[Sample] = ()) -> Past:
    """The run that the plan foresees, to be asked what if."""
    known = {path: estimate.seconds for path, estimate in estimates_by_path(workflow, samples).items()}
    return perfect(workflow, known, limits, _keys(parts_of(workflow)))


def _keys(parts: Sequence[Part]) -> dict[str, Sequence[str]]:
    """The keys of every fan-out; of one of which nothing is known, one."""
    return {part.path: ("0",) if part.keys is None else part.keys for part in parts if part.step.for_each is not None}


def render(workflow: Workflow, limits: Limits, *, samples: Sequence[Sample] = (), color: bool, width: int = 100) -> str:
    """The plan as text, lines of at most `width` columns."""
    plan, paint = make(workflow, limits, samples), Paint(color)
    schedule = "" if workflow.schedule == "dataflow" else f", schedule: {workflow.schedule}"
    size = f"{plural(len(workflow.steps), 'step')} in {plural(len(plan.layers), 'layer')}{schedule}"
    listed = len(plan.parts) <= LISTED_STEPS_MAX
    lines = [f"{paint(visible(workflow.name), 'bold')}: {size}", *map(visible, workflow.banner), ""]
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
    return {
        "name": workflow.name,
        "schedule": workflow.schedule,
        "limits": {"total": limits.total, "computing": limits.computing, "waiting": limits.waiting},
        "pools": {
            name: "auto" if pool.auto else _written(workflow, name, pool.slots) for name, pool in workflow.resources.items()
        },
        "pool_limits": {name: msgspec.to_builtins(pool) for name, pool in workflow.resources.items()},
        "gates": None if workflow.gates is None else "each-layer",
        "layers": len(plan.layers),
        "widest_layer": {"layer": widest + workflow.first_layer, "steps": len(plan.layers[widest])} if plan.layers else None,
        "critical_path": [ids[i] for i in plan.path],
        "assumed": plan.count("assumed"),
        "estimated_work_s": plan.work_s,
        "estimated_span_s": sum(plan.weights[i] for i in plan.path),
        "estimated_makespan_s": plan.foreseen.makespan_s if plan.foreseen else None,
        "parallel_max": plan.foreseen.parallel_max if plan.foreseen else None,
        "steps": [_step_as_json(plan, part) for part in plan.parts],
    }


def _step_as_json(plan: Plan, part: Part) -> dict[str, Any]:
    """A fan-out has `instances`, which is null where they are not known, and `wiring`; a step of a sub-workflow has `within`."""
    step, estimate = part.step, plan.estimates.get(part.path)
    within = part.path.rpartition("/")[0]
    found = {
        "step": part.path,
        "layer": plan.graph.layer[plan.graph.index[part.path.partition("/")[0]]] + plan.workflow.first_layer,
        "needs": [f"{within}/{need}" for need in step.needs] if within else step.needs,
        "resources": {name: _written(plan.workflow, name, weight) for name, weight in step.resources.items()},
        "gate": "before" if step.gate else "approve" if step.question else None,
        "reuse": step.reuse,
        "expect_s": step.expect_s,
        "estimate_s": estimate.seconds if estimate else None,
        "estimate_from": estimate.source if estimate else "its steps",
        "estimate_runs": estimate.runs if estimate else 0,
    }
    if step.for_each is not None:
        found |= {"instances": None if part.keys is None else len(part.keys), "wiring": part.wiring}
    return found | ({"within": within} if within else {})


# ---- the graph ----


def _steps(plan: Plan, paint: Paint, width: int) -> list[str]:
    rows: list[list[Cell]] = []
    parts: list[list[Part]] = []
    for part in plan.parts:
        if part.depth:
            parts[-1].append(part)
        else:
            parts.append([part])
    for number, layer in enumerate(plan.layers):
        for i in layer:
            label = f"layer {number + plan.workflow.first_layer}" if i == layer[0] else ""
            for part in parts[i]:
                step = part.step
                needs = f"needs {names(step.needs, width // 3)}" if step.needs else ""
                name = f"{'  ' * part.depth}{visible(step.id)} {part.count}".rstrip()
                notes = _notes(part, plan.estimates.get(part.path), plan.workflow.resources)
                rows.append([(label.ljust(LABEL_WIDTH - 2), "dim"), name, (needs, "dim"), (notes, "dim")])
                label = ""
    return table(rows, paint, width, keep=(0,))


def _written(workflow: Workflow, name: str, units: int | None) -> float | None:
    """Units of a pool as a file has them: 0.5 of a processor, not 500 thousandths."""
    unit = workflow.resources[name].unit if name in workflow.resources else 1
    return units if units is None or unit == 1 else units / unit


def _notes(part: Part, estimate: Estimate | None, pools: Mapping[str, Pool]) -> str:
    step = part.step
    notes = [_source(step, estimate)] if estimate and estimate.source in (*LEARNED, "expect") else []
    notes += [f"sub-workflow {visible(step.action.workflow.name)}"] if isinstance(step.action, Flow) else []
    notes += [_asks(step.question, "gate before it" if step.gate else "asks a person")] if step.question else []
    notes += [part.wiring] if part.wiring else []
    notes += taken_words(pools, step.resources)
    notes += [f"priority {step.priority}"] if step.priority else []
    notes += [f"if {visible(step.condition)}"] if step.condition else []
    return ", ".join(notes)


def _asks(question: Approve, words: str) -> str:
    """A gate, and what silence means."""
    if question.answer is not None:
        return f"gate with its own answer, else {question.on_timeout}"
    if question.timeout_s is None:
        return words
    return f"{words} ({question.on_timeout} after {format_duration(question.timeout_s)})"


def _gates(plan: Plan) -> list[tuple[str, str]]:
    """Where a run waits for people."""
    workflow, rows = plan.workflow, list[str]()
    asks = [part.path for part in plan.parts if part.step.question and part.step.question.answer is None]
    rows += (
        [f"{plural(len(asks), 'step')} {'waits' if len(asks) == 1 else 'wait'} for a person: {names(asks, NAMES_WIDTH)}"]
        if asks
        else []
    )
    last = {i for i, step in enumerate(workflow.steps) if step.role == "finally"}
    between = sum(not last.issuperset(layer) for layer in plan.layers) - 1
    if workflow.gates is not None and between > 0:
        rows.append(f"{_asks(workflow.gates, 'after each layer but the last')}: {plural(between, 'gate')}")
    return [("" if n else "gates", row) for n, row in enumerate(rows)]


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
        rows.append([(f"layer {number + plan.workflow.first_layer}".ljust(LABEL_WIDTH - 2), "dim"), f"{len(layer):,}", named])
    return table(rows, paint, width, right=(1,), keep=(0, 1))


# ---- what can be said of it ----


def _facts(plan: Plan, width: int) -> list[tuple[str, str]]:
    if not plan.layers:
        return []
    widest = _widest(plan)
    rows = [
        ("critical path", _path(plan, width)),
        ("widest layer", f"layer {widest + plan.workflow.first_layer} with {plural(len(plan.layers[widest]), 'step')}"),
        ("at once", _at_once(plan)),
        *_pools(plan, width),
        *_gates(plan),
        ("estimate", _estimate(plan)),
    ]
    if plan.open_ended:
        rows.append(("", f"with one instance for each × ?: {plural(plan.open_ended, 'fan-out')} will be known in the run"))
    rows.append(("times", _sources(plan)))
    return rows


def _sources(plan: Plan) -> str:
    """Where the estimates come from, by number of steps."""
    if not plan.timed:
        return "unknown: no earlier run, no `expect`; each step counts the same"
    runs = max(estimate.runs for estimate in plan.estimates.values())
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
    return f"{plan.foreseen.parallel_max} of {plan.size:,} here ({allowed})" if plan.foreseen else allowed


def _pools(plan: Plan, width: int) -> list[tuple[str, str]]:
    takers: dict[str, list[str]] = {name: [] for name in plan.workflow.resources}
    for part in plan.parts:
        for name, weight in part.step.resources.items():
            pool = plan.workflow.resources[name]
            takers[name].append(part.path if weight == pool.unit else f"{part.path} ({pool.shown(weight)})")
    rows: list[tuple[str, str]] = []
    for name, pool in islice(plan.workflow.resources.items(), POOLS_MAX):
        head = f"{visible(name)}, {pool_words(pool)}: "
        taken = names(takers[name][:LAYER_NAMED_MAX], width - len(head), total=len(takers[name])) if takers[name] else "no step"
        rows.append(("" if rows else "pools", head + taken))
    return rows


def _estimate(plan: Plan) -> str:
    work = plan.work_s
    if plan.foreseen is None:
        return f"{plan.amount(work)} of work; simulated only up to {plural(SIMULATED_STEPS_MAX, 'step')}"
    makespan = plan.foreseen.makespan_s
    speedup = f", speedup {work / makespan:.1f}×" if makespan else ""
    if plan.timed:
        return f"{format_duration(makespan)} under these limits for {format_duration(work)} of work{speedup}"
    return f"{plural(round(work), 'step')} in the time of {round(makespan):,} under these limits{speedup}"
