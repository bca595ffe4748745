"""What a run is doing at this moment, as rows for a terminal: failed, running, stopping, backing off, held, then progress.

- It folds the facts itself, so it needs nobody's state and changes nobody's.
- Making the rows costs what is shown, plus the kinds of demand; never the number of steps.
"""

from itertools import islice
from typing import Final

from weft.core import facts as f
from weft.core.apply import apply
from weft.core.demand import Rank
from weft.core.facts import Fact
from weft.core.state import State
from weft.core.status import Status
from weft.model.units import format_duration
from weft.views.fans import Fans, Section
from weft.views.story import STOPPED, attempt_words, message
from weft.views.text import STYLES, Cell, Paint, fit, names, pad, percent, plural, table, visible
from weft.views.waiting import NAMED_MAX, HeldSteps, Questions, Shortlist, since

ROWS_MAX: Final = 25
"""More rows than these push what has scrolled by off a usual screen."""

SIDE_ROWS_MAX: Final = 3
"""Rows each for what is stopping, backing off, held: the rest belongs to what runs."""

ROOMY_ROWS: Final = 14
"""From so many rows on, sections other than `running` may have more than one."""

COLUMNS_WIDTH_MIN: Final = 32
"""On a narrower terminal there is only the progress."""

LABEL_WIDTH: Final = len("backing off")
NAME_WIDTH_MAX: Final = 24
TIME_WIDTH: Final = len("59m59s")
"""Least widths, so that columns stand still while rows come and go."""

SHORT_NOTE: Final = 32
"""Characters that are there on most terminals after the columns before."""
BAR_WIDTH_MAX: Final = 40
BAR_WIDTH_MIN: Final = 8


