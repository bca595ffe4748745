"""Steps that stand for others: when they expand, and what becomes of them once all their parts have settled.

A fan-out succeeds if none of its instances counts as failed, however many were skipped by their `if`: its output is a mapping,
which may be empty.
"""

from collections.abc import Sequence

from weft.core import facts as f
from weft.core.commands import EvaluateGroup
from weft.core.fallback import blocked, fail
from weft.core.growth import STEPS_MAX
from weft.core.status import Status
from weft.core.turn import Round, Turn
from weft.model.output import ErrorRecord
from weft.model.workflow import Flow

NAMED_MAX = 3
"""Failed parts that an error names: the rest can be listed."""


def expand(turn: Turn, i: int, keys: Sequence[str]) -> None:
    """Add the steps that step i stands for, and those of the fan-outs that are wired to it."""
    state = turn.state
    step = state.steps[i]
    count = len(keys) if step.for_each is not None else _size(step.action)
    if len(state.steps) + count > STEPS_MAX:
        message = f"with its {count:,} steps the run would have more than {STEPS_MAX:,}"
        error = ErrorRecord(kind="input", message=message, hint="let a step do more of the work, or make several runs")
        fail(turn, i, error)
        return
    turn.emit(f.StepsAdded(at=turn.now, parent=step.id, keys=list(keys)))
    for j in state.wired.get(i, ()):
        chosen = state.graph.ids[j] not in state.left_out and not blocked(state, j)
        if keys and state.status[j] is Status.WAITING and chosen:
            expand(turn, j, keys)


def _size(action: object) -> int:
    return len(action.workflow.steps) if isinstance(action, Flow) else 0


def judge_group(turn: Turn, i: int, verdicts: Round) -> None:
    """All parts of step i have settled: so does it, unless its output must be evaluated first."""
    state, step = turn.state, turn.state.steps[i]
    bad: dict[Status, list[int]] = {}
    for part in state.graph.children.get(i, ()):
        if state.counts_as_failed(part) and state.steps[part].role != "fallback":
            bad.setdefault(state.status[part], []).append(part)
    if failed := bad.get(Status.FAILED):
        fail(turn, i, _error_of(turn, i, failed))
    elif cancelled := bad.get(Status.CANCELLED):
        turn.emit(f.StepCancelled(at=turn.now, step=step.id, cause=state.stop_causes[cancelled[0]]))
    elif skipped := bad.get(Status.SKIPPED):
        skip = state.skips[skipped[0]]
        verdicts.skip(step.id, skip.reason, skip.because)
    elif step.for_each is None and isinstance(step.action, Flow) and step.action.workflow.outputs:
        turn.order(EvaluateGroup(step=step.id))
    else:
        turn.emit(f.StepSucceeded(at=turn.now, step=step.id))


def _error_of(turn: Turn, i: int, failed: list[int]) -> ErrorRecord:
    state = turn.state
    parts = len(state.graph.children[i])
    named = ", ".join(f"`{state.graph.ids[part]}`" for part in failed[:NAMED_MAX])
    more = f" and {len(failed) - NAMED_MAX} more" if len(failed) > NAMED_MAX else ""
    first = state.errors[failed[0]]
    what = "instances" if state.steps[i].for_each is not None else "steps"
    message = f"{len(failed)} of {parts} {what} failed: {named}{more}; the first one: {first.message}"
    return ErrorRecord(kind=first.kind, message=message, hint=first.hint)
