"""What somebody sees who watches a run from outside. By this the core is judged, never by its own word.

`Outside` keeps books of its own: what really runs, what was reported complete, how often each step failed. `doubts` asks the
core why each step is as it is, and checks the answers. `truth` is what a state and its replay must have in common.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from weft.core import facts as f
from weft.core.commands import LeaseUnits
from weft.core.facts import Fact, Limits
from weft.core.state import UNWANTED, State
from weft.core.status import Status
from weft.core.turn import Turn
from weft.core.why import Why, why
from weft.model.expression import parse
from weft.model.output import Usage
from weft.model.workflow import WAITING_ACTIONS, Budget, Pool, Workflow
from weft.sim.sharing import at_once, collide, judged, out_of_turn


def usage(state: State, limits: Limits, running: Collection[int]) -> dict[str, tuple[int, int | None]]:
    """For each limit, by the name that the core gives it: units taken, and units that there are. `running`: step numbers."""
    waiting = sum(isinstance(state.steps[i].action, WAITING_ACTIONS) for i in running)
    one = 1 if state.workflow.schedule == "sequential" else None
    computing = None if limits.adaptive else limits.computing
    found = {
        "max_parallel": (len(running), one or limits.total),
        "max_parallel (computing)": (len(running) - waiting, one or computing),
        "max_parallel (waiting)": (waiting, one or limits.waiting),
    }
    for i in running:
        for name, weight, slots in takes(state, i, limits):
            found[name] = (found.get(name, (0, 0))[0] + weight, slots)
    return found


def takes(state: State, i: int, limits: Limits | None = None) -> Iterator[tuple[str, int, int | None]]:
    """What an attempt of step i takes beside `max_parallel` of the run: name, units, and units that there are."""
    verdict = state.verdicts.get(i)
    for name, weight in state.steps[i].resources.items():
        pool, key = state.workflow.resources[name], verdict.keys.get(name, "") if verdict else ""
        yield f"{name}[{key}]" if key else name, weight, _slots(name, pool, limits or state.limits)
    below = i
    for j in state.graph.above(i):
        above, most = state.graph.parent.get(j), state.steps[j].max_parallel
        stands_in, below = state.stand_ins.get(j) == below, j
        instance = above is not None and state.steps[above].for_each is not None
        if most is not None and state.steps[j].grows and not stands_in and not instance:
            yield f"max_parallel of {state.graph.ids[j]}", 1, most


def _slots(name: str, pool: Pool, limits: Limits) -> int | None:
    """Units of a pool on the machine with these limits."""
    if pool.auto:
        return limits.pools.get(name, 0)
    here = limits.pools.get(name)
    return pool.slots if here is None or pool.slots is None else min(pool.slots, here)


class Outside:
    """Processes, completions and slots in use. Its methods yield the rules that the core breaks, a sentence each."""

    def __init__(self, workflow: Workflow) -> None:
        self.workflow = workflow
        self.steps = {step.id: step for step in workflow.steps}
        self.running: dict[str, int] = {}
        self.completed: set[str] = set()
        self.grouped: set[str] = set()
        """Complete because their parts are."""
        self.reused: set[str] = set()
        """Taken from an earlier run."""
        self.left_out: set[str] = set()
        self.failures: Counter[str] = Counter()
        self.cancelled = self.timed_out = self.ending = False
        self.used = Usage()
        self.lost: set[str] = set()
        """Steps whose last attempt was lost, and about which nobody has decided since."""
        self.given_up: set[str] = set()
        self.stood_in: dict[str, str] = {}
        """Failed steps, and the fallbacks that were tried in their place."""
        self.dropped: set[str] = set()
        """Steps that answers left out; those inside of one that a fallback has helped stay so when the run is retried."""
        self.answers: dict[str, f.GateAnswered] = {}
        self.answered_twice: list[str] = []
        self.passed: set[str] = set()
        """Gates between layers that were passed before a retry."""
        self.kept: set[str] = set()
        """Complete before a retry: their needs may have come to another end since."""

    def saved(self, fact: Fact) -> None:
        """Note what is on disk now, and may be believed."""
        if isinstance(fact, f.AttemptEnded) and fact.usage:
            self.used = self.used.plus(fact.usage)
        match fact:
            case f.AttemptEnded(outcome="ok"):
                self.completed.add(fact.step)
            case f.AttemptEnded(outcome="failed"):
                self.failures[fact.step] += 1
            case f.AttemptLost():
                self.lost.add(fact.step)
            case f.InterruptAnswered():
                self.lost.discard(fact.step)
                self.given_up |= {fact.step} if fact.answer == "give_up" else set()
            case f.FallbackStarted():
                self.stood_in[fact.step] = fact.fallback
            case f.RunEnding():
                self.ending = True
            case f.CancelRequested():
                self.cancelled = True
            case f.RunTimedOut():
                self.timed_out = True
            case f.RetryRequested():
                self.cancelled = self.timed_out = self.ending = False
                self.used = Usage()
                self.failures.clear()
                self.lost.clear()
                self.given_up.clear()
                again = {id_ for id_ in (*self.completed, *self.grouped, *self.reused) if self._is_last(id_)}
                self.completed -= again
                self.grouped -= again
                self.reused -= again
                good = self.completed | self.grouped | self.reused
                self.kept |= good
                self.stood_in = {id_: by for id_, by in self.stood_in.items() if by in good or self._goes_on(by)}
                self.passed |= {gate for gate, answer in self.answers.items() if answer.answer == "approve"}
                self.answers.clear()
            case f.GateAnswered():
                self.answered_twice += [fact.gate] if fact.gate in self.answers else []
                self.answers[fact.gate] = fact
                self.dropped.update(fact.skip)
            case f.StepSucceeded():
                self.grouped.add(fact.step)
            case f.StepReused():
                self.reused.add(fact.step)

    def _goes_on(self, fallback: str) -> bool:
        """Whether a fallback, or one that was tried in its place, has parts, which go on when the run is retried."""
        while not self._has_parts(fallback) and fallback in self.stood_in:
            fallback = self.stood_in[fallback]
        return self._has_parts(fallback)

    def _has_parts(self, step: str) -> bool:
        return any(name.startswith((f"{step}/", f"{step}[")) for name in self.steps)

    def _is_last(self, step: str) -> bool:
        """Whether it is, by its name, one of `finally`, a part or an instance of one, or the fallback of one."""
        names = [name for name, each in self.steps.items() if each.role == "finally"]
        names += [each.fallback for name, each in self.steps.items() if name in names and each.fallback]
        names += [each.fallback for name, each in self.steps.items() if name in names and each.fallback]
        return any(step == name or step.startswith((f"{name}/", f"{name}[")) for name in names)

    def start(self, step: str, attempt: int, limits: Limits, saved: State) -> Iterator[str]:
        """Note a start; `saved` is what the facts on disk say."""
        i = saved.graph.index.get(step, -1)
        if saved.created is None:
            yield f"step `{step}` starts before the run is on disk"
        if i < 0:
            yield f"step `{step}` starts before it is on disk that there is one"
        if step in self.running:
            yield f"step `{step}` starts attempt {attempt} while attempt {self.running[step]} lives"
        if step in self.reused or step in self.left_out:
            yield f"step `{step}` starts, and was reused or not selected"
        if step in self.completed:
            yield f"step `{step}` was reported complete and starts again"
        if self.steps[step].role == "fallback" and step not in self.stood_in.values() and "[" not in step:
            yield f"step `{step}` starts, and it is not on disk that it is needed as a fallback"
        if self.steps[step].rerun != "always":
            if step in self.lost:
                yield f"step `{step}` starts again, its last attempt was lost, and nobody has said that it may"
            if i not in saved.alive or saved.alive[i].number != attempt:
                yield f"step `{step}` starts, and it is not on disk that it does"
        self.lost.discard(step)
        if self._is_last(step) != self.ending:
            yield f"step `{step}` starts, and the run is {'' if self.ending else 'not '}ending"
        if saved.unsettled[i]:
            yield f"step `{step}` starts before its needs are settled on disk"
        if self.workflow.layered and saved.graph.layer[i] > saved.front:
            yield f"step `{step}` starts before the layers above it are settled on disk"
        if not self._approved(step, saved.graph.layer[i]):
            yield f"step `{step}` starts before it is on disk that somebody approved it"
        if i in saved.alive and saved.alive[i].number < attempt:
            yield f"step `{step}` starts attempt {attempt} before the end of the last one is on disk"
        self.running[step] = attempt
        yield from at_once(saved, [saved.graph.index[id_] for id_ in self.running])
        for pool, (taken, slots) in usage(saved, limits, [saved.graph.index[id_] for id_ in self.running]).items():
            if slots is not None and taken > slots:
                yield f"{taken} units of `{pool}` are taken, there are {slots}"

    def _approved(self, step: str, layer: int) -> bool:
        """Whether every gate before a start was passed: its own, and that before its layer."""
        gates = [step] if self.steps[step].question else []
        gates += [f"layer#{layer - 1}"] if self.workflow.gates and layer and not self._is_last(step) else []
        yes = {gate for gate, answer in self.answers.items() if answer.answer == "approve"}
        return yes.issuperset(gate for gate in gates if gate == step or gate not in self.passed)

    def stop(self, step: str, attempt: int, saved: State) -> Iterator[str]:
        """Somebody orders an attempt to be ended."""
        living = saved.alive.get(saved.graph.index.get(step, -1))
        if saved.created is None or (living and living.number == attempt and living.cause is None):
            yield f"attempt {attempt} of step `{step}` is stopped before the cause is on disk"

    def end(self, step: str, attempt: int) -> None:
        """Note the end of an attempt; of what is not running (an echo) nothing is noted."""
        if self.running.get(step) == attempt:
            del self.running[step]

    def leave(self) -> Iterator[str]:
        if self.running:
            yield f"the engine leaves while {len(self.running)} attempts run"

    def over(self, state: State) -> Iterator[str]:
        """Judge an ended run: each step's status must follow from what was seen of its needs and of itself."""
        for gate in self.answered_twice:
            yield f"the gate `{gate}` was answered twice"
        bad, unwanted = set[str](), set[str]()
        for i in state.graph.order:
            step, status = state.steps[i], state.status[i]
            named = f"step `{step.id}` is {status.name.lower()}"
            parts = [state.graph.ids[part] for part in state.graph.children.get(i, ())]
            by = self.stood_in.get(step.id, "")
            stands = bool(by) and state.status[state.graph.index[by]].good
            if step.grows and status is Status.SUCCEEDED and not bad.isdisjoint(parts) and not stands:
                yield f"{named}, but one of its parts did not succeed"
            if not step.grows and (step.id in self.reused) != (status is Status.REUSED):
                yield f"{named}, {'' if step.id in self.reused else 'not '}reported as reused"
            if by and (status is Status.SUCCEEDED) != stands:
                yield f"{named}, its fallback `{by}` is {state.status[state.graph.index[by]].name.lower()}"
            done = step.id in self.completed or step.id in self.grouped
            if not step.grows and not by and done != (status is Status.SUCCEEDED):
                yield f"{named}, {'' if done else 'not '}reported complete"
            fails = not bad.isdisjoint(step.needs)
            none = bool(step.needs) and unwanted.issuperset(step.needs)
            own = step.id in self.kept | self.reused or (step.condition and parse(step.condition).uses_status)
            if (fails or none) and status is not Status.SKIPPED and not own and not parts and not by:
                yield f"{named}, but of its needs {'one failed' if fails else 'all were skipped'}"
            if status is Status.SKIPPED:
                reason = state.skips[i].reason
                true = {
                    "condition": bool(step.condition),
                    "needs_skipped": none,
                    "need_failed": fails,
                    "not_selected": step.id in self.left_out,
                    "not_needed": step.id not in self.stood_in.values(),
                    "gate": step.id in self.dropped,
                }
                if not true.get(reason, self._given_up(state, i, reason)):
                    yield f"{named} ({reason}) for no reason"
            if status is Status.CANCELLED and not self._rejected(state, i) and not self._given_up(state, i, state.stop_causes[i]):
                yield f"{named} ({state.stop_causes[i]}) for no reason"
            if status is Status.FAILED and not step.grows and not self._used_up(state, i):
                yield f"{named} after {self.failures[step.id]} failures, it may have {step.retry.times + 1}"
            if step.role == "fallback":
                continue
            if status is Status.SKIPPED and state.skips[i].reason in UNWANTED:
                unwanted.add(step.id)
            elif not status.good and not (status is Status.FAILED and step.on_error == "continue"):
                bad.add(step.id)

    def _rejected(self, state: State, i: int) -> bool:
        """Whether somebody, or silence, rejected step i, a part of it, or its fallback."""
        mine = self.answers.get(state.graph.ids[i])
        inside = list(state.graph.children.get(i, ()))
        inside += [state.graph.index[by]] if (by := self.stood_in.get(state.graph.ids[i])) else []
        return (mine is not None and mine.answer == "reject") or any(self._rejected(state, j) for j in inside)

    def _given_up(self, state: State, i: int, cause: str) -> bool:
        """Whether there was cause to give up step i: a cancel, or another step that failed and stops the run or the layer."""
        if cause in ("cancel", "run_timeout"):
            return self.cancelled if cause == "cancel" else self.timed_out
        if cause == "budget":
            return self._spent()
        return any(
            state.status[j] is Status.FAILED
            and step.on_error == cause
            and (cause == "stop" or state.graph.layer[j] == state.graph.layer[i])
            for j, step in enumerate(state.steps)
        )

    def _spent(self) -> bool:
        budget = self.workflow.budget or Budget()
        tokens, cost = self.used.tokens_in + self.used.tokens_out, self.used.cost
        return tokens >= (budget.tokens or float("inf")) or cost >= (budget.cost or float("inf"))

    def _used_up(self, state: State, i: int) -> bool:
        step = state.steps[i]
        if step.id in self.given_up:
            return True
        if self._goes_on(self.stood_in.get(step.id, "?")):
            return True  # its fallback goes on with its parts when the run is retried, and it is not tried again itself
        if any(step.id.startswith((f"{of}/", f"{by}/", f"{by}[")) for of, by in self.stood_in.items() if of in self.grouped):
            return True  # it is not tried again, since a fallback succeeded in its place
        if any(slots is not None and weight > slots for _, weight, slots in takes(state, i)):
            return True  # the machine does not have so much
        timed = (step.retry.max_elapsed_s, step.deadline_s) != (None, None)
        conditional = step.retry.when or state.asks(i) or step.question or timed
        given_up = (
            self.cancelled
            or self.timed_out
            or self._spent()
            or self._given_up(state, i, "stop")
            or self._given_up(state, i, "stop_layer")
        )
        return bool(conditional or given_up) or self.failures[step.id] == step.retry.times + 1


