"""The items of a fan-out by their keys, and what of them is known before a run. Nothing here knows where values come from."""

from collections.abc import Collection, Iterator, Mapping

import msgspec

from weft.model.expression import Reference
from weft.model.frame import Scope, type_name
from weft.model.matrix import combinations
from weft.model.nodes import Path
from weft.model.template import expressions, has_template, parse_template, resolve
from weft.model.workflow import Step, Value


def items_of(step: Step, scope: Scope) -> dict[str, Value]:
    """The items of a fan-out by key, in order. Raises ValueError if there are too many, or two with one key."""
    value = resolve(step.for_each, scope)
    if step.matrix and isinstance(value, dict):
        value = combinations(value, step.items_max)
    if not isinstance(value, list | dict):
        raise ValueError(f"`for_each` is {type_name(value)}, where a list or a mapping must be")
    if len(value) > step.items_max:
        raise ValueError(f"`for_each` has {len(value):,} items, `items_max` is {step.items_max:,}")
    pairs = value.items() if isinstance(value, dict) else ((str(n), item) for n, item in enumerate(value))
    found: dict[str, Value] = {}
    for default, item in pairs:
        key = _text(resolve(step.key, {**scope, step.item: item, "key": default})) if step.key else default
        if key in found:
            raise ValueError(f"two items of `for_each` have the key `{key}`")
        found[key] = item
    return found


def _text(key: Value) -> str:
    """A key is text; numbers and booleans are written as in JSON."""
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, list | dict):
        raise ValueError(f"`key` is {type_name(key)}, where a text must be")
    return msgspec.json.encode(key).decode()


# ---- before a run ----


def known_value(value: Value, inputs: Mapping[str, Value]) -> tuple[bool, Value]:
    """Whether a data field refers to nothing but these inputs, and its value then."""
    if not _refers_only_to(value, inputs, ()):
        return False, None
    try:
        return True, resolve(value, {"inputs": inputs})
    except ValueError:
        return False, None  # the run will tell


def known_keys(step: Step, inputs: Mapping[str, Value]) -> list[str] | None:
    """The keys of a fan-out whose items follow from these inputs; None if they do not, or something is wrong with them."""
    if not _refers_only_to([step.for_each, step.key], inputs, (step.item, "key")):
        return None
    try:
        return list(items_of(step, {"inputs": inputs}))
    except ValueError:
        return None


def _refers_only_to(value: Value, inputs: Collection[str], own: Collection[str]) -> bool:
    for reference in _references(value):
        known = reference.root == "inputs" and reference.path and reference.path[0] in inputs
        if not known and reference.root not in own:
            return False
    return True


def _references(value: Value) -> Iterator[Reference]:
    return (reference for _, _, expression in expressions(value) for reference in expression.references)


# ---- what depends on what ----


def followed(items: Value) -> str:
    """The step X if `for_each` is exactly `${{ steps.X.output }}`; else empty. Raises ExpressionError."""
    whole = parse_template(items).whole if isinstance(items, str) and has_template(items) else None
    if whole is None or not isinstance(whole.node, Path):
        return ""
    reference = whole.references[0] if len(whole.references) == 1 else None
    if reference is None or len(reference.path) != len(whole.node.keys):
        return ""
    return str(reference.path[0]) if (reference.root, *reference.path[1:]) == ("steps", "output") else ""


def needs_whole(step: Step, schedule: str) -> str:
    """Why the instances of a fan-out over the output of another one, which it follows, do not follow that one's instances."""
    of = followed(step.for_each)
    if schedule == "layers":
        return "the schedule is `layers`"
    if step.key:
        return "it names its instances itself, by `key`"
    fields = {"with": step.inputs, "env": step.env, "if": f"${{{{ {step.condition} }}}}" if step.condition else ""}
    for name, value in fields.items():
        if any(reference.root == "steps" and reference.path[:1] == (of,) for reference in _references(value)):
            return f"its `{name}` refers to all of it"
    return "its `needs` name it" if of in step.needs else ""
