"""A run as the REST interface of the Hybrid Workflow Engine tells it: steps from 1, four words for a status, milliseconds."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from weft.core.facts import AttemptEnded, Fact
from weft.core.measure import Measure
from weft.core.status import Status
from weft.model.output import ErrorRecord
from weft.model.workflow import Value

RUNS: Final = {"succeeded": "completed", "succeeded_with_errors": "completed"}
"""Words for how a run has ended; it has `failed` otherwise."""
STEPS: Final = {
    **dict.fromkeys((Status.SUCCEEDED, Status.REUSED), "success"),
    **dict.fromkeys((Status.FAILED, Status.CANCELLED), "failed"),
    **dict.fromkeys((Status.RUNNING, Status.STOPPING), "running"),
}
"""Words for the status of a step; it is `pending` otherwise, or was skipped."""


class Told:
    """The fold. `see` takes facts in order, `outputs` are those of the run."""

    def __init__(self, name: str, languages: Mapping[str, str]) -> None:
        self._name, self._languages = name, languages
        self._measure = Measure()
        self._inline: dict[str, Value] = {}
        self._errors: dict[str, ErrorRecord] = {}

    def see(self, fact: Fact) -> None:
        self._measure.see(fact)
        if isinstance(fact, AttemptEnded):
            if fact.output is not None and fact.output.inline:
                self._inline[fact.step] = msgspec.json.decode(fact.output.inline)
            if fact.error is not None:
                self._errors[fact.step] = fact.error

    def reply(self, outputs: Mapping[str, Value] | None = None) -> dict[str, Any]:
        """The answer to a request. `outputs` by step, where the run has handed them back."""
        state, numbers = self._measure.state, self._measure.numbers()
        steps = [
            {
                "step_number": n,
                "name": step.step,
                "language": self._languages.get(step.step, ""),
                "output": (outputs or {}).get(step.step, self._inline.get(step.step)),
                "status": STEPS.get(state.status[n - 1], "pending"),
                "duration_ms": round(step.run_s * 1000),
            }
            for n, step in enumerate(numbers.steps, 1)
        ]
        begun = "running" if self._measure.makespan_s or steps else "notstarted"
        return {
            "workflow_name": self._name,
            "status": RUNS.get(state.ended.status, "failed") if state.ended else begun,
            "steps": steps,
            "total_duration_ms": round(numbers.makespan_s * 1000),
            "error": self._error(),
        }

    def _error(self) -> str | None:
        """What the first failed step says."""
        state = self._measure.state
        failed = (id_ for id_, status in zip(state.graph.ids, state.status, strict=True) if status is Status.FAILED)
        step = next(failed, None)
        return None if step is None else f"Step '{step}' failed: {self._errors[step].message if step in self._errors else ''}"
