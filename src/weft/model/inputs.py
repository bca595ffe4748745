"""The types of inputs: which values fit them."""

from weft.model.workflow import InputType, Value

_TYPES: dict[InputType, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "mapping": (dict,),
}


def fits(type_: InputType, value: Value) -> bool:
    """Whether a value may be given to an input of this type. `true` is not a number, and `2.0` not a whole one."""
    return type_ == "any" or type(value) in _TYPES[type_]
