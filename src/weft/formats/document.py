"""What a reader of text hands to a loader of a format: a plain value, and a way to find the place of anything in it.

Loaders speak of paths. Places are looked up only when there is something to say, for all paths at once, in a second pass over
the text: a file without a problem pays nothing for them.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias

from weft.formats import PROBLEMS_MAX
from weft.formats.text import Text
from weft.model.problem import Place, Problem, Second
from weft.model.suggest import did_you_mean
from weft.model.workflow import Value

SUGGESTIONS_MAX = 20
"""Each may compare a name with every id of a large file, which takes up to a tenth of a second."""

Path: TypeAlias = tuple[str | int, ...]


class Where(NamedTuple):
    """A value in the document, or the key it stands under; for a text, a part of it (in characters of the value)."""

    path: Path
    part: Literal["value", "key"] = "value"
    offset: int = -1
    length: int = 1

    def key(self) -> "Where":
        return self._replace(part="key")


class Span(NamedTuple):
    """Where a value stands in the text, where its key does (0 to 0: it has none), and the spans inside it that were wanted."""

    start: int
    end: int
    key_start: int
    key_end: int
    inside: dict[str | int, "Span"]


class Wanted(dict[str | int, "Wanted"]):
    """Which paths a scan shall find, as a tree. With `all`, everything below as well."""

    all = False

    def inner(self, key: str | int) -> "Wanted | None":
        return self if self.all else self.get(key)


class Document:
    """`value` is plain data. `scan` goes over the text once more and finds the wanted spans."""

    def __init__(self, text: Callable[[], Text], value: Value, scan: Callable[[str, Wanted], Span]) -> None:
        self.value, self._text, self._scan = value, text, scan

    @property
    def text(self) -> str:
        """The text of the file, read once more."""
        return self._text().text

    def spans(self, wanted: Wanted) -> Span:
        """Where the wanted values stand in the text."""
        return self._scan(self._text().text, wanted)

    def places(self, wheres: Sequence[Where]) -> list[Place]:
        """The places, in the same order. For what is not in the document, that of the value it should be in."""
        wanted = Wanted()
        for where in wheres:
            node = wanted
            for key in where.path:
                node = node.setdefault(key, Wanted())
        text = self._text()
        root = self._scan(text.text, wanted)
        return [_place(text, root, where) for where in wheres]


def _place(text: Text, span: Span, where: Where) -> Place:
    part = where.part
    for key in where.path:
        if key not in span.inside:
            part = "key" if span.key_end > span.key_start else "value"
            break
        span = span.inside[key]
    if part == "key" and span.key_end > span.key_start:
        return text.place(span.key_start, span.key_end)
    if where.offset >= 0:
        start = span.start + _offset(text.text[span.start : span.end], where.offset)
        if start >= span.start:
            return text.place(start, start + where.length)
    return text.place(span.start, span.end)


_ATOMS = {
    '"': re.compile(r"\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|U[0-9a-fA-F]{8}|.)|.", re.S),
    "'": re.compile(r"''|.", re.S),
}


def _offset(raw: str, offset: int) -> int:
    """Where in its source (with quotes and escapes, or a block) the character `offset` of a text stands; below 0: not known."""
    if raw[:1] == "|":
        lines = raw.split("\n")
        # The first line that is not blank tells the indentation, as in YAML itself.
        indent = next((len(line) - len(line.lstrip(" ")) for line in lines[1:] if line.strip()), 0)
        position = len(lines[0]) + 1
        for line in lines[1:]:
            content = max(0, len(line) - indent) + 1
            if offset < content:
                return position + len(line) + 1 - content + offset
            offset -= content
            position += len(line) + 1
        return -1
    if "\n" in raw or raw[:1] == ">":
        return -1  # folded: there is no simple rule
    atom = _ATOMS.get(raw[:1])
    if atom is None:
        return offset
    starts = [found.start() for found in atom.finditer(raw, 1, len(raw) - 1)]
    return starts[offset] if offset < len(starts) else len(raw) - 1


class Findings:
    """The problems of one file while they are collected: places come last."""

    def __init__(self) -> None:
        self._found: list[tuple[dict[str, Any], Where, tuple[tuple[Where, str], ...]]] = []
        self.left_out = 0
        """Problems that were not kept."""
        self.count = 0
        """Grows with each error, and with each use of a file that has some."""
        self._seen: set[tuple[str, str, Where]] = set()
        self._suggestions_left = SUGGESTIONS_MAX

    def add(self, code: str, message: str, where: Where, *, seconds: Iterable[tuple[Where, str]] = (), **fields: str) -> None:
        """`fields`: label, hint, severity of a Problem. What has been told of a place is not told again."""
        self.count += fields.get("severity") != "warning"
        if (code, message, where) in self._seen:
            return
        self._seen.add((code, message, where))
        if len(self._found) < PROBLEMS_MAX:
            self._found.append(({"code": code, "message": message, **fields}, where, tuple(seconds)))
        else:
            self.left_out += 1

    def meant(self, name: str, candidates: Iterable[str]) -> str | None:
        """The candidate that was most likely meant. After many questions the answer is always None."""
        self._suggestions_left -= 1
        return did_you_mean(name, candidates) if self._suggestions_left >= 0 else None

    def suggest(self, name: str, candidates: Iterable[str]) -> str:
        """The same as a hint: `did you mean …?`, or nothing."""
        found = self.meant(name, candidates)
        return f"did you mean `{found}`?" if found else ""

    def __bool__(self) -> bool:
        """Whether there is an error."""
        return self.count > 0

    def problems(self, document: Document) -> list[Problem]:
        """All of them, with places, in no special order."""
        if not self._found:
            return []
        wheres = [where for _, where, seconds in self._found for where in (where, *(second for second, _ in seconds))]
        places = iter(document.places(wheres))
        problems = []
        for fields, _, seconds in self._found:
            place = next(places)
            problems.append(Problem(**fields, place=place, seconds=tuple(Second(next(places), label) for _, label in seconds)))
        return problems
