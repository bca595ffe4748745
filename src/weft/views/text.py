"""Small pieces of text for people: harmless, fitted to a width, coloured, in columns.

- What others wrote (ids, errors, outputs) goes through `visible` before it is shown: nothing in it can move a cursor.
- Widths are columns of a terminal, not characters.
- Colour repeats what a word already says. Text is fitted first and painted last, so that no escape is ever cut.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from heapq import nsmallest
from typing import Final, TypeAlias

from weft.model.units import format_rate
from weft.model.workflow import Pool

_CODES: Final = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}

STYLES: Final = {
    "running": "cyan",
    "stopping": "yellow",
    "backing_off": "yellow",
    "held": "blue",
    "interrupted": "yellow",
    "awaiting_approval": "bold yellow",
    "to_approve": "bold yellow",
    "succeeded": "green",
    "reused": "green",
    "succeeded_with_errors": "yellow",
    "failed": "bold red",
    "cancelled": "yellow",
    "suspended": "yellow",
    "skipped": "dim",
    "waiting": "dim",
}
"""The style of each status of a step or a run."""

_COLOR_CODE: Final = re.compile(r"\x1b\[[0-9;:]*m")
_JOINERS: Final = "\u200c\u200d"
"""Harmless characters of width 0 that are not `printable`, and that whole scripts and emoji need."""


def visible(text: str) -> str:
    """Text on one line in which nothing is left that a terminal would obey.

    Colours are dropped, tabs become a space; every other control, format or unassigned character is shown by its escape.
    """
    if text.isprintable():
        return text
    text = _COLOR_CODE.sub("", text).replace("\t", " ")
    return "".join(c if c.isprintable() or c in _JOINERS else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return "␤" if character == "\n" else ascii(character)[1:-1]


def last_lines(text: str, lines_max: int) -> list[str]:
    """The last lines of what a program wrote, each made visible; of a line written over by `\\r` its last state."""
    lines = text.rstrip().split("\n")[-lines_max:] if text.strip() else []
    return [visible(line.rstrip().rpartition("\r")[2].expandtabs()) for line in lines]


def width_of(text: str) -> int:
    """Columns that visible text takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def width_painted(text: str) -> int:
    """Columns that text takes which has been painted."""
    return width_of(_COLOR_CODE.sub("", text))


