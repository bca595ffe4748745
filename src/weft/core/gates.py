"""Gates: when somebody is asked, whose answer counts, and what follows from it.

The first answer to an open gate is the only one. A gate belongs to a step, and is called by its id, or stands between two layers
(`layer#0` after layer 0). While it is open nothing is held. Silence is an answer too, once its time has come.
"""

from collections.abc import Iterator, Sequence

import msgspec

from weft.core import facts as f
from weft.core.commands import OpenGate
from weft.core.fallback import blocked, fail
from weft.core.growth import STEPS_MAX
from weft.core.state import State, at_gate, behind, layer_gate
from weft.core.status import Status
from weft.core.turn import Turn
from weft.core.why import answered
from weft.model.graph import Graph
from weft.model.inputs import check_values
from weft.model.output import ErrorRecord, Output
from weft.model.suggest import did_you_mean
from weft.model.units import format_duration
from weft.model.workflow import Approve, Step, Workflow


def question_at(state: State, gate: str) -> Approve | None:
    """What is asked at the gate of that name, if there is such a gate."""
    i = state.graph.index.get(gate)
    return state.workflow.gates if i is None else state.steps[i].question


# ---- opening ----


def open_layer_gate(turn: Turn) -> None:
    """Ask whether the next layer may start, once the one before has settled."""
    state = turn.state
    if state.gate_due and not state.halted:
        state.gate_due = False
        turn.order(OpenGate(gate=layer_gate(state)))


def pass_gate(turn: Turn, i: int) -> bool:
    """Whether step i, which waits for nothing else, may go on: it has no gate, or was approved. Else what is due is done."""
    step, answer = turn.state.steps[i], turn.state.answers.get(turn.state.graph.ids[i])
    if step.question is None:
        return True
    if answer is None:
        turn.order(OpenGate(gate=step.id))
    elif answer.answer == "reject":
        turn.emit(f.StepCancelled(at=turn.now, step=step.id, cause="rejected"))
    elif answer.answer == "fail":
        fail(turn, i, _unanswered(step.question))
    elif step.question is step.action:
        turn.emit(f.StepSucceeded(at=turn.now, step=step.id, output=_output(answer)))
    else:
        return True
    return False


def _unanswered(question: Approve) -> ErrorRecord:
    message = f"nobody answered within {format_duration(question.timeout_s or 0.0)}"
    return ErrorRecord(kind="timeout", message=message, hint="`weft retry` asks again")


def _output(answer: f.GateAnswered) -> Output:
    """Who approved, when and why, and what the form says."""
    said = msgspec.json.encode({"by": answer.by, "at": answer.at, "reason": answer.reason, "form": answer.form})
    return Output(inline=msgspec.Raw(said), size=len(said))


def admit_opening(turn: Turn, fact: f.GateOpened) -> None:
    """A question has been evaluated: from now on it is open, if it still is to be asked."""
    state = turn.state
    i = state.graph.index.get(fact.gate)
    if i is None:
        due = at_gate(state) and fact.gate == layer_gate(state) and fact.gate not in state.gates
    else:
        due = state.status[i] is Status.WAITING and not state.unsettled[i] and fact.gate not in state.gates
    question = question_at(state, fact.gate)
    if question is None or not due:
        return
    if fact.error:
        fail(turn, state.graph.index[fact.gate], fact.error)
    else:
        until = None if question.timeout_s is None else turn.now + question.timeout_s
        turn.emit(msgspec.structs.replace(fact, until=until, said=None, unsaid=""))
        if question.answer is not None:
            _take_given(turn, fact, question)


def _take_given(turn: Turn, fact: f.GateOpened, question: Approve) -> None:
    """The gate has an answer of its own. One that does not count is as good as none."""
    wrong = refusal(turn.state, fact.said, turn.now) if fact.said else fact.unsaid
    if fact.said is None or wrong:
        answer(turn, f.GateAnswered(at=turn.now, gate=fact.gate, answer=question.on_timeout, by=fact.by, reason=wrong))
    else:
        answer(turn, fact.said)


# ---- answers ----


def refusal(state: State, fact: f.GateAnswered, now: float) -> str:
    """Why an answer does not count, as a sentence for whoever gave it; empty if it does."""
    first, opened = state.answers.get(fact.gate), state.gates.get(fact.gate)
    if first is not None:
        return f"`{fact.gate}` has been answered: {answered(first)}"
    if fact.gate not in state.asking or opened is None:
        return _not_asked(state, fact.gate)
    if opened.until is not None and opened.until <= now:
        return f"the time to answer `{fact.gate}` is over"
    question = question_at(state, fact.gate)
    assert question is not None
    return "; ".join([*_wrong_form(question, fact), *_wrong_inputs(state, fact), *_wrong_plan(state, fact)])


