"""This machine, as a run needs to know it: what it has for the pools that ask it, and the part of the pools that runs share.

Nothing heavy is imported at the top, as in `app`.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from weft.core.facts import Limits
from weft.model.endpoint import Unusable, endpoint_of
from weft.model.template import has_template
from weft.model.workflow import FRACTIONS, Agent, Flow, Workflow
from weft.ports import SlotLeases

TOO_SMALL_SHOWN_MAX: Final = 8
"""Steps that are named before a run because the machine is too small for them: more make the point no clearer."""


def cpu_count() -> int:
    """Processors that this process may use; part of one counts as one."""
    from weft.host.machine import cpus_thousandths

    return -(-cpus_thousandths() // FRACTIONS)


def limits_here(workflow: Workflow, limits: Limits) -> Limits:
    """The same limits, with what this machine has for the pools that ask it."""
    from weft.host import machine

    return machine.limits_here(workflow, limits, os.environ)


def too_small_for(workflow: Workflow) -> list[str]:
    """A sentence for each step that asks for more than this machine has, as far as they are shown."""
    from weft.core.capacity import beyond

    found = beyond(workflow, limits_here(workflow, Limits()))
    return [f"step `{step}` will fail: {sentence}" for step, sentence in islice(found, TOO_SMALL_SHOWN_MAX)]


def unasked(workflow: Workflow, outer: Mapping[str, str] | None = None, path: str = "") -> Iterator[tuple[str, Unusable]]:
    """Each step that asks a model which cannot be asked in this environment, and why, by its path. What is known only when the
    step starts counts as good, and a step with a fallback may fail."""
    known = outer if outer is not None else {name: text for name, text in os.environ.items() if name not in workflow.secrets}
    env = {**known, **workflow.env}
    for step in workflow.steps:
        if isinstance(step.action, Flow):
            yield from unasked(step.action.workflow, {**env, **step.env}, f"{path}{step.id}/")
        if not isinstance(step.action, Agent) or step.fallback or has_template(step.action.model):
            continue
        its = {**env, **step.env, **{name: os.environ.get(name, "") for name in step.secrets}}
        if any(map(has_template, its.values())):
            continue
        try:
            endpoint_of(step.action.model, its)
        except Unusable as wrong:
            yield path + step.id, wrong


def shared_slots(workflow: Workflow, folder: Path, limits: Limits, say: Callable[[str], None]) -> SlotLeases | None:
    """The run's part of the pools that all runs of its state folder share, if it has such pools. Raises MachineError."""
    shared = {name: pool for name, pool in workflow.resources.items() if pool.scope == "engine"}
    if not shared:
        return None
    from weft.host.leases import FileLeases

    sizes = {name: limits.pools.get(name, pool.slots or 0) for name, pool in shared.items()}
    leases = FileLeases(folder.parents[1] / "pools", folder.name, sizes)
    for name, size in leases.sizes().items():
        if size < sizes[name]:
            declared, counts = shared[name].shown(sizes[name]), shared[name].shown(size)
            say(f"pool `{name}` has {counts}, not {declared}, while another run goes on whose file says so")
    return leases
