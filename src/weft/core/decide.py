"""The core's one entry: observed facts go in, decided facts and commands come out. Pure, and total over what it is told.

Facts that come late, twice, or out of place (an attempt that is not alive, a run that is over) are dropped: the journal holds
only what `apply` has a place for.
"""

from collections.abc import Iterable
from heapq import heappop

import msgspec

from weft.core import facts as f
from weft.core.adapt import adapt, follow_machine
from weft.core.capacity import refuse_oversized
from weft.core.commands import EvaluateOutputs, Leave
from weft.core.dispatch import dispatch, next_opening
from weft.core.facts import Observed
from weft.core.fallback import blocked, fail, over
from weft.core.gates import admit_opening, answer, carry_out, layer_due, open_layer_gate, refusal, silence, waits_for_people
from weft.core.groups import expand
from weft.core.halt import halt, stop
from weft.core.interrupts import refused
from weft.core.shared import ask_for_leases
from weft.core.state import State, layer_gate
from weft.core.status import Status
from weft.core.turn import Round, Turn
from weft.core.verdict import judge, too_late
from weft.model.output import ErrorRecord


def receive(state: State, observed: Iterable[Observed], now: float) -> Turn:
    """Make one turn: apply what was observed, decide all that follows from it, and say when to be called again."""
    turn = Turn(state, max(now, state.now))
    for fact in observed:
        _admit(turn, fact)
    if state.created is None or state.ended or state.left:
        return turn
    carry_out(turn)
    _fire_timers(turn)
    refuse_oversized(turn)
    begins = True
    while begins:
        while state.agenda or state.halt_due or _spends_too_much(turn):
            _settle_agenda(turn)
            _fire_timers(turn)  # a backoff may last no time at all
            refuse_oversized(turn)
        open_layer_gate(turn)
        adapt(turn)
        dispatch(turn)
        ask_for_leases(turn)
        begins = _finish(turn)
    turn.wake_at = _next_timer(state)
    return turn


def _settle_agenda(turn: Turn) -> None:
    state = turn.state
    if state.halt_due:
        halt(turn)
    agenda = dict.fromkeys(state.agenda)  # in order, each once
    state.agenda.clear()
    verdicts = Round()
    for i in agenda:
        judge(turn, i, verdicts)
    verdicts.close(turn)


def _spends_too_much(turn: Turn) -> bool:
    """Whether the budget has just been found to be spent; it matters only if anything is still to start."""
    state, budget = turn.state, turn.state.workflow.budget
    if budget is None or state.halted or state.ending:
        return False
    left = (budget.tokens is None or state.used.tokens < budget.tokens) and (budget.cost is None or state.used.cost < budget.cost)
    if left or not any(_is_to_start(state, i) for i in range(len(state.steps))):
        return False
    turn.emit(f.BudgetSpent(at=turn.now, usage=state.used))
    return True


def _is_to_start(state: State, i: int) -> bool:
    open_ = not state.status[i].settled and state.status[i] is not Status.EXPANDED
    return open_ and i not in state.alive and not blocked(state, i)


def _fire_timers(turn: Turn) -> None:
    """Attempts over their time are stopped, and so is a run; a step whose backoff is over is ready again."""
    state = turn.state
    if state.deadline is not None and state.deadline <= turn.now and _can_time_out(state):
        turn.emit(f.RunTimedOut(at=turn.now))
    due = layer_due(state)
    if due is not None and due <= turn.now and not state.halted:
        silence(turn, layer_gate(state))
    while state.timers and state.timers[0][0] <= turn.now:
        ready: dict[str, None] = {}  # each once: a timeout that did not come may have left an entry for the same instant
        while state.timers and state.timers[0][0] <= turn.now:
            timer = heappop(state.timers)
            i, id_ = timer[1], state.graph.ids[timer[1]]
            if not _stands(state, timer):
                continue
            if state.status[i] is Status.RUNNING:
                stop(turn, i, "timeout")
            elif state.status[i] is Status.READY:
                fail(turn, i, too_late(state, i))
            elif state.halted:
                continue
            elif state.status[i] is Status.AWAITING_APPROVAL:
                silence(turn, id_)
            else:
                ready[id_] = None
        if ready:
            turn.emit(f.StepsReady(at=turn.now, steps=list(ready)))


