"""The numbers of a run, by one fold over its facts: a finished run can be measured again at any time.

Times are seconds on the run's own clock, which stands still between an engine's death (or a suspension) and the next engine. An
attempt that an engine took with it has lasted until the last fact before. work: sum of the attempts' durations. span: the
heaviest path, weighed by them. speedup = work ÷ makespan. Utilisation of a pool = busy slot-seconds ÷ (slots × makespan).
"""

from collections import Counter
from math import inf

import msgspec

from weft.core import facts as f
from weft.core.apply import apply
from weft.core.facts import Fact
from weft.core.held import Held
from weft.core.state import State
from weft.core.why import status_word
from weft.model.output import Usage, sum_of


class StepNumbers(msgspec.Struct, kw_only=True):
    """One step: `layer` as its workflow counts them, `queue_s` from ready to started, `run_s` and `cpu_s` over all attempts,
    `rss_bytes` the peak."""

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
    """`slots` and `busy_s` (slot-seconds) in the units of the pool; `size`: the slots for people."""

    pool: str
    slots: int
    size: str
    busy_s: float
    utilisation: float


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """What a run reports. `held_s`: step-seconds of waiting by cause, which is `max_parallel`, a pool's name, that name after
    `rate`, `breaker` or `reserved`, `max_parallel of` a step, `backoff`, or `gate` and `interrupted`: how long an engine
    saw gates open and steps interrupted."""

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


class Measure:
    """The fold. `see` takes facts in order; `numbers` may be asked at any time. `makespan_s` is also the run's own clock."""

    def __init__(self) -> None:
        self.state = State()
        self.steps: list[StepNumbers] = []
        self.makespan_s = 0.0
        self.parallel_max = 0
        self._at = inf
        self._busy_s: dict[int, float] = {}
        self._held = Held(self.state)
        self._since: dict[int, float] = {}
        """For a step that is ready or runs: since when, on the run's own clock."""

    def see(self, fact: Fact) -> None:
        self._pass_time(fact)
        self._held.before(fact)
        apply(self.state, fact)
        self._held.after(fact)
        index = self.state.graph.index
        match fact:
            case f.RunCreated() | f.StepsAdded():
                known, graph = len(self.steps), self.state.graph
                first = self.state.workflow.first_layer
                self.steps += [StepNumbers(step=graph.ids[i], layer=graph.layer[i] + first) for i in range(known, len(graph.ids))]
            case f.StepsReady():
                for id_ in fact.steps:
                    self._since[index[id_]] = self.makespan_s
            case f.AttemptStarted():
                step = self.steps[index[fact.step]]
                step.queue_s += self._lap(index[fact.step])
                step.attempts += 1
                self.parallel_max = max(self.parallel_max, len(self.state.alive))
            case f.AttemptEnded() | f.AttemptLost():
                self._end(index[fact.step], fact)

    def _pass_time(self, fact: Fact) -> None:
        """Account for the time since the last fact; none passes for the run while no engine lives."""
        stands_still = self.state.ended or self.state.left or isinstance(fact, f.EngineAttached)
        if not stands_still and fact.at > self._at:
            self.makespan_s += fact.at - self._at
            self._held.pass_time(self._at, fact.at - self._at)
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
            self._busy_s[pool] = self._busy_s.get(pool, 0.0) + weight * ran_s
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
        path = state.graph.critical_path(weights, frozenset([state.graph.index[id_] for id_ in {*given, *state.left_out}]))
        work_s = sum(weights)
        return Numbers(
            steps=self.steps,
            counts=dict(Counter(step.status for step in self.steps)),
            work_s=work_s,
            span_s=sum(weights[i] for i in path),
            makespan_s=makespan_s,
            speedup=work_s / makespan_s if makespan_s else 1.0,
            parallel_max=self.parallel_max,
            pools=self._pools(),
            held_s=self._held.by_cause(),
            usage=sum_of([step.usage for step in self.steps if step.usage]),
            critical_path=[(state.graph.ids[i], weights[i]) for i in path if weights[i]],
        )

    def _pools(self) -> list[PoolNumbers]:
        """The pools that have slots. One with `per` has as many as there were keys, each with all its slots."""
        keys: dict[str, list[int]] = {}
        for pool, (name, key) in enumerate(self.state.demands.name):
            if key or pool in self._busy_s:
                keys.setdefault(name, []).append(pool)
        found = []
        for name, spec in self.state.workflow.resources.items():
            each = self.state.demands.slots(self.state.demands.number[name, ""], self.state.limits)
            if each is not None:
                slots = each * max(1, len(keys.get(name, ())))
                busy_s, capacity = sum(self._busy_s.get(pool, 0.0) for pool in keys.get(name, ())), slots * self.makespan_s
                utilisation = busy_s / capacity if capacity else 0.0
                size = spec.shown(slots) if spec.is_bytes or spec.unit > 1 else f"{slots:,} slot{'s' * (slots != 1)}"
                found.append(PoolNumbers(pool=name, slots=slots, size=size, busy_s=busy_s, utilisation=utilisation))
        return found
