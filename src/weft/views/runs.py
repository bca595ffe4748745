"""The list of runs, as a table and as JSON."""

import time
from collections.abc import Sequence
from typing import Any, Final, Protocol

from weft.model.units import format_duration
from weft.views.text import STYLES, Cell, Paint, plural, table, visible, words

ROWS_MAX: Final = 50
"""Runs that the table shows, the newest: nobody looks further back by eye."""


class Row(Protocol):
    """What is shown of a run; `weft.journal.index.RunRow` is one, and says what each means."""

    @property
    def run(self) -> str: ...
    @property
    def workflow(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def created_at(self) -> float: ...
    @property
    def ended_at(self) -> float | None: ...
    @property
    def makespan_s(self) -> float: ...
    @property
    def steps(self) -> int: ...
    @property
    def succeeded(self) -> int: ...
    @property
    def failed(self) -> int: ...
    @property
    def cancelled(self) -> int: ...
    @property
    def skipped(self) -> int: ...
    @property
    def reused(self) -> int: ...
    @property
    def origin(self) -> str: ...
    @property
    def damage(self) -> str: ...
    @property
    def alive(self) -> bool: ...


_HEAD: Final = ("run", "workflow", "status", "done", "started", "took", "")
_FIELDS: Final = (
    *("run", "workflow", "source", "status", "alive", "damage", "created_at", "ended_at", "makespan_s"),
    *("steps", "succeeded", "failed", "cancelled", "skipped", "reused", "origin"),
)


def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [{name: getattr(row, name) for name in _FIELDS} for row in rows]


def render(rows: Sequence[Row], *, color: bool, width: int = 100) -> str:
    """The table as text, in the order of the rows."""
    if not rows:
        return "no runs yet: `weft run FILE` makes one"
    paint = Paint(color)
    lines = table(map(_cells, rows[:ROWS_MAX]), paint, width, head=_HEAD, right=(3, 5), keep=(0, 2, 3, 4, 5))
    if any(_resumable(row) for row in rows[:ROWS_MAX]):
        lines += ["", paint("go on with a run that is suspended, or has lost its engine: weft resume RUN", "dim")]
    if any(row.status == "waiting" and not row.damage for row in rows[:ROWS_MAX]):
        lines += [
            "",
            paint("see what a run that is waiting asks: weft why RUN; answer: weft approve RUN, weft reject RUN", "dim"),
        ]
    if len(rows) > ROWS_MAX:
        lines.append(paint(f"… and {plural(len(rows) - ROWS_MAX, 'older run')}: --json lists all", "dim"))
    return "\n".join(lines)


def _cells(row: Row) -> list[Cell]:
    done = row.succeeded + row.failed + row.cancelled + row.skipped + row.reused
    return [
        visible(row.run),
        visible(row.workflow),
        _status(row),
        f"{done:,}/{row.steps:,}" if row.steps else "",
        moment(row.created_at) if row.created_at else "",
        format_duration(row.makespan_s) if row.makespan_s else "",
        (_note(row), "dim"),
    ]


def _resumable(row: Row) -> bool:
    return not row.damage and (row.status == "suspended" or (row.status == "running" and not row.alive))


def _status(row: Row) -> Cell:
    if row.damage:
        return "damaged", STYLES["failed"]
    if row.status == "running" and not row.alive:
        return "engine lost", STYLES["suspended"]
    return words(row.status), STYLES.get(row.status, "")


def _note(row: Row) -> str:
    if row.damage:
        return visible(row.damage)
    notes = [f"{row.failed:,} failed" if row.failed else "", f"{row.reused:,} reused" if row.reused else ""]
    notes.append(f"from {visible(row.origin)}" if row.origin else "")
    return ", ".join(filter(None, notes))


def moment(at: float) -> str:
    """An instant in local time, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
