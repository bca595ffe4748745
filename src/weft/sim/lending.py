"""Shared pools as somebody sees them who lends: other runs have a part, and every lease is counted out and in."""

from collections import Counter
from collections.abc import Iterator, Mapping

from weft.core import facts as f
from weft.model.workflow import Workflow


class Lender:
    """`wanted`: leases that the core asked for; `idle`: those that it has and no attempt uses. Its methods yield the rules that
    the core breaks."""

    def __init__(self, workflow: Workflow) -> None:
        self._shared = {name for name, pool in workflow.resources.items() if pool.scope == "engine"}
        self.wanted: Counter[str] = Counter()
        self.idle: Counter[str] = Counter()

    def asked(self, units: Mapping[str, int], count: int) -> int:
        """The core wants so many leases now; how many more that is."""
        more = count - self.wanted[key_of(units)]
        self.wanted[key_of(units)] = count
        return max(0, more)

    def grants(self, fact: f.PoolLeased) -> bool:
        """Whether a lease that has come up is still wanted."""
        key = key_of(fact.units)
        if not self.wanted[key]:
            return False
        self.wanted[key] -= 1
        self.idle[key] += 1
        return True

    def returned(self, units: Mapping[str, int], count: int) -> Iterator[str]:
        self.idle[key_of(units)] -= count
        if self.idle[key_of(units)] < 0:
            yield f"{count} leases of {key_of(units)} are given back, which nobody had"

    def start(self, step: str, resources: Mapping[str, int]) -> Iterator[str]:
        """An attempt starts: it uses a lease, if it takes anything shared."""
        units = {name: weight for name, weight in resources.items() if name in self._shared}
        if units:
            self.idle[key_of(units)] -= 1
            if self.idle[key_of(units)] < 0:
                yield f"step `{step}` starts without a lease of {key_of(units)}"

    def leave(self) -> Iterator[str]:
        for key, count in self.idle.items():
            if count:
                yield f"the engine leaves with {count} leases of {key} that nobody uses"

    def forget(self) -> None:
        """The engine is dead."""
        self.wanted.clear()
        self.idle.clear()


def key_of(units: Mapping[str, int]) -> str:
    return ", ".join(f"{weight} {name}" for name, weight in sorted(units.items()))
