"""A terminal small enough to read: it understands what the live view may send, and refuses everything else."""

import re

_ITEM = re.compile(r"\x1b\[\?2026[hl]|\x1b\[[0-9;]*m|\x1b\[(?P<up>\d+)A|(?P<erase>\x1b\[J)|(?P<char>[^\x1b])", re.DOTALL)


class Terminal:
    """`scrolled` holds the lines that left at the top, `screen` those that are shown."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self.scrolled: list[str] = []
        self.screen = [""]
        self.row = 0
        self.column = 0

    def feed(self, text: str) -> None:
        at = 0
        while at < len(text):
            found = _ITEM.match(text, at)
            assert found, f"not understood: {text[at : at + 20]!r}"
            at = found.end()
            if found["up"]:
                self.row = max(0, self.row - int(found["up"]))
            elif found["erase"]:
                del self.screen[self.row + 1 :]
                self.screen[self.row] = self.screen[self.row][: self.column]
            elif found["char"]:
                self._put(found["char"])

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self._down()
        else:
            if self.column == self.width:
                self._down()
            line = self.screen[self.row].ljust(self.column)
            self.screen[self.row] = line[: self.column] + character + line[self.column + 1 :]
            self.column += 1

    def _down(self) -> None:
        self.column = 0
        self.row += 1
        if self.row == len(self.screen):
            self.screen.append("")
        if self.row == self.height:
            self.scrolled.append(self.screen.pop(0))
            self.row -= 1

    @property
    def text(self) -> str:
        """All that was ever shown and still is, from the first line on."""
        return "\n".join(line.rstrip() for line in [*self.scrolled, *self.screen])
