"""What expressions see: `inputs`, `steps`, `run`. Outputs are read from the store only when an expression asks for them."""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from weft.core import facts as f
from weft.core.state import State
from weft.core.verdict import any_succeeded, failed_need
from weft.core.why import status_word
from weft.model.errors import MachineError
from weft.model.evaluate import verdict
from weft.model.expression import parse
from weft.model.output import ErrorRecord, Output
from weft.model.template import resolve
from weft.model.workflow import Value
from weft.ports import OutputStore


class Values:
    """The outputs of a run by step, and the scopes that expressions are evaluated in."""

    def __init__(self, state: State, created: f.RunCreated, store: OutputStore, outputs: Mapping[str, Output]) -> None:
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

    def condition(self, step: str) -> f.ConditionEvaluated:
        """The verdict of the `if` of a step, or why there is none."""
        text = self.state.steps[self.state.graph.index[step]].condition
        try:
            answer = verdict(parse(text), self.scope, self._status_functions(step))
        except (ValueError, MachineError) as error:
            return f.ConditionEvaluated(at=0.0, step=step, verdict=False, error=input_error(error))
        return f.ConditionEvaluated(at=0.0, step=step, verdict=answer)

    def run_outputs(self) -> f.OutputsEvaluated:
        """The outputs of the run, or why there are none."""
        try:
            return f.OutputsEvaluated(at=0.0, outputs=resolve(self.state.workflow.outputs, self.scope))
        except (ValueError, MachineError) as error:
            return f.OutputsEvaluated(at=0.0, outputs={}, error=input_error(error))

    def _status_functions(self, step: str) -> dict[str, Callable[[], bool]]:
        """`success()`, `failed()` and `always()` as the `if` of a step means them: about its own needs."""
        state, i = self.state, self.state.graph.index[step]
        return {
            "success": lambda: failed_need(state, i) is None and any_succeeded(state, i),
            "failed": lambda: failed_need(state, i) is not None,
            "always": lambda: True,
        }


def input_error(error: ValueError | MachineError) -> ErrorRecord:
    """What could not be resolved, as the error of an attempt: an ExpressionError, a value that is too large, a lost blob."""
    return ErrorRecord(kind="input", message=str(error), hint=getattr(error, "hint", ""))


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
