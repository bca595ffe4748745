"""What keeps a ready step from starting, in the order in which it is looked at: units and instants, devices, a lease."""

from collections.abc import Callable

from weft.core import devices
from weft.core.curbs import Lack
from weft.core.state import State


def lack(state: State, i: int, free: Callable[[int], float], now: float) -> Lack | None:
    """The first thing that step i lacks; None: it may start. `free`: units of a pool that nobody holds."""
    found = lack_but_lease(state, i, free, now)
    if found is not None:
        return found
    share = state.demands.shared[state.demands.kind[i]]
    return Lack(*share[0], "lease") if share and not state.leases.granted.get(share) else None


def lack_but_lease(state: State, i: int, free: Callable[[int], float], now: float) -> Lack | None:
    """The same without the lease of shared pools, which is asked for only when all else is there."""
    return state.curbs.lack(i, free, now) or devices.lack(state, i)
