"""Pools that runs share (`scope: engine`): a step starts only with a lease, which the engine gets from the machine.

- A lease is for all that a step takes of shared pools, as one: two runs that each had a part would wait for each other for ever.
- It serves one attempt. When that ends the units go back, so that other runs get their turn.
- The run asks for as many leases as it has steps that would start with one, and no more; one that nobody uses goes back at once.
"""

from heapq import heapify, heappush

from weft.core import facts as f
from weft.core.commands import LeaseUnits, ReturnLeases
from weft.core.demand import Demand, Demands
from weft.core.dispatch import Free
from weft.core.lacks import lack_but_lease
from weft.core.state import State
from weft.core.turn import Turn


def ask_for_leases(turn: Turn) -> None:
    """After a dispatch: give back what nobody could use, and say how many leases are wanted now."""
    leases, demands = turn.state.leases, turn.state.demands
    if not demands.any_shared:
        return
    wanted = {} if turn.state.halted else wanted_leases(turn.state, turn.now)
    for share in sorted({*leases.granted, *leases.asked, *wanted}):
        units = named(demands, share)
        if count := leases.granted.get(share, 0):
            turn.emit(f.LeasesReturned(at=turn.now, units=units, count=count))
            turn.order(ReturnLeases(units=units, count=count))
        count = wanted.get(share, 0)
        if count != leases.asked.get(share, 0):
            leases.asked[share] = count
            turn.order(LeaseUnits(units=units, count=count))


def named(demands: Demands, share: Demand) -> dict[str, int]:
    """What a lease is for, with the names of the pools."""
    return {demands.name[pool][0]: weight for pool, weight in share}


def wanted_leases(state: State, now: float) -> dict[Demand, int]:
    """How many steps would start if they had a lease, by what the lease is for. Each is counted as if nobody got any of the
    others: which of them will come first is not known, and no place shall stay empty until it is."""
    demands = state.demands
    kinds: dict[Demand, list[int]] = {}
    for k, share in enumerate(demands.shared):
        if share and state.ready[k]:
            kinds.setdefault(share, []).append(k)
    return {share: count for share, of in kinds.items() if (count := _startable(state, of, now))}


def _startable(state: State, kinds: list[int], now: float) -> int:
    """How many ready steps of these kinds fit together, the best kind first."""
    as_it_is, free, count = Free(state), Free(state), 0
    for k in sorted(kinds, key=lambda k: state.posted[k]):
        i, left = state.posted[k][-1], len(state.ready[k])
        lacking = lack_but_lease(state, i, as_it_is.__getitem__, now)
        if lacking is not None and not lacking.weight:
            _await_opening(state, k, lacking.pool, now)
        while left and lack_but_lease(state, i, free.__getitem__, now) is None:
            left -= 1
            count += 1
            for pool, weight in state.demands.kinds[k]:
                free[pool] -= weight
    return count


def _await_opening(state: State, k: int, opening: int, now: float) -> None:
    """Steps of this kind lacked a lease when they were looked at. Since then others took the last token of a pool, so now it is
    the instant at which it opens that they wait for."""
    pool, weight = state.lacking[k]
    if not weight:
        return
    head, heads = (state.posted[k], k), state.heads[pool][weight]
    heads.remove(head)
    heapify(heads)
    if not heads:
        del state.heads[pool][weight]
    state.lacking[k] = (opening, 0)
    heappush(state.heads[opening].setdefault(0, []), head)
    state.curbs.watch(opening, now)
