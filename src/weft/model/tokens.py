"""Text of an expression → tokens, and where an expression inside `${{ }}` ends.

- Every error knows its place in the text, and what people try from other languages gets a hint.
- Time is linear in the text, whatever the text: no pattern in here can backtrack.
"""

import re
from typing import Any, Literal, NamedTuple

import msgspec

from weft.model.units import INTEGER_MAX, INTEGER_MIN

TEXT_CHARS_MAX = 16_384
"""Characters of one expression. It is written by hand; the largest seen in real workflow files is below 1,000."""

DEPTH_MAX = 64
"""Levels of nesting, of expressions and of the values that functions walk through: the same bound as for files."""


class ExpressionError(ValueError):
    """An expression is wrong, or its evaluation failed: the author's text or the step's data, never the machine.

    `offset` (from 0) and `length` are in characters of the text. `path` leads to that text inside a value (`template.resolve`).
    """

    def __init__(self, message: str, offset: int = 0, length: int = 1, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.length = length
        self.hint = hint
        self.path: tuple[str | int, ...] = ()


class MissingPath(ExpressionError):
    """A path that does not exist in the data at run time."""


class BudgetExceeded(ExpressionError):
    """An expression that is too long, too deep, or asks for too much work."""


SHOWN_CHARS_MAX = 80
"""How much of a text or a path a message repeats: it is one line for a person."""


def shown(text: str) -> str:
    """Somebody's text as part of a message: cut when long, and with nothing in it that a terminal would obey."""
    short = text[:SHOWN_CHARS_MAX]
    return (short if short.isprintable() else ascii(short)[1:-1]) + ("…" if len(text) > SHOWN_CHARS_MAX else "")


class Token(NamedTuple):
    """`text` is the token as written, from `offset` to `end`; `value` what a number or string stands for."""

    kind: Literal["name", "number", "string", "operator", "end"]
    text: str
    offset: int
    end: int
    value: str | int | float | None


_TOKEN = re.compile(
    r"""\s*+(?:
      (?P<name>[^\W\d][\w-]*+)
    | (?P<number>-?[0-9](?:[\w.]|(?<=[eE])[+-])*+)
    | (?P<string>'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")
    | (?P<operator>==|!=|<=|>=|&&|\|\||[<>!?:,.()\[\]{}])
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)

_HINTS = {
    "=": "write `==` to compare",
    "&": "write `&&` for and",
    "|": "write `||` for or; a filter `a | f` is written `f(a)`",
    "+": 'there is no arithmetic; to put texts together write `join([a, b], "")` or `${{ a }}${{ b }}`',
    "$": "inside `${{ }}` a name stands alone: `inputs.day`",
    "`": "strings stand in single or double quotes",
    '"': "the string is not closed",
    "'": "the string is not closed",
    **dict.fromkeys("-*/%^~", "there is no arithmetic; compute it in a step"),
}


def tokenize(text: str) -> list[Token]:
    """All tokens, the last of kind `end`. Raises ExpressionError."""
    if len(text) > TEXT_CHARS_MAX:
        raise BudgetExceeded(
            f"the expression has {len(text):,} characters, more than {TEXT_CHARS_MAX:,}",
            TEXT_CHARS_MAX,
            hint="compute the value in a step and refer to its output",
        )
    tokens: list[Token] = []
    at = 0
    while True:
        found = _TOKEN.match(text, at)
        if not found:
            at += len(text[at:]) - len(text[at:].lstrip())
            raise ExpressionError(f"unexpected {_quoted(text[at])}", at, hint=_HINTS.get(text[at], ""))
        kind: Any = found.lastgroup
        word, offset = found[kind], found.start(kind)
        value = _number(word, offset) if kind == "number" else _string(word, offset) if kind == "string" else None
        at = found.end()
        tokens.append(Token(kind, word, offset, at, value))
        if kind == "end":
            return tokens


def _quoted(text: str) -> str:
    return f"`{shown(text)}`" if text != "`" else "a backquote"


NUMBER_HINT = "numbers are written as in JSON: `7`, `-0.5`, `1e9`; whole ones have up to 64 bits"


def read_number(text: str) -> int | float | None:
    """The number that a text stands for in JSON, or None if it is none, or too large."""
    try:
        number: int | float = msgspec.json.decode(text, type=int | float)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    return number if isinstance(number, float) or INTEGER_MIN <= number <= INTEGER_MAX else None


def _number(word: str, offset: int) -> int | float:
    number = read_number(word)
    if number is None:
        raise ExpressionError(f"`{shown(word)}` is not a number", offset, len(word), NUMBER_HINT)
    return number


_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\\": "\\", "/": "/", "'": "'", '"': '"'}
_SURROGATE = re.compile("[\ud800-\udfff]")


def _string(word: str, offset: int) -> str:
    def unescape(found: re.Match[str]) -> str:
        if found[1]:
            return chr(int(found[1], 16))
        if found[2] in _ESCAPED:
            return _ESCAPED[found[2]]
        raise ExpressionError(
            f"unknown escape {_quoted(found[0])} in a string", offset + 1 + found.start(), 2, "write `\\\\` for a backslash"
        )

    value = word[1:-1]
    if "\\" in value:
        value = _ESCAPE.sub(unescape, value)
    if _SURROGATE.search(value):  # two halves make one character; a lone half is no text
        try:
            return value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise ExpressionError("the string holds half a surrogate pair", offset, len(word)) from None
    return value


_BRACKET = re.compile(r"""'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+"|[{}'"]""", re.DOTALL)


def find_end(text: str, start: int) -> int:
    """Offset of the `}}` that closes the `${{` before `start`: the first outside of strings and of braces opened since.

    Raises ExpressionError.
    """
    depth = 0
    for found in _BRACKET.finditer(text, start):
        mark = found[0]
        if mark == "{":
            depth += 1
        elif mark == "}" and depth:
            depth -= 1
        elif mark == "}":
            if text.startswith("}}", found.start()):
                return found.start()
            raise ExpressionError("unexpected `}`", found.start(), hint="an expression ends with `}}`")
        elif len(mark) == 1:
            raise ExpressionError(f"unexpected `{mark}`", found.start(), hint=_HINTS[mark])
    raise ExpressionError("this `${{` is never closed", start - 3, 3, "close it with `}}`, or write `$${{` for the text `${{`")
