"""What a run would reuse, found out without running anything: the production core, with hands that evaluate what is known, take
fingerprints, and start nothing.

So it goes as far as outputs of earlier runs take it. A step that would run gives no output, and what needs it is not judged.
Files are read as they are now, for fingerprints, and nothing is written.
"""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from weft.core import facts as f
from weft.core.commands import (
    Command,
    EvaluateCondition,
    EvaluateGroup,
    EvaluateItems,
    OpenGate,
    TakeFingerprint,
)
from weft.core.decide import receive
from weft.core.selection import Selection
from weft.core.state import State
from weft.core.status import Status
from weft.core.why import why
from weft.earlier import first_choice, take_over
from weft.engine.folder import RunFolder
from weft.engine.jobs import Jobs
from weft.engine.reuse import Reuse
from weft.engine.values import Values, input_error
from weft.journal.index import Index
from weft.journal.memory import MemoryStore
from weft.journal.successes import SuccessBook
from weft.model.errors import MachineError
from weft.model.output import Output
from weft.model.paths import definition
from weft.model.workflow import Value, Workflow, definitions
from weft.views.foretold import Foretold

RUN: Final = "(not a run)"
"""Stands where a run has its id; no run is called so."""


def foretell(
    workflow: Workflow,
    inputs: Mapping[str, Value],
    state_folder: Path,
    limits: f.Limits,
    *,
    project: Path,
    reuse: bool = True,
    selection: Selection | None = None,
    before: Path | None = None,
) -> list[Foretold]:
    """One for each step with `reuse` of the files, in their order; see `app.start` for the other parameters. Raises UsageError if
    such a run could not begin, or is none."""
    paths = [path for path, step in definitions(workflow) if step.reuse]
    if not paths:
        return []
    store = MemoryStore()
    chosen, earlier = first_choice(workflow, inputs, selection, before, str(project))
    if before and earlier:
        chosen = take_over(workflow, inputs, selection or Selection(), earlier, before, store)
    created = f.RunCreated(
        at=0.0,
        run=RUN,
        workflow=workflow,
        inputs=dict(inputs),
        seed=0,
        project=str(project),
        given=chosen.given,
        left_out=chosen.left_out,
        reuse=reuse and not (selection and selection.names_what_runs),
    )
    attached = f.EngineAttached(at=0.0, pid=0, host="", limits=limits, stays=True)
    return _told(asyncio.run(_rehearse(created, attached, store, state_folder)), paths)


async def _rehearse(created: f.RunCreated, attached: f.EngineAttached, store: MemoryStore, state_folder: Path) -> State:
    """The state in which everything waits for an attempt, or for a person."""
    state = State()
    values = Values(state, created, store, {})
    secrets = dict.fromkeys(created.workflow.secrets, "")  # their values are no part of a fingerprint
    jobs = Jobs(created, values, RunFolder(state_folder / "runs" / RUN), secrets)
    book = SuccessBook(Index(state_folder), state_folder, created.workflow.name, RUN)
    hands = _Hands(state, values, store, Reuse(state, values, jobs, store, book, created.project))
    facts: list[f.Observed] = [created, attached]
    while facts:
        turn = receive(state, facts, state.now)
        values.outputs |= _outputs(turn.facts)
        facts = [fact for command in turn.commands for fact in await hands.perform(command)]
    return state


def _outputs(facts: Iterable[f.Fact]) -> dict[str, Output]:
    return {fact.step: fact.output for fact in facts if isinstance(fact, f.StepSucceeded | f.StepReused) and fact.output}


class _Hands:
    """What the engine does for the core, but for attempts."""

    def __init__(self, state: State, values: Values, store: MemoryStore, reuse: Reuse) -> None:
        self._state = state
        self._values = values
        self._store = store
        self._reuse = reuse

    async def perform(self, command: Command) -> list[f.Observed]:
        match command:
            case EvaluateCondition(step=step):
                return [self._values.condition(step)]
            case EvaluateItems(step=step):
                return [self._values.items(step)]
            case EvaluateGroup(step=step):
                return [self._group(step)]
            case OpenGate(gate=gate):
                return [f.GateOpened(at=0.0, gate=gate)]
            case TakeFingerprint(step=step):
                taken: asyncio.Future[f.Observed] = asyncio.get_running_loop().create_future()
                self._reuse.take(step, taken.set_result)
                return [await taken]
        return []

    def _group(self, step: str) -> f.GroupEvaluated:
        try:
            output = self._store.keep(msgspec.json.encode(self._values.flow_outputs(step)), "json")
        except (ValueError, MachineError) as error:
            return f.GroupEvaluated(at=0.0, step=step, error=input_error(error))
        return f.GroupEvaluated(at=0.0, step=step, output=output)


def _told(state: State, paths: list[str]) -> list[Foretold]:
    told = {path: Foretold(step=path) for path in paths}
    for i, step in enumerate(state.steps):
        of = told.get(definition(step.id))
        if of is None or i in state.graph.children:
            continue
        status = state.status[i]
        if status is Status.REUSED:
            of.reused += 1
            of.run = of.run or state.reused[i]
        elif i in state.prints:
            of.runs += 1
            of.why = of.why or why(state, i).reuse.removeprefix("it was not reused: ")
        elif status.settled:
            of.left += 1
        else:
            of.waits += 1
            of.on = of.on or why(state, i).steps
    for of in told.values():
        if not (of.reused or of.runs or of.waits or of.left):  # what it is a part of has not been expanded
            of.waits, of.on = 1, _above(state, of.step)
    return list(told.values())


def _above(state: State, path: str) -> tuple[str, ...]:
    """What keeps the sub-workflow around a step, or its fan-out, from being known."""
    while path not in state.graph.index and "/" in path:
        path = path.rpartition("/")[0]
    i = state.graph.index.get(path)
    return () if i is None or state.status[i].settled else why(state, i).steps or (path,)
