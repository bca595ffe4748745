"""Conditions of Forge tasks (`inputs.summarize == true AND steps.a.output.score >= 0.8`) to expressions of ours."""

import json
import re
from typing import Final

from weft.formats.evolver_fields import Given
from weft.formats.evolver_references import References, first_of
from weft.model.expression import parse
from weft.model.tokens import ExpressionError, shown

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<operator>==|!=|<=|>=|<|>|&&|\|\||!|\(|\))|(?P<number>-?\d+(?:\.\d+)?)|'(?P<single>[^']*)'|"(?P<double>[^"]*)"
    |(?P<opened>\$\{\s*)?(?P<path>[A-Za-z_][\w-]*(?:\.[\w-]+|\[\d+\])*)(?(opened)\s*\}))""",
    re.X,
)
_WORDS: Final = {
    "and": "&&",
    "or": "||",
    "not": "!",
    "true": "true",
    "false": "false",
    "null": "null",
    "none": "null",
    "in": "in",
}
CHARS_MAX: Final = 4_000
"""More than a person writes in one line."""


def lower_condition(given: Given, references: References) -> str:
    """The condition of a task; empty if it has none, or one that cannot be read, which is reported."""
    value = given.fields["condition"]
    if isinstance(value, bool):
        return str(value).lower()
    text = given.text("condition").strip()
    if whole := re.fullmatch(r"\$\{([^{}]*)\}", text):
        text = whole[1]
    before = given.findings.count
    result = _translated(text, given, references)
    if given.findings.count > before:
        return ""
    try:
        parse(result)
    except ExpressionError as error:
        _refuse(given, f"{error}")
        return ""
    return result


def _translated(text: str, given: Given, references: References) -> str:
    parts: list[str] = []
    at = 0
    while text[at:].strip():
        found = _TOKEN.match(text, at) if len(text) <= CHARS_MAX else None
        if not found:
            _refuse(given, f"`{shown(text[at:].strip()[:20])}` means nothing in it")
            return ""
        at, before = found.end(), given.findings.count
        if path := found["path"]:
            parts.append(_WORDS.get(path.lower()) or _referred(path, given, references))
            if given.findings.count > before:
                return ""
        elif found["operator"] or found["number"]:
            parts.append(found["operator"] or found["number"])
        else:
            parts.append(json.dumps(found["single"] if found["single"] is not None else found["double"], ensure_ascii=False))
    return " ".join(parts).replace("! ", "!")


def _referred(path: str, given: Given, references: References) -> str:
    before = given.findings.count
    paths = references.dotted(path, given.at("condition"))
    if not paths and given.findings.count == before:
        _refuse(given, f"`{shown(path)}` is no input and no step")
    return first_of(paths) if paths else "null"


def _refuse(given: Given, reason: str) -> None:
    hint = "inputs.summarize == true AND steps.first.output.score >= 0.8"
    given.wrong(f"the condition cannot be read: {reason}", given.at("condition"), hint, "W813")
