"""WfFormat, the format of recorded workflow executions (versions 1.3 to 1.6): each task becomes a step that sleeps as long.

Only what a replay needs is read: ids, edges, files and run times. Edges are those of `parents`, of `children`, and from a
task that writes a file to those that read it. The format is described at https://github.com/wfcommons/WfFormat.
"""

import re
from pathlib import PurePath
from typing import Any, Final, NamedTuple

from weft.formats.cycles import report_cycles
from weft.formats.document import Document, Findings, Path, Where
from weft.formats.shapes import described
from weft.model.tokens import shown
from weft.model.units import DURATION_MAX_S
from weft.model.workflow import Sleep, Step, Value, Workflow

SYSTEM: Final = "a recorded run in WfFormat"
WORDS: Final = {
    "steps": "the tasks of the specification, in its order",
    "needs": "`parents` and `children`, and the files that one writes and another reads",
    "sleep": "how long the task took (`runtimeInSeconds`); what it did is not recorded",
    "expect": "the same, for plans",
    "title": "`name`",
}
"""What each key of ours was made of, for `weft import`."""

_HINT = "the file must follow the schema of WfFormat"


def recognises(value: Value) -> bool:
    """Whether this looks like a trace, good or bad."""
    workflow = value.get("workflow") if isinstance(value, dict) else None
    return isinstance(workflow, dict) and ("tasks" in workflow or "jobs" in workflow or "specification" in workflow)


def load(document: Document, findings: Findings, name: str, time_scale: float) -> Workflow | None:
    """The trace as a workflow, if there is no problem. `name` is the file's; run times are multiplied by `time_scale`."""
    if not recognises(document.value):
        findings.add("W401", "a trace has `workflow`, and in it `specification` or `tasks`", Where(()), hint=_HINT)
        return None
    return _Trace(document.value, findings).workflow(name, time_scale)


def step_path(document: Document, step: str) -> Path:
    """The path of the task that a step was made from."""
    trace = _Trace(document.value, Findings())
    tasks = trace.tasks()
    ids = _step_ids([task.id for task in tasks])
    return next(task.path for task in tasks if ids[task.id] == step)


class _Task(NamedTuple):
    id: str
    name: str
    path: Path
    raw: dict[str, Any]


