"""What the steps of a workflow stand for, as far as it is known before a run: instances of fan-outs, steps of sub-workflows."""

from collections.abc import Iterator, Mapping

import msgspec

from weft.model.items import followed, known_keys, known_value, needs_whole
from weft.model.workflow import Flow, Step, Value, Workflow


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a file. `path`: its path in the run, without keys. `depth`: how many sub-workflows are around it.

    `keys`: of its instances; None if it is no fan-out, or they are not known. `times`: how many there will be of it in all, with
    every fan-out of which nothing is known counted as one. `wiring`: how a fan-out hangs together with the one that it follows.
    """

    path: str
    step: Step
    depth: int
    keys: list[str] | None
    times: int
    wiring: str

    @property
    def count(self) -> str:
        """`× 3`, `× ?`, or nothing for a step that is done once."""
        if self.step.for_each is None:
            return ""
        return "× ?" if self.keys is None else f"× {len(self.keys):,}"


def parts_of(workflow: Workflow) -> list[Part]:
    """Every step of a workflow and of its sub-workflows, in the order of the files. Inputs are taken to be their defaults."""
    return list(_Parts(workflow.schedule).of(workflow, _known_inputs(workflow, {}, {}), "", 1))


class _Parts:
    def __init__(self, schedule: str) -> None:
        self._schedule = schedule

    def of(self, workflow: Workflow, inputs: Mapping[str, Value], path: str, times: int) -> Iterator[Part]:
        """`inputs`: those of the workflow that are known; `times`: how often it is done."""
        found: dict[str, list[str] | None] = {}
        for step in workflow.steps:
            wired = step.wired if self._schedule != "layers" else ""
            keys = None
            if step.for_each is not None:
                keys = found.get(wired) if wired else known_keys(step, inputs)
            wiring = f"follows `{wired}` instance by instance" if wired else self._waits(step, found)
            found[step.id] = keys
            count = times * (1 if keys is None else len(keys))
            yield Part(path=path + step.id, step=step, depth=path.count("/"), keys=keys, times=count, wiring=wiring)
            if isinstance(step.action, Flow):
                inner = step.action.workflow
                yield from self.of(inner, _known_inputs(inner, step.inputs, inputs), f"{path}{step.id}/", count)

    def _waits(self, step: Step, fan_outs: Mapping[str, list[str] | None]) -> str:
        """Why a fan-out waits for all of the one whose output its items are."""
        of = followed(step.for_each)
        if not of:
            return ""
        because = needs_whole(step, self._schedule)
        return f"waits for all of `{of}`" + (f": {because}" if because else "")


def _known_inputs(workflow: Workflow, given: Mapping[str, Value], around: Mapping[str, Value]) -> dict[str, Value]:
    """The inputs of a workflow that are known if those around it are."""
    inputs = {name: each.default for name, each in workflow.inputs.items() if not each.required and name not in given}
    for name, value in given.items():
        known, found = known_value(value, around)
        if known:
            inputs[name] = found
    return inputs
