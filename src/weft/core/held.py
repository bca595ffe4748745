"""How long steps were held, and by what: the part of `measure` that is about waiting."""

from collections import defaultdict
from heapq import heappop, heappush

from weft.core import devices
from weft.core import facts as f
from weft.core.demand import COMPUTING, TOTAL, WAITING
from weft.core.facts import Fact
from weft.core.races import RACES
from weft.core.state import State
from weft.core.status import Status


class Held:
    """Step-seconds of waiting by cause: by `max_parallel` while it leaves no place for such a step, else by each pool that has
    too little for it, or has it reserved for another step (`reserved (POOL)`); else by the pools that let nobody start for a
    while (`rate (POOL)`, `breaker (POOL)`).

    Nothing is added up step by step. `_open_s` runs while `max_parallel` has a place, for computing and for waiting steps; a pool
    is looked at when a step that asks for it comes or goes, and when something is decided about it. Between two looks it
    does not change, but for the instant at which it opens: that is caught by `pass_time`.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self._held_s: dict[str, float] = defaultdict(float)
        self._open_s = {COMPUTING: 0.0, WAITING: 0.0}
        self._ready = {COMPUTING: 0, WAITING: 0}
        self._wanted: dict[int, dict[tuple[int, int], int]] = defaultdict(lambda: defaultdict(int))
        """For a named pool, and for (computing or waiting, weight): ready steps that ask for so much of it."""
        self._seen_s: dict[int, dict[int, float]] = {}
        """For a named pool: `_open_s` when it was last looked at."""
        self._shut: dict[int, tuple[float, str]] = {}
        """For a pool that let nobody start when it was last looked at: when it opens, and the cause."""
        self._opened_s: dict[int, dict[int, float]] = {}
        """For one of those that has opened since: `_open_s` at that instant."""
        self._openings: list[tuple[float, int]] = []

    def pass_time(self, since: float, elapsed_s: float) -> None:
        """So many seconds go by, from the instant `since`, in which nothing happened."""
        open_ = {share: self.state.free(TOTAL) >= 1 and self.state.free(share) >= 1 for share in self._ready}
        while self._openings and self._openings[0][0] <= since + elapsed_s:
            opens, pool = heappop(self._openings)
            if self._shut.get(pool, (0.0, ""))[0] == opens:
                after_s = max(0.0, opens - since)
                self._opened_s[pool] = {share: open_s + after_s * open_[share] for share, open_s in self._open_s.items()}
        for share, ready in self._ready.items():
            if open_[share]:
                self._open_s[share] += elapsed_s
            else:
                self._held_s["max_parallel"] += elapsed_s * ready
        self._held_s["backoff"] += elapsed_s * len(self.state.backoff_until)
        self._held_s["gate"] += elapsed_s * len(self.state.asking)
        self._held_s["interrupted"] += elapsed_s * len(self.state.interrupted)

    def before(self, fact: Fact) -> None:
        """This fact is about to be applied: what it is about is looked at once more as it was."""
        index, number = self.state.graph.index, self.state.demands.number
        match fact:
            case (
                f.AttemptStarted() | f.StepFailed() | f.FallbackStarted() | f.StepCancelled() | f.AttemptEnded() | f.AttemptLost()
            ):
                self._leave([index[fact.step]])
            case f.StepsSkipped():
                self._leave([index[id_] for id_ in fact.steps])
            case f.PoolResized() | f.BreakerOpened() | f.BreakerClosed():
                self._look(number[fact.pool, fact.key])
            case f.UnitsReserved():
                for of in fact.pools:
                    self._look(number[of.pool, of.key])
            case f.PoolBusy() | f.PoolLeased():
                for name in fact.units:
                    self._look(number[name, ""])
            case f.EngineAttached():
                for pool in self._wanted:
                    self._look(pool)

    def after(self, fact: Fact) -> None:
        """This fact has been applied."""
        index, demands = self.state.graph.index, self.state.demands
        match fact:
            case f.StepsReady():
                for id_ in fact.steps:
                    self._count(index[id_], 1)
            case f.AttemptStarted() | f.AttemptEnded() | f.AttemptLost():
                for pool in demands.paced[demands.kind[index[fact.step]]]:
                    self._note_shut(pool)
            case f.BreakerOpened() | f.BreakerClosed():
                self._note_shut(demands.number[fact.pool, fact.key])
            case f.EngineAttached():
                for pool in self._wanted:
                    self._note_shut(pool)

    def _leave(self, steps: list[int]) -> None:
        for i in steps:
            self._count(i, -1 if self.state.status[i] is Status.READY else 0)

    def _count(self, i: int, by: int) -> None:
        _, (share, _), *named = self.state.demands.of(i)
        self._ready[share] += by
        for pool, weight in named:
            self._look(pool)
            self._wanted[pool][share, weight] += by
            if pool not in self._shut:
                self._note_shut(pool)

    def _note_shut(self, pool: int) -> None:
        """From when on the pool lets somebody start, as it is now."""
        opens, cause = self.state.curbs.closed(pool)
        self._opened_s.pop(pool, None)
        if opens > self.state.now:
            self._shut[pool] = (opens, cause)
            heappush(self._openings, (opens, pool))
        else:
            self._shut.pop(pool, None)

    def _look(self, pool: int) -> None:
        curbs, demands = self.state.curbs, self.state.demands
        name = RACES if pool in demands.race_pools else demands.pools[pool]
        seen_s, free = self._seen_s.get(pool, self._open_s), self.state.free(pool)
        left = free - (
            dict(self.state.demands.of(curbs.holder))[pool] if curbs.holder is not None and pool in curbs.reserved else 0
        )
        opened_s = self._opened_s.get(pool, self._open_s)
        for (share, weight), steps in self._wanted[pool].items():
            elapsed_s = self._open_s[share] - seen_s[share]
            if weight > free or self._is_elsewhere(pool, weight):
                self._held_s[name] += steps * elapsed_s
            elif weight > left:
                self._held_s[f"reserved ({name})"] += steps * elapsed_s
            elif pool in self._shut:
                shut_s = max(0.0, opened_s[share] - seen_s[share])
                self._held_s[f"{self._shut[pool][1]} ({name})"] += steps * shut_s
        self._seen_s[pool] = self._open_s.copy()

    def _is_elsewhere(self, pool: int, weight: int) -> bool:
        """Whether other runs keep so much of a shared pool from us, as far as we were told; or what is free are parts of GPUs."""
        kept = any((pool, weight) in share for share in self.state.leases.busy)
        return kept or devices.place(self.state, ((pool, weight),)) is None

    def by_cause(self) -> dict[str, float]:
        """The longest first; causes that held nobody are left out."""
        for pool in self._wanted:
            self._look(pool)
        return {cause: held_s for cause, held_s in sorted(self._held_s.items(), key=lambda item: -item[1]) if held_s}
