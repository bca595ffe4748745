"""The tools of Code Evolver: defined in the file (`tools`), or a YAML or Python file in the folder `tools` beside it.

A tool becomes plain data that weft.guests.node_runtime understands. One that is not found is an error: no other
is put in its place.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from posixpath import basename, dirname, join, splitext
from typing import Any, Final, TypeAlias

from weft.formats.document import Findings, Path, Where
from weft.formats.evolver_fields import Given
from weft.formats.python_code import python_error
from weft.formats.shapes import described, quoted
from weft.model.problem import Problem
from weft.model.spec import RETRY_TIMES_MAX
from weft.model.tokens import shown
from weft.model.units import DURATION_MAX_S
from weft.model.workflow import Value

Folder: TypeAlias = Callable[[str], Mapping[str, bytes]]
"""The YAML, JSON and Python files of a folder and the folders in it, by name."""
Definition: TypeAlias = dict[str, Any]

FOLDER: Final = "tools"
KINDS: Final = {
    "llm": "llm",
    "python": "python",
    "python_tool": "python",
    "executable": "executable",
    "api": "api",
    "openapi": "api",
    "workflow": "workflow",
}
KEYS: Final = (
    *("tool_id", "id", "name", "type", "description", "model", "system_prompt", "temperature", "endpoint", "source_code", "code"),
    *("requirements", "api_spec", "retry_on_failure", "max_retries", "timeout", "fallback_tool", "llm", "executable", "python"),
    *("openapi", "api", "workflow", "input_schema", "output_schema", "cost_tier", "speed_tier", "quality_tier", "track_usage"),
    *("max_output_length", "priority", "tags", "examples", "usage_notes", "version", "metadata", "prompt_template", "tool_path"),
    *("command", "args", "install_command", "url", "method", "headers", "query", "body", "workflow_path", "path", "category"),
)
CALLABLE_BYTES_MAX: Final = 64 << 10
"""Definitions that every step with code is given; of more, those that its code names."""


class Tools:
    """Of one file. `name` is the file's. Definitions are read when they are asked for first."""

    def __init__(self, findings: Findings, name: str, folder: Folder | None) -> None:
        self.findings, self.folder = findings, join(dirname(name), FOLDER)
        self._list = folder
        self._files: dict[str, tuple[str, bytes]] | None = None
        self._inside: dict[str, Given] = {}
        self._read: dict[str, Definition | None] = {}
        self._at: Path = ()

    def define(self, given: Given) -> None:
        """Take in the `tools` of the file, or of a workflow in it: those around it stay."""
        for id_, fields in given.fields.items():
            if isinstance(fields, dict):
                self._inside[id_] = Given(fields, (*given.path, id_), self.findings)
            else:
                given.wrong(f"the tool `{shown(id_)}` is {described(fields)}, where a mapping must be", (*given.path, id_))
        for id_ in given.fields:
            self._read.pop(id_, None)
            self.find(id_, ())

    @property
    def names(self) -> list[str]:
        """All that a step can name."""
        return list(dict.fromkeys([*self._inside, *self._outside()]))

    def find(self, name: str, path: Path) -> Definition | None:
        """A tool, or None: there is none, or it is wrong, which has been reported, at `path` if it stands in another file."""
        if name not in self._read:
            self._at = path
            self._read[name] = None  # while it is read: one that falls back to itself ends here
            self._read[name] = self._definition(name)
        return self._read[name]

    def knows(self, name: str) -> bool:
        return name in self._inside or name in self._outside()

    def module(self, name: str) -> str:
        """The folder of a Python module among the tools, if it is one."""
        path, _ = self._outside().get(name, ("", b""))
        return dirname(path) if path.endswith(".py") else ""

    def refuse(self, name: str, path: Path, why: str = "") -> None:
        """Report that there is no such tool, and where it was looked for."""
        hint = self.findings.suggest(name, self.names)
        known = f"; there is {quoted(self.names)}" if self.names else ""
        hint = hint or f"define it under `tools`, or write `{self.folder}/{shown(name)}.yaml`{known}"
        looked = f"neither in `tools` of the file nor in the folder `{self.folder}`"
        self.findings.add("W807", f"there is no tool `{shown(name)}`{why}: {looked}", Where(path), hint=hint)

    def callable(self, code: str | None) -> dict[str, Definition]:
        """The tools that code can call; None: code that is read when it runs."""
        wanted = self.names
        found = {name: tool for name in wanted if (tool := self._silently(name)) and tool["type"] != "workflow"}
        if code is None or len(json.dumps(found)) <= CALLABLE_BYTES_MAX:
            return found
        return _named_in(code, found)

    # ---- reading ----

    def _outside(self) -> dict[str, tuple[str, bytes]]:
        """The files of the folder by the name of the tool; a YAML file goes before a Python file of its name."""
        if self._files is None:
            files = self._list(self.folder) if self._list else {}
            self._files = {}
            for path in sorted(files, key=lambda path: (path.endswith(".py"), path)):
                self._files.setdefault(splitext(basename(path))[0], (path, files[path]))
        return self._files

    def _silently(self, name: str) -> Definition | None:
        """A definition that may be wrong: nobody has asked for it by name. Those of the file itself have all been read."""
        if name in self._read:
            return self._read[name]
        kept, self.findings = self.findings, Findings()
        found = self.find(name, ())
        self.findings = kept
        if found is None:
            del self._read[name]
        return found

    def _definition(self, name: str) -> Definition | None:
        if name in self._inside:
            return self._made(name, self._inside[name], "")
        path, data = self._outside().get(name, ("", b""))
        if not path:
            return None
        if path.endswith(".py"):
            if error := python_error(data.decode("utf-8-sig", "replace")):
                message = f"the tool `{shown(name)}` cannot be read from `{path}`: {error}"
                self.findings.add("W810", message, Where(self._at))
            return {"type": "python", "path": path}
        value, problems = _parsed(path, data)
        if problems or not isinstance(value, dict):
            reason = problems[0].message if problems else f"it holds {described(value)}, where a mapping must be"
            place = f":{problems[0].place.line}" if problems and problems[0].place.line else ""
            self.findings.add("W808", f"the tool `{shown(name)}` cannot be read from `{path}{place}`: {reason}", Where(self._at))
            return None
        return self._made(name, Given(value, (), _Elsewhere(self.findings, path, self._at)), path)

    def _made(self, name: str, given: Given, file: str) -> Definition | None:
        """The definition of a tool; None if something is wrong with it, which is reported."""
        before = given.findings.count
        given.check_keys(KEYS, "a tool")
        inner = next((key for key in ("llm", "executable", "openapi", "api_spec", "workflow", "python") if given.has(key)), "")
        kind = given.text("type", default={"api_spec": "api"}.get(inner, inner) or ("python" if given.has("source_code") else ""))
        if kind not in KINDS:
            hint = self.findings.suggest(kind, KINDS) or f"it is one of {quoted(KINDS, 10)}"
            what = f"is of the type `{shown(kind)}`, which cannot be called here" if kind else "has no `type`"
            given.wrong(f"the tool `{shown(name)}` {what}", given.at("type"), hint, "W808")
            return None
        made = _MAKERS[KINDS[kind]](name, given, dirname(file))
        if given.findings.count > before or made is None:
            return None
        made.setdefault("type", KINDS[kind])
        if given.has("fallback_tool"):
            made["fallback_tool"] = given.text("fallback_tool")
        if given.flag("retry_on_failure"):
            made["retries"] = given.number("max_retries", default=3, least=0, most=RETRY_TIMES_MAX, whole=True)
        if given.has("timeout"):
            made["timeout"] = given.number("timeout", default=300, least=0.001, most=DURATION_MAX_S)
        return made


