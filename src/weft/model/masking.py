"""Taking the values of secrets out of text that people will see."""

from base64 import b64encode
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

import msgspec

LENGTH_MIN: Final = 6
"""Shorter values occur by chance everywhere; to mask them would spoil the text and give them away."""
MASK: Final = "***"


def spellings(value: str) -> set[str]:
    """The forms in which a value travels: as it is, inside JSON, for URLs, and in Base64 (at each of the three alignments, the
    part that does not depend on its neighbours); empty for a value too short to mask."""
    if len(value) < LENGTH_MIN:
        return set()
    raw = value.encode()
    forms = {value, msgspec.json.encode(value).decode()[1:-1], quote(value, safe=""), quote(value)}
    for lead in range(3):
        # each Base64 character says 6 bits: leave out those that also hold bits of what stands before or after
        first = (lead * 8 + 5) // 6
        last = (lead + len(raw)) * 8 // 6
        forms.add(b64encode(bytes(lead) + raw).decode().rstrip("=")[first:last])
    return {form for form in forms if len(form) >= LENGTH_MIN}


def mask(text: str, values: Iterable[str]) -> str:
    """`text` with every spelling of the values replaced by `***`, longest first."""
    found = {form for value in values for form in spellings(value)}
    for form in sorted(found, key=len, reverse=True):
        text = text.replace(form, MASK)
    return text
