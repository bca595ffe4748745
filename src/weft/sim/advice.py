"""Advice: what would have made this very run shorter, each with the gain that a replay of it predicts.

- Every change is replayed against the same past, so gains of one run can be compared; they do not add up.
- What would not help is not said: below GAIN_SHARE_MIN and GAIN_S_MIN nobody would notice.
- More steps at once than the processors can take are no advice: steps that compute would only become slower.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, Literal, TypeAlias

import msgspec

from weft.core.facts import Fact, Limits
from weft.core.measure import Numbers, StepNumbers
from weft.core.state import State
from weft.model.workflow import WAITING_ACTIONS
from weft.sim.replay import Past, Tried, past_of
from weft.sim.what_if import Changes, makespan_s, under

ADVICE_MAX: Final = 3
GAIN_SHARE_MIN: Final = 0.05
GAIN_S_MIN: Final = 0.05
"""Of a run that is over in a moment nothing is worth changing."""

STEPS_MAX: Final = 20_000
SIMULATED_STEPS_MAX: Final = 60_000
"""All replays together: at 20 µs a step, about a second, for a run that took ten or more."""

SIMULATED_STEPS_PER_S_MAX: Final = 5_000
"""For each second of the run: nobody waits for advice longer than a tenth of the time that the run took."""

POOLS_MAX: Final = 2
PATH_MAX: Final = 2
"""The pools that held steps longest, and the longest steps of the critical path, are looked at."""

SMALL_POOL: Final = 16
"""In a pool of up to so many slots one more is a change worth looking at."""

CPU_SHARE_MAX: Final = 0.8
"""Of the processors: what steps take of them was measured while they shared them, and is less than what they would take."""

Kind: TypeAlias = Literal["schedule", "max_parallel", "pool", "step", "retry"]


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """One change. `name`: of the pool or the step; `before`, `after`: the value of what is changed (for a step, its seconds; for
    retries, failed attempts). `makespan_s` is what the replay of the run comes to, `gain_s` less than without the change."""

    kind: Kind
    name: str = ""
    before: float | str
    after: float | str
    makespan_s: float
    gain_s: float


def advise(state: State, numbers: Numbers, facts: Callable[[], Iterable[Fact]], cpus: int) -> list[Advice]:
    """Up to ADVICE_MAX changes, the best first, for a run that succeeded. `cpus`: the processors of its machine.

    `facts` gives those of the run once more; it is called only if something can come of it.
    """
    succeeded = state.ended is not None and state.ended.status in ("succeeded", "succeeded_with_errors")
    replays = _replays(numbers)
    return _best(past_of(facts()), state, numbers, cpus, replays) if succeeded and replays > 0 else []


def _replays(numbers: Numbers) -> int:
    """How many changes may be replayed. To read the facts costs what a replay does, and one is the run without any change."""
    steps = len(numbers.steps)
    if not 0 < steps <= STEPS_MAX or numbers.makespan_s < 2 * GAIN_S_MIN:
        return 0
    return int(min(SIMULATED_STEPS_MAX, numbers.makespan_s * SIMULATED_STEPS_PER_S_MAX) / steps) - 2


def _best(past: Past, state: State, numbers: Numbers, cpus: int, replays: int) -> list[Advice]:
    now_s = makespan_s(past)
    found: dict[tuple[Kind, str], Advice] = {}
    for change, changed in islice(_candidates(past, state, numbers, cpus), replays):
        then_s = makespan_s(changed)
        advice = msgspec.structs.replace(change, makespan_s=then_s, gain_s=now_s - then_s)
        best = found.get((advice.kind, advice.name))
        if best is None or advice.gain_s > best.gain_s + GAIN_SHARE_MIN * now_s:  # the smaller change, if it does nearly as much
            found[advice.kind, advice.name] = advice
    worth = [advice for advice in found.values() if advice.gain_s > max(GAIN_S_MIN, GAIN_SHARE_MIN * now_s)]
    return sorted(worth, key=lambda advice: -advice.gain_s)[:ADVICE_MAX]


def _candidates(past: Past, state: State, numbers: Numbers, cpus: int) -> Iterator[tuple[Advice, Past]]:
    """Changes that could help, the smaller of two of a kind first, each with the past as it would be."""
    workflow = past.created.workflow
    if workflow.schedule != "dataflow":
        changed = under(past, Changes(schedule="dataflow"))
        yield _advice("schedule", workflow.schedule, "dataflow"), changed
    if numbers.held_s.get("max_parallel") and workflow.schedule != "sequential":
        yield from _more_at_once(past, state, numbers, cpus)
    held = [cause for cause in numbers.held_s if cause in workflow.resources and not workflow.resources[cause].of_machine]
    for pool in held[:POOLS_MAX]:
        slots = workflow.resources[pool].slots
        if slots is None:
            continue
        for more in dict.fromkeys((slots + 1, 2 * slots) if slots <= SMALL_POOL else (2 * slots,)):
            yield _advice("pool", slots, more, pool), under(past, Changes(pools={pool: more}))
    yield from _without_failures(past)
    for step, seconds in sorted(numbers.critical_path, key=lambda item: -item[1])[:PATH_MAX]:
        halved = [Tried(tried.took_s / 2, tried.end) for tried in past.tried.get(step, ())]
        yield _advice("step", seconds, seconds / 2, step), msgspec.structs.replace(past, tried={**past.tried, step: halved})


def _advice(kind: Kind, before: float | str, after: float | str, name: str = "") -> Advice:
    return Advice(kind=kind, name=name, before=before, after=after, makespan_s=0.0, gain_s=0.0)


def _more_at_once(past: Past, state: State, numbers: Numbers, cpus: int) -> Iterator[tuple[Advice, Past]]:
    """Twice as many at once, and all at once, as far as the processors can take them."""
    share = _cpu_share(state, numbers.steps)
    most = min(int(CPU_SHARE_MAX * cpus / share), len(numbers.steps)) if share else len(numbers.steps)
    now = past.limits.total or past.limits.computing or past.limits.waiting
    if now is None:
        return
    for more in dict.fromkeys((2 * now, most)):
        if now < more <= most:
            yield _advice("max_parallel", now, more), under(past, Changes(limits=Limits(total=more)))


def _cpu_share(state: State, steps: list[StepNumbers]) -> float:
    """Processors that a step keeps busy while it runs, over all steps; 0 where it was not measured."""
    ran_s = sum(step.run_s for step in steps)
    cpu_s = sum(step.cpu_s for step, of in zip(steps, state.steps, strict=True) if not isinstance(of.action, WAITING_ACTIONS))
    return cpu_s / ran_s if ran_s else 0.0


def _without_failures(past: Past) -> Iterator[tuple[Advice, Past]]:
    """Every step that succeeded in the end succeeds at once, as it then did."""
    failed = 0
    tried = dict(past.tried)
    for step, attempts in past.tried.items():
        if len(attempts) > 1 and attempts[-1].end.outcome == "ok":
            failed += sum(attempt.end.outcome == "failed" for attempt in attempts)
            tried[step] = attempts[-1:]
    if failed:
        yield _advice("retry", failed, 0), msgspec.structs.replace(past, tried=tried)
