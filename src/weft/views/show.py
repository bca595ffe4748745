"""`weft show`: all steps of a run as a table, or one step with everything that is known of it; each as JSON too."""

import time
from collections.abc import Callable, Iterable, Sequence
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, Final

import msgspec

from weft.core import facts as f
from weft.core.facts import Fact
from weft.core.measure import Numbers, StepNumbers
from weft.core.state import State
from weft.core.status import Status
from weft.core.why import status_word, why
from weft.model.output import ErrorRecord, Output, Usage
from weft.model.units import format_duration, format_size
from weft.model.workflow import Agent, Approve, Argv, Flow, Http, Js, Lua, Plugin, Python, Shell, Sleep, Step, Tool, Wasm
from weft.views.asked import gate_rows, gates_as_json
from weft.views.runs import moment
from weft.views.story import STOPPED, message, spent
from weft.views.summary import run_status
from weft.views.text import STYLES, Cell, Paint, fit, last_lines, names, plural, table, taken_words, visible, words
from weft.views.words import skip_reason

if TYPE_CHECKING:
    from weft.sim.advice import Advice

ROWS_MAX: Final = 200
"""Steps that the table shows; of a larger run those that need attention, then the first in the file."""

CODE_LINES_MAX: Final = 12
OUTPUT_LINES_MAX: Final = 12
VALUE_WIDTH_MAX: Final = 300
ATTEMPTS_MAX: Final = 20
"""Attempts that are shown, the last ones."""

LABEL_WIDTH: Final = 12

_STEP_HEAD: Final = ("step", "layer", "status", "attempts", "queue", "run", "cpu", "memory", "")
_USAGE_HEAD: Final = (*_STEP_HEAD[:-1], "calls", "tokens", "cost", "")
"""Where a step reports what it used."""
_ATTEMPT_HEAD: Final = ("attempt", "outcome", "started", "took", "pid", "cpu", "memory", "")

_ATTENTION: Final = {status: n for n, status in enumerate(("failed", "running", "stopping", "backing_off", "held", "cancelled"))}


# ---- a run ----


def render(numbers: Numbers, state: State, *, run: str, color: bool, width: int = 100, alive: bool = True) -> str:
    """The run and its steps, one line each, as text. `alive`: an engine holds the run, or none needs to."""
    paint = Paint(color)
    status = run_status(state)
    size = f"{plural(len(numbers.steps), 'step')} in {format_duration(numbers.makespan_s)}"
    lines = [f"run {paint(visible(run), 'bold')}: {visible(state.workflow.name)}, {paint(words(status), STYLES[status])}, {size}"]
    if state.created:
        inputs = ", ".join(f"{visible(name)}={_value(value)}" for name, value in state.created.inputs.items())
        begun = f"began {moment(state.created.at)}" + (f" with {inputs}" if inputs else "")
        lines.append(paint(fit(begun, width), "dim"))
        if state.created.origin:
            lines.append(paint(f"takes outputs from run {visible(state.created.origin)}", "dim"))
    if not alive:
        lines.append(f"its engine is gone: weft resume {visible(run)} goes on")
    shown = _chosen(numbers.steps)
    uses = numbers.usage != Usage()
    rows = [_row(state, numbers.steps[i], i, uses) for i in shown]
    head = _USAGE_HEAD if uses else _STEP_HEAD
    last = len(head) - 1
    lines += ["", *table(rows, paint, width, head=head, right=(1, *range(3, last)), keep=range(1, last))]
    if uses:
        lines.append(paint(f"in all: {spent(numbers.usage)}", "dim"))
    if len(shown) < len(numbers.steps):
        counts = ", ".join(f"{count:,} {words(status)}" for status, count in sorted(numbers.counts.items()))
        lines.append(paint(f"… and {len(numbers.steps) - len(shown):,} more (in all: {counts}); --json has them", "dim"))
    return "\n".join(lines)