def _can_time_out(state: State) -> bool:
    """Whether the `timeout` of the run still matters: nothing else ends it, or only once what runs has ended (`drain`)."""
    if state.halted == "stop" and state.stopped_by is not None:
        return state.steps[state.stopped_by].drain
    return state.halted in (None, "budget") and not state.ending


def _stands(state: State, timer: tuple[float, int, int]) -> bool:
    """Whether a timer still means something: the end of a backoff, the timeout of an attempt, of a gate, the deadline of a held
    step."""
    when, i, number = timer
    if state.status[i] is Status.AWAITING_APPROVAL:
        return state.gates[state.graph.ids[i]].until == when
    if state.status[i] is Status.READY:
        return number == 0 and state.deadline_of(i) == when
    if state.status[i] is Status.RUNNING:
        return state.alive[i].number == number
    return state.backoff_until.get(i) == when


def _next_timer(state: State) -> float | None:
    while state.timers and not _stands(state, state.timers[0]):
        heappop(state.timers)
    due = [state.timers[0][0]] if state.timers else []
    gate_due = layer_due(state)
    if gate_due is not None and not state.halted:
        due.append(gate_due)
    if state.deadline is not None and _can_time_out(state) and not state.ended:
        due.append(state.deadline)
    opening = None if state.halted else next_opening(state)
    if opening is not None:
        due.append(opening)
    return min(due, default=None)


def _finish(turn: Turn) -> bool:
    """End the run, or suspend it, if it is time; whether the steps of `finally` have their turn from now on."""
    state = turn.state
    if state.alive:
        return False
    if state.open == state.last_open and state.ending is None:
        if state.workflow.outputs and state.outputs is None:
            if state.outputs_due:
                state.outputs_due = False
                turn.order(EvaluateOutputs(partial=_outcome(state) in ("cancelled", "failed")))
            return False
        if state.last:
            turn.emit(f.RunEnding(at=turn.now, status=_outcome(state)))
            return True
    if not state.open:
        turn.emit(f.RunEnded(at=turn.now, status=_outcome(state)))
    elif state.suspending:
        turn.emit(f.RunSuspended(at=turn.now))
    elif not state.stays and not turn.commands and waits_for_people(state):
        turn.emit(f.RunWaiting(at=turn.now, gates=[*state.asking, *(state.graph.ids[i] for i in state.interrupted)]))
    if state.ended or state.left:
        turn.order(Leave(after=state.seq))
    return False


def _outcome(state: State) -> f.Outcome:
    if state.cancelled:
        return "cancelled"
    if state.failed_hard or state.timed_out or state.broke or (state.outputs and state.outputs.error):
        return "failed"
    if state.rejected:
        return "cancelled"
    return "succeeded_with_errors" if state.failed_soft else "succeeded"


# ---- admission ----


def _admit(turn: Turn, fact: Observed) -> None:
    """Apply an observed fact if there is a place for it."""
    state = turn.state
    works = state.created is not None and not state.ended and not state.left
    if isinstance(fact, f.Answer):
        if works:
            _admit_answer(turn, fact)
        return
    fact = msgspec.structs.replace(fact, at=turn.now)
    match fact:
        case f.AttemptEnded() | f.AttemptSpawned() | f.AttemptLost():  # first, since most are such
            if works:
                _admit_attempt(turn, fact)
        case f.RunCreated() if state.created is None:
            turn.emit(fact)
        case f.RetryRequested() if state.ended and state.ended.status != "succeeded":
            turn.emit(fact)
        case _ if state.created is None or state.ended:
            return
        case f.EngineAttached():
            turn.emit(fact)
            for i, attempt in list(state.alive.items()):  # whoever attaches has proved that they are dead
                turn.emit(f.AttemptLost(at=turn.now, step=state.graph.ids[i], attempt=attempt.number))
        case _ if state.left:
            return
        case f.ConditionEvaluated() if _awaits_verdict(state, state.graph.index[fact.step]):
            turn.emit(fact)
        case f.FingerprintTaken() if _awaits_fingerprint(state, state.graph.index[fact.step]):
            turn.emit(msgspec.structs.replace(fact, found=None))
            if fact.found:
                turn.emit(f.StepReused(at=turn.now, step=fact.step, run=fact.found.run, output=fact.found.output))
        case f.PoolLeased() | f.PoolBusy():
            turn.emit(fact)
        case f.PressureObserved():
            follow_machine(turn, fact)
        case f.OutputsEvaluated() if state.open == state.last_open and state.outputs is None and not state.ending:
            turn.emit(fact)
        case f.GateOpened():
            admit_opening(turn, fact)
        case f.GateAnswered() if not refusal(state, fact, turn.now):
            answer(turn, fact)
        case f.InterruptAnswered():
            _admit_told(turn, fact)
        case f.CancelRequested() if not state.cancelled or (state.ending and not state.cut_short):
            turn.emit(fact)
        case f.SuspendRequested() if not state.suspending or fact.how == "kill" != state.suspending.how:
            turn.emit(fact)


