"""Leases of pools that runs share, as the engine sees them: asked for, got, used by an attempt, given back.

Nobody tells when another run gives units back, so what is not there is asked for again every POLL_S.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from weft.core import facts as f
from weft.model.errors import MachineError
from weft.ports import JobKey, Lease, SlotLeases

POLL_S: Final = 0.05
"""How long a unit that another run gives back may lie idle. A look costs some 50 µs, a thousandth of a processor."""

Units: TypeAlias = tuple[tuple[str, int], ...]


class Leases:
    """The leases of one run. `post` observes a fact; `fail` is told a MachineError of the folder."""

    def __init__(
        self, slots: SlotLeases | None, post: Callable[[f.Observed], None], fail: Callable[[BaseException], None]
    ) -> None:
        self._slots = slots
        self._post = post
        self._fail = fail
        self._wanted: dict[Units, int] = {}
        self._since: dict[Units, float] = {}
        self._told: dict[Units, list[str]] = {}
        self._idle: dict[Units, list[Lease]] = {}
        self._used: dict[JobKey, Lease] = {}
        self._timer: asyncio.TimerHandle | None = None

    def want(self, units: Mapping[str, int], count: int) -> None:
        """Get so many leases; this replaces what was wanted for the same units."""
        key = _key(units)
        if count:
            self._wanted[key] = count
            self._since.setdefault(key, time.monotonic())
            self._try()
        else:
            self._forget(key)
            if not self._wanted and self._slots:
                self._slots.stop_waiting()

    def give_back(self, units: Mapping[str, int], count: int) -> None:
        for _ in range(count):
            self._idle[_key(units)].pop().release()

    def use(self, job: JobKey, units: Mapping[str, int]) -> tuple[int, ...]:
        """The attempt starts, and uses a lease of so many units; its descriptors."""
        if not units:
            return ()
        lease = self._used[job] = self._idle[_key(units)].pop()
        return lease.descriptors

    def ended(self, job: JobKey) -> None:
        """The process tree of the attempt is dead."""
        lease = self._used.pop(job, None)
        if lease:
            lease.release()
            if self._wanted:
                self._try()

    def close(self) -> None:
        """The engine leaves, and nothing of it lives."""
        if self._timer:
            self._timer.cancel()
        for lease in [*self._used.values(), *[lease for of in self._idle.values() for lease in of]]:
            lease.release()
        if self._slots:
            self._slots.close()

    def _forget(self, key: Units) -> None:
        for about in (self._wanted, self._since, self._told):
            about.pop(key, None)

    def _try(self) -> None:
        """Take what is there; the longest waiting first."""
        try:
            for key in sorted(self._wanted, key=lambda key: self._since[key]):
                self._take(key)
        except MachineError as error:
            self._fail(error)
            return
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(POLL_S, self._try) if self._wanted else None

    def _take(self, key: Units) -> None:
        assert self._slots is not None
        while self._wanted[key]:
            lease = self._slots.take(dict(key), self._since[key])
            if lease is None:
                runs = self._slots.blockers()
                if runs and runs != self._told.get(key):
                    self._told[key] = runs
                    self._post(f.PoolBusy(at=0.0, units=dict(key), runs=runs))
                return
            self._idle.setdefault(key, []).append(lease)
            self._wanted[key] -= 1
            self._since[key] = time.monotonic()  # the next one waits from now on: runs take turns
            self._told.pop(key, None)
            self._post(f.PoolLeased(at=0.0, units=dict(key)))
        self._forget(key)


def _key(units: Mapping[str, int]) -> Units:
    return tuple(sorted(units.items()))
