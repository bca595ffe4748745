"""What a change of a step's status changes with it, by the definition of the workflow alone: a part of `apply`, and no more."""

from weft.core.state import State, at_gate, layer_gate
from weft.core.status import TABLE, Event, Status
from weft.model.errors import Bug


def move(state: State, i: int, event: Event) -> None:
    before = state.status[i]
    after = TABLE.get((before, event))
    if after is None:
        story = f"step `{state.graph.ids[i]}` is {before.name.lower()}, where {event.name.lower()} has no place"
        raise Bug(f"{story} (fact {state.seq})")
    state.status[i] = after
    if before is Status.READY:
        state.ready[state.demands.kind[i]].discard(i)
        state.stirred |= state.curbs.note_left(i)
    elif before is Status.AWAITING_APPROVAL:
        state.asking.pop(state.graph.ids[i])
    if after.settled:
        _settle(state, i)


def _settle(state: State, i: int) -> None:
    state.open -= 1
    if i in state.last:
        state.last_open -= 1
    else:
        state.outputs_due = state.open == state.last_open
    if state.users:
        _settle_roles(state, i)
    unsettled = state.unsettled
    for j in state.graph.dependents[i]:
        unsettled[j] -= 1
        if not unsettled[j]:
            state.unblocked_seq[j] = state.seq
            state.agenda.append(j)
    layer_open = state.layer_open
    layer_open[state.graph.layer[i]] -= 1
    if state.front < len(layer_open) and not layer_open[state.front]:
        state.asking.pop(layer_gate(state), None)  # a gate before steps that were given up needs no answer
    while state.front < len(layer_open) and not layer_open[state.front]:
        state.front += 1
        state.front_seq = state.seq
        state.agenda.extend(state.parked.pop(state.front, ()))
        state.gate_due = at_gate(state)
    parent = state.graph.parent.get(i)
    if parent is not None:
        state.unsettled_children[parent] -= 1
        if not state.unsettled_children[parent]:
            state.agenda.append(parent)


def _settle_roles(state: State, i: int) -> None:
    """The fallback of step i is not needed any more, and whom it stands in for is to be judged."""
    step = state.steps[i]
    if step.fallback and step.fallback in state.graph.index:
        state.agenda.append(state.graph.index[step.fallback])
    if i in state.graph.stands_for:
        state.agenda.append(state.graph.stands_for[i])
