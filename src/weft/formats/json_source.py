"""JSON to plain values, strictly: no duplicate keys, no comments, no trailing commas, UTF-8 only.

The happy path never looks at single characters in Python: msgspec decodes, and everything else is bytes.replace and friends.
Places are found by a scan in Python, and only once there is a problem.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from weft.formats.document import Document, Span, Wanted
from weft.formats.text import Text, decode, given_twice
from weft.model.problem import Place, Problem

_NOT_BONES = bytes(set(range(256)) - set(b'{}[]":'))
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_ESCAPE = re.compile(rb"\\.", re.S)
_STRING = re.compile(rb'"[^"]*"')
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\[{]|[\]}]|-?[0-9]++(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?', re.S)
_SPACE = re.compile(r"[ \t\n\r]*")
_SEPARATOR = re.compile(r"[ \t\n\r,]*")
_SAYINGS: tuple[tuple[str, int, str, str], ...] = (
    # a part of what msgspec says, how far before its place the mistake is, what we say instead, what to do
    ("trailing comma", 0, "a comma stands before the closing bracket", "remove the comma"),
    ("trailing characters", 1, "something follows the end of the document", "remove it: one file holds one document"),
    ("truncated", 0, "the file ends before the document does", "close the brackets and quotes that are open"),
    ("invalid number", 0, "this is not a number in JSON", "write it without leading zeros or `+`, or put it in double quotes"),
    ("expected ':'", 0, "a `:` is expected after the key", 'write `"key": value`'),
    ("expected ',' or '}'", 0, "a comma or `}` is expected here", "put a comma between two members"),
    ("expected ',' or ']'", 0, "a comma or `]` is expected here", "put a comma between two items"),
    ("object keys must be", 0, "a key must be in double quotes", 'write `"key": value`'),
    ("invalid escape", 1, "this escape does not exist in JSON", "write the backslash twice"),
    ("unicode escape", 0, "this escape needs four hexadecimal digits", "write the backslash twice, or the character itself"),
)
_INVALID = (
    "",
    0,
    "this is not JSON",
    "texts and keys need double quotes; comments, single quotes, NaN and Infinity are not allowed",
)
_HALF = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})")
"""Half of a surrogate pair. (msgspec then says that the text is truncated.)"""


def read_json(data: bytes, file: str, depth_max: int) -> tuple[Document | None, list[Problem]]:
    """The document (also with problems, where reading on made sense), and what is wrong with the text."""
    data = data.removeprefix(b"\xef\xbb\xbf")
    bones = _bones(data)
    if _deeper(bones, depth_max):
        return None, [_explain(data, file, lambda text: _too_deep(text, depth_max))]
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        said = str(error)
        return None, [_explain(data, file, lambda text: _syntax(text, said))]
    document = Document(lambda: Text(file, data.decode()), value, lambda text, wanted: _Scanner(text).scan(wanted))
    # Of two equal keys msgspec keeps the last: a document with fewer colons than its text had some.
    twice = bones.count(b":") != _bones(msgspec.json.encode(value)).count(b":")
    return document, _duplicates(Text(file, data.decode())) if twice else []


def _explain(data: bytes, file: str, explain: Callable[[Text], Problem]) -> Problem:
    text = decode(data, file)
    return text if isinstance(text, Problem) else explain(text)


def _bones(data: bytes) -> bytes:
    """Only the brackets and colons outside strings, and the empty husks of strings taken away. All of it at C speed."""
    if b"\\" in data:
        data = _ESCAPE.sub(b"", data)
    return _STRING.sub(b"", data.translate(None, _NOT_BONES))


def _deeper(bones: bytes, depth_max: int) -> bool:
    """Whether brackets nest deeper than that: take the innermost pairs away once for each level."""
    left = bones.translate(_ONE_KIND, b':"')
    for _ in range(depth_max):
        if not left:
            return False
        left, before = left.replace(b"[]", b""), left
        if left == before:  # unbalanced: what opens and never closes is at least as deep as that
            return left.count(b"[") > depth_max
    return bool(left)


def _too_deep(text: Text, depth_max: int) -> Problem:
    depth, place = 0, Place(text.file)
    for token in _TOKEN.finditer(text.text):
        depth += (token[0] in "[{") - (token[0] in "]}")
        if depth > depth_max:
            place = text.place(token.start())
            break
    hint = "keep deep data in a file of its own that a step reads"
    return Problem(code="W114", message=f"the file is nested more than {depth_max} levels deep", place=place, hint=hint)


def _syntax(text: Text, said: str) -> Problem:
    if not text.text.strip():
        hint = 'the smallest workflow is `{"steps": {"hello": {"run": "echo hello"}}}`'
        return Problem(code="W108", message="the file is empty", place=Place(text.file), hint=hint)
    if "out of range" in said:
        huge = next((found for found in _TOKEN.finditer(text.text) if _is_huge(found[0])), None)
        place = text.place(*huge.span()) if huge else Place(text.file)
        hint = "put it in double quotes to make it a text"
        return Problem(code="W121", message="this number is too large", place=place, hint=hint)
    half = _HALF.search(text.text) if "truncated" in said else None
    if half:
        place, hint = text.place(*half.span()), "write the character itself, or both halves"
        return Problem(code="W111", message="this escape is half a character", place=place, hint=hint)
    _, back, message, hint = next((saying for saying in _SAYINGS if saying[0] in said), _INVALID)
    found = re.search(r"byte (\d+)", said)
    # msgspec counts bytes; where it gives none, the text has ended too early.
    index = len(text.text.encode()[: int(found[1])].decode(errors="ignore")) - back if found else len(text.text.rstrip())
    if text.text[index : index + 1] in ("\n", "\r") and message == _INVALID[2]:
        message, hint = "a text is not closed on its line", 'close it with `"`; a line break in a text is written `\\n`'
    return Problem(code="W111", message=message, place=text.place(index), hint=hint)


def _is_huge(token: str) -> bool:
    return token[0] in "-0123456789" and float(token) in (float("inf"), float("-inf"))


def _duplicates(text: Text) -> list[Problem]:
    scanner = _Scanner(text.text)
    everything = Wanted()
    everything.all = True
    scanner.scan(everything)
    return [given_twice(key, text.place(*first), text.place(*again)) for key, first, again in scanner.twice]


class _Scanner:
    """Spans in text that is known to be sound JSON. What is not wanted is skipped at C speed.

    Recursive: the depth is known to be small.
    """

    def __init__(self, text: str) -> None:
        import json.decoder as decoder

        json: Any = decoder
        self._text, self._string = text, json.scanstring
        # Numbers are passed over, not read: Python refuses very long ones.
        self._skip = json.JSONDecoder(parse_int=str, parse_float=str).scan_once
        self.twice: list[tuple[str, tuple[int, int], tuple[int, int]]] = []
        """Keys seen again: the key, its first span, its second."""

    def scan(self, wanted: Wanted) -> Span:
        return self._span(self._after(_SPACE, 0), wanted)

    def _after(self, pattern: re.Pattern[str], position: int) -> int:
        found = pattern.match(self._text, position)
        return found.end() if found else position

    def _span(self, start: int, wanted: Wanted) -> Span:
        inside: dict[str | int, Span] = {}
        opening = self._text[start]
        if opening not in "[{" or not (wanted or wanted.all):
            return Span(start, self._skip(self._text, start)[1], 0, 0, inside)
        closing = "}" if opening == "{" else "]"
        position, index = self._after(_SPACE, start + 1), 0
        while self._text[position] != closing:
            key: str | int = index
            key_start = key_end = 0
            if opening == "{":
                key_start = position
                key, key_end = self._string(self._text, position + 1)
                position = self._after(_SPACE, self._after(_SPACE, key_end) + 1)
                if key in inside:
                    first = inside[key]
                    self.twice.append((str(key), (first.key_start, first.key_end), (key_start, key_end)))
            inner = wanted.inner(key)
            if inner is None:
                position = self._skip(self._text, position)[1]
            else:
                span = self._span(position, inner)
                inside[key] = span._replace(key_start=key_start, key_end=key_end)  # the last counts, as it does for the value
                position = span.end
            position = self._after(_SEPARATOR, position)
            index += 1
        return Span(start, position + 1, 0, 0, inside)