def as_json(numbers: Numbers, state: State, *, run: str, alive: bool = True, advice: "Sequence[Advice]" = ()) -> dict[str, Any]:
    """The run as data: its status, the numbers of the run, what would have made it shorter, and a list of steps in file order.
    Instants in seconds since the epoch, times in seconds, memory in bytes."""
    created = state.created
    steps = [_step_json(state, step, i) for i, step in enumerate(numbers.steps)]
    known = msgspec.structs.asdict(numbers)
    del known["steps"]
    return {
        "run": run,
        "workflow": state.workflow.name,
        "status": run_status(state),
        "alive": alive,
        "source": created.source if created else "",
        "origin": created.origin if created else "",
        "created_at": created.at if created else None,
        "inputs": created.inputs if created else {},
        "outputs": state.outputs.outputs if state.outputs and not state.outputs.error else None,
        "numbers": {
            **known,
            "usage": msgspec.structs.asdict(numbers.usage),
            "pools": [msgspec.structs.asdict(pool) for pool in numbers.pools],
        },
        "advice": [msgspec.structs.asdict(one) for one in advice],
        "gates": gates_as_json(state),
        "steps": steps,
    }


def _chosen(steps: Sequence[StepNumbers]) -> list[int]:
    """Numbers of the steps to show, in file order."""
    if len(steps) <= ROWS_MAX:
        return list(range(len(steps)))
    return sorted(nsmallest(ROWS_MAX, range(len(steps)), key=lambda i: (_ATTENTION.get(steps[i].status, len(_ATTENTION)), i)))


def _row(state: State, step: StepNumbers, i: int, uses: bool) -> list[Cell]:
    ran, usage = step.attempts > 0, step.usage or Usage()
    reported = [f"{count:,}" if count else "" for count in (usage.calls, usage.tokens)]
    reported += [f"{usage.cost:,.6g}" if usage.cost else ""]
    return [
        visible(step.step),
        str(step.layer),
        (words(step.status), STYLES.get(step.status, "")),
        f"{step.attempts:,}" if ran else "",
        format_duration(step.queue_s) if ran else "",
        format_duration(step.run_s) if step.run_s else "",
        format_duration(step.cpu_s) if step.cpu_s else "",
        format_size(step.rss_bytes) if step.rss_bytes else "",
        *(reported if uses else []),
        (note(state, i), "dim"),
    ]


def note(state: State, i: int) -> str:
    """Why a step is as it is, in a few words; empty where its status says it all."""
    match state.status[i]:
        case Status.FAILED:
            return message(state.errors[i])
        case Status.CANCELLED:
            return STOPPED[state.stop_causes[i]]
        case Status.SKIPPED:
            return skip_reason(state.skips[i])
        case Status.REUSED:
            return f"from run {visible(state.reused[i])}"
        case Status.SUCCEEDED if i in state.stand_ins:
            return f"by its fallback `{visible(state.graph.ids[state.stand_ins[i]])}`"
        case Status.READY | Status.STOPPING | Status.BACKING_OFF | Status.AWAITING_APPROVAL | Status.INTERRUPTED:
            return visible(why(state, i).reason)
    return ""


def _step_json(state: State, step: StepNumbers, i: int) -> dict[str, Any]:
    error = state.errors.get(i)
    usage = msgspec.structs.asdict(step.usage) if step.usage else None
    return {**msgspec.structs.asdict(step), "usage": usage, "error": msgspec.to_builtins(error) if error else None}


# ---- one step ----


class Attempt(msgspec.Struct, kw_only=True):
    """One attempt. Instants in seconds since the epoch; `outcome` is `running` while it is alive, `lost` if it was lost.

    `stopped`: why it was stopped, if it was. `again_at`: when the next may start after a backoff.
    """

    attempt: int
    started_at: float
    ended_at: float | None = None
    outcome: str = "running"
    pid: int = 0
    stopped: str = ""
    error: ErrorRecord | None = None
    output: Output | None = None
    cpu_s: float | None = None
    rss_bytes: int | None = None
    usage: Usage | None = None
    again_at: float | None = None


def attempts_of(facts: Iterable[Fact], step: str) -> list[Attempt]:
    """The attempts of a step, from the facts of its run."""
    found: list[Attempt] = []
    for fact in facts:
        if getattr(fact, "step", None) != step:
            continue
        match fact:
            case f.AttemptStarted():
                found.append(Attempt(attempt=fact.attempt, started_at=fact.at))
            case f.AttemptSpawned():
                found[-1].pid = fact.pid
            case f.AttemptStopping():
                found[-1].stopped = fact.cause
            case f.BackoffStarted():
                found[-1].again_at = fact.until
            case f.AttemptLost():
                found[-1].ended_at, found[-1].outcome = fact.at, "lost"
            case f.AttemptEnded():
                last = found[-1]
                last.ended_at, last.outcome = fact.at, "succeeded" if fact.outcome == "ok" else fact.outcome
                last.error, last.output, last.cpu_s, last.rss_bytes = fact.error, fact.output, fact.cpu_s, fact.rss_bytes
                last.usage = fact.usage
    return found


