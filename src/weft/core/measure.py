"""The numbers of a run, by one fold over its facts: a finished run can be measured again at any time.

Times are seconds on the run's own clock, which stands still between an engine's death (or a suspension) and the next engine. An
attempt that an engine took with it has lasted until the last fact before. work: sum of the attempts' durations. span: the
heaviest path, weighed by them. speedup = work ÷ makespan. Utilisation of a pool = busy slot-seconds ÷ (slots × makespan).
"""

from collections import Counter, defaultdict
from math import inf

import msgspec

from weft.core import facts as f
from weft.core.apply import apply
from weft.core.demand import COMPUTING, TOTAL, WAITING
from weft.core.facts import Fact
from weft.core.state import State
from weft.core.status import Status
from weft.core.why import status_word
from weft.model.output import Usage, sum_of


class StepNumbers(msgspec.Struct, kw_only=True):
    """One step: `queue_s` from ready to started, `run_s` and `cpu_s` over all attempts, `rss_bytes` the peak."""

    step: str
    layer: int
    status: str = "waiting"
    queue_s: float = 0.0
    run_s: float = 0.0
    attempts: int = 0
    cpu_s: float = 0.0
    rss_bytes: int = 0
    usage: Usage | None = None
    """What its attempts reported as used, together."""


class PoolNumbers(msgspec.Struct, frozen=True, kw_only=True):
    pool: str
    slots: int
    busy_s: float
    utilisation: float


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """What a run reports. `held_s`: step-seconds of waiting by cause, which is `max_parallel`, a pool's name, or `backoff`."""

    steps: list[StepNumbers]
    counts: dict[str, int]
    work_s: float
    span_s: float
    makespan_s: float
    speedup: float
    parallel_max: int
    pools: list[PoolNumbers]
    held_s: dict[str, float]
    critical_path: list[tuple[str, float]]
    usage: Usage = Usage()
    """What all attempts reported as used."""


