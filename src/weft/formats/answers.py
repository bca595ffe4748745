"""The answer that a gate has by itself, as an agent gives it: a value, made into what a person could have said there.

The tasks that it adds are calls of tools, in the words of PML. Nothing in it becomes the text of a program, whoever wrote it.
"""

from typing import Final, Literal

import msgspec

from weft.core import facts as f
from weft.core.gates import can_be_left_out
from weft.core.state import State
from weft.formats import load
from weft.formats.flows import Beside
from weft.formats.shapes import quoted
from weft.model.workflow import Step, Tool, Value

TASKS_MAX: Final = 1_000
"""Of one answer: a model that goes on and on must not fill the run."""
TOLD_MAX: Final = 3
"""Mistakes that are told of an answer."""
_NAME: Final = "answer.json"


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    decision: Literal["approve", "reject", "modify", "replan"]
    reason: str = ""
    arguments: dict[str, Value] = {}
    skip: list[str] = []
    tasks: list[dict[str, Value]] = []


def read_answer(value: Value, gate: str, state: State) -> f.GateAnswered:
    """What a value says at a gate of a run. What it would leave out goes on if it has begun. Raises ValueError with what is wrong
    with the value."""
    try:
        said = msgspec.convert(value, _Said)
    except msgspec.ValidationError as error:
        raise ValueError(f"this is no answer: {error}") from None
    late = [id_ for id_ in said.skip if id_ in state.graph.index and not can_be_left_out(state, id_)]
    told = f"(too late to leave out: {quoted(late)})" if late else ""
    return f.GateAnswered(
        at=0.0,
        gate=gate,
        answer="reject" if said.decision == "reject" else "approve",
        reason=" ".join(filter(None, (said.reason, told))),
        inputs=said.arguments,
        skip=[id_ for id_ in said.skip if id_ not in late],
        replan=said.decision == "replan",
        inject=_steps(said.tasks, state) if said.tasks else [],
    )


def _steps(tasks: list[dict[str, Value]], state: State) -> list[Step]:
    if len(tasks) > TASKS_MAX:
        raise ValueError(f"an answer can add {TASKS_MAX:,} tasks, and this one has {len(tasks):,}")
    beside = Beside(steps=frozenset(state.graph.ids), workflow=state.workflow)
    loaded = load(msgspec.json.encode({"tasks": tasks}), _NAME, format="pml", beside=beside)
    if loaded.workflow is None:
        wrong = [problem.message for problem in loaded.problems if problem.severity == "error"]
        raise ValueError("; ".join(wrong[:TOLD_MAX]))
    steps = list(loaded.workflow.steps)
    if not all(isinstance(step.action, Tool) for step in steps):
        raise ValueError("an answer can add calls of tools, and no questions to agents")
    return steps