def reused_output(facts: Iterable[Fact], step: str) -> Output | None:
    """The output that a step did not make, but has from an earlier run."""
    for fact in facts:
        if isinstance(fact, f.RunCreated) and step in fact.given:
            return fact.given[step].output
        if isinstance(fact, f.StepReused) and fact.step == step:
            return fact.output
    return None


def render_step(
    state: State,
    step: str,
    attempts: Sequence[Attempt],
    *,
    run: str,
    color: bool,
    width: int = 100,
    logs: Callable[[str, int], str] | None = None,
    reused: Output | None = None,
) -> str:
    """One step of a run as text. `logs`: path of a file with what an attempt wrote, empty if it wrote nothing; `reused`: the
    output that it has from an earlier run."""
    paint, i = Paint(color), state.graph.index[step]
    status = status_word(state, i)
    definition = state.steps[i]
    title = f"  {paint(visible(definition.title), 'dim')}" if definition.title else ""
    lines = [f"{paint(visible(step), 'bold')} of run {visible(run)}: {paint(words(status), STYLES.get(status, ''))}{title}"]
    said = why(state, i)
    lines += [f"  {visible(text)}" for text in (said.reason, said.reuse) if text]
    lines.append("")
    rows = [*gate_rows(state, step), *_definition(state, i, width), *_what_ran(attempts, step, logs, reused)]
    lines += [f"{paint(label.ljust(LABEL_WIDTH), 'dim')}{fit(text, width - LABEL_WIDTH)}".rstrip() for label, text in rows]
    lines += _attempt_table(attempts, paint, width)
    error = state.errors.get(i)
    if error and error.tail:
        margin = paint("│ ", "dim")
        lines += ["", *(margin + fit(line, width - 2) for line in last_lines(error.tail, OUTPUT_LINES_MAX))]
    return "\n".join(lines)


def step_as_json(
    state: State, step: str, attempts: Sequence[Attempt], *, run: str, reused: Output | None = None
) -> dict[str, Any]:
    """One step of a run as data: its definition, why it is as it is, its attempts. A secret output is null."""
    i = state.graph.index[step]
    return {
        "run": run,
        "step": step,
        "layer": state.graph.layer[i] + state.workflow.first_layer,
        "status": status_word(state, i),
        "why": msgspec.structs.asdict(why(state, i)),
        "definition": msgspec.to_builtins(state.steps[i]),
        "needed_by": [state.graph.ids[j] for j in state.graph.dependents[i]],
        "attempts": [_attempt_json(attempt) for attempt in attempts],
        "reused_from": state.reused.get(i),
        "reused_output": _output_json(reused),
    }


def _attempt_json(attempt: Attempt) -> dict[str, Any]:
    return {
        **msgspec.structs.asdict(attempt),
        "error": msgspec.to_builtins(attempt.error) if attempt.error else None,
        "usage": msgspec.structs.asdict(attempt.usage) if attempt.usage else None,
        "output": _output_json(attempt.output),
    }


def _output_json(output: Output | None) -> dict[str, Any] | None:
    if output is None:
        return None
    return {
        "form": output.form,
        "size": output.size,
        "secret": output.secret,
        "blob": "" if output.secret else output.blob,
        "value": msgspec.json.decode(output.inline) if output.inline and not output.secret else None,
    }


def _definition(state: State, i: int, width: int) -> list[tuple[str, str]]:
    step = state.steps[i]
    rows = [("layer", str(state.graph.layer[i] + state.workflow.first_layer))]
    if step.needs:
        needs = [f"{need} ({words(status_word(state, state.graph.index[need]))})" for need in step.needs]
        rows.append(("needs", names(needs, width - LABEL_WIDTH)))
    needed_by = [state.graph.ids[j] for j in state.graph.dependents[i]]
    if needed_by:
        rows.append(("needed by", names(needed_by, width - LABEL_WIDTH)))
    if step.resources:
        rows.append(("resources", ", ".join(taken_words(state.workflow.resources, step.resources))))
    if step.condition:
        rows.append(("if", visible(step.condition)))
    if step.fallback:
        rows.append(("fallback", visible(step.fallback)))
    if step.id in state.users:
        rows.append(("fallback of", visible(state.graph.ids[state.users[step.id]])))
    if step.role == "finally":
        rows.append(("finally", "it runs when the run ends"))
    if step.on_error != "isolate":
        rows.append(("on_error", step.on_error))
    rows += [
        ("with" if not n else "", f"{visible(name)} = {_value(value)}") for n, (name, value) in enumerate(step.inputs.items())
    ]
    kind, code = _action(step)
    lines = code.rstrip().split("\n")
    shown = [*lines[:CODE_LINES_MAX], *(["…"] if len(lines) > CODE_LINES_MAX else [])]
    rows += [("reuse", "versions " + ", ".join(map(visible, step.versions)) if step.versions else "yes")] if step.reuse else []
    return rows + [(kind if not n else "", visible(line.expandtabs(4))) for n, line in enumerate(shown)]


