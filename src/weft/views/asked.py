"""Gates in words and as data: what was asked, until when, and who answered what. Shared by all views."""

from collections.abc import Mapping
from typing import Any

import msgspec

from weft.core.facts import GateAnswered, GateOpened
from weft.core.state import State
from weft.core.why import answered
from weft.views.runs import moment
from weft.views.text import names, plural, visible

CHANGED_WIDTH = 60
SHOWN_LINES_MAX = 12
"""Lines of what an open gate shows."""


def opened_words(opened: GateOpened) -> str:
    """The question, and until when it can be answered."""
    until = f"  (until {moment(opened.until)})" if opened.until is not None else ""
    return visible(opened.message) + until


def answer_words(answer: GateAnswered) -> str:
    """Who answered what, why, and with which changes."""
    changes = [
        f"with {names(list(answer.inputs), CHANGED_WIDTH)} changed" if answer.inputs else "",
        f"{plural(len(answer.skip), 'step')} left out" if answer.skip else "",
        f"{plural(len(answer.inject), 'new step')}" if answer.inject else "",
    ]
    return ", ".join([visible(answered(answer)), *filter(None, changes)])


def gate_rows(state: State, gate: str) -> list[tuple[str, str]]:
    """What is known of a gate, as labelled rows."""
    opened, answer = state.gates.get(gate), state.answers.get(gate)
    if opened is None:
        return []
    rows = [("asked", f"{moment(opened.at)}  {opened_words(opened)}")]
    return rows + ([("answer", f"{moment(answer.at)}  {answer_words(answer)}")] if answer else [])


def shown_lines(value: object, most: int) -> list[str]:
    """The first lines of what a gate shows."""
    text = value if isinstance(value, str) else msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    lines = [visible(line.expandtabs()) for line in text.rstrip("\n").split("\n")]
    return lines if len(lines) <= most else [*lines[: most - 1], f"… {plural(len(lines) - most + 1, 'more line')}"]


def asked_lines(state: State, run: str, most: int, interrupted: Mapping[int, int]) -> list[str]:
    """What people are asked, with what to look at, and how to answer: at most `most` gates and as many interrupted steps.

    `interrupted`: steps and the attempt that was lost.
    """
    lines = []
    for gate in list(state.asking)[:most]:
        lines.append(f"? {visible(gate)}  {opened_words(state.gates[gate])}")
        shown = state.gates[gate].show
        lines += [f"  │ {line}" for line in shown_lines(shown, SHOWN_LINES_MAX)] if shown is not None else []
        lines.append(f"  yes: weft approve {run} {visible(gate)}    no: weft reject {run} {visible(gate)}")
    for i, attempt in list(interrupted.items())[:most]:
        step = visible(state.graph.ids[i])
        lines.append(f"? {step}  {interrupted_words(state, i, attempt)}")
        again = f"again: weft approve {run} {step}    " if state.steps[i].rerun == "ask" else ""
        lines.append(f"  {again}it is done: weft approve {run} {step} --done    it has failed: weft reject {run} {step}")
    more = sum(max(0, len(of) - most) for of in (state.asking, interrupted))
    return [*lines, *([f"  … and {more:,} more: weft why {run}"] if more else [])]


def interrupted_words(state: State, i: int, attempt: int) -> str:
    """What is asked about an interrupted step."""
    asks = "may it run again?" if state.steps[i].rerun == "ask" else "is its work done?"
    return f"interrupted, attempt {attempt} was lost: {asks}"


def asked_as_json(state: State, interrupted: Mapping[int, int]) -> list[dict[str, Any]]:
    """All that people are asked now: at open gates, and about interrupted steps."""
    gates = [{"kind": "gate", **gate} for gate in gates_as_json(state) if gate["open"]]
    steps = [
        {"kind": "interrupted", "step": state.graph.ids[i], "attempt": attempt, "rerun": state.steps[i].rerun}
        for i, attempt in interrupted.items()
    ]
    return [*gates, *steps]


def gates_as_json(state: State) -> list[dict[str, Any]]:
    """Every gate that has been opened: what was asked, since when, until when; who answered what, when and why."""
    return [_gate_json(state, opened) for opened in state.gates.values()]


def _gate_json(state: State, opened: GateOpened) -> dict[str, Any]:
    answer = state.answers.get(opened.gate)
    return {
        "gate": opened.gate,
        "open": opened.gate in state.asking,
        "message": opened.message,
        "show": opened.show,
        "opened_at": opened.at,
        "until": opened.until,
        "answer": None
        if answer is None
        else {
            "answer": answer.answer,
            "by": answer.by,
            "at": answer.at,
            "reason": answer.reason,
            "form": answer.form,
            "with": answer.inputs,
            "skip": answer.skip,
            "inject": [step.id for step in answer.inject],
        },
    }