WORKLISTS: Final = frozenset(
    (
        *("agenda", "parked", "timers", "queues", "heads", "posted", "lacking", "stirred", "line"),
        *("halt_due", "outputs_due", "gate_due", "plan", "leases"),
    )
)
"""What a state holds beside the truth: candidates, of which a replay may hold more."""


def truth(state: State) -> dict[str, Any]:
    """A state in a form that can be compared, without its worklists and without what follows from the workflow alone."""
    found = {name: value for name, value in vars(state).items() if name not in WORKLISTS | {"graph", "demands"}}
    about_pools = {"touched", "openings", "watched", "demands"}
    found["leases"] = [state.leases.granted, state.leases.busy]
    found["curbs"] = {name: value for name, value in vars(state.curbs).items() if name not in about_pools}
    found["alive"] = {i: [getattr(attempt, slot) for slot in attempt.__slots__] for i, attempt in state.alive.items()}
    return found


def doubts(turn: Turn) -> Iterator[str]:
    """What the core says about each step after a whole turn, where it is wrong or says nothing; and starts that should not be."""
    state, now, untils = turn.state, turn.now, list[float]()
    if state.created is None:
        return
    if state.halted and any(isinstance(fact, f.AttemptStarted) for fact in turn.facts):
        yield f"something starts, though nothing may any more ({state.halted})"
    yield from out_of_turn(turn)
    yield from _too_many_leases(turn)
    for i, id_ in enumerate(state.graph.ids):
        said = why(state, i, now)
        if not said.reason or said.step != id_ or not said.status:
            yield f"nothing is said about step `{id_}`: {said}"
        if not _holds(state, i, said, now):
            yield f"of step `{id_}` it is not true that {said.reason}: {said}"
        if said.until is not None and not state.status[i].settled:
            untils.append(said.until)
            if said.until <= now and not state.halted:
                yield f"step `{id_}` is still {said.status} at {now}: {said.reason}, until {said.until}"
        if state.status[i] is Status.READY and (deadline := state.deadline_of(i)) is not None:
            untils.append(deadline)
    drains = state.halted == "stop" and state.stopped_by is not None and state.steps[state.stopped_by].drain
    drains = drains or state.halted == "budget"
    if state.deadline is not None and (drains or not state.halted) and not state.ending:
        untils.append(state.deadline)
    due = min([until for until in untils if until > now], default=None)
    wake_at = turn.wake_at
    early = wake_at is not None and wake_at in _openings(state, now) and (due is None or wake_at < due)  # more is lacking then
    if wake_at != due and not early and not (state.ended or state.left):
        yield f"the core wants to be called at {wake_at}, the next instant that matters is {due}"


