"""Workflows of PML: tasks that call tools of MCP servers, as JSON or YAML, in each spelling that its documents use.

- `{tasks: […]}` or `{workflow: {tasks: […]}}`, settings beside them; or a file of templates, `{workflows: […]}`.
- A task waits for what it depends on and for what its arguments refer to; one that fails keeps back only what depends on it.
- Layers count from 0 and are shown; between them is a barrier only with `per_layer_validation`, which asks after each.
"""

from collections.abc import Collection, Mapping
from pathlib import PurePath
from typing import Any, Final

from weft.formats.document import Document, Findings, Path, Where
from weft.formats.flows import Beside
from weft.formats.pml_checkpoints import Checkpoints
from weft.formats.pml_references import References, output_of
from weft.formats.pml_servers import FILES as FILES
from weft.formats.pml_servers import Servers
from weft.formats.pml_settings import Settings, read_settings
from weft.formats.pml_tasks import Task, named, read_tasks
from weft.formats.pml_templates import load_templates
from weft.formats.shapes import quoted
from weft.model.cycle import find_cycle
from weft.model.tokens import shown
from weft.model.workflow import Approve, Input, Step, Value, Workflow

SYSTEM: Final = "a workflow of PML"
WORDS: Final = {
    "steps": "`tasks`, in the order of the file",
    "tool": "`tool` (`toolName`, `tool_name`), with the server before the colon",
    "with": "`arguments` (`parameters`, `input`); references to results are `${{ }}` here",
    "needs": "`dependsOn` (`depends_on`, `dependencies`)",
    "if": "`condition`",
    "gate": "`checkpoint`, or a server that asks for approval",
    "gates": "`per_layer_validation`",
    "max_parallel": "`max_concurrent`; without it nothing limits how many tasks run at once",
    "priority": "`priority`, where a lower number goes first: negated",
    "timeout": "30 seconds, unless the file says otherwise",
    "servers": "`mcpServers`; 10 calls of each tool a second",
    "on_error": "`metadata.pure`: a failure is a warning, and null",
    "agent": "`checkpoint` of the type AIL: an agent is asked, and what it says is the `answer` of the gate",
}
"""What each key of ours was made of, for `weft import`."""

_TASK_KEYS = ("tool", "toolName", "tool_name", "capabilityId", "dependsOn", "arguments", "checkpoint")
_TYPES = ("mcp_tool", "code_execution", "capability")


def recognises(value: Value) -> bool:
    """Whether this looks like a workflow of PML, or a file of its templates, good or bad."""
    if not isinstance(value, dict) or "steps" in value:
        return False
    if _is_templates(value):
        return True
    inner = value.get("workflow") if "tasks" not in value else value
    tasks = inner.get("tasks") if isinstance(inner, dict) else None
    if "mcpServers" in value or "per_layer_validation" in value:
        return tasks is not None or "workflow" in value
    if tasks == [] and "schemaVersion" not in value:
        return True
    items = [item for item in tasks if isinstance(item, dict)] if isinstance(tasks, list) else []
    if any("candidates" in item for item in items):
        return False
    return any(item.get("type") in _TYPES or any(key in item for key in _TASK_KEYS) for item in items)


def _is_templates(value: Mapping[str, Value]) -> bool:
    workflows = value.get("workflows")
    items = workflows if isinstance(workflows, list) else []
    return any(isinstance(item, dict) and ("edges" in item or "steps" in item) for item in items)


def load(
    document: Document, findings: Findings, name: str, files: Mapping[str, bytes], beside: Beside | None = None
) -> Workflow | None:
    """The workflow, if there is no error. `files`: what there is of the maps of servers, by name. `beside`: a run that the tasks
    shall join."""
    value, title = document.value, PurePath(name).name.split(".")[0] or "workflow"
    if not isinstance(value, dict):
        findings.add("W701", "the file must hold a mapping with `tasks`", Where(()), hint=HINT)
        return None
    servers = Servers(value, (), files, findings, beside.workflow if beside else None)
    if _is_templates(value):
        return load_templates(value, findings, title, servers)
    settings = read_settings(value, findings)
    inner, path = settings.around, settings.path
    given = inner.get("tasks")
    if not isinstance(given, list) or not given:
        told = "has no `tasks`" if not given else "has `tasks` that are no list"
        findings.add("W701", f"the workflow {told}", Where((*path, "tasks") if given else path), hint=HINT)
        return None
    tasks = read_tasks(given, (*path, "tasks"), findings)
    return _Loader(tasks, settings, servers, findings, beside).load(title)


HINT: Final = '{ "tasks": [{ "id": "read", "tool": "files:read_file", "arguments": { "path": "a.txt" } }] }'


def step_path(document: Document, step: str) -> Path:
    """The path of a task in the document; for a step that was added to one, that of the task."""
    value = document.value
    if _is_templates(value):
        return ("workflows",)
    path: Path = ("tasks",) if "tasks" in value else ("workflow", "tasks")
    tasks = value["tasks"] if "tasks" in value else value["workflow"]["tasks"]
    name = step.removesuffix(":ask")
    for n, task in enumerate(tasks):
        if task["id"] in (step, name):
            return (*path, n)
    return path


