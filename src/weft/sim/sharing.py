"""Races seen from outside: whether two steps that run at once share something, judged by paths that both of them mean.

Other means than the core's: a pattern is a regular expression here, tried on one path that the other means. Patterns for which
that would not be exact are not judged.
"""

import re
from collections.abc import Collection, Iterator

from weft.core import facts as f
from weft.core.demand import Demands
from weft.core.state import State
from weft.core.status import Status
from weft.core.turn import Turn
from weft.model.workflow import Step

_HOLE = re.compile(r"\$\{\{.*?\}\}")
_ODD = re.compile(r"[\[\]?]|\.\.|(^|/)\./|//|\*\*|\$\{\{[^}]*$")


def collide(one: Step, two: Step) -> bool:
    """Whether both touch some path, one of them writing, neither allowing it, and no item telling them apart."""
    if "allow" in (one.races, two.races):
        return False
    pairs = [(x, y) for x in one.writes for y in (*two.writes, *two.reads)] + [(x, y) for x in one.reads for y in two.writes]
    return any(_both(x, y) for x, y in pairs if not ("${{" in x and "${{" in y))


def judged(step: Step) -> bool:
    """Whether `collide` tells all that there is to know about the step."""
    return not any("${{" in text or "*" in text[1:] or _ODD.search(text) for text in (*step.reads, *step.writes))


def _both(x: str, y: str) -> bool:
    if _ODD.search(x) or _ODD.search(y):
        return False
    return any(re.fullmatch(_expression(a), _example(b)) for a, b in ((x, y), (y, x)))


def _expression(text: str) -> str:
    parts = [re.escape(part).replace(r"\*", "[^/]*") for part in _HOLE.split(text)]
    return ".*".join(parts) + ".*" * text.endswith("/")


def _example(text: str) -> str:
    return _HOLE.sub("x", text).replace("*", "x") + "x" * text.endswith("/")


def at_once(state: State, running: Collection[int]) -> Iterator[str]:
    """Steps that run at once and may not."""
    declaring = [i for i in running if state.steps[i].reads or state.steps[i].writes]
    for n, i in enumerate(declaring):
        for j in declaring[:n]:
            if collide(state.steps[i], state.steps[j]) and not (_leads(state, i, j) or _leads(state, j, i)):
                yield f"steps `{state.graph.ids[j]}` and `{state.graph.ids[i]}` run at once, and race"


def _leads(state: State, i: int, j: int) -> bool:
    """Whether step j comes after step i: only a retry of what failed can then let both run."""
    front, seen, graph = [j], {j}, state.graph
    for k in front:  # grows while it is walked
        new = [n for n in (*graph.before(k), *graph.children.get(k, ())) if n not in seen]
        front += new
        seen.update(new)
    return i in seen


def out_of_turn(turn: Turn) -> Iterator[str]:
    """Starts of steps that race with an earlier one of the file, which was ready and could have started."""
    state, demands = turn.state, turn.state.demands
    started = [state.graph.index[fact.step] for fact in turn.facts if isinstance(fact, f.AttemptStarted)]
    sharing = [i for i in started if state.steps[i].reads or state.steps[i].writes]
    if not sharing or state.curbs.holder is not None or state.halted:
        return
    for i, status in enumerate(state.status):
        if status is not Status.READY or not judged(state.steps[i]) or not _fits(state, demands, i):
            continue
        others = [j for j in state.alive if collide(state.steps[i], state.steps[j])]
        for j in sharing:
            if others == [j] and demands.rank[i][2] < demands.rank[j][2]:
                yield f"step `{state.graph.ids[j]}` starts before `{state.graph.ids[i]}`, which races with it and comes first"


def _fits(state: State, demands: Demands, i: int) -> bool:
    """Whether nothing but races keeps step i from starting. Of units that other runs may have only they know, of devices the
    engine."""
    units = all(state.free(pool) >= weight for pool, weight in demands.of(i) if pool not in demands.race_pools)
    kind = demands.kind[i]
    return units and not demands.paced[kind] and not demands.shared[kind] and "gpu" not in state.steps[i].resources
