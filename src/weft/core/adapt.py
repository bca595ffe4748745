"""Pools that change while the run goes on: breakers open and close, sizes follow what ended attempts and the machine say.

- A breaker opens after so many failures in a row. When its time is over one attempt tries: it closes the breaker, or opens it
  again.
- Sizes grow by one and shrink by half (additive increase, multiplicative decrease: of the linear rules the only ones by which
  independent users of one resource reach a fair and efficient share; D.-M. Chiu and R. Jain, "Analysis of the Increase and
  Decrease Algorithms for Congestion Avoidance in Computer Networks", 1989). One more after as many successes as there are slots,
  as TCP does in a round trip (V. Jacobson, "Congestion Avoidance and Control", 1988); only attempts that started under the
  present size count against it.
"""

from typing import Final

from weft.core import facts as f
from weft.core.demand import COMPUTING
from weft.core.state import State
from weft.core.turn import Turn

DECREASE: Final = 2
"""A size is divided by it."""

CPU_HIGH: Final = 0.5
CPU_LOW: Final = 0.1
"""Share of the time in which some task had to wait for a processor. When every step computes and there is one for each processor,
a little waiting is usual; when half of the time somebody waits, one step more makes the others slower."""

MEMORY_HIGH: Final = 0.1
MEMORY_LOW: Final = 0.02
"""The same for memory, where any waiting is for the disk, and costs far more than a processor that is shared."""

GROWTH_MAX: Final = 4
"""Times the number to begin with: steps that compute a quarter of their time keep the processors busy with so many."""


def adapt(turn: Turn) -> None:
    """Judge the pools about which something has been learned."""
    curbs = turn.state.curbs
    touched = list(curbs.touched)
    curbs.touched.clear()
    for pool in touched:
        _judge_breaker(turn, pool)
        _judge_size(turn, pool)


def _judge_breaker(turn: Turn, pool: int) -> None:
    curbs, (name, key), breaker = turn.state.curbs, turn.state.demands.name[pool], turn.state.demands.spec[pool].breaker
    if breaker is None:
        return
    strikes = curbs.strikes.get(pool, 0)
    if curbs.tried.get(pool):
        turn.emit(f.BreakerClosed(at=turn.now, pool=name, key=key))
    elif pool in curbs.tried or (pool not in curbs.open_until and strikes >= breaker.failures):
        until = turn.now + breaker.cooldown_s
        turn.emit(f.BreakerOpened(at=turn.now, pool=name, key=key, until=until, failures=strikes))


def _judge_size(turn: Turn, pool: int) -> None:
    state, curbs = turn.state, turn.state.curbs
    spec, (name, key) = state.demands.spec[pool], state.demands.name[pool]
    slots = curbs.slots(pool, state.limits)
    if not spec.adaptive or slots is None or spec.slots is None:
        return
    fewer = max(slots // DECREASE, state.demands.heaviest[pool])
    if pool in curbs.strained and fewer < slots:
        turn.emit(f.PoolResized(at=turn.now, pool=name, key=key, slots=fewer, reason=curbs.strained[pool]))
    elif curbs.calm.get(pool, 0) >= slots < spec.slots:
        reason = f"{slots} attempts without a sign of overload"
        turn.emit(f.PoolResized(at=turn.now, pool=name, key=key, slots=slots + 1, reason=reason))


def follow_machine(turn: Turn, pressure: f.PressureObserved) -> None:
    """Change what `max_parallel: adaptive` allows, if this pressure asks for it; else nobody needs to know of it."""
    slots = parallel_after(turn.state, pressure)
    if slots is not None:
        turn.emit(pressure)
        reason = f"pressure on CPU {pressure.cpu:.0%}, on memory {pressure.memory:.0%}"
        name, key = turn.state.demands.name[COMPUTING]
        turn.emit(f.PoolResized(at=turn.now, pool=name, key=key, slots=slots, reason=reason))


def parallel_after(state: State, pressure: f.PressureObserved) -> int | None:
    """How many attempts that compute shall be alive under this pressure, if that is another number than now."""
    start, now = state.limits.computing, state.curbs.slots(COMPUTING, state.limits)
    if not state.limits.adaptive or start is None or now is None or state.workflow.schedule == "sequential":
        return None
    if pressure.memory >= MEMORY_HIGH or pressure.cpu >= CPU_HIGH:
        then = max(1, now // DECREASE)
    elif pressure.memory <= MEMORY_LOW and pressure.cpu <= CPU_LOW and _holds_somebody(state):
        then = min(now + 1, max(now, GROWTH_MAX * start))
    else:
        then = now
    return then if then != now else None


def _holds_somebody(state: State) -> bool:
    """Whether there are ready steps that compute, and no place for them."""
    kinds = state.demands.kinds
    return state.free(COMPUTING) < 1 and any(kinds[k][1][0] == COMPUTING for k, ready in enumerate(state.ready) if ready)
