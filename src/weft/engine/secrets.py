"""Secrets in what attempts leave behind: outputs that hold one are marked, errors are masked before they are journalled."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from weft.model.masking import mask, spellings
from weft.model.output import ErrorRecord
from weft.model.workflow import Value
from weft.ports import Payload

SCAN_BYTES: Final = 1 << 20
"""An output file is searched in pieces of this size."""


def contains_secret(payload: Payload, secrets: Sequence[str]) -> bool:
    """Whether a payload contains any spelling of a secret; files are read in overlapping pieces."""
    forms = [form.encode() for value in secrets for form in spellings(value)]
    if not isinstance(payload, Path):
        return any(form in payload for form in forms)
    overlap = max(map(len, forms), default=1) - 1
    tail = b""
    with payload.open("rb") as file:
        while piece := file.read(SCAN_BYTES):
            window = tail + piece
            if any(form in window for form in forms):
                return True
            tail = window[-overlap:] if overlap else b""
    return False


def masked_value(value: Value, secrets: Sequence[str]) -> Value:
    """The value with every secret in its texts masked, names in mappings included."""
    if isinstance(value, str):
        return mask(value, secrets)
    if isinstance(value, Mapping):
        return {mask(key, secrets): masked_value(item, secrets) for key, item in value.items()}
    return [masked_value(item, secrets) for item in value] if isinstance(value, list) else value


def masked(error: ErrorRecord, secrets: Sequence[str]) -> ErrorRecord:
    return ErrorRecord(
        kind=error.kind,
        message=mask(error.message, secrets),
        exit_code=error.exit_code,
        signal=error.signal,
        exception=error.exception,
        retry_after_s=error.retry_after_s,
        hint=mask(error.hint, secrets),
        tail=mask(error.tail, secrets),
    )
