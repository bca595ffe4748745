"""One step of Code Evolver to one of ours: what it runs, with which prompt and inputs, and what follows if it fails.

What a tool does is carried out by weft.guests.node_runtime, in a worker; a language model without an endpoint of its own is an
`agent`; a workflow is a `flow`. All that the author wrote goes there as data.
"""

import json
from collections.abc import Callable, Mapping
from posixpath import join
from typing import Any, Final, TypeAlias

import msgspec

from weft.formats.document import Path
from weft.formats.evolver_fields import Given, plain
from weft.formats.evolver_references import Hole, Parts, References, Target, template
from weft.formats.evolver_tools import KINDS, Definition, Tools
from weft.formats.python_code import python_error
from weft.formats.shapes import described
from weft.model.spec import RETRY_TIMES_MAX
from weft.model.tokens import shown
from weft.model.units import DURATION_MAX_S
from weft.model.workflow import Action, Agent, Flow, Python, Retry, Step, Value, Workflow

RUNTIME: Final = "weft.guests.node_runtime:run"
TIMEOUT_S: Final = 300.0
MAPPINGS: Final = ("input_mapping", "input_parameters", "input", "inputs", "parameters", "arguments")
NAMES: Final = ("tool", "tool_name", "tool_id")
KEYS: Final = (
    *(
        "step_id",
        "id",
        "name",
        "type",
        "description",
        *NAMES,
        "tool_type",
        "prompt_template",
        "tool_path",
        "generate_tool",
        "role",
    ),
    *("operation_type", "workflow_path", "workflow_spec", *MAPPINGS, "output_name", "output_key", "timeout", "retry_on_failure"),
    *("max_retries", "parallel_group", "depends_on", "dependsOn", "dependencies", "code", "task_for_node", "input_from_step"),
    *("repeat", "validation", "expects_exception", "candidates", "condition", "batch_mode", "priority", "metadata", "outputs"),
    *("output_schema", "input_schema", "tags"),
)
TYPES: Final = (
    "llm_call",
    "python_tool",
    "sub_workflow",
    "existing_tool",
    "llm",
    "python",
    "executable",
    "api",
    "workflow",
    "tool",
)
SORTS: Final = {"llm_call": "llm", "sub_workflow": "workflow", **KINDS}
"""The type of tool that a type of step speaks of; others take any. A workflow may be a Python file, too."""
WAYS: Final = ("code", "tool_path", "workflow_spec", "workflow_path")
"""What a step runs without looking for a tool: the first one that is there."""
PRIORITIES: Final = {"critical": 0, "high": 10, "normal": 50, "medium": 50, "low": 90, "background": 100}
NORMAL: Final = 50
PROVIDERS: Final = ("ollama", "openai", "test", "anthropic", "azure", "google", "groq", "lmstudio", "mistral")
REPEAT_MAX: Final = 10_000
"""Each of them is a call, and its result a part of one output."""


class Raw(msgspec.Struct, frozen=True):
    """A step as it was found. `tools`: what it calls, and what is called if that fails, by name."""

    id: str
    given: Given
    tools: dict[str, Definition] = {}
    function: str = ""

    @property
    def output_name(self) -> str:
        return self.given.text("output_name", "output_key") or "output"

    @property
    def target(self) -> Target:
        asks = bool(self.tools) and all(tool["type"] == "llm" for tool in self.tools.values())
        plain_text = (asks or self.asks_default) and not self.given.has("repeat") and not self.given.has("expects_exception")
        return Target(self.output_name, plain_text)

    @property
    def asks_default(self) -> bool:
        """Whether it names nothing that could run: the model that the environment names gets its description."""
        return not (self.tools or self.function or any(map(self.given.has, WAYS)))


def provider_of(model: str) -> str:
    """A model as `provider:name`. A name alone is one of Ollama, unless it is one that only OpenAI has."""
    if not model or (":" in model and model.partition(":")[0] in PROVIDERS):
        return model
    ours = model.startswith(("gpt-", "chatgpt-")) and not model.startswith("gpt-oss")
    return f"openai:{model}" if ours else f"ollama:{model}"