def _too_many_leases(turn: Turn) -> Iterator[str]:
    """No more leases are wanted than there are steps that would take them."""
    state = turn.state
    for command in turn.commands:
        if isinstance(command, LeaseUnits):
            ready = [state.steps[i] for i, status in enumerate(state.status) if status is Status.READY]
            count = sum(_shared(state.workflow, step.resources) == command.units for step in ready)
            if command.count > count:
                yield f"{command.count} leases of {command.units} are asked for, {count} steps want one"


def _shared(workflow: Workflow, resources: Mapping[str, int]) -> dict[str, int]:
    return {name: weight for name, weight in resources.items() if workflow.resources[name].scope == "engine"}


def _openings(state: State, now: float) -> set[float]:
    """The instants at which pools open that held steps take."""
    ready = [i for i, status in enumerate(state.status) if status is Status.READY]
    opens = {state.curbs.closed(pool)[0] for i in ready for pool, _ in state.demands.of(i)}
    return {at for at in opens if at > now}


def _held(state: State, i: int, said: Why, now: float) -> bool:
    """Whether what a held step is said to lack is lacking."""
    if said.pool.startswith("races of "):
        return _races(state, i, said)
    curbs, pool = state.curbs, state.demands.pools.index(said.pool)
    weight, most = next(((weight, of) for name, weight, of in takes(state, i) if name == said.pool), (1, None))
    taken, of = usage(state, state.limits, list(state.alive)).get(said.pool, (0, most))
    slots = of or 0
    if pool in curbs.sizes:
        slots = max(curbs.sizes[pool], state.demands.heaviest.get(pool, 1))
    holder, spec = curbs.holder, state.demands.spec[pool]
    match said.cause:
        case "slots":
            return all(j in state.alive for j in map(state.graph.index.__getitem__, said.steps)) and taken + weight > slots
        case "reserved":
            named = holder is not None and said.steps == (state.graph.ids[holder],) and state.status[holder] is Status.READY
            return named and holder != i and pool in curbs.reserved and taken + weight <= slots
        case "device":
            whole = weight // spec.unit * spec.unit
            return taken + weight <= slots and (whole in (0, weight)) and not _devices_left(state, weight, spec.unit, slots)
        case "lease":
            return spec.scope == "engine" and taken + weight <= slots and not any(state.leases.granted.values())
        case "rate":
            return spec.rate is not None and said.until is not None and said.until > now
    return spec.breaker is not None and (said.until is not None or curbs.trials.get(pool) in state.alive)


