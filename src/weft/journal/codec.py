"""Facts as bytes: one line of JSON each, msgspec's encoding of the structs in `core.facts`, and a checksum.

- The checksum of a fact is CRC-32 over its line, started from the checksum of the fact before it (the first from 0). A line
  that is flipped, missing, added or moved breaks the chain at that place, which is where reading stops.
- A field that is added to a fact has a default, and none is ever renamed or removed: every older journal opens. FORMAT goes up
  with each such change, so that an older weft refuses what it would misread.
- Nothing is ever unpickled or imported by name.
"""

from collections.abc import Sequence
from struct import pack, unpack
from zlib import crc32

import msgspec

from weft.core.facts import Fact

FORMAT = 1
"""Version of the journal as a whole: its tables and its facts."""

_SUM_BYTES = 4

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Fact).decode


def encode(facts: Sequence[Fact], before: int) -> tuple[list[bytes], list[int]]:
    """The line of each fact, and its checksum; `before` is the checksum of the fact in front of them."""
    lines, sums = [], []
    for fact in facts:
        line = _encode(fact)
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


def pack_sums(sums: Sequence[int]) -> bytes:
    return pack(f"<{len(sums)}I", *sums)


def unpack_sums(packed: bytes) -> tuple[int, ...]:
    """Raises ValueError if these are not whole checksums."""
    if len(packed) % _SUM_BYTES:
        raise ValueError("cut in the middle of a checksum")
    return unpack(f"<{len(packed) // _SUM_BYTES}I", packed)
