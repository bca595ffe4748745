"""Bytes to text, and positions in a text to places in the file.

A file is UTF-8, with or without a byte order mark, and has no control characters. What looks like something else is refused
with its name and a cure, not decoded on a guess.
"""

import re
from bisect import bisect_right

from weft.model.problem import Place, Problem, Second

TAB = "  "
"""What a leading tab counts for. Two columns, so that `-<space>` and one tab below it line up."""

_MARKS = (  # the longer ones first: two of them begin with a shorter one
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_WITHOUT_MARK = (
    (re.compile(rb"[^\0]\0\0\0", re.S), "UTF-32LE"),
    (re.compile(rb"\0\0\0[^\0]", re.S), "UTF-32BE"),
    (re.compile(rb"[^\0]\0[^\0]\0", re.S), "UTF-16LE"),
    (re.compile(rb"\0[^\0]\0[^\0]", re.S), "UTF-16BE"),
)
_BINARY = (
    (b"\x1f\x8b", "a gzip archive", "gunzip"),
    (b"PK\x03\x04", "a zip archive", "unzip"),
    (b"\xfd7zXZ\0", "an xz archive", "xz -d"),
    (b"(\xb5/\xfd", "a zstd archive", "zstd -d"),
    (b"BZh", "a bzip2 archive", "bunzip2"),
)
_CONTROL = re.compile("[\0-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ufffe\uffff]")
"""The characters that YAML and JSON refuse, and an escape sequence is made of."""


class Text:
    """The text of a file. `tabs[line]` says how many leading tabs of that line (from 0) stand as TAB in `text`."""

    def __init__(self, file: str, text: str, tabs: dict[int, int] | None = None) -> None:
        self.file, self.text, self.tabs = file, text, tabs or {}
        self._starts: list[int] = []

    def place(self, start: int, end: int | None = None) -> Place:
        """The place of text[start:end], or of its part on the first line; one character when `end` is None."""
        if not self._starts:
            self._starts = [0, *(found.end() for found in re.finditer("\n", self.text))]
        start = min(start, len(self.text))
        line = bisect_right(self._starts, start) - 1
        column = start - self._starts[line]
        line_end = self.text.find("\n", start, end) if end else start + 1
        length = max(1, (line_end if line_end >= 0 else end or 0) - start)
        tabs = self.tabs.get(line, 0)
        column = column - tabs * (len(TAB) - 1) if column >= tabs * len(TAB) else column // len(TAB)
        return Place(self.file, line + 1, column + 1, length)


def decode(data: bytes, file: str) -> Text | Problem:
    """The text, or why there is none."""
    for magic, what, tool in _BINARY:
        if data.startswith(magic):
            return _problem("W106", f"this is {what}, not text", Place(file), f"unpack it first: `{tool} {file}`")
    encoding = _foreign(data)
    if encoding:
        cure = f"save it as UTF-8: `iconv -f {encoding} -t UTF-8 {file} > {file}.utf8`"
        return _problem("W106", f"this looks like {encoding}, but weft reads UTF-8 only", Place(file), cure)
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        good = data[: error.start].decode()
        place, label = Text(file, good).place(len(good)), f"the byte 0x{data[error.start]:02x} has no meaning here"
        cure = f"if it was saved as Latin-1: `iconv -f WINDOWS-1252 -t UTF-8 {file} > {file}.utf8`"
        return _problem("W106", "this is not UTF-8", place, cure, label)
    bad = _CONTROL.search(text)
    if bad:
        name = "NUL" if bad[0] == "\0" else f"U+{ord(bad[0]):04X}"
        place, cure = Text(file, text).place(bad.start()), "delete it, or write it as an escape in double quotes"
        return _problem("W107", f"the control character {name} stands in the file", place, cure)
    return Text(file, text)


def given_twice(key: str, first: Place, again: Place) -> Problem:
    return Problem(
        code="W119",
        message=f"the key `{key}` is given twice",
        place=again,
        label="here again",
        seconds=(Second(first, "first here"),),
        hint="remove one of them, or give it another name",
    )


def _foreign(data: bytes) -> str:
    """The name of the encoding, if it is surely another one."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    for pattern, encoding in _WITHOUT_MARK:
        if pattern.match(data):
            return encoding
    return ""


def _problem(code: str, message: str, place: Place, hint: str, label: str = "") -> Problem:
    return Problem(code=code, message=message, place=place, hint=hint, label=label)
