"""The same for gates, budgets, fallbacks, `finally`, reuse, interrupted steps, and pools that change."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace
from sabotaging import Sabotage, applies, lose, noticed, orders, swaps

from weft.core import adapt, curbs, decide, dispatch, fallback, gates, halt, races, shared, state, verdict
from weft.core import facts as f
from weft.core.commands import LeaseUnits, OpenGate, ReturnLeases, StartAttempt, TakeFingerprint
from weft.core.curbs import Curbs
from weft.core.lacks import lack_but_lease
from weft.core.races import RacePools
from weft.core.state import State
from weft.core.turn import Turn

# ---- gates ----


def no_means_yes(good: Any, turn: Turn, i: int) -> bool:
    """Whatever was answered, the step goes on."""
    answers = turn.state.answers
    turn.state.answers = {gate: replace(answer, answer="approve") for gate, answer in answers.items()}
    try:
        return bool(good(turn, i))
    finally:
        turn.state.answers = answers


def silence_is_yes(good: Any, turn: Turn, gate: str) -> None:
    gates.answer(turn, f.GateAnswered(at=turn.now, gate=gate, answer="approve"))


def late_too(good: Any, state: State, fact: Any, now: float) -> str:
    return str(good(state, fact, -1.0))


def any_answer(good: Any, state: State, fact: Any, now: float) -> str:
    return "" if fact.gate in state.gates and fact.gate in state.graph.index else str(good(state, fact, now))


def no_plan(change: dict[str, Any]) -> Sabotage:
    """What an answer between layers says is forgotten in part."""

    def bad(good: Any, turn: Turn) -> None:
        if turn.state.plan is not None:
            turn.state.plan = replace(turn.state.plan, **change)
        good(turn)

    def sabotage(patch: pytest.MonkeyPatch) -> None:
        for module in (decide, gates):
            swaps(module, "carry_out", bad)(patch)

    return sabotage


def no_timer(state: State, fact: f.GateOpened) -> None:
    state.timers.clear()


# ---- fallbacks and `finally` ----


def too_early(good: Any, state: State, i: int) -> bool:
    return bool(good(state, i)) and i not in state.last


def always_failed(good: Any, turn: Turn, i: int) -> None:
    if turn.state.status[turn.state.stand_ins[i]].settled:
        turn.emit(f.StepFailed(at=turn.now, step=turn.state.graph.ids[i], error=turn.state.first_errors[i]))


def always_fine(good: Any, turn: Turn, i: int) -> None:
    if turn.state.status[turn.state.stand_ins[i]].settled:
        turn.emit(f.StepSucceeded(at=turn.now, step=turn.state.graph.ids[i]))


def cancel_ends_all(state: State, fact: f.RunEnding) -> None:
    state.cut_short = state.cancelled is not None


def outcome_before(good: Any, state: State) -> Any:
    """What `finally` comes to makes no difference."""
    return state.ending.status if state.ending else good(state)


# ---- reuse ----


def reuse_anything(good: Any, turn: Turn, fact: Any) -> None:
    if isinstance(fact, f.FingerprintTaken):
        fact = replace(fact, found=f.Given(run="before"))
    good(turn, fact)


def never_taken(good: Any, turn: Turn, i: int, verdicts: Any) -> None:
    turn.state.prints.setdefault(i, f.FingerprintTaken(at=0.0, step=turn.state.graph.ids[i]))
    good(turn, i, verdicts)


def left_out_runs(state: State, fact: f.RunCreated) -> None:
    state.left_out = frozenset()


# ---- interrupted steps ----


def runs_again(good: Any, turn: Turn, i: int, verdicts: Any) -> None:
    step = turn.state.steps[i]
    turn.state.steps[i] = replace(step, rerun="always")
    good(turn, i, verdicts)
    turn.state.steps[i] = step


def given_up_is_done(good: Any, turn: Turn, i: int, told: Any) -> None:
    good(turn, i, replace(told, answer="done"))


def not_at_once(command: Any) -> Any:
    return replace(command, after=command.after - 1) if isinstance(command, StartAttempt) and command.after > 2 else command


# ---- budgets and times ----


def spent_at_once(good: Any, turn: Turn) -> bool:
    state = turn.state
    if state.workflow.budget is None or state.halted or state.ending or not state.open:
        return False
    turn.emit(f.BudgetSpent(at=turn.now, usage=state.used))
    return True


def who_may_end_is_stopped(good: Any, turn: Turn, steps: Any, cause: str, because: str, *, drain: bool = False) -> None:
    good(turn, steps, cause, because)


# ---- pools that change ----


def drops(wanted: Callable[[State, Any], bool]) -> Sabotage:
    """Some facts are never decided."""
    return swaps(Turn, "emit", lambda good, turn, fact: None if wanted(turn.state, fact) else good(turn, fact))


def grows(state: State, fact: Any) -> bool | None:
    """Whether a fact gives a pool more slots; None if it gives none at all."""
    if not isinstance(fact, f.PoolResized) or fact.pool.startswith("max_parallel"):
        return None
    return fact.slots > (state.curbs.slots(state.demands.number[fact.pool, fact.key], state.limits) or 0)


def grow_at_once(good: Any, turn: Turn, pool: int) -> None:
    spec, (name, key) = turn.state.demands.spec[pool], turn.state.demands.name[pool]
    slots = turn.state.curbs.slots(pool, turn.state.limits)
    if spec.adaptive and spec.slots and slots and slots < spec.slots:
        turn.emit(f.PoolResized(at=turn.now, pool=name, key=key, slots=slots + 1))
    else:
        good(turn, pool)


def other_way_round(good: Any, state: State, pressure: f.PressureObserved) -> Any:
    return good(state, replace(pressure, cpu=1.0 - pressure.cpu, memory=0.0 if pressure.memory else 0.5))


def strike_at_once(good: Any, curbs: Curbs, pool: int, i: int, ok: bool | None) -> None:
    """One failure counts as many."""
    good(curbs, pool, i, ok)
    if ok is False and pool not in curbs.open_until:
        curbs.strikes[pool] = 99


def no_reset(good: Any, curbs: Curbs, pool: int, i: int, ok: bool | None) -> None:
    strikes = curbs.strikes.get(pool)
    good(curbs, pool, i, ok)
    if ok and strikes and pool not in curbs.open_until:
        curbs.strikes[pool] = strikes


def tried_well(good: Any, curbs: Curbs, pool: int, i: int, ok: bool | None) -> None:
    """Any attempt that tries closes the breaker."""
    good(curbs, pool, i, ok if ok is None or pool not in curbs.open_until else True)


def opened_for(seconds: float) -> Sabotage:
    def bad(good: Any, turn: Turn, fact: Any) -> None:
        good(turn, replace(fact, until=fact.until + seconds) if isinstance(fact, f.BreakerOpened) else fact)

    return swaps(Turn, "emit", bad)


# ---- leases ----


def keeps_leases(good: Any, turn: Turn) -> None:
    granted, turn.state.leases.granted = turn.state.leases.granted, {}
    good(turn)
    turn.state.leases.granted = granted


def without_readers(good: Any, pools: RacePools, step: Any) -> Any:
    """Who reads excludes nobody."""
    return tuple((n, weight) for n, weight in good(pools, step) if weight > 1)


SABOTAGES: dict[str, Sabotage] = {
    # gates
    "nobody is asked": swaps(verdict, "pass_gate", lambda good, turn, i: True),
    "no is yes": swaps(verdict, "pass_gate", no_means_yes),
    "a question is lost": lose(OpenGate),
    "silence is yes": swaps(decide, "silence", silence_is_yes),
    "silence lasts for ever": applies(f.GateOpened, no_timer),
    "who comes too late is heard": swaps(decide, "refusal", late_too),
    "the second answer counts": swaps(decide, "refusal", any_answer),
    "nobody is asked between layers": swaps(state, "at_gate", lambda good, state: False),
    "a gate between layers is never opened": swaps(decide, "open_layer_gate", lambda good, turn: None),
    "what is left out at a gate runs": no_plan({"skip": []}),
    "what is added at a gate is lost": no_plan({"inject": []}),
    "the run leaves though there is work": swaps(decide, "waits_for_people", lambda good, state: bool(state.asking)),
    "the run stays though there is none": swaps(decide, "waits_for_people", lambda good, state: False),
    # budget, times
    "a budget is no limit": swaps(decide, "_spends_too_much", lambda good, turn: False),
    "a budget is spent from the beginning": swaps(decide, "_spends_too_much", spent_at_once),
    "who may end is stopped": swaps(halt, "_give_up", who_may_end_is_stopped),
    "a deadline is forgotten": swaps(State, "deadline_of", lambda good, state, i: None),
    "a run may take any time": swaps(decide, "_can_time_out", lambda good, state: False),
    # fallbacks, `finally`
    "no fallback is tried": swaps(fallback, "_can_fall_back", lambda good, state, i: False),
    "a fallback is judged as any step": swaps(
        verdict, "blocked", lambda good, state, i: i in state.last and state.ending is None
    ),
    "a fallback does not help": swaps(verdict, "judge_stand_in", always_failed),
    "a fallback always helps": swaps(verdict, "judge_stand_in", always_fine),
    "a fallback is tried in a run that is over": swaps(fallback, "over", lambda good, state, i: None),
    "`finally` begins too early": swaps(verdict, "blocked", too_early),
    "a cancel ends `finally` too": applies(f.RunEnding, cancel_ends_all),
    "`finally` cannot fail": swaps(decide, "_outcome", outcome_before),
    "failures do not matter to the run": swaps(decide, "_outcome", lambda good, state: "succeeded"),
    "a retry forgets `finally`": applies(f.RetryRequested, lambda state, fact: state.last.clear()),
    # reuse
    "anything is reused": swaps(decide, "_admit", reuse_anything),
    "no fingerprint is taken": swaps(verdict, "_judge_needs", never_taken),
    "a fingerprint is lost": lose(TakeFingerprint),
    "what was not selected runs": applies(f.RunCreated, left_out_runs),
    # interrupted
    "an interrupted step runs again by itself": swaps(verdict, "_judge_loss", runs_again),
    "it may run again though it says never": swaps(
        decide, "refused", lambda good, state, fact, asked: good(state, replace(fact, answer="done"), asked)
    ),
    "given up is done": swaps(verdict, "_judge_answer", given_up_is_done),
    "it starts before that is on disk": orders(not_at_once),
    # pools that change
    "a pool never shrinks": drops(lambda state, fact: grows(state, fact) is False),
    "a pool never grows again": drops(lambda state, fact: grows(state, fact) is True),
    "a pool shrinks at any failure": swaps(curbs, "overload", lambda good, error: "a timeout" if error else ""),
    "a pool grows too early": swaps(adapt, "_judge_size", grow_at_once),
    "max_parallel grows under pressure": swaps(adapt, "parallel_after", other_way_round),
    "a breaker opens at the first failure": swaps(Curbs, "_note_breaker", strike_at_once),
    "a success does not reset a breaker": swaps(Curbs, "_note_breaker", no_reset),
    "a breaker is closed by a failure": swaps(Curbs, "_note_breaker", tried_well),
    "a breaker that was tried in vain is forgotten": drops(
        lambda state, fact: (
            isinstance(fact, f.BreakerOpened) and state.demands.number[fact.pool, fact.key] in state.curbs.open_until
        )
    ),
    "a breaker opens for a moment": opened_for(-1.0),
    "a breaker opens for too long": opened_for(5.0),
    "units are never reserved": swaps(dispatch, "_reserve", lambda good, turn, free: None),
    "a reservation is never given up": swaps(Curbs, "note_left", lambda good, curbs, i: frozenset()),
    # races, leases
    "who reads is not excluded": swaps(RacePools, "of", without_readers),
    "globs do not meet": swaps(races, "meetings", lambda good, patterns, written: [[n] for n in range(len(patterns))]),
    "a shared pool wants no lease": swaps(dispatch, "lack", lambda good, *args: lack_but_lease(*args)),
    "no lease is asked for": lose(LeaseUnits),
    "a lease is kept": swaps(decide, "ask_for_leases", keeps_leases),
    "a lease is not given back": lose(ReturnLeases),
    "too many leases are asked for": swaps(
        shared, "wanted_leases", lambda good, state, now: {of: 2 * count for of, count in good(state, now).items()}
    ),
}


SEEDS = {
    "a fallback is tried in a run that is over": 416,
    "a pool never grows again": 1280,
    "a success does not reset a breaker": 245,
    "units are never reserved": 906,
}
"""Seeds that noticed, where only few do."""


@pytest.mark.parametrize("name", SABOTAGES)
def test_a_broken_rule_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    SABOTAGES[name](monkeypatch)
    assert noticed(first=SEEDS.get(name, 0))
