"""Advice: on runs made by hand, where the right change is known, and so is what it gains."""

from collections.abc import Iterator

import pytest

from weft.core import facts as f
from weft.core.facts import Fact, Limits
from weft.core.measure import Measure, Numbers
from weft.core.state import State
from weft.model.workflow import Pool, Retry, Schedule, Shell, Sleep, Step, Workflow
from weft.sim import advice as module
from weft.sim.advice import advise
from weft.sim.replay import Past, Player, Tried


def run(
    text: str,
    *,
    limits: Limits | None = None,
    schedule: Schedule = "dataflow",
    failures: int = 0,
    cpu: float = 0.0,
    waits: bool = False,
    **pools: int | Pool,
) -> list[Fact]:
    """The facts of a run. `a 3 p, b 2 < a`: steps with their seconds, the pool that they take, and needs. The first attempts of
    the first step fail; each second of a step takes `cpu` seconds of a processor."""
    steps, tried = [], {}
    for n, part in enumerate(text.split(",")):
        (id_, seconds, *taken), needs = part.partition("<")[0].split(), part.partition("<")[2].split()
        retry = Retry(times=failures, delay_s=2.0, factor=1.0, jitter=False) if n == 0 else Retry()
        action = Sleep(seconds=1.0) if waits else Shell(script="true")
        steps.append(Step(id=id_, action=action, needs=tuple(needs), retry=retry, resources=dict.fromkeys(taken, 1)))
        ok = f.AttemptEnded(at=0.0, step=id_, attempt=1, outcome="ok", cpu_s=cpu * float(seconds))
        failed = f.AttemptEnded(at=0.0, step=id_, attempt=1, outcome="failed")
        tried[id_] = [Tried(1.0, failed)] * (failures if n == 0 else 0) + [Tried(float(seconds), ok)]
    resources = {name: of if isinstance(of, Pool) else Pool(slots=of) for name, of in pools.items()}
    workflow = Workflow(name="w", steps=tuple(steps), schedule=schedule, resources=resources)
    created = f.RunCreated(at=0.0, run="r", workflow=workflow, inputs={}, seed=0)
    return list(Player(Past(created=created, limits=limits or Limits(), tried=tried)).play())


def measured(facts: list[Fact]) -> tuple[State, Numbers]:
    measure = Measure()
    for fact in facts:
        measure.see(fact)
    return measure.state, measure.numbers()


def advised(facts: list[Fact], cpus: int = 64) -> list[str]:
    """Each advice in short: what, from what to what, and the makespan that comes of it."""
    state, numbers = measured(facts)
    return [
        f"{one.kind} {one.name} {one.before} → {one.after}: {one.makespan_s:g}".replace("  ", " ")
        for one in advise(state, numbers, lambda: facts, cpus)
    ]


def test_a_pool_that_is_too_small() -> None:
    """Six equal steps: with two slots half the time, with one more no less than that, so one more it is; then their time."""
    assert advised(run("a 3 p, b 3 p", p=1)) == ["pool p 1 → 2: 3", "step a 3.0 → 1.5: 4.5"]
    found = advised(run("a 3 p, b 3 p, c 3 p, d 3 p, e 3 p, f 3 p", p=2))
    assert found[0] == "pool p 2 → 3: 6"


def test_twice_the_pool_where_one_more_does_little() -> None:
    text = ", ".join(f"s{n} 1 p" for n in range(16))
    assert advised(run(text, p=4))[0] == "pool p 4 → 8: 2"
    assert advised(run(", ".join(f"s{n} 1 p" for n in range(40)), p=20))[0] == "pool p 20 → 40: 1"


def test_more_at_once() -> None:
    text = "a 2, b 2, c 2, d 2"
    assert advised(run(text, limits=Limits(total=2)))[0] == "max_parallel 2 → 4: 2"
    assert advised(run(text, limits=Limits(computing=2)))[0] == "max_parallel 2 → 4: 2"
    assert advised(run(text, limits=Limits(waiting=1), waits=True))[0] == "max_parallel 1 → 4: 2"


@pytest.mark.parametrize(("cpu", "cpus", "most"), [(1.0, 2, None), (0.5, 2, 3), (1.0, 4, 3), (0.5, 4, 4), (0.1, 2, 7)])
def test_not_more_than_the_processors_can_take(cpu: float, cpus: int, most: int | None) -> None:
    found = advised(run("a 2, b 2, c 2, d 2, e 2, f 2, g 2", limits=Limits(computing=2), cpu=cpu), cpus)
    assert [one for one in found if "max_parallel" in one] == (
        [] if most is None else [one for one in found if f"2 → {most}" in one]
    )
    assert most is None or any("max_parallel" in one for one in found)


def test_a_barrier_that_costs() -> None:
    assert advised(run("a 2, a2 2 < a, a3 2 < a2, b 6", schedule="layers"))[0] == "schedule layers → dataflow: 6"
    assert advised(run("a 2, b 2, c 2", schedule="sequential"))[0] == "schedule sequential → dataflow: 2"


def test_the_longest_step_of_the_critical_path() -> None:
    assert advised(run("a 1, long 8 < a, b 1 < long, c 2")) == ["step long 8.0 → 4.0: 6"]


def test_failures_that_cost() -> None:
    """Two attempts of a second each, and two waits of two."""
    assert advised(run("a 4, b 5", failures=2))[0] == "retry 2 → 0: 5"


def test_at_most_three_and_the_best_first() -> None:
    facts = run("a 4 p, b 9 p, c 5 < a, d 9 q < b, e 9 q < b, g 4 q", p=1, q=1, schedule="layers", failures=1)
    state, numbers = measured(facts)
    found = advise(state, numbers, lambda: facts, 64)
    assert [one.kind for one in found] == ["pool", "pool", "step"]
    assert [one.gain_s for one in found] == sorted((one.gain_s for one in found), reverse=True)
    assert all(one.gain_s > 0.05 * numbers.makespan_s for one in found)


@pytest.mark.parametrize("text", ["a 0.04, b 0.04 < a", "a 0", "a 30, b 1 < a"])
def test_nothing_is_said_of_what_is_short_or_small(text: str) -> None:
    assert [one for one in advised(run(text)) if not one.startswith("step a 30")] == []


def test_pools_of_the_machine_are_what_they_are() -> None:
    assert [one for one in advised(run("a 3 mem, b 3 mem", mem=Pool(slots=1, is_bytes=True))) if "pool" in one] == []


def never() -> Iterator[Fact]:
    raise AssertionError("the facts are not wanted")


def test_a_run_that_did_not_succeed_or_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = run("a 3 p, b 3 p", p=1)
    state, numbers = measured(facts)
    assert advise(state, numbers, lambda: facts, 2)
    assert advise(*measured(facts[:-1]), never, 2) == []
    monkeypatch.setattr(module, "STEPS_MAX", 1)
    assert advise(state, numbers, never, 2) == []
    monkeypatch.setattr(module, "STEPS_MAX", 2)
    monkeypatch.setattr(module, "SIMULATED_STEPS_PER_S_MAX", 0.5)
    assert advise(state, numbers, never, 2) == []


def test_no_more_replays_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two for what is needed anyway, and one for one change."""
    facts = run("a 3 p, b 3 p", p=1)
    monkeypatch.setattr(module, "SIMULATED_STEPS_MAX", 2 * 3)
    assert advised(facts) == ["pool p 1 → 2: 3"]
