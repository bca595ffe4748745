"""The one mutator: `apply(state, fact)`. The same facts in the same order always give the same state.

Nothing here chooses. What follows from a fact by the definition of the workflow alone (a need is settled, a slot is held) is
written; what could go either way is decided in `decide` and comes back here as a fact of its own.
"""

from collections.abc import Callable, Sequence
from heapq import heappush
from typing import Any

import msgspec

from weft.core import facts as f
from weft.core import lending
from weft.core.facts import Fact
from weft.core.growth import grown
from weft.core.moves import move
from weft.core.state import Attempt, State
from weft.core.status import Event
from weft.model.errors import Bug
from weft.model.workflow import Step


def apply(state: State, fact: Fact) -> None:
    """Take one fact into account. Raises Bug if the status table has no place for it."""
    state.seq += 1
    _APPLY[type(fact)](state, fact)
    state.now = fact.at


def _release(state: State, i: int, number: int) -> float:
    """The attempt holds nothing any more. Returns when it started."""
    attempt = state.alive.pop(i, None)
    if attempt is None or attempt.number != number:
        raise Bug(f"attempt {number} of step `{state.graph.ids[i]}` is not alive (fact {state.seq})")
    for pool, weight in state.demands.of(i):
        holders = state.holders[pool]
        holders[weight].discard(i)
        if not holders[weight]:
            del holders[weight]
        state.stirred.add(pool)
    state.ended_seq[i] = state.seq
    return attempt.started


def _run_created(state: State, fact: f.RunCreated) -> None:
    state.created = fact
    state.load(fact.workflow, fact.estimates)  # nothing starts for a run that is not on disk: all are unblocked by this fact
    state.agenda.extend([i for i, needs in enumerate(state.unsettled) if not needs])
    state.left_out = frozenset(fact.left_out)
    state.agenda.extend([i for id_, i in state.graph.index.items() if id_ in state.left_out] if state.left_out else ())
    for id_, given in fact.given.items():
        _take(state, state.graph.index[id_], given)
    state.outputs_due = state.open == state.last_open
    if fact.workflow.timeout_s is not None:
        state.deadline = fact.at + fact.workflow.timeout_s


def _take(state: State, i: int, given: f.Given) -> None:
    """What is taken from an earlier run is there at once: an output, or the parts that a step stands for."""
    step = state.steps[i]
    if step.grows:
        if step.wired and not state.graph.children.get(state.graph.index[step.wired]):  # the other one gets new instances
            step = msgspec.structs.replace(step, wired="", each_if=False)
        _expand(state, i, step, given.keys)
        state.agenda.extend(state.wired.get(i, ()))
    else:
        state.reused[i] = given.run
        move(state, i, Event.REUSED)


def _engine_attached(state: State, fact: f.EngineAttached) -> None:
    if state.deadline is not None:
        state.deadline += fact.at - state.now  # no time has passed for the run while no engine worked on it
    state.limits = fact.limits
    state.curbs.note_engine(fact.at)
    state.leases.note_engine()
    state.suspending = state.waiting = None
    state.suspended = state.left = False
    state.stays = fact.stays


def _attempt_spawned(state: State, fact: f.AttemptSpawned) -> None:
    attempt = state.alive[state.graph.index[fact.step]]
    attempt.pid, attempt.pid_started = fact.pid, fact.started


def _attempt_ended(state: State, fact: f.AttemptEnded) -> None:
    i = state.graph.index[fact.step]
    started = _release(state, i, fact.attempt)
    if fact.usage:
        state.used = state.used.plus(fact.usage)
    cannot_tell = fact.outcome == "cancelled" or (fact.error is not None and fact.error.kind == "input")
    state.curbs.note_end(i, started, ok=None if cannot_tell else fact.outcome == "ok", error=fact.error)
    if fact.outcome == "ok":
        state.took_s[i] = fact.at - started
        if fact.stored and fact.stored.refused:
            state.not_stored[i] = fact.stored.refused
        move(state, i, Event.ENDED_OK)
        return
    move(state, i, Event.ENDED_BADLY)
    if fact.outcome == "failed":
        state.failures[i] += 1
    state.pending[i] = fact
    state.agenda.append(i)


def _attempt_lost(state: State, fact: f.AttemptLost) -> None:
    i = state.graph.index[fact.step]
    state.curbs.note_end(i, _release(state, i, fact.attempt), ok=None)
    move(state, i, Event.LOST)
    state.pending[i] = fact
    state.agenda.append(i)


