"""What facts about shared pools make of the state: a part of `apply`, which alone calls it."""

from weft.core import facts as f
from weft.core.state import State


def leased(state: State, fact: f.PoolLeased) -> None:
    share = state.demands.share(fact.units)
    state.leases.note_leased(share)
    state.stirred.add(share[0][0])


def busy(state: State, fact: f.PoolBusy) -> None:
    state.leases.note_busy(state.demands.share(fact.units), tuple(fact.runs))


def returned(state: State, fact: f.LeasesReturned) -> None:
    state.leases.note_gone(state.demands.share(fact.units), fact.count)
