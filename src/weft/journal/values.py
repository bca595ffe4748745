"""How the raw bytes of an output are read, without a disk: the same for every store.

- `text`: UTF-8 (what is not becomes U+FFFD), less one newline at the end. `lines`: that, cut at `\\n` or `\\r\\n`.
- `json`: strict JSON. No NaN, no lone surrogates, no byte order mark; numbers keep all their digits; white space around it is
  fine; of two equal keys the last counts, as in every language that a step may be written in.
- A bound is a ValueError that says so: it is the step's author who can do something about it.
"""

import re
from codecs import getincrementaldecoder
from typing import Final

import msgspec

from weft.model.output import Output, OutputForm
from weft.model.workflow import Value

INLINE_BYTES_MAX: Final = 64 << 10
"""Larger outputs are kept beside the journal: each resume reads all of the journal, and few outputs of this size."""

VALUE_BYTES_MAX: Final = 256 << 20
"""What may be read as JSON or be referred to by another step: it becomes objects in memory, at up to ten times this size."""

OUTPUT_BYTES_MAX: Final = 64 << 30
"""No output at all is larger: a step that writes for ever would fill the disk of everybody else."""

_EXCERPT_BYTES = 40
"""How much of a bad text is shown on each side of the place."""

_PIECE_BYTES = 1 << 20

_encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder().decode
"""JSON text as a value."""


def inline(data: bytes, form: OutputForm) -> Output:
    """The output with its value in it. Raises ValueError if the data does not fit the form."""
    if form == "json":
        try:
            decode(data)
        except (ValueError, RecursionError) as error:
            raise _bad_json(data, error) from None
        text = data.strip().replace(b"\n", b" ")  # JSON has no newline inside a string
    else:
        text = _encode(value(data, form))
    return Output(form=form, inline=msgspec.Raw(text), size=len(data))


def value(data: bytes, form: OutputForm) -> Value:
    """What the raw bytes of an output stand for. Raises ValueError."""
    if form == "json":
        try:
            return decode(data)
        except (ValueError, RecursionError) as error:
            raise _bad_json(data, error) from None
    text = data.decode("utf-8", "replace")
    if form == "text":
        return text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []


def raw(output: Output) -> bytes:
    """The bytes of an inline output, as somebody would want to see them."""
    if output.form == "json":
        return bytes(output.inline)
    found = decode(output.inline)
    return "\n".join(found).encode() if output.form == "lines" else str(found).encode()


def check_json(data: bytes) -> None:
    """Like reading it, without building the value. Raises ValueError."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
        decoder = getincrementaldecoder("utf-8")()
        for start in range(0, len(data), _PIECE_BYTES):
            decoder.decode(memoryview(data)[start : start + _PIECE_BYTES], False)
    except (ValueError, RecursionError) as error:
        raise _bad_json(data, error) from None


def check_size(size: int, most: int, what: str) -> None:
    if size > most:
        raise ValueError(f"{what} has {size:,} bytes, and at most {most:,} are possible; write it to a file and pass the path")


def _bad_json(data: bytes, error: Exception) -> ValueError:
    """The complaint of the decoder, with line, column and what stands there."""
    if not data.strip():
        return ValueError("the output is empty, which is no JSON; print a value, or declare `output: text`")
    if isinstance(error, RecursionError):
        return ValueError("the output is JSON that is nested too deeply")
    why = str(error)
    place = len(data)
    try:
        data.decode()
    except UnicodeDecodeError as bad:
        why, place = "invalid UTF-8", bad.start
    if found := re.search(r" \(byte (\d+)\)$", why):
        why, place = why[: found.start()], int(found[1])
    why = why.removeprefix("JSON is malformed: ").replace("Input data was truncated", "it ends too early")
    line = data.count(b"\n", 0, place) + 1
    column = place - data.rfind(b"\n", 0, place)
    excerpt = data[max(0, place - _EXCERPT_BYTES) : place + _EXCERPT_BYTES].decode("utf-8", "replace")
    return ValueError(f"the output is no JSON: {why}, at line {line}, column {column}, near {excerpt!r}")