class Held:
    """How long steps were held, in step-seconds, and by what: by `max_parallel` while it leaves no place for such a step, else by
    each pool that has too little for it.

    Nothing is added up step by step. `_open_s` runs while `max_parallel` has a place, for computing and for waiting steps; a pool
    is looked at when a step that asks for it comes or goes.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self._held_s: dict[str, float] = defaultdict(float)
        self._open_s = {COMPUTING: 0.0, WAITING: 0.0}
        self._ready = {COMPUTING: 0, WAITING: 0}
        self._wanted: dict[int, dict[tuple[int, int], int]] = defaultdict(lambda: defaultdict(int))
        """For a named pool, and for (computing or waiting, weight): ready steps that ask for so much of it."""
        self._seen_s: dict[int, dict[int, float]] = {}
        """For a named pool: `_open_s` when it was last looked at."""

    def pass_time(self, elapsed_s: float) -> None:
        for share, ready in self._ready.items():
            if self.state.free(TOTAL) < 1 or self.state.free(share) < 1:
                self._held_s["max_parallel"] += elapsed_s * ready
            else:
                self._open_s[share] += elapsed_s
        self._held_s["backoff"] += elapsed_s * len(self.state.backoff_until)

    def before(self, steps: list[int]) -> None:
        """These steps are about to change: what they hold, and whether they are ready."""
        for i in steps:
            self._count(i, -1 if self.state.status[i] is Status.READY else 0)

    def ready(self, steps: list[int]) -> None:
        for i in steps:
            self._count(i, 1)

    def _count(self, i: int, by: int) -> None:
        _, (share, _), *named = self.state.demands.of(i)
        self._ready[share] += by
        for pool, weight in named:
            self._look(pool)
            self._wanted[pool][share, weight] += by

    def _look(self, pool: int) -> None:
        seen_s, free = self._seen_s.get(pool, self._open_s), self.state.free(pool)
        for (share, weight), steps in self._wanted[pool].items():
            if weight > free:
                self._held_s[self.state.demands.pools[pool]] += steps * (self._open_s[share] - seen_s[share])
        self._seen_s[pool] = self._open_s.copy()

    def by_cause(self) -> dict[str, float]:
        """The longest first; causes that held nobody are left out."""
        for pool in self._wanted:
            self._look(pool)
        return {cause: held_s for cause, held_s in sorted(self._held_s.items(), key=lambda item: -item[1]) if held_s}


class Measure:
    """The fold. `see` takes facts in order; `numbers` may be asked at any time. `makespan_s` is also the run's own clock."""

    def __init__(self) -> None:
        self.state = State()
        self.steps: list[StepNumbers] = []
        self.makespan_s = 0.0
        self.parallel_max = 0
        self._at = inf
        self._busy_s: list[float] = []
        self._held = Held(self.state)
        self._since: dict[int, float] = {}
        """For a step that is ready or runs: since when, on the run's own clock."""

    def see(self, fact: Fact) -> None:
        self._pass_time(fact)
        index = self.state.graph.index
        match fact:
            case (
                f.AttemptStarted() | f.StepFailed() | f.FallbackStarted() | f.StepCancelled() | f.AttemptEnded() | f.AttemptLost()
            ):
                self._held.before([index[fact.step]])
            case f.StepsSkipped():
                self._held.before([index[id_] for id_ in fact.steps])
        apply(self.state, fact)
        match fact:
            case f.RunCreated() | f.StepsAdded():
                known, graph = len(self.steps), self.state.graph
                self.steps += [StepNumbers(step=id_, layer=graph.layer[i]) for i, id_ in enumerate(graph.ids[known:], known)]
                self._busy_s += [0.0] * (len(self.state.demands.pools) - len(self._busy_s))
            case f.StepsReady():
                for id_ in fact.steps:
                    self._since[index[id_]] = self.makespan_s
                self._held.ready([index[id_] for id_ in fact.steps])
            case f.AttemptStarted():
                step = self.steps[index[fact.step]]
                step.queue_s += self._lap(index[fact.step])
                step.attempts += 1
                self.parallel_max = max(self.parallel_max, len(self.state.alive))
            case f.AttemptEnded() | f.AttemptLost():
                self._end(index[fact.step], fact)

    def _pass_time(self, fact: Fact) -> None:
        """Account for the time since the last fact; none passes for the run while no engine lives."""
        stands_still = self.state.ended or self.state.suspended or isinstance(fact, f.EngineAttached)
        if not stands_still and fact.at > self._at:
            self.makespan_s += fact.at - self._at
            self._held.pass_time(fact.at - self._at)
        self._at = fact.at

    def _lap(self, i: int) -> float:
        """Seconds since what step i did last began; now it begins something else."""
        since = self._since[i]
        self._since[i] = self.makespan_s
        return self.makespan_s - since

    def _end(self, i: int, fact: f.AttemptEnded | f.AttemptLost) -> None:
        step, ran_s = self.steps[i], self._lap(i)
        step.run_s += ran_s
        for pool, weight in self.state.demands.of(i):
            self._busy_s[pool] += weight * ran_s
        if isinstance(fact, f.AttemptEnded):
            step.cpu_s += fact.cpu_s or 0.0
            step.rss_bytes = max(step.rss_bytes, fact.rss_bytes or 0)
            if fact.usage:
                step.usage = fact.usage.plus(step.usage or Usage())

    def numbers(self) -> Numbers:
        state, makespan_s = self.state, self.makespan_s
        for i, step in enumerate(self.steps):
            step.status = status_word(state, i)
        weights = [step.run_s for step in self.steps]
        given = state.created.given if state.created else ()
        path = state.graph.critical_path(weights, frozenset([state.graph.index[id_] for id_ in given]))
        work_s = sum(weights)
        return Numbers(
            steps=self.steps,
            counts=dict(Counter(step.status for step in self.steps)),
            work_s=work_s,
            span_s=sum(weights[i] for i in path),
            makespan_s=makespan_s,
            speedup=work_s / makespan_s if makespan_s else 1.0,
            parallel_max=self.parallel_max,
            pools=[self._pool(p) for p in range(WAITING + 1, len(state.demands.pools))],
            held_s=self._held.by_cause(),
            usage=sum_of([step.usage for step in self.steps if step.usage]),
            critical_path=[(state.graph.ids[i], weights[i]) for i in path if weights[i]],
        )

    def _pool(self, pool: int) -> PoolNumbers:
        slots = self.state.workflow.resources[self.state.demands.pools[pool]].slots
        capacity = slots * self.makespan_s
        busy_s = self._busy_s[pool]
        utilisation = busy_s / capacity if capacity else 0.0
        return PoolNumbers(pool=self.state.demands.pools[pool], slots=slots, busy_s=busy_s, utilisation=utilisation)
