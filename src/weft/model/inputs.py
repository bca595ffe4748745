"""The inputs of a run: what was given, checked against what the workflow declares."""

from collections.abc import Mapping

import msgspec

from weft.model.errors import UsageError
from weft.model.suggest import did_you_mean
from weft.model.workflow import Input, InputType, Value, Workflow

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


def bind_inputs(workflow: Workflow, given: Mapping[str, str]) -> dict[str, Value]:
    """The value of every input, from texts (`key=value` of the command line) and defaults.

    Texts are read by the declared type: a string stays as it is, the rest is JSON; `any` is JSON if it can be, else a string.
    Raises UsageError with all that is wrong, a line each.
    """
    wrong = []
    values: dict[str, Value] = {}
    for name in given:
        if name not in workflow.inputs:
            near = did_you_mean(name, workflow.inputs)
            hint = f"; did you mean `{near}`?" if near else f"; it has {_list(workflow)}"
            wrong.append(f"`{name}` is not an input of workflow `{workflow.name}`{hint}")
    for name, declared in workflow.inputs.items():
        if name not in given:
            if declared.required:
                wrong.append(f"input `{name}` ({declared.type}) is missing: give `{name}=…`")
            values[name] = declared.default
            continue
        try:
            values[name] = _read(given[name], declared)
        except ValueError as error:
            wrong.append(f"input `{name}`: {error}")
    if wrong:
        raise UsageError("\n".join(wrong))
    return values


def check_inputs(workflow: Workflow, given: Mapping[str, Value]) -> dict[str, Value]:
    """The value of every input of a sub-workflow, from the `with` of its step and defaults. Raises ValueError."""
    return check_values(workflow.inputs, given, "input", f" of workflow `{workflow.name}`")


def check_values(declared: Mapping[str, Input], given: Mapping[str, Value], what: str, of: str = "") -> dict[str, Value]:
    """The value of everything declared, from what is given and defaults. Raises ValueError, which calls each a `what`."""
    wrong = [f"`{name}` is not {_a(what)} {what}{of}" for name in given if name not in declared]
    for name, one in declared.items():
        if name not in given:
            wrong += [f"{what} `{name}`{of} is missing"] if one.required else []
        elif not fits(one.type, given[name]):
            wrong.append(f"{what} `{name}`{of} must be {_article(one.type)}")
        elif one.choices and given[name] not in one.choices:
            wrong.append(f"{what} `{name}`{of} is none of {msgspec.json.encode(one.choices).decode()}")
    if wrong:
        raise ValueError("; ".join(wrong))
    return {name: given.get(name, one.default) for name, one in declared.items()}


def read_values(declared: Mapping[str, Input], given: Mapping[str, str]) -> dict[str, Value]:
    """Texts as the values that are declared; what is not declared stays text. Raises ValueError."""
    return {name: _read(text, declared[name]) if name in declared else text for name, text in given.items()}


_SAMPLES: dict[InputType, Value] = {"string": "", "integer": 0, "number": 0, "boolean": False, "list": [], "mapping": {}}


def any_values(declared: Mapping[str, Input]) -> dict[str, Value]:
    """Some value for everything declared, as nobody is there to say which."""
    found = {}
    for name, one in declared.items():
        sample = one.choices[0] if one.choices else _SAMPLES.get(one.type)
        found[name] = sample if one.required else one.default
    return found


def _list(workflow: Workflow) -> str:
    return ", ".join(f"`{name}`" for name in workflow.inputs) or "no inputs"


def _read(text: str, declared: Input) -> Value:
    if declared.type == "string":
        value: Value = text
    else:
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError:
            if declared.type != "any":
                raise ValueError(f"`{text}` is not {_article(declared.type)}") from None
            value = text
    if not fits(declared.type, value):
        raise ValueError(f"`{text}` is not {_article(declared.type)}")
    if declared.choices and value not in declared.choices:
        raise ValueError(f"`{text}` is none of {', '.join(str(choice) for choice in declared.choices)}")
    return value


def _article(type_: InputType) -> str:
    example = {"list": ' (as JSON: `["a", "b"]`)', "mapping": ' (as JSON: `{"a": 1}`)', "boolean": " (`true` or `false`)"}
    return f"{_a(type_)} {type_}{example.get(type_, '')}"


def _a(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"
