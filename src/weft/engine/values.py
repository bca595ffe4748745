"""What expressions see: `inputs`, `steps`, `run`. Outputs are read from the store only when an expression asks for them."""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from weft.core.facts import RunCreated
from weft.core.state import State
from weft.core.verdict import any_succeeded, failed_need
from weft.core.why import status_word
from weft.model.output import Output
from weft.model.workflow import Value
from weft.ports import OutputStore


class Values:
    """The outputs of a run by step, and the scopes that expressions are evaluated in."""

    def __init__(self, state: State, created: RunCreated, store: OutputStore, outputs: Mapping[str, Output]) -> None:
        self.state = state
        self.outputs = dict(outputs)
        self._store = store
        self.scope: dict[str, Value] = {
            "inputs": created.inputs,
            "steps": _Steps(self),
            "run": {"id": created.run, "name": created.workflow.name},
        }

    def output(self, step: str) -> Value:
        """The output of a step, null if it has none."""
        output = self.outputs.get(step)
        return None if output is None else self._store.load(output)

    def record(self, step: str) -> "_Step":
        return _Step(self, step)

    def status_functions(self, step: str) -> dict[str, Callable[[], bool]]:
        """`success()`, `failed()` and `always()` as the `if` of a step means them: about its own needs."""
        state, i = self.state, self.state.graph.index[step]
        return {
            "success": lambda: failed_need(state, i) is None and any_succeeded(state, i),
            "failed": lambda: failed_need(state, i) is not None,
            "always": lambda: True,
        }


class _Steps(Mapping[str, Value]):
    def __init__(self, values: Values) -> None:
        self._values = values

    def __getitem__(self, step: str) -> Value:
        if step not in self._values.state.graph.index:
            raise KeyError(step)
        return self._values.record(step)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values.state.graph.ids)

    def __len__(self) -> int:
        return len(self._values.state.graph)


class _Step(Mapping[str, Value]):
    """`output`, `error` and `status` of one step."""

    FIELDS = ("output", "error", "status")

    def __init__(self, values: Values, step: str) -> None:
        self._values = values
        self._step = step

    def __getitem__(self, field: str) -> Value:
        state, i = self._values.state, self._values.state.graph.index[self._step]
        if field == "output":
            return self._values.output(self._step)
        if field == "error":
            error = state.errors.get(i)
            return None if error is None else msgspec.to_builtins(error)
        if field == "status":
            return status_word(state, i)
        raise KeyError(field)

    def __iter__(self) -> Iterator[str]:
        return iter(self.FIELDS)

    def __len__(self) -> int:
        return len(self.FIELDS)
