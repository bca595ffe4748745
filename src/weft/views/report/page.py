"""The page: header, numbers, what failed, graph, Gantt chart, use over time, table of steps."""

from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from heapq import nsmallest
from importlib.resources import files
from shlex import quote
from typing import Final

import msgspec

from weft.core.measure import Numbers
from weft.core.state import State
from weft.core.status import Status
from weft.core.why import status_word
from weft.model.output import Usage
from weft.model.units import format_duration
from weft.views.asked import answer_words, opened_words
from weft.views.report import charts, graph, spending
from weft.views.report.chronicle import ATTEMPTS, Chronicle
from weft.views.report.text import GLYPHS, Write, masker, writer
from weft.views.runs import moment
from weft.views.show import note
from weft.views.summary import run_status
from weft.views.text import last_lines, percent, plural, visible, words

FAILURES_MAX: Final = 50
"""Failed steps that are told in full; the table has the others."""
FAILURES_OPEN: Final = 3
"""Of these, how many are shown before somebody asks."""
TAIL_LINES_MAX: Final = 40
TABLE_ROWS_MAX: Final = 30_000
"""Steps in the table: some 3 MB. Of a larger run those that need attention, then those that took longest."""
NOTE_LENGTH_MAX: Final = 200
VALUE_LENGTH_MAX: Final = 20_000
PATH_STEPS_MAX: Final = 60
"""Steps of the critical path that are listed, the longest."""

GATES_MAX: Final = 100
"""Gates that the report lists: the journal has all."""

_COLUMNS: Final = ("step", "layer", "status", "attempts", "queued", "ran", "cpu", "memory", "", "", "tokens", "cost")
"""What the items of a row of the table of steps are; the tenth says whether the step is on the critical path."""

_LEGEND: Final = ("succeeded", "failed", "cancelled", "lost", "running", "held", "backing_off", "awaiting_approval")


def render(chronicle: Chronicle, *, run: str, secrets: Sequence[str] = (), alive: bool = True, made: str = "") -> str:
    """The report as HTML. `secrets`: values to mask. `alive`: an engine holds the run or none need. `made`: by what and when."""
    chronicle.close()
    state, numbers, masked = chronicle.measure.state, chronicle.measure.numbers(), masker(secrets)
    write = writer(masked)
    style, script = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    sections = [
        ("", _failures(state, run, write)),
        ("Gates", _gates(state, write)),
        ("Critical path", _path(numbers, write)),
        ("Graph", graph.draw(state, numbers, write)),
        ("Attempts over time", _legend(chronicle) + charts.gantt(chronicle, numbers, write)),
        ("In use over time", charts.usage(chronicle, numbers, state, write)),
        ("Tokens and cost", spending.table(numbers, write)),
        ("What held steps", charts.causes(numbers, write)),
        ("Steps", _table(numbers)),
        ("Inputs and outputs", _values(chronicle, masked)),
    ]
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{write(state.workflow.name)} · {write(run)}</title><style>{style}</style>"
    )
    body = "".join(_section(title, text) for title, text in sections if text)
    data = _data(chronicle, numbers, masked)
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n<main>{_header(state, numbers, run, alive, write)}{body}'
        f'<footer class="soft">{write(made)}</footer></main>\n'
        f'<script type="application/json" id="data">{data}</script><script>{script}</script></body></html>\n'
    )


def _section(title: str, body: str) -> str:
    return f"<section>{f'<h2>{title}</h2>' if title else ''}{body}</section>"


# ---- the head ----


def _header(state: State, numbers: Numbers, run: str, alive: bool, write: Write) -> str:
    status = run_status(state)
    created = state.created
    facts = [f"run <b>{write(run)}</b>"]
    facts += [f"began {moment(created.at)}"] if created else []
    facts += [write(created.source)] if created and created.source else []
    gone = f'<p class="warn">Its engine is gone: <code>weft resume {write(run)}</code> goes on.</p>' if not alive else ""
    told = "".join(
        f'<span class="chip {status}">{GLYPHS.get(status, "·")} {count:,} {words(status)}</span>'
        for status, count in sorted(numbers.counts.items(), key=lambda item: -item[1])
    )
    description = f"<p>{write(state.workflow.description)}</p>" if state.workflow.description else ""
    return (
        f'<header><div class="title"><h1>{write(state.workflow.name)}</h1>'
        f'<span class="badge {status}">{GLYPHS.get(status, "!")} {words(status)}</span></div>'
        f'<p class="soft">{" · ".join(facts)}</p>{description}{gone}<div class="tiles">{_tiles(numbers, state)}</div>'
        f'<div class="chips">{told}</div></header>'
    )