def _not_asked(state: State, gate: str) -> str:
    if gate in state.gates:
        return f"`{gate}` needs no answer any more"
    near = did_you_mean(gate, [*state.asking, *state.graph.ids])
    hint = f"; did you mean `{near}`?" if near and near != gate else ""
    return f"nothing is asked at `{gate}` now{hint}"


def _wrong_form(question: Approve, fact: f.GateAnswered) -> Iterator[str]:
    if fact.answer == "approve":
        try:
            check_values(question.form, fact.form, "field", " of the form")
        except ValueError as error:
            yield str(error)
    elif fact.form:
        yield "a form is filled in with an approval only"


def _wrong_inputs(state: State, fact: f.GateAnswered) -> Iterator[str]:
    i = state.graph.index.get(fact.gate)
    for name in fact.inputs:
        if i is None:
            yield f"`{fact.gate}` stands before a layer, and no step whose `with` could be changed"
            return
        step = state.steps[i]
        if fact.answer != "approve":
            yield "`with` is changed with an approval only"
        elif name not in step.inputs:
            near = did_you_mean(name, step.inputs)
            hint = f"; did you mean `{near}`?" if near else ""
            yield f"step `{step.id}` has no `{name}` in its `with`{hint}"


def _wrong_plan(state: State, fact: f.GateAnswered) -> Iterator[str]:
    plans = fact.skip or fact.replan or fact.inject
    if plans and fact.answer != "approve":
        yield "steps are skipped and injected with an approval only"
    if plans and state.ending:
        yield "steps are skipped and injected before the run ends, and it is ending"
    for id_ in fact.skip:
        i = state.graph.index.get(id_)
        if i is None:
            near = did_you_mean(id_, state.graph.ids)
            yield f"there is no step `{id_}`" + (f"; did you mean `{near}`?" if near else "")
        elif i in state.last:
            yield f"step `{id_}` belongs to `finally` and cannot be skipped"
        elif not can_be_left_out(state, id_):
            yield f"step `{id_}` {'is over' if state.status[i].settled else 'has begun'} and cannot be skipped"
    if len(state.steps) + len(fact.inject) > STEPS_MAX:
        yield f"the run would have more than {STEPS_MAX:,} steps"
    wrong = list(_wrong_steps(state, fact.inject))
    try:
        _by_layer(state, [] if wrong else fact.inject)
    except ValueError as error:
        wrong.append(f"of the new steps, {error}")
    yield from wrong


def _wrong_steps(state: State, steps: list[Step]) -> Iterator[str]:
    """What is wrong with steps that shall join the graph."""
    new = {step.id for step in steps}
    if len(new) < len(steps):
        yield "two of the new steps have one name"
    for step in steps:
        if step.id in state.graph.index:
            yield f"there is a step `{step.id}` already"
        if step.role != "step" or step.fallback:
            yield f"the new step `{step.id}` must be an ordinary one, without a fallback"
        for need in step.needs:
            if need not in new and need not in state.graph.index:
                yield f"the new step `{step.id}` needs `{need}`, which does not exist"
            elif need not in new and state.steps[state.graph.index[need]].role == "fallback":
                yield f"the new step `{step.id}` needs `{need}`, which is a fallback: need the step that names it"
            elif need not in new and state.graph.index[need] in state.last:
                yield f"the new step `{step.id}` needs `{need}`, which belongs to `finally`"
        for pool, weight in step.resources.items():
            slots = state.workflow.resources[pool].slots if pool in state.workflow.resources else 0
            if slots is not None and weight > slots:
                yield f"the new step `{step.id}` asks for {weight} of pool `{pool}`, which there is not"
        if step.wired and step.wired not in new:
            yield f"the new step `{step.id}` is wired to `{step.wired}`, which has begun"


def answer(turn: Turn, fact: f.GateAnswered) -> None:
    """Take an answer that counts. What a new plan leaves out is written down by name: later there may be more steps."""
    state = turn.state
    question = question_at(state, fact.gate)
    form = dict(fact.form)
    if question is not None and fact.answer == "approve":
        form = {name: fact.form.get(name, field.default) for name, field in question.form.items()}
    chosen = range(len(state.steps)) if fact.replan else [state.graph.index[id_] for id_ in fact.skip]
    skip = [state.graph.ids[i] for i in dict.fromkeys(chosen) for i in _not_begun(state, i)]
    turn.emit(msgspec.structs.replace(fact, at=turn.now, form=form, skip=skip))
    carry_out(turn)


