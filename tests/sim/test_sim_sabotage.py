"""The simulator can fail: each rule of the core is broken once, and some seed among the first must notice."""

from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace
from sabotaging import Sabotage, applies, at_once, index, lose, noticed, orders, says, swaps

from weft.core import adapt, decide, dispatch, halt, verdict, why
from weft.core import facts as f
from weft.core.commands import EvaluateCondition, EvaluateOutputs, Leave, StartAttempt, StopAttempt
from weft.core.curbs import Curbs
from weft.core.races import RacePools
from weft.core.state import State
from weft.core.status import Status
from weft.core.turn import Turn


def release(state: State, fact: Any) -> None:
    """Whoever is being stopped holds nothing any more."""
    for pool, weight in state.demands.of(index(state, fact)):
        state.holders[pool][weight].discard(index(state, fact))
        state.stirred.add(pool)


def forget_halt(state: State, fact: f.StepFailed) -> None:
    """The last failure of a turn decides whether anything is stopped."""
    state.halt_due = state.steps[index(state, fact)].on_error not in ("isolate", "continue")


def unlimited(good: Any, state: State, pool: int, which: range) -> float:
    return 1e9 if pool in which else good(state, pool)


def without_layers(good: Any, state: State, i: int) -> int:
    return max(state.unblocked_seq[i], state.ended_seq.get(i, 0))


def call_it_cancelled(good: Any, turn: Turn, i: int, end: Any) -> None:
    turn.emit(f.StepCancelled(at=turn.now, step=end.step, cause="stop"))


def write_behind(good: Any, turn: Turn) -> None:
    """Something changes that no fact tells of."""
    good(turn)
    turn.state.failed_soft += 1


def any_fits(good: Any, turn: Turn, free: Any, rank: Any) -> Any:
    """One unit is enough, whatever a step asks for."""
    enough = dict.fromkeys(range(len(turn.state.demands.pools)), 1e9)
    return good(turn, {pool: 1e9 if free[pool] > 0 else 0 for pool in enough}, rank)


def any_number_tries(good: Any, curbs: Curbs, pool: int) -> Any:
    """An attempt that tries keeps nobody out."""
    trials, curbs.trials = curbs.trials, {}
    found = good(curbs, pool)
    curbs.trials = trials
    return found


def grow_too_far(good: Any, turn: Turn, pool: int) -> None:
    name, key = turn.state.demands.name[pool]
    if turn.state.demands.spec[pool].adaptive:
        turn.emit(f.PoolResized(at=turn.now, pool=name, key=key, slots=9))


def reserve_at_once(good: Any, turn: Turn, free: Any) -> None:
    first = turn.state.first_ready()
    if first is not None and len(turn.state.demands.of(first)) > 2 and turn.state.curbs.holder is None:
        pools = [f.PoolKey(*turn.state.demands.name[pool]) for pool, _ in turn.state.demands.of(first)[2:]]
        turn.emit(f.UnitsReserved(at=turn.now, step=turn.state.graph.ids[first], pools=pools))


def forget_keys(state: State, fact: f.ConditionEvaluated) -> None:
    """Each step is thought to have a key of its own."""
    i = index(state, fact)
    state.demands.assign(i, state.steps[i], dict.fromkeys(fact.keys, fact.step))
    state.make_room()


def start_twice(good: Any, turn: Turn, free: Any, rank: Any) -> Any:
    lacking = good(turn, free, rank)
    if lacking is None and turn.commands:
        turn.order(turn.commands[-1])
    return lacking


def restart(good: Any, turn: Turn, fact: Any) -> None:
    """What has succeeded starts once more."""
    good(turn, fact)
    if isinstance(fact, f.AttemptEnded) and turn.state.status[index(turn.state, fact)] is Status.SUCCEEDED:
        turn.order(StartAttempt(step=fact.step, attempt=fact.attempt + 1, after=turn.state.seq))


def any_end(good: Any, turn: Turn, fact: Any) -> None:
    """The number of an attempt is not looked at."""
    attempt = turn.state.alive.get(index(turn.state, fact))
    good(turn, replace(fact, attempt=attempt.number) if attempt else fact)


def count_loss(state: State, fact: Any) -> None:
    state.failures[index(state, fact)] += 1


