"""Lua text to a document: the file is a program, so somebody outside evaluates it, confined, and hands over what it holds.

A value of a program has no place. The places of problems are looked for in the text: tables as they are nested there, a key where
it is first assigned to (`name = {`, `["name"] =`, `workflow.name =`). For files written by hand that is the right line.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from weft.formats.document import Document, Span, Wanted
from weft.formats.text import Text, decode
from weft.model.problem import Place, Problem

Evaluate = Callable[[str], Mapping[str, Any]]
"""From Lua text to `workflow`, the value of that global, or `error`, one line, or `missing`: there is no Lua here."""

_Inside: TypeAlias = dict[str | int, Span]
_Slot: TypeAlias = tuple[_Inside, str | int]
"""Where a span belongs: a table, and the key in it."""

_WORKFLOW = re.compile(r"^[ \t]*workflow[ \t]*=[ \t]*(?:\{|$)", re.M)
_QUOTED: Final = r"""(?:"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
_COMMENT: Final = r"--\[(?P<c>=*)\[.*?\](?P=c)\]|--[^\n]*"
_LONG: Final = r"\[(?P<l>=*)\[.*?\](?P=l)\]"
_PART = re.compile(
    rf"{_COMMENT}|(?P<text>{_LONG})|(?P<key>\[\s*(?P<quoted>{_QUOTED})\s*\]|(?<!\w)(?P<name>[A-Za-z_][\w.]*))\s*=(?!=)\s*"
    rf"|(?P<short>{_QUOTED})|(?P<brace>[{{}}])",
    re.S,
)
_WORD = re.compile(rf"{_COMMENT}|{_LONG}|{_QUOTED}|\b(?P<word>function|if|do|repeat|end|until)\b", re.S)
_NAMED = re.compile(r"function\s*[\w.:]*\s*\(")
_REST = re.compile(r"[^,;}\n]*")
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
    program = f"--{text.text}" if text.text.startswith("#") else text.text  # `#!`: Lua itself passes over such a line
    answer = evaluate(program) if evaluate else {"missing": True}
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
    """All keys and items of tables, in one pass, wanted or not."""
    root = Span(0, len(text), 0, 0, {})
    inside, number, slot = root.inside, 0, None
    open_: list[tuple[_Inside, int, _Slot]] = []
    for found in _PART.finditer(text):
        if found["key"]:
            slot = _assigned(text, found, inside)
        elif found["brace"] == "}":
            if open_:
                inside, number, (around, key) = open_.pop()
                around[key] = _until(text, around[key], found.end())
            slot = None
        elif found["brace"] or found["text"] or found["short"]:
            start = found.start()
            if not (slot and slot[0][slot[1]].start == start):
                if slot and not found["brace"]:
                    slot = None  # a text in the midst of an expression
                    continue
                slot, number = (inside, number), number + 1
                inside[slot[1]] = Span(start, start + 1, 0, 0, {})
            span = slot[0][slot[1]]
            if found["brace"]:
                open_.append((inside, number, slot))
                inside, number = span.inside, 0
            else:
                slot[0][slot[1]] = _until(text, span, found.end())
            slot = None
    return root


def _assigned(text: str, found: re.Match[str], inside: _Inside) -> _Slot:
    """Note a key; where its value belongs. Of several assignments the first one counts: others are in the code of functions."""
    *above, key = [found["quoted"][1:-1]] if found["quoted"] else found["name"].split(".")
    for name in above:
        inside = inside[name].inside if name in inside else {}
    rest = _REST.match(text, found.end())
    end = rest.end() if rest else found.end()
    inside.setdefault(key, Span(found.end(), max(end, found.end() + 1), found.start("key"), found.end("key"), {}))
    return inside, key


def _until(text: str, span: Span, end: int) -> Span:
    """A caret marks one line at most."""
    line = text.find("\n", span.start, end)
    return span._replace(end=line if line >= 0 else end)


def function_source(text: str, lines: list[int], near: int) -> str:
    """A function that stands on these lines, as an expression. Of several, the one that begins at `near`, else the outermost."""
    first, last = (_line_start(text, line) for line in lines)
    opened, functions = list[int](), dict[int, int]()
    for found in _WORD.finditer(text, first):
        word, start, end = found["word"], found.start(), found.end()
        if text.count("\n", last, start):
            break
        if word in ("end", "until"):
            begin = opened.pop() if opened else 0
            if text.startswith("function", begin) and not text.count("\n", first, begin) and end > last:
                functions[begin] = end
        elif word:
            opened.append(start)
    begin = near if near in functions else min(functions, default=-1)
    return _NAMED.sub("function(", text[begin : functions[begin]], count=1) if functions else ""
