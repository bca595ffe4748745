"""How each step of a run went, and how far it ran in parallel: what is told of a run of a YAML workflow.

Times are in milliseconds, utilisation is from 0 to 1, groups are counted as in the plan. All of it comes from the run's facts.
"""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from weft.core.measure import Numbers
from weft.core.state import State
from weft.model.graph import Graph
from weft.views.story import message
from weft.views.summary import run_status

_STATUSES = {"succeeded": "completed", "reused": "completed"}


def as_json(numbers: Numbers, state: State) -> dict[str, Any]:
    """`success`, `stepResults` by id, `parallelStats`. The steps inside of a step are counted as parts of it; the answer of an
    agent has the time that it took."""
    outputs = state.outputs.outputs if state.outputs else {}
    groups = _groups(state)
    results: dict[str, dict[str, Any]] = {}
    for i, step in enumerate(numbers.steps):
        whole = step.step.partition("/")[0]
        if whole not in groups:
            continue
        if whole in results:
            results[whole]["executionTime"] += _ms(step.run_s)
            continue
        error = state.errors.get(i)
        results[whole] = {
            "success": state.status[i].good,
            "status": _STATUSES.get(step.status, step.status),
            "output": outputs.get(whole),
            "error": message(error) if error and not state.status[i].good else None,
            "executionTime": _ms(step.run_s),
            "parallelGroup": groups[whole],
        }
    for result in results.values():
        if isinstance(result["output"], dict) and "agentId" in result["output"]:
            timed = {**result["output"], "executionTime": result["executionTime"]}
            result["output"] = timed if result["success"] else None
    return {
        "success": run_status(state) in ("succeeded", "succeeded_with_errors"),
        "executionTime": _ms(numbers.makespan_s),
        "stepResults": results,
        "parallelStats": {
            "totalGroups": len({result["parallelGroup"] for result in results.values()}),
            "maxConcurrentSteps": numbers.parallel_max,
            "resourceUtilization": {pool.pool: round(pool.utilisation, 4) for pool in numbers.pools},
        },
    }


def _groups(state: State) -> dict[str, int]:
    """The group of each step of the file. What only decides whether one runs is none of them, and has no output there."""
    workflow = state.workflow
    own = [step for step in workflow.steps if step.id in workflow.outputs]
    graph = Graph([replace(step, needs=tuple(need for need in step.needs if need in workflow.outputs)) for step in own])
    return {id_: layer + workflow.first_layer for id_, layer in zip(graph.ids, graph.layer, strict=True)}


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def render(results: Mapping[str, Any], *, verbose: bool) -> str:
    """The same as text; with `verbose` a line for each step too."""
    stats = results["parallelStats"]
    lines = [
        "Parallel Execution Statistics:",
        f"- Total parallel groups: {stats['totalGroups']}",
        f"- Max concurrent steps: {stats['maxConcurrentSteps']}",
    ]
    if stats["resourceUtilization"]:
        lines.append("Resource Utilization:")
        lines += [f"  - {pool}: {share * 100:.1f}%" for pool, share in stats["resourceUtilization"].items()]
    for id_, result in results["stepResults"].items() if verbose else ():
        lines.append(f"Step {id_} executed in parallel group {result['parallelGroup']}")
        lines.append(f"Execution time: {result['executionTime']}ms")
    return "\n".join(lines)