def _action(step: Step) -> tuple[str, str]:
    match step.action:
        case Shell(script=script):
            return "run", script
        case Flow(workflow=workflow):
            return "flow", f"{workflow.name}: {plural(len(workflow.steps), 'step')}"
        case Lua(code=code):
            return "lua", code
        case Js(code=code):
            return "js", code
        case Tool(server=server, name=name):
            return "tool", f"{server}/{name}"
        case Plugin(package=package, name=name):
            return "uses", f"{package}/{name}"
        case Wasm(module=module):
            return "wasm", module
        case Http(url=url, method=method):
            return "http", f"{method} {url}"
        case Agent(prompt=prompt, model=model):
            return "agent", f"({model}) {prompt}" if model else prompt
        case Argv(argv=argv):
            return "run", msgspec.json.encode(argv).decode()
        case Python(code=code, target=target):
            return "python", code or target
        case Sleep(seconds=seconds):
            return "sleep", format_duration(seconds)
        case Approve(message=asked):
            return "approve", asked


def _what_ran(
    attempts: Sequence[Attempt], step: str, logs: Callable[[str, int], str] | None, reused: Output | None
) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    log = logs(step, attempts[-1].attempt) if logs and attempts else ""
    rows += [("log", visible(log))] if log else []
    output = reused or (attempts[-1].output if attempts else None)
    if output:
        rows.append(("output", f"{output.form}, {format_size(output.size)}" + (f", blob {output.blob}" if output.blob else "")))
        rows += [("", line) for line in preview(output)]
    return rows


def preview(output: Output) -> list[str]:
    """The first lines of an output; of one that is secret, that it is."""
    if output.secret:
        return ["(it holds the value of a secret and is not shown)"]
    if not output.inline:
        return []
    text = msgspec.json.decode(output.inline) if output.form == "text" else msgspec.json.format(output.inline, indent=2).decode()
    lines = str(text).rstrip("\n").split("\n")
    more = [f"… {plural(len(lines) - OUTPUT_LINES_MAX, 'more line')}"] if len(lines) > OUTPUT_LINES_MAX else []
    return [visible(line.expandtabs()) for line in lines[:OUTPUT_LINES_MAX]] + more


def _attempt_table(attempts: Sequence[Attempt], paint: Paint, width: int) -> list[str]:
    if not attempts:
        return []
    rows = [_attempt_row(attempt) for attempt in attempts[-ATTEMPTS_MAX:]]
    return ["", *table(rows, paint, width, head=_ATTEMPT_HEAD, right=(0, 3, 4, 5, 6), keep=range(7))]


def _attempt_row(attempt: Attempt) -> list[Cell]:
    notes = [
        spent(attempt.usage) if attempt.usage else "",
        message(attempt.error) if attempt.error else "",
        f"stopped: {attempt.stopped}" if attempt.stopped else "",
    ]
    if attempt.again_at is not None:
        notes.append(f"next not before {clock_time(attempt.again_at)}")
    return [
        str(attempt.attempt),
        (attempt.outcome, STYLES.get(attempt.outcome, "")),
        clock_time(attempt.started_at),
        "" if attempt.ended_at is None else format_duration(attempt.ended_at - attempt.started_at),
        str(attempt.pid or ""),
        "" if attempt.cpu_s is None else format_duration(attempt.cpu_s),
        format_size(attempt.rss_bytes) if attempt.rss_bytes else "",
        ("; ".join(filter(None, notes)), "dim"),
    ]


def clock_time(at: float) -> str:
    """A time of day in local time, to the millisecond."""
    return time.strftime("%H:%M:%S", time.localtime(at)) + f".{int(at % 1 * 1000):03}"


def _value(value: object) -> str:
    return fit(visible(msgspec.json.encode(value).decode()), VALUE_WIDTH_MAX)
