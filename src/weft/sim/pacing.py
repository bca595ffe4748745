"""Rates, breakers, sizes and reservations as somebody sees them who reads the journal: by books of its own, kept in other ways
than the core keeps them."""

from collections import Counter
from collections.abc import Iterator
from typing import Final

from weft.core import facts as f
from weft.core.adapt import CPU_HIGH, CPU_LOW, MEMORY_HIGH, MEMORY_LOW
from weft.core.curbs import OVERTAKEN_MAX
from weft.core.demand import WAITING
from weft.core.facts import Fact
from weft.core.state import State
from weft.core.status import Status
from weft.model.output import ErrorRecord
from weft.sim.outside import takes

TOLERANCE: Final = 1e-6
"""Tokens: what adding up many small waits may come to."""

PARALLEL: Final = "max_parallel (computing)"


class Pacing:
    """`saved` takes every fact of the journal, with the state that it makes, and yields the rules that are broken."""

    def __init__(self) -> None:
        self.engines = 0
        self.emptied_at = 0.0
        self.buckets: dict[str, tuple[float, float]] = {}
        """Tokens, and when they were counted."""
        self.row: Counter[str] = Counter()
        self.calm: Counter[str] = Counter()
        self.strained: set[str] = set()
        self.resized_at: dict[str, float] = {}
        self.started: dict[str, float] = {}
        self.pressure: f.PressureObserved | None = None
        self.overtaken: Counter[int] = Counter()
        self.due_since: dict[int, float] = {}
        """Steps that were overtaken as often as they may be, while they lacked units, and since when."""
        self.tried: dict[str, bool] = {}
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
                self.size.pop(PARALLEL, None)
                self.due_since.clear()  # the reservation may not have been saved
            case f.StepsReady():
                self.ready_at.update(dict.fromkeys(fact.steps, self.starts))
                for i in map(state.graph.index.__getitem__, fact.steps):
                    self.overtaken.pop(i, None)
                    self.due_since.pop(i, None)
            case f.AttemptStarted():
                yield from self._start(fact, state)
            case f.AttemptEnded() | f.AttemptLost():
                self._end(fact, state)
            case f.BreakerOpened():
                yield from self._open(fact, state)
            case f.BreakerClosed():
                name = shown(fact.pool, fact.key)
                if not self.tried.pop(name, False):
                    yield f"the breaker of `{name}` is closed, and no attempt that tried it has succeeded"
                del self.broken[name]
                self.row[name] = 0
            case f.PressureObserved():
                self.pressure = fact
            case f.PoolResized():
                yield from self._resize(fact, state)
            case f.UnitsReserved():
                yield from self._reserve(fact, state)
        if self.holder and state.status[state.graph.index[self.holder]].name != "READY":
            self.holder, self.reserved = "", {}

    def _open(self, fact: f.BreakerOpened, state: State) -> Iterator[str]:
        name, breaker = shown(fact.pool, fact.key), state.workflow.resources[fact.pool].breaker
        if breaker is None or abs(fact.until - fact.at - breaker.cooldown_s) > TOLERANCE:
            yield f"the breaker of `{name}` opens from {fact.at} until {fact.until}"
        elif name in self.broken and self.tried.pop(name, True):
            yield f"the breaker of `{name}` opens again, and no attempt that tried it has failed"
        elif name not in self.broken and self.row[name] < breaker.failures:
            yield f"the breaker of `{name}` opens after {self.row[name]} failures in a row"
        self.broken[name] = fact.until

    def _resize(self, fact: f.PoolResized, state: State) -> Iterator[str]:
        """A size follows signs: of too much load, or of none for as many attempts as there are slots."""
        name = shown(fact.pool, fact.key)
        if name == PARALLEL:
            high = self.pressure is not None and (self.pressure.cpu >= CPU_HIGH or self.pressure.memory >= MEMORY_HIGH)
            low = self.pressure is not None and self.pressure.cpu <= CPU_LOW and self.pressure.memory <= MEMORY_LOW
            before = self.size.get(name, state.limits.computing or 0)
        else:
            least = state.demands.heaviest[state.demands.pools.index(name)]
            before = max(least, self.size.get(name, state.workflow.resources[fact.pool].slots or 0))
            high, low = name in self.strained, self.calm[name] >= before
        if not (high if fact.slots < before else low):
            yield f"`{name}` is given {fact.slots} slots instead of {before}, without a sign that asks for it"
        self.size[name] = fact.slots
        self.resized_at[name] = fact.at
        self.calm[name] = 0
        self.strained.discard(name)

    def _resize_due(self, name: str, state: State) -> str:
        """Which way the size of a pool should have gone before anybody starts that takes it, if it should."""
        spec = state.workflow.resources.get(name.partition("[")[0])
        if spec is None or not spec.adaptive or spec.slots is None:
            return ""
        least = state.demands.heaviest[state.demands.pools.index(name)]
        size = max(least, self.size.get(name, spec.slots))
        if name in self.strained and max(size // 2, least) < size:
            return "smaller"
        return "larger" if self.calm[name] >= size < spec.slots else ""

    def _start(self, fact: f.AttemptStarted, state: State) -> Iterator[str]:
        self.starts += 1
        i = state.graph.index[fact.step]
        self.started[fact.step] = fact.at
        yield from self._overtakes(i, fact.at, state)
        taken: Counter[str] = Counter()
        for alive in state.alive:
            taken.update({name: weight for name, weight, _ in takes(state, alive)})
        for name, _, slots in takes(state, i):
            yield from self._token(name, fact, state)
            if due := self._resize_due(name, state):
                yield f"step `{fact.step}` starts, and the pool `{name}` should have become {due} before"
            if self.broken.get(name, fact.at) > fact.at:
                yield f"step `{fact.step}` starts although the breaker of `{name}` is open until {self.broken[name]}"
            if name in self.tried:
                yield f"step `{fact.step}` starts, and it has not been judged how the attempt went that tried `{name}`"
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

    def _overtakes(self, i: int, at: float, state: State) -> Iterator[str]:
        """The first ready step lets others pass that come after it, but not for ever, if units could be kept for it."""
        ready = [j for j, status in enumerate(state.status) if status is Status.READY]
        first = min(ready, key=state.demands.rank.__getitem__, default=None)
        if first is None or state.demands.rank[first] > state.demands.rank[i]:
            return
        self.overtaken[first] += 1
        named = [state.workflow.resources[name] for name in state.steps[first].resources]
        paced = any(pool.rate or pool.breaker for pool in named)
        lacks = [pool for pool, weight in state.demands.of(first) if pool > WAITING and state.free(pool) < weight]
        if not lacks or paced or self.holder or self.overtaken[first] < OVERTAKEN_MAX:
            return
        if self.due_since.setdefault(first, at) < at:  # it was to be reserved for with that turn
            yield f"step `{state.graph.ids[first]}` was overtaken {self.overtaken[first]} times, and nothing is reserved for it"

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
                if isinstance(fact, f.AttemptEnded) and not lost:
                    self.tried[name] = fact.outcome == "ok"
            if isinstance(fact, f.AttemptEnded) and not lost:
                self._note_load(name, fact)
            if isinstance(fact, f.AttemptEnded) and not lost and name not in self.broken:
                self.row[name] = 0 if fact.outcome == "ok" else self.row[name] + 1

    def _note_load(self, name: str, fact: f.AttemptEnded) -> None:
        if fact.outcome == "ok":
            self.calm[name] += 1
        elif _overload(fact.error) and self.started[fact.step] >= self.resized_at.get(name, float("-inf")):
            self.strained.add(name)
            self.calm[name] = 0

    def _reserve(self, fact: f.UnitsReserved, state: State) -> Iterator[str]:
        if self.holder not in ("", fact.step):
            yield f"units are reserved for `{fact.step}` while some are for `{self.holder}`"
        if self.starts - self.ready_at[fact.step] < OVERTAKEN_MAX:
            yield f"units are reserved for `{fact.step}`, which cannot have been overtaken so often"
        weights = {name: weight for name, weight, _ in takes(state, state.graph.index[fact.step])}
        self.holder = fact.step
        names = [shown(of.pool, of.key) for of in fact.pools]
        self.reserved |= {name: weights[name] for name in names if name in weights}  # races are judged elsewhere


def _overload(error: ErrorRecord | None) -> bool:
    """Whether an error tells of too much load; the simulator draws no exceptions."""
    return error is not None and (error.retry_after_s is not None or error.kind == "timeout")


def shown(name: str, key: str) -> str:
    return f"{name}[{key}]" if key else name
