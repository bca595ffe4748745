"""A workflow as the plain value that the native format would read it from: the reader turned round.

- Whatever a loader can make of a file can be written here, and is the same when it is read again; a test holds the two together.
- What follows from the rest is not written: which instances are wired to which, what is asked for each, and the pools of servers,
  whose names are none that a file can give.
- Names that the native format does not have become names that it has (see `renamed`).
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from weft.model.graph import Graph
from weft.model.shape import NAME, Either, ListOf, MapOf, Record, Shape, Text
from weft.model.spec import RECORDS
from weft.model.units import format_rate, parse_duration, parse_rate
from weft.model.workflow import (
    MACHINE_POOLS,
    Agent,
    Approve,
    Argv,
    Flow,
    Http,
    Input,
    Js,
    Lua,
    Plugin,
    Pool,
    Python,
    Rate,
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

NOT_WRITTEN: Final = {
    Workflow: ("banner", "first_layer", "report", "steps", "together"),
    Step: ("id", "action", "wired", "each_if", "role", "matrix", "item"),
}
"""What other systems show, and what stands elsewhere or follows from the rest."""

_CALLED: Final = {
    "condition": "if",
    "expect_s": "expect",
    "timeout_s": "timeout",
    "deadline_s": "deadline",
    "delay_s": "delay",
    "max_delay_s": "max_delay",
    "max_elapsed_s": "max_elapsed",
    "cooldown_s": "cooldown",
}
"""Fields whose key has another name."""

_TEXT_OUTPUT: Final = (Shell, Argv)
_HOLE: Final = re.compile(r"(?<!\$)\$\{\{.*?\}\}", re.S)
_KEY: Final = r"""\[('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\]"""
_REFERENCE: Final = re.compile(rf"steps{_KEY}(\.output(?:{_KEY})?)?")


def spelled(workflow: Workflow, bare: Workflow | None = None) -> dict[str, Value]:
    """The value of a file. Its keys stand in the order of the reference.

    `bare`: what is read if no step says what it needs. The needs that it has anyhow are not written.
    """
    if bare is not None:
        workflow = _without(workflow, bare)
    value: dict[str, Value] = _spelled(_workflow(workflow), Record("workflow"))
    return value


def needless(workflow: Workflow) -> Workflow:
    """The workflow, with no need that must be written."""
    return _without(workflow, workflow)


def _without(workflow: Workflow, bare: Workflow) -> Workflow:
    """The workflow without the needs that `bare` has."""

    def less(step: Step, known: Step) -> Step:
        if isinstance(step.action, Flow) and isinstance(known.action, Flow):
            step = msgspec.structs.replace(step, action=Flow(_without(step.action.workflow, known.action.workflow)))
        return msgspec.structs.replace(step, needs=tuple(need for need in step.needs if need not in known.needs))

    return msgspec.structs.replace(workflow, steps=tuple(map(less, workflow.steps, bare.steps)))


def comparable(workflow: Workflow) -> Workflow:
    """The workflow without what its text cannot hold, and the order of needs, which says nothing."""

    def plain(step: Step) -> Step:
        action = step.action
        if isinstance(action, Flow):
            action = Flow(comparable(action.workflow))
        output = step.output if isinstance(action, _TEXT_OUTPUT) else "json"
        return msgspec.structs.replace(step, action=action, output=output, needs=tuple(sorted(step.needs)))

    return msgspec.structs.replace(
        workflow, banner=(), together="", first_layer=0, report="", steps=tuple(map(plain, workflow.steps))
    )


def with_programs(workflow: Workflow) -> Workflow:
    """The workflow in which a server of which nothing is known is a program of its name, for somebody to correct."""

    def known(step: Step) -> Step:
        if not isinstance(step.action, Flow):
            return step
        return msgspec.structs.replace(step, action=Flow(with_programs(step.action.workflow)))

    servers = {
        name: server if server.command or server.url else msgspec.structs.replace(server, command=(name,))
        for name, server in workflow.servers.items()
    }
    return msgspec.structs.replace(workflow, servers=servers, steps=tuple(map(known, workflow.steps)))


def ordered(workflow: Workflow) -> Workflow:
    """The workflow, each step with all that it comes after as its needs: a reference to what a need needs adds nothing."""
    graph = Graph(workflow.steps)
    before: list[set[int]] = [set() for _ in workflow.steps]
    for i in graph.order:
        for need in graph.needs[i]:
            before[i] |= {need} | before[need]
    steps = [
        msgspec.structs.replace(step, needs=tuple(sorted(graph.ids[i] for i in above)))
        for step, above in zip(workflow.steps, before, strict=True)
    ]
    return msgspec.structs.replace(workflow, steps=tuple(steps))


def renamed(workflow: Workflow) -> tuple[Workflow, dict[str, str]]:
    """The workflow with names that steps, outputs and pools can have in the native format, and the new name of each that has one;
    of what is in a sub-workflow by its path."""
    pools = {name: f"{name}_slots" for name, pool in workflow.resources.items() if name in MACHINE_POOLS and not pool.of_machine}
    plain, names = _renamed(workflow)
    return _with_pools(plain, pools), {**pools, **names}


def _renamed(workflow: Workflow) -> tuple[Workflow, dict[str, str]]:
    """The same without the pools."""
    names = _fitting([step.id for step in workflow.steps])
    outputs = _fitting(list(workflow.outputs))
    flows = {step.id: step.action.workflow for step in workflow.steps if isinstance(step.action, Flow)}
    inside = {id_: _renamed(flow) for id_, flow in flows.items()}
    results = {id_: _fitting(list(flow.outputs)) for id_, flow in flows.items()}
    called = {**outputs, **names, **{f"{id_}/{old}": new for id_, (_, inner) in inside.items() for old, new in inner.items()}}
    if not called:
        return workflow, {}

    def new(found: re.Match[str]) -> str:
        id_, output, key = _unquoted(found[1]), found[2] or "", _unquoted(found[3] or "''")
        if key in results.get(id_, ()):
            output = f".output['{results[id_][key]}']"
        return f"steps['{names[id_]}']{output}" if id_ in names else f"steps[{found[1]}]{output}"

    plain = msgspec.json.decode(_in_texts(msgspec.to_builtins(workflow), lambda text: _REFERENCE.sub(new, text)), type=Workflow)
    steps = [
        msgspec.structs.replace(
            step,
            id=names.get(was.id, was.id),
            needs=tuple(names.get(need, need) for need in step.needs),
            fallback=names.get(step.fallback, step.fallback),
            wired=names.get(step.wired, step.wired),
            action=Flow(inside[was.id][0]) if was.id in inside else step.action,
        )
        for was, step in zip(workflow.steps, plain.steps, strict=True)
    ]
    given = {outputs.get(name, name): value for name, value in plain.outputs.items()}
    return msgspec.structs.replace(plain, steps=tuple(steps), outputs=given), called


def _unquoted(text: str) -> str:
    """The text of a literal of ours in either kind of quotes."""
    if text[0] == '"':
        found: str = json.loads(text)
        return found
    return re.sub(r"\\(.)", r"\1", text[1:-1])


def _with_pools(workflow: Workflow, names: Mapping[str, str]) -> Workflow:
    """The workflow, and those in it, with other names of pools."""

    def renamed_in(step: Step) -> Step:
        action = Flow(_with_pools(step.action.workflow, names)) if isinstance(step.action, Flow) else step.action
        resources = {names.get(name, name): weight for name, weight in step.resources.items()}
        return msgspec.structs.replace(step, action=action, resources=resources)

    sizes = {names.get(name, name): pool for name, pool in workflow.resources.items()}
    return msgspec.structs.replace(workflow, steps=tuple(map(renamed_in, workflow.steps)), resources=sizes)


def _fitting(given: Sequence[str]) -> dict[str, str]:
    """A name of ours for each of these that is none; no two are the same."""
    found, taken = dict[str, str](), set(given)
    for old in given:
        if not re.fullmatch(NAME, old):
            base = re.sub(r"[^A-Za-z0-9_-]+", "_", old)[:100]
            base = base if re.match(r"[A-Za-z_]", base) else f"s_{base}"
            name, n = base, 1
            while name in taken:
                n += 1
                name = f"{base}_{n}"
            taken.add(name)
            found[old] = name
    return found


def _in_texts(value: Value, change: Callable[[str], str]) -> bytes:
    """JSON in which each condition below is changed, and what stands in `${{ }}` in any text: the rest may be code, or data."""

    def walk(value: Value, key: str = "") -> Value:
        if isinstance(value, str):
            return change(value) if key == "condition" else _HOLE.sub(lambda found: change(found[0]), value)
        if isinstance(value, dict):
            return {key: walk(item, key) for key, item in value.items()}
        return [walk(item) for item in value] if isinstance(value, list | tuple) else value

    return msgspec.json.encode(walk(value))


# ---- nouns ----


def _workflow(workflow: Workflow, name: str = "") -> dict[str, Value]:
    """`name`: what it is called if nothing is said."""
    found = _fields(workflow, (*NOT_WRITTEN[Workflow], "inputs", "servers", "resources", "gates"))
    found["steps"] = _steps(step for step in workflow.steps if step.role != "finally")
    if last := _steps(step for step in workflow.steps if step.role == "finally"):
        found["finally"] = last
    found["inputs"] = {name: _input(declared) for name, declared in workflow.inputs.items()}
    found["servers"] = {name: _server(server) for name, server in workflow.servers.items()}
    pools = {name: pool for name, pool in workflow.resources.items() if re.fullmatch(NAME, name)}
    found["resources"] = {name: _pool(pool) for name, pool in pools.items()}
    if workflow.gates is not None:
        asked = _approve(workflow.gates)
        found["gates"] = {"at": "each-layer", **asked} if asked else "each-layer"
    if workflow.name == name:
        del found["name"]
    for step in workflow.steps:
        written = {pool: weight for pool, weight in step.resources.items() if re.fullmatch(NAME, pool)}
        if written:
            weights = {pool: _amount(pools[pool], weight) if pool in pools else weight for pool, weight in written.items()}
            found["finally" if step.role == "finally" else "steps"][step.id]["resources"] = weights
    return {key: value for key, value in found.items() if value != {}}


def _fields(value: msgspec.Struct, left_out: Iterable[str] = ()) -> dict[str, Value]:
    """The fields of a struct that are not what they would be anyhow, by key; times with their units."""
    found: dict[str, Value] = {}
    for field in msgspec.structs.fields(value):
        this = getattr(value, field.name)
        default = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
        if field.name not in left_out and this != default:
            is_time = field.name.endswith("_s")
            plain = _time(this) if is_time else msgspec.json.decode(msgspec.json.encode(this))
            found[_CALLED.get(field.name, field.name)] = plain
    return found


def _steps(steps: Iterable[Step]) -> dict[str, dict[str, Value]]:
    return {step.id: _step(step) for step in steps}


def _step(step: Step) -> dict[str, Value]:
    asks = isinstance(step.action, Approve)
    found = {**_action(step), **_fields(step, (*NOT_WRITTEN[Step], "retry", "gate", "output", "resources", "for_each"))}
    if "inputs" in found:
        found["with"] = found.pop("inputs")
    if isinstance(step.action, _TEXT_OUTPUT) and step.output != "text":
        found["output"] = step.output
    if step.retry != Retry() and not asks:
        retry = _fields(step.retry)
        found["retry"] = retry.get("times", 0) if retry.keys() <= {"times"} else retry
    if step.gate is not None:
        found["gate"] = _approve(step.gate) or "before"
    if step.for_each is not None:
        found["matrix" if step.matrix else "for_each"] = step.for_each
        if step.item != ("matrix" if step.matrix else "item"):
            found["as"] = step.item
    return found


def _action(step: Step) -> dict[str, Value]:
    action = step.action
    match action:
        case Shell():
            return {"run": action.script, **({"shell": list(action.shell)} if action.shell else {})}
        case Argv():
            return {"run": list(action.argv)}
        case Python():
            return {"python": action.target or action.code}
        case Lua() | Js():
            return {type(action).__name__.lower(): action.code}
        case Wasm():
            return {"wasm": _shortest(_fields(action), "module")}
        case Http():
            return {"http": _shortest(_fields(action), "url")}
        case Agent():
            return {"agent": _shortest(_fields(action), "prompt")}
        case Tool():
            return {"tool": f"{action.server}/{action.name}"}
        case Plugin():
            return {"uses": f"{action.package}/{action.name}"}
        case Sleep():
            return {"sleep": _time(action.seconds)}
        case Flow():
            return {"flow": _workflow(action.workflow, step.id)}
        case Approve():
            return {"approve": _shortest(_approve(action), "message")}


def _shortest(fields: dict[str, Value], only: str) -> Value:
    """A mapping, or the value of its one key, which may stand alone."""
    return fields[only] if fields.keys() == {only} else fields


def _approve(asked: Approve) -> dict[str, Value]:
    found = _fields(asked, ("form",))
    if asked.form:
        found["form"] = {name: _input(declared) for name, declared in asked.form.items()}
    return found


def _input(declared: Input) -> dict[str, Value]:
    found = _fields(declared, ("required", "default"))
    return found if declared.required else {**found, "default": declared.default}


def _pool(pool: Pool) -> Value:
    found = _fields(pool, ("auto", "unit", "is_bytes", "slots", "rate", "breaker"))
    if pool.auto or pool.slots is not None:
        found["slots"] = "auto" if pool.auto else _amount(pool, pool.slots or 0)
    if pool.rate:
        found["rate"] = _rate(pool.rate)
    if pool.breaker:
        found["breaker"] = _shortest({"failures": pool.breaker.failures, **_fields(pool.breaker)}, "failures")
    return _shortest(found, "slots")


def _server(server: Server) -> dict[str, Value]:
    found = _fields(server, ("rate",))
    return {**found, "rate": _rate(server.rate)} if server.rate else found


def _rate(rate: Rate) -> str:
    text = format_rate(rate.starts, rate.window_s)
    return text if parse_rate(text) == (rate.starts, rate.window_s) else f"{rate.starts}/{_time(rate.window_s)}"


def _amount(pool: Pool, amount: int) -> Value:
    """Units of a pool as people write them."""
    if pool.is_bytes:
        for power, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
            if amount and not amount % 2**power:
                return f"{amount >> power}{unit}"
        return amount
    return amount / pool.unit if amount % pool.unit else amount // pool.unit


def _time(seconds: float | None) -> Value:
    if seconds is None:
        return None
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        if seconds and not seconds % size:
            return f"{int(seconds // size)}{unit}"
    text = f"{seconds * 1000:.6f}".rstrip("0").rstrip(".") + "ms"
    return text if seconds < 1 and parse_duration(text) == seconds else seconds


# ---- spelling ----


def _spelled(value: Value, shape: Shape) -> Any:
    """The value with its keys in order, and `${{` as it is written in texts that are no templates."""
    match shape:
        case Either():
            return _spelled(value, next(option for option in shape.options if _is(value, option)))
        case Record(name):
            keys = {key.name: key.shape for key in RECORDS[name].keys if key.name in value}
            assert keys.keys() == value.keys(), f"{value.keys() - keys.keys()} are no keys of {name}"
            return {key: _spelled(value[key], keys[key]) for key in keys}
        case MapOf():
            return {key: _spelled(item, shape.item) for key, item in value.items()}
        case ListOf():
            return [_spelled(item, shape.item) for item in value]
        case Text(field="plain" | "code"):
            return value.replace("${{", "$${{") if isinstance(value, str) else value
    return value


def _is(value: Value, shape: Shape) -> bool:
    if isinstance(value, Mapping):
        return isinstance(shape, Record | MapOf)
    return isinstance(value, list) == isinstance(shape, ListOf) and not isinstance(shape, Record | MapOf)
