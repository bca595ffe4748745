"""The nouns of a definition: Workflow, Step, Action, Pool, Retry. Immutable, and serialisable as they stand.

Data fields keep their `${{ }}` texts; `template.resolve` turns them into values when a step is about to start.
Every name of a need, pool or input in here exists: the loaders of `formats/` refuse a file in which one does not.
"""

from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias

import msgspec

from weft.model.units import format_units

Value: TypeAlias = Any
"""Anything JSON can say: null, boolean, number, string, list, mapping with text keys."""

OnError: TypeAlias = Literal["isolate", "continue", "stop", "stop_layer"]
Schedule: TypeAlias = Literal["dataflow", "layers", "sequential"]
Role: TypeAlias = Literal["step", "finally", "fallback"]
"""A `fallback` runs only when the step fails that names it, a step of `finally` when all others have settled."""
Rerun: TypeAlias = Literal["always", "ask", "never"]
OnTimeout: TypeAlias = Literal["reject", "approve", "fail"]
Durability: TypeAlias = Literal["power", "process", "none"]
InputType: TypeAlias = Literal["string", "integer", "number", "boolean", "list", "mapping", "any"]


class Shell(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="shell"):
    """`run` as text: a script for bash (`shell` names another interpreter, as an argument list that gets the script last)."""

    script: str
    shell: tuple[str, ...] = ()


class Argv(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="argv"):
    """`run` as a list: a program and its arguments, no shell. Items are data fields (they may hold `${{ }}`)."""

    argv: tuple[str, ...]


class Python(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="python"):
    """`python`: source text that defines `run`, or `target` = `module:function`. Exactly one is set."""

    code: str = ""
    target: str = ""


class Lua(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="lua"):
    """`lua`: source text that defines `run(inputs)`."""

    code: str


class Js(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="js"):
    """`js`: JavaScript source text that defines `run(inputs)`, which may return a promise."""

    code: str


class Wasm(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="wasm"):
    """`wasm`: the path of a module, a WASI command; or with `function`, one that exports it."""

    module: str
    function: str = ""
    report: bool = False
    """The output tells about the call of `function`: its status by the number that it returned, which is an error above 10."""


class Http(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="http"):
    """`http`: one request. `body` as text goes out as it is, anything else as JSON. `url`, `headers`, `query` and `body` are data
    fields. `expect`: the statuses that are a success; none: all below 400. `bearer` names the secret of an Authorization header,
    `secret_headers` maps other headers to secrets."""

    url: str
    method: str = "GET"
    headers: dict[str, Value] = {}
    query: dict[str, Value] = {}
    body: Value = None
    expect: tuple[int, ...] = ()
    redirects: bool = True
    bearer: str = ""
    secret_headers: dict[str, str] = {}


class Agent(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="agent"):
    """`agent`: one question to a language model, with the step's inputs as data beside it. `prompt`, `model` and `system` are
    data fields. `model`: `provider:name`; empty: what the environment says. `schema`: that of the answer (JSON Schema); None: it
    is a text."""

    prompt: str
    model: str = ""
    system: str = ""
    schema: dict[str, Value] | None = None
    temperature: float | None = None
    max_tokens: int | None = None


class Tool(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="tool"):
    """`tool`: a call of a tool of one of the workflow's servers. The step's `with` are its arguments."""

    server: str
    name: str


class Plugin(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="plugin"):
    """`uses`: a kind of step that an installed package brings, by its name there."""

    package: str
    name: str


class Sleep(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="sleep"):
    """`sleep`: wait so many seconds."""

    seconds: float


class Flow(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="kind", tag="flow"):
    """`flow`: a workflow of its own. Its steps join the graph under the path of the step: they know nothing outside but the
    step's `with`, which are its inputs, and the file's pools, which they share."""

    workflow: "Workflow"


ITEMS_MAX = 100_000
"""Items of one fan-out, unless the step says otherwise: more is a runaway list, or work that belongs into fewer steps."""


class Approve(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag_field="kind", tag="approve"):
    """A question to a person: as an action (`approve`), before an action (`gate`), or after a layer (`gates`).

    `message` and `show` are data fields; empty and null: what a gate of this sort says by itself. `form`: what an answer fills
    in. `on_timeout` is what silence means once `timeout_s` seconds have passed since it was asked. `answer`: a data field that
    holds the answer itself, as an agent has given it, say; then nobody is asked, and what cannot be an answer is silence.
    """

    message: str = ""
    show: Value = None
    form: dict[str, "Input"] = {}
    timeout_s: float | None = None
    on_timeout: OnTimeout = "reject"
    answer: Value = None


