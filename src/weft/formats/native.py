"""The native format: a plain value, checked against model.spec, to a Workflow.

All problems of a file are found in one go: what is wrong in one step hides nothing in another. Names are looked up here, so
that every name in a Workflow exists; nothing is run, read or evaluated.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

import msgspec

from weft.formats.agents import read_agent
from weft.formats.code import TARGET, Language, refuse_expressions
from weft.formats.cycles import report_cycles
from weft.formats.document import Document, Findings, Path, Where
from weft.formats.environment import check_variables, refuse_reserved
from weft.formats.fan_out import fans_out, item_name, read_fan_out
from weft.formats.flows import Sources, check_given, check_size, refuse_of_runs, refuse_taken, shared_pools, shared_secrets
from weft.formats.gates import read_question, refer
from weft.formats.http import read_http
from weft.formats.pools import check_demand, read_pool
from weft.formats.program_text import warn_of_values
from weft.formats.races import report_races, shared
from weft.formats.references import RUN_FIELDS, References, has_expressions, part_hint
from weft.formats.retries import read_retry
from weft.formats.roles import Roles, named_steps, read_budget
from weft.formats.shapes import BAD, Fields, Reader, quoted
from weft.formats.tools import Servers, shared_servers
from weft.model.inputs import fits
from weft.model.paths import definition
from weft.model.shape import Record
from weft.model.template import literal
from weft.model.tokens import shown
from weft.model.workflow import (
    MACHINE_POOLS,
    Action,
    Agent,
    Approve,
    Argv,
    Flow,
    Http,
    Input,
    Js,
    Lua,
    Plugin,
    Python,
    Retry,
    Server,
    Shell,
    Sleep,
    Step,
    Tool,
    Value,
    Wasm,
    Workflow,
)

if TYPE_CHECKING:
    from weft.formats.python_code import PythonCheck

SYSTEM: Final = "a workflow"
WORDS: Final[dict[str, str]] = {}
"""What each key was made of, for `weft import`: of itself."""

_SHARED = ("reads", "writes")
_MEANINGLESS: dict[type[Action], tuple[str, ...]] = {
    Shell: (),
    Argv: ("shell",),
    Python: ("shell", "output"),
    **dict.fromkeys((Lua, Js, Wasm), ("shell", "output", "env", "secrets")),
    Plugin: ("shell", "output"),
    Http: ("shell", "output", "with", "env", "cwd"),
    Agent: ("shell", "output", "cwd"),
    Tool: ("shell", "output", "env", "secrets", "cwd"),
    Flow: (
        *("shell", "output", "secrets", "cwd", "retry", "timeout", "deadline", "resources", "expect", "priority", "drain"),
        *("reuse", "versions"),
    ),
    Sleep: ("shell", "output", "with", "env", "secrets", "cwd", "reuse", "versions"),
    Approve: (
        *("shell", "output", "with", "env", "secrets", "cwd", "resources", "expect", "retry", "timeout", "deadline", "drain"),
        *("gate", "reuse", "versions", *_SHARED, "races"),
    ),
}
"""Keys that say nothing about a step of this kind."""

_DATA = {
    **dict.fromkeys((Shell, Python, Lua, Js, Wasm, Plugin, Agent), ("with", "env", "versions", *_SHARED)),
    Argv: ("run", "with", "env", "versions", *_SHARED),
    Http: ("http", "versions", *_SHARED),
    Tool: ("with", "versions", *_SHARED),
    **dict.fromkeys((Flow, Sleep), ("with", "env", *_SHARED)),
    Approve: (),
}
"""Keys whose texts are evaluated."""

_AS_IS = {
    **{key: key for key in ("env", "max_parallel", "priority", "drain", "races", "reuse", "versions", "title", "rerun")},
    "with": "inputs",
    "expect": "expect_s",
    "deadline": "deadline_s",
}
"""Keys whose values are fields of the step: under which name."""

_KIND_KEYS = {
    Shell: "run",
    Argv: "run: […]",
    Python: "python",
    Lua: "lua",
    Js: "js",
    Wasm: "wasm",
    Http: "http",
    Agent: "agent",
    Tool: "tool",
    Flow: "flow",
    Plugin: "uses",
    Sleep: "sleep",
    Approve: "approve",
}
_TEXT_OUTPUT = (Shell, Argv)
"""Kinds whose output is what they write to stdout, read as `output` says; that of the others is JSON."""
_LANGUAGES: dict[Language, type[Lua] | type[Js]] = {"lua": Lua, "js": Js}
_UNKNOWN = Sleep(seconds=0)
"""Stands for an action that was wrong, or is not supported yet, which has been reported."""


def recognises(value: Value) -> bool:
    """Whether this looks like a workflow in this format, good or bad."""
    return isinstance(value, dict) and "steps" in value


def load(document: Document, findings: Findings, name: str, sources: Sources) -> Workflow | None:
    """The workflow, if there is no problem. A workflow without a name is called like its file, `name`."""
    fields = Reader(findings).read(document.value, Record("workflow"), ())
    if fields is BAD:
        return None
    if sources.inside:
        refuse_of_runs(fields, findings)
    return _Loader(document.value, fields, findings, sources).load(name)


def step_path(document: Document, step: str) -> Path:
    """The path of a step in the document; for a part of it, that of the step it belongs to."""
    step = definition(step).partition("/")[0]
    for key in ("steps", "finally"):
        steps = document.value.get(key, {})
        if isinstance(steps, dict) and step in steps:
            return (key, step)
        for index, item in enumerate(steps if isinstance(steps, list) else ()):
            if item["id"] == step:
                return (key, index)
    return ("steps",)


class _Loader:
    """Of a file whose content is `root`, or of a sub-workflow in it. `shared`, `around`: pools and servers that
    are declared around it."""

    def __init__(
        self,
        root: Value,
        fields: Fields,
        findings: Findings,
        sources: Sources,
        shared: frozenset[str] = frozenset(),
        around: Mapping[str, Server] = {},
    ) -> None:
        self.root, self.fields, self.findings, self.sources, self.shared = root, fields, findings, sources, shared
        self.ids, self.raw = named_steps(fields, self._written(fields.path), findings)
        self.secrets: list[str] = list(filter(None, fields.get("secrets", [])))
        self.beside = None if sources.inside or fields.path else sources.beside
        if self.beside:
            refuse_taken(self.ids, self.beside, findings)
            self.secrets += self.beside.workflow.secrets
            self.shared |= self.beside.workflow.resources.keys()
            self.ids = {**dict.fromkeys(self.beside.steps, ()), **self.ids}
            around = self.beside.workflow.servers
        joined = self.beside.workflow.resources if self.beside else None
        self.servers = Servers(fields, around, self.secrets, findings, joined, self._written(fields.path).get("servers"))
        pools = fields.get("resources", {})
        self.pools = {pool: read_pool(pool, value, fields.at("resources", pool), findings) for pool, value in pools.items()}
        self.defaults: Fields = fields.get("defaults", Fields(fields.at("defaults")))
        self.default_retry = read_retry(self.defaults, self.findings)

    def load(self, name: str) -> Workflow | None:
        fields = self.fields
        before = self.findings.count if fields.path else 0
        inputs = {input_: self._input(input_, value) for input_, value in fields.get("inputs", {}).items()}
        known = {**self.beside.workflow.inputs, **inputs} if self.beside else inputs
        self.references = References(self.findings, self.ids, known)
        self.references.items = {id_: item_name(step) for id_, step in self.raw.items() if fans_out(step)}
        last = self._steps(fields.get("finally", {}))
        self.roles = Roles(self._steps(fields.get("steps", {})), last, self.ids, self.findings)
        read = self.roles.read
        self.flows = {id_: flow for step, id_ in read if (flow := self._flow(step, id_))}
        self.references.outputs = {id_: flow.workflow.outputs for id_, flow in self.flows.items()}
        env = fields.get("env", {})
        self.references.in_value(env, fields.at("env"), None, steps_allowed=False)
        refuse_reserved(env, fields.at("env"), self.findings)
        outputs, at = fields.get("outputs", {}), fields.at("outputs")
        referred = self.references.in_value(outputs, at, None)
        self.roles.check_outputs(referred, lambda name: self.references.where(outputs, at, name) or Where(at))
        steps = [self._step(step, id_) for step, id_ in read]
        report_cycles(steps, lambda index, need: self._where_needed(read[index][0], need), self.findings)
        paths = {id_: Where((*step.path, "flow"), "key") for step, id_ in read}
        resources = shared_pools({**self.pools, **self.servers.pools}, steps, paths.__getitem__, self.findings)
        servers = shared_servers(self.servers.own, steps, paths.__getitem__, self.findings)
        check_size(steps, paths.__getitem__, self.findings)
        if self.findings.count > before:
            return None
        workflow = Workflow(
            name=fields.get("name") or PurePath(name).name.split(".")[0] or "workflow",
            steps=tuple(steps),
            description=fields.get("description", ""),
            inputs=inputs,
            outputs=outputs,
            secrets=tuple(dict.fromkeys(self.secrets + shared_secrets(steps))),
            env=env,
            resources=resources,
            servers=servers,
            max_parallel=fields.get("max_parallel") or "auto",
            schedule=fields.get("schedule", "dataflow"),
            durability=fields.get("durability", "power"),
            timeout_s=fields.get("timeout"),
            gates=read_question(fields, "gates", self.findings, self._input),
            budget=read_budget(fields.get("budget")),
        )
        if not self.sources.inside and not fields.path and not self.beside:
            report_races(workflow, self.ids, self._written, self.findings)  # those of sub-workflows too
        return workflow

    # ---- the workflow ----

    def _steps(self, steps: dict[str, Fields] | list[Fields]) -> list[tuple[Fields, str]]:
        """Each step that could be read, with its id."""
        if isinstance(steps, dict):
            return [(step, id_) for id_, step in steps.items()]
        return [(step, step["id"]) for step in steps if "id" in step]

    def _input(self, name: str, fields: Fields) -> Input:
        type_, choices = fields.get("type", "any"), fields.get("choices", [])
        for index, choice in enumerate(choices):
            self._fits(name, type_, choice, fields.at("choices", index))
        default = fields.get("default")
        if default is not None:
            self._fits(name, type_, default, fields.at("default"))
            if choices and default not in choices:
                message = f"the default of the input `{name}` is not one of its choices"
                hint = f"it is one of {msgspec.json.encode(choices).decode()}"
                self.findings.add("W311", message, Where(fields.at("default")), hint=hint)
        return Input(
            type=type_,
            default=default,
            required="default" not in fields,
            description=fields.get("description", ""),
            choices=tuple(choices),
        )

    def _fits(self, name: str, type_: Any, value: Value, path: Path) -> None:
        if not fits(type_, value):
            text = type_ == "string" and isinstance(value, int | float)
            hint = "put quotes around it" if text else f"give it a value of that type, or change `type: {type_}`"
            message = f"this does not fit the type of the input `{name}`, which is {type_}"
            self.findings.add("W311", message, Where(path), hint=hint)

    @cached_property
    def python(self) -> "PythonCheck":
        from weft.formats.python_code import PythonCheck  # late: most files have no Python in them

        return PythonCheck(self.findings)

    # ---- one step ----

    def _step(self, fields: Fields, id_: str) -> Step:
        action = self.flows.get(id_) or self._action(fields)
        fan_out = read_fan_out(fields, id_, self.references, self.findings)
        roles, items = self.roles, self.references.items
        items_seen = [items[user] for user in roles.stands_for(id_) if user in items] if roles.users else []
        if items_seen and not fan_out:  # the fallback of an instance sees its item
            self.references.own = {items_seen[0]: None, "key": None}
        if action is not _UNKNOWN:
            self._check_meaning(fields, type(action))
            self._check_reuse(fields)
            check_variables(fields, type(action), self.findings)
        role = roles.role(id_)
        roles.check_keys(fields, id_)
        self.references.run_fields = (*RUN_FIELDS, "status") if roles.is_last(id_) else RUN_FIELDS
        condition, referred = self._condition(fields, id_)
        for key in _DATA[type(action)]:
            if key in fields and has_expressions(fields[key]):
                referred += self.references.in_value(fields[key], fields.at(key), id_)
        referred += self._referred_by_pools(fields, id_)
        for key in filter(fields.__contains__, ("agent", "approve", "gate")):
            referred += refer(fields, key, id_, self.references)
        written = self._needs(fields, id_)
        from_items = fan_out.needs if fan_out else []
        needs = roles.needs(id_, written, from_items + referred, partial(self._where_needed, fields))
        wired = fan_out.wired(written + referred) if fan_out else ""
        wired = wired if wired in needs else ""
        each_if = fan_out is not None and (bool(wired) or fan_out.is_seen_in(condition))
        own, default, asks = fields.get, self.defaults.get, isinstance(action, Approve)
        return Step(
            id=id_,
            action=action,
            needs=needs,
            condition=condition,
            secrets=tuple(self._secrets(fields)),
            cwd=own("cwd") or default("cwd", ""),
            output=own("output") or default("output", "text") if isinstance(action, _TEXT_OUTPUT) else "json",
            resources={**self._resources(fields), **self.servers.takes(action)},
            on_error=own("on_error") or (default("on_error", "isolate") if role == "step" else "isolate"),
            retry=read_retry(fields, self.findings) if "retry" in fields else Retry() if asks else self.default_retry,
            timeout_s=None if asks else own("timeout", default("timeout")),
            reads=shared(fields, "reads"),
            writes=shared(fields, "writes"),
            gate=read_question(fields, "gate", self.findings, self._input),
            role=role,
            fallback=roles.name_of(fields, id_),
            wired=wired,
            each_if=each_if,
            **{_AS_IS[key]: value for key, value in fields.items() if key in _AS_IS},
            **(fan_out.settings if fan_out else {}),
        )

    def _flow(self, fields: Fields, id_: str) -> Flow | None:
        """The sub-workflow of a step, if it has one in which nothing is wrong."""
        given = fields.get("flow")
        if given is None:
            return None
        if isinstance(given, str):
            workflow = self.sources.workflow(given, Where(fields.at("flow")), self.findings)
        else:
            refuse_of_runs(given, self.findings)
            shared = self.shared | self.pools.keys()
            workflow = _Loader(self.root, given, self.findings, self.sources, shared, self.servers.known).load(id_)
        if workflow is None:
            return None
        check_given(fields, workflow, self.findings)
        return Flow(workflow)

    def _action(self, fields: Fields) -> Action:
        run, python = fields.get("run"), fields.get("python")
        if isinstance(run, list):
            warn_of_values(run, fields.at("run"), self.findings)
            return Argv(argv=tuple(run))
        if run is not None:
            refuse_expressions(run, fields.at("run"), self.findings, "shell")
            return Shell(script=literal(run), shell=_shell(fields.get("shell") or self.defaults.get("shell") or ()))
        if python is not None:
            if TARGET.fullmatch(python.strip()):
                return Python(target=python.strip())
            if not refuse_expressions(python, fields.at("python"), self.findings, "python"):
                self.python.check(literal(python), fields.at("python"), fields.get("with", {}), fields.at("with"))
            return Python(code=literal(python))
        if "http" in fields:
            return read_http(fields, self.findings)
        if "agent" in fields:
            return read_agent(fields, self.findings)
        if "tool" in fields:
            return self.servers.tool(fields)
        if "uses" in fields:
            return Plugin(*fields["uses"].split("/"))
        if "wasm" in fields:
            return self._wasm(fields["wasm"])
        for language, kind in _LANGUAGES.items():
            if language in fields:
                refuse_expressions(fields[language], fields.at(language), self.findings, language)
                return kind(code=literal(fields[language]))
        if "sleep" in fields:
            return Sleep(seconds=fields["sleep"])
        return read_question(fields, "approve", self.findings, self._input) or _UNKNOWN

    def _wasm(self, given: str | Fields) -> Wasm:
        if isinstance(given, str):
            return Wasm(module=given)
        if given.get("report") and "function" not in given:
            message, hint = "`report` says nothing about a command", "add `function: run`, or remove it"
            self.findings.add("W214", message, Where(given.at("report"), "key"), hint=hint)
        return Wasm(**{"module": "", **given})

    def _check_meaning(self, fields: Fields, kind: type[Action]) -> None:
        for key in _MEANINGLESS[kind]:
            if key in fields:
                message = f"`{key}` says nothing about a step of the kind `{_KIND_KEYS[kind]}`"
                inside = kind is Approve and key == "timeout"
                hint = "put it into `approve: { message: …, timeout: … }`" if inside else "remove it"
                self.findings.add("W214", message, Where(fields.at(key), "key"), hint=hint)
        if fields.get("drain") and (fields.get("on_error") or self.defaults.get("on_error")) != "stop":
            message, hint = "`drain` says nothing about a step that stops nothing", "add `on_error: stop`, or remove it"
            self.findings.add("W214", message, Where(fields.at("drain"), "key"), hint=hint)

    def _check_reuse(self, fields: Fields) -> None:
        if "versions" in fields and self._written(fields.path).get("reuse", False) is False:
            message, hint = "`versions` says nothing about a step that is not reused", "add `reuse: true`, or remove it"
            self.findings.add("W214", message, Where(fields.at("versions"), "key"), hint=hint)

    def _condition(self, fields: Fields, id_: str) -> tuple[str, list[str]]:
        condition = fields.get("if", "")
        if isinstance(condition, bool):
            return str(condition).lower(), []
        return self.references.in_condition(condition, fields.at("if"), id_) if condition else ("", [])

    def _needs(self, fields: Fields, id_: str) -> list[str]:
        """The needs that are written, without those that are wrong."""
        needs = fields.get("needs", [])
        good = []
        for need in [needs] if isinstance(needs, str) else filter(None, needs):
            if need == id_:
                self.findings.add("W302", f"the step `{id_}` needs itself", self._where_written(fields, need), hint="remove it")
            elif need not in self.ids:
                near = part_hint(need, self.ids) or self.findings.suggest(need, self.ids)
                hint = near or f"add that step, or remove the need; there is {quoted(self.ids)}"
                self.findings.add("W301", f"there is no step `{shown(need)}`", self._where_written(fields, need), hint=hint)
            else:
                good.append(need)
        return good

    def _where_written(self, fields: Fields, need: str) -> Where:
        path = fields.at("needs")
        written = self._written(path)
        if not isinstance(written, list):
            return Where(path)
        return Where((*path, next(n for n, text in enumerate(written) if isinstance(text, str) and literal(text) == need)))

    def _written(self, path: Path) -> Value:
        """What stands in the document."""
        value = self.root
        for key in path:
            value = value[key]
        return value

    def _where_needed(self, fields: Fields, need: str) -> Where:
        """Where a step says that it needs another: in `needs`, or in the first field that refers to it."""
        if need == fields.get("fallback"):
            return Where(fields.at("fallback"))
        needs = fields.get("needs", [])
        if need == needs or need in (needs if isinstance(needs, list) else ()):
            return self._where_written(fields, need)
        for key in ("run", "with", "env", "versions", *_SHARED, "for_each", "matrix", "key", "agent", "approve", "gate"):
            where = self.references.where(fields.get(key), fields.at(key), need)
            if where:
                return where
        return Where(fields.at("if"))

    def _secrets(self, fields: Fields) -> list[str]:
        wanted: list[str] = fields.get("secrets", [])
        for secret in filter(None, wanted):
            if secret not in self.secrets:
                where = Where(fields.at("secrets", wanted.index(secret)))
                hint = self.findings.suggest(secret, self.secrets) or f"declare it at the top of the file: `secrets: [{secret}]`"
                self.findings.add("W309", f"the secret `{secret}` is not declared", where, hint=hint)
        return wanted

    def _resources(self, fields: Fields) -> dict[str, int]:
        wanted: dict[str, int] = fields.get("resources", {})
        for pool, weight in wanted.items():
            path = fields.at("resources", pool)
            if pool not in self.pools and pool in self.shared:
                continue  # the file around it checks this
            if pool not in self.pools:
                declare = (
                    f"declare it at the top of the file: `resources: {{ {pool}: {'auto' if pool in MACHINE_POOLS else 1} }}`"
                )
                hint = declare if pool in MACHINE_POOLS else self.findings.suggest(pool, self.pools) or declare
                self.findings.add("W307", f"there is no pool `{shown(pool)}`", Where(path, "key"), hint=hint)
                continue
            declared = self.fields.at("resources", pool)
            wrong = check_demand(pool, weight, self.pools[pool], self._written(path), self._written(declared), path, declared)
            if wrong:
                self.findings.add(**wrong)
        return wanted

    def _referred_by_pools(self, fields: Fields, id_: str) -> list[str]:
        """The steps that `per` of the pools refers to which the step takes: each is evaluated in the scope of the step."""
        found: list[str] = []
        for pool in fields.get("resources", {}):
            if pool in self.pools and self.pools[pool].per:
                found += self.references.in_value(self.pools[pool].per, self.fields.at("resources", pool, "per"), id_)
        return found


def _shell(shell: str | Sequence[str]) -> tuple[str, ...]:
    if isinstance(shell, str):
        shell = shell.split()
        return (shell[0], "-c") if len(shell) == 1 else tuple(shell)
    return tuple(shell)
