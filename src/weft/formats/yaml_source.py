"""YAML 1.2, core schema, to plain values: `no`, `on` and `yes` are text, and so is every key.

Built from the events of libyaml's parser, one at a time, on a stack of our own: nesting, aliases and duplicate keys are judged
before anything is built from them, so no file can cost more than its budgets allow. Tags, merge keys and a second document
are refused.
"""

import re
from collections.abc import Callable
from typing import Any, NoReturn

from weft.formats.document import Document, Path, Span, Wanted, Where
from weft.formats.tabs import spaces_for_tabs
from weft.formats.text import Text, decode, given_twice
from weft.formats.yaml_errors import syntax_problem
from weft.model.errors import MachineError
from weft.model.problem import Place, Problem
from weft.model.workflow import Value

try:
    from yaml import MarkedYAMLError
    from yaml.cyaml import CParser  # type: ignore[attr-defined]
    from yaml.events import (
        AliasEvent,
        DocumentStartEvent,
        MappingEndEvent,
        MappingStartEvent,
        ScalarEvent,
        SequenceEndEvent,
        SequenceStartEvent,
        StreamEndEvent,
    )
except ImportError as error:  # pragma: no cover
    raise MachineError(
        "PyYAML is installed without libyaml: `pip install --force-reinstall --only-binary :all: pyyaml`"
    ) from error

DIGITS_MAX = 400
"""The largest float has 309. Python refuses to read very long numbers, as their cost grows with the square."""

_FIRST = frozenset("+-.0123456789nNtTfF~")
_WORDS = {"": None, "~": None, **dict.fromkeys(("null", "Null", "NULL"))}
_WORDS |= {**dict.fromkeys(("true", "True", "TRUE"), True), **dict.fromkeys(("false", "False", "FALSE"), False)}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def plain(text: str) -> Value:
    """The value of a plain scalar. Raises ValueError for a number that is too long."""
    if text and text[0] not in _FIRST:
        return text
    if text in _WORDS:
        return _WORDS[text]
    based = _BASED.fullmatch(text)
    if based or _INTEGER.fullmatch(text):
        if len(text) > DIGITS_MAX:
            raise ValueError
        return int(text, 0 if based else 10)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", ""))
    return text