def _admit_told(turn: Turn, fact: f.InterruptAnswered) -> None:
    """Somebody may speak of a step in the very turn in which it is found to be interrupted, as they come with a new engine."""
    state = turn.state
    i = state.graph.index.get(fact.step, -1)
    lost = state.pending.get(i)
    if isinstance(lost, f.AttemptLost) and state.steps[i].rerun != "always" and not over(state, i):
        turn.emit(f.StepInterrupted(at=turn.now, step=fact.step, attempt=lost.attempt))
    if not refused(state, fact, state.interrupted):
        turn.emit(fact)


def _awaits_verdict(state: State, i: int) -> bool:
    return state.status[i] is Status.WAITING and not state.unsettled[i] and i not in state.verdicts and not blocked(state, i)


def _awaits_fingerprint(state: State, i: int) -> bool:
    return state.status[i] is Status.WAITING and not state.unsettled[i] and not state.halted and i not in state.prints


def _admit_answer(turn: Turn, fact: f.Answer) -> None:
    """What a fan-out or a sub-workflow asked for has come, if it still waits for it."""
    state = turn.state
    i = state.graph.index[fact.step]
    asks = state.steps[i].grows and not state.halted and not state.unsettled[i] and not blocked(state, i)
    if isinstance(fact, f.ItemsEvaluated) and not (asks and state.status[i] is Status.WAITING):
        return
    if isinstance(fact, f.GroupEvaluated) and (
        state.status[i] is not Status.EXPANDED or state.unsettled_children.get(i) or i in state.stand_ins
    ):
        return
    if fact.error:
        fail(turn, i, fact.error)
    elif isinstance(fact, f.ItemsEvaluated):
        expand(turn, i, fact.keys)
    else:
        turn.emit(f.StepSucceeded(at=turn.now, step=fact.step, output=fact.output))


def _admit_attempt(turn: Turn, fact: f.AttemptSpawned | f.AttemptEnded | f.AttemptLost) -> None:
    state = turn.state
    i = state.graph.index[fact.step]
    attempt = state.alive.get(i)
    if attempt is None or attempt.number != fact.attempt:
        return
    if isinstance(fact, f.AttemptEnded):
        turn.emit(fact if attempt.cause is None and fact.outcome != "cancelled" else _as_caused(state, i, fact))
    else:
        turn.emit(fact)


def _as_caused(state: State, i: int, fact: f.AttemptEnded) -> f.AttemptEnded | f.AttemptLost:
    """How an attempt of step i ended that was stopped: that follows from why, not from how its process took it. One that answers
    the signal with exit status 0 has not completed its work by that."""
    cause = state.alive[i].cause
    tail = fact.error.tail if fact.error else ""
    if cause == "suspend":
        return f.AttemptLost(at=fact.at, step=fact.step, attempt=fact.attempt, reason="suspend")
    if cause == "timeout":
        error = msgspec.structs.replace(too_late(state, i), tail=tail)
        return msgspec.structs.replace(fact, outcome="failed", output=None, error=error)
    if cause is None:
        error = ErrorRecord(kind="killed", message="it was cancelled from outside", tail=tail)
        return msgspec.structs.replace(fact, outcome="failed", output=None, error=error)
    error = ErrorRecord(kind="cancelled", message=f"it was stopped ({cause})", tail=tail)
    return msgspec.structs.replace(fact, outcome="cancelled", output=None, error=error)
