"""Templates of YAML workflows, and their instances: parameters bound and checked, `extends` and `overrides` merged.

A parameter is a constant of the workflow that comes out: `{{parameters.x}}` of a step is evaluated like any other value, so what
an instance gives never becomes text of a command.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from weft.formats.document import Document, Path, Where
from weft.formats.ghyaml_reading import Reading
from weft.formats.shapes import described, quoted
from weft.model.tokens import shown
from weft.model.workflow import Value

Find: TypeAlias = Callable[[str], tuple[Document, str] | None]
"""The template with this id, and the name of its file."""

MATCHED_CHARS_MAX: Final = 1_000
"""Of a value that a pattern is matched with while the file is loaded."""
EXTENDS_MAX: Final = 8
"""Templates that extend each other."""
FOLDERS: Final = ("", "templates/", "../templates/")
ENDINGS: Final = (".yaml", ".yml", ".json")
INSTANCE_KEYS: Final = ("templateId", "parameters", "name", "overrides", "description", "metadata")
TEMPLATE_KEYS: Final = ("metadata", "parameters", "extends", "template", "overrides")
_PARAMETER_KEYS: Final = ("name", "type", "description", "required", "default", "validation")
_NUMBER: Final = ((int, float), "a number")
_RULES: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    "pattern": ((str,), "a text"),
    **dict.fromkeys(("minLength", "maxLength", "minimum", "maximum"), _NUMBER),
    "enum": ((list,), "a list"),
}
"""What each rule of a parameter holds."""
TYPES: Final[dict[str, tuple[tuple[type, ...], Value]]] = {
    "string": ((str,), ""),
    "number": ((int, float), 1),
    "integer": ((int,), 1),
    "boolean": ((bool,), False),
    "array": ((list,), []),
    "object": ((dict,), {}),
}
"""What a value of each type is, and one that stands for any."""


def is_template(value: Value) -> bool:
    return (
        isinstance(value, dict)
        and ("template" in value or "extends" in value)
        and isinstance(value.get("metadata"), dict | None)
        and "steps" not in value
    )


def is_instance(value: Value) -> bool:
    return isinstance(value, dict) and "templateId" in value and "steps" not in value


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow as a mapping, with the values of its parameters. `path`: where it stands in the document."""

    workflow: dict[str, Value]
    parameters: dict[str, Value]
    path: Path = ("template",)


