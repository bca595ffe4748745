"""Problems for people, with the lines they are about, and for programs, as JSON.

What a file contains is shown, never obeyed: control characters, escapes and invisible characters are made visible, and a caret
stands under its character whatever the widths of those before it.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from weft.model.problem import Place, Problem

LINE_COLUMNS_MAX = 110
"""Columns of a source line that are shown; a longer one is cut to a window around the caret."""

BEFORE_CARET_COLUMNS = 40
TAB_COLUMNS = 4

_RED, _YELLOW, _BLUE, _BOLD, _RESET = "\x1b[1;31m", "\x1b[1;33m", "\x1b[1;34m", "\x1b[1m", "\x1b[0m"


def render(problems: Sequence[Problem], sources: Mapping[str, bytes | str], color: bool = False) -> str:
    """All problems in the order given, and a line that counts them; empty if there are none.

    `sources` maps file names, as places tell them, to content; a file that is not there is only named.
    """
    if not problems:
        return ""
    view = _View(sources, color)
    return "\n".join([*map(view.problem, problems), view.count(problems)]) + "\n"


def as_json(problems: Iterable[Problem]) -> str:
    """A JSON list, one object for each problem."""
    return msgspec.json.encode(list(problems)).decode()


class _View:
    def __init__(self, sources: Mapping[str, bytes | str], color: bool) -> None:
        self._sources, self._color = sources, color
        self._lines: dict[str, list[str]] = {}

    def problem(self, problem: Problem) -> str:
        tone = _RED if problem.severity == "error" else _YELLOW
        places = [(problem.place, problem.label, "^", tone), *((s.place, s.label, "-", _BLUE) for s in problem.seconds)]
        margin = " " * max(len(str(place.line)) for place, *_ in places)
        head = self._paint(f"{problem.severity}[{problem.code}]", tone)
        out = [f"{head}{self._paint(': ' + visible(problem.message), _BOLD)}"]
        for number, (place, label, mark, paint) in enumerate(places):
            out.append(f"{margin}{self._paint(':::' if number else '-->', _BLUE)} {_address(place)}")
            out += self._snippet(place, label, mark, paint, margin)
        if problem.hint:
            out.append(f"{margin} {self._paint('=', _BLUE)} {self._paint('hint', _BOLD)}: {visible(problem.hint)}")
        return "\n".join(out) + "\n"

    def count(self, problems: Sequence[Problem]) -> str:
        """`2 errors in a.yaml`, and where to read more."""
        errors = sum(problem.severity == "error" for problem in problems)
        counts = [f"{n} {word}{'s' * (n > 1)}" for n, word in ((errors, "error"), (len(problems) - errors, "warning")) if n]
        files = ", ".join(dict.fromkeys(visible(problem.place.file) for problem in problems))
        return f"{' and '.join(counts)} in {files}; `weft explain {problems[0].code}` says more"

    def _snippet(self, place: Place, label: str, mark: str, tone: str, margin: str) -> list[str]:
        lines = self._source(place.file)
        bar = self._paint("|", _BLUE)
        label = f" {visible(label)}" if label else ""
        if not 0 < place.line <= len(lines):
            return [f"{margin} {bar}{label}"] if label else []
        text, start, length = window(lines[place.line - 1].rstrip("\r"), place.column, place.length)
        number = self._paint(f"{place.line:>{len(margin)}} |", _BLUE)
        caret = self._paint(mark * length + label, tone)
        return [f"{margin} {bar}", f"{number} {text}".rstrip(), f"{margin} {bar} {' ' * start}{caret}"]

    def _source(self, file: str) -> list[str]:
        if file not in self._lines:
            source = self._sources.get(file, "")
            text = source.decode("utf-8-sig", "replace") if isinstance(source, bytes) else source
            self._lines[file] = text.split("\n") if text else []
        return self._lines[file]

    def _paint(self, text: str, tone: str) -> str:
        return f"{tone}{text}{_RESET}" if self._color else text


def _address(place: Place) -> str:
    return visible(place.file) + (f":{place.line}:{place.column}" if place.line else "")


def visible(text: str) -> str:
    """The text with nothing in it that a terminal would obey or hide."""
    return text if text.isascii() and text.isprintable() else "".join(_piece(char)[0] for char in text)


def window(line: str, column: int, length: int) -> tuple[str, int, int]:
    """A line as it is shown, and the caret under it: columns before it, and its length. `column` counts characters from 1."""
    caret = min(max(column - 1, 0), len(line))
    left_out = max(0, caret - LINE_COLUMNS_MAX)  # lines may have millions of characters
    part = line[left_out : caret + LINE_COLUMNS_MAX]
    caret -= left_out
    pieces = [_piece(char) for char in part]
    starts = [0]
    for _, width in pieces:
        starts.append(starts[-1] + width)
    first, last = 0, len(pieces)
    if starts[-1] > LINE_COLUMNS_MAX:
        while starts[caret] - starts[first] > BEFORE_CARET_COLUMNS:
            first += 1
        while starts[last] - starts[first] > LINE_COLUMNS_MAX:
            last -= 1
    lead, trail = "…" * (left_out + first > 0), "…" * (left_out + last < len(line))
    text = lead + "".join(piece for piece, _ in pieces[first:last]) + trail
    return text, len(lead) + starts[caret] - starts[first], max(1, starts[min(caret + length, last)] - starts[caret])


def _piece(char: str) -> tuple[str, int]:
    """A character as it is shown, and how many columns that takes."""
    if " " <= char <= "~":
        return char, 1
    if char == "\t":
        return " " * TAB_COLUMNS, TAB_COLUMNS
    if char < " " or char == "\x7f":
        return chr(0x2421 if char == "\x7f" else 0x2400 + ord(char)), 1
    import unicodedata

    if not char.isprintable() and char != "\u3000":  # separators, directions, private and unassigned characters
        escape = f"\\u{ord(char):04x}"
        return escape, len(escape)
    if unicodedata.combining(char):
        return char, 0
    return char, 2 if unicodedata.east_asian_width(char) in "WF" else 1
