"""The inputs of a Code Evolver workflow: what it declares, and what a step gives to a workflow that it runs."""

from collections.abc import Mapping
from typing import Final

from weft.formats.document import Findings, Path, Where
from weft.formats.evolver_fields import Given
from weft.formats.shapes import described, quoted
from weft.model.inputs import fits
from weft.model.template import has_template
from weft.model.tokens import shown
from weft.model.workflow import Input, InputType, Value, Workflow

TYPES: Final[Mapping[str, InputType]] = {
    **dict.fromkeys(("string", "str", "text", "file", "path", "url"), "string"),
    **dict.fromkeys(("integer", "int"), "integer"),
    **dict.fromkeys(("number", "float"), "number"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("array", "list"), "list"),
    **dict.fromkeys(("object", "dict", "mapping"), "mapping"),
    "any": "any",
}
KEYS: Final = ("name", "type", "required", "default", "description", "enum", "pattern", "items", "minimum", "maximum", "examples")


def read_inputs(root: Given) -> dict[str, Input]:
    """`inputs` or `input_parameters`: a mapping by name, or a list of mappings with names."""
    key = root.key("inputs", "input_parameters")
    found = root.fields.get(key)
    named: dict[str, tuple[Value, Path]] = {}
    if isinstance(found, list):
        for n, item in enumerate(found):
            name = item.get("name") if isinstance(item, dict) else item
            if isinstance(name, str):
                named[name] = (item if isinstance(item, dict) else {}, (*root.path, key, n))
            else:
                root.wrong(f"input {n + 1} has no `name`", (*root.path, key, n), "{ name: topic, type: string }")
    else:
        named = {name: (item, (*root.path, key, name)) for name, item in root.mapping(key).items()}
    inputs = {}
    for name, (item, path) in named.items():
        if isinstance(item, dict):
            inputs[name] = _input(name, Given(item, path, root.findings))
        elif isinstance(item, str) and item in TYPES:
            inputs[name] = Input(type=TYPES[item], required=True)
        else:
            inputs[name] = Input(default=item)
    return inputs


def _input(name: str, given: Given) -> Input:
    given.check_keys(KEYS, "an input")
    written = given.text("type", default="any")
    if written not in TYPES:
        hint = given.findings.suggest(written, TYPES) or f"it is one of {quoted(TYPES, 20)}"
        given.wrong(f"the input `{shown(name)}` has the type `{shown(written)}`, which there is not", given.at("type"), hint)
    type_ = TYPES.get(written, "any")
    default = given.fields.get("default")
    if default is not None and not fits(type_, default):
        message = f"the default of the input `{shown(name)}` is {described(default)}, and its type is {written}"
        given.wrong(message, given.at("default"), "correct one of them")
        default = None
    choices = tuple(given.items("enum"))
    if choices and default is not None and default not in choices:
        given.wrong(f"the default of the input `{shown(name)}` is not in its `enum`", given.at("default"), "add it there")
    required = given.flag("required", default=True) and "default" not in given.fields
    return Input(type=type_, default=default, required=required, description=given.text("description"), choices=choices)


def check_given(workflow: Workflow, mapping: Mapping[str, Value], given: Given, findings: Findings) -> None:
    """Whether a step gives the workflow that it runs what that takes."""
    for name, value in mapping.items():
        declared = workflow.inputs.get(name)
        path = next((given.at(key, name) for key in given.fields if name in _keys(given.fields[key])), given.path)
        if declared is None:
            known = f"it has {quoted(workflow.inputs)}" if workflow.inputs else "it has no inputs"
            hint = findings.suggest(name, workflow.inputs) or known
            message = f"the workflow `{shown(workflow.name)}` has no input `{shown(name)}`"
            findings.add("W806", message, Where(path, "key"), hint=hint)
        elif not (isinstance(value, str) and has_template(value)) and not fits(declared.type, value):
            of = f"the input `{shown(name)}` of `{shown(workflow.name)}`"
            message = f"{of} is of the type {declared.type}, and this is {described(value)}"
            findings.add("W806", message, Where(path), hint="give it a value of that type")
    for name, declared in workflow.inputs.items():
        if declared.required and name not in mapping:
            message = f"the workflow `{shown(workflow.name)}` needs the input `{shown(name)}`, which the step does not give"
            findings.add("W806", message, Where(given.path), hint=f'"input_mapping": {{ "{shown(name)}": "inputs.…" }}')


def _keys(value: Value) -> Mapping[str, Value]:
    return value if isinstance(value, dict) else {}