def find_tools(raw: Raw, tools: Tools) -> Raw | None:
    """The step with the tools that it names; None if there are none, which is reported."""
    given = raw.given
    kind = given.text("type") or given.text("tool_type")
    if kind and kind not in TYPES:
        hint = given.findings.suggest(kind, TYPES) or "it is llm_call, python_tool, existing_tool or sub_workflow"
        given.wrong(f"there is no type `{shown(kind)}` of a step", given.at("type" if given.has("type") else "tool_type"), hint)
    ways = [key for key in (*WAYS, "candidates") if given.has(key)]
    if tools.knows(given.text(*NAMES)):
        ways.append(given.key(*NAMES))
    for key in ways[1:]:
        given.warn("W812", f"`{key}` is not used: the step has `{ways[0]}`", given.at(key), "remove one of them", key=True)
    if ways and ways[0] in WAYS:
        return raw
    if given.has("candidates"):
        return _with_candidates(raw, tools)
    name, path = given.text(*NAMES), given.at(*NAMES)
    if not name and kind in ("python_tool", "python", "existing_tool", "executable", "api", "tool", "workflow", "sub_workflow"):
        if tools.knows(raw.id):
            name = raw.id
        else:
            _refuse_nameless(raw, kind)
            return None
    if not name:
        return raw
    if tools.knows(name):
        found = tools.find(name, path)
        sort = SORTS.get(kind)
        if found and sort not in (None, found["type"]) and (sort, found["type"]) != ("workflow", "python"):
            message = f"the step says `{shown(kind)}`, and the tool `{shown(name)}` is of the type `{found['type']}`: that counts"
            given.warn("W812", message, given.at("type" if given.has("type") else "tool_type"), "correct one of them")
        return msgspec.structs.replace(raw, tools=_chain(name, found, tools, path)) if found else None
    module, _, function = name.rpartition(".")
    if module and kind in ("python", "python_tool", ""):
        return msgspec.structs.replace(raw, function=f"{module}:{function}")
    if given.flag("generate_tool"):
        _refuse_generated(given, name, path)
    else:
        tools.refuse(name, path)
    return None


def _refuse_nameless(raw: Raw, kind: str) -> None:
    given, hint = raw.given, "name its `tool`"
    message = f"the step `{shown(raw.id)}` is of the type `{shown(kind)}` and names no tool"
    if kind == "sub_workflow":
        message, hint = f"the step `{shown(raw.id)}` names no workflow", "add `workflow_path`, or the workflow as `workflow_spec`"
    elif given.flag("generate_tool"):
        _refuse_generated(given, raw.id, given.path)
        return
    given.wrong(message, given.path, hint, "W808")


def _refuse_generated(given: Given, name: str, path: Path) -> None:
    id_ = shown(given.text("step_id", "id"))
    message = f"the step `{id_}` wants its tool to be written by a language model, which weft does not do"
    hint = f"write it as `tools/{shown(name)}.py`, whose main() reads JSON from stdin and prints JSON"
    given.wrong(message, path, hint, "W808")


def _with_candidates(raw: Raw, tools: Tools) -> Raw | None:
    """The candidates that are there, the one with the lowest `priority` first."""
    given = raw.given
    found: list[tuple[float, int, str, Path]] = []
    for n, item in enumerate(given.items("candidates")):
        path = (*given.path, "candidates", n)
        if not isinstance(item, dict):
            given.wrong(
                f"candidate {n + 1} is {described(item)}, where a mapping must be", path, "{ tool_id: NAME, priority: 1 }"
            )
            continue
        one = Given(item, path, given.findings)
        if name := one.text("tool_id", "tool"):
            found.append((one.number("priority", default=NORMAL, least=-1e9, most=1e9), n, name, one.at("tool_id", "tool")))
        else:
            given.wrong(f"candidate {n + 1} names no `tool_id`", path, "{ tool_id: NAME, priority: 1 }", "W808")
    there = [(name, path) for _, _, name, path in sorted(found) if tools.knows(name)]
    missing = [(name, path) for _, _, name, path in sorted(found) if not tools.knows(name)]
    if not there:
        for name, path in missing:
            tools.refuse(name, path)
        if not found:
            given.wrong(f"the task `{shown(raw.id)}` has no candidates", given.at("candidates"), "name a tool", "W808")
        return None
    for name, path in missing:
        hint = given.findings.suggest(name, tools.names) or f"write `{tools.folder}/{shown(name)}.yaml`, or remove it"
        given.warn("W812", f"there is no tool `{shown(name)}`: this candidate is left out", path, hint)
    chain: dict[str, Definition] = {}
    for name, path in there:
        if definition := tools.find(name, path):
            chain |= {each: tool for each, tool in _chain(name, definition, tools, path).items() if each not in chain}
    return msgspec.structs.replace(raw, tools=chain) if len(chain) >= len(there) else None


