"""Shapes: what a value of the native format may look like. Reader, JSON Schema and reference page all go by these.

A shape is data, and says nothing about what a value means.
"""

from typing import Literal, TypeAlias

import msgspec

NAME = r"[A-Za-z_][A-Za-z0-9_-]{0,127}"
"""Names of steps, inputs, outputs and pools: they appear in expressions, file names and on the command line as they are."""

ENV_NAME = r"[A-Za-z_][A-Za-z0-9_]{0,127}"
"""What every shell can say after a dollar sign."""

ANY_KEY = r"[\s\S]*"
"""Keys that are data."""

PLUGIN = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?/[A-Za-z0-9_.-]{1,100}"
"""A package as its index calls it, and a kind of step that it brings."""

TOOL = rf"{NAME}/[A-Za-z0-9_./:-]{{1,128}}"
"""A server, and a tool of it as the server calls it."""

ADDRESS = r"https?://\S+"
"""Of a server that is reached over HTTP."""

_NUMBER = r"[0-9]{1,20}(\.[0-9]{1,20})?"
DURATION = rf"{_NUMBER}|(?=[0-9])({_NUMBER}d)?({_NUMBER}h)?({_NUMBER}m)?({_NUMBER}s)?({_NUMBER}ms)?"
SIZE = rf"{_NUMBER} ?(B|[kK]B|[MGT]B|[KMGT]iB)?"
_WINDOW = rf"(?=[0-9])({_NUMBER}d)?({_NUMBER}h)?({_NUMBER}m)?({_NUMBER}s)?({_NUMBER}ms)?|s|second|m|min|minute|h|hour|d|day|ms"
RATE = rf"[0-9]{{1,7}} ?/ ?({_WINDOW})"
"""The forms of units.parse_duration, units.parse_size and units.parse_rate, for editors; a test holds them together."""

INTEGER_MIN, INTEGER_MAX = -(2**63), 2**63 - 1
"""Whole numbers that every part of weft, and every program it speaks to, can carry."""

Field: TypeAlias = Literal["plain", "data", "code", "condition"]
"""What `${{ }}` means in a text. `plain`, `code`: nothing, it is refused. `data`: a value. `condition`: it is the text itself."""


class Text(msgspec.Struct, frozen=True):
    """Text, in which more than white space must stand unless it is data that is not `filled`. `pattern` matches all of it; `what`
    says it in words."""

    pattern: str = ""
    what: str = "text"
    field: Field = "plain"
    filled: bool = False


class Integer(msgspec.Struct, frozen=True):
    minimum: int = INTEGER_MIN
    maximum: int = INTEGER_MAX


class Number(msgspec.Struct, frozen=True):
    minimum: float
    maximum: float


class Boolean(msgspec.Struct, frozen=True):
    pass


class Choice(msgspec.Struct, frozen=True):
    values: tuple[str, ...]
    later: tuple[str, ...] = ()
    """Values of the full format that this version does not know how to honour."""


class Duration(msgspec.Struct, frozen=True):
    """Seconds, or text with a unit. `positive`: zero is refused too."""

    positive: bool = False


class Size(msgspec.Struct, frozen=True):
    """Text with a unit of size, at least a byte. (A bare number is an Integer.)"""


class Amount(msgspec.Struct, frozen=True):
    """Units of a pool: a whole number from 1, or text with a unit of size; of `cpu` and `gpu` also a fraction. `auto`: that word,
    for the pools that a machine has (see MACHINE_POOLS) says: what it has."""

    auto: bool = False


class Frequency(msgspec.Struct, frozen=True):
    """Starts per window: `60/min`, `5/100ms`."""


class ListOf(msgspec.Struct, frozen=True):
    item: "Shape"
    filled: bool = False


class MapOf(msgspec.Struct, frozen=True):
    """A mapping from names that the author chooses. `what` says what a name is for."""

    item: "Shape"
    what: str
    key: str = NAME
    filled: bool = False


class Record(msgspec.Struct, frozen=True):
    """A mapping with the keys of RECORDS[name]."""

    name: str


class Anything(msgspec.Struct, frozen=True):
    """Any value that JSON can say; its texts may hold `${{ }}` if `data`."""

    data: bool = False


class Either(msgspec.Struct, frozen=True):
    """One of several shapes, told apart by what the value is: no two of them may accept the same kind of value."""

    options: tuple["Shape", ...]


Shape: TypeAlias = (
    Text
    | Integer
    | Number
    | Boolean
    | Choice
    | Duration
    | Size
    | Amount
    | Frequency
    | ListOf
    | MapOf
    | Record
    | Anything
    | Either
)