def merged(base: Value, over: Value) -> Value:
    """Mappings key by key, lists of steps and parameters by their id or name, anything else replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: merged(base[key], value) if key in base else value for key, value in over.items()}}
    if isinstance(base, list) and isinstance(over, list):
        ids = [_id(item) for item in (*base, *over)]
        if ids and all(ids):
            found = {_id(item): item for item in base}
            for item in over:
                found[_id(item)] = merged(found.get(_id(item)), item)
            return list(found.values())
    return over


def _id(item: Value) -> str:
    found = item.get("id", item.get("name")) if isinstance(item, dict) else None
    return found if isinstance(found, str) else ""


class Template:
    """Of one file. `alone`: it is run itself, without an instance, so that what is given may also be variables."""

    def __init__(self, document: Document, reading: Reading, find: Find, name: str, *, alone: bool = False) -> None:
        self.reading, self.find, self.name, self.alone = reading, find, name, alone
        self.value: dict[str, Any] = document.value

    def bind(self, given: Mapping[str, Value] | None, where: Where, blame: Reading, overrides: Value = None) -> Bound | None:
        """The workflow, unless there is none. `given`: the values that an instance or the command line gives; None: nobody was
        asked yet. What is wrong with them is reported to `blame` at `where`: they may come from another file."""
        self.reading.check_keys(self.value, TEMPLATE_KEYS, (), "a template")
        before = self.reading.findings.count
        whole = self._extended(self.value, [self.name])
        is_whole, template = self.reading.findings.count == before, whole.get("template")
        if not isinstance(template, dict) and (is_whole or "template" in self.value):
            self.reading.wrong(f"`template` is {described(template)}, where a workflow must be", ("template",), code="W912")
        declared = self._declared(whole.get("parameters"))
        if not is_whole:  # what is missing would be missed all over again
            return None
        parameters = self._values(declared, given, where, blame)
        if not isinstance(template, dict):
            return None
        for over in (self.value.get("overrides"), overrides):
            template = merged(template, over) if isinstance(over, dict) else template
        return Bound(workflow=template, parameters=parameters)

    def _extended(self, value: dict[str, Any], chain: list[str]) -> dict[str, Any]:
        base = value.get("extends")
        if base is None:
            return value
        found = self.find(base) if isinstance(base, str) else None
        message = ""
        if found is None:
            message = f"there is no template `{shown(str(base))}` to extend"
        elif found[1] in chain or len(chain) > EXTENDS_MAX:
            message = f"these templates extend each other: {' → '.join([*chain, found[1]])}"
        elif not is_template(found[0].value):
            message = f"`{found[1]}` is no template"
        if message or found is None:
            self.reading.wrong(message, ("extends",), "a template is looked for as ID.yaml beside the file", "W912")
            return value
        under = self._extended(found[0].value, [*chain, found[1]])
        if isinstance(over := under.get("overrides"), dict):
            under = {**under, "template": merged(under.get("template"), over)}
        return {**value, **{key: merged(under.get(key), value.get(key, under.get(key))) for key in ("template", "parameters")}}

    def _declared(self, given: Value) -> dict[str, dict[str, Any]]:
        declared = {}
        if not isinstance(given, list | None):
            self.reading.wrong(f"`parameters` is {described(given)}, where a list must be", ("parameters",), code="W912")
            given = []
        for n, one in enumerate(given or []):
            path = ("parameters", n)
            name = one.get("name") if isinstance(one, dict) else None
            if not isinstance(name, str) or not name:
                self.reading.wrong("a parameter has no `name`", path, '{ name: "region", type: string }', "W912")
                continue
            self.reading.check_keys(one, _PARAMETER_KEYS, path, "a parameter")
            if name in declared:
                self.reading.wrong(f"the parameter `{shown(name)}` is declared twice", (*path, "name"), "remove one", "W912")
            self.reading.flag(one, "required", path)
            self._check_rules(self.reading.mapping(one.get("validation"), (*path, "validation")), (*path, "validation"))
            kind = one.get("type", "string")
            if kind not in TYPES:
                hint = self.reading.findings.suggest(str(kind), TYPES) or f"it is one of {quoted(TYPES)}"
                self.reading.wrong(f"there is no type `{shown(str(kind))}`", (*path, "type"), hint, "W912")
                continue
            declared[name] = one
            if one.get("default") is not None and (wrong := check(one, one["default"])):
                self.reading.wrong(f"the default of the parameter `{name}` {wrong}", (*path, "default"), code="W912")
        return declared

    def _check_rules(self, rules: Mapping[str, Value], path: Path) -> None:
        self.reading.check_keys(rules, _RULES, path, "a validation")
        for rule, value in rules.items():
            kinds, what = _RULES.get(rule, ((), ""))
            if kinds and (not isinstance(value, kinds) or isinstance(value, bool)):
                self.reading.wrong(f"`{rule}` is {described(value)}, where {what} must be", (*path, rule), code="W912")
        pattern = rules.get("pattern")
        if isinstance(pattern, str) and may_hang(pattern):
            where, hint = Where((*path, "pattern")), "write it without a repetition in a repetition"
            self.reading.warn("W912", "this pattern might take for ever, so nothing is checked with it", where, hint)
        elif isinstance(pattern, str):
            try:
                re.compile(pattern)
            except re.error as error:
                self.reading.wrong(f"`{shown(pattern)}` is no pattern: {error}", (*path, "pattern"), code="W912")

    def _values(
        self, declared: Mapping[str, dict[str, Any]], given: Mapping[str, Value] | None, where: Where, blame: Reading
    ) -> dict[str, Value]:
        values: dict[str, Value] = {}
        add = blame.findings.add
        for name in given or {}:
            if name not in declared and not self.alone:
                hint = blame.findings.suggest(name, declared) or f"it has {quoted(declared) or 'none'}"
                add("W912", f"the template has no parameter `{shown(name)}`", where._replace(path=(*where.path, name)), hint=hint)
        for name, one in declared.items():
            if name in (given or {}):
                values[name] = (given or {})[name]
                if wrong := check(one, values[name]):
                    values[name] = one.get("default", TYPES[one.get("type", "string")][1])
                    add("W912", f"the parameter `{name}` {wrong}", where._replace(path=(*where.path, name)))
            elif "default" in one or not one.get("required"):
                values[name] = one.get("default")
            else:
                values[name] = TYPES[one.get("type", "string")][1]
                if given is not None:
                    add("W912", f"the parameter `{name}` of the template is not given", where, hint=f"add `{name}`")
        return values


def check(declared: Mapping[str, Any], value: Value) -> str:
    """What is wrong with the value of a parameter, as the end of a sentence; empty if nothing is."""
    kind = declared.get("type", "string")
    kinds = TYPES[kind][0]
    if not isinstance(value, kinds) or (isinstance(value, bool) and kind != "boolean"):
        return f"is {described(value)}, where {'an' if kind[0] in 'aio' else 'a'} {kind} must be"
    rules = declared.get("validation")
    rules = rules if isinstance(rules, dict) else {}
    if isinstance(rules.get("enum"), list) and value not in rules["enum"]:
        return f"is none of {msgspec.json.encode(rules['enum']).decode()}"
    measured: float = value if isinstance(value, int | float) else len(value)  # type: ignore[arg-type]  # a text, list or mapping
    least, most = ("minimum", "maximum") if isinstance(value, int | float) else ("minLength", "maxLength")
    for rule, sign in ((least, 1), (most, -1)):
        bound = rules.get(rule)
        if isinstance(bound, int | float) and sign * measured < sign * bound:
            return f"does not fit: `{rule}` is {bound}"
    pattern = rules.get("pattern")
    return _against(pattern, value) if isinstance(pattern, str) and isinstance(value, str) else ""


def _against(pattern: str, value: str) -> str:
    if len(value) > MATCHED_CHARS_MAX:
        return f"has more than {MATCHED_CHARS_MAX:,} characters, too many for a pattern"
    try:
        if may_hang(pattern) or re.search(pattern, value):
            return ""
    except re.error:
        return ""  # which has been told where it stands
    return f"does not match the pattern `{shown(pattern)}`"


def may_hang(pattern: str) -> bool:
    """Whether matching might take for ever, as far as can be seen: something repeated in what is repeated, or chosen in it."""
    return bool(re.search(r"\([^()]*[+*}|][^()]*\)[+*{]|\)\)[+*{]|\\[1-9]", pattern))


def read_given(texts: Mapping[str, str]) -> dict[str, Value]:
    """What the command line gives: JSON where it can be, else text."""
    values: dict[str, Value] = {}
    for name, text in texts.items():
        try:
            values[name] = msgspec.json.decode(text)
        except msgspec.DecodeError:
            values[name] = text
    return values
