"""What is decided from what the machine has: steps fail that ask for more, since they could never start here.

On resume the machine may be another one. So this is looked at when a step is ready, and not when the file is read.
"""

from collections.abc import Iterator

from weft.core.demand import Demands
from weft.core.facts import Limits
from weft.core.fallback import fail
from weft.core.state import State
from weft.core.turn import Turn
from weft.model.output import ErrorRecord
from weft.model.workflow import Pool, Workflow, definitions


def refuse_oversized(turn: Turn) -> None:
    """Fail every ready step that asks for more of a pool than this machine has of it."""
    state = turn.state
    if state.halted:
        return
    for k in state.demands.of_machine:
        if state.ready[k] and (pool := too_small(state, k)) is not None:
            error = _error(state, k, pool)
            for i in sorted(state.ready[k]):
                fail(turn, i, error)


def too_small(state: State, k: int) -> int | None:
    """The pool of which the machine has less than steps of this kind ask for."""
    for pool, weight in state.demands.kinds[k]:
        slots = state.demands.slots(pool, state.limits)
        if slots is not None and weight > slots:
            return pool
    return None


def beyond(workflow: Workflow, limits: Limits) -> Iterator[tuple[str, str]]:
    """For each step of a workflow that asks for more than a machine with these limits has: its path, and a sentence."""
    demands = Demands(workflow)
    for path, step in definitions(workflow):
        for name, weight in step.resources.items():
            pool = demands.number.get((name, ""))
            slots = None if pool is None else demands.slots(pool, limits)
            if pool is not None and slots is not None and weight > slots:
                yield path, _sentence(demands.spec[pool], name, weight, slots)


def _sentence(spec: Pool, name: str, weight: int, slots: int) -> str:
    has = f"has {spec.shown(slots)}" if slots else "has none"
    return f"it asks for {spec.shown(weight)} of `{name}`, of which this machine {has}"


def _error(state: State, k: int, pool: int) -> ErrorRecord:
    spec, name = state.demands.spec[pool], state.demands.pools[pool]
    weight, slots = dict(state.demands.kinds[k])[pool], state.demands.slots(pool, state.limits) or 0
    return ErrorRecord(
        kind="error",
        message=_sentence(spec, name, weight, slots),
        hint="ask for less, or run it on a machine that has more",
    )