def _columns(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def fit(text: str, width: int) -> str:
    """Visible text in at most `width` columns; what is cut off the end is replaced by `…`."""
    if width_of(text) <= width:
        return text
    return _head(text, width - 1) + "…" if width > 0 else ""


def fit_name(text: str, width: int) -> str:
    """Like `fit`, but cut in the middle: names in a row tend to differ at the end."""
    if width_of(text) <= width:
        return text
    back = (width - 1) // 2
    return _head(text, width - 1 - back) + "…" + _head(text[::-1], back)[::-1] if width > 0 else ""


def _head(text: str, width: int) -> str:
    if text.isascii():
        return text[:width]
    for at, character in enumerate(text):
        width -= _columns(character)
        if width < 0:
            return text[:at]
    return text


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Visible text filled up to `width` columns; `right` puts the text there."""
    space = " " * (width - width_of(text))
    return space + text if right else text + space


def plural(count: int, noun: str) -> str:
    """`1 step`, `12,345 steps`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def pool_words(pool: Pool) -> str:
    """What a pool allows: `8 slots, 60/min`."""
    words = ["what the machine has"] if pool.auto else [slots_words(pool)] if pool.slots is not None else []
    words += ["shared by all runs here"] if pool.scope == "engine" else []
    words += [format_rate(pool.rate.starts, pool.rate.window_s)] if pool.rate else []
    words += [f"burst {pool.burst}"] if pool.rate and pool.burst > 1 else []
    words += ["adaptive"] if pool.adaptive else []
    words += [f"breaker at {plural(pool.breaker.failures, 'failure')}"] if pool.breaker else []
    return ", ".join(words) + (f", each per {visible(pool.per)}" if pool.per else "")


def slots_words(pool: Pool) -> str:
    """How much a pool of a fixed size has: `8 slots`, `0.5`, `8GiB`."""
    slots = pool.slots or 0
    return pool.shown(slots) if pool.is_bytes or pool.unit > 1 else plural(slots, "slot")


def taken_words(pools: Mapping[str, Pool], taken: Mapping[str, int]) -> list[str]:
    """What a step takes: `database 2`, `mem 8GiB`."""
    return [f"{visible(name)} {pools[name].shown(units) if name in pools else units}" for name, units in taken.items()]


def percent(share: float) -> str:
    """`71%`; what is more than nothing is never shown as 0."""
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


def words(status: str) -> str:
    """A status as words: `succeeded with errors`."""
    return status.replace("_", " ")


def names(ids: Sequence[str], width: int, *, total: int | None = None) -> str:
    """`a, b, c and 12 more` in about `width` columns, at least one name. `ids` may be the first of `total`."""
    total = len(ids) if total is None else total
    shown: list[str] = []
    for id_ in ids:
        name = visible(id_)
        more = total - len(shown) - 1
        reserve = width_of(f" and {more:,} more") if more else 0
        left = width - width_of(", ".join([*shown, ""])) - reserve
        if shown and width_of(name) > left:
            break
        shown.append(fit_name(name, max(left, 8)))
    more = total - len(shown)
    return ", ".join(shown) + (f" and {more:,} more" if more else "")


def chain(parts: Sequence[tuple[str, float]], width: int) -> str:
    """A path of visible texts with their weights as `a → … → c`: as many as fit, the heaviest first (and of equal ones those near
    an end), in their order.

    The text is wider than `width` only if a single part is.
    """
    kept: set[int] = set()
    line = ""
    for i in nsmallest(CHAIN_MAX, range(len(parts)), key=lambda i: (-parts[i][1], min(i, len(parts) - 1 - i))):
        longer = _linked(parts, kept | {i})
        if not line or width_of(longer) <= width:
            kept.add(i)
            line = longer
    return line


CHAIN_MAX: Final = 24
"""Steps of a path that are shown; nobody reads more, and a path may have a hundred thousand."""


def _linked(parts: Sequence[tuple[str, float]], kept: Collection[int]) -> str:
    links, before = [], -1
    for i in sorted(kept):
        links += ["…"] * (i > before + 1) + [parts[i][0]]
        before = i
    return " → ".join(links + ["…"] * (before + 1 < len(parts)))


class Paint:
    """Puts styles (`bold red`) around text, or nothing where colour is not wanted."""

    def __init__(self, color: bool) -> None:
        self.color = color

    def __call__(self, text: str, style: str) -> str:
        if not (self.color and style and text):
            return text
        return f"\x1b[{';'.join(_CODES[word] for word in style.split())}m{text}\x1b[0m"


COLUMN_WIDTH_MIN: Final = 4
"""A narrower column says nothing; on a terminal too narrow even for that, lines may be longer than it."""

Cell: TypeAlias = str | tuple[str, str]
"""Visible text, or text and its style."""


def table(
    rows: Iterable[Sequence[Cell]],
    paint: Paint,
    width: int,
    *,
    head: Sequence[str] = (),
    right: Collection[int] = (),
    keep: Collection[int] = (),
    least: Sequence[int] = (),
    indent: int = 0,
) -> list[str]:
    """Rows in columns two spaces apart; the widest columns, but those of `keep`, give way until it fits.

    A column in which no row says anything is left out, its head too, unless it has a `least` width. `right` are the columns of
    numbers. A name (first column) is cut in its middle, everything else at its end.
    """
    cells = [[cell if isinstance(cell, tuple) else (cell, "") for cell in row] for row in rows]
    columns = [
        c for c in range(max(map(len, cells), default=0)) if c < len(least) or any(row[c][0] for row in cells if c < len(row))
    ]
    cells[:0] = [[(text, "dim") for text in head]] if head else []
    widths = {c: min(max(width_of(row[c][0]) for row in cells if c < len(row)), width) for c in columns}
    widths.update({c: max(widths[c], least[c]) for c in columns if c < len(least)})
    room = width - indent - 2 * (len(widths) - 1)
    giving = [c for c in columns if c not in keep]
    while sum(widths.values()) > room and any(widths[c] > COLUMN_WIDTH_MIN for c in giving):
        widths[max(giving, key=widths.__getitem__)] -= 1
    lines = []
    for row in cells:
        parts = []
        for c in columns:
            text, style = row[c] if c < len(row) else ("", "")
            fitted = fit(text, widths[c]) if c else fit_name(text, widths[c])
            space = " " * (widths[c] - width_of(fitted))
            parts.append(space + paint(fitted, style) if c in right else paint(fitted, style) + space)
        lines.append((" " * indent + "  ".join(parts)).rstrip())
    return lines
