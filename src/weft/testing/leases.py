"""Shared pools in memory: what the real ones promise, without files and processes."""

from collections import Counter
from collections.abc import Mapping


class FakeMachine:
    """What the runs of one machine have in common. `held`: (run, pool) → units; `waits`: (run, pool) → (units, since)."""

    def __init__(self) -> None:
        self.sizes: dict[tuple[str, str], int] = {}
        self.held: Counter[tuple[str, str]] = Counter()
        self.waits: dict[tuple[str, str], tuple[int, float]] = {}


class FakeLease:
    def __init__(self, machine: FakeMachine, run: str, units: Mapping[str, int]) -> None:
        self._machine = machine
        self._run = run
        self._units = dict(units)
        self.descriptors: tuple[int, ...] = ()

    def release(self) -> None:
        for pool, weight in self._units.items():
            self._machine.held[self._run, pool] -= weight
        self._units.clear()


class FakeLeases:
    """One run on a FakeMachine (ports.SlotLeases)."""

    def __init__(self, machine: FakeMachine, run: str, sizes: Mapping[str, int]) -> None:
        self._machine = machine
        self._run = run
        self._blockers: list[str] = []
        machine.sizes.update({(run, pool): slots for pool, slots in sizes.items()})

    def take(self, units: Mapping[str, int], waiting_since: float) -> FakeLease | None:
        against = [run for pool, weight in units.items() for run in self._against(pool, weight, waiting_since)]
        self._blockers = sorted(set(against))
        for pool, weight in units.items():
            self._machine.waits.pop((self._run, pool), None)
            if self._blockers:
                self._machine.waits[self._run, pool] = (weight, waiting_since)
            else:
                self._machine.held[self._run, pool] += weight
        return None if self._blockers else FakeLease(self._machine, self._run, units)

    def blockers(self) -> list[str]:
        return self._blockers

    def stop_waiting(self) -> None:
        for key in [key for key in self._machine.waits if key[0] == self._run]:
            del self._machine.waits[key]

    def close(self) -> None:
        self.stop_waiting()
        for key in [key for key in self._machine.sizes if key[0] == self._run]:
            del self._machine.sizes[key]

    def _against(self, pool: str, weight: int, since: float) -> list[str]:
        machine = self._machine
        size = min(slots for (_, name), slots in machine.sizes.items() if name == pool)
        held = {run: units for (run, name), units in machine.held.items() if name == pool and units}
        ahead = {
            run: units for (run, name), (units, at) in machine.waits.items() if name == pool and run != self._run and at < since
        }
        full = sum(held.values()) + sum(ahead.values()) + weight > size
        return [*held, *ahead] if full else []
