"""Whole-state invariants, checked from scratch and by other means than those that keep them. For tests and the simulator."""

from collections.abc import Iterator

from weft.core.capacity import too_small
from weft.core.curbs import OVERTAKEN_MAX
from weft.core.demand import COMPUTING
from weft.core.devices import devices, place
from weft.core.fallback import blocked
from weft.core.state import State, behind
from weft.core.status import Status

_ALIVE = (Status.RUNNING, Status.STOPPING)


def audit(state: State) -> list[str]:
    """What is wrong with a state after a whole turn, a sentence each; empty when all is well."""
    return [
        *_audit_steps(state),
        *_audit_counts(state),
        *_audit_slots(state),
        *_audit_roles(state),
        *_audit_curbs(state),
        *_audit_gates(state),
        *_audit_devices(state),
        *_audit_leases(state),
        *_audit_progress(state),
    ]


def _audit_steps(state: State) -> Iterator[str]:
    for i, status in enumerate(state.status):
        name = f"step `{state.graph.ids[i]}` ({status.name.lower()})"
        unsettled = sum(not state.status[need].settled for need in state.graph.needs[i])
        if unsettled != state.unsettled[i]:
            yield f"{name} counts {state.unsettled[i]} unsettled needs, there are {unsettled}"
        if unsettled and (status in _ALIVE or status in (Status.READY, Status.BACKING_OFF)):
            yield f"{name} has {unsettled} needs that have not settled"
        if (status in _ALIVE) != (i in state.alive):
            yield f"{name} is{'' if i in state.alive else ' not'} among the living"
        if i in state.alive and state.alive[i].number != state.attempts[i]:
            yield f"{name} runs attempt {state.alive[i].number} of {state.attempts[i]}"
        if i in state.alive and (status is Status.STOPPING) != (state.alive[i].cause is not None):
            yield f"{name} has the stop cause {state.alive[i].cause}"
        if (status is Status.REUSED) != (i in state.reused):
            yield f"{name} does not match what was taken from earlier runs"
        if (state.graph.ids[i] in state.left_out) and status not in (Status.SKIPPED, Status.WAITING):
            yield f"{name} was not selected"
        if status is Status.EXPANDED and not state.steps[i].grows and i not in state.stand_ins:
            yield f"{name} stands for no others"
        left = sum(not state.status[part].settled for part in state.graph.children.get(i, ()))
        if left != state.unsettled_children.get(i, 0):
            yield f"{name} counts {state.unsettled_children.get(i, 0)} parts that have not settled, there are {left}"
        if left and status is not Status.EXPANDED:
            yield f"{name} has {left} parts that have not settled"
        if status is Status.AWAITING_APPROVAL and unsettled:
            yield f"{name} asks although {unsettled} of its needs have not settled"
        if (status is Status.AWAITING_APPROVAL) != (state.graph.ids[i] in state.asking):
            yield f"{name} does not match the open gates"
        if (status is Status.BACKING_OFF) != (i in state.backoff_until):
            yield f"{name} has no backoff to match"
        if (status is Status.READY) != (i in state.ready[state.demands.kind[i]]):
            yield f"{name} does not match the ready steps of its kind"
        if state.failures[i] > state.steps[i].retry.times + 1:
            yield f"{name} failed {state.failures[i]} times"
        if i in state.pending and not (status is Status.WAITING and state.suspending):
            yield f"{name} awaits a verdict after the turn"


def _audit_counts(state: State) -> Iterator[str]:
    open_ = [i for i, status in enumerate(state.status) if not status.settled]
    if state.open != len(open_):
        yield f"{state.open} steps are counted as open, there are {len(open_)}"
    layers = [0] * len(state.layer_open)
    for i in open_:
        layers[state.graph.layer[i]] += 1
    if layers != state.layer_open:
        yield f"open steps by layer are counted as {state.layer_open}, they are {layers}"
    front = next((layer for layer, count in enumerate(layers) if count), len(layers))
    if state.front != front:
        yield f"the first open layer is taken to be {state.front}, it is {front}"
    if state.workflow.layered:
        for i in state.alive:
            if state.graph.layer[i] > front:
                yield f"step `{state.graph.ids[i]}` runs although layer {front} is open"


