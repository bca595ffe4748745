"""`${{ … }}` in data fields: a string that is one whole expression keeps the value's type, others get the value as text.

- `$${{` stands for the text `${{`; nothing else is special.
- What an expression gives is data: it is inserted, and never read as a template again.
- A value without templates comes back as the same object.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

import msgspec

from weft.model.evaluate import NO_STATUS, evaluate
from weft.model.expression import CACHE_MAX, CACHED_CHARS_MAX, Expression, parse
from weft.model.frame import Frame, Scope, Status
from weft.model.tokens import DEPTH_MAX, BudgetExceeded, ExpressionError, find_end
from weft.model.workflow import Value

PARTS_MAX = 2_000
"""Expressions in one string and texts between them. A text with so many holes is a document, to be made by a step."""

_OPENING = re.compile(r"\$?\$\{\{")


class Template(msgspec.Struct, frozen=True):
    """`parts`: texts (unescaped) and expressions in order. `offsets`: where each part's text begins in the string, in characters.

    `whole` is set when the string is one `${{ }}` and nothing else.
    """

    parts: tuple[str | Expression, ...]
    offsets: tuple[int, ...]
    whole: Expression | None


def has_template(text: str) -> bool:
    """Whether the text holds `${{` at all, escaped or not; without it, the text stands for itself."""
    return "${{" in text


def find(text: str) -> int:
    """Offset of the first `${{` that is not escaped, or -1. For code, in which there may be none."""
    return next((found.start() for found in _OPENING.finditer(text) if len(found[0]) == 3), -1)


def literal(text: str) -> str:
    """The text with `$${{` turned into `${{`. For code, in which nothing else is special."""
    return text.replace("$${{", "${{")


def parse_template(text: str) -> Template:
    """Parse a string. Raises ExpressionError with the place in the string."""
    return _parse_cached(text) if len(text) <= CACHED_CHARS_MAX else _parse(text)


def _parse(text: str) -> Template:
    parts: list[str | Expression] = []
    offsets: list[int] = []
    done = at = 0
    while found := _OPENING.search(text, at):
        at = found.end()
        if len(found[0]) == 4:
            continue
        if len(parts) >= PARTS_MAX:
            raise BudgetExceeded(f"the string has more than {PARTS_MAX:,} parts", found.start(), 3, "make the text in a step")
        end = find_end(text, at)
        inner = text[at:end]
        offset = at + len(inner) - len(inner.lstrip())
        if done < found.start():
            parts.append(literal(text[done : found.start()]))
            offsets.append(done)
        try:
            parts.append(parse(inner.strip()))
        except ExpressionError as error:
            error.offset += offset
            raise
        offsets.append(offset)
        done = at = end + 2
    if done < len(text):
        parts.append(literal(text[done:]))
        offsets.append(done)
    whole = parts[0] if len(parts) == 1 and isinstance(parts[0], Expression) else None
    return Template(tuple(parts), tuple(offsets), whole)


_parse_cached = lru_cache(CACHE_MAX)(_parse)


def resolve(value: Value, scope: Scope, status: Status = NO_STATUS) -> Value:
    """The value with every template in it replaced, deep in lists and mappings; keys stay as they are.

    Raises ExpressionError with the place in the string, and in `path` the way to that string.
    """
    return _resolve(value, scope, status, 0)


def _resolve(value: Value, scope: Scope, status: Status, depth: int) -> Value:
    kind = type(value)
    if kind is str:
        return _fill(parse_template(value), scope, status) if "${{" in value else value
    if kind is not list and kind is not dict:
        return value
    if depth > DEPTH_MAX:
        raise BudgetExceeded(f"the value is nested deeper than {DEPTH_MAX} levels")
    changed: dict[str | int, Value] = {}
    for key, item in enumerate(value) if kind is list else value.items():
        try:
            new = _resolve(item, scope, status, depth + 1)
        except ExpressionError as error:
            error.path = (key, *error.path)
            raise
        if new is not item:
            changed[key] = new
    if not changed:
        return value
    return [changed.get(n, item) for n, item in enumerate(value)] if kind is list else {**value, **changed}


def _fill(template: Template, scope: Scope, status: Status) -> Value:
    texts: list[str] = []
    frame = Frame(scope, status)  # all insertions together may be as long as one text
    chars = 0
    for part, offset in zip(template.parts, template.offsets, strict=True):
        if isinstance(part, str):
            texts.append(part)
            continue
        try:
            value = evaluate(part, scope, status)
            if template.whole:
                return value
            frame.offset, frame.length = 0, len(part.text)
            texts.append(frame.text(value))
            chars += len(texts[-1])
            frame.fit(chars)
        except ExpressionError as error:
            error.offset += offset
            raise
    return "".join(texts)


def expressions(value: Value) -> Iterator[tuple[tuple[str | int, ...], int, Expression]]:
    """Every expression in a value: the path to its string, the offset of its text in that string, and itself.

    Raises ExpressionError at the first that is wrong, with its `path`.
    """
    for path, text in strings(value):
        try:
            template = parse_template(text)
        except ExpressionError as error:
            error.path = path
            raise
        for part, offset in zip(template.parts, template.offsets, strict=True):
            if isinstance(part, Expression):
                yield path, offset, part


def strings(value: Value) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every string in a value that holds a template, with the path to it, in order."""
    todo: list[tuple[tuple[str | int, ...], Value]] = [((), value)]
    while todo:
        path, item = todo.pop()
        if isinstance(item, str):
            if has_template(item):
                yield path, item
        elif isinstance(item, dict):
            todo.extend(((*path, key), below) for key, below in reversed(item.items()))
        elif isinstance(item, list):
            todo.extend(((*path, n), item[n]) for n in reversed(range(len(item))))
