"""Facts as bytes: one line of JSON each, msgspec's encoding of the structs in `core.facts`, and a checksum.

- The checksum of a fact is CRC-32 over its line, started from the checksum of the fact before it (the first from 0). A line
  that is flipped, missing, added or moved breaks the chain at that place, which is where reading stops.
- A field that is added to a fact has a default, and none is ever renamed or removed: every older journal opens. FORMAT goes up
  with each such change, so that an older weft refuses what it would misread.
- Nothing is ever unpickled or imported by name.
"""

from collections.abc import Sequence
from struct import pack, unpack
from typing import Any
from zlib import crc32

import msgspec

from weft.core.facts import Fact
from weft.model.errors import MachineError

FORMAT = 1
"""Version of the journal as a whole: its tables and its facts."""

_SUM_BYTES = 4

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Fact).decode


def encode(facts: Sequence[Fact], before: int) -> tuple[list[bytes], list[int]]:
    """The line of each fact, and its checksum; `before` is the checksum of the fact in front of them.

    Raises MachineError for a text that is no Unicode, such as the name of a file that is not UTF-8.
    """
    lines, sums = [], []
    for fact in facts:
        try:
            line = _encode(fact)
        except OverflowError:
            line = _encode(_spelled(fact))
        except UnicodeEncodeError as error:
            raise MachineError(f"{error.object!r} is not valid Unicode and cannot be saved; rename that file or folder") from None
        if b"\n" in line:  # only between the tokens of an inline output: JSON has no newline inside a string
            line = line.replace(b"\n", b" ")
        before = crc32(line, before)
        lines.append(line)
        sums.append(before)
    return lines, sums


def decode(line: bytes) -> Fact:
    """Raises ValueError for a line that is no fact known to this version."""
    try:
        fact: Fact = _decode(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return fact


def _spelled(value: Any) -> Any:
    """The same with integers of more than 64 bits written out, which the encoder refuses and JSON can hold."""
    if isinstance(value, int) and value.bit_length() > 63:
        return msgspec.Raw(b"%d" % value)
    if isinstance(value, dict):
        return {key: _spelled(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return msgspec.structs.replace(value, **{name: _spelled(getattr(value, name)) for name in value.__struct_fields__})
    return value


def pack_sums(sums: Sequence[int]) -> bytes:
    return pack(f"<{len(sums)}I", *sums)


def unpack_sums(packed: bytes) -> tuple[int, ...]:
    """Raises ValueError if these are not whole checksums."""
    if len(packed) % _SUM_BYTES:
        raise ValueError("cut in the middle of a checksum")
    return unpack(f"<{len(packed) // _SUM_BYTES}I", packed)
