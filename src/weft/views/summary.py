"""What a run came to, on one screen: outcome, speedup, what held it back, what failed, and how to go on."""

from collections.abc import Callable, Sequence
from shlex import quote
from typing import TYPE_CHECKING, Final

from weft.core.measure import Numbers
from weft.core.state import State
from weft.core.status import Status
from weft.model.output import ErrorRecord, Usage
from weft.model.units import format_duration
from weft.views.asked import asked_lines
from weft.views.story import attempt_words, message, spent
from weft.views.text import STYLES, Paint, chain, fit, fit_name, last_lines, names, percent, plural, visible, words

if TYPE_CHECKING:
    from weft.sim.advice import Advice

SCREEN_LINES: Final = 24
"""What fits the smallest terminal that people use."""

FAILURES_MAX: Final = 3
"""Failed steps that are told in full; the others are named."""

MORE_NAMED_MAX: Final = 20
TAIL_LINES_MAX: Final = 20
ASKED_MAX: Final = 4
"""Open gates, and interrupted steps, that are told in full."""
CAUSES_MAX: Final = 4
POOLS_MAX: Final = 4
LABEL_WIDTH: Final = 15
Logs = Callable[[str, int], str]
"""Path of a file with what attempt n of a step wrote, as the user would write it; empty if it wrote nothing."""


def run_status(state: State) -> str:
    """Status of a run as the glossary says it; one whose engine died without a word is still `running`."""
    if state.ended:
        return state.ended.status
    return "waiting" if state.waiting else "suspended" if state.suspended else "running"


def render(
    numbers: Numbers,
    state: State,
    *,
    run: str,
    possible_makespan_s: float | None,
    advice: "Sequence[Advice]" = (),
    color: bool,
    width: int = 100,
    height: int = SCREEN_LINES,
    logs: Logs | None = None,
) -> str:
    """The summary as text, about `height` lines of at most `width` columns.

    `possible_makespan_s`: makespan in seconds of the same steps under the same limits with perfect foresight, if known.
    `advice`: what would have made the run shorter.
    """
    paint = Paint(color)
    room = width - LABEL_WIDTH
    rows = [*_outcome(numbers, state, run, room), *_numbers(numbers, state, possible_makespan_s, room)]
    rows += [("" if n else "faster", advised(one)) for n, one in enumerate(advice)]
    style = STYLES.get(run_status(state), "bold")
    lines = [
        paint(label.ljust(LABEL_WIDTH - 2), "dim" if n else style) + "  " + fit(text, room)
        for n, (label, text) in enumerate(rows)
    ]
    failed = _failed(state)
    last = [line if "weft " in line else fit(line, width) for line in _go_on(state, run, failed, width)]  # commands stay whole
    left = height - len(lines) - len(last) - 2
    return "\n".join(["", *lines, *_failures(state, failed, left, paint, width, logs), *last])


# ---- numbers ----


def _outcome(numbers: Numbers, state: State, run: str, width: int) -> list[tuple[str, str]]:
    label, _, more = words(run_status(state)).partition(" ")
    total = len(numbers.steps)
    text = f"{more + ', ' if more else ''}run {visible(run)}, {plural(total, 'step')} in {format_duration(numbers.makespan_s)}"
    told = ", ".join(f"{count:,} {words(status)}" for status, count in _in_order(numbers.counts))
    if numbers.counts.get("succeeded", 0) == total:
        return [(label, text)]
    if len(text) + len(told) + 2 <= width:
        return [(label, f"{text}: {told}")]
    return [(label, text), ("", told)]


def _in_order(counts: dict[str, int]) -> list[tuple[str, int]]:
    order = list(STYLES)
    return sorted(counts.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order))


def _numbers(numbers: Numbers, state: State, possible_makespan_s: float | None, width: int) -> list[tuple[str, str]]:
    rows = []
    makespan_s = numbers.makespan_s
    if numbers.work_s and makespan_s:
        speedup = f"{format_duration(numbers.work_s)} → speedup {numbers.speedup:.1f}×"
        if possible_makespan_s:
            speedup += f" of {max(numbers.work_s / possible_makespan_s, numbers.speedup):.1f}× possible here"
        rows.append(("work", f"{speedup}, at most {numbers.parallel_max} at once"))
        share = f"{format_duration(numbers.span_s)} of {format_duration(makespan_s)}: "
        path = [
            (f"{fit_name(visible(step), 32)} {percent(seconds / makespan_s)}", seconds) for step, seconds in numbers.critical_path
        ]
        rows.append(("critical path", share + chain(path, width - len(share))))
    causes = [f"{visible(cause)} {format_duration(seconds)}" for cause, seconds in numbers.held_s.items() if seconds >= 0.001]
    if causes:
        rows.append(("held by", " · ".join(causes[:CAUSES_MAX]) + "  (summed over steps)"))
    busy = sorted((pool for pool in numbers.pools if pool.busy_s), key=lambda pool: -pool.utilisation)
    if busy:
        used = [f"{visible(pool.pool)} {percent(pool.utilisation)} of {pool.size}" for pool in busy]
        rows.append(("pools", " · ".join(used[:POOLS_MAX])))
    if numbers.usage != Usage():
        budget = _budget(state)
        rows.append(("spent", spent(numbers.usage) + (f" of the budget of {budget}" if budget else "")))
    return rows


def _budget(state: State) -> str:
    budget = state.workflow.budget
    if budget is None:
        return ""
    tokens = f"{budget.tokens:,} tokens" if budget.tokens is not None else ""
    return ", ".join(filter(None, (tokens, f"cost {budget.cost:,.6g}" if budget.cost is not None else "")))


