"""`weft why`: why a step is as it is, down to what it waits for in the end; or what a whole run waits for now."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from weft.core.interrupts import asked_about
from weft.core.state import State
from weft.core.status import Status
from weft.core.why import Why, why
from weft.model.units import format_duration
from weft.views.asked import gates_as_json
from weft.views.scene import Scene
from weft.views.story import message, spent
from weft.views.summary import run_status
from weft.views.text import STYLES, Paint, names, plural, visible, words

CHAIN_MAX: Final = 12
"""Links from a waiting step to what runs; of a longer chain the first and the last matter, and the rest is counted."""

NAMED_MAX: Final = 8
ASKED_MAX: Final = 20
"""Questions to people that are listed."""
NAMED_WIDTH: Final = 80

LISTED_MAX: Final = 1_000
"""Steps that the JSON of a run lists for each status but `waiting`."""


def render_step(state: State, step: str, *, now: float, color: bool) -> str:
    """One sentence for the step, one more for each step it waits for. `now`: seconds since the epoch."""
    paint = Paint(color)
    links = chain(state, step)
    lines = []
    for depth, link in enumerate(_shortened(links)):
        if isinstance(link, int):
            lines.append(f"{'  ' * depth}… {plural(link, 'step')} between")
            continue
        step = f"{paint(visible(link.step), 'bold')} {_verb(link.status, paint)}"
        lines.append(f"{'  ' * depth}{step}: {visible(link.reason)}{_until(link, now)}")
        lines += [f"{'  ' * depth}{visible(link.reuse)}"] if link.reuse else []
    return "\n".join(lines)


def step_as_json(state: State, step: str) -> dict[str, Any]:
    """The sentences as data: that of the step, and under `chain` those of what it waits for."""
    first, *rest = chain(state, step)
    return {**msgspec.structs.asdict(first), "chain": [msgspec.structs.asdict(link) for link in rest]}


def chain(state: State, step: str) -> list[Why]:
    """Why the step waits, why the step that it waits for waits, and so on, to one that does something or to what holds it."""
    links = [why(state, state.graph.index[step])]
    while links[-1].status == "waiting" and links[-1].steps:  # each in a layer further down
        waiting = [state.graph.index[id_] for id_ in links[-1].steps]
        busy = next((i for i in waiting if state.status[i] is not Status.WAITING), waiting[0])
        links.append(why(state, busy))
    return links


def _shortened(links: list[Why]) -> list[Why | int]:
    if len(links) <= CHAIN_MAX:
        return list(links)
    return [*links[: CHAIN_MAX - 2], len(links) - CHAIN_MAX + 1, links[-1]]


def _verb(status: str, paint: Paint) -> str:
    """`is held`, `was skipped`, `failed`."""
    verb = "" if status.startswith(("succeeded", "failed")) else "was " if status in ("skipped", "cancelled", "reused") else "is "
    return verb + paint(words(status), STYLES.get(status, ""))


def _until(link: Why, now: float) -> str:
    if link.until is None:
        return ""
    left_s = link.until - now
    until = link.status == "backing_off" or link.cause in ("rate", "breaker")
    return f" ({'until' if until else 'timeout'} in {format_duration(left_s)})" if left_s > 0 else ""


# ---- a run ----


def render_run(state: State, *, run: str, now: float, color: bool, width: int = 100, alive: bool = True) -> str:
    """What the run waits for now, or why it ended as it did. `now`: seconds since the epoch, or the time of the last fact.

    `alive`: an engine holds the run, or none needs to.
    """
    paint, status = Paint(color), run_status(state)
    done = len(state.steps) - state.open
    lines = [f"run {paint(visible(run), 'bold')} {_verb(status, paint)}: {_outcome(state, done)}"]
    lines += _asked(state, visible(run), state.interrupted if alive else asked_about(state))
    if not alive:
        lines.append(f"its engine is gone: weft resume {visible(run)} goes on")
    if not state.ended:
        rows = Scene.of(state).sections(now, width, paint)
        lines += ["", *rows] if rows else []
        asked = sum(gate in state.graph.index for gate in state.asking) + len(state.interrupted)
        waiting = state.open - len(state.alive) - len(state.backoff_until) - sum(map(len, state.ready)) - asked
        if waiting:
            lines.append(paint(f" {plural(waiting, 'more step')} {'waits' if waiting == 1 else 'wait'} for these", "dim"))
    return "\n".join(lines)


def _asked(state: State, run: str, interrupted: Mapping[int, int]) -> list[str]:
    """How to answer what people are asked."""
    lines = [f"asked at {visible(gate)}: weft approve {run} {visible(gate)}, or weft reject" for gate in state.asking]
    for i in interrupted:
        step, done = visible(state.graph.ids[i]), "" if state.steps[i].rerun == "ask" else " --done"
        also = " (--done: its work is done)" if not done else ""
        lines.append(f"asked about {step}, which is interrupted: weft approve {run} {step}{done}{also}, or weft reject")
    return [*lines[:ASKED_MAX], *([f"… and {len(lines) - ASKED_MAX:,} more"] if lines[ASKED_MAX:] else [])]


def run_as_json(state: State, *, run: str, alive: bool = True) -> dict[str, Any]:
    """The run as data: every step that is on its way, at most LISTED_MAX for each status, with its reason."""
    on_its_way: dict[str, list[int]] = {
        "running": [i for i in state.alive if state.status[i] is Status.RUNNING],
        "stopping": [i for i in state.alive if state.status[i] is Status.STOPPING],
        "backing_off": list(state.backoff_until),
        "held": sorted(i for ready in state.ready for i in ready),
        "interrupted": list(state.interrupted),
        "awaiting_approval": [state.graph.index[gate] for gate in state.asking if gate in state.graph.index],
        "failed": [i for i in state.errors if state.status[i] is Status.FAILED],
    }
    return {
        "run": run,
        "status": run_status(state),
        "alive": alive,
        "done": len(state.steps) - state.open,
        "steps": len(state.steps),
        "gates": gates_as_json(state),
        **{status: [msgspec.structs.asdict(why(state, i)) for i in steps[:LISTED_MAX]] for status, steps in on_its_way.items()},
    }


def _outcome(state: State, done: int) -> str:
    if not state.ended:
        return f"{done:,} of {plural(len(state.steps), 'step')} done"
    if state.cancelled:
        reason = f": {visible(state.cancelled.reason)}" if state.cancelled.reason else ""
        return f"{visible(state.cancelled.by)} asked for it{reason}"
    if state.broke:
        return f"its budget is spent: {spent(state.broke.usage)}"
    if state.timed_out:
        return f"it had taken longer than its `timeout` of {format_duration(state.workflow.timeout_s or 0)}"
    if state.outputs and state.outputs.error:
        return f"its outputs could not be evaluated: {message(state.outputs.error)}"
    failed = [i for i in state.errors if state.status[i] is Status.FAILED]
    hard = [i for i in failed if state.steps[i].on_error != "continue" and not state.answered_for(i)]
    if hard:
        others = f"; so did {_named(state, hard[1:])}" if hard[1:] else ""
        return f"`{visible(state.graph.ids[hard[0]])}` failed ({message(state.errors[hard[0]])}){others}"
    return f"{_named(state, failed)} failed with `on_error: continue`" if failed else "no step failed"


def _named(state: State, steps: Sequence[int]) -> str:
    return names([state.graph.ids[i] for i in steps[:NAMED_MAX]], NAMED_WIDTH, total=len(steps))