class Scene:
    """`see` takes each fact once, in order; `rows` may be asked for at any time after the first."""

    def __init__(self) -> None:
        self._running: Shortlist[Rank] = Shortlist()
        self._backing_off: Shortlist[tuple[float, int]] = Shortlist()
        self._stopping: dict[int, None] = {}
        self._look_at(State())
        self._failed: list[int] = []
        self._skipped = 0
        self._cancelled = 0
        self._reused = 0
        self._name_width = 0

    @classmethod
    def of(cls, state: State) -> "Scene":
        """The scene that a state shows. Its worklists may be emptied of what no longer counts."""
        scene = cls()
        scene._look_at(state)
        scene._name_width = _name_width(state)
        for i in state.alive:
            if i not in scene._fans.of:
                scene._note(i)
        for g in scene._fans.sections["running"]:
            scene._running.add(state.demands.rank[g])
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
        self._fans.see(fact)
        match fact:
            case f.RunCreated():
                self._name_width = _name_width(state)
                self._reused = len(state.reused)
            case f.StepReused():
                self._reused += 1
            case f.AttemptStarted() | f.AttemptStopping():
                self._note(state.graph.index[fact.step])
            case f.AttemptEnded() | f.AttemptLost():
                self._stopping.pop(state.graph.index[fact.step], None)
            case f.BackoffStarted():
                self._backing_off.add((fact.until, state.graph.index[fact.step]))
            case f.GateOpened():
                self._questions.add(fact.gate)
            case f.StepInterrupted():
                self._questions.add(state.graph.index[fact.step])
            case f.StepFailed():
                self._failed.append(state.graph.index[fact.step])
            case f.StepsSkipped():
                self._skipped += len(fact.steps)
            case f.StepCancelled():
                self._cancelled += 1
            case f.RetryRequested():
                self._failed, self._skipped, self._cancelled = [], 0, 0

    def _look_at(self, state: State) -> None:
        self.state = state
        self._fans = Fans(state)
        self._held = HeldSteps(state)
        self._questions = Questions(state, self._fans.of)

    def _note(self, i: int) -> None:
        """Step i runs, or is being stopped. A fan-out stands for all of its steps."""
        fan = self._fans.of.get(i)
        if fan is not None:
            if self._fans.fans[fan].steps[Status.RUNNING] == 1:  # only now, or again
                self._running.add(self.state.demands.rank[fan])
        elif self.state.status[i] is Status.STOPPING:
            self._stopping[i] = None
        else:
            self._running.add(self.state.demands.rank[i])

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
        held = self._held.by_lack(max(now, self.state.now))
        fans, alone = self._fans.sections, self._alone()
        side = SIDE_ROWS_MAX if room >= ROOMY_ROWS else 1
        wanted = {
            "running": alone["running"] + len(fans["running"]),
            "to approve": min(side, alone["to approve"] + len(fans["to approve"])),
            "failed": min(1, len(self._failed)),
            "held": min(side, len(held)),
            "backing off": min(side, alone["backing off"] + len(fans["backing off"])),
            "stopping": min(side, alone["stopping"] + len(fans["stopping"])),
        }
        granted = dict.fromkeys(wanted, 0)
        for name, count in wanted.items():  # a row for each before anybody gets a second
            granted[name] = min(1, count, room)
            room -= granted[name]
        for name, count in reversed(wanted.items()):
            more = min(count - granted[name], room)
            granted[name] += more
            room -= more
        taken = LABEL_WIDTH + max(self._name_width, len("999,999 steps")) + TIME_WIDTH + len("  ") * 4 + 1
        return [
            self._failed_rows(granted["failed"]),
            self._asking_rows(now, granted["to approve"], alone["to approve"]),
            self._running_rows(now, granted["running"], wanted["running"]),
            self._stopping_rows(now, granted["stopping"], alone["stopping"]),
            self._backing_off_rows(now, granted["backing off"], alone["backing off"]),
            _labelled("held", self._held.rows(held, granted["held"], width - taken, now)),
        ]

    def _alone(self) -> dict[Section, int]:
        """How many steps each section has that belong to no fan-out, the gates between layers included."""
        state, among = self.state, self._fans.counted
        asked = among[Status.AWAITING_APPROVAL] + among[Status.INTERRUPTED]
        return {
            "running": len(state.alive) - len(self._stopping) - among[Status.RUNNING] - among[Status.STOPPING],
            "to approve": len(state.asking) + len(state.interrupted) - asked,
            "backing off": len(state.backoff_until) - among[Status.BACKING_OFF],
            "stopping": len(self._stopping),
        }

    def _failed_rows(self, count: int) -> list[list[Cell]]:
        if not count:
            return []
        last = self._failed[-1]
        others = [self._id(i) for i in self._failed[-NAMED_MAX:-1][::-1]]
        before = f"; before it {names(others, 60, total=len(self._failed) - 1)}" if others else ""
        return [[("failed", STYLES["failed"]), self._id(last), "", message(self.state.errors[last]) + before]]

    def _asking_rows(self, now: float, count: int, alone: int) -> list[list[Cell]]:
        """What waits for a person, the first asked first."""
        fans = self._fans.rows("to approve", now, count)
        rows = self._questions.rows(count - len(fans), now)
        return _labelled("to approve", _with_more(rows + fans, alone + len(self._fans.sections["to approve"])))

    def _running_rows(self, now: float, count: int, total: int) -> list[list[Cell]]:
        shown = count - 1 if total > count else count
        best = self._running.least(shown, self._runs)
        rows = [self._running_row(rank[-1], now) for rank in best]
        if count and total > len(rows):
            rows.append([("", ""), (f"{'and ' if rows else ''}{total - len(rows):,}{' more' if rows else ''}", "dim"), "", ""])
        return _labelled("running", rows)

    def _runs(self, rank: Rank) -> bool:
        """Whether this step has a row among those that run: a fan-out has one as a whole."""
        i = rank[-1]
        return i in self._fans.sections["running"] if i in self._fans.fans else self.state.status[i] is Status.RUNNING

    def _running_row(self, i: int, now: float) -> list[Cell]:
        if i in self._fans.fans:
            return self._fans.row(i, now)
        step, attempt = self.state.steps[i], self.state.alive[i]
        notes = [
            f"of {format_duration(step.expect_s)} expected" if step.expect_s is not None else "",
            attempt_words(attempt.number, step) if attempt.number > 1 else "",
            visible(step.title),
        ]
        return [("", ""), self._id(i), since(attempt.started, now), (", ".join(filter(None, notes)), "dim")]

    def _stopping_rows(self, now: float, count: int, alone: int) -> list[list[Cell]]:
        rows = self._fans.rows("stopping", now, count)
        for i in islice(self._stopping, count - len(rows)):
            attempt = self.state.alive[i]
            rows.append(
                [("", ""), self._id(i), since(attempt.started, now), (STOPPED[attempt.cause] if attempt.cause else "", "dim")]
            )
        return _labelled("stopping", _with_more(rows, alone + len(self._fans.sections["stopping"])))

    def _backing_off_rows(self, now: float, count: int, alone: int) -> list[list[Cell]]:
        until, fan = self.state.backoff_until, self._fans.of
        rows = self._fans.rows("backing off", now, count)
        for when, i in self._backing_off.least(
            count - len(rows), lambda item: until.get(item[1]) == item[0] and item[1] not in fan
        ):
            wait = format_duration(max(0.0, round(when - now)))
            number = attempt_words(self.state.attempts[i] + 1, self.state.steps[i])
            rows.append([("", ""), self._id(i), "", (f"{number} in {wait}", "dim")])
        return _labelled("backing off", _with_more(rows, alone + len(self._fans.sections["backing off"])))

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


def _with_more(rows: list[list[Cell]], total: int) -> list[list[Cell]]:
    """Say on the last row how many there are that no row shows."""
    if rows and total > len(rows):
        note = rows[-1][-1]
        text = note[0] if isinstance(note, tuple) else note
        more = f"{total - len(rows):,} more"  # it must not be what is cut off
        rows[-1][-1] = (f"{text}, and {more}" if len(text) <= SHORT_NOTE else f"(and {more}) {text}", "dim")
    return rows


def _labelled(label: str, rows: list[list[Cell]]) -> list[list[Cell]]:
    if rows:
        rows[0][0] = (label, STYLES[label.replace(" ", "_")])
    return rows
