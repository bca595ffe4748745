"""What a run is doing at this moment, as rows for a terminal: failed, running, stopping, backing off, held, then progress.

- It folds the facts itself, so it needs nobody's state and changes nobody's.
- Making the rows costs what is shown, plus the kinds of demand; never the number of steps.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import islice
from typing import Final, Generic, TypeVar

from weft.core import facts as f
from weft.core.apply import apply
from weft.core.curbs import Cause
from weft.core.demand import TOTAL, WAITING, Rank
from weft.core.facts import Fact
from weft.core.lacks import lack
from weft.core.state import State
from weft.core.status import Status
from weft.model.units import format_duration
from weft.views.asked import interrupted_words
from weft.views.story import STOPPED, attempt_words, message
from weft.views.text import STYLES, Cell, Paint, fit, names, pad, percent, plural, table, visible

ROWS_MAX: Final = 25
"""More rows than these push what has scrolled by off a usual screen."""

SIDE_ROWS_MAX: Final = 3
"""Rows each for what is stopping, backing off, held: the rest belongs to what runs."""

ROOMY_ROWS: Final = 14
"""From so many rows on, sections other than `running` may have more than one."""

KINDS_NAMED_MAX: Final = 32
"""Kinds of demand that are looked into for names of held steps."""

COLUMNS_WIDTH_MIN: Final = 32
"""On a narrower terminal there is only the progress."""

LABEL_WIDTH: Final = len("backing off")
NAME_WIDTH_MAX: Final = 24
TIME_WIDTH: Final = len("59m59s")
"""Least widths, so that columns stand still while rows come and go."""

NAMED_MAX: Final = 8
BAR_WIDTH_MAX: Final = 40
BAR_WIDTH_MIN: Final = 8

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


class Scene:
    """`see` takes each fact once, in order; `rows` may be asked for at any time after the first."""

    def __init__(self) -> None:
        self.state = State()
        self._running: Shortlist[Rank] = Shortlist()
        self._backing_off: Shortlist[tuple[float, int]] = Shortlist()
        self._stopping: dict[int, None] = {}
        self._failed: list[int] = []
        self._skipped = 0
        self._cancelled = 0
        self._reused = 0
        self._name_width = 0

    @classmethod
    def of(cls, state: State) -> "Scene":
        """The scene that a state shows. Its worklists may be emptied of what no longer counts."""
        scene = cls()
        scene.state = state
        scene._name_width = _name_width(state)
        for i in state.alive:
            if state.status[i] is Status.STOPPING:
                scene._stopping[i] = None
            else:
                scene._running.add(state.demands.rank[i])
        for i, until in state.backoff_until.items():
            scene._backing_off.add((until, i))
        scene._failed = [i for i in state.errors if state.status[i] is Status.FAILED]
        scene._skipped = len(state.skips)
        scene._reused = state.status.count(Status.REUSED)
        scene._cancelled = state.status.count(Status.CANCELLED)
        return scene

    def see(self, fact: Fact) -> None:
        state = self.state
        apply(state, fact)
        match fact:
            case f.RunCreated():
                self._name_width = _name_width(state)
                self._reused = len(state.reused)
            case f.StepReused():
                self._reused += 1
            case f.AttemptStarted():
                self._running.add(state.demands.rank[state.graph.index[fact.step]])
            case f.AttemptStopping():
                self._stopping[state.graph.index[fact.step]] = None
            case f.AttemptEnded() | f.AttemptLost():
                self._stopping.pop(state.graph.index[fact.step], None)
            case f.BackoffStarted():
                self._backing_off.add((fact.until, state.graph.index[fact.step]))
            case f.StepFailed():
                self._failed.append(state.graph.index[fact.step])
            case f.StepsSkipped():
                self._skipped += len(fact.steps)
            case f.StepCancelled():
                self._cancelled += 1
            case f.RetryRequested():
                self._failed, self._skipped, self._cancelled = [], 0, 0

    @property
    def ticks(self) -> bool:
        """Whether the passing of time alone changes the rows."""
        return bool(self.state.alive or self.state.backoff_until or self.state.asking) or self.state.first_ready() is not None

    def rows(self, now: float, elapsed_s: float, width: int, height: int, paint: Paint) -> list[str]:
        """Painted rows, at most `height` and ROWS_MAX, none wider than `width`."""
        room = min(height, ROWS_MAX) - 1
        space = 1 if room >= SIDE_ROWS_MAX + 2 else 0  # an empty line above the progress
        lines = self.sections(now, width, paint, room - space) if room > 0 and width >= COLUMNS_WIDTH_MIN else []
        return [*lines, *[""] * (space if lines else 0), self._progress(elapsed_s, width, paint)]

    def sections(self, now: float, width: int, paint: Paint, room: int = ROWS_MAX) -> list[str]:
        """The rows without the progress, at most `room`."""
        sections = self._sections(now, room, width)
        rows = [row for section in sections for row in section]
        return table(rows, paint, width, right=(2,), keep=(0, 2), least=(LABEL_WIDTH, self._name_width, TIME_WIDTH), indent=1)

    # ---- sections ----

    def _sections(self, now: float, room: int, width: int) -> list[list[list[Cell]]]:
        held = self._held(max(now, self.state.now))
        running = len(self.state.alive) - len(self._stopping)
        side = SIDE_ROWS_MAX if room >= ROOMY_ROWS else 1
        wanted = {
            "running": running,
            "to approve": min(max(side, 1), len(self.state.asking) + len(self.state.interrupted)),
            "failed": min(1, len(self._failed)),
            "held": min(side, len(held)),
            "backing off": min(side, len(self.state.backoff_until)),
            "stopping": min(side, len(self._stopping)),
        }
        granted = dict.fromkeys(wanted, 0)
        for name, count in wanted.items():  # a row for each before anybody gets a second
            granted[name] = min(1, count, room)
            room -= granted[name]
        for name, count in reversed(wanted.items()):
            more = min(count - granted[name], room)
            granted[name] += more
            room -= more
        return [
            self._failed_rows(granted["failed"]),
            self._asking_rows(now, granted["to approve"]),
            self._running_rows(now, granted["running"], running),
            self._stopping_rows(now, granted["stopping"]),
            self._backing_off_rows(now, granted["backing off"]),
            self._held_rows(held, granted["held"], width, now),
        ]

    def _failed_rows(self, count: int) -> list[list[Cell]]:
        if not count:
            return []
        last = self._failed[-1]
        others = [self._id(i) for i in self._failed[-NAMED_MAX:-1][::-1]]
        before = f"; before it {names(others, 60, total=len(self._failed) - 1)}" if others else ""
        return [[("failed", STYLES["failed"]), self._id(last), "", message(self.state.errors[last]) + before]]

    def _asking_rows(self, now: float, count: int) -> list[list[Cell]]:
        """What waits for a person: gates, the first asked first, then interrupted steps."""
        rows: list[list[Cell]] = []
        interrupted = list(islice(self.state.interrupted.items(), max(0, count - len(self.state.asking))))
        for gate in islice(self.state.asking, count):
            opened = self.state.gates[gate]
            left = "" if opened.until is None else f", {format_duration(max(0.0, round(opened.until - now)))} left"
            rows.append([("", ""), visible(gate), _since(opened.at, now), f"{visible(opened.message)}{left}"])
        for i, attempt in interrupted:
            rows.append([("", ""), self._id(i), "", interrupted_words(self.state, i, attempt)])
        return _labelled("to approve", _with_more(rows, len(self.state.asking) + len(self.state.interrupted)))

    def _running_rows(self, now: float, count: int, total: int) -> list[list[Cell]]:
        state = self.state
        shown = count - 1 if total > count else count
        best = self._running.least(shown, lambda rank: state.status[rank[-1]] is Status.RUNNING)
        rows = [self._running_row(rank[-1], now) for rank in best]
        if count and total > len(rows):
            rows.append([("", ""), (f"{'and ' if rows else ''}{total - len(rows):,}{' more' if rows else ''}", "dim"), "", ""])
        return _labelled("running", rows)

    def _running_row(self, i: int, now: float) -> list[Cell]:
        step, attempt = self.state.steps[i], self.state.alive[i]
        notes = [
            f"of {format_duration(step.expect_s)} expected" if step.expect_s is not None else "",
            attempt_words(attempt.number, step) if attempt.number > 1 else "",
            visible(step.title),
        ]
        return [("", ""), self._id(i), _since(attempt.started, now), (", ".join(filter(None, notes)), "dim")]

    def _stopping_rows(self, now: float, count: int) -> list[list[Cell]]:
        rows: list[list[Cell]] = []
        for i in list(self._stopping)[:count]:
            attempt = self.state.alive[i]
            rows.append(
                [("", ""), self._id(i), _since(attempt.started, now), (STOPPED[attempt.cause] if attempt.cause else "", "dim")]
            )
        return _labelled("stopping", _with_more(rows, len(self._stopping)))

    def _backing_off_rows(self, now: float, count: int) -> list[list[Cell]]:
        until = self.state.backoff_until
        rows: list[list[Cell]] = []
        for when, i in self._backing_off.least(count, lambda item: until.get(item[1]) == item[0]):
            wait = format_duration(max(0.0, round(when - now)))
            number = attempt_words(self.state.attempts[i] + 1, self.state.steps[i])
            rows.append([("", ""), self._id(i), "", (f"{number} in {wait}", "dim")])
        return _labelled("backing off", _with_more(rows, len(until)))

    def _held(self, now: float) -> dict[tuple[int, Cause] | None, list[int]]:
        """Kinds of demand that have held steps, by what the first of each lacks: a pool, and why; None: it lacks nothing."""
        state = self.state
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

    def _held_rows(self, held: dict[tuple[int, Cause] | None, list[int]], count: int, width: int, now: float) -> list[list[Cell]]:
        state = self.state
        sizes = {of: sum(len(state.ready[k]) for k in kinds) for of, kinds in held.items()}
        rows: list[list[Cell]] = []
        for lacking in sorted(held, key=lambda of: -sizes[of])[:count]:
            ranks = [rank for k in held[lacking][:KINDS_NAMED_MAX] for rank in self._first_ready(k)]
            ids = [self._id(rank[-1]) for rank in sorted(ranks)[:NAMED_MAX]]
            told = self._lack(lacking, now)
            room = width - len(told) - LABEL_WIDTH - max(self._name_width, len("999,999 steps")) - TIME_WIDTH - 9  # gaps
            named = names(ids, max(room, 1), total=sizes[lacking])
            rows.append([("", ""), plural(sizes[lacking], "step"), "", f"{told}: {named}"])
        return _labelled("held", rows)

    def _first_ready(self, k: int) -> list[Rank]:
        ready = self.state.ready[k]
        return least(self.state.queues[k], NAMED_MAX, lambda rank: rank[-1] in ready)

    def _lack(self, lacking: tuple[int, Cause] | None, now: float) -> str:
        if lacking is None:
            return "nothing new is started" if self.state.halted else "about to start"
        (pool, cause), demands, curbs = lacking, self.state.demands, self.state.curbs
        name = visible(demands.pools[pool]) if pool > WAITING else demands.pools[TOTAL]
        if cause == "reserved" and curbs.holder is not None:
            return f"{name}, reserved for {self._id(curbs.holder)}"
        if cause in ("rate", "breaker"):
            opens, _ = curbs.closed(pool)
            trial = curbs.trials.get(pool)
            when = f"{self._id(trial)} tries" if trial is not None else f"next in {format_duration(max(0.0, opens - now))}"
            return f"{cause} of {name}, {when}"
        if cause == "lease":
            runs = sorted({run for runs in self.state.leases.busy.values() for run in runs})
            return f"{name}, held by other runs ({', '.join(map(visible, runs[:NAMED_MAX]))})" if runs else f"{name}, asked for"
        slots, shown = curbs.slots(pool, self.state.limits) or 0, demands.spec[pool].shown
        parts = ", in parts" if cause == "device" else ""
        return f"{name}, {shown(slots - int(self.state.free(pool)))} of {shown(slots)} taken{parts}"

    def _id(self, i: int) -> str:
        return visible(self.state.graph.ids[i])

    # ---- progress ----

    def _progress(self, elapsed_s: float, width: int, paint: Paint) -> str:
        state = self.state
        total = len(state.steps)
        done = total - state.open
        halted = {"cancel": "cancelling", "stop": "stopping", "suspend": "suspending", "budget": "the budget is spent"}.get(
            state.halted or "", "finally" if state.ending and not state.ended else ""
        )
        counts = {
            "running": len(state.alive),
            "failed": len(self._failed),
            "skipped": self._skipped,
            "reused": self._reused,
            "cancelled": self._cancelled,
        }
        head = " · ".join(filter(None, [halted, f"{done:,} of {plural(total, 'step')}"]))
        tail = format_duration(int(elapsed_s))
        for word, count in counts.items():
            longer = f"{tail} · {count:,} {word}" if count else tail
            tail = longer if len(head) + len(longer) + 4 <= width else tail
        share = done / total if total else 1.0
        room = min(width - len(head) - len(tail) - len("        100%"), BAR_WIDTH_MAX)
        if room < BAR_WIDTH_MIN:
            return fit(f"{head}  {tail}", width)
        filled = int(room * share)
        bar = paint("━" * filled, "green") + paint("─" * (room - filled), "dim")
        return f" {head}  {bar} {pad(percent(share), 4, right=True)}  {tail}"


def _name_width(state: State) -> int:
    return min(max(map(len, state.graph.ids), default=0), NAME_WIDTH_MAX)


def _since(started: float, now: float) -> str:
    return format_duration(int(max(0.0, now - started)))


def _with_more(rows: list[list[Cell]], total: int) -> list[list[Cell]]:
    """Say on the last row how many there are that no row shows."""
    if rows and total > len(rows):
        note = rows[-1][-1]
        text = note[0] if isinstance(note, tuple) else note
        rows[-1][-1] = (f"{text}, and {total - len(rows):,} more", "dim")
    return rows


def _labelled(label: str, rows: list[list[Cell]]) -> list[list[Cell]]:
    if rows:
        rows[0][0] = (label, STYLES[label.replace(" ", "_")])
    return rows