def _condition_evaluated(state: State, fact: f.ConditionEvaluated) -> None:
    i = state.graph.index[fact.step]
    state.verdicts[i] = fact
    if fact.keys:
        state.demands.assign(i, state.steps[i], fact.keys)
        state.make_room()
    state.unblocked_seq[i] = state.seq
    state.agenda.append(i)


def _fingerprint_taken(state: State, fact: f.FingerprintTaken) -> None:
    i = state.graph.index[fact.step]
    state.prints[i] = fact
    state.unblocked_seq[i] = state.seq
    state.agenda.append(i)


def _outputs_evaluated(state: State, fact: f.OutputsEvaluated) -> None:
    state.outputs = fact


def _cancel_requested(state: State, fact: f.CancelRequested) -> None:
    state.cut_short = state.ending is not None
    state.cancelled = state.cancelled or fact
    state.halt_due = True


def _suspend_requested(state: State, fact: f.SuspendRequested) -> None:
    state.suspending = fact
    state.halt_due = True


def _pressure_observed(state: State, fact: f.PressureObserved) -> None:
    pass  # what follows from it is a fact of its own


def _units_reserved(state: State, fact: f.UnitsReserved) -> None:
    pools = frozenset(state.demands.number[of.pool, of.key] for of in fact.pools)
    state.curbs.note_reserved(state.graph.index[fact.step], pools)


def _pool_resized(state: State, fact: f.PoolResized) -> None:
    pool = state.demands.number[fact.pool, fact.key]
    state.curbs.note_resized(pool, fact.slots, fact.at)
    state.stirred.add(pool)


def _breaker_opened(state: State, fact: f.BreakerOpened) -> None:
    state.curbs.note_opened(state.demands.number[fact.pool, fact.key], fact.until)


def _breaker_closed(state: State, fact: f.BreakerClosed) -> None:
    pool = state.demands.number[fact.pool, fact.key]
    state.curbs.note_closed(pool)
    state.stirred.add(pool)


def _retry_requested(state: State, fact: f.RetryRequested) -> None:
    """What did not succeed is as if it had never been tried, but for the numbers of its attempts. What it is part of goes on, and
    so does `finally`, whatever came of it."""
    failed = [i for i, status in enumerate(state.status) if status.settled and not status.good]
    failed = [i for i in failed if i not in state.skips or state.skips[i].reason != "not_selected"]
    rescued = {each for i, j in state.stand_ins.items() if state.status[i].good for each in (i, j)}
    failed = [i for i in failed if rescued.isdisjoint(state.graph.above(i))] if rescued else failed
    parts = {above for i in failed for above in state.graph.above(i)}
    again = sorted(parts.union(failed, state.last))
    for i in again:
        if i in state.stand_ins and not _has_begun_parts(state, state.stand_ins[i]):
            state.graph.stand_down(state.stand_ins.pop(i))
            del state.first_errors[i]
        reopened = i in state.graph.children or i in state.stand_ins
        succeeded = state.status[i].good
        move(state, i, Event.REOPENED if reopened else Event.REPEATED if succeeded else Event.RETRY)
        state.failures[i] = 0
        state.unblocked_seq[i] = state.seq
    for about in (
        state.errors,
        state.skips,
        state.verdicts,
        state.prints,
        state.stop_causes,
        state.first_started,
        state.reused,
        state.told,
    ):
        for i in again:
            about.pop(i, None)
    state.errors.update({i: state.first_errors[i] for i in again if i in state.stand_ins})
    state.reopen(fact.at)
    state.plan = None
    waits = [state.graph.ids[i] for i in again if i not in state.graph.children and i not in state.stand_ins]
    for gate in [*waits, *(f"layer#{layer}" for layer in range(state.passed, len(state.layers)))]:  # they are asked again
        state.gates.pop(gate, None)
        state.answers.pop(gate, None)
    state.agenda.extend([i for i in again if not state.unsettled[i] or i in state.graph.children or i in state.stand_ins])


def _has_begun_parts(state: State, fallback: int) -> bool:
    """Whether a fallback, or the one that ran for it, has parts: then these go on, and its step is not tried again before."""
    while fallback not in state.graph.children:
        if fallback not in state.stand_ins:
            return False
        fallback = state.stand_ins[fallback]
    return True


def _gate_opened(state: State, fact: f.GateOpened) -> None:
    state.gates[fact.gate] = fact
    state.asking[fact.gate] = None
    i = state.graph.index.get(fact.gate)
    if i is None:
        state.gate_due = False
        return
    move(state, i, Event.OPENED)
    if fact.until is not None:
        heappush(state.timers, (fact.until, i, 0))