class _Stop(Exception):
    """The problem after which there is no sense in reading on."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem


_IGNORED = object()
"""The key under which values of bad keys are put until their mapping ends."""


class _Open:
    """A collection that has not ended. `nodes` is the count of nodes when it began, `height` how deep it has been so far."""

    __slots__ = ("anchor", "height", "is_map", "key", "nodes", "value")

    def __init__(self, value: Any, anchor: str | None, nodes: int) -> None:
        self.value, self.anchor, self.nodes = value, anchor, nodes
        self.is_map = value.__class__ is dict
        self.key: Any = None  # of the mapping's value that comes next; None: a key comes next
        self.height = 0


class _Builder:
    def __init__(self, text: Text, depth_max: int, alias_nodes_max: int) -> None:
        self.text, self.depth_max, self.alias_nodes_max = text, depth_max, alias_nodes_max
        self.problems: list[Problem] = []
        self.twice: list[tuple[Path, str, Place]] = []
        """Keys seen again: the path of their mapping, the key, the second place."""
        self.stack: list[_Open] = []
        self.anchors: dict[str, tuple[Value, int, int]] = {}  # value, nodes, height
        self.nodes = self.alias_nodes = 0
        self.root: Value = None

    def build(self) -> None:
        """Consume all events. Raises _Stop."""
        next_event: Callable[[], Any] = CParser(self.text.text).get_event
        documents = 0
        while (event := next_event()).__class__ is not StreamEndEvent:
            kind = event.__class__
            if kind is ScalarEvent:
                top = self.stack[-1] if self.stack else None
                if top is not None and top.is_map and top.key is None:
                    top.key = self._key(event, top.value)
                else:
                    self._put(self._scalar(event), event.anchor, 1, 0)
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                self._open(event, {} if kind is MappingStartEvent else [])
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                done = self.stack.pop()
                if done.is_map:
                    done.value.pop(_IGNORED, None)
                self._put(done.value, done.anchor, self.nodes - done.nodes + 1, done.height)
            elif kind is AliasEvent:
                self._alias(event)
            elif kind is DocumentStartEvent:
                documents += 1
                if documents > 1:
                    self._stop("W112", "the file holds more than one document", event, "keep one workflow in one file")
        if not documents:
            hint = "the smallest workflow is `steps: { hello: { run: echo hello } }`"
            raise _Stop(Problem(code="W108", message="the file is empty", place=Place(self.text.file), hint=hint))

    def _put(self, value: Value, anchor: str | None, nodes: int, height: int) -> None:
        if anchor is not None:
            self.anchors[anchor] = (value, nodes, height)
        if not self.stack:
            self.root = value
            return
        top = self.stack[-1]
        if height >= top.height:
            top.height = height + 1
        if not top.is_map:
            top.value.append(value)
        elif top.key is None:
            top.key = _IGNORED  # a collection or an alias as a key; the problem has been reported where it began
        else:
            top.value[top.key] = value
            top.key = None

    def _open(self, event: Any, value: Any) -> None:
        self.nodes += 1
        self._refuse_tag(event)
        self._refuse_as_key(event)
        if len(self.stack) >= self.depth_max:
            self._too_deep(event)
        self.stack.append(_Open(value, event.anchor, self.nodes))

    def _alias(self, event: Any) -> None:
        name = event.anchor
        if any(open_.anchor == name for open_ in self.stack):
            message = f"the alias `*{name}` stands inside what it stands for"
            self._stop("W116", message, event, "a value cannot contain itself: write it out")
        if name not in self.anchors:
            hint = f"put `&{name}` before the value it shall stand for, or quotes around the text"
            self._stop("W116", f"the alias `*{name}` has no anchor", event, hint)
        value, nodes, height = self.anchors[name]
        self._refuse_as_key(event)
        self.nodes += nodes
        self.alias_nodes += nodes
        if self.alias_nodes > self.alias_nodes_max:
            message = f"the aliases of this file stand for more than {self.alias_nodes_max:,} values"
            self._stop("W115", message, event, "write out what you need, or build the file with a program")
        if len(self.stack) + height > self.depth_max:
            self._too_deep(event)
        self._put(value, None, nodes, height)

    def _scalar(self, event: Any) -> Value:
        self.nodes += 1
        self._refuse_tag(event)
        if not event.implicit[0]:
            return event.value
        try:
            return plain(event.value)
        except ValueError:
            self._add("W121", f"this number has more than {DIGITS_MAX} digits", event, "put quotes around it to make it a text")
            return 0

    def _key(self, event: Any, mapping: dict[Any, Value]) -> Any:
        key: str = event.value
        self.nodes += 1
        self._refuse_tag(event)
        if event.anchor is not None:
            self.anchors[event.anchor] = (key, 1, 0)
        if event.implicit[0] and key == "<<":
            hint = "use `defaults:`, or an alias for a whole value: `with: *common`"
            self._add("W118", "merge keys (`<<`) are not part of YAML 1.2", event, hint)
        elif not key:
            self._add("W120", "a key is empty", event, "give it a name, or remove the colon")
        elif key in mapping:
            self.twice.append((self._path(), key, self._place(event)))
        else:
            return key
        return _IGNORED

    def _path(self) -> Path:
        """The path of the innermost open collection."""
        return tuple(open_.key if open_.is_map else len(open_.value) for open_ in self.stack[:-1])

    # ---- problems ----

    def _place(self, event: Any) -> Place:
        return self.text.place(event.start_mark.index, event.end_mark.index)

    def _add(self, code: str, message: str, event: Any, hint: str) -> None:
        self.problems.append(Problem(code=code, message=message, place=self._place(event), hint=hint))

    def _stop(self, code: str, message: str, event: Any, hint: str) -> NoReturn:
        raise _Stop(Problem(code=code, message=message, place=self._place(event), hint=hint))

    def _too_deep(self, event: Any) -> NoReturn:
        hint = "keep deep data in a file of its own that a step reads"
        self._stop("W114", f"the file is nested more than {self.depth_max} levels deep", event, hint)

    def _refuse_tag(self, event: Any) -> None:
        if event.tag is not None:
            hint = "remove it; a text that begins with `!` needs quotes"
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._add("W117", f"the tag `{tag}` is not allowed", event, hint)

    def _refuse_as_key(self, event: Any) -> None:
        if self.stack and self.stack[-1].is_map and self.stack[-1].key is None:
            self._add("W120", "a key must be a text", event, "if this is `${{ … }}` or `{{ … }}`, put it in quotes")


def read_yaml(data: bytes, file: str, depth_max: int, alias_nodes_max: int) -> tuple[Document | None, list[Problem]]:
    """The document (also with problems, where reading on made sense), and what is wrong with the text."""
    text = decode(data, file)
    if isinstance(text, Problem):
        return None, [text]
    text, mixed = spaces_for_tabs(text)
    if mixed:
        return None, [mixed]
    builder = _Builder(text, depth_max, alias_nodes_max)
    try:
        builder.build()
    except _Stop as stop:
        return None, [*builder.problems, stop.problem]
    except MarkedYAMLError as error:
        return None, [*builder.problems, syntax_problem(error, text)]
    document = Document(lambda: text, builder.root, lambda source, wanted: _Scanner(source).scan(wanted))
    return document, builder.problems + _duplicates(document, builder.twice)


def _duplicates(document: Document, twice: list[tuple[Path, str, Place]]) -> list[Problem]:
    if not twice:
        return []
    firsts = document.places([Where((*path, key), "key") for path, key, _ in twice])
    return [given_twice(key, first, place) for (_, key, place), first in zip(twice, firsts, strict=True)]


class _Scanner:
    """The second pass: the same events, known to be sound by now, to spans. Recursive: the depth is known to be small."""

    def __init__(self, text: str) -> None:
        self._next: Callable[[], Any] = CParser(text).get_event
        self._anchors: dict[str, Span] = {}
        self._all = Wanted()
        self._all.all = True

    def scan(self, wanted: Wanted) -> Span:
        self._next(), self._next()  # stream start, document start
        return self._span(self._next(), wanted)

    def _span(self, event: Any, wanted: Wanted | None) -> Span:
        """The span of the node that begins with this event. What is anchored is kept whole: an alias may be wanted later."""
        start, end = event.start_mark.index, event.end_mark.index
        kind = event.__class__
        if kind is AliasEvent:
            return self._anchors.get(event.anchor) or Span(start, end, 0, 0, {})
        if event.anchor is not None:
            wanted = self._all
        inside: dict[str | int, Span] = {}
        if kind is MappingStartEvent:
            end = self._mapping(wanted, inside)
        elif kind is SequenceStartEvent:
            end = self._sequence(wanted, inside)
        span = Span(start, end, 0, 0, inside)
        if event.anchor is not None:
            self._anchors[event.anchor] = span
        return span

    def _sequence(self, wanted: Wanted | None, inside: dict[str | int, Span]) -> int:
        """Fill `inside`. Returns the end."""
        index = 0
        event: Any
        while (event := self._next()).__class__ is not SequenceEndEvent:
            inner = wanted.inner(index) if wanted is not None else None
            span = self._span(event, inner)
            if inner is not None:
                inside[index] = span
            index += 1
        return _end(event)

    def _mapping(self, wanted: Wanted | None, inside: dict[str | int, Span]) -> int:
        """Fill `inside`; of duplicate keys the first counts, as it does for the value. Returns the end."""
        event: Any
        while (event := self._next()).__class__ is not MappingEndEvent:
            start, end = event.start_mark.index, event.end_mark.index
            inner = None
            if event.__class__ is ScalarEvent:
                key = event.value
                inner = wanted.inner(key) if wanted is not None and key not in inside else None
                if event.anchor is not None:
                    self._anchors[event.anchor] = Span(start, end, 0, 0, {})
            else:
                self._span(event, None)
            span = self._span(self._next(), inner)
            if inner is not None:
                inside[key] = span._replace(key_start=start, key_end=end)
        return _end(event)


def _end(event: Any) -> int:
    index: int = event.end_mark.index
    return index