def _tiles(numbers: Numbers, state: State) -> str:
    span = percent(numbers.span_s / numbers.makespan_s) if numbers.makespan_s else "0%"
    tiles = [
        (format_duration(numbers.makespan_s), "makespan"),
        (f"{numbers.speedup:.1f}×", f"speedup, {format_duration(numbers.work_s)} of work"),
        (span, "of it on the critical path"),
        (f"{numbers.parallel_max:,}", "attempts at once at most"),
        (f"{len(numbers.steps):,}", "steps"),
        *spending.tiles(numbers, state),
    ]
    return "".join(f"<div><b>{number}</b><span>{label}</span></div>" for number, label in tiles)


def _path(numbers: Numbers, write: Write) -> str:
    """The steps of the critical path with the share of the run that each took."""
    path, whole_s = numbers.critical_path, numbers.makespan_s
    if not path or not whole_s:
        return ""
    kept = sorted(nsmallest(PATH_STEPS_MAX, range(len(path)), key=lambda n: (-path[n][1], n)))
    bars, names = [], []
    for n in kept:
        step, seconds = path[n]
        said = f"{write(step)} {format_duration(seconds)}"
        bars.append(f'<i style="flex:{seconds / whole_s:.5f}" title="{said}"></i>')
        names.append(f"<li><b>{write(step)}</b> {format_duration(seconds)} <span>{percent(seconds / whole_s)}</span></li>")
    waited_s = max(0.0, whole_s - numbers.span_s)
    more = f'<li class="soft">and {plural(len(path) - len(kept), "step")} more</li>' if len(kept) < len(path) else ""
    rest = f'<i class="rest" style="flex:{waited_s / whole_s:.5f}" title="not on the path: {format_duration(waited_s)}"></i>'
    return f'<div class="pathbar">{"".join(bars)}{rest}</div><ol class="pathlist">{"".join(names)}{more}</ol>'


# ---- what failed ----


def _failures(state: State, run: str, write: Write) -> str:
    failed = sorted(
        (i for i in state.errors if state.status[i] is Status.FAILED), key=lambda i: state.steps[i].on_error == "continue"
    )
    cards: list[str] = []
    if state.outputs and state.outputs.error:
        cards.append(_card("the outputs of the run", write(state.outputs.error.message), "", len(cards)))
    for i in failed[:FAILURES_MAX]:
        error, step = state.errors[i], write(state.graph.ids[i])
        logs = f"weft logs {write(run)} {write(quote(state.graph.ids[i]))}"
        tries = f" after {plural(state.attempts[i], 'attempt')}" if state.attempts[i] > 1 else ""
        soft = " (on_error: continue)" if state.steps[i].on_error == "continue" else ""
        tail = "\n".join(write(line) for line in last_lines(error.tail, TAIL_LINES_MAX))
        body = (
            (f"<pre>{tail}</pre>" if tail else "")
            + (f"<p>hint: {write(error.hint)}</p>" if error.hint else "")
            + f'<p class="soft"><code>{logs}</code> prints all that it wrote.</p>'
        )
        cards.append(_card(step, f'{write(error.message)}<span class="soft">{tries}{soft}</span>', body, len(cards)))
    more = f'<p class="soft">{len(failed) - FAILURES_MAX:,} more failed; the table has them.</p>' if failed[FAILURES_MAX:] else ""
    return "".join(cards) + more


def _card(title: str, message: str, body: str, number: int) -> str:
    opened = " open" if number < FAILURES_OPEN else ""
    return f'<details class="card failed"{opened}><summary><b>✗ {title}</b> {message}</summary>{body}</details>'


# ---- gates ----


def _gates(state: State, write: Write) -> str:
    """Who was asked what, and who answered; the open ones first."""
    order = sorted(state.gates, key=lambda gate: gate not in state.asking)
    rows = []
    for gate in order[:GATES_MAX]:
        answer = state.answers.get(gate)
        said = write(f"{moment(answer.at)}  {answer_words(answer)}") if answer else "<b>open</b>" if gate in state.asking else ""
        asked = write(f"{moment(state.gates[gate].at)}  {opened_words(state.gates[gate])}")
        rows.append(f"<tr><td>{write(gate)}</td><td>{asked}</td><td>{said}</td></tr>")
    more = f'<p class="soft">{len(order) - GATES_MAX:,} more gates</p>' if order[GATES_MAX:] else ""
    head = "<thead><tr><th>gate</th><th>asked</th><th>answered</th></tr></thead>"
    return f"<table>{head}<tbody>{''.join(rows)}</tbody></table>{more}" if rows else ""


# ---- values ----


