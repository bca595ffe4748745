"""Rates, breakers, sizes and reservations as somebody sees them who reads the journal: by books of its own, kept in other ways
than the core keeps them."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from weft.core import facts as f
from weft.core.curbs import OVERTAKEN_MAX
from weft.core.facts import Fact
from weft.core.state import State
from weft.sim.outside import takes

TOLERANCE: Final = 1e-6
"""Tokens: what adding up many small waits may come to."""


class Pacing:
    """`saved` takes every fact of the journal, with the state that it makes, and yields the rules that are broken."""

    def __init__(self) -> None:
        self.engines = 0
        self.emptied_at = 0.0
        self.buckets: dict[str, tuple[float, float]] = {}
        """Tokens, and when they were counted."""
        self.row: Counter[str] = Counter()
        self.broken: dict[str, float] = {}
        self.trying: dict[str, str] = {}
        self.size: dict[str, int] = {}
        self.ready_at: dict[str, int] = {}
        self.starts = 0
        self.reserved: dict[str, int] = {}
        self.holder = ""

    def saved(self, fact: Fact, state: State) -> Iterator[str]:
        match fact:
            case f.EngineAttached():
                self.engines += 1
                if self.engines > 1:
                    self.buckets.clear()
                    self.emptied_at = fact.at
                self.size.pop("max_parallel (computing)", None)
            case f.StepsReady():
                self.ready_at.update(dict.fromkeys(fact.steps, self.starts))
            case f.AttemptStarted():
                yield from self._start(fact, state)
            case f.AttemptEnded() | f.AttemptLost():
                self._end(fact, state)
            case f.BreakerOpened():
                self.broken[shown(fact.pool, fact.key)] = fact.until
            case f.BreakerClosed():
                name = shown(fact.pool, fact.key)
                del self.broken[name]
                self.row[name] = 0
            case f.PoolResized():
                self.size[shown(fact.pool, fact.key)] = fact.slots
            case f.UnitsReserved():
                yield from self._reserve(fact, state)
        if self.holder and state.status[state.graph.index[self.holder]].name != "READY":
            self.holder, self.reserved = "", {}

    def _start(self, fact: f.AttemptStarted, state: State) -> Iterator[str]:
        self.starts += 1
        i = state.graph.index[fact.step]
        taken: Counter[str] = Counter()
        for alive in state.alive:
            taken.update({name: weight for name, weight, _ in takes(state, alive)})
        for name, _, slots in takes(state, i):
            yield from self._token(name, fact, state)
            if self.broken.get(name, fact.at) > fact.at:
                yield f"step `{fact.step}` starts although the breaker of `{name}` is open until {self.broken[name]}"
            if name in self.trying:
                yield f"step `{fact.step}` starts while `{self.trying[name]}` tries whether `{name}` may be closed"
            if name in self.broken:
                self.trying[name] = fact.step
            if taken[name] > max(self.size.get(name, taken[name]), state.demands.heaviest[state.demands.pools.index(name)]):
                yield f"{taken[name]} units of `{name}` are taken, it has been given {self.size[name]} slots"
            kept = self.reserved.get(name, 0)
            later = bool(kept) and state.demands.rank[state.graph.index[self.holder]] < state.demands.rank[i]
            size = self.size.get(name, slots)
            if later and size is not None and taken[name] + kept > size >= taken[name]:
                yield f"step `{fact.step}` takes units of `{name}` that are reserved for `{self.holder}`"

    def _token(self, name: str, fact: f.AttemptStarted, state: State) -> Iterator[str]:
        spec = state.workflow.resources.get(name.partition("[")[0])
        if spec is None or spec.rate is None:
            return
        full = 0.0 if self.engines > 1 else float(spec.burst)
        tokens, at = self.buckets.get(name, (full, self.emptied_at))
        tokens = min(float(spec.burst), tokens + (fact.at - at) * spec.rate.starts / spec.rate.window_s)
        if tokens < 1.0 - TOLERANCE:
            yield f"step `{fact.step}` starts at {fact.at} with {tokens} tokens of pool `{name}`"
        self.buckets[name] = (tokens - 1.0, fact.at)

    def _end(self, fact: f.AttemptEnded | f.AttemptLost, state: State) -> None:
        lost = isinstance(fact, f.AttemptLost) or fact.outcome == "cancelled" or (fact.error and fact.error.kind == "input")
        for name, _, _ in takes(state, state.graph.index[fact.step]):
            if self.trying.get(name) == fact.step:
                del self.trying[name]
            if isinstance(fact, f.AttemptEnded) and not lost and name not in self.broken:
                self.row[name] = 0 if fact.outcome == "ok" else self.row[name] + 1

    def _reserve(self, fact: f.UnitsReserved, state: State) -> Iterator[str]:
        if self.holder not in ("", fact.step):
            yield f"units are reserved for `{fact.step}` while some are for `{self.holder}`"
        if self.starts - self.ready_at[fact.step] < OVERTAKEN_MAX:
            yield f"units are reserved for `{fact.step}`, which cannot have been overtaken so often"
        weights = {name: weight for name, weight, _ in takes(state, state.graph.index[fact.step])}
        self.holder = fact.step
        self.reserved |= {shown(of.pool, of.key): weights[shown(of.pool, of.key)] for of in fact.pools}


def shown(name: str, key: str) -> str:
    return f"{name}[{key}]" if key else name