class _Loader:
    def __init__(
        self, tasks: list[Task], settings: Settings, servers: Servers, findings: Findings, beside: Beside | None = None
    ) -> None:
        self.settings, self.servers, self.findings, self.beside = settings, servers, findings, beside
        self.tasks = {task.id: task for task in tasks}
        self.known: Collection[str] = dict.fromkeys([*self.tasks, *sorted(beside.steps)]) if beside else self.tasks
        self.inputs: dict[str, Input] = {}
        self.checkpoints = Checkpoints(findings, self.tasks)

    def load(self, title: str) -> Workflow | None:
        for id_ in self.tasks.keys() & self.beside.steps if self.beside else ():
            where = Where(self.tasks[id_].at("id"))
            self.findings.add("W701", f"the run has a task `{shown(id_)}` already", where, hint="give the new one another id")
        steps = [step for task in self.tasks.values() for step in self._steps(task)]
        self._report_cycles(steps)
        if self.findings:
            return None
        settings = self.settings
        if self.beside:
            about_runs = settings.max_concurrent or settings.per_layer_validation
            return Workflow(name=title, steps=tuple(steps), report="pml" if about_runs else "")
        return Workflow(
            name=settings.name or title,
            description=settings.description,
            steps=tuple(steps),
            inputs=self.inputs,
            outputs={task: f"${{{{ {output_of(task)} }}}}" for task in self.tasks},
            secrets=tuple(self.servers.secrets),
            resources=self.servers.pools,
            servers=self.servers.used,
            max_parallel=settings.max_concurrent or "unlimited",
            gates=Approve() if settings.per_layer_validation else None,
            report="pml",
        )

    def _steps(self, task: Task) -> list[Step]:
        """The step of a task, after those that decide about it."""
        references = References(task.id, self.known, self.findings, task.bindings, task.literals)
        arguments: dict[str, Any] = {
            key: references.typed(value, (*task.at("staticArguments"), key)) for key, value in task.static.items()
        }
        arguments |= {key: references.value(value, (*task.at("arguments"), key)) for key, value in task.arguments.items()}
        written = self._written(task)
        condition = references.condition(task.condition, task.at("condition")) if task.condition else ""
        condition = "false" if task.metadata.get("executable") is False else condition
        tool = self.servers.tool(task.server, task.tool, task.at("tool")) if task.tool else None
        asks = self.servers.asks(task.server) or task.metadata.get("approvalMode") == "hil"
        needs = list(dict.fromkeys([*written, *references.needs]))
        before, gate = self.checkpoints.of(task, arguments, needs, references, condition, asks=asks)
        needs = list(dict.fromkeys([*needs, *references.needs, *([before[-1].id] if before else [])]))
        self._declare(references.parameters, task)
        if tool is None:
            return []
        pool = f"{tool.server}/{tool.name}"
        step = Step(
            id=task.id,
            action=tool,
            needs=tuple(needs),
            inputs=arguments,
            condition=condition,
            output="json",
            resources={pool: 1} if pool in self.servers.pools else {},
            priority=-task.priority,
            timeout_s=task.timeout_s or self.settings.task_timeout_s,
            on_error="continue" if task.metadata.get("pure") is True else "isolate",
            gate=gate,
            title=task.title,
        )
        return [*before, step]

    def _declare(self, parameters: list[str], task: Task) -> None:
        """What a run must be given; one that goes on has been given it."""
        for name in parameters:
            if self.beside and name not in self.beside.workflow.inputs:
                hint = self.findings.suggest(name, self.beside.workflow.inputs)
                self.findings.add("W704", f"the run has no parameter `{name}`", Where(task.path), hint=hint)
            self.inputs[name] = Input(required=True)

    def _written(self, task: Task) -> list[str]:
        """What the task says that it depends on."""
        good = []
        for n, need in enumerate(task.depends_on):
            where = Where((*task.at("dependsOn"), n))
            if need == task.id:
                hint = "remove it"
                self.findings.add("W703", f"the task `{shown(need)}` depends on itself", where, hint=hint)
            elif need not in self.known:
                hint = self.findings.suggest(need, self.known) or f"there is {quoted(self.known)}"
                message = f"there is no task `{shown(need)}`, on which `{shown(task.id)}` depends"
                self.findings.add("W703", message, where, hint=hint)
            else:
                good.append(need)
        return good

    def _report_cycles(self, steps: list[Step]) -> None:
        number = {step.id: n for n, step in enumerate(steps)}
        needs = [[number[need] for need in step.needs if need in number] for step in steps]
        cycle = find_cycle(needs)
        if cycle is None:
            return
        left = [task for task in _remaining(steps) if task in self.tasks]
        ids = [named(steps[n].id, self.tasks) for n in cycle]
        path = " → ".join(map(shown, [*dict.fromkeys(ids), ids[0]]))
        places = [Where(self.tasks[id_].at("dependsOn")) for id_ in ids]
        message = f"Circular dependency detected in DAG. Remaining tasks: {', '.join(map(shown, left[:50]))}"
        self.findings.add(
            "W705",
            f"{message}; the circle is `{path}`",
            places[0],
            seconds=[(place, "a part of the circle") for place in places[1:20]],
            hint="remove one of these dependencies; a reference to a result is one too",
        )


def _remaining(steps: list[Step]) -> list[str]:
    """What is left when tasks whose needs are all gone are taken away, again and again."""
    ids = {step.id for step in steps}
    left = {step.id: {need for need in step.needs if need in ids} for step in steps}
    ready = [id_ for id_, needs in left.items() if not needs]
    dependents: dict[str, list[str]] = {}
    for id_, needs in left.items():
        for need in needs:
            dependents.setdefault(need, []).append(id_)
    while ready:
        done = ready.pop()
        del left[done]
        for id_ in dependents.get(done, ()):
            left[id_].discard(done)
            ready += [id_] if not left[id_] else []
    return list(left)
