"""The view for a terminal: what has happened scrolls by and stays, what is happening is redrawn below it.

- Never full screen, and no mode is set that a kill would leave behind: the cursor goes up and the rows are written over.
- Redrawn when something changed, at most REDRAWS_PER_S; when only time passes, once a second; never for a terminal that does not
  take it (Ctrl-S). Written by hand: a frame costs a tenth of what a library asks for (docs/decisions/terminal-by-hand.md).
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Final

from weft.core.facts import Fact
from weft.views.alarm import Alarm, Later, on_loop
from weft.views.outlet import Outlet
from weft.views.scene import Scene
from weft.views.story import Story
from weft.views.text import Paint, width_painted

REDRAWS_PER_S: Final = 4
"""The eye reads no more of it."""

TICK_S: Final = 1.0
"""How often the times of what runs move on."""

ABOVE_LINES_MAX: Final = 1_000
"""Lines that wait to scroll by; of more, which only a stopped terminal leaves waiting, the oldest go."""

TAIL_LINES_MAX: Final = 5
"""Lines of what a failed step said last: the summary has more."""

_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
"""Draw at once what stands between (synchronized output); terminals that do not know it ignore it."""


class Live:
    """An Observer for a terminal that can move its cursor."""

    def __init__(
        self, stream: IO[str], *, color: bool, clock: Callable[[], float] = time.monotonic, later: Later = on_loop
    ) -> None:
        self._outlet = Outlet(stream)
        self._clock = clock
        self._paint = Paint(color)
        self._story = Story(self._paint, clock, as_log=False, tail_lines=TAIL_LINES_MAX)
        self._scene = Scene()
        self._above: deque[str] = deque(maxlen=ABOVE_LINES_MAX)
        self._rows: list[str] = []
        self._widths: list[int] = []
        self._alarm = Alarm(self._draw, clock, later)
        self._drawn_at = clock()

    def recall(self, facts: Iterable[Fact]) -> None:
        """Facts of earlier engines of the run: taken in, not shown."""
        for fact in facts:
            self._scene.see(fact)
            self._story.recall((fact,))

    def see(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            self._scene.see(fact)
        self._above += self._story.tell(facts)
        self._alarm.set(self._drawn_at + 1 / REDRAWS_PER_S)

    def say(self, text: str) -> None:
        """Something for the user that is no fact."""
        self._above.append(text)
        self._alarm.set(self._clock())

    def close(self) -> None:
        """Take the rows away and leave what has scrolled by."""
        self._alarm.cancel()
        self._write([])
        self._outlet.close()

    def _draw(self) -> None:
        self._drawn_at = self._clock()
        if self._outlet.ready() and self._scene.state.created:
            width, height = self._outlet.size()
            now, below = self._story.now(), height - 1  # the cursor stays on the line after the rows
            rows = self._scene.rows(now, self._story.elapsed_s(now), width - 1, below, self._paint) if below else []
            self._write(rows)
        if not self._outlet.dead and (self._above or self._scene.ticks):
            self._alarm.set(self._drawn_at + TICK_S)

    def _write(self, rows: list[str]) -> None:
        """Replace the rows on the screen, letting what waits scroll by above them."""
        if rows == self._rows and not self._above:
            return
        width, height = self._outlet.size()
        # a terminal that became narrower has broken the old rows; in one that does not do so, some lines above are written over
        lines_up = min(sum(max(1, -(-taken // width)) for taken in self._widths), height - 1)
        up = f"\x1b[{lines_up}A" if lines_up else ""
        text = "".join(f"{line}\n" for line in (*self._above, *rows))
        self._above.clear()
        self._rows, self._widths = rows, [width_painted(row) for row in rows]
        self._outlet.write(f"{_BEGIN}\r{up}\x1b[J{text}{_END}")
