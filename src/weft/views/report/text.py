"""Text for a page: everything that comes from outside is masked, made visible and escaped, in that order, by one function."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Final, TypeAlias

from weft.model.masking import MASK, spellings
from weft.views.text import visible

Write: TypeAlias = Callable[[str], str]
"""Text from outside to HTML that shows it, and nothing else."""

GLYPHS: Final = {
    "succeeded": "✓",
    "reused": "⟲",
    "failed": "✗",
    "cancelled": "⊘",
    "skipped": "↷",
    "running": "▶",
    "stopping": "■",
    "held": "‖",
    "backing_off": "↻",
    "awaiting_approval": "?",
    "waiting": "·",
}
"""Colour never carries meaning alone."""


def masker(secrets: Sequence[str]) -> Callable[[str], str]:
    """Replaces every spelling of the secrets; made once, because a report masks tens of thousands of texts."""
    forms = sorted({form for value in secrets for form in spellings(value)}, key=len, reverse=True)

    def masked(text: str) -> str:
        for form in forms:
            text = text.replace(form, MASK)
        return text

    return masked


def writer(masked: Callable[[str], str]) -> Write:
    return lambda text: escape(visible(masked(text)))