def _values(chronicle: Chronicle, masked: Callable[[str], str]) -> str:
    state = chronicle.measure.state
    parts = []
    if state.created and state.created.inputs:
        parts.append(_json("inputs", state.created.inputs, masked))
    if state.outputs and not state.outputs.error and state.outputs.outputs:
        if chronicle.secret:  # which outputs of the run came to hold it is not known
            parts.append('<p class="soft">The outputs are not shown: some step put the value of a secret into its own.</p>')
        else:
            parts.append(_json("outputs", state.outputs.outputs, masked))
    return "".join(parts)


def _json(title: str, value: object, masked: Callable[[str], str]) -> str:
    text = masked(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
    more = f"\n… {len(text) - VALUE_LENGTH_MAX:,} more characters" if len(text) > VALUE_LENGTH_MAX else ""
    write = writer(lambda line: line)
    lines = "\n".join(write(line) for line in text[:VALUE_LENGTH_MAX].split("\n"))
    return f"<details open><summary>{title}</summary><pre>{lines}{more}</pre></details>"


# ---- what the script works with ----


def _legend(chronicle: Chronicle) -> str:
    large = len(chronicle.bars) > charts.ROWS_MAX
    kinds = {bar.kind for bars in chronicle.bars.values() for bar in bars if not large or bar.kind in ATTEMPTS}
    keys = "".join(f'<span><i class="b {kind}"></i>{words(kind)}</span>' for kind in _LEGEND if kind in kinds)
    path = f'<span><i class="b {"solid" if large else "path"}"></i>on the critical path</span>'
    return f'<div class="legend">{keys}{path}</div>' if keys else ""


def _shown(numbers: Numbers) -> list[int]:
    """The columns of the table of steps, as numbers of what is in its rows."""
    return [*range(8), *([10, 11] if numbers.usage != Usage() else []), 8]


def _table(numbers: Numbers) -> str:
    names = [_COLUMNS[column] for column in _shown(numbers)]
    kind = "uses" if "cost" in names else "plain"
    heads = "".join(f'<th><button type="button">{name}</button></th>' if name else "<th></th>" for name in names)
    statuses = "".join(f'<option value="{status}">{words(status)}</option>' for status in sorted(numbers.counts))
    left_out = len(numbers.steps) - TABLE_ROWS_MAX
    more = f'<p class="soft">{left_out:,} steps that took little time are left out.</p>' if left_out > 0 else ""
    return (
        '<div class="tools"><input type="search" id="find" placeholder="find a step" aria-label="find a step">'
        f'<select id="only" aria-label="status"><option value="">any status</option>{statuses}</select>'
        '<span id="count" class="soft"></span></div>'
        f'<div class="wide"><table id="steps" class="{kind}"><thead><tr>{heads}</tr></thead><tbody></tbody></table></div>'
        f'<button type="button" id="more" hidden></button>{more}<noscript><p class="soft">This table needs JavaScript; '
        "<code>weft show</code> prints it.</p></noscript>"
    )


def _data(chronicle: Chronicle, numbers: Numbers, masked: Callable[[str], str]) -> str:
    """Rows for the table, and the attempts of a large run, as JSON that no browser takes for anything else."""
    state = chronicle.measure.state
    path = {step for step, _ in numbers.critical_path}
    chosen = list(range(len(numbers.steps)))
    if len(chosen) > TABLE_ROWS_MAX:
        calm = {"succeeded", "reused", "skipped", "waiting"}
        key = lambda i: (status_word(state, i) in calm, -numbers.steps[i].run_s, i)  # noqa: E731
        chosen = sorted(nsmallest(TABLE_ROWS_MAX, chosen, key=key))
    rows = [
        (
            visible(masked(step.step)),
            step.layer,
            step.status,
            step.attempts,
            round(step.queue_s, 4),
            round(step.run_s, 4),
            round(step.cpu_s, 4),
            step.rss_bytes,
            masked(note(state, i))[:NOTE_LENGTH_MAX],
            int(step.step in path),
            step.usage.tokens if step.usage else 0,
            step.usage.cost if step.usage else 0,
        )
        for i, step in ((i, numbers.steps[i]) for i in chosen)
    ]
    data: dict[str, object] = {"rows": rows, "columns": _shown(numbers), "glyphs": GLYPHS, "end": numbers.makespan_s}
    if len(chronicle.bars) > charts.ROWS_MAX:
        row_of = {i: n for n, i in enumerate(chosen)}
        data["lanes"] = [
            [(row_of[i], round(bar.start_s, 4), round(bar.end_s, 4)) for i, bar in lane if i in row_of]
            for lane in charts.attempts_in_lanes(chronicle)
        ]
    text = msgspec.json.encode(data).decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
