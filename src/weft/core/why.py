"""Why a step waits, runs or ended as it did: said from the state alone, for every status."""

from collections.abc import Callable
from typing import Literal, TypeAlias

import msgspec

from weft.core import facts as f
from weft.core.curbs import Cause, Lack
from weft.core.fallback import blocked
from weft.core.interrupts import told_words
from weft.core.lacks import lack
from weft.core.state import State, behind, layer_gate
from weft.core.status import Status
from weft.model.units import format_rate


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """`status` is a word of the glossary, `reason` one lower-case sentence, `steps` the steps that it names, `pool` the pool,
    `until` an instant in seconds since the epoch. `cause`: what a held step lacks in the pool."""

    step: str
    status: str
    reason: str
    steps: tuple[str, ...] = ()
    pool: str = ""
    until: float | None = None
    reuse: str = ""
    """Why a step with `reuse` was run all the same, and whether its success will be reused."""
    cause: Cause | Literal[""] = ""


_Answer: TypeAlias = tuple[str, tuple[str, ...], float | None]
"""A reason, the steps that it names, and an instant."""
DONE = {"approve": "approved", "reject": "rejected", "fail": "failed"}
"""What somebody did who answered so."""

NAMED_MAX = 8
"""More names than these do not make a sentence clearer; `steps` has all of them."""


def status_word(state: State, i: int) -> str:
    """The status of step i as the glossary says it: a ready step that is not started at once is `held`."""
    return _WORDS.get(state.status[i]) or state.status[i].name.lower()


_WORDS = {Status.READY: "held", Status.EXPANDED: "running"}


def why(state: State, i: int, now: float | None = None) -> Why:
    """The reason for the status of step i after a whole turn. `now`: the time of the last fact, if no later one is given."""
    if state.status[i] is Status.READY:
        found = _why_held(state, i, state.now if now is None else max(now, state.now))
    else:
        found = _WAITING[state.status[i]](state, i) if state.status[i] in _WAITING else _why_settled(state, i)
    return msgspec.structs.replace(found, step=state.graph.ids[i], status=status_word(state, i), reuse=_why_run(state, i))


def _why_run(state: State, i: int) -> str:
    """Why step i was not reused, where that is known."""
    said = state.prints.get(i)
    if said is None or state.status[i] is Status.REUSED:
        return ""
    if said.note:
        told = said.note
    elif said.last:
        told = f"since it succeeded in run {said.last}, {_names(tuple(said.changed))} changed"
    else:
        told = "it has not succeeded before, as far as is known"
    unstored = f"; it will not be reused either: {state.not_stored[i]}" if i in state.not_stored else ""
    return f"it was not reused: {told}{unstored}"


def _why(reason: str, steps: tuple[str, ...] = (), pool: str = "", until: float | None = None) -> Why:
    return Why(step="", status="", reason=reason, steps=steps, pool=pool, until=until)


def _names(steps: tuple[str, ...]) -> str:
    shown = ", ".join(f"`{step}`" for step in steps[:NAMED_MAX])
    return shown if len(steps) <= NAMED_MAX else f"{shown} and {len(steps) - NAMED_MAX} more"


def _why_waiting(state: State, i: int) -> Why:
    ids, user = state.graph.ids, state.users.get(state.graph.ids[i])
    if blocked(state, i) and user is not None and i not in state.graph.stands_for:
        return _why(f"it is the fallback of `{ids[user]}`, which has not failed", (ids[user],))
    if blocked(state, i):
        open_ = tuple(id_ for j, id_ in enumerate(ids) if j not in state.last and not state.status[j].settled)
        waits = f"{_names(open_)} {'has' if len(open_) == 1 else 'have'} not settled" if open_ else "its outputs are due first"
        return _why(f"it runs when the run ends; {waits}", open_)
    needs = tuple(ids[need] for need in state.graph.needs[i] if not state.status[need].settled)
    if needs:
        return _why(f"it needs {_names(needs)}", needs)
    if state.suspended or state.halted:
        return _why("the run is suspended: `weft resume` goes on")
    layer, called = state.graph.layer[i], f"layer {state.graph.layer[i] + state.workflow.first_layer}"
    if state.workflow.layered and layer > state.front:
        key = "schedule: layers" if state.workflow.gates is None else "gates: each-layer"
        open_ = tuple(ids[j] for members in state.layers[state.front : layer] for j in members if not state.status[j].settled)
        return _why(f"`{key}` lets {called} start after {_names(open_)}", open_)
    if behind(state, i):
        return _why_at_gate(state, layer_gate(state), f"{called} starts when somebody says so")
    step = state.steps[i]
    if i not in state.verdicts and state.asks(i):
        return _why("its `if` is being evaluated" if step.condition else "the keys of its pools are being evaluated")
    if step.reuse and i not in state.prints:
        return _why("its fingerprint is being taken")
    asks = step.question is not None and step.id not in state.answers
    return _why("what is asked at its gate is being evaluated" if asks else "what it stands for is being evaluated")