def _audit_roles(state: State) -> Iterator[str]:
    """Fallbacks run for those that failed, and the steps of `finally` when nothing else is open."""
    if {j: i for i, j in state.stand_ins.items()} != state.graph.stands_for:
        yield f"the fallbacks {state.stand_ins} do not match the graph's {state.graph.stands_for}"
    for i, status in enumerate(state.status):
        name = f"step `{state.graph.ids[i]}` ({status.name.lower()})"
        begun = status not in (Status.WAITING, Status.SKIPPED)
        if begun and blocked(state, i) and not state.ended:
            yield f"{name} has begun before its time"
        if (status is Status.INTERRUPTED) != (i in state.interrupted):
            yield f"{name} does not match the interrupted steps"
        if status is Status.INTERRUPTED and state.steps[i].rerun == "always":
            yield f"{name} may run again by itself"
        if i in state.stand_ins and (state.steps[i].fallback != state.graph.ids[state.stand_ins[i]] or not begun):
            yield f"{name} has a fallback that does not match"
        user = state.users.get(state.graph.ids[i])
        if user is not None and state.status[user].settled and not status.settled:
            yield f"{name} goes on, and `{state.graph.ids[user]}`, whose fallback it is, is over"
        if state.ending and i not in state.last and not status.settled:
            yield f"{name} has not settled, and the run is ending"
    if state.last_open != sum(not state.status[i].settled for i in state.last):
        yield f"{state.last_open} steps of `finally` are counted as open"


def _audit_slots(state: State) -> Iterator[str]:
    for pool, name in enumerate(state.demands.pools):
        wanted: dict[int, set[int]] = {}
        for i in state.alive:
            for weight in [weight for p, weight in state.demands.of(i) if p == pool]:
                wanted.setdefault(weight, set()).add(i)
        if state.holders[pool] != wanted:
            yield f"pool `{name}` is held by {state.holders[pool]}, alive are {wanted}"
        slots, taken = state.demands.slots(pool, state.limits), sum(weight * len(of) for weight, of in wanted.items())
        if slots is not None and taken > slots and not (pool == COMPUTING and state.limits.adaptive):
            yield f"pool `{name}` is exceeded by {taken - slots}"


def _audit_curbs(state: State) -> Iterator[str]:
    curbs, demands = state.curbs, state.demands
    for pool, size in curbs.sizes.items():
        adapts, most = demands.spec[pool].adaptive, demands.slots(pool, state.limits)
        if size < 1 or (pool != COMPUTING and (not adapts or most is None or size > most)):
            yield f"pool `{demands.pools[pool]}` has been given {size} slots of {most}"
    for pool, until in curbs.open_until.items():
        breaker = demands.spec[pool].breaker
        if breaker is None or curbs.strikes.get(pool, 0) < breaker.failures:
            yield f"the breaker of pool `{demands.pools[pool]}` is open until {until} for no reason"
    for pool, strikes in curbs.strikes.items():
        breaker = demands.spec[pool].breaker
        if pool not in curbs.open_until and (breaker is None or strikes >= breaker.failures):
            yield f"the breaker of pool `{demands.pools[pool]}` is closed after {strikes} failures in a row"
    for pool, i in curbs.trials.items():
        if i not in state.alive or pool not in curbs.open_until:
            yield f"step `{state.graph.ids[i]}` does not try whether pool `{demands.pools[pool]}` may be closed"
    for i in curbs.overtaken:
        if state.status[i] is not Status.READY:
            yield f"step `{state.graph.ids[i]}` cannot be overtaken, it is {state.status[i].name.lower()}"
    asked = set() if curbs.holder is None else {pool for pool, _ in demands.of(curbs.holder)}
    if not curbs.reserved <= asked or (curbs.holder is None) != (not curbs.reserved):
        yield f"pools {sorted(curbs.reserved)} are reserved for step {curbs.holder}, which asks for {sorted(asked)}"
    if curbs.holder is not None and curbs.overtaken.get(curbs.holder, 0) < OVERTAKEN_MAX:
        yield f"units are reserved for step `{state.graph.ids[curbs.holder]}`, which was not overtaken so often"


def _audit_gates(state: State) -> Iterator[str]:
    layers = [gate for gate in state.asking if gate not in state.graph.index]
    if layers and (state.workflow.gates is None or layers != [f"layer#{state.front - 1}"] or state.passed >= state.front):
        yield f"the gates {layers} are open, and layer {state.front} is the first that has not settled"
    for gate in {*state.asking, *state.answers}:
        if gate not in state.gates or (gate in state.asking and gate in state.answers):
            yield f"the gate `{gate}` is open or answered, but not as it should"
    for i, status in enumerate(state.status):
        id_, answer = state.graph.ids[i], state.answers.get(state.graph.ids[i])
        begun = status in (*_ALIVE, Status.READY, Status.BACKING_OFF, Status.EXPANDED)
        given = state.created is not None and state.created.given  # it may have been expanded in another run
        elsewhere = i in state.stand_ins or (status is Status.EXPANDED and given)
        approved = answer is not None and answer.answer == "approve"
        if begun and state.steps[i].question and not approved and not elsewhere:
            yield f"step `{id_}` is {status.name.lower()}, and nobody has approved it"
        first = status is not Status.EXPANDED and i not in state.last
        if begun and first and state.workflow.gates and state.graph.layer[i] > state.passed:
            yield f"step `{id_}` is {status.name.lower()}, and the gate before its layer has not been passed"
        if state.waiting and not status.settled and not _waits_for_people(state, i):
            yield f"the run waits for people, and step `{id_}` for something else"
    if (state.ended and state.asking) or (state.waiting and not (state.asking or state.interrupted)):
        yield f"the run is {'over' if state.ended else 'waiting'}, and {len(state.asking)} gates are open"


