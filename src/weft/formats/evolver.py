"""Workflow files of Code Evolver: specifications in JSON or YAML, plans of its overseer, and tasks of its Forge.

- What it calls a step or a task becomes a step of ours. What none of them waits for by name follows the file (`evolver_order`).
- Tools are found, never guessed (`evolver_tools`); what the author wrote reaches them as data (`evolver_steps`).
- A failed step ends the run.
"""

import json
from collections.abc import Mapping
from posixpath import dirname
from typing import Any, Final

import msgspec

from weft.formats.cycles import report_cycles
from weft.formats.document import Document, Findings, Path, Where
from weft.formats.evolver_condition import lower_condition
from weft.formats.evolver_config import WorkflowMode
from weft.formats.evolver_fields import Given
from weft.formats.evolver_inputs import check_given, read_inputs
from weft.formats.evolver_order import with_order
from weft.formats.evolver_references import Hole, References, Target, first_of, template
from weft.formats.evolver_steps import NORMAL, Raw, Steps, find_tools
from weft.formats.evolver_tools import Folder, Tools
from weft.formats.flows import Sources
from weft.formats.shapes import described, quoted
from weft.model.tokens import shown
from weft.model.workflow import Budget, Step, Value, Workflow

SYSTEM: Final = "a workflow of Code Evolver"
WORDS: Final = {
    "name": "`workflow_id`",
    "description": "`description`",
    "inputs": "`inputs` or `input_parameters`",
    "steps": "`steps` or `tasks`",
    "max_parallel": "a group is run all at once there, within this bound of ours",
    "schedule": "`chat.workflow_mode.enabled` of its config.yaml is false",
    "needs": "`depends_on` and what the step refers to; without both, the step before",
    "if": "`condition`; a step that was skipped holds nothing up",
    "with": "`task`: what is called, `given`: the inputs, `prompt`: what is asked",
    "python": "a tool, a function or code, which a part of weft calls as it expects",
    "agent": "a language model, with the prompt of the step",
    "flow": "`workflow_path` or `workflow_spec`",
    "on_error": "a failed step ends the run",
    "retry": "`retry_on_failure` and `max_retries`",
    "timeout": "`timeout`, 300 seconds unless it says otherwise",
    "priority": "`priority`, of which lower numbers come first there",
    "fallback": "`fallback_tool`, or the next of the `candidates`",
    "title": "`description`",
    "budget": "`constraints.max_cost_per_run`",
    "outputs": "`outputs`, or the output of each step",
}
MAX_PARALLEL: Final = 64
"""Steps of a group run all at once there, each in a thread; so many of ours fit into a small machine."""
PLAN_LINES_MAX: Final = 60
"""Of the plan that is shown before a run: more than that scrolls away."""
TOGETHER: Final = "Executing {count} steps in parallel:"
KEYS: Final = (
    *(
        "workflow_id",
        "name",
        "description",
        "version",
        "portable",
        "created_by",
        "created_at",
        "tags",
        "inputs",
        "outputs",
        "steps",
    ),
    *("tools", "dependencies", "input_parameters", "output_schema", "metadata", "priority", "quality_level", "success_criteria"),
    *("workflow", "tasks", "constraints", "optimization", "validation", "required_tools", "python_tools", "estimated_duration"),
)
COST_MAX: Final = 1e15
"""As for what steps report."""
NO_MEANING: Final = ("max_latency_ms_p95", "max_risk_score", "min_correctness")
CONSTRAINTS: Final = ("max_cost_per_run", *NO_MEANING)
DEPENDS: Final = ("depends_on", "dependsOn", "dependencies")


def recognises(value: Value) -> bool:
    """Whether this looks like a workflow of Code Evolver, good or bad."""
    if isinstance(value, list):
        return any(isinstance(step, dict) and "step_id" in step for step in value)
    if not isinstance(value, dict):
        return False
    steps, tasks = value.get("steps"), _tasks(value)
    if isinstance(steps, list) and any(isinstance(step, dict) and "step_id" in step for step in steps):
        return True
    if isinstance(tasks, list) and any(isinstance(task, dict) and "candidates" in task for task in tasks):
        return True
    return "workflow_id" in value and ("steps" in value or "tools" in value)


def _tasks(value: Mapping[str, Value]) -> Value:
    inner = value.get("workflow")
    return inner["tasks"] if isinstance(inner, dict) and "tasks" in inner else value.get("tasks")


