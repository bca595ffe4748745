"""Workflow files of the Hybrid Workflow Engine: a Lua file with a global `workflow = {name, description, steps = {…}}`.

- Its steps get the outputs of the steps that they depend on, by name, each language in its own way. That is done by constant code
  of ours around the author's code (`hwfe_code`); no value ever becomes program text.
- A name may be any text; what an id cannot hold is escaped in it.
- The file has no order of its own, a Lua table has none: steps stand as they do in the text.
- A failed step ends the run, and what runs beside it may end.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import PurePath
from typing import Any, Final

import msgspec

from weft.formats import hwfe_code
from weft.formats.document import Document, Findings, Path, Span, Wanted, Where
from weft.formats.lua_source import function_source
from weft.formats.python_code import defines_run, python_error
from weft.formats.shapes import described, quoted
from weft.model.cycle import find_cycle
from weft.model.paths import escaped
from weft.model.tokens import shown
from weft.model.workflow import Action, Step, Value, Workflow

LANGUAGES: Final = {
    "lua": "lua",
    "python": "python",
    **dict.fromkeys(("bash", "shell", "sh"), "shell"),
    **dict.fromkeys(("javascript", "js", "node", "nodejs"), "javascript"),
    **dict.fromkeys(("wasm", "webassembly"), "wasm"),
}
MAX_PARALLEL: Final = 4
"""What the documentation says when nothing else is given."""

SYSTEM: Final = "a workflow of the Hybrid Workflow Engine"
WORDS: Final = {
    "name": "`name`",
    "description": "`description`",
    "steps": "`steps`, in the order of the text",
    "schedule": "its configuration's `mode`, which is `sequential` unless it says otherwise",
    "max_parallel": "its configuration's `max_parallel_steps`",
    "with": "`depends_on`: the outputs of those steps, by name",
    "lua": '`language = "lua"`, and a line of ours that calls `run` as it expects',
    "python": "Python and shell code: the text is `CODE`, the rest gives it its inputs and reads what it prints, as it expects",
    "js": "JavaScript, and some lines of ours that set `inputs` and read what `run` returns",
    "wasm": "`module` and `func`",
    "on_error": "a failed step ends the run,",
    "drain": "and what runs beside it may end",
    "outputs": "the output of each step",
}
"""What each key of ours was made of, for `weft import`."""

_WORKFLOW_KEYS = ("name", "description", "steps")
_KEYS = ("language", "code", "depends_on", "module", "func", "function", "run")
_UNREAD = {
    "wasm": dict.fromkeys(("code", "run"), "WebAssembly is what `module` names"),
    "code": dict.fromkeys(("module", "func", "function"), "that is for WebAssembly"),
}
"""Keys that steps of other languages have, and why."""


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration says (see hwfe_config): `mode`, and how many steps run at once in it; 0: as many as CPUs.
    `disabled`: the languages that are, with who says so. `programs`: those of languages that run in another than usual."""

    parallel: bool = False
    max_parallel_steps: int = MAX_PARALLEL
    disabled: Mapping[str, str] = {}
    programs: Mapping[str, str] = {}


def load(document: Document, findings: Findings, name: str, execution: Execution) -> Workflow | None:
    """The workflow, if there is no error."""
    workflow = document.value.get("workflow")
    if not isinstance(workflow, dict):
        is_there = "the file defines no global `workflow`" if workflow is None else f"`workflow` is {described(workflow)}"
        findings.add("W603", is_there, Where(()), hint='workflow = { name = "…", steps = { first = { code = [[ … ]] } } }')
        return None
    return _Loader(document, findings, workflow, execution).load(name)


def step_path(document: Document, step: str) -> Path:
    """The path of a step in the document."""
    return ("workflow", "steps", next(name for name in document.value["workflow"]["steps"] if escaped(name) == step))


def _output_of(name: str) -> str:
    return f"${{{{ steps['{escaped(name)}'].output }}}}"


