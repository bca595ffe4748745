"""Rows for what waits: steps that are held, and what people are asked. To make them costs what is shown, plus the kinds of
demand."""

from collections.abc import Callable, Container, Iterator
from heapq import heappop, heappush
from itertools import islice
from typing import Final, Generic, TypeVar

from weft.core.curbs import Cause
from weft.core.demand import TOTAL, WAITING, Rank
from weft.core.lacks import lack
from weft.core.state import State
from weft.model.units import format_duration
from weft.views.asked import interrupted_words
from weft.views.text import Cell, names, plural, visible

NAMED_MAX: Final = 8
KINDS_NAMED_MAX: Final = 32
"""Kinds of demand that are looked into for names of held steps."""

T = TypeVar("T", Rank, tuple[float, int])


class Shortlist(Generic[T]):
    """The least few of many items, any of which may cease to count at any time. An item that no longer counts is found, and
    dropped, only when it comes to the front."""

    def __init__(self) -> None:
        self._heap: list[T] = []

    def add(self, item: T) -> None:
        heappush(self._heap, item)

    def least(self, count: int, counts: Callable[[T], bool]) -> list[T]:
        return least(self._heap, count, counts)


def least(heap: list[T], count: int, counts: Callable[[T], bool]) -> list[T]:
    """The `count` least items of a heap that still count, in order and each once; what does not count is dropped."""
    found: list[T] = []
    while heap and len(found) < count:
        item = heappop(heap)
        if counts(item) and item not in found[-1:]:
            found.append(item)
    for item in found:
        heappush(heap, item)
    return found


class HeldSteps:
    """The held steps of a state, by what holds them."""

    def __init__(self, state: State) -> None:
        self._state = state

    def by_lack(self, now: float) -> dict[tuple[int, Cause] | None, list[int]]:
        """Kinds of demand that have held steps, by what the first of each lacks: a pool, and why; None: it lacks nothing."""
        state = self._state
        free: dict[int, float] = {}
        held: dict[tuple[int, Cause] | None, list[int]] = {}

        def left(pool: int) -> float:
            if pool not in free:
                free[pool] = state.free(pool)
            return free[pool]

        for k, ready in enumerate(state.ready):
            if ready:
                found = lack(state, self._first_ready(k)[0][-1], left, now)
                held.setdefault(None if found is None else (found.pool, found.cause), []).append(k)
        return held

    def rows(self, held: dict[tuple[int, Cause] | None, list[int]], count: int, room: int, now: float) -> list[list[Cell]]:
        """At most so many rows, with `room` for what holds the steps and their names."""
        state = self._state
        sizes = {of: sum(len(state.ready[k]) for k in kinds) for of, kinds in held.items()}
        rows: list[list[Cell]] = []
        for lacking in sorted(held, key=lambda of: -sizes[of])[:count]:
            ranks = [rank for k in held[lacking][:KINDS_NAMED_MAX] for rank in self._first_ready(k)]
            ids = [self._name(rank[-1]) for rank in sorted(ranks)[:NAMED_MAX]]
            told = self._lack(lacking, now)
            named = names(ids, max(room - len(told), 1), total=sizes[lacking])
            rows.append([("", ""), plural(sizes[lacking], "step"), "", f"{told}: {named}"])
        return rows

    def _first_ready(self, k: int) -> list[Rank]:
        ready = self._state.ready[k]
        return least(self._state.queues[k], NAMED_MAX, lambda rank: rank[-1] in ready)

    def _lack(self, lacking: tuple[int, Cause] | None, now: float) -> str:
        if lacking is None:
            return "nothing new is started" if self._state.halted else "about to start"
        (pool, cause), demands, curbs = lacking, self._state.demands, self._state.curbs
        name = visible(demands.pools[pool]) if pool > WAITING else demands.pools[TOTAL]
        if cause == "reserved" and curbs.holder is not None:
            return f"{name}, reserved for {self._name(curbs.holder)}"
        if cause in ("rate", "breaker"):
            opens, _ = curbs.closed(pool)
            trial = curbs.trials.get(pool)
            when = f"{self._name(trial)} tries" if trial is not None else f"next in {format_duration(max(0.0, opens - now))}"
            return f"{cause} of {name}, {when}"
        if cause == "lease":
            runs = sorted({run for runs in self._state.leases.busy.values() for run in runs})
            return f"{name}, held by other runs ({', '.join(map(visible, runs[:NAMED_MAX]))})" if runs else f"{name}, asked for"
        slots, shown = curbs.slots(pool, self._state.limits) or 0, demands.spec[pool].shown
        parts = ", in parts" if cause == "device" else ""
        return f"{name}, {shown(slots - int(self._state.free(pool)))} of {shown(slots)} taken{parts}"

    def _name(self, i: int) -> str:
        return visible(self._state.graph.ids[i])


class Questions:
    """Open gates by name and interrupted steps by number, in the order in which they came."""

    def __init__(self, state: State, apart: Container[int]) -> None:
        """Those of a state, without the steps `apart`."""
        self._state = state
        self._apart = apart
        self._asking: dict[str | int, None] = dict.fromkeys([*state.asking, *state.interrupted])

    def add(self, of: str | int) -> None:
        self._asking[of] = None

    def rows(self, count: int, now: float) -> list[list[Cell]]:
        return [self._row(of, now) for of in islice(self._open(), count)]

    def _open(self) -> Iterator[str | int]:
        """Gates and interrupted steps that belong to no fan-out. What needs no answer any more is forgotten."""
        state, over = self._state, list[str | int]()
        try:
            for of in self._asking:
                i = state.graph.index.get(of) if isinstance(of, str) else of
                if of not in (state.asking if isinstance(of, str) else state.interrupted) or i in self._apart:
                    over.append(of)  # a fan-out has a row for those
                else:
                    yield of
        finally:
            for of in over:
                del self._asking[of]

    def _row(self, of: str | int, now: float) -> list[Cell]:
        if isinstance(of, int):
            words = interrupted_words(self._state, of, self._state.interrupted[of])
            return [("", ""), visible(self._state.graph.ids[of]), "", words]
        opened = self._state.gates[of]
        left = "" if opened.until is None else f", {format_duration(max(0.0, round(opened.until - now)))} left"
        return [("", ""), visible(of), since(opened.at, now), f"{visible(opened.message)}{left}"]


def since(started: float, now: float) -> str:
    return format_duration(int(max(0.0, now - started)))
