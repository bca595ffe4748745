"""Who starts now. Steps take all they ask for at once or nothing, best rank first, and none waits that fits what is left after
reservations (work-conserving).

Of each kind of steps the best one stands among the heads of what it lacked when it was last looked at, and is looked at again
when so much of that pool is free, or when the instant has come that it waits for. So a turn costs what it starts, however many
steps and kinds are held.
"""

from heapq import heapify, heappop, heappush

from weft.core import devices
from weft.core.commands import StartAttempt
from weft.core.curbs import OVERTAKEN_MAX, Lack
from weft.core.demand import LAST, TOTAL, WAITING, Rank
from weft.core.facts import AttemptStarted, PoolKey, UnitsReserved
from weft.core.lacks import lack
from weft.core.state import State
from weft.core.status import Status
from weft.core.turn import Turn


class Free(dict[int, float]):
    """What is left of each pool in this turn, counted when it is first asked for."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._shares = list(state.demands.shares)

    def __missing__(self, pool: int) -> float:
        left = self[pool] = self.state.free(pool)
        return left

    def any_place(self) -> bool:
        """Whether `max_parallel` leaves a place for any step of the workflow."""
        while self._shares and self[self._shares[-1]] < 1:
            self._shares.pop()
        return bool(self._shares) and self[TOTAL] >= 1

    def may_fit(self, pool: int, weight: int, rank: Rank, now: float) -> bool:
        """Whether it is worth looking at a step of this rank that lacked so much of a pool (0: it waited for an instant)."""
        curbs = self.state.curbs
        if not weight:
            return curbs.closed(pool)[0] <= now
        return self[pool] - (0 if curbs.holder is None else curbs.keeps(pool, rank)) >= weight


def dispatch(turn: Turn) -> None:
    """Start ready steps until nothing more fits. What is free only shrinks within a turn: who does not fit once is out of it,
    unless a reservation is given up."""
    state = turn.state
    if state.halted:
        return
    state.stirred |= state.curbs.opened(turn.now)
    free = Free(state)
    while state.stirred and free.any_place():
        stirred, state.stirred = state.stirred, set()
        _pass(turn, free, stirred)
    _reserve(turn, free)


def _pass(turn: Turn, free: Free, stirred: set[int]) -> None:
    """Look once at the heads of these pools."""
    state, now = turn.state, turn.now
    out, timed = list[tuple[Rank, int]](), {pool for pool in stirred if 0 in state.heads[pool]}
    stands = [(pool, weight, heads[0]) for pool in stirred for weight, heads in state.heads[pool].items()]
    best = [(head, pool, weight) for pool, weight, head in stands if free.may_fit(pool, weight, head[0], now)]
    heapify(best)
    while best and free.any_place():
        (rank, k), pool, weight = heappop(best)
        if not free.may_fit(pool, weight, rank, now):
            continue
        heads = state.heads[pool][weight]
        heappop(heads)
        if rank == state.posted[k]:
            missing = _offer(turn, free, rank)
            if missing is None:
                _post_next(state, heads, k)
            else:
                state.lacking[k] = (missing.pool, missing.weight)
                out.append((rank, k))
        if heads:
            heappush(best, (heads[0], pool, weight))
        else:
            del state.heads[pool][weight]
    state.stirred |= {pool for _, pool, _ in best}  # not looked through: there was no place
    for rank, k in out:
        pool, weight = state.lacking[k]
        heappush(state.heads[pool].setdefault(weight, []), (rank, k))
        if not weight:
            timed.add(pool)
    for pool in timed:
        state.curbs.watch(pool, now)


def _offer(turn: Turn, free: Free, rank: Rank) -> Lack | None:
    """Start the step of this rank if it is still ready and fits, else return what it lacks."""
    state, i = turn.state, rank[-1]
    if state.status[i] is not Status.READY:
        return None
    lacking = lack(state, i, free.__getitem__, turn.now)
    if lacking is not None:
        return lacking
    for pool, weight in state.demands.of(i):
        free[pool] -= weight
    step, attempt = state.graph.ids[i], state.attempts[i] + 1
    gpus = [] if state.demands.gpu is None else devices.place(state, state.demands.of(i)) or []
    turn.emit(AttemptStarted(at=turn.now, step=step, attempt=attempt, gpus=gpus))
    own = state.steps[i].rerun != "always"  # whether it was begun must be known after any crash
    turn.order(StartAttempt(step=step, attempt=attempt, after=state.seq if own else state.depends_on(i)))
    return None


def _post_next(state: State, heads: list[tuple[Rank, int]], k: int) -> None:
    """Let the best ready step of a kind stand for it; entries of steps that are no longer ready are dropped here."""
    queue = state.queues[k]
    while queue and state.status[queue[0][-1]] is not Status.READY:
        heappop(queue)
    state.posted[k] = queue[0] if queue else LAST
    if queue:
        heappush(heads, (queue[0], k))


def _reserve(turn: Turn, free: Free) -> None:
    """If the first ready step has been overtaken too often, keep for it what becomes free of the pools that it lacks.

    A pool once reserved stays so until the step starts, so that its pools cannot be taken in turns. Places under `max_parallel`
    need no reservation: they come one by one, and the first in the order gets the next. Who waits for an instant keeps nothing.
    """
    state, curbs = turn.state, turn.state.curbs
    first = state.first_ready()
    if first is None or curbs.overtaken.get(first, 0) < OVERTAKEN_MAX or curbs.holder not in (None, first):
        return
    if any(curbs.closed(pool)[0] > turn.now for pool in state.demands.paced[state.demands.kind[first]]):
        return
    device = devices.lack(state, first)
    short = {pool for pool, weight in state.demands.of(first) if free[pool] < weight} | ({device.pool} if device else set())
    lacking = [pool for pool in sorted(short) if pool > WAITING and pool not in curbs.reserved]
    if lacking:
        pools = [PoolKey(*state.demands.name[pool]) for pool in lacking]
        turn.emit(UnitsReserved(at=turn.now, step=state.graph.ids[first], pools=pools))


def next_opening(state: State) -> float | None:
    """The next instant at which a pool lets somebody start who waits for it."""
    return state.curbs.next_opening(lambda pool: _awaited(state, pool))


def _awaited(state: State, pool: int) -> bool:
    """Whether a ready step waits for the instant at which the pool opens; heads of others are dropped."""
    heads = state.heads[pool].get(0)
    while heads:
        rank, k = heads[0]
        if rank == state.posted[k] and state.status[rank[-1]] is Status.READY:
            return True
        heappop(heads)
        if rank == state.posted[k]:
            _post_next(state, heads, k)
    state.heads[pool].pop(0, None)
    return False
