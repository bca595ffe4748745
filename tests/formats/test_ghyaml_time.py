"""How YAML workflows share time and pools: steps take simulated seconds, and the facts tell what ran beside what."""

from collections.abc import Mapping

import pytest
from ghyaml_workflows import SEEDS, whole, workflow_of
from msgspec.structs import replace

from weft.app import limits_of
from weft.core import facts as f
from weft.core.measure import Measure, Numbers
from weft.model.workflow import Workflow
from weft.sim.foresight import perfect
from weft.sim.replay import Player
from weft.views.step_results import as_json, render


def play(workflow: Workflow, seconds: Mapping[str, float], max_parallel: int | None = None) -> tuple[Numbers, Measure, int]:
    """The numbers of a run in which each step takes so long, and how many steps of the pool `cpu` were alive at once."""
    limits = limits_of(max_parallel or workflow.max_parallel, 64)
    takes = {step.id for step in workflow.steps if "cpu" in step.resources}
    measure, alive, most = Measure(), set[str](), 0
    for fact in Player(perfect(workflow, seconds, limits)).play():
        measure.see(fact)
        if isinstance(fact, f.AttemptStarted):
            alive |= {fact.step} & takes
        elif isinstance(fact, f.AttemptEnded):
            alive.discard(fact.step)
        most = max(most, len(alive))
    return measure.numbers(), measure, most


def siblings(*parallel: str) -> str:
    return "".join(
        f"- {{ id: s{n}, name: S, type: script, config: {{ command: date }}, parallel: {{ {more} }} }}\n"
        for n, more in enumerate(parallel)
    )


def test_one_processor_is_never_used_twice_beside_other_pools() -> None:
    """Of four steps that take `cpu: 1`, with a fifth that takes another pool, one runs at a time."""
    steps = siblings(*["resource: cpu"] * 4, "resource: network")
    workflow = workflow_of(whole(steps, "parallel: { defaultMaxConcurrency: 8, resources: { cpu: 1, network: 5 } }"))
    numbers, _, most = play(workflow, {f"s{n}": 1.0 for n in range(5)})
    assert most == 1
    assert numbers.makespan_s == pytest.approx(4.0)
    assert {pool.pool: pool.utilisation for pool in numbers.pools} == pytest.approx({"cpu": 1.0, "network": 0.05})


def test_the_limit_of_one_step_slows_none_beside_it() -> None:
    workflow = workflow_of(whole(siblings("maxConcurrency: 1", "enabled: true", "enabled: true", "enabled: true")))
    numbers, _, _ = play(workflow, {f"s{n}": 1.0 for n in range(4)})
    assert numbers.makespan_s == pytest.approx(1.0)
    assert numbers.parallel_max == 4


def test_four_at_once_unless_said_otherwise() -> None:
    steps = siblings(*["enabled: true"] * 8)
    for head, most, makespan_s in (
        ("", 4, 2.0),
        ("parallel: { defaultMaxConcurrency: 8 }", 8, 1.0),
        ("parallel: { enabled: false }", 1, 8.0),
    ):
        workflow = workflow_of(whole(steps, head))
        numbers, _, _ = play(workflow, {f"s{n}": 1.0 for n in range(8)})
        assert numbers.parallel_max == most
        assert numbers.makespan_s == pytest.approx(makespan_s)


def test_who_runs_alone_does() -> None:
    workflow = workflow_of(whole(siblings("enabled: true", "enabled: false", "enabled: true")))
    numbers, _, _ = play(workflow, {"s0": 1.0, "s1": 2.0, "s2": 1.0})
    assert numbers.makespan_s == pytest.approx(3.0)
    assert numbers.parallel_max == 2


SECONDS = {
    "setup-env": 3.0,
    "validate-config": 1.0,
    "check-dependencies": 1.0,
    "build-frontend": 2.0,
    "build-backend": 1.0,
    "prepare-database": 1.0,
    "test-frontend": 4.0,
    "test-backend": 1.0,
    "integration-tests": 2.0,
    "deploy": 1.0,
}


def test_the_mixed_example_takes_as_long_as_its_critical_path() -> None:
    workflow = workflow_of((SEEDS / "complex.yaml").read_text())
    numbers, measure, most = play(workflow, SECONDS)
    path = ["setup-env", "build-frontend", "test-frontend", "deploy"]
    assert [step for step, _ in numbers.critical_path] == path
    assert numbers.makespan_s == pytest.approx(sum(SECONDS[step] for step in path))
    assert numbers.makespan_s == pytest.approx(numbers.span_s)
    assert most == 2
    measure.state.workflow = replace(measure.state.workflow, outputs=workflow.outputs)  # no replay evaluates any
    told = as_json(numbers, measure.state)
    assert told["success"] is True
    assert told["parallelStats"] == {
        "totalGroups": 4,
        "maxConcurrentSteps": numbers.parallel_max,
        "resourceUtilization": {"cpu": 0.15, "network": 0.05, "database": 0.1},
    }
    assert {id_: result["parallelGroup"] for id_, result in told["stepResults"].items()} == {
        **dict.fromkeys(["setup-env", "validate-config", "check-dependencies"], 1),
        **dict.fromkeys(["build-frontend", "build-backend", "prepare-database"], 2),
        **dict.fromkeys(["test-frontend", "test-backend", "integration-tests"], 3),
        "deploy": 4,
    }
    assert told["stepResults"]["test-frontend"]["executionTime"] == 4000
    assert render(told, verbose=True).splitlines()[:6] == [
        "Parallel Execution Statistics:",
        "- Total parallel groups: 4",
        f"- Max concurrent steps: {numbers.parallel_max}",
        "Resource Utilization:",
        "  - cpu: 15.0%",
        "  - network: 5.0%",
    ]


def test_no_step_waits_for_a_group() -> None:
    """Two chains of different speed: with a barrier between the groups it would be 2.0 s."""
    steps = """
- { id: slow, name: S, type: script, config: { command: date } }
- { id: quick, name: Q, type: script, config: { command: date } }
- { id: after-quick, name: A, type: script, config: { command: date }, dependsOn: [quick] }
- { id: after-slow, name: B, type: script, config: { command: date }, dependsOn: [slow] }
"""
    numbers, _, _ = play(workflow_of(whole(steps)), {"slow": 1.0, "quick": 0.1, "after-quick": 1.0, "after-slow": 0.1})
    assert numbers.makespan_s == pytest.approx(1.1)