def _races(state: State, i: int, said: Why) -> bool:
    """Whether the steps that a held step is said to race with live, or stand before it, and touch the same."""
    others = [state.graph.index[id_] for id_ in said.steps]
    reserved = said.cause == "reserved"
    there = all(j == state.curbs.holder if reserved else j in state.alive for j in others)
    known = all(judged(state.steps[j]) for j in (i, *others))
    return bool(others) and there and (not known or reserved or any(collide(state.steps[i], state.steps[j]) for j in others))


def _devices_left(state: State, weight: int, unit: int, slots: int) -> bool:
    """Whether the devices could take so much more, by what the living have of each."""
    parts = [unit] * (slots // unit)
    names: dict[str, int] = {}
    for i, attempt in state.alive.items():
        for gpu in attempt.gpus:
            place = names.setdefault(gpu, len(names))
            parts[place] -= min(unit, state.steps[i].resources["gpu"])
    return max(parts, default=0) >= weight if weight < unit else parts.count(unit) >= weight // unit


def _holds(state: State, i: int, said: Why, now: float) -> bool:
    """Whether the fields of an answer are true of the state, worked out from scratch."""
    status, steps = state.status[i], [state.graph.index[id_] for id_ in said.steps]
    open_ = all(not state.status[j].settled for j in steps)
    match status:
        case Status.WAITING if state.steps[i].role == "fallback" and i not in state.stand_ins.values():
            return open_ and len(steps) == 1 and state.steps[steps[0]].fallback == state.graph.ids[i]
        case Status.WAITING if i in state.last and not state.ending:
            return open_ and bool(steps) == (state.open > state.last_open)
        case Status.WAITING:
            step, keyed = state.steps[i], any(state.workflow.resources[pool].per for pool in state.steps[i].resources)
            asked = (bool(step.condition or keyed) and i not in state.verdicts) or step.grows
            asked = asked or (step.reuse and i not in state.prints)
            gate = step.question is not None and step.id not in state.gates
            behind = state.workflow.gates is not None and state.graph.layer[i] == state.front > state.passed
            return bool(open_ and (steps or asked or gate or behind or state.suspending or state.suspended))
        case Status.AWAITING_APPROVAL:
            return said.until == state.gates[state.graph.ids[i]].until
        case Status.READY if said.pool:
            return open_ and _held(state, i, said, now)
        case Status.READY:
            return state.halted is not None
        case Status.EXPANDED:
            return open_
        case Status.BACKING_OFF:
            return said.until is not None
        case Status.INTERRUPTED:
            return open_ and state.steps[i].rerun != "always"
        case Status.RUNNING:
            limited = state.steps[i].timeout_s is not None or state.steps[i].deadline_s is not None
            return (said.until is not None) == limited
        case Status.REUSED:
            return not steps
        case Status.SUCCEEDED:
            stands = state.steps[i].grows or i in state.stand_ins or state.steps[i].question is not None
            return state.attempts[i] > 0 or stands  # its needs may wait again, if the run was asked to retry
        case Status.SKIPPED if state.skips[i].reason == "need_failed":
            return len(steps) == 1 and state.counts_as_failed(steps[0]) and _below(state, steps[0], i)
    return all(state.status[j].settled for j in steps)


def _below(state: State, above: int, i: int) -> bool:
    """Whether step i depends on step `above`, at once or by others, or by what it stands for."""
    front, seen = [i], {i}
    for j in front:  # grows while it is walked
        new = [k for k in (*state.graph.needs[j], *state.graph.children.get(j, ())) if k not in seen]
        front += new
        seen.update(new)
    return above in seen
