"""Lua text to a document: the file is a program, so somebody outside evaluates it, confined, and hands over what it holds.

A value of a program has no place. The places of problems are looked for in the text: a key where it is assigned to (`name = {`,
`["name"] =`), first within what was found for the key around it. For files written by hand that is the right line.
"""

import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from weft.formats.document import Document, Span, Wanted
from weft.formats.text import Text, decode
from weft.model.problem import Place, Problem

Evaluate = Callable[[str], Mapping[str, Any]]
"""From Lua text to `workflow`, the value of that global, or `error`, one line, or `missing`: there is no Lua here."""

_WORKFLOW = re.compile(r"^[ \t]*workflow[ \t]*=[ \t]*(?:\{|$)", re.M)
_QUOTED = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'")
_LINE = re.compile(r"(?:file|\[string .*?\]):(\d+): (.*)", re.S)


def recognises_text(data: bytes, name: str) -> bool:
    """Whether this is Lua: by the ending of the name, else by an assignment to `workflow`, which neither YAML nor JSON has."""
    lower = name.lower()
    if lower.endswith((".json", ".yaml", ".yml", ".xz")):
        return False
    return lower.endswith(".lua") or bool(_WORKFLOW.search(data[: 64 << 10].decode("utf-8", "replace")))


def read_lua(data: bytes, name: str, evaluate: Evaluate | None) -> tuple[Document | None, list[Problem]]:
    """The table `workflow` under that key, as in JSON, or what is wrong with the text."""
    text = decode(data, name)
    if isinstance(text, Problem):
        return None, [text]
    answer = evaluate(text.text) if evaluate else {"missing": True}
    if answer.get("missing"):
        hint = "pip install 'weft[lua]'"
        return None, [
            Problem(code="W601", message="a Lua file is a program, and Lua is not installed", place=Place(name), hint=hint)
        ]
    if "error" in answer:
        return None, [_failed(text, str(answer["error"]))]
    return Document(lambda: text, {"workflow": answer.get("workflow")}, _scan), []


def _failed(text: Text, error: str) -> Problem:
    found = _LINE.match(error)
    if not found:
        hint = "a workflow file only describes: let the steps do the work"
        return Problem(code="W602", message=f"the file cannot be evaluated: {error}", place=Place(text.file), hint=hint)
    line, message = int(found[1]), found[2]
    start = _line_start(text.text, line)
    end = text.text.find("\n", start)
    row = text.text[start : end if end >= 0 else len(text.text)]
    at = start + len(row) - len(row.lstrip())
    hint = ""
    if "attempt to index a nil value" in message or "attempt to call a nil value" in message:
        hint = "only pure Lua is there: no `os`, `io`, `require` or `debug` while a file is loaded"
    return Problem(
        code="W602",
        message=f"the file cannot be evaluated: {message}",
        place=text.place(at, max(at + 1, start + len(row))),
        hint=hint,
    )


def _line_start(text: str, line: int) -> int:
    at = 0
    for _ in range(line - 1):
        at = text.find("\n", at) + 1
        if not at:
            return max(0, len(text) - 1)
    return at


def _scan(text: str, wanted: Wanted) -> Span:
    root = Span(0, len(text), 0, 0, {})
    _search(text, root, wanted)
    return root


def _search(text: str, around: Span, wanted: Wanted) -> None:
    """Find the wanted keys inside a span; each key's span ends where the next one's begins."""
    starts: list[tuple[int, int, int, str | int]] = []
    for key in wanted:
        if found := _find(text, key, around):
            starts.append((*found, key))
    starts.sort()
    for n, (key_start, key_end, value_start, key) in enumerate(starts):
        end = starts[n + 1][0] if n + 1 < len(starts) else around.end
        begins = isinstance(key, int)
        stop = _value_end(text, value_start, end)
        span = Span(value_start, stop, 0 if begins else key_start, 0 if begins else key_end, {})
        around.inside[key] = span
        _search(text, Span(value_start, end, 0, 0, span.inside), wanted[key])


def _find(text: str, key: str | int, around: Span) -> tuple[int, int, int] | None:
    """Start and end of a key, and the start of its value; of an item of a list, the quoted text with its number."""
    if isinstance(key, int):
        quoted = islice(_QUOTED.finditer(text, around.start, around.end), key, None)
        item = next(quoted, None)
        return (item.start(), item.end(), item.start()) if item else None
    name = re.escape(key)
    pattern = rf"(?:(?<![\w.]){name}|\[\s*[\"']{name}[\"']\s*\])\s*=\s*"
    found = re.compile(pattern).search(text, around.start, around.end)
    if not found:
        return None
    return found.start(), found.start() + len(found[0].rstrip().rstrip("=").rstrip()), found.end()


def _value_end(text: str, start: int, end: int) -> int:
    """A caret marks one line at most."""
    line = text.find("\n", start)
    stop = min(end, line if line >= 0 else len(text))
    return max(start + 1, start + len(text[start:stop].rstrip().rstrip(",")))


def function_source(text: str, lines: list[int]) -> str:
    """The text of a function that stands on these lines, from `function` to its `end`."""
    first, last = _line_start(text, lines[0]), _line_start(text, lines[1] + 1) if lines[1] < text.count("\n") + 1 else len(text)
    piece = text[first:last]
    start = piece.find("function")
    stop = piece.rfind("end")
    return piece[start : stop + 3] if 0 <= start < stop else ""