def _gate_answered(state: State, fact: f.GateAnswered) -> None:
    state.answers[fact.gate] = fact
    i = state.graph.index.get(fact.gate)
    if i is None or fact.skip or fact.inject:
        state.plan = fact
    if i is not None:
        move(state, i, Event.ANSWERED)
        state.unblocked_seq[i] = state.seq
        state.agenda.append(i)
        if fact.inputs:
            state.prints.pop(i, None)  # it is asked anew whether that has been done before
        return
    del state.asking[fact.gate]
    if fact.answer == "approve":
        state.passed = state.front
        state.front_seq = state.seq
        state.agenda.extend(state.parked.pop(state.front, ()))


def _steps_ready(state: State, fact: f.StepsReady) -> None:
    for id_ in fact.steps:
        i = state.graph.index[id_]
        move(state, i, Event.READY)
        state.pending.pop(i, None)
        state.backoff_until.pop(i, None)
        deadline = state.deadline_of(i)
        if deadline is not None:
            heappush(state.timers, (deadline, i, 0))
        k, rank = state.demands.kind[i], state.demands.rank[i]
        state.ready[k].add(i)
        heappush(state.line, rank)
        heappush(state.queues[k], rank)
        pool, weight = state.lacking[k]
        state.stirred.add(pool)
        if rank < state.posted[k]:
            state.posted[k] = rank
            heappush(state.heads[pool].setdefault(weight, []), (rank, k))


def _steps_added(state: State, fact: f.StepsAdded) -> None:
    if fact.steps or not fact.parent:
        state.agenda.extend(state.grow(fact.steps, state.graph.index.get(fact.parent), fact.layer))
        state.halt_due |= fact.layer in state.stopped_layers  # what joins a layer that was stopped is given up with it
        return
    parent = state.graph.index[fact.parent]
    _expand(state, parent, state.steps[parent], fact.keys)


def _expand(state: State, parent: int, step: Step, keys: Sequence[str]) -> None:
    move(state, parent, Event.EXPANDED)
    added = state.grow(grown(step, keys), parent, state.graph.layer[parent])
    state.keys.update(zip(added, keys, strict=False))  # a sub-workflow has none
    state.agenda.extend(added or [parent])


def _attempt_started(state: State, fact: f.AttemptStarted) -> None:
    i = state.graph.index[fact.step]
    move(state, i, Event.STARTED)
    state.attempts[i] = fact.attempt
    state.alive[i] = Attempt(fact.attempt, fact.at, tuple(fact.gpus))
    share = state.demands.shared[state.demands.kind[i]]
    if share:
        state.leases.note_gone(share)
    for pool, weight in state.demands.of(i):
        state.holders[pool].setdefault(weight, set()).add(i)
    state.curbs.note_start(i, fact.at)
    first = state.first_ready()
    if first is not None and state.demands.rank[first] < state.demands.rank[i]:
        state.curbs.note_overtaken(first)
    step = state.steps[i]
    if step.retry.max_elapsed_s is not None or step.deadline_s is not None:
        state.first_started.setdefault(i, fact.at)
    due = state.due(i)
    if due is not None:
        heappush(state.timers, (due, i, fact.attempt))


def _attempt_stopping(state: State, fact: f.AttemptStopping) -> None:
    i = state.graph.index[fact.step]
    move(state, i, Event.STOPPING)
    state.alive[i].cause = fact.cause
    state.stop_causes[i] = fact.cause


def _backoff_started(state: State, fact: f.BackoffStarted) -> None:
    i = state.graph.index[fact.step]
    move(state, i, Event.BACKOFF)
    del state.pending[i]
    state.backoff_until[i] = fact.until
    heappush(state.timers, (fact.until, i, fact.attempt))


def _fallback_started(state: State, fact: f.FallbackStarted) -> None:
    i, j = state.graph.index[fact.step], state.graph.index[fact.fallback]
    move(state, i, Event.EXPANDED)
    state.pending.pop(i, None)
    state.errors[i] = state.first_errors[i] = fact.error
    state.stand_ins[i] = j
    state.graph.stand_in(j, i)
    state.unblocked_seq[j] = state.seq
    state.agenda.append(j)


def _step_interrupted(state: State, fact: f.StepInterrupted) -> None:
    i = state.graph.index[fact.step]
    move(state, i, Event.INTERRUPTED)
    del state.pending[i]
    state.told.pop(i, None)
    state.interrupted[i] = fact.attempt


def _interrupt_answered(state: State, fact: f.InterruptAnswered) -> None:
    i = state.graph.index[fact.step]
    move(state, i, Event.TOLD)
    del state.interrupted[i]
    state.told[i] = fact
    state.unblocked_seq[i] = state.seq
    state.agenda.append(i)


