"""The tasks of a PML workflow: their fields, in each spelling, with everything that is wrong with them told."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from weft.formats.document import Findings, Path, Where
from weft.formats.shapes import described, quoted
from weft.model.spec import PRIORITY_MAX
from weft.model.tokens import shown
from weft.model.workflow import Value

SPELLINGS: Final = {
    "id": ("id",),
    "tool": ("tool", "toolName", "tool_name"),
    "server": ("serverHint", "server_hint", "server"),
    "arguments": ("arguments", "parameters", "input", "inputs", "args", "input_mapping"),
    "dependsOn": ("dependsOn", "depends_on", "dependencies", "needs"),
    "type": ("type", "tool_type"),
    "code": ("code",),
    "capabilityId": ("capabilityId", "capability_id"),
    "staticArguments": ("staticArguments", "static_arguments"),
    "variableBindings": ("variableBindings", "variable_bindings"),
    "literalBindings": ("literalBindings", "literal_bindings"),
    "metadata": ("metadata",),
    "priority": ("priority",),
    "checkpoint": ("checkpoint",),
    "condition": ("condition",),
    "timeout": ("timeout", "timeout_ms"),
    "name": ("name", "description", "intent"),
    "sandboxConfig": ("sandboxConfig", "sandbox_config"),
}
TYPES: Final = ("mcp_tool", "code_execution", "capability")
MODES: Final = ("auto", "hil")
"""Whether calls are asked about: each of a server, or that of a task."""
TIMEOUT_S_MAX: Final = 366 * 86_400.0
_ID: Final = re.compile(r"[\w.:@+-]{1,128}")
_KINDS: Final[Mapping[str, tuple[type, str]]] = {
    "id": (str, "a text"),
    "tool": (str, "a text"),
    "server": (str, "a text"),
    "arguments": (dict, "a mapping"),
    "dependsOn": (list, "a list"),
    "type": (str, "a text"),
    "code": (str, "a text"),
    "capabilityId": (str, "a text"),
    "staticArguments": (dict, "a mapping"),
    "variableBindings": (dict, "a mapping"),
    "literalBindings": (dict, "a mapping"),
    "metadata": (dict, "a mapping"),
    "condition": (str, "a text"),
    "name": (str, "a text"),
    "sandboxConfig": (dict, "a mapping"),
}


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """`server` and `tool` are empty if they were wrong, which has been told. `written`: how each field is spelled, `path` where
    the task stands."""

    id: str
    path: Path
    written: Mapping[str, str]
    server: str = ""
    tool: str = ""
    arguments: Mapping[str, Value] = {}
    depends_on: tuple[str, ...] = ()
    static: Mapping[str, Value] = {}
    bindings: Mapping[str, Value] = {}
    literals: Mapping[str, Value] = {}
    metadata: Mapping[str, Value] = {}
    priority: int = 0
    checkpoint: Value = None
    condition: str = ""
    timeout_s: float | None = None
    title: str = ""

    def at(self, field: str) -> Path:
        return (*self.path, self.written.get(field, field))


def named(step: str, tasks: Collection[str]) -> str:
    """The task that a step belongs to."""
    return step if step in tasks else step.removesuffix(":ask")


def read_tasks(given: list[Value], path: Path, findings: Findings) -> list[Task]:
    """Those that have a usable id. Each is told what is wrong with it."""
    found: dict[str, Task] = {}
    for n, item in enumerate(given):
        task = _Reader(item, (*path, n), findings).task() if isinstance(item, dict) else None
        if not isinstance(item, dict):
            hint = '{ "id": "read", "tool": "files:read_file" }'
            message = f"task {n + 1} is {described(item)}, where a mapping must be"
            findings.add("W701", message, Where((*path, n)), hint=hint)
        if task is None:
            continue
        if task.id in found:
            seconds = [(Where(found[task.id].at("id")), "first here")]
            message, hint = f"the task `{shown(task.id)}` is given twice", "give one of them another id"
            findings.add("W701", message, Where(task.at("id")), label="here again", seconds=seconds, hint=hint)
        else:
            found[task.id] = task
    return list(found.values())


class _Reader:
    """Of one task."""

    def __init__(self, value: Mapping[str, Value], path: Path, findings: Findings) -> None:
        self.path, self.findings = path, findings
        self.written: dict[str, str] = {}
        self.fields: dict[str, Any] = {}
        known = {spelling: name for name, spellings in SPELLINGS.items() for spelling in spellings}
        for key, item in value.items():
            name = known.get(key)
            if name is None:
                hint = findings.suggest(key, known) or "a task has `id`, `tool`, `arguments`, `dependsOn`, …"
                where = Where((*path, key), "key")
                findings.add("W702", f"a task has no `{shown(key)}`", where, hint=hint, severity="warning")
            elif name in self.written and name != "name":
                other = self.written[name]
                seconds = [(Where((*path, other), "key"), "the other one")]
                message, hint = f"a task has both `{other}` and `{key}`, which mean the same", "keep one of them"
                findings.add("W701", message, Where((*path, key), "key"), seconds=seconds, hint=hint)
            else:
                self._take(name, key, item)

    def _take(self, name: str, key: str, item: Value) -> None:
        kind, what = _KINDS.get(name, (object, ""))
        if item is None:
            return
        if not isinstance(item, kind):
            hint = f'"{key}": ["{shown(item)}"]' if name == "dependsOn" and isinstance(item, str) else ""
            hint = f'"{key}": "{item}"' if name == "id" and isinstance(item, int | float) else hint
            self.wrong(f"`{key}` is {described(item)}, where {what} must be", (*self.path, key), hint)
            self.written[name] = key
            return
        self.written[name], self.fields[name] = key, item

    def wrong(self, message: str, path: Path, hint: str = "", code: str = "W701") -> None:
        self.findings.add(code, message, Where(path), hint=hint)

    def at(self, name: str) -> Path:
        return (*self.path, self.written.get(name, name))

    def task(self) -> Task | None:
        id_ = self._id()
        server, tool = self._tool(id_ or "it")
        fields = self.fields
        priority, timeout_s = self._priority(), self._timeout_s()
        depends_on = self._depends_on()
        if id_ is None:
            return None
        return Task(
            id=id_,
            path=self.path,
            written=self.written,
            server=server,
            tool=tool,
            arguments=fields.get("arguments", {}),
            depends_on=depends_on,
            static=fields.get("staticArguments", {}),
            bindings=fields.get("variableBindings", {}),
            literals=fields.get("literalBindings", {}),
            metadata=fields.get("metadata", {}),
            priority=priority,
            checkpoint=fields.get("checkpoint"),
            condition=fields.get("condition", "").strip(),
            timeout_s=timeout_s,
            title=fields.get("name", "").partition("\n")[0].replace("${{", "$ {{")[:200],
        )

    def _id(self) -> str | None:
        id_ = self.fields.get("id")
        if id_ is None:
            if "id" not in self.written:
                self.wrong("a task has no `id`", self.path, '"id": "read"')
            return None
        assert isinstance(id_, str)
        if not _ID.fullmatch(id_):
            better = re.sub(r"[^\w.:@+-]+", "_", id_).strip("_")[:100]
            hint = "an id has letters, digits and `_ . : @ + -`" + (f": `{better}`" if better else "")
            told = f"`{shown(id_)}`" if id_ else "an empty text"
            self.wrong(f"{told} cannot be the id of a task", self.at("id"), hint)
            return None
        return id_

    def _tool(self, id_: str) -> tuple[str, str]:
        """The server and the tool; empty if there is none, which is told."""
        kind = self.fields.get("type") or ("code_execution" if "code" in self.fields else "mcp_tool")
        kind = "capability" if kind == "mcp_tool" and "capabilityId" in self.fields else kind
        if kind not in TYPES:
            hint = self.findings.suggest(kind, TYPES) or f"it is one of {quoted(TYPES)}"
            self.wrong(f"there is no type of tasks called `{shown(kind)}`", self.at("type"), hint)
            return "", ""
        if kind == "mcp_tool" and "sandboxConfig" in self.fields:
            where, hint = Where(self.at("sandboxConfig"), "key"), "it is for code, which weft does not run"
            self.findings.add("W702", "a sandbox says nothing about a call of a tool", where, hint=hint, severity="warning")
        self._check_metadata()
        if kind != "mcp_tool":
            what = "TypeScript code" if kind == "code_execution" else "a capability, which is TypeScript code"
            message = f"the task `{shown(id_)}` runs {what}, which this version of weft does not run"
            at = self.at("code" if "code" in self.fields else "type")
            self.wrong(message, at, "let it call a tool, or let a native step of `js` or `python` do the work", "W708")
            return "", ""
        tool = self.fields.get("tool", "").strip()
        if not tool:
            if "tool" not in self.written or "tool" in self.fields:
                self.wrong(f"the task `{shown(id_)}` has no `tool`", self.at("tool"), '"tool": "files:read_file"')
            return "", ""
        server, colon, name = tool.partition(":")
        hinted = self.fields.get("server", "").strip()
        if colon and hinted and hinted != server:
            message = f"the tool `{shown(tool)}` is of the server `{shown(server)}`, whatever `{self.written['server']}` says"
            self.findings.add("W702", message, Where(self.at("server")), hint="remove one of them", severity="warning")
        if not colon:
            server, name = self.fields.get("server", "").strip(), tool
        if not server or not name:
            hint = f'"tool": "files:{shown(name or "read_file")}", or a `serverHint` beside it'
            self.wrong(f"the tool `{shown(tool)}` does not say which server has it", self.at("tool"), hint)
            return "", ""
        return server, name

    def _check_metadata(self) -> None:
        metadata = self.fields.get("metadata", {})
        for key in ("pure", "executable"):
            if not isinstance(metadata.get(key, True), bool):
                message = f"`{key}` is {described(metadata[key])}, where `true` or `false` must be"
                self.wrong(message, (*self.at("metadata"), key), "write it without quotes")
        if metadata.get("approvalMode", "auto") not in MODES:
            message = f"`approvalMode` cannot be {self._told(metadata['approvalMode'])}"
            self.wrong(message, (*self.at("metadata"), "approvalMode"), f"it is {quoted(MODES)}")

    def _told(self, value: Value) -> str:
        return f"`{shown(value)}`" if isinstance(value, str) else described(value)

    def _depends_on(self) -> tuple[str, ...]:
        good = []
        for n, need in enumerate(self.fields.get("dependsOn", [])):
            if isinstance(need, str):
                good.append(need)
            else:
                what = f"item {n + 1} of `{self.written['dependsOn']}` is {described(need)}"
                self.wrong(f"{what}, where the id of a task must be", (*self.at("dependsOn"), n))
        return tuple(good)

    def _priority(self) -> int:
        given = self.fields.get("priority", 0)
        if isinstance(given, bool) or not isinstance(given, int | float) or given != int(given):
            self.wrong(f"`priority` is {described(given)}, where a whole number must be", self.at("priority"))
            return 0
        if abs(given) > PRIORITY_MAX:
            self.wrong(f"`priority` cannot be {given:g}", self.at("priority"), f"between -{PRIORITY_MAX:,} and {PRIORITY_MAX:,}")
            return 0
        return int(given)

    def _timeout_s(self) -> float | None:
        given = self.fields.get("timeout")
        if given is None:
            return None
        if isinstance(given, bool) or not isinstance(given, int | float):
            self.wrong(f"`{self.written['timeout']}` is {described(given)}, where milliseconds must be", self.at("timeout"))
        elif not 0 < given / 1000 <= TIMEOUT_S_MAX:
            self.wrong(f"`{self.written['timeout']}` cannot be {given:g}", self.at("timeout"), "milliseconds, more than 0")
        else:
            return given / 1000
        return None
