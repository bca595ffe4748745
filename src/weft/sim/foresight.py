"""Possible speedup: the same steps under the same limits, started by somebody who knew how long each would take."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from weft.core import facts as f
from weft.core.facts import Limits
from weft.core.state import State
from weft.model.paths import definition
from weft.model.workflow import Flow, Retry, Step, Workflow, definitions
from weft.sim.replay import Past, Player, Tried


class Foreseen(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it: makespan in seconds, and the largest number of attempts that were alive at once."""

    makespan_s: float
    parallel_max: int


Keys: TypeAlias = Mapping[str, Sequence[str]]
"""Those of the instances of each fan-out, by its path."""

PoolKeys: TypeAlias = Mapping[str, dict[str, str]]
"""For each step that takes pools with `per`, the key of each."""


def keys_of(state: State) -> dict[str, list[str]]:
    """What the fan-outs of a run expanded into."""
    graph = state.graph
    groups = {i: members for i, members in graph.children.items() if state.steps[i].for_each is not None}
    return {graph.ids[i]: [state.keys[member] for member in members] for i, members in groups.items()}


def pool_keys_of(state: State) -> dict[str, dict[str, str]]:
    """The keys that the steps of a run had in pools with `per`."""
    return {state.graph.ids[i]: said.keys for i, said in state.verdicts.items() if said.keys}


def perfect(
    workflow: Workflow,
    durations_s: Mapping[str, float],
    limits: Limits,
    keys: Keys | None = None,
    pool_keys: PoolKeys | None = None,
) -> Past:
    """A run in which every step succeeds at once and takes its known duration (0 if it has none).

    The dispatch order weighs the longest remaining path by these durations, which is the perfect foresight; instances of one
    fan-out weigh as much as the longest of them. `pool_keys`: those of pools with `per`; without them all are taken to be alike.
    """
    bare = _bare(workflow)
    known = {path: 0.0 for path, step in definitions(bare) if not isinstance(step.action, Flow)}
    for step, seconds in durations_s.items():
        path = definition(step)
        if path in known:
            known[path] = max(known[path], seconds)
    created = f.RunCreated(at=0.0, run="", workflow=bare, inputs={}, seed=0, estimates=known)
    tried = {step: (Tried(seconds),) for step, seconds in durations_s.items()}
    asked = {step: f.ConditionEvaluated(at=0.0, step=step, verdict=True, keys=of) for step, of in (pool_keys or {}).items()}
    return Past(created=created, limits=limits, tried=tried, keys=keys or {}, verdicts=asked)


def _bare(workflow: Workflow) -> Workflow:
    """The workflow without anything that could go another way."""

    def sure(step: Step) -> Step:
        action = Flow(_bare(step.action.workflow)) if isinstance(step.action, Flow) else step.action
        return msgspec.structs.replace(step, action=action, condition="", timeout_s=None, deadline_s=None, retry=Retry())

    return msgspec.structs.replace(workflow, steps=tuple(map(sure, workflow.steps)), outputs={}, timeout_s=None)


def foresee(
    workflow: Workflow,
    durations_s: Mapping[str, float],
    limits: Limits,
    keys: Keys | None = None,
    pool_keys: PoolKeys | None = None,
) -> Foreseen:
    """What comes of the run that `perfect` describes."""
    player = Player(perfect(workflow, durations_s, limits, keys, pool_keys))
    most = 0
    for fact in player.play():
        if isinstance(fact, f.AttemptStarted):
            most = max(most, len(player.state.alive))
    return Foreseen(makespan_s=player.now, parallel_max=most)


def foreseen_makespan_s(
    workflow: Workflow,
    durations_s: Mapping[str, float],
    limits: Limits,
    keys: Keys | None = None,
    pool_keys: PoolKeys | None = None,
) -> float:
    """The makespan of `foresee`, in seconds."""
    return foresee(workflow, durations_s, limits, keys, pool_keys).makespan_s
