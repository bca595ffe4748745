"""The items of fan-outs. They are not journalled, only their keys are: the same outputs give the same items again."""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from weft.core.state import State
from weft.model.frame import Scope, type_name
from weft.model.matrix import combinations
from weft.model.paths import instance_id
from weft.model.template import resolve
from weft.model.workflow import Value

FAN_OUTS_MAX: Final = 256
"""Fan-outs whose items are kept; those of another are evaluated again when one of its instances starts."""


class Items:
    """`scope_of` gives what the fields of a step see, `output` the output of a step."""

    def __init__(self, state: State, scope_of: Callable[[str], Scope], output: Callable[[str], Value]) -> None:
        self._state = state
        self._scope_of = scope_of
        self._output = output
        self._known: dict[int, Mapping[str, Value]] = {}

    def keys(self, i: int) -> list[str]:
        """The keys of the instances of fan-out i. Raises ValueError if there are too many, or two with one name."""
        state, step = self._state, self._state.steps[i]
        if step.wired and state.workflow.schedule != "layers":
            return [state.keys[part] for part in state.graph.children.get(state.graph.index[step.wired], ())]
        return list(self._of(i))

    def scope(self, i: int) -> dict[str, Value]:
        """The item of instance i under its name, and `key`."""
        state, key = self._state, self._state.keys[i]
        group = state.graph.parent[i]
        step = state.steps[group]
        item = self._output(instance_id(step.wired, key)) if step.wired else self._of(group)[key]
        return {step.item: item, "key": key}

    def _of(self, i: int) -> Mapping[str, Value]:
        if i not in self._known:
            found = self._evaluate(i)
            if len(self._known) >= FAN_OUTS_MAX:
                self._known.pop(next(iter(self._known)))
            self._known[i] = found
        return self._known[i]

    def _evaluate(self, i: int) -> Mapping[str, Value]:
        step = self._state.steps[i]
        scope = self._scope_of(step.id)
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
