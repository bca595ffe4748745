"""`agent` of the native format."""

from typing import Final

from weft.formats.document import Findings, Path, Where
from weft.formats.shapes import Fields, described, quoted
from weft.model.tokens import shown
from weft.model.workflow import Agent, Value

_TYPES: Final = ("object", "array", "string", "number", "integer", "boolean", "null")
"""Of JSON Schema."""
_ONE_INSIDE: Final = ("items", "additionalProperties", "not", "contains")
_MANY_INSIDE: Final = ("properties", "$defs", "patternProperties")
_LISTED_INSIDE: Final = ("anyOf", "allOf", "oneOf", "prefixItems")


def read_agent(fields: Fields, findings: Findings) -> Agent:
    """The question of a step."""
    given = fields["agent"]
    if isinstance(given, str):
        return Agent(prompt=given)
    if "schema" in given:
        _check_schema(given["schema"], given.at("schema"), findings)
    return Agent(**{"prompt": "", **given})


def _check_schema(schema: Value, path: Path, findings: Findings) -> None:
    """The types in a JSON Schema: a misspelled one would refuse every answer. The rest of it is checked when it is used."""
    if not isinstance(schema, dict):
        if not isinstance(schema, bool):
            message = f"a schema must be a mapping, but is {described(schema)}"
            findings.add("W202", message, Where(path), hint="write `{ type: string }`, for example")
        return
    kinds, at = schema.get("type", []), (*path, "type")
    for index, kind in enumerate(kinds if isinstance(kinds, list) else [kinds]):
        where = Where((*at, index) if isinstance(kinds, list) else at)
        if not isinstance(kind, str):
            message = f"a type must be text, but is {described(kind)}"
            findings.add("W202", message, where, hint=f"it is one of {quoted(_TYPES)}")
        elif kind not in _TYPES:
            hint = findings.suggest(kind, _TYPES) or f"it is one of {quoted(_TYPES)}"
            findings.add("W205", f"there is no type `{shown(kind)}` in JSON", where, hint=hint)
    for name in _ONE_INSIDE:
        if name in schema:
            _check_schema(schema[name], (*path, name), findings)
    for name in _MANY_INSIDE:
        inside = schema.get(name)
        for key, inner in inside.items() if isinstance(inside, dict) else ():
            _check_schema(inner, (*path, name, key), findings)
    for name in _LISTED_INSIDE:
        inside = schema.get(name)
        for index, inner in enumerate(inside if isinstance(inside, list) else ()):
            _check_schema(inner, (*path, name, index), findings)