class _Elsewhere(Findings):
    """Findings about another file: they are told of the step that names the tool, with the name of that file."""

    def __init__(self, findings: Findings, file: str, at: Path) -> None:
        super().__init__()
        self._to, self._file, self._at = findings, file, at

    def add(self, code: str, message: str, where: Where, *, seconds: Iterable[Any] = (), **fields: Any) -> None:
        if fields.get("severity") == "warning":
            return  # that file may serve more than this one
        self.count += 1
        self._to.add(code, f"`{self._file}`: {message}", Where(self._at), **fields)

    def suggest(self, name: str, candidates: Iterable[str]) -> str:
        return self._to.suggest(name, candidates)


def _parsed(path: str, data: bytes) -> tuple[Value, list[Problem]]:
    if path.endswith(".json"):
        from weft.formats.json_source import read_json

        document, problems = read_json(data, path, 64)
    else:
        from weft.formats.yaml_source import read_yaml

        document, problems = read_yaml(data, path, 64, 10_000)
    return (document.value if document else None), problems


def _named_in(code: str, tools: Mapping[str, Definition]) -> dict[str, Definition]:
    """The tools whose names stand in the code, and in that of those."""
    found: dict[str, Definition] = {}
    texts = [code]
    while texts:
        text = texts.pop()
        for name, tool in tools.items():
            if name in text and name not in found:
                found[name] = tool
                texts.append(json.dumps(tool, ensure_ascii=False))
    return found