def _waits_for_people(state: State, i: int) -> bool:
    """Whether step i waits for a gate, for what is said of an interrupted step, or for another step."""
    above = any(not state.status[need].settled for need in state.graph.needs[i])
    parts = any(not state.status[part].settled for part in state.graph.children.get(i, ()))
    at_layer = bool(state.workflow.gates) and state.graph.layer[i] >= state.front > state.passed
    other = above or parts or blocked(state, i) or i in state.stand_ins
    parked = state.workflow.layered and state.graph.layer[i] > state.front
    return other or at_layer or parked or state.status[i] in (Status.AWAITING_APPROVAL, Status.INTERRUPTED)


def _audit_devices(state: State) -> Iterator[str]:
    """Each device is had by one attempt whole, or in parts that come to one at most."""
    pool = state.demands.gpu
    unit = 1 if pool is None else state.demands.spec[pool].unit
    had: dict[str, list[int]] = {}
    for i, attempt in state.alive.items():
        weight = dict(state.demands.of(i)).get(-1 if pool is None else pool, 0)
        if len(attempt.gpus) != -(-weight // unit) or len(set(attempt.gpus)) != len(attempt.gpus):
            yield f"step `{state.graph.ids[i]}` asks for {weight / unit:g} GPUs and has {list(attempt.gpus)}"
        for name in attempt.gpus:
            had.setdefault(name, []).append(min(weight, unit))
    if pool is None:
        return
    known = devices(state, pool)
    for name, parts in had.items():
        if sum(parts) > unit:
            yield f"GPU {name} is given away {sum(parts) / unit:g} times"
        if name not in known:
            yield f"there is no GPU {name}, only {known}"


def _audit_leases(state: State) -> Iterator[str]:
    """No lease lies idle after a turn; and each step that only lacks one has one asked for it."""
    for share, count in state.leases.granted.items():
        yield f"{count} leases for {share} are unused"
    if state.halted or state.ended or state.suspended:
        return
    for i, status in enumerate(state.status):
        share = state.demands.shared[state.demands.kind[i]]
        if status is Status.READY and share and _fits(state, i) and not state.leases.asked.get(share):
            yield f"step `{state.graph.ids[i]}` lacks nothing but a lease, and nobody asks for it"


def _audit_progress(state: State) -> Iterator[str]:
    if state.ended or state.left:
        if state.alive:
            yield f"the run is over and {len(state.alive)} attempts live"
        if state.ended and state.open:
            yield f"the run has ended and {state.open} steps have not settled"
        return
    if state.agenda or state.halt_due:
        yield "the turn left work on the agenda"
    killed = state.suspending is not None and state.suspending.how == "kill"
    drained = state.halted == "stop" and state.stopped_by is not None and state.steps[state.stopped_by].drain
    over = state.halted in ("cancel", "run_timeout") or (state.halted == "stop" and not drained)
    for i, attempt in state.alive.items():
        unwanted = killed or over or state.graph.layer[i] in state.stopped_layers
        if unwanted and attempt.cause is None:
            yield f"step `{state.graph.ids[i]}` runs though nobody wants it any more"
    if state.halted:
        return
    for i, status in enumerate(state.status):
        name = f"step `{state.graph.ids[i]}`"
        if status is Status.READY and (pool := too_small(state, state.demands.kind[i])) is not None:
            yield f"{name} is ready, though there is never so much of pool `{state.demands.pools[pool]}`"
        if status is Status.READY and _fits(state, i) and not state.demands.shared[state.demands.kind[i]]:
            yield f"{name} is ready and fits, and was not started"
        if status is Status.WAITING and not state.unsettled[i] and not blocked(state, i):
            step, keyed = state.steps[i], any(state.workflow.resources[pool].per for pool in state.steps[i].resources)
            asked = ((step.condition or keyed) and i not in state.verdicts) or step.grows
            asked = asked or (step.reuse and i not in state.prints)
            gate = step.question is not None and step.id not in state.answers
            if not asked and not gate and not behind(state, i):
                yield f"{name} waits for nothing"


def _fits(state: State, i: int) -> bool:
    """Whether step i could start from what nobody holds and nothing keeps from it, with a lease if it needs one."""
    curbs, ranks = state.curbs, state.demands.rank
    for pool, weight in state.demands.of(i):
        kept = 0
        if curbs.holder is not None and pool in curbs.reserved and ranks[i] > ranks[curbs.holder]:
            kept = dict(state.demands.of(curbs.holder))[pool]
        if state.free(pool) - kept < weight or curbs.closed(pool)[0] > state.now:
            return False
    return place(state, state.demands.of(i)) is not None
