"""Who starts now. Steps take all they ask for at once or nothing, best rank first, and none waits that fits (work-conserving).

Of each kind of steps the best one stands among the heads of the pool that it lacked when it was last looked at, and is looked at
again when units of that pool come free. So a turn costs what it starts, however many steps and kinds are held.
"""

from heapq import heapify, heappop, heappush

from weft.core.commands import StartAttempt
from weft.core.facts import AttemptStarted
from weft.core.state import State
from weft.core.status import Status
from weft.core.turn import Turn


class _Free(dict[int, float]):
    """What is left of each pool in this turn, counted when it is first asked for."""

    def __init__(self, state: State) -> None:
        self.state = state

    def __missing__(self, pool: int) -> float:
        left = self[pool] = self.state.free(pool)
        return left


def dispatch(turn: Turn) -> None:
    """Start ready steps until nothing more fits. What is free only shrinks within a turn: who does not fit once is out of it."""
    state = turn.state
    if state.halted:
        return
    free, out = _Free(state), list[tuple[int, int]]()
    best = [(heads[0], pool) for pool in state.stirred if (heads := state.heads[pool])]
    heapify(best)
    state.stirred.clear()
    while best:
        (rank, k), pool = heappop(best)
        if free[pool] <= 0:
            continue
        heads = state.heads[pool]
        heappop(heads)
        if rank == state.posted[k]:
            lacking = _offer(turn, free, rank, k)
            if lacking is None:
                _post_next(state, pool, k)
            else:
                state.lacking[k] = lacking
                out.append((rank, k))
        if heads:
            heappush(best, (heads[0], pool))
    for rank, k in out:
        heappush(state.heads[state.lacking[k]], (rank, k))


def _offer(turn: Turn, free: _Free, rank: int, k: int) -> int | None:
    """Start the step of this rank if it is still ready and fits, else return a pool of which it asks for more than there is."""
    state = turn.state
    i, demand = state.demands.by_rank[rank], state.demands.kinds[k]
    if state.status[i] is not Status.READY:
        return None
    for pool, weight in demand:
        if free[pool] < weight:
            return pool
    for pool, weight in demand:
        free[pool] -= weight
    step, attempt = state.graph.ids[i], state.attempts[i] + 1
    turn.emit(AttemptStarted(at=turn.now, step=step, attempt=attempt))
    turn.order(StartAttempt(step=step, attempt=attempt, after=state.depends_on(i)))
    return None


def _post_next(state: State, pool: int, k: int) -> None:
    """Let the best ready step of a kind stand for it; entries of steps that are no longer ready are dropped here."""
    queue = state.queues[k]
    while queue and state.status[state.demands.by_rank[queue[0]]] is not Status.READY:
        heappop(queue)
    state.posted[k] = queue[0] if queue else len(state.steps)
    if queue:
        heappush(state.heads[pool], (queue[0], k))
