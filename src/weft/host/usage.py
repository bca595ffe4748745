"""What an attempt reports of itself: tokens, cost, and when to try again. In the file `$WEFT_USAGE`, or as a tool in its result.

The file is one JSON mapping, written at any time before the attempt ends; the last one counts. What is not as it should be is
told, never guessed: a budget that is counted wrong is worse than a step that fails.
"""

import os
from typing import Annotated, Final

import msgspec

from weft.model.output import ErrorRecord, Usage
from weft.ports import Ended

BYTES_MAX: Final = 64 << 10
"""Four numbers need a hundred bytes; more is something else that was written to the wrong file."""

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Amount = Annotated[float, msgspec.Meta(ge=0, le=1e15)]


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of the file. `retry_after`: seconds before which another attempt makes no sense."""

    tokens_in: Count = 0
    tokens_out: Count = 0
    cost: Amount = 0.0
    calls: Count = 0
    retry_after: Amount | None = None


def reported(ended: Ended, path: str) -> Ended:
    """The end of an attempt with what it reported in this file, which is removed."""
    try:
        with open(path, "rb") as file:
            data = file.read(BYTES_MAX + 1)
        os.unlink(path)
    except FileNotFoundError:
        return ended
    except OSError as problem:
        return _unreadable(ended, str(problem))
    if not data.strip():
        return ended
    try:
        report = msgspec.json.decode(data, type=Report) if len(data) <= BYTES_MAX else None
    except msgspec.MsgspecError as problem:
        return _unreadable(ended, str(problem))
    if report is None:
        return _unreadable(ended, f"it has more than {BYTES_MAX >> 10} KiB")
    return _with(ended, report)


def told(ended: Ended, report: object) -> Ended:
    """The end of an attempt with what was reported of it as a plain mapping; None: nothing."""
    try:
        return ended if report is None else _with(ended, msgspec.convert(report, type=Report))
    except msgspec.MsgspecError as problem:
        return _unreadable(ended, str(problem), "what the tool says that it used")


def _with(ended: Ended, report: Report) -> Ended:
    if ended.error and report.retry_after is not None:
        ended = msgspec.structs.replace(ended, error=msgspec.structs.replace(ended.error, retry_after_s=report.retry_after))
    usage = Usage(tokens_in=report.tokens_in, tokens_out=report.tokens_out, cost=report.cost, calls=report.calls)
    return ended if usage == Usage() else msgspec.structs.replace(ended, usage=usage)


def _unreadable(ended: Ended, why: str, what: str = "what it wrote to $WEFT_USAGE") -> Ended:
    """A success that reports nonsense is none; a failure stays what it is, and says so."""
    hint = 'write one JSON mapping: {"tokens_in": 10, "tokens_out": 20, "cost": 0.5, "retry_after": 30}, each of them if you like'
    if ended.error:
        return msgspec.structs.replace(ended, error=msgspec.structs.replace(ended.error, hint=ended.error.hint or hint))
    if ended.outcome != "ok":
        return ended
    error = ErrorRecord(kind="invalid_output", message=f"{what} cannot be read: {why}", hint=hint)
    return msgspec.structs.replace(ended, outcome="failed", payload=None, error=error)
