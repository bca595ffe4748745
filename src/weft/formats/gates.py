"""Gates of the native format: `approve` and `gate` of a step, `gates` of a workflow."""

from collections.abc import Callable

from weft.formats.document import Findings, Where
from weft.formats.references import References
from weft.formats.shapes import Fields
from weft.model.workflow import Approve, Input

_ASKED = ("message", "show", "answer", "prompt", "model", "system")
"""What is evaluated when a gate opens, or a model is asked."""


def read_question(fields: Fields, key: str, findings: Findings, read_input: Callable[[str, Fields], Input]) -> Approve | None:
    """What a mapping with a field `approve`, `gate` or `gates` asks; None if it has no such field."""
    given = fields.get(key)
    if given is None:
        return None
    if isinstance(given, str):
        return Approve(message=given if key == "approve" else "")
    form = {name: read_input(name, field) for name, field in given.get("form", {}).items()}
    on_timeout = given.get("on_timeout", "reject")
    if "on_timeout" in given and "timeout" not in given and "answer" not in given:
        message, hint = "`on_timeout` says nothing about a gate that waits for ever", "add `timeout: 2d`, or remove it"
        findings.add("W214", message, Where(given.at("on_timeout"), "key"), hint=hint)
    missing = [name for name, field in form.items() if field.required]
    if on_timeout == "approve" and missing:
        message = f"nobody fills in `{missing[0]}` when the gate is approved by its timeout"
        hint = "give it a default, or choose another `on_timeout`"
        findings.add("W311", message, Where(given.at("form", missing[0]), "key"), hint=hint)
    return Approve(
        message=given.get("message", ""),
        show=given.get("show"),
        form=form,
        timeout_s=given.get("timeout"),
        on_timeout=on_timeout,
        answer=given.get("answer"),
    )


def refer(fields: Fields, key: str, id_: str, references: References) -> list[str]:
    """The steps that a question to a person or a model refers to, each of which is a need of the step."""
    given = fields.get(key)
    if isinstance(given, Fields):
        asked = [name for name in _ASKED if name in given]
        return [need for name in asked for need in references.in_value(given[name], given.at(name), id_)]
    return references.in_value(given, fields.at(key), id_) if given else []
