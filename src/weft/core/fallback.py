"""Steps with a role of their own: a fallback, which is tried in place of a step that would fail, and the steps of `finally`.

- A fallback runs at most once for each time that its step would fail, and what it comes to is what the step comes to. The step is
  expanded meanwhile: it holds nothing and makes no attempts.
- An instance of a fan-out has a fallback of its own, which joins the graph when it is needed.
"""

from typing import Final

import msgspec

from weft.core import facts as f
from weft.core.growth import STEPS_MAX
from weft.core.state import State
from weft.core.status import Status
from weft.core.turn import Turn
from weft.model.output import ErrorRecord

UNWANTED: Final = ("cancel", "stop", "stop_layer", "run_timeout", "budget")
"""Reasons for a skip that are no fault of the step."""


def blocked(state: State, i: int) -> bool:
    """Whether the turn of step i has not come, whatever its needs: nobody needs it as a fallback, or the run is not ending."""
    if state.steps[i].role == "fallback" and i not in state.graph.stands_for:
        return True
    return i in state.last and state.ending is None


def over(state: State, i: int) -> f.GiveUpCause | None:
    """Why step i gets no further attempt, and no fallback, if so."""
    halted = state.halted
    if halted is not None and halted != "suspend":
        return halted
    return "stop_layer" if state.graph.layer[i] in state.stopped_layers else None


def fail(turn: Turn, i: int, error: ErrorRecord) -> None:
    """No attempt of step i is left: its fallback is tried, or it has failed."""
    state, step = turn.state, turn.state.steps[i]
    if _can_fall_back(state, i):
        if step.fallback not in state.graph.index:
            _add_copy(turn, i)
        turn.emit(f.FallbackStarted(at=turn.now, step=step.id, fallback=step.fallback, error=error))
    else:
        turn.emit(f.StepFailed(at=turn.now, step=step.id, error=error))


def _can_fall_back(state: State, i: int) -> bool:
    step = state.steps[i]
    if not step.fallback or step.for_each is not None or over(state, i):
        return False
    j = state.graph.index.get(step.fallback)
    return len(state.steps) < STEPS_MAX if j is None else not state.status[j].settled


def _add_copy(turn: Turn, i: int) -> None:
    """Add the fallback of an instance: that of its fan-out, for this instance alone."""
    state, wanted = turn.state, turn.state.steps[i].fallback
    template = wanted
    while template not in state.graph.index:  # of an instance of a copy, there is no copy but the instance's own
        template = template.rpartition("[")[0]
    of = state.steps[state.graph.index[template]]
    after = of.fallback + wanted[len(template) :] if of.fallback else ""
    parent = state.graph.parent.get(state.graph.index[template])
    turn.emit(
        f.StepsAdded(
            at=turn.now,
            parent="" if parent is None else state.graph.ids[parent],
            steps=[msgspec.structs.replace(of, id=wanted, fallback=after)],
            layer=state.graph.layer[i],
        )
    )


def judge_stand_in(turn: Turn, i: int) -> None:
    """What becomes of step i, which has failed, once its fallback has settled."""
    state, step = turn.state, turn.state.steps[i]
    j = state.stand_ins[i]
    status, error = state.status[j], state.first_errors[i]
    if not status.settled or state.unsettled_children.get(i):  # after a retry, parts of its own may be tried again too
        return
    if status is Status.CANCELLED:
        turn.emit(f.StepCancelled(at=turn.now, step=step.id, cause=state.stop_causes[j]))
    elif status is Status.FAILED:
        message = f"{error.message}; then its fallback `{step.fallback}` failed: {state.errors[j].message}"
        turn.emit(f.StepFailed(at=turn.now, step=step.id, error=msgspec.structs.replace(error, message=message)))
    elif status is Status.SKIPPED and (reason := state.skips[j].reason) in UNWANTED:
        turn.emit(f.StepCancelled(at=turn.now, step=step.id, cause=reason))
    elif status is Status.SKIPPED:
        message = f"{error.message}; its fallback `{step.fallback}` was skipped"
        turn.emit(f.StepFailed(at=turn.now, step=step.id, error=msgspec.structs.replace(error, message=message)))
    else:
        turn.emit(f.StepSucceeded(at=turn.now, step=step.id))
