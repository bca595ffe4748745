"""YAML workflows: `steps` with id, name, type, config, dependsOn, condition, continueOnError, parallel; templates and instances.

- Steps run side by side, four at once unless the file says otherwise, each as soon as what it depends on is done. What it refers
  to in `{{ }}` it depends on, written or not.
- `{{ }}` is parsed here, and evaluated where the step runs; see `ghyaml_steps` and `weft.guests.ghccli`.
- A fragment without `name` and `version` is taken, with a warning.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from weft.formats.document import Document, Findings, Path, Where
from weft.formats.flows import Sources
from weft.formats.ghyaml_actions import AgentFile, Around, Limits, decision, is_inside, make, result_of
from weft.formats.ghyaml_expression import CHARS_MAX, Node
from weft.formats.ghyaml_lowering import Known, Names
from weft.formats.ghyaml_policies import (
    GATE,
    NO_LIMITS,
    before,
    check_step_retries,
    condition_of,
    first_cycle,
    may_skip,
    name_conditions,
    on_error_of,
    read_pools,
    retry_of,
    unused,
)
from weft.formats.ghyaml_reading import NEED_KEYS, Reading
from weft.formats.ghyaml_steps import TYPES, Config, ConfigReader, condition_node, environment, references
from weft.formats.ghyaml_templates import ENDINGS, FOLDERS, INSTANCE_KEYS, Bound, Template, is_instance, is_template, read_given
from weft.formats.shapes import described, quoted
from weft.model.tokens import shown
from weft.model.workflow import Breaker, Input, OnError, Pool, Step, Value, Workflow

MAX_PARALLEL: Final = 4
"""What is documented when nothing else is given."""
SYSTEM: Final = "a YAML workflow"
WORDS: Final = {
    "name": "`name`",
    "description": "`description`",
    "timeout": "`timeout`, which counts milliseconds there",
    "steps": "`steps`",
    "inputs": "the variables that its texts speak of: `{{variables.x}}`",
    "outputs": "what each step leaves behind",
    "resources": "`parallel.resources`, and `parallel.resource` of a step",
    "max_parallel": "`parallel.defaultMaxConcurrency`, which is 4 unless it says otherwise; of a step `parallel.maxConcurrency`",
    "schedule": "`parallel.enabled: false`",
    "needs": "`dependsOn`, what is referred to in `{{ }}`, and the conditions that trigger the step",
    "if": "`condition`, and what conditions trigger the step",
    "on_error": "`isolateErrors` and `continueOnError`; without them a failure stops everything",
    "retry": "`retryOptions`",
    "python": "what a script or a condition does: code of weft that gets its `config` and the values it speaks of",
    "with": "`config`, with `{{ }}` as trees (`e` is an expression), and what it may refer to",
    "agent": "`config` and the file of the agent",
    "http": "`config`",
    "sleep": "`duration` and `unit`",
    "flow": "an agent or a request whose texts must be evaluated first",
    "title": "`name` of the step",
}
"""What each key of ours was made of, for `weft import`."""
WORKFLOW_KEYS: Final = (
    *("name", "version", "description", "timeout", "env", "metadata", "steps", "parallel", "variables", "retryOptions"),
    *("id", "author", "tags", "$schema"),
)
STEP_KEYS: Final = (
    *("id", "name", "type", "config", *NEED_KEYS, "condition", "continueOnError", "parallel", "timeout", "retryOptions"),
    *("description", "metadata"),
)
WORKFLOW_FIELDS: Final = ("id", "name", "currentStepId", "startTime", "executionTime")
"""What `{{workflow.…}}` knows."""
PARALLEL_KEYS: Final = ("enabled", "maxConcurrency", "defaultMaxConcurrency", "resources")
STEP_PARALLEL_KEYS: Final = ("enabled", "maxConcurrency", "resource", "isolateErrors")
_EXAMPLE: Final = "{ id: hello, name: Hello, type: script, config: { command: date } }"
_ID = re.compile(r"[a-zA-Z0-9_-]{1,128}")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
ALONE: Final = "alone"
"""The pool of which a step that may not run beside others takes all, and each other step one."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is to be read: the unit of a bare timeout; what the command line gives (None: it was not asked); and the
    environment, which conditions may look at."""

    timeout_unit: str = "ms"
    given: Mapping[str, str] | None = None
    variables: Mapping[str, str] = {}


def recognises(value: Value) -> bool:
    """Whether this looks like such a workflow, a template of one, or an instance."""
    if is_template(value) or is_instance(value):
        return True
    steps = value.get("steps") if isinstance(value, dict) else None
    if isinstance(steps, dict):  # a mistake in a file of this system, which knows its cure
        return any(isinstance(item, dict) and "type" in item and "config" in item for item in steps.values())
    if not isinstance(steps, list):
        return False
    if not steps:
        return "version" in value or "parallel" in value
    items = [item for item in steps if isinstance(item, dict)]
    ours = [item for item in items if sum(key in item for key in ("id", "type", "config")) > 1]
    return bool(ours) and not any("step_id" in item for item in items)


def load(document: Document, findings: Findings, name: str, sources: Sources, asked: Asked) -> Workflow | None:
    """The workflow, if there is no error."""
    reading = Reading(findings, asked.timeout_unit)
    if not isinstance(document.value, dict):
        reading.wrong(f"the file is {described(document.value)}, where a mapping with `steps` must be", ())
        return None
    if is_instance(document.value):
        return _instance(document, reading, name, sources, asked)
    if is_template(document.value):
        template = Template(document, reading, lambda id_: sources.document(_files(id_)), name, alone=True)
        given = read_given(asked.given) if asked.given is not None else None
        bound = template.bind(given, Where(("parameters",)), reading)
        return _bound(bound, reading, name, sources, asked)
    return _Loader(document.value, (), reading, sources, asked).load(name)


def _bound(bound: Bound | None, reading: Reading, name: str, sources: Sources, asked: Asked) -> Workflow | None:
    if bound is None:
        return None
    reading.parameters = bound.parameters
    return _Loader(bound.workflow, bound.path, reading, sources, asked).load(name)


def _files(id_: str) -> list[str]:
    return [f"{folder}{id_}{ending}" for folder in FOLDERS for ending in ENDINGS] if _ID.fullmatch(id_) else []


def _instance(document: Document, reading: Reading, name: str, sources: Sources, asked: Asked) -> Workflow | None:
    value = document.value
    reading.check_keys(value, INSTANCE_KEYS, (), "an instance of a template")
    id_ = reading.text(value, "templateId", ())
    given = reading.mapping(value.get("parameters"), ("parameters",))
    overrides = reading.mapping(value.get("overrides"), ("overrides",))
    if not id_:
        return None
    found = sources.document(_files(id_))
    if found is None or not is_template(found[0].value):
        what = f"there is no template `{shown(id_)}`" if found is None else f"`{found[1]}` is no template"
        hint = f"it is looked for beside this file: {quoted([f'{id_}.yaml', f'templates/{id_}.yaml'])}"
        reading.wrong(what, ("templateId",), hint, "W912")
        return None
    inner, file = found
    inner_findings = Findings()
    inner_reading = Reading(inner_findings, asked.timeout_unit)
    if title := reading.text(value, "name", ()):
        overrides = {"name": title, **overrides}
    template = Template(inner, inner_reading, lambda id_: sources.document(_files(id_)), file)
    bound = template.bind(given, Where(("parameters",)), reading, overrides)
    workflow = _bound(bound, inner_reading, name, sources, asked)
    sources.problems += inner_findings.problems(inner)
    return workflow if not reading.findings else None


def step_path(document: Document, step: str) -> Path:
    """The path of a step in the document; of an instance, of what it is an instance of."""
    value = document.value
    root: Path = ("template",) if is_template(value) else ()
    steps = value.get("template", {}).get("steps") if root else value.get("steps")
    for n, item in enumerate(steps if isinstance(steps, list) else ()):
        if isinstance(item, dict) and item.get("id") == step.partition("/")[0]:
            return (*root, "steps", n)
    return (*root, "steps") if steps else ("extends",) if root else ("templateId",)


class _Read(msgspec.Struct, kw_only=True):
    """One step as it was read."""

    id: str
    path: Path
    fields: dict[str, Value]
    parallel: dict[str, Value]
    config: Config
    needs: dict[str, Path] = {}
    """What it depends on, written first, and where that is said."""
    condition: Node | None = None
    gates: list[tuple[str, bool]] = []
    """The conditions that trigger it, and by what."""
    limits: Limits = NO_LIMITS
    on_error: OnError = "stop"
    title: str = ""
    breaker: Breaker | None = None
    """What holds back its attempts, if none of its pools does."""
    alone: bool = False
    """It may not run beside others."""
    agent: AgentFile = AgentFile()


class _Loader:
    def __init__(self, workflow: Mapping[str, Value], path: Path, reading: Reading, sources: Sources, asked: Asked) -> None:
        self.workflow, self.path, self.reading, self.sources, self.asked = workflow, path, reading, sources, asked
        self.findings = reading.findings
        self.parallel = reading.mapping(workflow.get("parallel"), (*path, "parallel"), "parallel: { enabled: true }")
        self.variables: dict[str, Value] = reading.mapping(workflow.get("variables"), (*path, "variables"))
        for name, value in self.variables.items():
            if isinstance(value, str) and "{{" in value and reading.parameters is None:
                hint = "write it where the variable is used"
                reading.warn("W907", "`{{ }}` is text in `variables`", Where((*path, "variables", name)), hint)
        self.used: dict[str, None] = {}
        self.pools: dict[str, Pool] = {}
        self.agents: dict[str, AgentFile] = {}
        self.outputs: dict[str, Value] = {}
        env = ConfigReader(reading, "script", {}, path)
        self.env, self.env_nodes = environment(env, workflow.get("env"), "env"), env.config.nodes

    def load(self, name: str) -> Workflow | None:
        title = self._head() or PurePath(name).name.split(".")[0] or "workflow"
        if self.asked.given is not None:
            self.used = dict.fromkeys([*self.asked.given])
        self.pools = read_pools(self.reading, self.parallel.get("resources"), self.workflow.get("retryOptions"), self.path)
        enabled = self.reading.flag(self.parallel, "enabled", (*self.path, "parallel"))
        timeout_s = self.reading.timeout_s(self.workflow, self.path)
        description = self.reading.text(self.workflow, "description", self.path)
        read = self._steps()
        self._gate(read)
        ids = {step.id for step in read}
        check_step_retries(self.reading, self.workflow.get("retryOptions"), ids, self.path)
        for step in read:
            self._refer(step, ids)
        for step in read:
            self._settle(step)
        self._report_cycle(read)
        if self.findings:
            return None
        steps = self._made(read)
        if self.findings:
            return None
        defaults = {name: Input(default=value) for name, value in self.variables.items()}
        return Workflow(
            name=title,
            description=description,
            steps=tuple(steps),
            inputs={**{name: Input() for name in self.used}, **defaults},
            outputs=self.outputs,
            resources=self.pools,
            max_parallel=self.max_parallel,
            schedule="sequential" if enabled is False else "dataflow",
            first_layer=1,
            timeout_s=timeout_s,
            report="ghccli",
        )

    # ---- the workflow ----

    def _head(self) -> str:
        """The name; what makes a whole workflow is missed with a warning."""
        self.reading.check_keys(self.workflow, WORKFLOW_KEYS, self.path, "a workflow")
        self.reading.check_keys(self.parallel, PARALLEL_KEYS, (*self.path, "parallel"), "`parallel` of a workflow")
        missing = [key for key in ("name", "version") if key not in self.workflow]
        if missing:
            words = " and ".join(f"`{key}`" for key in missing)
            hint = "a whole one begins with `name: My Workflow` and `version: 1.0.0`"
            self.reading.warn("W901", f"this is a fragment: the workflow has no {words}", Where(self.path), hint)
        version = self.workflow.get("version")
        if version is not None and not (isinstance(version, str) and _VERSION.fullmatch(version)):
            shown_version = f"`{shown(version)}`" if isinstance(version, str) else described(version)
            self.reading.wrong(
                f"`version` is {shown_version}, where three numbers must be", (*self.path, "version"), "version: 1.0.0"
            )
        self.reading.mapping(self.workflow.get("metadata"), (*self.path, "metadata"))
        at = (*self.path, "parallel")
        wanted = [self.reading.count(self.parallel, key, at) for key in ("maxConcurrency", "defaultMaxConcurrency")]
        self.max_parallel = wanted[0] or wanted[1] or MAX_PARALLEL
        return self.reading.text(self.workflow, "name", self.path)

    def _steps(self) -> list[_Read]:
        given, at = self.workflow.get("steps"), (*self.path, "steps")
        if not isinstance(given, list) or not given:
            what = f"`steps` is {described(given)}, where a list must be" if given else "the workflow has no steps"
            self.reading.wrong(what, at if given else self.path, f"steps: [{_EXAMPLE}]")
            return []
        found: dict[str, _Read] = {}
        for n, item in enumerate(given):
            if (step := self._step(item, (*at, n))) is None:
                continue
            if step.id in found:
                seconds = [(Where((*found[step.id].path, "id")), "first here")]
                message, hint = f"the step `{shown(step.id)}` is given twice", "give one of them another id"
                self.findings.add("W914", message, Where((*step.path, "id")), seconds=seconds, hint=hint)
            else:
                found[step.id] = step
        return list(found.values())

    def _step(self, item: Value, path: Path) -> _Read | None:
        if not isinstance(item, dict):
            self.reading.wrong(f"this step is {described(item)}, where a mapping must be", path, f"- {_EXAMPLE}")
            return None
        self.reading.check_keys(item, STEP_KEYS, path, "a step")
        id_ = self.reading.text(item, "id", path)
        if "id" not in item:
            self.reading.wrong("this step has no `id`", path, "id: build")
        elif id_ and not _ID.fullmatch(id_):
            hint = "an id has letters, digits, `_` and `-`, at most 128 of them"
            self.reading.wrong(f"`{shown(id_)}` cannot be the id of a step", (*path, "id"), hint)
            id_ = ""
        written = self.reading.text(item, "type", path)
        if "type" not in item:
            self.reading.wrong("this step has no `type`", path, "type: script", "W906")
        elif written and written not in TYPES:
            hint = self.findings.suggest(written, TYPES) or f"it is one of {quoted(TYPES, 10)}"
            self.reading.wrong(f"there is no type of step `{shown(written)}`", (*path, "type"), hint, "W906")
        if not id_ or written not in TYPES:
            return None
        at = (*path, "config")
        if not isinstance(item.get("config"), dict):
            given = item.get("config")
            what = f"`config` of the step `{id_}` is {described(given)}, where a mapping must be"
            message = what if given is not None else f"the step `{id_}` has no `config`"
            self.reading.wrong(message, path if given is None else at, "config: { command: npm }")
        fields = item["config"] if isinstance(item.get("config"), dict) else {}
        config = ConfigReader(self.reading, TYPES[written], fields, at).read() if fields else Config(type=TYPES[written])
        parallel = self.reading.mapping(item.get("parallel"), (*path, "parallel"), "parallel: { enabled: true }")
        self.reading.check_keys(parallel, STEP_PARALLEL_KEYS, (*path, "parallel"), "`parallel` of a step")
        step = _Read(id=id_, path=path, fields=item, parallel=parallel, config=config, needs={}, gates=[])
        for key in NEED_KEYS:
            for need, where in self.reading.texts(item.get(key), (*path, key), "the id of a step"):
                step.needs.setdefault(need, where)
        if item.get("condition") is not None and (text := self.reading.text(item, "condition", path)):
            step.condition = condition_node(self.reading, text, (*path, "condition"))
        return step

    # ---- what steps have to do with each other ----

    def _gate(self, read: list[_Read]) -> None:
        """Steps that conditions trigger depend on them."""
        steps = {step.id: step for step in read}
        for step in read:
            for yes, triggered in step.config.triggers.items():
                for id_, path in triggered:
                    if id_ not in steps:
                        message = f"there is no step `{shown(id_)}` to trigger"
                        self.reading.warn(
                            "W909", message, Where(path), self.findings.suggest(id_, steps) or "add it, or remove this"
                        )
                        continue
                    steps[id_].gates.append((step.id, yes))
                    steps[id_].needs.setdefault(step.id, path)

    def _refer(self, step: _Read, ids: Iterable[str]) -> None:
        """Look up what a step needs and what its expressions speak of."""
        for need, path in list(step.needs.items()):
            if need == step.id:
                self.reading.wrong(f"the step `{need}` depends on itself", path, "remove it", "W908")
            elif need not in ids:
                hint = self.findings.suggest(need, ids) or f"there is {quoted(sorted(ids))}"
                self.reading.wrong(f"there is no step `{shown(need)}` (`{step.id}` depends on it)", path, hint, "W904")
        conditions = [(step.condition, (*step.path, "condition"))] if step.condition else []
        nodes = [*step.config.nodes, *conditions, *self.env_nodes]
        for node, _ in nodes:
            name_conditions(node, ids)
        for root, keys, path in references(nodes):
            self._reference(step, root, keys, path, ids)

    def _reference(self, step: _Read, root: str, keys: list[Any], path: Path, ids: Iterable[str]) -> None:
        if root == "variables" and keys:
            self.used.setdefault(str(keys[0]))
            self._report_hyphen(str(keys[0]), path)
            if keys[0] in ids and len(keys) > 1:
                hint = f"write `steps.{keys[0]}.{keys[1]}`"
                message = f"`{shown(str(keys[0]))}` is read as a variable, but there is a step of this name"
                self.reading.warn("W904", message, Where(path), hint)
        if root == "parameters" and self.reading.parameters is None:
            self.reading.wrong("`parameters` are those of a template, and this is none", path, "use `variables`", "W912")
        elif root == "parameters" and keys and keys[0] not in (self.reading.parameters or {}):
            known = self.reading.parameters or {}
            hint = self.findings.suggest(str(keys[0]), known) or (f"it has {quoted(known)}" if known else "declare it there")
            self.reading.wrong(f"the template has no parameter `{shown(str(keys[0]))}`", path, hint, "W912")
        if root == "workflow" and str(keys[0] if keys else "") not in WORKFLOW_FIELDS:
            message = f"`workflow` has no `{shown(str(keys[0]))}`" if keys else "`workflow` is used without saying what of it"
            self.reading.warn("W907", f"{message}: this is the empty text", Where(path), f"it has {quoted(WORKFLOW_FIELDS)}")
        if root != "steps" or not keys:
            return
        if keys[0] == step.id:
            self.reading.wrong(f"the step `{step.id}` refers to itself", path, "a step sees those before it", "W908")
        elif keys[0] not in ids:
            hint = self.findings.suggest(str(keys[0]), ids) or f"there is {quoted(sorted(ids))}"
            self.reading.wrong(f"there is no step `{shown(str(keys[0]))}`", path, hint, "W904")
        else:
            step.needs.setdefault(str(keys[0]), path)

    def _report_hyphen(self, name: str, path: Path) -> None:
        """`n-1` is the name of a variable; where there is `n`, it was meant to be less."""
        given, (left, sign, right) = {*self.variables, *(self.asked.given or ())}, name.rpartition("-")
        if sign and name not in given and left in given and (right.isdecimal() or right in given):
            message = f"`{shown(name)}` is read as the name of one variable"
            self.reading.warn("W907", message, Where(path), f"write `{shown(left)} - {shown(right)}` for a difference")

    def _report_cycle(self, read: list[_Read]) -> None:
        cycle = first_cycle({step.id: [need for need in step.needs if need != step.id] for step in read})
        if not cycle:
            return
        paths = {step.id: step.needs for step in read}
        edges = list(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
        seconds = [(Where(paths[id_][need]), f"`{id_}` depends on `{need}`") for id_, need in edges[1:20]]
        message = f"Circular dependency detected: {' → '.join([*cycle, cycle[0]])}"
        self.findings.add("W908", message, Where(paths[edges[0][0]][edges[0][1]]), seconds=seconds, hint="remove one of them")

    # ---- steps of weft ----

    def _settle(self, step: _Read) -> None:
        """Read what bounds the step and what its failure means."""
        at = (*step.path, "parallel")
        resources, sizes = dict[str, int](), self.parallel.get("resources")
        sizes = sizes if isinstance(sizes, dict) else {}
        for pool, path in self.reading.texts(step.parallel.get("resource"), (*at, "resource"), "the name of a pool"):
            if pool not in self.pools and pool not in sizes:  # a wrong size has been reported
                hint = (
                    self.findings.suggest(pool, self.pools) or f"define it: `parallel: {{ resources: {{ {shown(pool)}: 1 }} }}`"
                )
                message = f"the step `{step.id}` uses the pool `{shown(pool)}`, which the workflow does not define"
                self.reading.wrong(message, path, hint, "W905")
            resources[pool] = 1
        own = self.reading.timeout_s(step.fields, step.path)
        retries = self.workflow.get("retryOptions")
        retry, step.breaker = retry_of(self.reading, retries, step.fields, step.config, step.path, self.path)
        step.limits = Limits(
            timeout_s=own or step.config.timeout_s,
            retry=retry,
            resources=resources,
            max_parallel=self.reading.count(step.parallel, "maxConcurrency", at),
        )
        step.on_error = on_error_of(self.reading, step.fields, step.parallel, step.path)
        step.title = self.reading.text(step.fields, "name", step.path)
        step.alone = self.reading.flag(step.parallel, "enabled", at) is False
        if step.config.type == "agent" and step.config.plain:
            step.agent = self._agent(step)

    def _made(self, read: list[_Read]) -> list[Step]:
        """The steps of weft, once nothing is wrong with any."""
        parameters = self.reading.parameters or {}
        known = {step.id: Known(type=step.config.type, agent=step.config.plain.get("agent", "")) for step in read}
        for step in read:
            names = Names(steps=known, parameters=parameters, env=None, step=step.id)
            known[step.id] = replace(known[step.id], inside=is_inside(step.config, names))
        around = Around(known=known, parameters=parameters, env=self.env, pools=self.pools)
        alone = unused(ALONE, self.pools)
        if len(read) > 1 and any(step.alone for step in read):
            self.pools[alone] = Pool(slots=len(read))
            for step in read:
                step.limits.resources[alone] = len(read) if step.alone else 1
        for step in read:
            if step.breaker and not any(self.pools[pool].breaker for pool in step.limits.resources):
                circuit = unused(f"circuit-{step.id[:100]}", self.pools)
                self.pools[circuit] = Pool(breaker=step.breaker)
                step.limits.resources[circuit] = 1
        self.outputs = {step.id: result_of(step.id, known[step.id]) for step in read}
        needs = {step.id: list(step.needs) for step in read}
        skips = may_skip(needs, [step.id for step in read if step.condition or step.gates])
        forgiven = {step.id for step in read if step.id in skips and step.on_error in ("continue", "stop_layer")}
        env = {**self.asked.variables, **{name: value for name, value in self.env.items() if isinstance(value, str)}}
        made, taken = list[Step](), set(known)
        for step in read:
            names, told = Names(steps=known, parameters=parameters, env=env, step=step.id), before(step.id, needs)
            holds, decider = [need for need in step.needs if need in forgiven], unused(f"{step.id[:100]}-condition", taken)
            decided = condition_of(step.condition, step.gates, list(step.needs), holds, names, decider)
            if len(decided.condition) > CHARS_MAX:
                hint = "let a step of type `delay` depend on them, and this one on that"
                message = f"the step `{step.id}` depends on too many steps, {len(step.needs)}, to ask how they ended"
                self.reading.wrong(message, step.path, hint, "W907")
            base = Step(
                id=step.id,
                action=GATE,
                needs=tuple(step.needs),
                condition=decided.condition,
                on_error=step.on_error,
                title=step.title,
            )
            if step.condition is not None and decided.before is not None:
                first = decision(base, step.condition, around, told)
                taken.add(decider)
                beside = {alone: 1} if alone in self.pools else {}
                first = replace(first, id=decider, condition=decided.before, resources=beside, title=f"condition of {step.id}")
                made.append(first)
                base = replace(base, needs=(*base.needs, decider))
            made.append(make(step.config, base, step.limits, around, step.agent, told))
        return made

    def _agent(self, step: _Read) -> AgentFile:
        from weft.formats.ghyaml_agent import read_agent

        name, path = step.config.plain["agent"], (*step.path, "config", "agent")
        if name not in self.agents:
            self.agents[name] = read_agent(name, path, self.reading, self.sources)
        return self.agents[name]
