"""How the graph grows: the steps that a fan-out or a sub-workflow stands for. Pure functions from a definition to definitions.

Ids are paths: `fetch[web]` is the instance `web` of `fetch`, `archive/upload` the step `upload` of the sub-workflow `archive`.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from weft.model.paths import instance_id
from weft.model.workflow import Flow, Step

STEPS_MAX: Final = 1_000_000
"""Steps of one run: a million take about two gigabytes. Fan-outs in fan-outs multiply, so bounding each is not enough."""


def grown(step: Step, keys: Sequence[str]) -> list[Step]:
    """The steps that this one stands for: an instance for each key, or the steps of its sub-workflow."""
    if step.for_each is not None:
        return [_instance(step, key) for key in keys]
    assert isinstance(step.action, Flow)
    return list(_inlined(step.id, step.action))


def _instance(step: Step, key: str) -> Step:
    """What the whole step had to wait for has settled before there are instances, unless they are wired to others."""
    needs = tuple(instance_id(need, key) if need == step.wired else need for need in step.needs) if step.each_if else ()
    return msgspec.structs.replace(
        step,
        id=instance_id(step.id, key),
        needs=needs,
        condition=step.condition if step.each_if else "",
        for_each=None,
        wired="",
        each_if=False,
        role="step" if step.role == "fallback" else step.role,
        fallback=instance_id(step.fallback, key) if step.fallback else "",
        gate=None,  # it was asked once, for all
    )


def _inlined(path: str, flow: Flow) -> Iterator[Step]:
    for step in flow.workflow.steps:
        yield msgspec.structs.replace(
            step,
            id=f"{path}/{step.id}",
            needs=tuple(f"{path}/{need}" for need in step.needs),
            wired=f"{path}/{step.wired}" if step.wired else "",
            fallback=f"{path}/{step.fallback}" if step.fallback else "",
        )
