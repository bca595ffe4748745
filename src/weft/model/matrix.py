"""`matrix`: axes and their values, to every combination of them.

Beside the axes there may be two lists of mappings. `exclude` removes the combinations that have all its values. `include` adds
values to the combinations that have what it says of the axes, or else is one more combination.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any

import msgspec

from weft.model.workflow import Value

MODIFIERS = ("include", "exclude")


def combinations(matrix: Mapping[str, Value], count_max: int) -> dict[str, dict[str, Value]]:
    """Each combination under its key, the values of the axes joined by `-`, in the order of the axes. Raises ValueError."""
    axes = {name: values for name, values in matrix.items() if name not in MODIFIERS}
    count = 1
    for name, values in axes.items():
        if not isinstance(values, list):
            raise ValueError(f"the axis `{name}` of `matrix` is not a list")
        count *= len(values)
    if count > count_max:
        raise ValueError(f"`matrix` has {count:,} combinations, `items_max` is {count_max:,}")
    found = [dict(zip(axes, values, strict=True)) for values in product(*axes.values())] if axes else []
    found = [each for each in found if not any(_has(each, excluded) for excluded in _mappings(matrix, "exclude"))]
    extra = []
    for included in _mappings(matrix, "include"):
        of_axes = {name: value for name, value in included.items() if name in axes}
        matching = [each for each in found if _has(each, of_axes)]
        for each in matching:
            each.update(included)
        if not matching:
            extra.append(dict(included))
    keyed: dict[str, dict[str, Value]] = {}
    for each in (*found, *extra):
        key = "-".join(_text(each[name]) for name in (axes if axes and axes.keys() <= each.keys() else each))
        if key in keyed:
            raise ValueError(f"two combinations of `matrix` are called `{key}`")
        keyed[key] = each
    return keyed


def _mappings(matrix: Mapping[str, Value], name: str) -> list[dict[str, Any]]:
    listed = matrix.get(name, [])
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise ValueError(f"`{name}` of `matrix` is not a list of mappings")
    return listed


def _has(combination: Mapping[str, Value], values: Mapping[str, Value]) -> bool:
    return all(name in combination and combination[name] == value for name, value in values.items())


def _text(value: Value) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
