"""What a report draws: when each attempt ran, and when each step was held or waited for its next attempt, by one fold.

Times are seconds on the run's own clock, on which nothing passes while no engine lives, as in `core.measure`.
"""

from collections.abc import Iterable
from typing import NamedTuple

from weft.core import facts as f
from weft.core.facts import Fact
from weft.core.measure import Measure


class Bar(NamedTuple):
    """A stretch of a step's life. `kind`: `held`, `backing_off`, `awaiting_approval`, `running` (still), or how the attempt
    ended."""

    kind: str
    start_s: float
    end_s: float
    attempt: int


class Chronicle:
    """`bars` by step number, in order. `secret`: some output holds the value of a secret."""

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        self.measure = Measure()
        self.bars: dict[int, list[Bar]] = {}
        self.secret = False
        self._open: dict[int, tuple[str, float]] = {}
        for fact in facts:
            self.see(fact)

    def see(self, fact: Fact) -> None:
        self.measure.see(fact)
        index = self.measure.state.graph.index
        match fact:
            case f.StepsReady(steps=steps):
                for step in steps:
                    self._turn(index[step], "held")
            case f.AttemptStarted(step=step):
                self._turn(index[step], "running")
            case f.AttemptEnded(step=step, outcome=outcome):
                self._turn(index[step], "", ended="succeeded" if outcome == "ok" else outcome)
                self.secret = self.secret or bool(fact.output and fact.output.secret)
            case f.AttemptLost(step=step):
                self._turn(index[step], "", ended="lost")
            case f.BackoffStarted(step=step):
                self._turn(index[step], "backing_off")
            case f.GateOpened(gate=gate) if gate in index:
                self._turn(index[gate], "awaiting_approval")
            case f.GateAnswered(gate=gate) if gate in index:
                self._turn(index[gate], "")
            case f.StepCancelled(step=step) | f.StepFailed(step=step) | f.FallbackStarted(step=step):
                self._turn(index[step], "")
            case f.StepsSkipped(steps=steps):
                for step in steps:
                    self._turn(index[step], "")

    def close(self) -> None:
        """Draw what is still going on up to now."""
        for i in list(self._open):
            self._turn(i, "")

    def _turn(self, i: int, kind: str, ended: str = "") -> None:
        """Step i begins something else; what it did until now has `ended` so, if that says more than what it was."""
        now_s = self.measure.makespan_s
        before, since_s = self._open.pop(i, ("", 0.0))
        if before and (now_s > since_s or before == "running"):
            self.bars.setdefault(i, []).append(Bar(ended or before, since_s, now_s, self.measure.state.attempts[i]))
        if kind:
            self._open[i] = (kind, now_s)


ATTEMPTS = frozenset(("running", "succeeded", "failed", "cancelled", "lost"))
"""The kinds of bars that are attempts; the others are waits."""


def profile(spans: Iterable[tuple[float, float, float]], end_s: float, buckets: int) -> list[float]:
    """How much was in use over time: the mean, in each of so many equal parts of `end_s`, of the sum of the weights of the spans
    (start, end, weight) that were open."""
    if end_s <= 0:
        return []
    changes = sorted(change for start, end, weight in spans if end > start for change in ((start, weight), (end, -weight)))
    width_s = end_s / buckets
    sums = [0.0] * buckets
    level, at_s, bucket = 0.0, 0.0, 0
    for when_s, change in [*changes, (end_s, 0.0)]:
        while at_s < when_s:
            edge_s = (bucket + 1) * width_s if bucket < buckets - 1 else when_s
            sums[bucket] += level * (min(when_s, edge_s) - at_s)
            at_s = min(when_s, edge_s)
            bucket += bucket < buckets - 1 and edge_s <= at_s
        level += change
    return [total / width_s for total in sums]


def lanes(bars: Iterable[tuple[int, Bar]]) -> list[list[tuple[int, Bar]]]:
    """Attempts (step number, bar) laid into as few rows as there were attempts at once, each in the first that is free."""
    from heapq import heappop, heappush

    rows: list[list[tuple[int, Bar]]] = []
    free: list[int] = []
    busy: list[tuple[float, int]] = []
    for i, bar in sorted(bars, key=lambda item: (item[1].start_s, item[0])):
        while busy and busy[0][0] <= bar.start_s:
            heappush(free, heappop(busy)[1])
        if not free:
            heappush(free, len(rows))
            rows.append([])
        row = heappop(free)
        rows[row].append((i, bar))
        heappush(busy, (bar.end_s, row))
    return rows