# ---- one maker for each type ----


def _llm(name: str, given: Given, folder: str) -> Definition | None:
    inner = given.inner("llm")
    made: Definition = {}
    for key in ("model", "system_prompt", "prompt_template", "endpoint"):
        if text := given.text(key) or inner.text(key):
            made[key] = text
    if given.has("temperature") or inner.has("temperature"):
        made["temperature"] = (given if given.has("temperature") else inner).number("temperature", default=0.7, least=0, most=100)
    if "endpoint" in made and not made["endpoint"].startswith(("http://", "https://")):
        hint = "endpoint: http://localhost:11434"
        given.wrong(f"the `endpoint` of the tool `{shown(name)}` is no address", given.at("endpoint"), hint, "W808")
    return made


def _python(name: str, given: Given, folder: str) -> Definition | None:
    inner = given.inner("python")
    source = given.text("source_code", "code") or inner.text("source_code", "code")
    if source:
        if error := python_error(source):
            given.wrong(
                f"the Python code of the tool `{shown(name)}` cannot be read: {error}",
                given.at("source_code", "code"),
                "",
                "W810",
            )
        return {"source_code": source}
    path = given.text("tool_path", "path") or inner.text("tool_path", "path", "script")
    if not path:
        hint = "add `source_code`, or `tool_path: NAME.py`"
        given.wrong(
            f"the tool `{shown(name)}` is Python, and has neither `source_code` nor `tool_path`", given.path, hint, "W808"
        )
        return None
    return {"path": path.replace("{tool_dir}", folder) if "{tool_dir}" in path else join(folder, path)}


def _executable(name: str, given: Given, folder: str) -> Definition | None:
    inner = given.inner("executable") if given.has("executable") else given
    command = inner.text("command")
    if not command:
        given.wrong(f"the tool `{shown(name)}` is a program, and has no `command`", inner.path, "command: jq", "W808")
        return None
    made: Definition = {"command": command, "args": inner.texts("args"), "dir": folder}
    if inner.has("install_command"):
        made["install_command"] = inner.text("install_command")
    return made


def _api(name: str, given: Given, folder: str) -> Definition | None:
    key = next((key for key in ("api_spec", "openapi", "api") if given.has(key)), "")
    inner = given.inner(key) if key else given
    url = inner.text("url", "endpoint") or given.text("endpoint", "url")
    if base := inner.text("base_url"):
        url = base.rstrip("/") + "/" + (url or inner.text("path")).lstrip("/")
    if not url.startswith(("http://", "https://")):
        hint = "api_spec: { url: https://…, method: POST }"
        given.wrong(f"the tool `{shown(name)}` calls a service, and has no `url`", inner.path, hint, "W808")
        return None
    made: Definition = {"url": url, "method": inner.text("method", default="GET")}
    for to, names in {"headers": ("headers",), "query": ("query", "params")}.items():
        if inner.has(*names):
            made[to] = inner.mapping(*names)
    return made | ({"body": inner.fields["body"]} if inner.has("body") else {})


def _workflow(name: str, given: Given, folder: str) -> Definition | None:
    inner = given.inner("workflow") if isinstance(given.fields.get("workflow"), dict) else given
    path = inner.text("workflow_path", "path", "workflow") or f"{name}/main.py"
    path = path.replace("{tool_dir}", folder) if "{tool_dir}" in path else join(folder, path)
    return {"path": path} | ({"type": "python"} if path.endswith(".py") else {})


_MAKERS: Final[Mapping[str, Callable[[str, Given, str], Definition | None]]] = {
    "llm": _llm,
    "python": _python,
    "executable": _executable,
    "api": _api,
    "workflow": _workflow,
}
