"""What becomes of a step that waits for nothing more: it may start, it is skipped, it gets another attempt, or it is over.

Verdicts of one round are gathered and become one fact each for all ready steps and for all steps skipped by one cause.
"""

from weft.core import facts as f
from weft.core.commands import EvaluateCondition, EvaluateItems, TakeFingerprint
from weft.core.fallback import blocked, fail, judge_stand_in, over
from weft.core.gates import pass_gate
from weft.core.groups import expand, judge_group
from weft.core.interrupts import told_words
from weft.core.retry import draw, next_start
from weft.core.state import State, behind
from weft.core.status import Status
from weft.core.turn import Round, Turn
from weft.model.output import ErrorRecord
from weft.model.units import format_duration


def judge(turn: Turn, i: int, verdicts: Round) -> None:
    """Decide about step i if it is waiting for a decision."""
    state = turn.state
    if state.status[i] is Status.EXPANDED:
        if i in state.stand_ins:
            judge_stand_in(turn, i)
        elif not state.unsettled_children.get(i):
            judge_group(turn, i, verdicts)
        return
    if state.status[i] is not Status.WAITING:
        return
    if state.graph.ids[i] in state.left_out:
        verdicts.skip(state.graph.ids[i], "not_selected", "")
        return
    if blocked(state, i):
        user = state.users.get(state.graph.ids[i])
        if user is not None and state.status[user].settled:
            verdicts.skip(state.graph.ids[i], "not_needed", state.graph.ids[user])
        return
    if state.unsettled[i]:
        _follow(turn, i)
        return
    told, end = state.told.get(i), state.pending.get(i)
    if told and told.answer != "again":
        _judge_answer(turn, i, told)
    elif isinstance(end, f.AttemptEnded):
        _judge_end(turn, i, end)
    elif end is not None:
        _judge_loss(turn, i, verdicts)
    elif not state.halted:
        _judge_needs(turn, i, verdicts)


def _follow(turn: Turn, i: int) -> None:
    """What is wired to a fan-out that was taken from an earlier run gets its instances at once, as that one has."""
    state = turn.state
    wired = state.graph.index.get(state.steps[i].wired, -1)
    parts = state.graph.children.get(wired, ()) if i in state.wired.get(wired, ()) else ()
    if parts and not state.halted:
        expand(turn, i, [state.keys[part] for part in parts])


def _judge_needs(turn: Turn, i: int, verdicts: Round) -> None:
    state, step = turn.state, turn.state.steps[i]
    if behind(state, i):
        state.parked.setdefault(state.graph.layer[i], []).append(i)
        return
    failed = failed_need(state, i)
    verdict = state.verdicts.get(i)
    if verdict is None and not state.uses_status(i) and failed is not None:
        verdicts.skip(step.id, "need_failed", _origin(turn, failed))
    elif verdict is None and not state.uses_status(i) and not any_succeeded(state, i):
        verdicts.skip(step.id, "needs_skipped", step.needs[0])
    elif verdict is None and state.asks(i):
        turn.order(EvaluateCondition(step=step.id))
    elif verdict and verdict.error:
        fail(turn, i, verdict.error)
    elif (verdict is None or verdict.verdict) and step.reuse and i not in state.prints:
        turn.order(TakeFingerprint(step=step.id))
    elif verdict is None or verdict.verdict:
        if pass_gate(turn, i):
            _go(turn, i, verdicts)
    elif failed is not None:
        verdicts.skip(step.id, "need_failed", _origin(turn, failed))
    else:
        verdicts.skip(step.id, "condition", "")


def _go(turn: Turn, i: int, verdicts: Round) -> None:
    step = turn.state.steps[i]
    if step.grows:
        turn.order(EvaluateItems(step=step.id))
    else:
        verdicts.ready.append(step.id)


def failed_need(state: State, i: int) -> int | None:
    """The first settled need of step i that counts as failed."""
    if not (state.errors or state.skips or state.stop_causes):
        return None  # nothing has gone wrong so far
    return next((need for need in state.graph.needs[i] if state.counts_as_failed(need)), None)


def any_succeeded(state: State, i: int) -> bool:
    """Whether there is no need, or one that succeeded; where none counts as failed, that is one which was not skipped."""
    needs = state.graph.needs[i]
    return not (needs and state.skips) or any(state.status[need] is not Status.SKIPPED for need in needs)


def _origin(turn: Turn, need: int) -> str:
    """The step that started it all: a chain of skips names the first failure, not its own last link."""
    skip = turn.state.skips.get(need)
    return skip.because if skip and skip.reason == "need_failed" else turn.state.graph.ids[need]


def _judge_end(turn: Turn, i: int, end: f.AttemptEnded) -> None:
    state, step = turn.state, turn.state.steps[i]
    if end.outcome == "cancelled":
        turn.emit(f.StepCancelled(at=turn.now, step=step.id, cause=state.stop_causes[i]))
        return
    error = end.error or ErrorRecord(kind="error", message="the attempt failed and did not say why")
    seed = state.created.seed if state.created else 0
    until = next_start(
        step.retry,
        state.failures[i],
        error,
        now=turn.now,
        first_started=state.first_started.get(i, turn.now),
        deadline=state.deadline_of(i),
        chance=draw(seed, step.id, end.attempt),
    )
    if until is None or over(state, i):
        fail(turn, i, error)
    else:
        turn.emit(f.BackoffStarted(at=turn.now, step=step.id, attempt=end.attempt, until=until))


def _judge_loss(turn: Turn, i: int, verdicts: Round) -> None:
    """A lost attempt is followed by another whatever `retry` says, unless the step is not wanted any more."""
    cause = over(turn.state, i)
    if cause:
        turn.emit(f.StepCancelled(at=turn.now, step=turn.state.graph.ids[i], cause=cause))
    elif turn.state.steps[i].rerun != "always":
        step = turn.state.graph.ids[i]
        turn.emit(f.StepInterrupted(at=turn.now, step=step, attempt=turn.state.attempts[i]))
    elif not turn.state.halted:
        verdicts.ready.append(turn.state.graph.ids[i])


def _judge_answer(turn: Turn, i: int, told: f.InterruptAnswered) -> None:
    """Somebody has said what became of an interrupted step."""
    if told.answer == "done":
        turn.emit(f.StepSucceeded(at=turn.now, step=told.step))
        return
    message = f"it was interrupted, and {told_words(told)}"
    fail(turn, i, ErrorRecord(kind="lost", message=message, hint="`weft retry` tries it again"))


def too_late(state: State, i: int) -> ErrorRecord:
    """What is said of step i when it has exceeded its `deadline`, or the living attempt its `timeout`, whichever came first."""
    step, deadline = state.steps[i], state.deadline_of(i)
    if step.deadline_s is not None and (i not in state.alive or state.due(i) == deadline):
        message = f"it had not ended {format_duration(step.deadline_s)} after its first start, its `deadline`"
    else:
        message = f"it had not ended after {format_duration(step.timeout_s or 0)}"
    return ErrorRecord(kind="timeout", message=message)
