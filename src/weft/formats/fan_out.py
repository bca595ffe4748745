"""Fan-outs of the native format: `for_each`, `matrix`, `as` and `key`, and what the fields of such a step see besides."""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from weft.formats.document import Findings, Where
from weft.formats.references import References, has_expressions
from weft.formats.shapes import Fields, quoted
from weft.model.expression import ExpressionError, parse
from weft.model.items import followed
from weft.model.matrix import MODIFIERS, combinations
from weft.model.nodes import Path
from weft.model.template import has_template, parse_template, resolve
from weft.model.tokens import shown
from weft.model.workflow import ITEMS_MAX, Value

ROOTS = ("inputs", "steps", "run", "key", "secrets", "env")
"""Names that have, or had elsewhere, another meaning at the beginning of a path."""

KEYS_COMPARED_MAX = 10_000
"""Items written out in a file whose keys are compared before a run; evaluating them all takes less than a tenth of a second."""

_NO_LISTS = ("string", "integer", "number", "boolean")
_ONLY_WITH = ("as", "key", "items_max")


class FanOut(NamedTuple):
    """`settings` are fields of the Step. `follows`: the fan-out whose output `for_each` is, if it is that alone. `needs`: steps
    that the items come from. `own`: names that the step's fields see, with the names inside where they are known."""

    settings: dict[str, Any]
    follows: str
    needs: list[str]
    own: Mapping[str, Collection[str] | None]

    def wired(self, elsewhere: Collection[str]) -> str:
        """The fan-out whose instances the instances of this one need one to one. `elsewhere`: what the step needs besides."""
        keeps_keys = self.follows and not self.settings["key"]
        return self.follows if keeps_keys and self.needs.count(self.follows) == 1 and self.follows not in elsewhere else ""

    def is_seen_in(self, condition: str) -> bool:
        """Whether an `if` (that can be read) refers to the item."""
        return bool(condition) and any(reference.root in self.own for reference in parse(condition).references)


def fans_out(step: Value) -> bool:
    """Whether a step, as it stands in the file, has instances."""
    return isinstance(step, dict) and ("for_each" in step or "matrix" in step)


def item_name(step: Value) -> str:
    """What its item is called."""
    name = step.get("as") or ("matrix" if "matrix" in step else "item")
    return name if isinstance(name, str) else "item"


def read_fan_out(fields: Fields, id_: str, references: References, findings: Findings) -> FanOut | None:
    """What a step says of its items; None if it is done once. Sets what references in the step's other fields may see."""
    references.own = {}
    source = "matrix" if "matrix" in fields else "for_each"
    if source not in fields:
        for key in _ONLY_WITH:
            if key in fields:
                message, hint = f"`{key}` says nothing about a step without `for_each`", "add `for_each`, or remove it"
                findings.add("W214", message, Where(fields.at(key), "key"), hint=hint)
        return None
    if "for_each" in fields and source == "matrix":
        seconds = [(Where(fields.at("for_each"), "key"), "the other one")]
        message, hint = f"the step `{id_}` has both `for_each` and `matrix`", "keep one of them"
        findings.add("W207", message, Where(fields.at("matrix"), "key"), seconds=seconds, hint=hint)
    items, before = fields[source], findings.count
    needs = references.in_value(items, fields.at(source), id_)
    item = fields.get("as", "matrix" if source == "matrix" else "item")
    _check_name(item, fields, findings)
    follows = _follows(items, source, fields, references, findings)
    own = {item: _axes(items) if source == "matrix" else None, "key": None}
    references.own = own
    key = fields.get("key", "")
    if key:
        needs += references.in_value(key, fields.at("key"), id_)
        _check_key(key, own, fields, findings)
    settings = {
        "for_each": items,
        "item": item,
        "key": key,
        "matrix": source == "matrix",
        "items_max": fields.get("items_max", ITEMS_MAX),
    }
    if findings.count == before:
        _check_items(settings, source, fields, findings)
    return FanOut(settings, follows, needs, own)