def _why_awaiting(state: State, i: int) -> Why:
    return _why_at_gate(state, state.graph.ids[i], "somebody must approve it")


def _why_at_gate(state: State, gate: str, reason: str) -> Why:
    opened = state.gates.get(gate)
    if opened is None:
        return _why(f"{reason}, and what is asked at `{gate}` is being evaluated")
    return _why(f"{reason} (`weft approve RUN {gate}`): {opened.message}", until=opened.until)


def _why_held(state: State, i: int, now: float) -> Why:
    found, deadline = lack(state, i, state.free, now), state.deadline_of(i)
    if found is None or (state.halted and (not found.weight or found.cause == "lease")):
        return _why("the run is suspended: `weft resume` goes on" if state.halted else "it starts with this turn", until=deadline)
    racing = found.pool in state.demands.race_pools
    reason, steps, until = _racing(state, i, found) if racing else _LACKING[found.cause](state, found)
    answer = _why(reason, steps, state.demands.pools[found.pool], deadline if until is None else until)
    return msgspec.structs.replace(answer, cause=found.cause)


def _racing(state: State, i: int, lack: Lack) -> _Answer:
    """Somebody touches what step i writes, or writes what it touches; or is to do so before."""
    ids, kept = state.graph.ids, lack.cause == "reserved"
    others = tuple(ids[j] for j in ([state.curbs.holder] if kept else state.holding(lack.pool)) if j is not None)
    clash, does = state.demands.races.clash(ids[i], others[0]), _KEPT if kept else _ING
    if clash is None:
        return f"it races with {_names(others)}", others, None
    mine, theirs = clash
    more = f" (and {_names(others[1:])} as well)" if len(others) > 1 else ""
    if mine.text == theirs.text:
        return f"it {mine.does} `{mine.text}`, which `{others[0]}` {does[theirs.does]}{more}", others, None
    return f"it {mine.does} `{mine.text}`, and `{others[0]}` {does[theirs.does]} `{theirs.text}`{more}", others, None


_ING = {"reads": "is reading", "writes": "is writing"}
_KEPT = {"reads": "is to read first", "writes": "is to write first"}


def _lacking_slots(state: State, lack: Lack) -> _Answer:
    name, free = state.demands.pools[lack.pool], max(0, state.free(lack.pool))
    holders = tuple(state.graph.ids[j] for j in state.holding(lack.pool))
    declared = state.demands.name[lack.pool][0] in state.workflow.resources
    shown = state.demands.spec[lack.pool].shown
    units = f"{shown(lack.weight)} of pool `{name}`" if declared else f"a place under `{name}`"
    now, full = state.curbs.slots(lack.pool, state.limits), state.demands.slots(lack.pool, state.limits)
    resized = f" of {shown(now or 0)} (it adapts, between {shown(1)} and {shown(full or 0)})" if declared and now != full else ""
    return f"it asks for {units}, {shown(free)} free{resized}; held by {_names(holders)}", holders, None


def _lacking_reserved(state: State, lack: Lack) -> _Answer:
    holder = state.curbs.holder
    assert holder is not None
    id_, name, free = state.graph.ids[holder], state.demands.pools[lack.pool], state.free(lack.pool)
    overtaken = f"which comes first and was overtaken {state.curbs.overtaken[holder]} times"
    shown = state.demands.spec[lack.pool].shown
    return (
        f"it asks for {shown(lack.weight)} of pool `{name}`; the {shown(free)} free are reserved for `{id_}`, {overtaken}",
        (id_,),
        None,
    )