def _chain(name: str, tool: Definition, tools: Tools, path: Path) -> dict[str, Definition]:
    """A tool, and what it falls back to."""
    chain = {name: tool}
    while (name := tool.get("fallback_tool", "")) and name not in chain:
        if not tools.knows(name):
            tools.refuse(name, path, f", to which `{shown(list(chain)[-1])}` falls back")
            break
        found = tools.find(name, path)
        if not found:
            break
        chain[name] = tool = found
    return chain


class Ask(msgspec.Struct, frozen=True):
    """What a step asks of whatever it runs. `mapping`: its inputs; `names`: the same for its prompt; `data`: its inputs, or else
    what the steps before gave; `checks`: what is asked of the result."""

    prompt: Parts
    mapping: dict[str, Value]
    names: dict[str, Parts]
    data: dict[str, Value]
    checks: dict[str, Value]
    timeout_s: float


Lowered: TypeAlias = tuple[Action, dict[str, Value]]


class Steps:
    """Lowers the steps of one workflow. `flow` gives the workflow of a step that has one; `normal` is the priority of a step that
    names none."""

    def __init__(
        self,
        references: References,
        tools: Tools,
        folder: str,
        flow: Callable[[Raw, dict[str, Value]], Workflow | None],
        normal: int,
    ) -> None:
        self.references, self.tools, self.folder, self._flow, self._normal = references, tools, folder, flow, normal

    def lower(self, raw: Raw, depends_on: list[str], *, runs: bool) -> list[Step]:
        """The step and its fallbacks, without the needs that follow from the order of the file. Empty if something is wrong.

        Not `runs`: what it would run is not there, which has been reported; the rest is looked at all the same."""
        given = raw.given
        given.check_keys(KEYS, "a step")
        mapping, names = self._mapping(given)
        ask = Ask(
            prompt=self._prompt(raw, mapping, names, depends_on),
            mapping=mapping,
            names=names,
            data=mapping or {id_: f"${{{{ steps[{json.dumps(id_)}].output }}}}" for id_ in depends_on},
            checks=self._checks(given),
            timeout_s=float(given.number("timeout", default=TIMEOUT_S, least=0.001, most=DURATION_MAX_S)),
        )
        made: list[tuple[Action, dict[str, Value], float]] = []
        if not runs:
            pass
        elif raw.tools and not any(tool["type"] == "workflow" for tool in raw.tools.values()):
            for name, tool in raw.tools.items():
                timeout_s = ask.timeout_s if given.has("timeout") else float(tool.get("timeout", TIMEOUT_S))
                made.append((*self._tool(name, {**tool, "timeout": timeout_s}, raw, ask), timeout_s))
        elif (lowered := self._other(raw, ask)) is not None:
            made.append((*lowered, ask.timeout_s))
        if any(isinstance(action, Flow) for action, _, _ in made):
            self._check_flow(given, ask)
        title = given.text("description") or given.text("role") or given.text(*NAMES)
        ids = [raw.id + "/fallback" * n for n in range(len(made))]
        retry, priority = self._retry(raw), self._priority(given)
        return [
            Step(
                id=id_,
                action=action,
                inputs=inputs,
                output="json",
                on_error="isolate" if n else "continue" if self._goes_on(given) else "stop",
                retry=Retry() if isinstance(action, Flow) else retry,
                priority=0 if isinstance(action, Flow) else priority,
                timeout_s=None if isinstance(action, Flow) else timeout_s,
                title=title,
                role="fallback" if n else "step",
                fallback=ids[n + 1] if n + 1 < len(ids) else "",
            )
            for n, (id_, (action, inputs, timeout_s)) in enumerate(zip(ids, made, strict=True))
        ]

    # ---- what it gets ----

    def _mapping(self, given: Given) -> tuple[dict[str, Value], dict[str, Parts]]:
        """The inputs of a step as data, and as what stands for `{name}` in its prompt."""
        values: dict[str, Value] = {}
        names: dict[str, Parts] = {}
        for key in MAPPINGS:
            found = given.fields.get(key)
            if isinstance(found, str):
                found = {key: found}
                at: Path = given.path
            else:
                found, at = given.mapping(key), (*given.path, key)
            for name, value in found.items():
                path = (*at, name)
                values[name] = self.references.value(value, path)
                text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
                names[name] = self.references.parts(text, path) if isinstance(value, str) else self.references.quietly(text, path)
        source = given.fields.get("input_from_step")
        sources = [source] if isinstance(source, str) else given.texts("input_from_step")
        for name in sources:
            paths = self.references.dotted(f"steps.{name}", given.at("input_from_step"))
            if paths:
                key = "input" if len(sources) == 1 else name
                values[key], names[key] = template([Hole(paths[0])]), [Hole(paths[0])]
        return values, names

    def _prompt(self, raw: Raw, mapping: Mapping[str, Value], names: dict[str, Parts], depends_on: list[str]) -> Parts:
        """What the tool is asked: the template; the input `prompt`; or the task, followed by what the steps before gave."""
        given = raw.given
        if text := given.text("prompt_template"):
            return self.references.parts(text, given.at("prompt_template"), names)
        if "prompt" in mapping:
            return names["prompt"]
        task = given.text("task_for_node") or given.text("description") or given.text("role")
        parts: Parts = [task]
        if mapping and list(mapping) == ["input"]:
            parts += [": "] * bool(task) + names["input"]
        elif not mapping and len(depends_on) == 1:
            parts += [": ", Hole(f"steps[{json.dumps(depends_on[0])}].output")]
        elif not mapping:
            for id_ in depends_on:
                parts += [f"\n\n{id_}: ", Hole(f"steps[{json.dumps(id_)}].output")]
        elif list(mapping) == given.fields.get("input_from_step"):
            for id_ in mapping:
                parts += [f"\n\n{id_}: ", *names[id_]]
        return parts

    def _checks(self, given: Given) -> dict[str, Value]:
        """What is asked of the result."""
        checks: dict[str, Value] = {}
        if given.has("repeat"):
            checks["repeat"] = given.number("repeat", default=1, least=1, most=REPEAT_MAX, whole=True)
        expected = given.fields.get("expects_exception")
        if isinstance(expected, bool | str):
            checks |= {"expects_exception": expected} if expected else {}
        elif expected is not None:
            what = f"`expects_exception` is {described(expected)}, where true or the name of an exception must be"
            given.wrong(what, given.at("expects_exception"))
        if given.has("validation"):
            rule = given.inner("validation")
            rule.check_keys(("required", "success_field", "error_action"), "`validation`")
            checks["validation"] = {"required": rule.flag("required")}
            if field := rule.text("success_field"):
                checks["validation"]["success_field"] = field
        return checks

    def _check_flow(self, given: Given, ask: Ask) -> None:
        """Report what is asked of a workflow, and can only be asked of the steps in it."""
        for key in ("timeout", "priority", *["retry_on_failure"] * given.flag("retry_on_failure")):
            if given.has(key):
                hint = "give it to the steps of that workflow"
                given.warn("W812", f"`{key}` says nothing about a step that runs a workflow", given.at(key), hint, key=True)
        for key, check in ask.checks.items():
            if key != "validation" or "success_field" in check:
                hint = "ask it of the last step of that workflow"
                given.wrong(f"`{key}` cannot be asked of a step that runs a workflow", given.at(key), hint, "W808")

    def _goes_on(self, given: Given) -> bool:
        """Whether the run goes on when the step fails: its validation may say so."""
        rule = given.inner("validation")
        action = rule.text("error_action", default="fail")
        if action not in ("fail", "stop", "abort", "continue", "warn", "skip", "ignore"):
            hint = "it is `fail`, or `continue` if the run shall go on"
            rule.wrong(f"there is no `error_action: {shown(action)}`", rule.at("error_action"), hint)
        return action in ("continue", "warn", "skip", "ignore")

    def _retry(self, raw: Raw) -> Retry:
        given = raw.given
        tool = next(iter(raw.tools.values()), {})
        times = given.number("max_retries", default=3, least=0, most=RETRY_TIMES_MAX, whole=True)
        if given.flag("retry_on_failure"):
            return Retry(times=times)
        return Retry(times=tool["retries"]) if "retries" in tool else Retry()

    def _priority(self, given: Given) -> int:
        """Lower numbers come first there, higher ones here."""
        value = given.fields.get("priority")
        if value is None:
            return self._normal
        if isinstance(value, str) and value.lower() in PRIORITIES:
            return -PRIORITIES[value.lower()]
        if type(value) is not int or abs(value) > 1_000_000:
            hint = "it is CRITICAL, HIGH, NORMAL, LOW, BACKGROUND, or a number, of which lower ones come first"
            given.wrong(f"there is no priority `{shown(str(value))}`", given.at("priority"), hint)
            return 0
        return -value

    # ---- what it runs ----

    def _tool(self, name: str, tool: Definition, raw: Raw, ask: Ask) -> Lowered:
        given = ask.mapping
        if tool["type"] == "llm":
            beside = {} if raw.given.has("prompt_template") else _without_prompt(ask.mapping)
            if "endpoint" not in tool and not ask.checks:
                text = ask.prompt
                if own := tool.get("prompt_template"):
                    text = self.references.parts(own, raw.given.at(*NAMES), {**ask.names, "prompt": ask.prompt})
                model, system = provider_of(tool.get("model", "")), plain(tool.get("system_prompt", ""))
                agent = Agent(prompt=template(text), model=model, system=system, temperature=tool.get("temperature"))
                return agent, {} if own else beside
            given = given if "prompt_template" in tool else beside
        else:
            given = ask.data
        called = {name: {key: value for key, value in tool.items() if key not in ("fallback_tool", "retries")}}
        if tool["type"] == "python":
            called = {**self.tools.callable(tool.get("source_code")), **called}
        return _runtime({"tool": name, "tools": called}, given, ask)

    def _other(self, raw: Raw, ask: Ask) -> Lowered | None:
        """What a step runs that names no tool, or one that is a workflow."""
        given = raw.given
        if code := given.text("code"):
            if error := python_error(code):
                given.wrong(f"the code of the step `{shown(raw.id)}` cannot be read: {error}", given.at("code"), code="W810")
                return None
            return _runtime({"code": code, "tools": self.tools.callable(code)}, ask.data, ask)
        if raw.function:
            folder = self.tools.module(raw.function.partition(":")[0]) or self.folder
            task = {"function": raw.function, "folder": folder, "tools": self.tools.callable(None)}
            return _runtime(task, ask.mapping, ask)
        if path := given.text("tool_path"):
            tool = {"type": "python", "path": join(self.folder, path), "timeout": ask.timeout_s}
            return _runtime({"tool": raw.id, "tools": {**self.tools.callable(None), raw.id: tool}}, ask.data, ask)
        if raw.tools or given.has("workflow_path") or given.has("workflow_spec"):
            workflow = self._flow(raw, ask.mapping)
            return (Flow(workflow), ask.mapping) if workflow else None
        if not any(isinstance(part, Hole) or part.strip() for part in ask.prompt):
            hint = "add `tool`, `code`, `prompt_template` or a `description`"
            given.wrong(f"the step `{shown(raw.id)}` says nothing of what is to be done", given.path, hint, "W808")
            return None
        beside = {} if given.has("prompt_template") else _without_prompt(ask.mapping)
        if ask.checks:
            return _runtime({"tool": "llm", "tools": {"llm": {"type": "llm", "timeout": ask.timeout_s}}}, beside, ask)
        return Agent(prompt=template(ask.prompt)), beside


def _without_prompt(mapping: dict[str, Value]) -> dict[str, Value]:
    """The inputs that are not a part of the prompt already."""
    return {name: value for name, value in mapping.items() if name not in ("prompt", "input")}


def _runtime(task: dict[str, Any], data: dict[str, Value], ask: Ask) -> Lowered:
    """A call of the runtime. What is asked is data, too."""
    return Python(target=RUNTIME), {"task": plain({**task, **ask.checks}), "given": data, "prompt": template(ask.prompt)}
