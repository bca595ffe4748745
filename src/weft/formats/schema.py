"""The native format as JSON Schema (draft-07), for editors. A test holds it together with the reader in formats.shapes.

What a schema cannot say (whether a need exists, whether an expression can be read) is left to `weft check`.
"""

from itertools import combinations
from typing import Any, TypeAlias

from weft.formats.yaml_source import read_yaml
from weft.model.keys import Key, Keys
from weft.model.shape import (
    DURATION,
    RATE,
    SIZE,
    Amount,
    Anything,
    Boolean,
    Choice,
    Duration,
    Frequency,
    Integer,
    ListOf,
    MapOf,
    Number,
    Record,
    Shape,
    Size,
    Text,
)
from weft.model.spec import RECORDS
from weft.model.units import DURATION_MAX_S, SIZE_MAX_BYTES
from weft.model.workflow import Value

Schema: TypeAlias = dict[str, Any]

_NO_EXPRESSION = {"not": {"pattern": r"(^|[^$])\$\{\{"}}
_FILLED = r"\S"


def schema() -> Schema:
    """The whole schema, as plain data."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "weft workflow",
        "description": "A workflow in weft's native format (YAML or JSON).",
        **_record(RECORDS["workflow"]),
        "definitions": {name: _record(record) for name, record in RECORDS.items() if name != "workflow"},
    }


def example(key: Key) -> Value:
    """The value of a key's example."""
    document, problems = read_yaml(f"value: {key.example}".encode(), key.name, 64, 0)
    assert document is not None, problems
    return document.value["value"]


def _record(record: Keys) -> Schema:
    required = [key.name for key in record.keys if key.required]
    exclusive = [pair for key in record.keys for pair in combinations((key.name, *key.spellings), 2)]
    result: Schema = {
        "type": "object",
        "properties": {spelling: _property(key, spelling) for key in record.keys for spelling in (key.name, *key.spellings)},
        "additionalProperties": False,
    }
    if required:
        result["required"] = required
    if record.one_of:
        result["oneOf"] = [{"required": [name]} for name in record.one_of]
    if record.some_of:
        result["anyOf"] = [{"required": [name]} for name in record.some_of]
    if exclusive:
        result["allOf"] = [{"not": {"required": list(pair)}} for pair in exclusive]
    return result


def _property(key: Key, spelling: str) -> Schema:
    description = key.description if spelling == key.name else f"Another spelling of `{key.name}`. {key.description}"
    if key.default:
        description += f" Default: {key.default}."
    return {"description": description, **fragment(key.shape), "examples": [example(key)]}


def fragment(shape: Shape) -> Schema:
    """The schema of a shape."""
    match shape:
        case Text():
            return _text(shape)
        case Integer() | Number():
            kind = "integer" if isinstance(shape, Integer) else "number"
            return {"type": kind, "minimum": shape.minimum, "maximum": shape.maximum}
        case Boolean():
            return {"type": "boolean"}
        case Choice():
            return {"enum": list(shape.values)}
        case Duration():
            least = {"exclusiveMinimum": 0} if shape.positive else {"minimum": 0}
            number = {"type": "number", **least, "maximum": DURATION_MAX_S}
            return {"anyOf": [number, {"type": "string", "pattern": f"^({DURATION})$"}]}
        case Size():
            return {"type": "string", "pattern": f"^({SIZE})$"}
        case Amount():
            word = "|auto" if shape.auto else ""
            number = {"type": "number", "exclusiveMinimum": 0, "maximum": SIZE_MAX_BYTES}
            return {"anyOf": [number, {"type": "string", "pattern": f"^({SIZE}{word})$"}]}
        case Frequency():
            return {"type": "string", "pattern": f"^({RATE})$"}
        case ListOf():
            return {"type": "array", "items": fragment(shape.item), "minItems": int(shape.filled)}
        case MapOf():
            return {
                "type": "object",
                "additionalProperties": fragment(shape.item),
                "propertyNames": {"pattern": f"^({shape.key})$"},
                "minProperties": int(shape.filled),
            }
        case Record():
            return {"allOf": [{"$ref": "#" if shape.name == "workflow" else f"#/definitions/{shape.name}"}]}
        case Anything():
            return {}
    return {"anyOf": [fragment(option) for option in shape.options]}


def _text(shape: Text) -> Schema:
    result: Schema = {"type": "string"}
    if shape.pattern:
        result["pattern"] = f"^({shape.pattern})$"
    elif shape.field != "data" or shape.filled:
        result["pattern"] = _FILLED
    if shape.field in ("plain", "code"):
        result |= _NO_EXPRESSION
    return result