def _lacking_token(state: State, lack: Lack) -> _Answer:
    rate = state.demands.spec[lack.pool].rate
    assert rate is not None
    words = format_rate(rate.starts, rate.window_s)
    until, _ = state.curbs.closed(lack.pool)
    return f"pool `{state.demands.pools[lack.pool]}` lets {words} start, and has no token left", (), until


def _lacking_breaker(state: State, lack: Lack) -> _Answer:
    name, trial = state.demands.pools[lack.pool], state.curbs.trials.get(lack.pool)
    if trial is not None:
        id_ = state.graph.ids[trial]
        return f"the breaker of pool `{name}` is half open: `{id_}` tries whether it can be closed", (id_,), None
    strikes, until = state.curbs.strikes[lack.pool], state.curbs.open_until[lack.pool]
    return f"the breaker of pool `{name}` is open after {strikes} failures in a row", (), until


def _lacking_device(state: State, lack: Lack) -> _Answer:
    spec, holders = state.demands.spec[lack.pool], tuple(state.graph.ids[j] for j in state.holding(lack.pool))
    asked, free = spec.shown(lack.weight), spec.shown(state.free(lack.pool))
    return (
        f"it asks for {asked} of pool `gpu`; the {free} free are parts of devices in use; held by {_names(holders)}",
        holders,
        None,
    )


def _lacking_lease(state: State, lack: Lack) -> _Answer:
    name, spec = state.demands.pools[lack.pool], state.demands.spec[lack.pool]
    runs = sorted({run for share, runs in state.leases.busy.items() if (lack.pool, lack.weight) in share for run in runs})
    own = state.created.run if state.created else ""
    told = [f"run `{run}`" + (" (this one)" if run == own else "") for run in runs[:NAMED_MAX]]
    held = f"; held, or waited for longer, by {', '.join(told)}" if told else ""
    return f"it asks for {spec.shown(lack.weight)} of pool `{name}`, which all runs here share{held}", (), None


_LACKING: dict[Cause, Callable[[State, Lack], _Answer]] = {
    "slots": _lacking_slots,
    "reserved": _lacking_reserved,
    "rate": _lacking_token,
    "breaker": _lacking_breaker,
    "device": _lacking_device,
    "lease": _lacking_lease,
}


def _why_running(state: State, i: int) -> Why:
    attempt = state.alive[i]
    process = f" in process {attempt.pid}" if attempt.pid else ""
    gpus = f" on GPU {', '.join(attempt.gpus)}" if attempt.gpus else ""
    return _why(f"attempt {attempt.number} runs{process}{gpus}", until=state.due(i))


def _why_expanded(state: State, i: int) -> Why:
    if i in state.stand_ins and not state.status[state.stand_ins[i]].settled:
        by = state.graph.ids[state.stand_ins[i]]
        return _why(f"it failed ({state.errors[i].message}), and its fallback `{by}` is tried", (by,))
    parts = state.graph.children.get(i, [])
    open_ = tuple(state.graph.ids[part] for part in parts if not state.status[part].settled)
    if open_:
        return _why(f"{len(open_)} of its {len(parts)} steps have not settled: {_names(open_)}", open_)
    return _why("its outputs are being evaluated")


def _why_stopping(state: State, i: int) -> Why:
    attempt = state.alive[i]
    return _why(f"attempt {attempt.number} is being ended ({attempt.cause}); it keeps its slots until its processes are dead")


def _why_interrupted(state: State, i: int) -> Why:
    rerun, attempt, step = state.steps[i].rerun, state.interrupted[i], state.graph.ids[i]
    again = f"`weft approve RUN {step}` lets it run again, with `--done` it counts as done"
    done = f"`weft approve RUN {step} --done` says that its work is done"
    ways = f"{again if rerun == 'ask' else done}; `weft reject RUN {step}` gives it up"
    return _why(f"attempt {attempt} was lost, and `rerun: {rerun}` lets a person decide: {ways}")


def _why_backing_off(state: State, i: int) -> Why:
    left = state.steps[i].retry.times + 1 - state.failures[i]
    return _why(f"attempt {state.attempts[i]} failed; it waits before the next, {left} left", until=state.backoff_until[i])


_WAITING = {
    Status.WAITING: _why_waiting,
    Status.RUNNING: _why_running,
    Status.STOPPING: _why_stopping,
    Status.EXPANDED: _why_expanded,
    Status.BACKING_OFF: _why_backing_off,
    Status.AWAITING_APPROVAL: _why_awaiting,
    Status.INTERRUPTED: _why_interrupted,
}