Action: TypeAlias = Shell | Argv | Python | Lua | Js | Wasm | Http | Agent | Tool | Plugin | Sleep | Flow | Approve

WAITING_ACTIONS: tuple[type, ...] = (Sleep, Http, Agent, Tool, Approve)
"""Actions that wait rather than compute: `max_parallel: auto` gives them a limit of their own."""


class Retry(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """`times` counts further attempts after the first. Waits grow from `delay_s` by `factor` up to `max_delay_s`.

    `when` filters by error kind (`timeout`), exit code (`exit 22`) or exception name (`ConnectionError`); empty: any failure.
    `max_elapsed_s` bounds the time from the first start of the step to the start of a further attempt.
    """

    times: int = 0
    delay_s: float = 1.0
    factor: float = 2.0
    max_delay_s: float = 60.0
    jitter: bool = True
    when: tuple[str, ...] = ()
    max_elapsed_s: float | None = None


class Step(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One node. `needs` holds the ids it waits for: those written, then those inferred from references, without repeats.

    `resources` maps pool names to weights. Times are in seconds. `inputs` is the file's `with`.
    """

    id: str
    action: Action
    needs: tuple[str, ...] = ()
    inputs: dict[str, Value] = {}
    condition: str = ""
    """The text of `if`, without `${{ }}`; empty: the default `success()`."""
    env: dict[str, str] = {}
    secrets: tuple[str, ...] = ()
    cwd: str = ""
    output: Literal["text", "json", "lines"] = "text"
    resources: dict[str, int] = {}
    max_parallel: int | None = None
    """How many attempts of it, that is of its instances, may be alive at once; None: as many as other limits allow."""
    priority: int = 0
    expect_s: float | None = None
    on_error: OnError = "isolate"
    retry: Retry = Retry()
    timeout_s: float | None = None
    deadline_s: float | None = None
    """Seconds from the first start to the end of the last attempt."""
    drain: bool = False
    """With `on_error: stop`: what runs may end."""
    gate: Approve | None = None
    """`gate: before`: what is asked before the first attempt."""
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    """State that it shares with others: a path, a glob, or any word."""
    races: Literal["", "allow"] = ""
    """`allow`: it may run at the same time as whatever touches the same state."""
    reuse: bool = False
    """It is not run if it has succeeded before with the same fingerprint."""
    versions: dict[str, str] = {}
    """What else belongs to its fingerprint, by name: versions of tools, mostly. Data fields."""
    title: str = ""
    role: Role = "step"
    fallback: str = ""
    """The step that is tried when this one would fail, and whose output then stands for its own. That of an instance is added
    to the graph when it is needed."""
    rerun: Rerun = "always"
    """What becomes of it if its engine dies while it runs. `always`: it runs again. Else it waits for a person: `ask`, who may
    let it run again; `never`, who may say that it is done."""
    for_each: Value = None
    """A list or mapping, or the template that gives one: the step is expanded into an instance for each item. None: it is not."""
    item: str = "item"
    """What the item is called in the step's data fields: the file's `as`."""
    key: str = ""
    """The template that names the instance of an item; empty: its index, or its key in the mapping."""
    matrix: bool = False
    """`for_each` holds axes: the items are all combinations."""
    items_max: int = ITEMS_MAX
    wired: str = ""
    """The fan-out whose instances these instances need, one to one; empty: there is none."""
    each_if: bool = False
    """`condition` is asked for each instance, as it refers to the item; else once, before there are any."""

    @property
    def grows(self) -> bool:
        """Whether it makes no attempts of its own, but steps."""
        return self.for_each is not None or isinstance(self.action, Flow)

    @property
    def question(self) -> Approve | None:
        """What a person is asked before this step goes on, if anything. A fan-out of questions asks nothing itself."""
        return self.action if isinstance(self.action, Approve) and not self.grows else self.gate


class Rate(msgspec.Struct, frozen=True, omit_defaults=True):
    """So many starts in a window of so many seconds."""

    starts: int
    window_s: float

    @property
    def interval_s(self) -> float:
        """Seconds from one start to the next, if they are spread evenly."""
        return self.window_s / self.starts


class Breaker(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A circuit breaker: after `failures` failed attempts in a row nothing starts for `cooldown_s`, then one attempt tries."""

    failures: int = 5
    cooldown_s: float = 60.0


FRACTIONS: Final = 1000
"""A processor or a GPU has so many units, so that steps can ask for a part of one: `cpu: 0.5` is 500."""

MACHINE_POOLS: Final = {"cpu": FRACTIONS, "mem": 1, "gpu": FRACTIONS}
"""Pools of which the machine itself says how much there is, if they are `auto`; and the units of one (`mem` counts bytes)."""


class Pool(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A named capacity: at most `slots` units are held at once, and no more attempts start than `rate` allows, of which `burst`
    may start together after a rest. None: no such limit.

    `per`: a template, evaluated for each step that takes the pool; each value of it has slots, rate and breaker of its own.
    `adaptive`: it shrinks on signs of overload, and grows back up to `slots`.
    `auto`: it has what the machine has on which an engine works (`Limits.pools`), and no `slots` here.
    `unit`: so many units make one of what people write; `is_bytes`: they are bytes.
    `scope` engine: all runs of a state folder on one machine share it.
    """

    slots: int | None = None
    rate: Rate | None = None
    burst: int = 1
    per: str = ""
    adaptive: bool = False
    breaker: Breaker | None = None
    auto: bool = False
    unit: int = 1
    is_bytes: bool = False
    scope: Literal["run", "engine"] = "run"

    @property
    def of_machine(self) -> bool:
        """Whether it stands for what the machine has. In files of other systems `cpu` is a name like any other."""
        return self.auto or self.is_bytes or self.unit > 1

    def shown(self, amount: float) -> str:
        """So many units, for people."""
        return format_units(amount, self.unit, is_bytes=self.is_bytes)


class Server(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A server of tools that speaks the Model Context Protocol: a program (`command`, with `env`), or an address (`url`, with
    `headers`). `secrets`: what the program gets in its environment. `bearer` and `secret_headers` are as in Http."""

    command: tuple[str, ...] = ()
    env: dict[str, str] = {}
    secrets: tuple[str, ...] = ()
    url: str = ""
    headers: dict[str, str] = {}
    bearer: str = ""
    secret_headers: dict[str, str] = {}
    rate: Rate | None = None
    """How often each of its tools is called."""


class Budget(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What the steps of a run may report as used before nothing new starts. `cost` has no currency. None: no bound."""

    tokens: int | None = None
    cost: float | None = None


class Input(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A typed parameter of the workflow. Without a default it must be given."""

    type: InputType = "any"
    default: Value = None
    required: bool = False
    description: str = ""
    choices: tuple[Value, ...] = ()


class Workflow(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A whole definition. `steps` is in file order, which is also the order of last resort for everything.

    `max_parallel`: a number, `auto`, `unlimited`, or `adaptive`.
    """

    name: str
    steps: tuple[Step, ...]
    description: str = ""
    inputs: dict[str, Input] = {}
    outputs: dict[str, Value] = {}
    secrets: tuple[str, ...] = ()
    env: dict[str, str] = {}
    resources: dict[str, Pool] = {}
    servers: dict[str, Server] = {}
    max_parallel: int | Literal["auto", "unlimited", "adaptive"] = "auto"
    schedule: Schedule = "dataflow"
    durability: Durability = "power"
    first_layer: int = 0
    """What the first layer is called in plans: the documents of other systems count from 1."""
    banner: tuple[str, ...] = ()
    """Lines that the system which the file was written for says at the start of a run."""
    together: str = ""
    """What that system says when steps start together, before their titles; `{count}` of them."""
    report: Literal["", "pml", "ghccli"] = ""
    """In what form stdout tells how a run left: that of the system which the file was written for; empty: its outputs."""
    timeout_s: float | None = None
    """Seconds for the whole run, not counting those in which no engine works on it."""
    budget: Budget | None = None
    gates: Approve | None = None
    """`gates: each-layer`: what is asked between a layer and the next."""

    @property
    def layered(self) -> bool:
        """Whether a layer starts only when the one before has settled."""
        return self.schedule == "layers" or self.gates is not None


def definitions(workflow: Workflow, path: str = "") -> Iterator[tuple[str, Step]]:
    """Every step of a workflow and of its sub-workflows by its path; the instances of a fan-out are one."""
    for step in workflow.steps:
        yield path + step.id, step
        if isinstance(step.action, Flow):
            yield from definitions(step.action.workflow, f"{path}{step.id}/")


def asks_people(workflow: Workflow) -> bool:
    """Whether somebody may have to answer before the run can end."""
    asked = (step.question or step.action for _, step in definitions(workflow))
    return workflow.gates is not None or any(isinstance(of, Approve) and of.answer is None for of in asked)


def fail_fast(workflow: Workflow) -> Workflow:
    """The workflow with every `on_error: isolate` turned into `stop`."""

    def strict(step: Step) -> Step:
        if isinstance(step.action, Flow):
            step = msgspec.structs.replace(step, action=Flow(fail_fast(step.action.workflow)))
        return msgspec.structs.replace(step, on_error="stop") if step.on_error == "isolate" else step

    return msgspec.structs.replace(workflow, steps=tuple(map(strict, workflow.steps)))
