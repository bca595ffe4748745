"""What a pool lets a step take now: the one place where slots, rates, breakers and reservations meet.

`Curbs` is the part of the state that bounds a pool beside its holders. `apply` alone writes it, by the methods called `note_…`;
all of it follows from facts, so that a replay knows every bucket and every breaker.

- A rate is a token bucket (see `rate`). A start takes one token, whatever its weight. After a crash each bucket starts empty.
- A breaker is closed, open until an instant, or half open: from that instant on one attempt tries, and its end decides.
- An adaptive pool has the size that was last decided, but never less than the heaviest step in it asks for.
- A reservation keeps units of some pools for one step, from all that come after it in the order.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final, Literal, NamedTuple, TypeAlias

from weft.core import rate
from weft.core.demand import COMPUTING, Demands, Rank
from weft.core.facts import Limits
from weft.model.output import ErrorRecord

OVERTAKEN_MAX: Final = 16
"""How often the first ready step may be overtaken before units are kept for it: often enough that small steps fill the gaps for
a while, seldom enough that a large one starts before anybody asks why it does not."""

OVERLOADED: Final = frozenset({"TooManyRequests", "RateLimitError", "ThrottlingException", "ResourceExhausted", "HTTP429"})
"""What libraries call the exception for HTTP status 429."""

Cause: TypeAlias = Literal["slots", "reserved", "rate", "breaker", "device", "lease"]


class Lack(NamedTuple):
    """The first thing that keeps a step from starting: a pool, so much of it (0: it waits for an instant, or for the attempt that
    tries), and why it cannot have it."""

    pool: int
    weight: int
    cause: Cause


class Curbs:
    """`engines`: how many have attached. `full_at[p]`: see `rate`; `emptied_at`: when the buckets of all pools were emptied.

    `strikes[p]`: failures in a row; `open_until[p]`: until when an open breaker lets nobody start; `trials[p]`: the step whose
    attempt tries; `tried[p]`: how that went, until it is judged.

    `sizes[p]`: slots that were decided; `calm[p]`: successes since; `strained[p]`: the sign of overload that has not been judged;
    `resized_at[p]`: when the size was last decided.

    `overtaken[i]`: how often step i was overtaken while it was first. `holder`, `reserved`: whose reservation, in which pools.

    For the deciders: `touched` pools are to be judged; `openings` holds the instants from which pools let somebody start, for
    each `watched` pool one that counts.
    """

    def __init__(self, demands: Demands) -> None:
        self.demands = demands
        self.engines = 0
        self.full_at: dict[int, float] = {}
        self.emptied_at: float | None = None
        self.strikes: dict[int, int] = {}
        self.open_until: dict[int, float] = {}
        self.trials: dict[int, int] = {}
        self.tried: dict[int, bool] = {}
        self.sizes: dict[int, int] = {}
        self.calm: dict[int, int] = {}
        self.strained: dict[int, str] = {}
        self.resized_at: dict[int, float] = {}
        self.overtaken: dict[int, int] = {}
        self.holder: int | None = None
        self.reserved: frozenset[int] = frozenset()
        self.touched: dict[int, None] = {}
        self.openings: list[tuple[float, int]] = []
        self.watched: dict[int, float] = {}

    # ---- questions ----

    def slots(self, pool: int, limits: Limits) -> int | None:
        """Capacity of a pool as it is now; None: unlimited."""
        slots, size = self.demands.slots(pool, limits), self.sizes.get(pool)
        if size is None or slots is None:
            return slots
        return size if pool == COMPUTING else min(slots, max(size, self.demands.heaviest.get(pool, 1)))

    def closed(self, pool: int) -> tuple[float, Cause]:
        """The instant from which the pool lets an attempt start, as far as its rate and its breaker go, and which it is."""
        spec = self.demands.spec[pool]
        opens = rate.NEVER if spec.rate is None else rate.opens(self._full_at(pool), spec.rate, spec.burst)
        until = self.open_until.get(pool, rate.NEVER)
        if pool in self.trials:
            until = float("inf")
        return (opens, "rate") if opens >= until else (until, "breaker")

    def _full_at(self, pool: int) -> float:
        spec = self.demands.spec[pool]
        full_at = self.full_at.get(pool, rate.NEVER)
        if self.emptied_at is None or spec.rate is None:
            return full_at
        return rate.emptied(full_at, spec.rate, spec.burst, self.emptied_at)

    def keeps(self, pool: int, rank: Rank) -> int:
        """Units that are kept from whoever has this rank."""
        if self.holder is None or pool not in self.reserved or rank <= self.demands.rank[self.holder]:
            return 0
        return next(weight for p, weight in self.demands.of(self.holder) if p == pool)

    def lack(self, i: int, free: Callable[[int], float], now: float) -> Lack | None:
        """What keeps step i from starting: units, else the instant that is latest; None: nothing.

        `free`: units of a pool that nobody holds.
        """
        for pool, weight in self.demands.of(i):
            left = free(pool)
            if left < weight:
                return Lack(pool, weight, "slots")
            if self.holder is not None and left - self.keeps(pool, self.demands.rank[i]) < weight:
                return Lack(pool, weight, "reserved")
        last, latest = None, now
        for pool in self.demands.paced[self.demands.kind[i]]:
            opens, cause = self.closed(pool)
            if opens > latest:
                last, latest = Lack(pool, 0, cause), opens
        return last

    # ---- instants ----

    def watch(self, pool: int, now: float) -> None:
        """Somebody waits for the instant at which the pool opens, if it has one that is still to come."""
        opens, _ = self.closed(pool)
        if now < opens < float("inf") and self.watched.get(pool) != opens:
            self.watched[pool] = opens
            heappush(self.openings, (opens, pool))

    def opened(self, now: float) -> set[int]:
        """The pools whose instants have come."""
        found = set()
        while self.openings and self.openings[0][0] <= now:
            when, pool = heappop(self.openings)
            if self.watched.get(pool) == when:
                found.add(pool)
                del self.watched[pool]
        return found

    def next_opening(self, waits: Callable[[int], bool]) -> float | None:
        """The next instant at which a pool opens that somebody `waits` for. Entries that no longer hold are dropped here: whoever
        changed the instant has looked at the pool, or will before anybody can start."""
        while self.openings:
            when, pool = self.openings[0]
            current = self.watched.get(pool) == when
            if current and waits(pool) and self.closed(pool)[0] == when:
                return when
            heappop(self.openings)
            if current:
                del self.watched[pool]
        return None

    # ---- what apply writes ----

    def note_engine(self, at: float) -> None:
        """An engine attached. What an earlier one started last may not have been saved, so nobody may rely on the buckets."""
        self.engines += 1
        if self.engines > 1:
            self.full_at.clear()
            self.emptied_at = at
        self.sizes.pop(COMPUTING, None)

    def note_start(self, i: int, at: float) -> None:
        for pool in self.demands.paced[self.demands.kind[i]]:
            spec = self.demands.spec[pool]
            if spec.rate:
                self.full_at[pool] = rate.taken(self._full_at(pool), spec.rate, at)
            if pool in self.open_until:
                self.trials[pool] = i

    def note_end(self, i: int, started: float, *, ok: bool | None, error: ErrorRecord | None = None) -> None:
        """An attempt ended well, badly, or (None) in a way that says nothing about the pools that it held."""
        for pool, _ in self.demands.of(i)[2:]:
            spec = self.demands.spec[pool]
            if spec.breaker:
                self._note_breaker(pool, i, ok)
            if spec.adaptive and ok is not None:
                self.touched[pool] = None
                sign = overload(error)
                if ok:
                    self.calm[pool] = self.calm.get(pool, 0) + 1
                elif sign and started >= self.resized_at.get(pool, rate.NEVER):  # else it was decided without that size
                    self.strained[pool] = sign
                    self.calm.pop(pool, None)

    def _note_breaker(self, pool: int, i: int, ok: bool | None) -> None:
        tries = self.trials.get(pool) == i
        if tries:
            del self.trials[pool]
        if ok is None:
            return
        self.touched[pool] = None
        if pool in self.open_until:
            if tries:
                self.tried[pool] = ok
        elif ok:
            self.strikes.pop(pool, None)
        else:
            self.strikes[pool] = self.strikes.get(pool, 0) + 1

    def note_opened(self, pool: int, until: float) -> None:
        self.open_until[pool] = until
        self.tried.pop(pool, None)

    def note_closed(self, pool: int) -> None:
        for about in (self.open_until, self.tried, self.strikes):
            about.pop(pool, None)

    def note_resized(self, pool: int, slots: int, at: float) -> None:
        self.sizes[pool] = slots
        self.resized_at[pool] = at
        self.calm.pop(pool, None)
        self.strained.pop(pool, None)

    def note_overtaken(self, first: int) -> None:
        """A step started that comes after this one, which is ready."""
        self.overtaken[first] = self.overtaken.get(first, 0) + 1

    def note_reserved(self, i: int, pools: frozenset[int]) -> None:
        self.holder = i
        self.reserved |= pools

    def note_left(self, i: int) -> frozenset[int]:
        """Step i is not ready any more; the pools in which units were reserved for it."""
        self.overtaken.pop(i, None)
        if i != self.holder:
            return frozenset()
        released, self.holder, self.reserved = self.reserved, None, frozenset()
        return released


def overload(error: ErrorRecord | None) -> str:
    """What in an error says that there is too much load; empty: nothing."""
    if error is None:
        return ""
    if error.retry_after_s is not None:
        return "a server asked to wait"
    if error.kind == "timeout":
        return "a timeout"
    named = OVERLOADED.intersection(error.exception.split())
    return min(named, default="")