def attach_only(good: Any, turn: Turn, fact: Any) -> None:
    """Attempts are taken to have survived their engine."""
    if isinstance(fact, f.EngineAttached) and turn.state.created:
        turn.emit(replace(fact, at=turn.now))
    else:
        good(turn, fact)


def no_barrier(good: Any, turn: Turn, i: int, verdicts: Any) -> None:
    workflow = turn.state.workflow
    turn.state.workflow = replace(workflow, schedule="dataflow")
    try:
        good(turn, i, verdicts)
    finally:
        turn.state.workflow = workflow


def none_skipped(good: Any, state: State, i: int) -> bool:
    return all(state.status[need] is not Status.SKIPPED for need in state.graph.needs[i])


def next_layer_too(good: Any, turn: Turn, steps: Any, cause: str, because: str, **more: Any) -> None:
    layers = turn.state.layers
    for n, members in enumerate(layers[:-1]):
        if cause == "stop_layer" and steps is members:
            steps = [*members, *layers[n + 1]]
    good(turn, steps, cause, because, **more)


def another_layer(good: Any, turn: Turn, steps: Any, cause: str, because: str, **more: Any) -> None:
    layers = turn.state.layers
    good(turn, layers[-1] if cause == "stop_layer" and steps is layers[0] else steps, cause, because, **more)


def end_at_once(good: Any, turn: Turn) -> None:
    """The run is over when nothing runs."""
    state = turn.state
    if not state.alive and not state.backoff_until and not state.ended:
        turn.emit(f.RunEnded(at=turn.now, status="succeeded"))
    else:
        good(turn)


def start_anyway(good: Any, turn: Turn) -> None:
    """Things start while the run is being suspended."""
    suspending, turn.state.suspending = turn.state.suspending, None
    good(turn)
    turn.state.suspending = suspending


NAMED = range(3, 9)