def _step_succeeded(state: State, fact: f.StepSucceeded) -> None:
    move(state, state.graph.index[fact.step], Event.SUCCEEDED)


def _step_reused(state: State, fact: f.StepReused) -> None:
    i = state.graph.index[fact.step]
    state.reused[i] = fact.run
    move(state, i, Event.REUSED)


def _step_failed(state: State, fact: f.StepFailed) -> None:
    i = state.graph.index[fact.step]
    move(state, i, Event.FAILED)
    state.pending.pop(i, None)
    state.errors[i] = fact.error
    step, layer = state.steps[i], state.graph.layer[i]
    if step.role == "fallback":
        return
    if state.answered_for(i):
        pass
    elif state.forgiven(i):
        state.failed_soft += 1
    else:
        state.failed_hard += 1
    if step.on_error == "continue" or i in state.last:
        return
    if step.on_error == "stop" and (state.stopped_by is None or state.steps[state.stopped_by].drain > step.drain):
        state.stopped_by = i
        state.halt_due = True
    elif step.on_error == "stop_layer" and layer not in state.stopped_layers:
        state.stopped_layers[layer] = i
        state.halt_due = True


def _step_cancelled(state: State, fact: f.StepCancelled) -> None:
    i = state.graph.index[fact.step]
    move(state, i, Event.CANCELLED)
    state.pending.pop(i, None)
    state.backoff_until.pop(i, None)
    state.interrupted.pop(i, None)
    state.stop_causes[i] = fact.cause
    state.rejected += fact.cause == "rejected" and not state.answered_for(i)


def _steps_skipped(state: State, fact: f.StepsSkipped) -> None:
    for id_ in fact.steps:
        i = state.graph.index[id_]
        state.skips[i] = fact
        move(state, i, Event.SKIPPED)


def _run_timed_out(state: State, fact: f.RunTimedOut) -> None:
    state.timed_out = fact
    state.halt_due = True


def _budget_spent(state: State, fact: f.BudgetSpent) -> None:
    state.broke = fact
    state.halt_due = True


def _run_ending(state: State, fact: f.RunEnding) -> None:
    state.ending = fact
    for i in sorted(state.last):
        if not state.unsettled[i]:
            state.unblocked_seq[i] = state.seq
            state.agenda.append(i)


def _run_suspended(state: State, fact: f.RunSuspended) -> None:
    state.suspended = state.left = True


def _run_waiting(state: State, fact: f.RunWaiting) -> None:
    state.waiting, state.left = fact, True


def _run_ended(state: State, fact: f.RunEnded) -> None:
    state.ended = fact


_APPLY: dict[type, Callable[[State, Any], None]] = {
    f.RunCreated: _run_created,
    f.EngineAttached: _engine_attached,
    f.AttemptSpawned: _attempt_spawned,
    f.AttemptEnded: _attempt_ended,
    f.AttemptLost: _attempt_lost,
    f.ConditionEvaluated: _condition_evaluated,
    f.FingerprintTaken: _fingerprint_taken,
    f.OutputsEvaluated: _outputs_evaluated,
    f.CancelRequested: _cancel_requested,
    f.SuspendRequested: _suspend_requested,
    f.RetryRequested: _retry_requested,
    f.PressureObserved: _pressure_observed,
    f.PoolLeased: lending.leased,
    f.PoolBusy: lending.busy,
    f.LeasesReturned: lending.returned,
    f.UnitsReserved: _units_reserved,
    f.PoolResized: _pool_resized,
    f.BreakerOpened: _breaker_opened,
    f.BreakerClosed: _breaker_closed,
    f.GateOpened: _gate_opened,
    f.GateAnswered: _gate_answered,
    f.StepsReady: _steps_ready,
    f.StepsAdded: _steps_added,
    f.AttemptStarted: _attempt_started,
    f.AttemptStopping: _attempt_stopping,
    f.BackoffStarted: _backoff_started,
    f.FallbackStarted: _fallback_started,
    f.StepInterrupted: _step_interrupted,
    f.InterruptAnswered: _interrupt_answered,
    f.StepSucceeded: _step_succeeded,
    f.StepReused: _step_reused,
    f.StepFailed: _step_failed,
    f.StepCancelled: _step_cancelled,
    f.StepsSkipped: _steps_skipped,
    f.RunTimedOut: _run_timed_out,
    f.BudgetSpent: _budget_spent,
    f.RunEnding: _run_ending,
    f.RunSuspended: _run_suspended,
    f.RunWaiting: _run_waiting,
    f.RunEnded: _run_ended,
}
