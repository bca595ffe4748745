"""The items of fan-outs. They are not journalled, only their keys are: the same outputs give the same items again."""

from collections.abc import Callable, Mapping
from typing import Final

from weft.core.state import State
from weft.model.frame import Scope
from weft.model.items import items_of
from weft.model.paths import instance_id
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
            step = self._state.steps[i]
            found = items_of(step, self._scope_of(step.id))
            if len(self._known) >= FAN_OUTS_MAX:
                self._known.pop(next(iter(self._known)))
            self._known[i] = found
        return self._known[i]
