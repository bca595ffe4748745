"""Runs that take outputs from an earlier one: that one is read, what is taken is chosen, and its files become the new run's.

The earlier run is only read, and what is taken is the new run's own: it outlives the other.
"""

from collections.abc import Mapping
from pathlib import Path

from weft.core import facts as f
from weft.core.apply import apply
from weft.core.selection import Before, Chosen, Selection, choose
from weft.core.state import State
from weft.engine.reuse import READS
from weft.host.contents import Unreadable, digests
from weft.journal.index import Index
from weft.journal.lock import holder
from weft.journal.reader import read_facts
from weft.journal.store import blob_path
from weft.model.errors import MachineError, UsageError
from weft.model.output import Output
from weft.model.template import strings
from weft.model.workflow import Value, Workflow
from weft.ports import OutputStore


def look_back(folder: Path, project: str = "") -> Before:
    """What the run in `folder` came to, as its journal tells. `project`: where files of the workflow are. Raises UsageError while
    an engine works on it, MachineError if it cannot be read."""
    if holder(folder):
        raise UsageError(f"run `{folder.name}` is still going on; wait for its end, or `weft cancel {folder.name}`")
    state, outputs = State(), dict[str, Output]()
    for fact in read_facts(folder):
        apply(state, fact)
        outputs |= taken_in(fact)
    if state.created is None:
        raise UsageError(f"run `{folder.name}` never started; there is nothing to take from it")
    root = project or state.created.project or "."

    def same_files(step: str) -> bool:
        i = state.graph.index[step]
        known = (
            {name: digest for name, digest in state.prints[i].parts.items() if name.startswith(READS)}
            if i in state.prints
            else {}
        )
        reads = state.steps[i].reads
        if not known or next(strings(list(reads)), None):
            return False  # they were not looked at, or it takes an output to know which they are
        try:
            return {READS + path: digest for path, digest in digests(reads, root, lambda: True).items()} == known
        except Unreadable:
            return False

    return Before(run=folder.name, state=state, outputs=outputs, same_files=same_files)


def taken_in(fact: f.Fact) -> dict[str, Output]:
    """The outputs that a run has by this fact, by step."""
    match fact:
        case f.RunCreated(given=given):
            return {step: each.output for step, each in given.items() if each.output}
        case f.AttemptEnded(output=Output() as output) | f.StepSucceeded(output=Output() as output):
            return {fact.step: output}
        case f.StepReused(output=Output() as output):
            return {fact.step: output}
    return {}


def first_choice(
    workflow: Workflow, inputs: Mapping[str, Value], selection: Selection | None, before: Path | None, project: str
) -> tuple[Chosen, Before | None]:
    """What is run, before anything is made, and the earlier run if there is one. Raises UsageError."""
    if selection in (None, Selection()) and before is None:
        return Chosen(given={}, left_out=()), None
    earlier = look_back(before, project) if before else None
    return choose(workflow, inputs, selection or Selection(), earlier), earlier


def take_over(
    workflow: Workflow, inputs: Mapping[str, Value], selection: Selection, before: Before, folder: Path, store: OutputStore
) -> Chosen:
    """Choose, and make the large outputs of the run in `folder` those of the new one. One that is missing or damaged is made
    again by its step. Raises UsageError if that step is not to be run."""
    had: dict[str, Output] = dict(before.outputs)
    kept: set[str] = set()
    while True:
        chosen = choose(workflow, inputs, selection, before)
        for step, given in chosen.given.items():
            if given.output is None or not given.output.blob or given.output.blob in kept:
                continue
            try:
                store.take_over(given.output, blob_path(folder, given.output))
            except (MachineError, ValueError) as problem:
                if selection.names_what_runs:
                    raise UsageError(
                        f"the output of `{step}` cannot be taken: {problem}; let it run too: `--from {step}`"
                    ) from None
                del had[step]
                before.outputs = had
                break
            kept.add(given.output.blob)
        else:
            return chosen


def last_of(source: str, state_folder: Path) -> Path:
    """The folder of the last run of a file that is over, or has no engine. Raises UsageError."""
    index = Index(state_folder)
    index.refresh()
    for row in index.runs():
        if row.source == source and not row.damage and not row.alive:
            return state_folder / "runs" / row.run
    raise UsageError(f"there is no earlier run of {source} to take outputs from; `--reuse-from RUN` names another one")