def _not_begun(state: State, i: int) -> Iterator[int]:
    """Step i if it can be skipped; of one that was expanded, its parts can."""
    if _is_to_begin(state, i):
        yield i
    elif state.status[i] is Status.EXPANDED:
        for part in state.graph.children.get(i, ()):
            yield from _not_begun(state, part)


def can_be_left_out(state: State, step: str) -> bool:
    """Whether the step, or what it stands for, is still to begin, as far as is known."""
    i = state.graph.index[step]
    return state.status[i] is Status.EXPANDED or _is_to_begin(state, i)


def _is_to_begin(state: State, i: int) -> bool:
    """Whether step i waits for its first attempt, or for somebody's yes to it."""
    waits = state.status[i] in (Status.WAITING, Status.READY, Status.AWAITING_APPROVAL)
    return waits and i not in state.pending and i not in state.last


def carry_out(turn: Turn) -> None:
    """Do what the last answer says of other steps, as far as it has not been done before the engine died."""
    state, plan = turn.state, turn.state.plan
    state.plan = None
    if plan is None:
        return
    if plan.answer == "reject":
        if not state.cancelled:
            reason = f"`{plan.gate}` was rejected" + (f": {plan.reason}" if plan.reason else "")
            turn.emit(f.CancelRequested(at=turn.now, by=plan.by or "its timeout", reason=reason))
        return
    for layer, together in sorted(_by_layer(state, plan.inject).items()):
        new = [step for step in together if step.id not in state.graph.index]
        if new:
            turn.emit(f.StepsAdded(at=turn.now, steps=new, layer=layer))
    skip = [id_ for id_ in dict.fromkeys(plan.skip) if _is_to_begin(state, state.graph.index[id_])]
    if skip:
        turn.emit(f.StepsSkipped(at=turn.now, steps=skip, reason="gate", because=plan.gate))


def _by_layer(state: State, steps: list[Step]) -> dict[int, list[Step]]:
    """New steps by the layer that each joins: below its needs, not before the next one, above `finally`. Raises ValueError for a
    cycle."""
    new = {step.id for step in steps}
    graph = Graph([msgspec.structs.replace(step, needs=tuple(filter(new.__contains__, step.needs))) for step in steps])
    lowest = min([state.graph.layer[i] for i in state.last], default=len(state.steps) + len(steps)) - 1
    layer: dict[str, int] = {}
    found: dict[int, list[Step]] = {}
    for n in graph.order:
        step = steps[n]
        above = [layer[need] if need in new else state.graph.layer[state.graph.index[need]] for need in step.needs]
        layer[step.id] = min(max([state.front, *(number + 1 for number in above)]), lowest)
        found.setdefault(layer[step.id], []).append(step)
    return found


# ---- silence ----


def silence(turn: Turn, gate: str) -> None:
    """Nobody has answered in time: that is the answer."""
    question = question_at(turn.state, gate)
    assert question is not None
    reason = f"nobody answered within {format_duration(question.timeout_s or 0.0)}"
    answer(turn, f.GateAnswered(at=turn.now, gate=gate, answer=question.on_timeout, reason=reason))


def layer_due(state: State) -> float | None:
    """When silence answers the open gate between two layers, if there is one and it ever does."""
    if not state.asking or (gate := layer_gate(state)) not in state.asking:
        return None
    return state.gates[gate].until


def waits_for_people(state: State) -> bool:
    """Whether nothing but answers lets the run go on, to gates or about interrupted steps. Looks at every step, but only while
    somebody is asked and nothing lives."""
    if not (state.asking or state.interrupted) or state.alive or state.backoff_until or any(state.ready):
        return False
    return not any(_busy(state, i) for i, status in enumerate(state.status) if not status.settled)


def _busy(state: State, i: int) -> bool:
    """Whether step i waits for the engine: a verdict, its items, its question."""
    match state.status[i]:
        case Status.WAITING:
            parked = state.workflow.layered and state.graph.layer[i] > state.front
            waits = blocked(state, i) or parked or (behind(state, i) and layer_gate(state) in state.asking)
            return not state.unsettled[i] and not waits
        case Status.EXPANDED:
            return not state.unsettled_children.get(i) and i not in state.stand_ins
    return False


def with_injected(workflow: Workflow, state: State, facts: Sequence[f.Observed]) -> Workflow:
    """The workflow with the steps that people have added to the run, which want runners too."""
    first = len(workflow.steps)
    added = [step for i, step in enumerate(state.steps[first:], first) if i not in state.graph.parent]
    added += [step for fact in facts if isinstance(fact, f.GateAnswered) for step in fact.inject]
    return msgspec.structs.replace(workflow, steps=(*workflow.steps, *added))
