"""Fan-outs as one thing each: how many of their instances are done, and what the others are doing.

Counted as facts come, so a fact costs what it names, and to look costs nothing. A step belongs to the outermost fan-out above
it, and so does what runs in its place when it has failed.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, Literal, TypeAlias

from weft.core import facts as f
from weft.core.facts import Fact
from weft.core.state import State
from weft.core.status import Status
from weft.views.text import Cell, names, visible
from weft.views.waiting import since

Section: TypeAlias = Literal["to approve", "running", "stopping", "backing off"]
"""Where a fan-out is shown: by the first of these that one of its steps is."""

NAMED_MAX: Final = 3
NAMED_WIDTH: Final = 40

_SECTIONS: Final[dict[Status, Section]] = {
    Status.AWAITING_APPROVAL: "to approve",
    Status.INTERRUPTED: "to approve",
    Status.RUNNING: "running",
    Status.STOPPING: "stopping",
    Status.BACKING_OFF: "backing off",
}
_WORDS: Final = {
    Status.FAILED: "failed",
    Status.CANCELLED: "cancelled",
    Status.SKIPPED: "skipped",
    Status.AWAITING_APPROVAL: "to approve",
    Status.INTERRUPTED: "interrupted",
    Status.STOPPING: "stopping",
    Status.BACKING_OFF: "backing off",
    Status.READY: "held",
    Status.RUNNING: "running",
}


class Fan:
    """`instances` and `steps` by status, the latter at any depth; `running`: those that run, the oldest first; `since`: when the
    first of them started, in seconds since the epoch."""

    __slots__ = ("instances", "running", "section", "since", "steps")

    def __init__(self) -> None:
        self.instances: Counter[Status] = Counter()
        self.steps: Counter[Status] = Counter()
        self.running: dict[int, None] = {}
        self.since: float | None = None
        self.section: Section | None = None


class Fans:
    """`of[i]`: the fan-out that step i belongs to. `sections`: the fan-outs that each shows, in the order in which they came."""

    def __init__(self, state: State) -> None:
        """Of a state with any history."""
        self._state = state
        self.of: dict[int, int] = {}
        self.fans: dict[int, Fan] = {}
        self.sections: dict[Section, dict[int, None]] = {section: {} for section in _SECTIONS.values()}
        self.counted: Counter[Status] = Counter()
        """Steps that belong to fan-outs, by status."""
        self._known = 0
        self._status: dict[int, Status] = {}
        self._rebuild()

    def see(self, fact: Fact) -> None:
        """Take in a fact that has been applied."""
        if isinstance(fact, f.RunCreated | f.RetryRequested):
            self._rebuild()
            return
        if isinstance(fact, f.EngineAttached):
            for fan in self.fans.values():
                fan.since = None  # no time passes without an engine
        elif isinstance(fact, f.FallbackStarted):
            self._belongs(self._state.graph.index[fact.fallback], self._state.graph.index[fact.step])
        self._take_in()
        for i in self._named(fact) if self.of else ():
            self._count(i)

    def _rebuild(self) -> None:
        self.of.clear()
        self.fans.clear()
        self.counted.clear()
        self._status.clear()
        for section in self.sections.values():
            section.clear()
        self._known = 0
        self._take_in()

    def _take_in(self) -> None:
        """Find out where steps belong that are new."""
        graph = self._state.graph
        for i in range(self._known, len(graph)):
            above = graph.stands_for.get(i, graph.parent.get(i))
            if above is not None:
                self._belongs(i, above)
                self._count(i)
        self._known = len(graph)

    def _belongs(self, i: int, above: int) -> None:
        fan = self.of.get(above, above if self._state.steps[above].for_each is not None else None)
        if fan is not None:
            self.of[i] = fan

    def _named(self, fact: Fact) -> Iterator[int]:
        """The steps whose status a fact may have changed."""
        ids: Iterable[str] = getattr(fact, "steps", ()) if isinstance(fact, f.StepsReady | f.StepsSkipped) else ()
        index = self._state.graph.index
        for name in (
            getattr(fact, "step", ""),
            getattr(fact, "gate", ""),
            getattr(fact, "parent", ""),
            getattr(fact, "fallback", ""),
            *ids,
        ):
            if name in index:
                yield index[name]

    def _count(self, i: int) -> None:
        """Note the status of step i, if it belongs to a fan-out."""
        g = self.of.get(i)
        if g is None:
            return
        state, fan = self._state, self.fans.setdefault(g, Fan())
        before, now = self._status.get(i), state.status[i]
        if before is now:
            return
        self._status[i] = now
        for counter in (fan.steps, self.counted, *([fan.instances] if state.graph.parent.get(i) == g else [])):
            counter[now] += 1
            if before is not None:
                counter[before] -= 1
        if now is Status.RUNNING:
            fan.running[i] = None
            fan.since = state.alive[i].started if fan.since is None else fan.since
        else:
            fan.running.pop(i, None)
        self._place(g, fan)

    def _place(self, g: int, fan: Fan) -> None:
        section = next((section for status, section in _SECTIONS.items() if fan.steps[status]), None)
        if section is not fan.section:
            if fan.section:
                del self.sections[fan.section][g]
            if section:
                self.sections[section][g] = None
            fan.section = section

    def rows(self, section: Section, now: float, count: int) -> list[list[Cell]]:
        """At most so many fan-outs of a section, each with what its instances are doing."""
        return [self.row(g, now) for g in islice(self.sections[section], count)]

    def row(self, g: int, now: float) -> list[Cell]:
        began = self.fans[g].since
        return [("", ""), visible(self._state.graph.ids[g]), "" if began is None else since(began, now), (self.words(g), "dim")]

    def words(self, g: int) -> str:
        """`12 of 400 done, 2 failed, 3 held, 8 running: web, shop and 6 more`."""
        fan = self.fans[g]
        done = sum(count for status, count in fan.instances.items() if status.settled)
        parts = [f"{done:,} of {sum(fan.instances.values()):,} done"]
        for status, word in _WORDS.items():
            count = (fan.instances if status.settled else fan.steps)[status]
            parts += [f"{count:,} {word}"] if count else []
        oldest = [self._short(g, i) for i in islice(fan.running, NAMED_MAX)]
        return ", ".join(parts) + (f": {names(oldest, NAMED_WIDTH, total=len(fan.running))}" if oldest else "")

    def _short(self, g: int, i: int) -> str:
        """The name of a step within its fan-out: the key of an instance, or the path from there."""
        ids, path = self._state.graph.ids, self._state.graph.ids[i]
        if self._state.graph.parent.get(i) == g and i in self._state.keys:
            return visible(self._state.keys[i])
        return visible(path.removeprefix(ids[g]))