SABOTAGES: dict[str, Sabotage] = {
    # durability
    "commands do not wait": orders(at_once),
    "starts do not wait": orders(lambda c: at_once(c) if isinstance(c, StartAttempt) else c),
    "stops do not wait": orders(lambda c: at_once(c) if isinstance(c, StopAttempt) else c),
    "starts wait for the run alone": swaps(State, "depends_on", lambda good, state, i: 1),
    "a start waits for all but the last cause": swaps(State, "depends_on", lambda good, state, i: good(state, i) - 1),
    "another attempt does not wait": swaps(
        State, "depends_on", lambda good, state, i: max(state.unblocked_seq[i], state.front_seq)
    ),
    "a layer does not wait for the disk": swaps(State, "depends_on", without_layers),
    "a start is lost": lose(StartAttempt, "s1"),
    "a stop is lost": lose(StopAttempt),
    "nobody is told to leave": lose(Leave),
    "an `if` is not asked for": lose(EvaluateCondition),
    "outputs are not asked for": lose(EvaluateOutputs),
    # limits
    "max_parallel is ignored": swaps(State, "free", partial(unlimited, which=range(1))),
    "computing steps are not limited": swaps(State, "free", partial(unlimited, which=range(1, 2))),
    "waiting steps are not limited": swaps(State, "free", partial(unlimited, which=range(2, 3))),
    "pools are ignored": swaps(State, "free", partial(unlimited, which=NAMED)),
    "one unit is enough": swaps(dispatch, "_offer", any_fits),
    "a rate is no limit": swaps(
        Curbs, "closed", lambda good, curbs, pool: good(curbs, pool) if pool in curbs.open_until else (-1.0, "rate")
    ),
    "buckets are full after a crash": swaps(Curbs, "note_engine", lambda good, curbs, at: None),
    "breakers do not open": swaps(adapt, "_judge_breaker", lambda good, turn, pool: None),
    "an open breaker lets everybody start": swaps(
        Curbs, "closed", lambda good, curbs, pool: (-1.0, "breaker") if pool in curbs.open_until else good(curbs, pool)
    ),
    "any number of attempts try": swaps(Curbs, "closed", any_number_tries),
    "nobody is told when a pool opens": swaps(decide, "next_opening", lambda good, state: None),
    "a pool grows too far": swaps(adapt, "_judge_size", grow_too_far),
    "keys are not looked at": applies(f.ConditionEvaluated, forget_keys),
    "reserved units are for everybody": swaps(Curbs, "keeps", lambda good, curbs, pool, rank: 0),
    "units are reserved too early": swaps(dispatch, "_reserve", reserve_at_once),
    "stopping attempts hold nothing": applies(f.AttemptStopping, release),
    "a slot leaks": applies(f.AttemptEnded, lambda state, fact: state.holders[0].setdefault(1, set()).add(index(state, fact))),
    "freed units are not looked at": applies(f.AttemptEnded, lambda state, fact: state.stirred.clear()),
    "nobody is dispatched": swaps(decide, "dispatch", lambda good, turn: None),
    # attempts
    "a step starts twice": swaps(dispatch, "_offer", start_twice),
    "a completed step starts again": swaps(decide, "_admit_attempt", restart),
    "any end ends an attempt": swaps(decide, "_admit_attempt", any_end),
    "a stopped attempt may succeed": swaps(
        decide, "_as_caused", lambda good, state, i, fact: fact if fact.output else good(state, i, fact)
    ),
    "timeouts are forgotten": applies(f.AttemptStarted, lambda state, fact: state.timers.clear()),
    "backoffs are forgotten": applies(f.BackoffStarted, lambda state, fact: state.timers.clear()),
    "timers do not fire": swaps(decide, "_fire_timers", lambda good, turn: None),
    "a timer is for any attempt": swaps(
        decide, "_stands", lambda good, state, timer: timer[1] in state.alive or good(state, timer)
    ),
    "a retry is dropped": swaps(verdict, "next_start", lambda good, *a, **k: good(*a, **k) if k["chance"] > 0.2 else None),
    "a retry too many": swaps(verdict, "next_start", lambda good, retry, failures, *a, **k: good(retry, failures - 1, *a, **k)),
    "a lost attempt is a failure": applies(f.AttemptLost, count_loss),
    "failures are called cancels": swaps(verdict, "_judge_end", call_it_cancelled),
    "a lost attempt has no successor": swaps(verdict, "_judge_loss", lambda good, *a: None),
    "attempts survive their engine": swaps(decide, "_admit", attach_only),
    # failures and ends
    "a stop is forgotten": applies(f.StepFailed, forget_halt),
    "a stop stops nobody": swaps(halt, "stop", lambda good, *a: None),
    "failures are no failures": swaps(State, "counts_as_failed", lambda good, *a: False),
    "`continue` is `isolate`": swaps(State, "counts_as_failed", lambda good, state, i: state.errors.get(i) or good(state, i)),
    "skips are not passed on": swaps(verdict, "any_succeeded", lambda good, *a: True),
    "every skip is passed on": swaps(verdict, "any_succeeded", none_skipped),
    "a layer does not wait": swaps(verdict, "_judge_needs", no_barrier),
    "a stopped layer stops another": swaps(halt, "_give_up", another_layer),
    "a stopped layer takes the next one along": swaps(halt, "_give_up", next_layer_too),
    "the run ends too soon": swaps(decide, "_finish", end_at_once),
    "the run never ends": swaps(decide, "_finish", lambda good, turn: None),
    "a cancel is forgotten": applies(f.CancelRequested, lambda state, fact: setattr(state, "halt_due", False)),
    "the state changes without a fact": swaps(decide, "dispatch", write_behind),
    "who leaves starts things": swaps(decide, "dispatch", start_anyway),
    "racing steps run at once": swaps(RacePools, "of", lambda good, pools, step: ()),
    "of racing steps the later goes first": swaps(RacePools, "ranked", lambda good, pools, own: {}),
    # what is said
    "why names any pool": swaps(why, "_why_held", lambda good, *a: replace(good(*a), pool="red")),
    "why gives a wrong cause": swaps(why, "_why_held", lambda good, *a: replace(good(*a), cause="breaker")),
    "why names settled steps": says(Status.WAITING, lambda state, i, said: replace(said, steps=tuple(state.graph.ids))),
    "why says nothing": says(Status.RUNNING, lambda state, i, said: replace(said, reason="")),
    "the core is never called back": swaps(decide, "_next_timer", lambda good, *a: None),
}


@pytest.mark.parametrize("name", SABOTAGES)
def test_a_broken_rule_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    SABOTAGES[name](monkeypatch)
    assert noticed()


def test_without_sabotage_nothing_is_noticed() -> None:
    assert noticed(100) == ""
