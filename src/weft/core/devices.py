"""Which GPUs an attempt gets. Whole ones are its own; parts of one come from a device that others may have parts of.

Nothing is stored but what each living attempt was given: what is free of a device is computed from that.
"""

from collections import Counter

from weft.core.curbs import Lack
from weft.core.demand import Demand
from weft.core.state import State


def devices(state: State, pool: int) -> list[str]:
    """The devices of the pool, as CUDA names them: those that the engine has, the first first. Where it knows of fewer than the
    file declares they are numbered."""
    count = (state.curbs.slots(pool, state.limits) or 0) // state.demands.spec[pool].unit
    known = state.limits.gpus
    return [*known[:count], *[str(number) for number in range(len(known), count)]]


def used(state: State, pool: int) -> Counter[str]:
    """Units of each device that living attempts have."""
    unit, taken = state.demands.spec[pool].unit, Counter[str]()
    for weight, steps in state.holders[pool].items():
        for i in steps:
            taken.update(dict.fromkeys(state.alive[i].gpus, min(weight, unit)))
    return taken


def place(state: State, demand: Demand) -> list[str] | None:
    """The devices for an attempt with this demand; none if it asks for none, and None if it cannot have what it asks for.

    A part is taken from the fullest device that has it left, so that others stay whole.
    """
    pool = state.demands.gpu
    weight = next((weight for p, weight in demand if p == pool), 0)
    if pool is None or not weight:
        return []
    unit, taken, names = state.demands.spec[pool].unit, used(state, pool), devices(state, pool)
    if weight < unit:
        fitting = [name for name in names if taken[name] + weight <= unit]
        return [max(fitting, key=lambda name: taken[name])] if fitting else None
    count = weight // unit
    whole = [name for name in names if not taken[name]]
    return whole[:count] if len(whole) >= count else None


def lack(state: State, i: int) -> Lack | None:
    """Whether step i, for which the pools have enough, cannot have its devices: all are used in part."""
    pool, demand = state.demands.gpu, state.demands.of(i)
    if pool is None or place(state, demand) is not None:
        return None
    return Lack(pool, next(weight for p, weight in demand if p == pool), "device")
