"""What a run would reuse, as far as it can be known before."""

from collections.abc import Sequence
from typing import Final

import msgspec

from weft.views.text import Cell, Paint, names, plural, table, visible

ROWS_MAX: Final = 40
NAMES_WIDTH: Final = 60


class Foretold(msgspec.Struct, kw_only=True):
    """What becomes of a step with `reuse`, by its path in the files; of a fan-out: of so many instances, as far as is known.

    `reused` from the run `run`; `runs`, and why (`why`, of the first); `waits`: on the steps `on` depends what becomes of it.
    `left`: it has nothing to do.
    """

    step: str
    reused: int = 0
    runs: int = 0
    waits: int = 0
    left: int = 0
    run: str = ""
    why: str = ""
    on: tuple[str, ...] = ()


def render(foretold: Sequence[Foretold], *, color: bool, width: int) -> str:
    """A line for each step, the first ROWS_MAX of them; empty if there is none."""
    rows: list[list[Cell]] = [
        [("reuse".ljust(13), "dim") if not n else "", visible(of.step), _words(of)] for n, of in enumerate(foretold)
    ]
    lines = table(rows[:ROWS_MAX], Paint(color), width, keep=(0, 1))
    more = len(rows) - ROWS_MAX
    return "\n".join([*lines, *([f"{'':15}… and {plural(more, 'more step')}"] if more > 0 else [])])


def unknown(required: Sequence[str]) -> str:
    """In place of these lines, where inputs are not known."""
    return f"{'reuse':13}  depends on {names(required, NAMES_WIDTH)}: weft run FILE {visible(required[0])}=… -n"


def _words(of: Foretold) -> str:
    """`2 as in run movoj-abiju, 1 runs: …`."""
    alone = of.reused + of.runs + of.waits + of.left == 1
    parts = []
    if of.reused:
        parts.append(f"{'' if alone else f'{of.reused:,} '}as in run {visible(of.run)}")
    if of.waits:
        on = f"depends on {names(of.on, NAMES_WIDTH)}" if of.on else "not known yet"
        parts.append(on if alone else f"{of.waits:,} {on}")
    if of.left:
        parts.append("nothing to do" if alone else f"{of.left:,} with nothing to do")
    if of.runs:
        parts.append(f"{'' if alone else f'{of.runs:,} '}runs: {visible(of.why)}")
    return ", ".join(parts)
