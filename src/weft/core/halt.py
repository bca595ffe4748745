"""Ending early: cancel, suspend, and the failure policies that stop a run or a layer."""

from collections.abc import Iterable

from weft.core import facts as f
from weft.core.commands import StopAttempt
from weft.core.status import Status
from weft.core.turn import Turn


def halt(turn: Turn) -> None:
    """Carry out what was asked for since the last time: stop attempts, and give up steps that will not start."""
    state = turn.state
    state.halt_due = False
    state.agenda.extend(state.pending)
    if state.ending:
        if state.cut_short:
            _give_up(turn, range(len(state.steps)), "cancel", "")
    elif state.cancelled:
        _give_up(turn, range(len(state.steps)), "cancel", "")
    elif state.timed_out:
        _give_up(turn, range(len(state.steps)), "run_timeout", "")
    else:
        if state.stopped_by is not None:
            stopper = state.steps[state.stopped_by]
            _give_up(turn, range(len(state.steps)), "stop", stopper.id, drain=stopper.drain)
        for layer, by in state.stopped_layers.items():
            if state.layer_open[layer]:
                _give_up(turn, state.layers[layer], "stop_layer", state.graph.ids[by])
        if state.broke:
            _give_up(turn, range(len(state.steps)), "budget", "", drain=True)
    if state.suspending and state.suspending.how == "kill":
        for i in list(state.alive):
            stop(turn, i, "suspend")


def stop(turn: Turn, i: int, cause: f.StopCause) -> None:
    """Begin to end the attempt of step i, unless that has begun already."""
    attempt = turn.state.alive[i]
    if attempt.cause is None:
        step = turn.state.graph.ids[i]
        turn.emit(f.AttemptStopping(at=turn.now, step=step, attempt=attempt.number, cause=cause))
        turn.order(StopAttempt(step=step, attempt=attempt.number, cause=cause, after=turn.state.seq))


def _give_up(turn: Turn, steps: Iterable[int], cause: f.GiveUpCause, because: str, *, drain: bool = False) -> None:
    """`drain`: what runs may end."""
    state, skipped = turn.state, []
    for i in steps:
        if i in state.last and not state.ending:
            continue  # its time has not come
        if i in state.alive:
            if not drain:
                stop(turn, i, cause)
        elif state.status[i].settled or i in state.pending or state.status[i] is Status.EXPANDED:
            continue  # over, about to be judged, or over when its parts are
        elif state.ended_seq.get(i, 0) > state.unblocked_seq[i]:  # it was tried, since the run was last begun
            turn.emit(f.StepCancelled(at=turn.now, step=state.graph.ids[i], cause=cause))
        else:
            skipped.append(state.graph.ids[i])
    if skipped:
        turn.emit(f.StepsSkipped(at=turn.now, steps=skipped, reason=cause, because=because))
