"""A problem: one finding about a file, as data. Loaders collect all of them; `views.problems` renders them."""

from typing import Literal

import msgspec


class Place(msgspec.Struct, frozen=True, order=True):
    """Where in a file, counted from 1; line 0 is the file as a whole. `length` is the width of the caret in characters."""

    file: str
    line: int = 0
    column: int = 0
    length: int = 1


class Second(msgspec.Struct, frozen=True):
    """Another place that belongs to the finding: the other half of a duplicate, one edge of a cycle."""

    place: Place
    label: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`code` is a key of `codes.CODES`. `message`: one lower-case sentence, names in backticks. `label` adds something at the
    caret. `hint` is an action that can be pasted."""

    code: str
    message: str
    place: Place
    label: str = ""
    seconds: tuple[Second, ...] = ()
    hint: str = ""
    severity: Literal["error", "warning"] = "error"