def load(
    document: Document, findings: Findings, name: str, sources: Sources, folder: Folder | None, mode: WorkflowMode
) -> Workflow | None:
    """The workflow, if there is no error. `folder` gives the files of a folder, for tools."""
    if not isinstance(document.value, dict):
        message = f"the file is {described(document.value)}, where a mapping with `steps` must be"
        findings.add("W801", message, Where(()), hint='"steps": […]')
        return None
    root = Given(document.value, (), findings)
    return _Loader(root, findings, name, sources, Tools(findings, name, folder), mode).load()


def step_path(document: Document, step: str) -> Path:
    """The path of a step in the document; for a part of it, that of the step it belongs to."""
    at, steps = _steps_of(document.value)
    id_ = step.partition("/")[0]
    for n, fields in enumerate(steps if isinstance(steps, list) else ()):
        if isinstance(fields, dict) and id_ in (fields.get("step_id"), fields.get("id")):
            return (*at, n)
    return at


def _steps_of(value: Mapping[str, Value]) -> tuple[Path, Value]:
    """Where the steps stand, and they."""
    inner = value.get("workflow")
    if value.get("steps") is None and isinstance(inner, dict) and "tasks" in inner:
        return ("workflow", "tasks"), inner["tasks"]
    if value.get("steps") is None and "tasks" in value:
        return ("tasks",), value["tasks"]
    return ("steps",), value.get("steps")