class _Loader:
    def __init__(self, document: Document, findings: Findings, workflow: Mapping[str, Value], execution: Execution) -> None:
        self.document, self.findings, self.workflow, self.execution = document, findings, workflow, execution
        steps = workflow.get("steps")
        if not isinstance(steps, dict) or not steps:
            what = "has no steps" if not steps else f"has `steps` that are {described(steps)}"
            findings.add("W603", f"the workflow {what}", Where(("workflow",)), hint="steps = { first = { code = [[ … ]] } }")
            steps = {}
        self.steps: dict[str, Any] = self._in_order(steps)

    def _in_order(self, steps: Mapping[str, Value]) -> dict[str, Value]:
        """As they stand in the text."""
        places = self.document.places([Where(("workflow", "steps", id_), "key") for id_ in steps])
        ordered = sorted(zip(places, steps, strict=True))
        return {id_: steps[id_] for _, id_ in ordered}

    def load(self, name: str) -> Workflow | None:
        for key in self.workflow:
            if key not in _WORKFLOW_KEYS:
                hint = self.findings.suggest(key, _WORKFLOW_KEYS) or "nothing reads it"
                self._warn(f"a workflow has no `{shown(key)}`", ("workflow", key), "W604", hint)
        title = self._text(self.workflow, ("workflow",), "name") or PurePath(name).name.split(".")[0] or "workflow"
        description = self._text(self.workflow, ("workflow",), "description")
        steps = [step for id_, fields in self.steps.items() if (step := self._step(id_, fields))]
        self._report_cycles(steps)
        if self.findings:
            return None
        mode = "parallel" if self.execution.parallel else "sequential"
        return Workflow(
            name=title,
            description=description,
            steps=tuple(steps),
            outputs={name: _output_of(name) for name in self.steps},
            max_parallel=self.execution.max_parallel_steps or "auto",
            schedule="dataflow" if self.execution.parallel else "sequential",
            first_layer=1,
            banner=(f"Execution mode: {mode}",),
        )

    def _text(self, fields: Mapping[str, Value], path: Path, key: str) -> str:
        value = fields.get(key, "")
        if not isinstance(value, str):
            self._wrong(f"`{key}` is {described(value)}, where a text must be", (*path, key))
            return ""
        return value

    def _wrong(self, message: str, path: Path, hint: str = "", code: str = "W603") -> None:
        self.findings.add(code, message, Where(path), hint=hint)

    def _warn_of_what_is_lost(self, id_: str, fields: Mapping[str, Value], path: Path, needs: list[str]) -> None:
        """Keys that nothing reads, and inputs that another one takes the variable of."""
        language = self._language(fields)
        unread = _UNREAD["wasm" if language == "wasm" else "code"]
        for key in unread.keys() & fields.keys():
            self._warn(f"the `{key}` of `{shown(id_)}` has no effect: {unread[key]}", (*path, key), "W604")
        if "code" in fields and "run" in fields and language != "wasm":
            self._warn(f"the `run` of `{shown(id_)}` has no effect: its `code` is run", (*path, "run"), "W604")
        names = {hwfe_code.variable(need): need for need in needs} if language == "shell" else {}
        for need in needs if names else ():
            if (other := names[variable := hwfe_code.variable(need)]) != need:
                message = f"`{shown(need)}` and `{shown(other)}` have the same variable `{variable}`, so only one of them is seen"
                self._warn(message, (*path, "depends_on"), "W605", "give one of them another name")

    def _warn(self, message: str, path: Path, code: str, hint: str = "remove it") -> None:
        self.findings.add(code, message, Where(path, "key"), hint=hint, severity="warning")

    def _step(self, id_: str, fields: Value) -> Step | None:
        path = ("workflow", "steps", id_)
        if not isinstance(fields, dict):
            self._wrong(f"the step `{shown(id_)}` is {described(fields)}, where a table must be", path, "{ code = [[ … ]] }")
            return None
        for key in fields:
            if key not in _KEYS:
                hint = self.findings.suggest(key, _KEYS) or f"a step has {quoted(_KEYS, 10)}"
                self.findings.add("W604", f"a step has no `{shown(key)}`", Where((*path, key), "key"), hint=hint)
        needs = self._depends_on(id_, fields, path)
        self._warn_of_what_is_lost(id_, fields, path, needs)
        action = self._action(id_, fields, path, needs)
        if action is None:
            return None
        inputs = {need: _output_of(need) for need in needs}
        return Step(
            id=escaped(id_),
            action=action,
            needs=tuple(map(escaped, needs)),
            inputs=inputs,
            output="json",
            on_error="stop",
            drain=True,
        )

    def _depends_on(self, id_: str, fields: Mapping[str, Value], path: Path) -> list[str]:
        given = fields.get("depends_on", {})
        if given == {}:
            return []
        if not isinstance(given, list):
            hint = f'depends_on = {{"{shown(given)}"}}' if isinstance(given, str) else 'depends_on = {"first"}'
            self._wrong(f"`depends_on` is {described(given)}, where a list must be", (*path, "depends_on"), hint)
            return []
        needs = []
        for n, need in enumerate(given):
            at = (*path, "depends_on", n)
            if not isinstance(need, str):
                self._wrong(f"item {n + 1} of `depends_on` is {described(need)}, where the name of a step must be", at)
            elif need not in self.steps:
                hint = self.findings.suggest(need, self.steps) or f"there is {quoted(self.steps)}"
                self._wrong(f"Step not found: {shown(need)} (`{shown(id_)}` depends on it)", at, hint, "W605")
            else:
                needs.append(need)
        return list(dict.fromkeys(needs))

    def _action(self, id_: str, fields: Mapping[str, Value], path: Path, needs: list[str]) -> Action | None:
        written = self._text(fields, path, "language") or "lua"
        language = LANGUAGES.get(written.lower())
        if language is None:
            hint = self.findings.suggest(written.lower(), LANGUAGES) or f"it is one of {quoted(LANGUAGES, 20)}"
            self._wrong(f"there is no language `{shown(written)}`", (*path, "language"), hint, "W606")
            return None
        if origin := self.execution.disabled.get(language):
            hint = f"`runners.{language}.enabled` turns it on"
            self._wrong(f"{language} is disabled by {origin}", (*path, "language"), hint, "W606")
            return None
        if language == "wasm":
            module = self._text(fields, path, "module")
            if not module:
                hint = f'module = "{id_}.wasm"'
                self._wrong(f"the step `{shown(id_)}` is WebAssembly and names no `module`", path, hint, "W607")
                return None
            return hwfe_code.wasm(module, self._text(fields, path, "func") or self._text(fields, path, "function") or "run")
        code = self._code(id_, fields, path, language)
        if code is None:
            return None
        if language == "python":
            if error := python_error(code):
                self._wrong(f"the Python code of `{shown(id_)}` cannot be read: {error}", (*path, "code"), code="W608")
                return None
            if not defines_run(code):
                hint = "def run(inputs): …"
                self._wrong(f"the Python code of `{shown(id_)}` defines no function `run`", (*path, "code"), hint, "W608")
                return None
        if program := self.execution.programs.get(language):
            return hwfe_code.MAKERS_BY[language](program, code, needs)
        return hwfe_code.MAKERS[language](code, needs)

    def _language(self, fields: Mapping[str, Value]) -> str | None:
        """What is meant by `language`; None if nothing is."""
        return LANGUAGES.get(str(fields.get("language") or "lua").lower())

    @cached_property
    def _spans(self) -> Span:
        return self.document.spans(Wanted())

    def _code(self, id_: str, fields: Mapping[str, Value], path: Path, language: str) -> str | None:
        """The author's text: `code`, or the older `run = function() … end`."""
        code = fields.get("code", fields.get("run"))
        if isinstance(code, dict) and "__function__" in code:
            span = self._spans
            for key in (*path, "code" if "code" in fields else "run"):
                span = span.inside.get(key, span)
            source = function_source(self.document.text, code["__function__"], span.start)
            if source and language == "lua":
                return f"run = {source}"
            self._wrong(
                f"the step `{shown(id_)}` has a Lua function where {language} code must be", path, "code = [[ … ]]", "W607"
            )
            return None
        if isinstance(code, str) and code.strip():
            if "\0" in code:
                self._wrong(f"the code of `{shown(id_)}` holds a NUL character", (*path, "code"), "remove it", "W608")
                return None
            return code
        wrong = "has empty `code`" if isinstance(code, str) else f"has `code` that is {described(code)}"
        what = "has no `code`" if code is None else wrong
        self._wrong(f"the step `{shown(id_)}` {what}", path, "code = [[ … ]]", "W607")
        return None

    def _report_cycles(self, steps: list[Step]) -> None:
        number = {step.id: n for n, step in enumerate(steps)}
        names = {escaped(name): name for name in self.steps}
        needs = [[number[need] for need in step.needs if need in number] for step in steps]
        cycle = find_cycle(needs)
        if cycle is None:
            return
        ids = [names[steps[n].id] for n in cycle]
        edges = list(zip(ids, ids[1:] + ids[:1], strict=True))
        places = [Where(("workflow", "steps", id_, "depends_on")) for id_, _ in edges]
        self.findings.add(
            "W609",
            f"Circular dependency detected involving step '{ids[0]}': {' → '.join([*ids, ids[0]])}",
            places[0],
            seconds=[
                (place, f"`{id_}` depends on `{need}`") for place, (id_, need) in list(zip(places, edges, strict=True))[1:20]
            ],
            hint="remove one of these dependencies",
        )
