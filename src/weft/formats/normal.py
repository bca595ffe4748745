"""A workflow file in its normal spelling: one name for each key, one order of keys, spaces for tabs. What `weft fmt` does.

- The text is edited where something stands, never written anew from values: comments, quotes, styles and line breaks stay.
- What cannot be moved safely stays where it is. Whoever calls this loads the file before and after, and compares (`same`).
- Applied twice it changes nothing the second time.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from weft.formats import Budgets, Loaded, is_json, load
from weft.formats.document import Document, Span, Wanted
from weft.formats.tabs import spaces_for_tabs
from weft.formats.text import TAB, Text, decode
from weft.model import spec
from weft.model.keys import Keys
from weft.model.shape import Either, ListOf, MapOf, Record, Shape
from weft.model.workflow import Value

if TYPE_CHECKING:
    from weft.formats.flows import Read

_ALIAS: Final = re.compile(r"\s*:\s*(\*[^\s,\[\]{}]+)")
_ANCHOR: Final = re.compile(r"&[^\s,\[\]{}]+\s*")
_NAMED: Final = re.compile(r"(?<![^\s\[{,:])([&*])([^\s,\[\]{}]+)")
"""What may be an anchor or an alias. In a script it is something else; then something stays that could have been moved."""
_KEPT: Final = re.compile(r"[|>](?:[1-9]?\+|\+[1-9]?)")
"""The head of a block that keeps the empty lines after it: they belong to its value."""


def normal(data: bytes, name: str, budgets: Budgets, read: "Read | None" = None) -> bytes:
    """The normal form of a workflow in the native format that loads without a problem; of any other JSON its pretty form.
    `read` is that of `load`."""
    loaded = load(data, name, budgets=budgets, read=read)
    assert loaded.workflow is not None, "only files without problems have a normal form"
    for moves in (True, False):  # if moving keys spoils something after all, the rest is still worth having
        text = _normal(data, name, budgets, native=loaded.format == "native", moves=moves)
        if same(loaded, load(text, name, budgets=budgets, read=read)):
            return text
    return data


def same(one: Loaded, other: Loaded) -> bool:
    """Whether two files say the same."""
    return one.workflow is not None and one.workflow == other.workflow


def _normal(data: bytes, name: str, budgets: Budgets, *, native: bool, moves: bool) -> bytes:
    if is_json(data, name):
        import msgspec

        text = data.removeprefix(b"\xef\xbb\xbf").decode()
        text = _edited(text, _document(text, name, budgets), moves=moves) if native else text
        return msgspec.json.format(text.encode(), indent=2) + b"\n"
    source = decode(data, name)
    assert isinstance(source, Text)
    text = source.text.replace("\r\n", "\n")
    text = spaces_for_tabs(Text(name, text))[0].text
    text = _tidy(text, _document(text, name, budgets))
    if native and (edited := _edited(text, _document(text, name, budgets), moves=moves)) != text:
        text = _tidy(edited, _document(edited, name, budgets))  # empty lines at the end of a text may stand elsewhere now
    return text.encode()


def _document(text: str, name: str, budgets: Budgets) -> Document:
    """The document of a text that is known to be sound."""
    if is_json(text.encode(), name):
        from weft.formats.json_source import read_json

        document, problems = read_json(text.encode(), name, budgets.depth_max)
    else:
        from weft.formats.yaml_source import read_yaml

        document, problems = read_yaml(text.encode(), name, budgets.depth_max, budgets.alias_nodes_max)
    assert document is not None, problems
    return document


def _spans(document: Document) -> Span:
    everything = Wanted()
    everything.all = True
    return document.spans(everything)


# ---- white space ----


def _tidy(text: str, document: Document) -> str:
    """Without white space at the ends of lines, tabs before comments, and empty lines at the end; texts of values stay."""
    within: set[int] = set()  # lines whose end belongs to a value
    _lines_within([found.start() for found in re.finditer("\n", text)], _spans(document), within)
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if number not in within:
            rest = line.lstrip("\t")
            lines[number] = (TAB * (len(line) - len(rest)) + rest).rstrip() if rest.startswith("#") else line.rstrip()
    while len(lines) > 1 and not lines[-1] and not lines[-2] and len(lines) - 2 not in within:
        lines.pop()
    return "\n".join(lines) + ("" if not lines[-1] else "\n")


def _lines_within(ends: list[int], span: Span, within: set[int]) -> None:
    """`ends`: where the lines of the text end."""
    if span.inside:
        for inner in span.inside.values():
            _lines_within(ends, inner, within)
    else:
        within.update(range(bisect_left(ends, span.start), bisect_left(ends, span.end)))


# ---- edits ----


class Piece(NamedTuple):
    """A part of the text with the edits inside it."""

    start: int
    end: int
    edits: Sequence["Edit"]


class Edit(NamedTuple):
    """What replaces text[start:end]: a new text, or pieces with what stands between them."""

    start: int
    end: int
    parts: Sequence["str | Piece"]


def _edited(text: str, document: Document, *, moves: bool) -> str:
    editor = _Editor(text, moves)
    edits = editor.value(document.value, _spans(document), Record("workflow"))
    return _apply(text, Piece(0, len(text), edits))


def _apply(text: str, piece: Piece) -> str:
    parts, position = [], piece.start
    for edit in sorted(piece.edits, key=lambda edit: edit.start):
        parts.append(text[position : edit.start])
        parts += [part if isinstance(part, str) else _apply(text, part) for part in edit.parts]
        position = edit.end
    return "".join([*parts, text[position : piece.end]])


class _Entry(NamedTuple):
    """A key with its value: `end` is behind the last character of the value, `rank` its place in the order of the table."""

    key_start: int
    end: int
    rank: int
    edits: list[Edit]


class _Editor:
    def __init__(self, text: str, moves: bool) -> None:
        self.text, self.moves = text, moves

    def value(self, value: Value, span: Span, shape: Shape) -> list[Edit]:
        """The edits of a value that is known to fit the shape."""
        if isinstance(shape, Either):
            kinds = (MapOf, Record) if isinstance(value, dict) else ListOf
            fitting = [option for option in shape.options if isinstance(option, kinds)]
            return self.value(value, span, fitting[0]) if fitting else []
        if isinstance(shape, Record) and isinstance(value, dict):
            return self._record(value, span, spec.RECORDS[shape.name])
        if isinstance(shape, MapOf) and isinstance(value, dict):
            items: list[tuple[Value, Any]] = [(item, span.inside[key]) for key, item in value.items()]
            return self._all(items, span, shape.item)
        if isinstance(shape, ListOf) and isinstance(value, list):
            return self._all([(item, span.inside[n]) for n, item in enumerate(value)], span, shape.item)
        return []

    def _all(self, items: list[tuple[Value, Span]], outer: Span, shape: Shape) -> list[Edit]:
        return [edit for item, span in items if _within(span, outer) for edit in self.value(item, span, shape)]

    def _record(self, value: dict[str, Value], span: Span, record: Keys) -> list[Edit]:
        table = {spelling: n for n, key in enumerate(record.keys) for spelling in (key.name, *key.spellings)}
        entries: list[_Entry] = []
        for written, item in value.items():
            inner, key = span.inside[written], record.keys[table[written]]
            edits = []
            if written != key.name:
                raw = self.text[inner.key_start : inner.key_end]
                edits.append(Edit(inner.key_start, inner.key_end, [raw.replace(written, key.name)]))
            if _within(inner, span):
                edits += self.value(item, inner, key.shape)
            entries.append(_Entry(inner.key_start, self._end(inner, span), table[written], edits))
        flat = [edit for entry in entries for edit in entry.edits]
        wanted = sorted(entries, key=lambda entry: entry.rank)
        if not self.moves or wanted == entries or any(entry.end < 0 for entry in entries) or self._tied(entries):
            return flat
        order = [entries.index(entry) for entry in wanted]
        flow = self.text[self._body(span)] == "{"
        moved = self._flow(entries, order) if flow else self._block(entries, order, root=record is _ROOT)
        return flat if moved is None else [moved]

    def _end(self, span: Span, outer: Span) -> int:
        """Where a value really ends: libyaml's end of a block lies behind the comments that follow it. -1: it is not known."""
        if not _within(span, outer):
            alias = _ALIAS.match(self.text, span.key_end)
            return alias.end() if alias else -1
        raw = self.text[span.start : span.end]
        if not span.inside:
            return -1 if _KEPT.match(raw) else max(span.key_end, span.start + len(raw.rstrip()))
        if self.text[span.end - 1 : span.end] in ("}", "]") and self.text[self._body(span)] in "{[":
            return span.end
        ends = [self._end(inner, span) for inner in span.inside.values()]
        return -1 if -1 in ends else max(ends)

    def _body(self, span: Span) -> int:
        anchor = _ANCHOR.match(self.text, span.start)
        return anchor.end() if anchor else span.start

    def _tied(self, entries: list[_Entry]) -> bool:
        """Whether one entry may refer to an anchor in another one."""
        names = [_NAMED.findall(self.text, entry.key_start, entry.end) for entry in entries]
        anchors = [{name for sign, name in found if sign == "&"} for found in names]
        aliases = [{name for sign, name in found if sign == "*"} for found in names]
        return any(anchors[i] & aliases[j] for i in range(len(entries)) for j in range(len(entries)) if i != j)

    # ---- moving ----

    def _flow(self, entries: list[_Entry], order: list[int]) -> Edit | None:
        """`{ b: 1, a: 2 }`: the entries change places, what separates them stays."""
        gaps = [self.text[before.end : after.key_start] for before, after in pairwise(entries)]
        if any(gap.strip() != "," for gap in gaps):
            return None  # a comment, or a closing quote that is not where it is thought to be
        parts: list[str | Piece] = []
        for n, gap in zip(order, [*gaps, ""], strict=True):
            parts += [Piece(entries[n].key_start, entries[n].end, entries[n].edits), gap]
        return Edit(entries[0].key_start, entries[-1].end, parts)

    def _block(self, entries: list[_Entry], order: list[int], *, root: bool) -> Edit | None:
        """Whole lines change places. Comments right above a key, and deeper ones right below its value, go with it."""
        column = entries[0].key_start - self._line(entries[0].key_start)
        prefix = self.text[self._line(entries[0].key_start) : entries[0].key_start]
        if not re.fullmatch(r" *(- +)?", prefix):
            return None
        chunks: list[tuple[int, int]] = []
        for n, entry in enumerate(entries):
            start = self._line(entry.key_start)
            if n and self.text[start : entry.key_start] != " " * column:
                return None
            lead = start if (root and not n) or "-" in self.text[start : entry.key_start] else self._lead(start, column)
            chunks.append((lead, self._trail(entry.end, column)))
        if any(before[1] > after[0] for before, after in pairwise(chunks)):
            return None
        new = order[0]
        if prefix.strip() and chunks[new][0] != self._line(entries[new].key_start):
            return None  # `- ` would have to stand above a comment
        parts: list[str | Piece] = []
        for slot, n in enumerate(order):
            start, end = chunks[n]
            if prefix.strip() and 0 in (slot, n):
                start = entries[n].key_start
                parts.append(prefix if slot == 0 else " " * column)
            parts.append(Piece(start, end, entries[n].edits))
            if slot + 1 < len(order):
                parts.append(self.text[chunks[slot][1] : chunks[slot + 1][0]])
        return Edit(chunks[0][0], chunks[-1][1], parts)

    def _line(self, position: int) -> int:
        return self.text.rfind("\n", 0, position) + 1

    def _lead(self, start: int, column: int) -> int:
        """The first of the comment lines right above a line."""
        while start:
            above = self._line(start - 1)
            line = self.text[above : start - 1]
            if not line.startswith(" " * column + "#"):
                break
            start = above
        return start

    def _trail(self, end: int, column: int) -> int:
        """Behind the line on which something ends, and behind comments below it that are indented deeper: they belong to it."""
        behind = end = self._next(end)
        while self.text[end : end + 1] in (" ", "#", "\n"):
            line = self.text[end : self._next(end)].rstrip("\n")
            rest = line.lstrip(" ")
            if rest and (rest[0] != "#" or len(line) - len(rest) <= column):
                break
            end = self._next(end)
            behind = end if rest else behind
        return behind

    def _next(self, position: int) -> int:
        found = self.text.find("\n", position)
        return len(self.text) if found < 0 else found + 1


_ROOT: Final = spec.RECORDS["workflow"]


def _within(inner: Span, outer: Span) -> bool:
    """Whether a value stands where it is used. That of an alias stands elsewhere."""
    return outer.start <= inner.start and inner.end <= outer.end and inner.key_end <= inner.start