class _Loader:
    def __init__(
        self, root: Given, findings: Findings, name: str, sources: Sources, tools: Tools, mode: WorkflowMode, nested: bool = False
    ) -> None:
        self.root, self.findings, self.name, self.sources = root, findings, name, sources
        self.tools, self.mode, self.nested = tools, mode, nested
        inner = root.inner("workflow")
        self.head = inner if inner.fields else root
        if root.has("tools"):
            tools.define(root.inner("tools"))

    def load(self) -> Workflow | None:
        before = self.findings.count
        self.root.check_keys(KEYS, "a workflow")
        at, items = _steps_of(self.root.fields)
        raws = self._raws((*self.root.path, *at), items)
        inputs = read_inputs(self.root)
        found = {raw.id: find_tools(raw, self.tools) for raw in raws}
        targets = {raw.id: (found[raw.id] or raw).target for raw in raws}
        self.references = References(self.findings, inputs, targets)
        normal = NORMAL if any(raw.given.has("priority") for raw in raws) else 0
        lowering = Steps(self.references, self.tools, dirname(self.name), self._flow, -normal)
        lowered: dict[str, list[Step]] = {}
        needs: dict[str, list[str]] = {}
        self.edges: dict[tuple[str, str], Path] = {}
        conditions: dict[str, str] = {}
        for raw in raws:
            self.references.found = []
            depends_on = self._depends_on(raw, targets)
            lowered[raw.id] = lowering.lower(found[raw.id] or raw, depends_on, runs=found[raw.id] is not None)
            if raw.given.has("condition"):
                conditions[raw.id] = lower_condition(raw.given, self.references)
            self.references.passed(raw.id)
            needs[raw.id] = [*depends_on, *(id_ for id_, _ in self.references.found)]
            for id_, path in self.references.found:
                self.edges.setdefault((raw.id, id_), path)
        ordered = with_order(needs, {raw.id: self._group(raw) for raw in raws})
        steps = self._placed(lowered, ordered, conditions)
        self.references.found = []
        outputs = self._outputs(targets)
        paths = {raw.id: raw.given.path for raw in raws}
        report_cycles(steps, lambda n, need: self._where(steps[n].id.partition("/")[0], need, paths), self.findings)
        if self.findings.count > before:
            return None
        return self._made(steps, inputs, outputs, raws)

    def _made(self, steps: list[Step], inputs: dict[str, Any], outputs: dict[str, Value], raws: list[Raw]) -> Workflow:
        id_, name = self.head.text("workflow_id", "id"), self.head.text("name")
        description = self.head.text("description")
        if not self.head.has("workflow_id", "id", "name") and not self.nested:
            hint = 'add `"workflow_id": "…"`, so that its runs can be told from those of others'
            self.root.warn("W811", "this is a part of a workflow: it has no `workflow_id`", (), hint)
        stem = self.name.rpartition("/")[2].split(".")[0]
        return Workflow(
            name=id_ or name or stem or "workflow",
            description=description,
            steps=tuple(steps),
            inputs=inputs,
            outputs=outputs,
            max_parallel=MAX_PARALLEL,
            schedule="dataflow" if self.mode.enabled or self.nested or self.sources.inside else "sequential",
            first_layer=1,
            banner=_plan(raws),
            together=TOGETHER,
            budget=self._budget(),
        )

    # ---- the steps as they stand ----

    def _raws(self, at: Path, items: Value) -> list[Raw]:
        if not isinstance(items, list) or not items:
            what = "has no steps" if not items else f"has `{at[-1]}` that are {described(items)}"
            hint = '"steps": [{ "step_id": "first", "description": "…", "tool": "…" }]'
            self.findings.add("W801", f"the workflow {what}", Where(at), hint=hint)
            return []
        raws: dict[str, Raw] = {}
        for n, fields in enumerate(items):
            path = (*at, n)
            if not isinstance(fields, dict):
                self.findings.add("W802", f"step {n + 1} is {described(fields)}, where a mapping must be", Where(path))
                continue
            given = Given(fields, path, self.findings)
            id_ = given.text("step_id", "id")
            if not id_:
                if not given.has("step_id", "id"):
                    given.wrong(f"step {n + 1} has no `step_id`", path, f'"step_id": "step{n + 1}"', "W801")
            elif "/" in id_ or not id_.isprintable():
                given.wrong(
                    f"`{shown(id_)}` cannot be the id of a step", given.at("step_id", "id"), "use letters, digits, - and _"
                )
            elif id_ in raws:
                first = raws[id_].given
                seconds = [(Where(first.at("step_id", "id")), "first here")]
                hint = "give one of them another id"
                message = f"the step `{shown(id_)}` is given twice"
                self.findings.add("W804", message, Where(given.at("step_id", "id")), seconds=seconds, hint=hint)
            else:
                raws[id_] = Raw(id_, given)
        return list(raws.values())

    def _depends_on(self, raw: Raw, targets: Mapping[str, Target]) -> list[str]:
        given = raw.given
        names: list[tuple[str, Value, Path]] = []
        for key in DEPENDS:
            value = given.fields.get(key)
            if isinstance(value, str):
                names += [(key, value, given.at(key))] if value else []
            else:
                names += [(key, item, (*given.path, key, n)) for n, item in enumerate(given.items(key))]
        needs: list[str] = []
        for key, item, path in names:
            if not isinstance(item, str):
                given.wrong(f"`{key}` holds {described(item)}, where the id of a step must be", path)
            elif item not in targets:
                hint = self.findings.suggest(item, targets) or f"there is {quoted(targets)}"
                given.wrong(f"the step `{shown(raw.id)}` depends on `{shown(item)}`, which is no step", path, hint, "W805")
            else:
                needs.append(item)
                self.edges[raw.id, item] = path
        return list(dict.fromkeys(needs))

    def _group(self, raw: Raw) -> Value:
        """A number or a text; each is a name, so that 1 and "1" are two groups. None: it is in no group."""
        group = raw.given.fields.get("parallel_group")
        if group is None or (type(group) in (int, str) and group != ""):
            return group
        hint = "a number, a text, or null"
        raw.given.wrong(
            f"`parallel_group` is {described(group)}, where the name of a group must be", raw.given.at("parallel_group"), hint
        )
        return None

    def _placed(self, lowered: dict[str, list[Step]], needs: dict[str, list[str]], conditions: dict[str, str]) -> list[Step]:
        """The steps with their needs and conditions. Where some are skipped by one, what follows them runs all the same."""
        steps: list[Step] = []
        last: list[Step] = []
        for id_, made in lowered.items():
            condition = conditions.get(id_, "")
            if conditions and needs[id_]:
                condition = f"!failed() && ({condition})" if condition else "!failed()"
            for step in made:
                first = step.role == "step"
                own = msgspec.structs.replace(step, needs=tuple(needs[id_]), condition=condition if first else "")
                (steps if first else last).append(own)
        return steps + last

    def _where(self, id_: str, need: str, paths: Mapping[str, Path]) -> Where:
        return Where(self.edges.get((id_, need), paths.get(id_, ())))

    def _flow(self, raw: Raw, mapping: dict[str, Value]) -> Workflow | None:
        """The workflow that a step runs: one in it, or in another file."""
        given = raw.given
        if given.has("workflow_spec"):
            inner = given.inner("workflow_spec")
            workflow = _Loader(inner, self.findings, self.name, self.sources, self.tools, self.mode, nested=True).load()
        else:
            tool: dict[str, Any] = next(iter(raw.tools.values()), {})
            at = given.at("workflow_path") if not tool else given.at("tool", "tool_name", "tool_id")
            folder = dirname(self.name)
            path = given.text("workflow_path") or tool.get("path", "").removeprefix(f"{folder}/" if folder else "")
            if len(raw.tools) > 1:
                hint = "let a step of its own run the workflow"
                given.wrong("a tool that is a workflow is no fallback, and has none", at, hint, "W808")
            if len(raw.tools) > 1 or not path:
                return None
            workflow = self.sources.workflow(path, Where(at), self.findings)
        if workflow is not None:
            check_given(workflow, mapping, given, self.findings)
        return workflow

    # ---- the rest ----

    def _outputs(self, targets: Mapping[str, Target]) -> dict[str, Value]:
        """What the file says; else what every step gave. A list of sentences is what its author hoped for, and is no output."""
        declared = self.root.fields.get("outputs")
        given: dict[str, tuple[Value, Path]] = {}
        if isinstance(declared, dict):
            given = {name: (item, (*self.root.path, "outputs", name)) for name, item in declared.items()}
        elif isinstance(declared, list):
            for n, item in enumerate(declared):
                if isinstance(item, dict) and isinstance(item.get("name"), str):
                    given[item["name"]] = (item, (*self.root.path, "outputs", n))
        elif declared is not None:
            self.root.wrong(f"`outputs` is {described(declared)}, where a mapping must be", self.root.at("outputs"))
        result: dict[str, Value] = {}
        for name, (item, path) in given.items():
            source = item.get("source_reference") if isinstance(item, dict) else item
            at = (*path, "source_reference") if isinstance(item, dict) else path
            if source is None:
                hint = f'"source_reference": "steps.{next(iter(targets), "id")}.output"'
                self.root.warn("W812", f"the output `{shown(name)}` does not say where it comes from: it is left out", path, hint)
            elif not isinstance(source, str):
                self.root.wrong(f"the output `{shown(name)}` comes from {described(source)}, where a text must be", at)
            elif source:
                before = self.findings.count
                paths = [] if "{" in source else self.references.dotted(source, at)
                result[name] = template([Hole(first_of(paths))]) if paths else self.references.value(source, at)
                if result[name] == source and self.findings.count == before:
                    hint = f"`steps.{next(iter(targets), 'id')}.output`"
                    self.findings.add("W805", f"the output `{shown(name)}` refers to nothing", Where(at), hint=hint)
        return result or {id_: f"${{{{ steps[{json.dumps(id_)}].output }}}}" for id_ in targets}

    def _budget(self) -> Budget | None:
        """What `constraints` of a Forge file bounds in one run; the rest speaks of many."""
        given = self.root.inner("constraints")
        given.check_keys(CONSTRAINTS, "`constraints`")
        for key in ("optimization", "validation"):
            if self.root.has(key):
                hint = "weft does not choose among candidates by measure: their `priority` does"
                self.root.warn("W812", f"`{key}` says nothing about one run", self.root.at(key), hint, key=True)
        for key in NO_MEANING:
            if given.has(key):
                hint = "it chooses among tools by what many runs measured; here the candidates' `priority` does"
                given.warn("W812", f"`{key}` says nothing about one run", given.at(key), hint, key=True)
        cost = given.number("max_cost_per_run", default=0, least=0, most=COST_MAX)
        return Budget(cost=float(cost)) if given.has("max_cost_per_run") else None


def _plan(raws: list[Raw]) -> tuple[str, ...]:
    """The plan as its users know it. A step that gets what another gave is told with the task of its node."""
    lines = [f"Workflow Plan ({len(raws)} step{'' if len(raws) == 1 else 's'}):"]
    for number, raw in enumerate(raws, 1):
        title = raw.given.text("description") or raw.given.text("role") or raw.id
        lines.append(f"  {number}. {shown(title)}")
        task = raw.given.text("task_for_node")
        if task or any(map(raw.given.fields.get, DEPENDS)):
            lines.append(f"     Node task: {shown(task or title)}")
    if len(lines) > PLAN_LINES_MAX:
        lines[PLAN_LINES_MAX:] = ["  …"]
    return tuple(lines)
