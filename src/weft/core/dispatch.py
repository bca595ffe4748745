"""Who starts now. Steps take all they ask for at once or nothing, best rank first, and none waits that fits (work-conserving).

Of each kind of steps the best one stands among the heads of what it lacked when it was last looked at, and is looked at again
when so much of that pool is free. So a turn costs what it starts, however many steps and kinds are held.
"""

from heapq import heapify, heappop, heappush

from weft.core.commands import StartAttempt
from weft.core.demand import LAST, TOTAL, Rank
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

    def any_place(self) -> bool:
        """Whether `max_parallel` leaves a place for any step of the workflow."""
        return self[TOTAL] >= 1 and any(self[share] >= 1 for share in self.state.demands.shares)


def dispatch(turn: Turn) -> None:
    """Start ready steps until nothing more fits. What is free only shrinks within a turn: who does not fit once is out of it."""
    state = turn.state
    free, out = _Free(state), list[tuple[Rank, int]]()
    if state.halted or not state.stirred or not free.any_place():
        return
    stirred = [(pool, weight) for pool in state.stirred for weight in state.heads[pool] if weight <= free[pool]]
    best = [(state.heads[pool][weight][0], pool, weight) for pool, weight in stirred]
    heapify(best)
    while best and free.any_place():
        (rank, k), pool, weight = heappop(best)
        if free[pool] < weight:
            continue
        heads = state.heads[pool][weight]
        heappop(heads)
        if rank == state.posted[k]:
            lacking = _offer(turn, free, rank, k)
            if lacking is None:
                _post_next(state, heads, k)
            else:
                state.lacking[k] = lacking
                out.append((rank, k))
        if heads:
            heappush(best, (heads[0], pool, weight))
        else:
            del state.heads[pool][weight]
    state.stirred = {pool for _, pool, _ in best}  # not looked through: there was no place
    for rank, k in out:
        pool, weight = state.lacking[k]
        heappush(state.heads[pool].setdefault(weight, []), (rank, k))


def _offer(turn: Turn, free: _Free, rank: Rank, k: int) -> tuple[int, int] | None:
    """Start the step of this rank if it is still ready and fits, else return what it lacks."""
    state = turn.state
    i, demand = rank[-1], state.demands.kinds[k]
    if state.status[i] is not Status.READY:
        return None
    for pool, weight in demand:
        if free[pool] < weight:
            return pool, weight
    for pool, weight in demand:
        free[pool] -= weight
    step, attempt = state.graph.ids[i], state.attempts[i] + 1
    turn.emit(AttemptStarted(at=turn.now, step=step, attempt=attempt))
    turn.order(StartAttempt(step=step, attempt=attempt, after=state.depends_on(i)))
    return None


def _post_next(state: State, heads: list[tuple[Rank, int]], k: int) -> None:
    """Let the best ready step of a kind stand for it; entries of steps that are no longer ready are dropped here."""
    queue = state.queues[k]
    while queue and state.status[queue[0][-1]] is not Status.READY:
        heappop(queue)
    state.posted[k] = queue[0] if queue else LAST
    if queue:
        heappush(heads, (queue[0], k))