def _why_settled(state: State, i: int) -> Why:
    status, step = state.status[i], state.steps[i]
    if status is Status.REUSED:
        how = "it succeeded with the same fingerprint in" if i in state.prints else "its output was taken from"
        return _why(f"it was not run: {how} run {state.reused[i]}")
    if status is Status.SUCCEEDED and i in state.stand_ins:
        by = state.graph.ids[state.stand_ins[i]]
        return _why(f"its fallback `{by}` succeeded, after it had failed ({state.errors[i].message})", (by,))
    if status is Status.SUCCEEDED and step.question and step.question is step.action:
        return _why(answered(state.answers[step.id]), step.needs)
    if status is Status.SUCCEEDED and i in state.told and state.told[i].answer == "done":
        return _why(f"it was interrupted, and {told_words(state.told[i])}")
    if status is Status.SUCCEEDED and not state.attempts[i]:
        parts = len(state.graph.children.get(i, ()))
        return _why(
            f"none of its {parts} steps failed" if parts else "there was nothing to do: it stands for no steps", step.needs
        )
    if status is Status.SUCCEEDED:
        which = "the first attempt" if state.attempts[i] == 1 else f"attempt {state.attempts[i]}"
        return _why(f"{which} succeeded", step.needs)
    if status is Status.FAILED:
        tried = f" after {state.attempts[i]} attempts" if state.attempts[i] > 1 else ""
        return _why(f"{state.errors[i].kind}{tried}: {state.errors[i].message}")
    if status is Status.CANCELLED and state.stop_causes[i] == "rejected":
        return _why(_why_rejected(state, i))
    if status is Status.CANCELLED:
        return _why(_STOPPED[state.stop_causes[i]].format(by=_stopper(state, i)))
    skip = state.skips[i]
    because = (skip.because,) if skip.because else ()
    if skip.reason == "not_selected":
        return _why("it was not selected when the run was started")
    if skip.reason == "condition":
        return _why(f"its `if` is false: {step.condition}")
    if skip.reason == "not_needed":
        return _why(_not_needed(state, i), because)
    if skip.reason == "needs_skipped":
        return _why("every step that it needs was skipped", step.needs)
    if skip.reason == "gate":
        return _why(f"it was skipped at the gate `{skip.because}`: {answered(state.answers[skip.because])}")
    if skip.reason == "need_failed":
        i = state.graph.index[skip.because]
        return _why(f"it depends on `{skip.because}`, which {_OUTCOME.get(state.status[i], 'did not succeed')}", because)
    return _why("it had not started when " + _STOPPED[skip.reason].format(by=skip.because), because)


def _not_needed(state: State, i: int) -> str:
    """Why a fallback was not tried: those of instances are steps of their own."""
    user = state.steps[state.users[state.graph.ids[i]]]
    instances = f"instances of `{user.id}` have fallbacks of their own" if user.for_each is not None else ""
    return instances or f"`{user.id}` did not need its fallback"


def answered(answer: f.GateAnswered) -> str:
    """Who answered what, and why, as a sentence; silence has no author."""
    reason = f": {answer.reason}" if answer.reason else ""
    return f"{answer.by or 'its timeout'} {DONE[answer.answer]} it{reason}"


def _why_rejected(state: State, i: int) -> str:
    """The answer to its gate; what stands for others was not asked itself."""
    answer = state.answers.get(state.graph.ids[i])
    return "one of its steps was rejected" if answer is None or answer.answer == "approve" else answered(answer)


def _stopper(state: State, i: int) -> str:
    by = state.stopped_by if state.stop_causes[i] == "stop" else state.stopped_layers.get(state.graph.layer[i])
    return "" if by is None else state.graph.ids[by]


_OUTCOME = {Status.FAILED: "failed", Status.CANCELLED: "was cancelled", Status.SKIPPED: "was skipped"}
_STOPPED = {
    "cancel": "the run was cancelled",
    "budget": "the budget of the run was spent",
    "run_timeout": "the run had taken longer than its `timeout`",
    "stop": "`{by}` failed and its `on_error: stop` ended the run",
    "stop_layer": "`{by}` failed and its `on_error: stop_layer` ended the layer",
}