def _check_name(item: str, fields: Fields, findings: Findings) -> None:
    """The name of the item must be one that an expression can say, and mean nothing else."""
    try:
        node = parse(item).node
        fine = isinstance(node, Path) and node.root == item and item not in ROOTS
    except ExpressionError:
        fine = False
    if not fine:
        message = f"an item cannot be called `{shown(item)}`: that means something else in expressions"
        findings.add("W232", message, Where(fields.at("as")), hint="choose another name, such as `item`")


def _follows(items: Value, source: str, fields: Fields, references: References, findings: Findings) -> str:
    """The fan-out whose output the items are. What can be no list or mapping is reported."""
    if not isinstance(items, str):
        return ""
    where = Where(fields.at(source))
    try:
        whole = parse_template(items).whole
    except ExpressionError:
        return ""  # it has been reported
    if whole is None:
        hint = "give it a list, a mapping, or one whole `${{ }}`"
        if not has_template(items) and "." in items:
            hint = f"write `${{{{ {shown(items.strip())} }}}}`"
        findings.add("W231", f"`{source}` is a text, which has no items", where, hint=hint)
        return ""
    node = whole.node
    if isinstance(node, Path) and node.root == "inputs" and len(node.keys) == 1:
        name, type_ = node.keys[0], references.input_type(str(node.keys[0]))
        if type_ in _NO_LISTS:
            hint = "let the input be a list: `type: list`"
            findings.add("W231", f"the input `{name}` is of type {type_}, which has no items", where, hint=hint)
    of = followed(items)
    return of if of in references.fan_outs else ""


def _axes(matrix: dict[str, Value]) -> Collection[str] | None:
    """The names in an item of a matrix; None if they are not known before the run."""
    names = [name for name in matrix if name not in MODIFIERS]
    included = matrix.get("include", [])
    if not isinstance(included, list) or not all(isinstance(each, dict) for each in included):
        return None
    return dict.fromkeys([*names, *(name for each in included for name in each)])


def _check_key(key: str, own: Collection[str], fields: Fields, findings: Findings) -> None:
    try:
        parts = parse_template(key).parts
    except ExpressionError:
        return  # it has been reported
    if not any(ref.root in own for part in parts if not isinstance(part, str) for ref in part.references):
        hint = f"refer to {quoted(own)}"
        findings.add("W231", "this key would be the same for every item", Where(fields.at("key")), hint=hint)


def _check_items(settings: Mapping[str, Any], source: str, fields: Fields, findings: Findings) -> None:
    """Items that are written out in the file can be looked at now."""
    items, key, item = settings["for_each"], settings["key"], settings["item"]
    if isinstance(items, str) or has_expressions(items):
        return
    where = Where(fields.at(source))
    try:
        if settings["matrix"]:
            items = combinations(items, settings["items_max"])
        if len(items) > settings["items_max"]:
            raise ValueError(f"`for_each` has {len(items):,} items, `items_max` is {settings['items_max']:,}")
        if not key or len(items) > KEYS_COMPARED_MAX:
            return
        pairs = items.items() if isinstance(items, dict) else ((str(n), each) for n, each in enumerate(items))
        seen = set()
        for default, each in pairs:
            name = resolve(key, {item: each, "key": default})
            if isinstance(name, str | int | float) and name in seen:
                raise ValueError(f"two items have the key `{shown(str(name))}`")
            seen.add(name if isinstance(name, str | int | float) else None)
    except ExpressionError:
        return  # it refers to more than the item, or to something that an item lacks: the run will tell
    except ValueError as error:
        hint = "let each have a key of its own"
        if "items_max" in str(error):
            hint = "raise `items_max`, or do with fewer"
        elif " not a list" in str(error):
            hint = "an axis is a list of values; `include` and `exclude` are lists of mappings"
        findings.add("W231", str(error), where, hint=hint)
