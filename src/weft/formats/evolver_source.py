"""Plans of Code Evolver in the midst of other text: JSON inside ``` fences or prose, as a language model writes it.

What stands around the plan becomes blanks, so that every place in the plan is its place in the file.
"""

import re
from json import JSONDecodeError, JSONDecoder

BYTES_MAX = 10_000_000
"""As for YAML: a plan that a model wrote has a few kilobytes."""
OBJECTS_MAX = 100
"""Braces in the prose that may begin the plan and turn out not to."""

_FENCE = re.compile(r"^[ \t]*```[ \t]*(?:json)?[ \t]*\r?\n(.*?)^[ \t]*```", re.S | re.M | re.I)
_PLAN = re.compile(r'"(?:step_id|candidates)"\s*:')


def plan_within(data: bytes, name: str) -> bytes | None:
    """The text with all but the plan blanked, or None if this is no such text."""
    start = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()[:3]
    fenced = start == b"```"
    if len(data) > BYTES_MAX or start[:1] in (b"{", b"[", b"") or (not fenced and name.lower().endswith((".yaml", ".yml"))):
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    if not _PLAN.search(text):
        return None
    span = next((found.span(1) for found in _FENCE.finditer(text) if _PLAN.search(found[1])), None) or _object(text)
    if span is None:
        return None
    start_at, end = span
    return (_blank(text[:start_at]) + text[start_at:end] + _blank(text[end:])).encode()


def _object(text: str) -> tuple[int, int] | None:
    """Where the first JSON object stands that holds steps; of one that is broken, from its brace to the last one."""
    decoder, opened = JSONDecoder(), [found.start() for found in re.finditer(r"\{", text)][:OBJECTS_MAX]
    for start in opened:
        try:
            value, end = decoder.raw_decode(text, start)
        except (JSONDecodeError, RecursionError):
            continue
        if isinstance(value, dict) and ("steps" in value or "tasks" in value):
            return start, end
    found = re.search(r'\{\s*"(?:steps|workflow_id|workflow|description|tasks)"', text)
    return (found.start(), max(text.rfind("}"), found.start()) + 1) if found else None


def _blank(text: str) -> str:
    return re.sub(r"[^\r\n]", " ", text)
