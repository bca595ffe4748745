"""Who starts now. Steps take all they ask for at once or nothing, best rank first, and none waits that fits (work-conserving)."""

from collections.abc import Mapping
from heapq import heappop

from weft.core.commands import StartAttempt
from weft.core.demand import Demand
from weft.core.facts import AttemptStarted
from weft.core.status import Status
from weft.core.turn import Turn


def dispatch(turn: Turn) -> None:
    """Start ready steps until nothing more fits.

    What is free only shrinks within a turn, so a kind of demand that does not fit once is out until the next turn.
    """
    state = turn.state
    if state.halted:
        return
    kinds = [k for k, queue in enumerate(state.queues) if queue]
    free = {pool: state.free(pool) for k in kinds for pool, _ in state.demands.kinds[k]}
    while kinds:
        best, best_rank, fitting = -1, len(state.steps), []
        for k in kinds:
            rank = _head(turn, k)
            if rank is not None and _fits(state.demands.kinds[k], free):
                fitting.append(k)
                if rank < best_rank:
                    best, best_rank = k, rank
        kinds = fitting
        if best >= 0:
            for pool, weight in state.demands.kinds[best]:
                free[pool] -= weight
            heappop(state.queues[best])
            _start(turn, state.demands.by_rank[best_rank])


def _fits(demand: Demand, free: Mapping[int, float]) -> bool:
    return all(free[pool] >= weight for pool, weight in demand)


def _head(turn: Turn, k: int) -> int | None:
    """The best rank among the ready steps of kind k; entries of steps that are no longer ready are dropped here."""
    state = turn.state
    queue = state.queues[k]
    while queue and state.status[state.demands.by_rank[queue[0]]] is not Status.READY:
        heappop(queue)
    return queue[0] if queue else None


def _start(turn: Turn, i: int) -> None:
    state = turn.state
    step, attempt = state.graph.ids[i], state.attempts[i] + 1
    turn.emit(AttemptStarted(at=turn.now, step=step, attempt=attempt))
    after = max(state.unblocked_seq[i], state.ended_seq.get(i, 0))
    turn.order(StartAttempt(step=step, attempt=attempt, after=after))