class _Trace:
    def __init__(self, value: Value, findings: Findings) -> None:
        self.value, self.findings = value, findings
        self.flat = "specification" not in value["workflow"]  # up to 1.4
        self.spec_path: Path = ("workflow",) if self.flat else ("workflow", "specification")

    def workflow(self, name: str, time_scale: float) -> Workflow | None:
        tasks = self.tasks()
        known = self.known(tasks)
        runtimes = self.runtimes(known)
        needs = self.needs(tasks, known)
        if self.findings:
            return None
        ids = _step_ids([task.id for task in tasks])
        steps = []
        for task in tasks:
            seconds = runtimes.get(task.id, 0.0) * time_scale
            wanted = tuple(dict.fromkeys(ids[need] for need in needs[task.id]))
            title = task.name if task.name != ids[task.id] else ""
            steps.append(Step(id=ids[task.id], action=Sleep(seconds=seconds), needs=wanted, expect_s=seconds, title=title))
        report_cycles(steps, lambda index, _: Where(tasks[index].path), self.findings)
        title = self.value.get("name")
        return Workflow(
            name=title if isinstance(title, str) and title else PurePath(name).name.split(".")[0] or "trace",
            description=str(self.value.get("description") or ""),
            steps=tuple(steps),
        )

    def tasks(self) -> list[_Task]:
        spec: Any = self.value
        for key in self.spec_path:
            spec = spec[key]
        key = "jobs" if isinstance(spec, dict) and "jobs" in spec and "tasks" not in spec else "tasks"
        tasks = []
        for path, raw in self._mappings(spec, (*self.spec_path, key), key):
            id_ = raw.get("id", raw.get("name"))
            if isinstance(id_, str) and id_:
                title = raw.get("name")
                tasks.append(_Task(id_, title if isinstance(title, str) else id_, path, raw))
            else:
                self._refuse("a task has no `id`, or one that is not text", path)
        if not tasks and not self.findings:
            self._refuse("the trace has no tasks", (*self.spec_path, key))
        return tasks

    def _mappings(self, holder: Any, path: Path, key: str) -> list[tuple[Path, dict[str, Any]]]:
        """The items of holder[key], a list of mappings, with their paths."""
        if not isinstance(holder, dict):
            self._refuse(f"`{path[-2]}` must be a mapping, but is {described(holder)}", path[:-1])
            return []
        items = holder.get(key)
        if not isinstance(items, list):
            found = f"is {described(items)}" if key in holder else "is missing"
            self._refuse(f"`{key}` must be a list, but {found}", path)
            return []
        good = []
        for index, item in enumerate(items):
            if isinstance(item, dict):
                good.append(((*path, index), item))
            else:
                self._refuse(f"a task must be a mapping, but is {described(item)}", (*path, index))
        return good

    def known(self, tasks: list[_Task]) -> dict[str, _Task]:
        """The tasks by id. Before 1.5, edges are written with names, which are then as unique as ids."""
        known: dict[str, _Task] = {}
        for task in tasks:
            if task.id in known:
                seconds = [(Where(known[task.id].path), "first here")]
                message = f"the task `{shown(task.id)}` is given twice"
                self.findings.add(
                    "W402", message, Where((*task.path, "id")), label="here again", seconds=seconds, hint="rename one of them"
                )
            known.setdefault(task.id, task)
        if self.flat:
            for task in tasks:
                known.setdefault(task.name, task)
        return known

    def runtimes(self, known: dict[str, _Task]) -> dict[str, float]:
        """Seconds by task id. Up to 1.4 the task itself tells them, later the list of executions."""
        runtimes: dict[str, float] = {}
        if self.flat:
            records = [(task.path, task.raw) for task in known.values()]
        else:
            execution = self.value["workflow"].get("execution")
            path: Path = ("workflow", "execution", "tasks")
            records = self._mappings(execution, path, "tasks") if execution is not None else []
        for path, raw in records:
            id_ = raw.get("id", raw.get("name"))
            seconds = raw.get("runtimeInSeconds", raw.get("runtime", 0.0))
            if id_ not in known:
                self.findings.add("W403", f"there is no task `{shown(str(id_))}`", Where((*path, "id")), hint=_HINT)
            elif not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds <= DURATION_MAX_S:
                message = f"the run time of `{shown(id_)}` is not a number of seconds"
                self.findings.add("W401", message, Where((*path, "runtimeInSeconds")), hint=_HINT)
            else:
                runtimes[known[id_].id] = float(seconds)
        return runtimes

    def needs(self, tasks: list[_Task], known: dict[str, _Task]) -> dict[str, list[str]]:
        """Ids of the tasks that each task waits for."""
        needs: dict[str, list[str]] = {task.id: [] for task in tasks}
        writers: dict[str, list[str]] = {}
        files = [self._files(task) for task in tasks]
        for task, (_, written) in zip(tasks, files, strict=True):
            for name in written:
                writers.setdefault(name, []).append(task.id)
        for task, (read, _) in zip(tasks, files, strict=True):
            for parent in self._edges(task, "parents", known):
                needs[task.id].append(parent)
            for child in self._edges(task, "children", known):
                needs[child].append(task.id)
            for name in read:
                needs[task.id] += [writer for writer in writers.get(name, ()) if writer != task.id]
        return needs

    def _edges(self, task: _Task, key: str, known: dict[str, _Task]) -> list[str]:
        found = []
        for index, name in enumerate(self._names(task, key)):
            if name in known:
                found.append(known[name].id)
            else:
                hint = self.findings.suggest(name, known) or _HINT
                self.findings.add("W403", f"there is no task `{shown(name)}`", Where((*task.path, key, index)), hint=hint)
        return found

    def _names(self, task: _Task, key: str) -> list[str]:
        names = task.raw.get(key, [])
        if isinstance(names, list) and all(isinstance(name, str) for name in names):
            return names
        self._refuse(f"`{key}` must be a list of texts", (*task.path, key))
        return []

    def _files(self, task: _Task) -> tuple[list[str], list[str]]:
        """Names of the files that a task reads, and of those that it writes."""
        if not self.flat:
            return self._names(task, "inputFiles"), self._names(task, "outputFiles")
        links: dict[object, list[str]] = {"input": [], "output": []}
        for _, file in self._mappings(task.raw, (*task.path, "files"), "files") if "files" in task.raw else ():
            name = file.get("id", file.get("name"))
            if isinstance(name, str) and isinstance(file.get("link"), str):
                links.setdefault(file["link"], []).append(name)
        return links["input"], links["output"]

    def _refuse(self, message: str, path: Path) -> None:
        self.findings.add("W401", message, Where(path), hint=_HINT)


def _step_ids(names: list[str]) -> dict[str, str]:
    """A valid and unique step id for each name, as close to it as can be, and the same each time."""
    ids: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        base = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:100]
        if not re.match(r"[A-Za-z_]", base):
            base = f"_{base}"
        id_, number = base, 1
        while id_ in taken:
            number += 1
            id_ = f"{base}-{number}"
        taken.add(id_)
        ids[name] = id_
    return ids
