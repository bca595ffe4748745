"""How a run left, in the words of the system that its file was written for: what a program that knows that system expects.

PML: `complete` with the results of all tasks, `layer_complete` between layers, `approval_required` at a checkpoint, `aborted`. A
checkpoint is named so that `weft approve RUN CHECKPOINT` answers it. YAML workflows: see `step_results`.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from weft.core.measure import Numbers
from weft.core.state import State, layer_gate
from weft.model.output import ErrorRecord
from weft.model.workflow import Step, Tool, Value
from weft.views import step_results

LAYER_OPTIONS: Final = ("continue", "replan", "abort")
APPROVAL_OPTIONS: Final = ("approve", "reject", "modify")
_STATUS: Final = {"succeeded": "success", "reused": "success", "failed": "error", "skipped": "skipped", "cancelled": "cancelled"}
_MS: Final = 1000


def reply(numbers: Numbers, state: State, *, run: str, output: Callable[[str], Value]) -> dict[str, Any] | None:
    """What is said of a run whose workflow wants that; None while it goes on. `output` gives that of a step."""
    if state.workflow.report == "ghccli" and state.ended:
        return step_results.as_json(numbers, state)
    if state.workflow.report != "pml":
        return None
    told = _Told(numbers, state, run, output)
    if state.ended:
        return told.aborted(state.ended.status) if state.ended.status == "cancelled" else told.complete()
    if not state.asking:
        return None
    gate = layer_gate(state)
    return told.layer(gate) if gate in state.asking else told.approval(next(iter(state.asking)))


def as_text(state: State, reply: Mapping[str, Any] | None, *, verbose: bool) -> str:
    """What that system says of it in lines for people; empty if it says nothing."""
    told = reply is not None and state.workflow.report == "ghccli"
    return step_results.render(reply or {}, verbose=verbose) if told else ""


class _Told:
    def __init__(self, numbers: Numbers, state: State, run: str, output: Callable[[str], Value]) -> None:
        self._numbers, self._state, self._run, self._output = numbers, state, run, output
        index = state.graph.index
        asks = {f"{id_}:ask" for id_, i in index.items() if (gate := state.steps[i].gate) and gate.answer is not None}
        steps = [(step, index[step.step]) for step in numbers.steps if step.step not in asks]
        self._tasks = [(step, i) for step, i in steps if not state.steps[i].grows]  # what it stands for counts itself

    def complete(self) -> dict[str, Any]:
        results = [self._result(n) for n in range(len(self._tasks))]
        good = sum(result["status"] == "success" for result in results)
        return {
            "status": "complete",
            "workflow_id": self._run,
            "total_time_ms": self._ms(self._numbers.makespan_s),
            "successful_tasks": good,
            "failed_tasks": sum(result["status"] == "error" for result in results),
            "results": results,
            "metrics": {
                "total_time_ms": self._ms(self._numbers.makespan_s),
                "parallel_branches": self._numbers.parallel_max,
                "speedup": round(self._numbers.speedup, 2),
            },
        }

    def aborted(self, status: str) -> dict[str, Any]:
        asked = self._state.cancelled
        reasons = [self._rejected(step.step) for step, _ in self._tasks]
        reason = asked.reason if asked else next(filter(None, reasons), status)
        return {**self.complete(), "status": "aborted", "reason": reason}

    def layer(self, gate: str) -> dict[str, Any]:
        state = self._state
        done = [n for n, (_, i) in enumerate(self._tasks) if state.graph.layer[i] == state.front - 1]
        coming = [i for _, i in self._tasks if state.graph.layer[i] == state.front]
        return {
            "status": "layer_complete",
            "workflow_id": self._run,
            "checkpoint_id": gate,
            "layer_index": state.front - 1,
            "total_layers": len(state.layers),
            "layer_results": [self._result(n) for n in done],
            "next_layer_preview": [self._preview(state.steps[i]) for i in coming],
            "options": list(LAYER_OPTIONS),
        }

    def approval(self, gate: str) -> dict[str, Any]:
        state = self._state
        opened, step = state.gates[gate], state.steps[state.graph.index[gate]]
        done = [n for n, (_, i) in enumerate(self._tasks) if state.status[i].settled]
        return {
            "status": "approval_required",
            "workflow_id": self._run,
            "checkpoint_id": gate,
            "decision_type": "HIL",
            "description": opened.message,
            "context": {**self._preview(step), "arguments": opened.show},
            "layer_results": [self._result(n) for n in done],
            "options": list(APPROVAL_OPTIONS),
            "pending": list(state.asking),
        }

    def _preview(self, step: Step) -> dict[str, Any]:
        action = step.action
        tool = f"{action.server}:{action.name}" if isinstance(action, Tool) else ""
        return {"taskId": step.id, "tool": tool, "dependsOn": list(step.needs)}

    def _result(self, n: int) -> dict[str, Any]:
        step, i = self._tasks[n]
        error: ErrorRecord | None = self._state.errors.get(i)
        status = _STATUS.get(step.status, "pending")
        if error and self._state.steps[i].on_error == "continue":
            status = "failed_safe"
        result: dict[str, Any] = {"taskId": step.step, "status": status}
        if status == "success":
            result["output"] = self._output(step.step)
        elif status == "failed_safe":
            result |= {"output": None, "error": error.message if error else ""}
        elif status != "pending":
            result["error"] = error.message if error else self._why_not(i)
        return {**result, "executionTimeMs": self._ms(step.run_s), "layerIndex": self._state.graph.layer[i]}

    def _why_not(self, i: int) -> str:
        """Why a task was not done: mostly because of one that it depends on."""
        state, skip = self._state, self._state.skips.get(i)
        if skip and skip.reason == "gate":
            return f"left out at the checkpoint {skip.because}"
        if skip and skip.reason == "condition":
            return "its condition is false"
        left = [need for need in state.steps[i].needs if not state.status[state.graph.index[need]].good]
        if skip and skip.reason == "needs_skipped" and left:
            return f"Dependency task {left[0]} was skipped"
        return self._rejected(state.graph.ids[i]) or (f"Dependency task {left[0]} failed" if left else "it was not done")

    def _rejected(self, task: str) -> str:
        """What was said of a task that may not be done; nothing if it may."""
        answer = self._state.answers.get(task)
        return f"rejected: {answer.reason}".removesuffix(": ") if answer and answer.answer == "reject" else ""

    def _ms(self, seconds: float) -> float:
        return round(seconds * _MS, 3)
