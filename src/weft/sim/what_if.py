"""What if: the same run, replayed under other limits. The production core decides; only the numbers that it is given differ."""

from collections.abc import Mapping

import msgspec

from weft.core.facts import Limits
from weft.core.measure import Measure, Numbers
from weft.model.errors import UsageError
from weft.model.suggest import did_you_mean
from weft.model.workflow import Flow, Pool, Rate, Schedule, Workflow, definitions
from weft.sim.replay import Past, Player


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What shall be different; None and what is left out stay as they are. `pools` maps names to slots as people write them,
    `rates` to rates."""

    limits: Limits | None = None
    schedule: Schedule | None = None
    pools: Mapping[str, int] = {}
    rates: Mapping[str, Rate] = {}
    races: bool = False
    """Whether steps that race may run at the same time."""


def _allowed(workflow: Workflow) -> Workflow:
    """The workflow with `races: allow` on all its steps."""
    steps = []
    for step in workflow.steps:
        action = Flow(_allowed(step.action.workflow)) if isinstance(step.action, Flow) else step.action
        steps.append(msgspec.structs.replace(step, races="allow", action=action))
    return msgspec.structs.replace(workflow, steps=tuple(steps))


def under(past: Past, changes: Changes) -> Past:
    """The same past under other limits. Raises UsageError for a pool that there is not, or that is then too small for a step."""
    workflow = past.created.workflow
    for name in (*changes.pools, *changes.rates):
        if name not in workflow.resources:
            raise UsageError(f"there is no pool `{name}`; {_hint(name, list(workflow.resources))}")
    for name, slots in changes.pools.items():
        if slots < 1:
            raise UsageError(f"a pool has at least 1 slot, `{name}` cannot have {slots}")
        pool = workflow.resources[name]
        for path, step in definitions(workflow):
            if step.resources.get(name, 0) > slots * pool.unit:
                asks, has = pool.shown(step.resources[name]), pool.shown(slots * pool.unit)
                raise UsageError(f"step `{path}` asks for {asks} of pool `{name}`, which would have {has}")
    pools = {
        name: msgspec.structs.replace(_resized(pool, changes.pools.get(name)), rate=changes.rates.get(name, pool.rate))
        for name, pool in workflow.resources.items()
    }
    changed = msgspec.structs.replace(workflow, resources=pools, schedule=changes.schedule or workflow.schedule)
    changed = _allowed(changed) if changes.races else changed
    created = msgspec.structs.replace(past.created, workflow=changed)
    limits = changes.limits or past.limits
    here = {name: size for name, size in past.limits.pools.items() if name not in changes.pools}
    limits = msgspec.structs.replace(limits, pools=here, gpus=past.limits.gpus)
    return msgspec.structs.replace(past, created=created, limits=limits)


def _resized(pool: Pool, slots: int | None) -> Pool:
    return pool if slots is None else msgspec.structs.replace(pool, slots=slots * pool.unit, auto=False)


def _hint(name: str, pools: list[str]) -> str:
    names = ("max_parallel", "schedule", "races", *pools)
    near = did_you_mean(name, names)
    return f"did you mean `{near}`?" if near else "there are " + ", ".join(f"`{known}`" for known in names)


def replayed(past: Past) -> Numbers:
    """The numbers of a past that is played again."""
    measure = Measure()
    for fact in Player(past).play():
        measure.see(fact)
    return measure.numbers()


def makespan_s(past: Past) -> float:
    """The makespan alone, in half the time."""
    player = Player(past)
    for _ in player.play():
        pass
    return player.now
