"""What an attempt leaves behind: an output, or an error as data. The core knows that they exist, never what they say."""

from collections.abc import Iterable
from typing import Literal, TypeAlias

import msgspec

OutputForm: TypeAlias = Literal["text", "json", "lines"]
"""How a step's output is to be read: one string, any JSON value, or a list of lines."""

ErrorKind: TypeAlias = Literal[
    "exit", "timeout", "error", "input", "invalid_output", "lost", "killed", "out_of_memory", "cancelled"
]
"""Why an attempt did not succeed. `exit`: non-zero exit status. `error`: the action raised, or could not be started.
`input`: its data could not be resolved. `lost`: its worker vanished. `killed`: ended by a signal that was not ours."""


class Output(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The output of a successful attempt: inline JSON when small, else the name of a blob in the content store.

    `inline` is the JSON text of the value. `blob` is the SHA-256 (hex) of the raw bytes, which `form` says how to read.
    `size` is in bytes (of the raw output). Exactly one of `inline` and `blob` is set. `secret`: it contains the value of a
    secret and is never shown.
    """

    form: OutputForm = "json"
    inline: msgspec.Raw = msgspec.Raw(b"")
    blob: str = ""
    size: int = 0
    secret: bool = False


class Usage(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What an attempt reports as used: tokens that went into a model and came out of it, a cost in whatever currency, and calls
    of tools and models that it made by itself."""

    tokens_in: int = 0
    tokens_out: int = 0
    cost: float = 0.0
    calls: int = 0

    @property
    def tokens(self) -> int:
        return self.tokens_in + self.tokens_out

    def plus(self, other: "Usage") -> "Usage":
        return Usage(
            tokens_in=self.tokens_in + other.tokens_in,
            tokens_out=self.tokens_out + other.tokens_out,
            cost=self.cost + other.cost,
            calls=self.calls + other.calls,
        )


def sum_of(parts: Iterable[Usage]) -> Usage:
    """All of it together."""
    total = Usage()
    for part in parts:
        total = total.plus(part)
    return total


class ErrorRecord(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One failure as data: it is journalled, shown, and read by dependents as `steps.x.error`.

    `message` is one line for a person. `exception` is the class name (with its bases after it, separated by spaces) when
    an exception was raised. `tail` holds the last lines of stderr or of a traceback.
    """

    kind: ErrorKind
    message: str
    exit_code: int | None = None
    signal: str = ""
    exception: str = ""
    retry_after_s: float | None = None
    hint: str = ""
    tail: str = ""