def advised(advice: "Advice") -> str:
    """A change, and what a replay of the run with it comes to."""
    gain = f"{format_duration(advice.makespan_s)}, {percent(advice.gain_s / (advice.makespan_s + advice.gain_s))} less"
    return f"{_change(advice)}: {gain}"


def _change(advice: "Advice") -> str:
    name, before, after = visible(advice.name), advice.before, advice.after
    match advice.kind:
        case "schedule":
            return f"`schedule: {after}` instead of `{before}`"
        case "max_parallel":
            return f"`-j {after}` instead of {before} at once"
        case "pool":
            return f"{after} slots in pool `{name}` instead of {before}"
        case "retry":
            return f"without the {plural(int(before), 'failed attempt')} of steps that succeeded later"
        case "step":
            return f"`{fit_name(name, 32)}` in half its {format_duration(float(before))} (shorten or split it)"


# ---- failures ----


def _failed(state: State) -> list[int]:
    """The failed steps, first those that made the run fail; without the parts of what a fallback stood in for."""
    rescued = {i for i in state.stand_ins if state.status[i].good}
    failed = [i for i in state.errors if state.status[i] is Status.FAILED and rescued.isdisjoint(state.graph.above(i))]
    return sorted(failed, key=lambda i: state.steps[i].on_error == "continue" or state.answered_for(i))


def _failures(state: State, failed: Sequence[int], room: int, paint: Paint, width: int, logs: Logs | None) -> list[str]:
    lines = []
    if state.outputs and state.outputs.error:
        what = f"the outputs of the run  {message(state.outputs.error)}"
        lines += ["", f"{paint('✗', STYLES['failed'])} {fit(what, width - 2)}", *_hint(state.outputs.error, width)]
    apart = _by_fan_out(state, failed)
    shown = list(apart)[:FAILURES_MAX]
    for of in shown:
        first, *others = apart.pop(of)
        lines += ["", *_failure(state, first, of, max(1, room // len(shown) - 4), paint, width, logs)]
        lines += _more(state, others, width, f" of `{visible(state.graph.ids[of])}`")
    rest = [i for members in apart.values() for i in members]
    return [*lines, *([""] if rest else []), *_more(state, rest, width)]


def _by_fan_out(state: State, failed: Sequence[int]) -> dict[int, list[int]]:
    """Failed steps by the outermost fan-out that they belong to; others by themselves. It fails with its instances, so they tell
    more; itself it counts only if it has failed alone."""
    found: dict[int, list[int]] = {}
    for i in failed:
        fans = [j for j in (i, *state.graph.above(i)) if state.steps[j].for_each is not None]
        found.setdefault(fans[-1] if fans else i, []).append(i)
    return {of: [i for i in members if state.attempts[i]] or members for of, members in found.items()}


def _more(state: State, steps: Sequence[int], width: int, of: str = "") -> list[str]:
    """How many more have failed, and which."""
    named = names([state.graph.ids[i] for i in steps[:MORE_NAMED_MAX]], width - 30 - len(of), total=len(steps))
    return [fit(f"  {len(steps):,} more{of} failed: {named}", width)] if steps else []


def _failure(state: State, i: int, of: int, tail_lines: int, paint: Paint, width: int, logs: Logs | None) -> list[str]:
    """A failed step: its error, what it said last, whom it, or the fan-out `of`, took along, and where its log is."""
    error, attempts = state.errors[i], state.attempts[i]
    tried = f" ({attempt_words(attempts, state.steps[i])})" if attempts > 1 else ""
    step = visible(state.graph.ids[i])
    said = fit(message(error), max(width - len(step) - len(tried) - 4, 20))
    lines = [f"{paint('✗', STYLES['failed'])} {paint(step, 'bold')}  {said}{tried}"]
    margin = "  " + paint("│", "dim") + " "
    lines += [margin + fit(line, width - 4) for line in last_lines(error.tail, min(tail_lines, TAIL_LINES_MAX))]
    lines += _hint(error, width)
    skipped = [step for by in dict.fromkeys((i, of)) for step in _skipped_because(state, by)]
    if skipped:
        lines.append(fit(f"  {plural(len(skipped), 'step')} skipped because of it: {names(skipped, width - 40)}", width))
    log = logs(state.graph.ids[i], attempts) if logs and attempts else ""
    lines += [f"  log: {visible(log)}"] if log else []
    return lines


def _hint(error: ErrorRecord, width: int) -> list[str]:
    return [fit(f"  = hint: {visible(error.hint)}", width)] if error.hint else []


def _skipped_because(state: State, i: int) -> list[str]:
    facts = {id(fact): fact for fact in state.skips.values() if fact.because == state.graph.ids[i]}
    return [step for fact in facts.values() for step in fact.steps]


# ---- how to go on ----


def _go_on(state: State, run: str, failed: Sequence[int], width: int) -> list[str]:
    if state.waiting:
        return ["", *asked_lines(state, visible(run), ASKED_MAX, state.interrupted)]
    if state.suspended:
        return ["", f"go on: weft resume {visible(run)}    give up: weft cancel {visible(run)}"]
    if state.broke and not failed:
        return ["", f"the budget is spent; weft retry {visible(run)} goes on with it anew"]
    if state.cancelled:
        reason = f": {visible(state.cancelled.reason)}" if state.cancelled.reason else ""
        return ["", f"cancelled by {visible(state.cancelled.by)}{reason}"]
    if not failed:
        return []
    step = quote(visible(state.graph.ids[failed[0]]))
    run = visible(run)
    lines = [f"weft why {run} {step}"]
    for command in (f"weft logs {run} {step}", f"weft retry {run}"):  # a command stays whole
        joined = f"{lines[-1]} · {command}"
        lines[-1:] = [joined] if len(joined) <= width else [lines[-1], command]
    return ["", *lines]
