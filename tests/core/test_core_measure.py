"""The numbers of a run, on stories whose numbers can be worked out by hand, and on simulated runs."""

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from story import Story, flow, step

from weft.core import facts as f
from weft.core.facts import Limits
from weft.core.measure import Measure, Numbers
from weft.model.workflow import Flow, Shell, Workflow
from weft.sim.world import Faults
from weft.testing import Simulator


def measured(workflow: Workflow, script: str, limits: Limits | None = None) -> Numbers:
    story = Story(workflow, limits)
    for line in script.split(";"):
        story.tell(line)
    return numbers(story.facts)


def numbers(facts: list[f.Fact]) -> Numbers:
    measure = Measure()
    for fact in facts:
        measure.see(fact)
    return measure.numbers()


A_CHAIN_BESIDE_B = flow(step("a"), step("b"), step("c", "a"))


def test_layers_are_counted_as_the_workflow_does() -> None:
    found = measured(flow(step("a"), step("b", "a"), first_layer=1), "begin; a ok; b ok")
    assert [step.layer for step in found.steps] == [1, 2]


@pytest.mark.parametrize(
    ("workflow", "script", "limits", "expected"),
    [
        pytest.param(
            A_CHAIN_BESIDE_B,
            "begin; +2, a ok; +1, b ok; +3, c ok",
            Limits(),
            {
                "work_s": 9.0,
                "span_s": 6.0,
                "makespan_s": 6.0,
                "speedup": 1.5,
                "parallel_max": 2,
                "held_s": {},
                "critical_path": [("a", 2.0), ("c", 4.0)],
                "counts": {"succeeded": 3},
            },
            id="two at once",
        ),
        pytest.param(
            A_CHAIN_BESIDE_B,
            "begin; +2, a ok; +4, b ok; +3, c ok",
            Limits(total=1),
            {
                "work_s": 9.0,
                "span_s": 5.0,
                "makespan_s": 9.0,
                "speedup": 1.0,
                "parallel_max": 1,
                "held_s": {"max_parallel": 6.0},
                "critical_path": [("a", 2.0), ("c", 3.0)],
            },
            id="one at a time: b waits 2 s for a place, c 4 s",
        ),
        pytest.param(
            flow(step("a"), step("b", sleep=True), step("c"), step("d", sleep=True), schedule="sequential"),
            "begin; +1, a ok; +1, b ok; +1, c ok; +1, d ok",
            Limits(computing=1),
            {"work_s": 4.0, "span_s": 1.0, "makespan_s": 4.0, "parallel_max": 1, "held_s": {"max_parallel": 6.0}},
            id="three limits in the way are one cause",
        ),
        pytest.param(
            flow(
                step("a", resources={"p": 1}),
                step("b", resources={"p": 2}),
                step("c", resources={"q": 1}),
                step("d", resources={"p": 1, "q": 1}),
                pools={"p": 2, "q": 1},
            ),
            "begin; +4, a ok; +1, c ok; +1, b ok; +4, d ok",
            Limits(),
            {
                # b lacks p for 4 s, then d for 2 s; d lacks q for 5 s
                "work_s": 4.0 + 2.0 + 5.0 + 4.0,
                "makespan_s": 10.0,
                "held_s": {"p": 6.0, "q": 5.0},
                "pools": [("p", 2, 4.0 + 4.0 + 4.0, 0.6), ("q", 1, 9.0, 0.9)],
            },
            id="pools: busy is weight times seconds; who lacks two is held by both",
        ),
        pytest.param(
            flow(step("a", retry=1)),
            "begin; +2, a fails; +1; +3, a ok",
            Limits(),
            {
                "work_s": 5.0,
                "span_s": 5.0,
                "makespan_s": 6.0,
                "held_s": {"backoff": 1.0},
                "steps": [("a", 0, "succeeded", 0.0, 5.0, 2)],
            },
            id="attempts add up, the backoff between them does not",
        ),
        pytest.param(
            flow(step("a"), step("b", "a")),
            "begin; +2, a ok; +1, kill; +1, b ok; +100, crash; +3, b ok",
            Limits(),
            {
                "work_s": 7.0,
                "span_s": 7.0,
                "makespan_s": 7.0,
                "parallel_max": 1,
                "steps": [
                    ("a", 0, "succeeded", 0.0, 2.0, 1),
                    ("b", 1, "succeeded", 0.0, 5.0, 2),
                ],
            },
            id="the time of a suspension counts for nothing",
        ),
        pytest.param(
            flow(step("a"), step("b")),
            "begin; +2, a spawned 7; +100, crash; +3, a ok; +1, b ok",
            Limits(total=1),
            {
                "work_s": 6.0,
                "makespan_s": 6.0,
                "held_s": {"max_parallel": 5.0},
                "steps": [
                    ("a", 0, "succeeded", 0.0, 5.0, 2),
                    ("b", 0, "succeeded", 5.0, 1.0, 1),
                ],
            },
            id="a lost attempt has lasted until the last fact before the crash, and nobody was queued while no engine lived",
        ),
        pytest.param(
            flow(step("a", condition="inputs.go"), step("b", "a"), step("c")),
            "begin; a false; +1, c ok",
            Limits(),
            {"counts": {"skipped": 2, "succeeded": 1}, "work_s": 1.0, "critical_path": [("c", 1.0)]},
            id="skipped steps weigh nothing",
        ),
        pytest.param(
            flow(step("a", on_error="stop", resources={"p": 1}), step("b", resources={"p": 1}), pools={"p": 1}),
            "begin; +2, a fails; +9",
            Limits(),
            {"held_s": {"p": 2.0}, "makespan_s": 2.0, "counts": {"failed": 1, "skipped": 1}},
            id="who is skipped is held no more",
        ),
        pytest.param(
            flow(step("a", resources={"p": 1}), step("b", resources={"p": 1}), pools={"p": 1}),
            "begin; +2, a spawned 1",
            Limits(),
            {"held_s": {"p": 2.0}, "makespan_s": 2.0, "counts": {"running": 1, "held": 1}, "speedup": 0.0},
            id="a run that goes on",
        ),
        pytest.param(
            flow(),
            "begin",
            Limits(),
            {"work_s": 0.0, "span_s": 0.0, "makespan_s": 0.0, "speedup": 1.0, "counts": {}, "critical_path": [], "pools": []},
            id="nothing to do",
        ),
        pytest.param(
            flow(pools={"p": 1}),
            "begin",
            Limits(),
            {"pools": [("p", 1, 0.0, 0.0)]},
            id="a pool that nobody uses",
        ),
    ],
)
def test_numbers(workflow: Workflow, script: str, limits: Limits, expected: dict[str, Any]) -> None:
    found = measured(workflow, script, limits)
    shown = {name: getattr(found, name) for name in expected}
    if "pools" in shown:
        shown["pools"] = [(p.pool, p.slots, p.busy_s, p.utilisation) for p in found.pools]
    if "steps" in shown:
        shown["steps"] = [(s.step, s.layer, s.status, s.queue_s, s.run_s, s.attempts) for s in found.steps]
    assert shown == expected


def test_cpu_adds_up_and_memory_peaks() -> None:
    story = Story(flow(step("a", retry=2)))
    story.tell("begin")
    for attempt, (cpu_s, rss_bytes) in enumerate([(1.5, 700), (None, None), (2.0, 300)], 1):
        ended = f.AttemptEnded(at=0.0, step="a", attempt=attempt, outcome="failed", cpu_s=cpu_s, rss_bytes=rss_bytes)
        story.turn([ended])
        story.tell("+9")
    step_ = numbers(story.facts).steps[0]
    assert (step_.cpu_s, step_.rss_bytes) == (3.5, 700)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_what_holds_for_the_numbers_of_any_run(seed: int) -> None:
    simulator = Simulator(seed)
    found = numbers(simulator.play())
    assert found.span_s <= found.work_s + 1e-9
    early = any(isinstance(fact, f.StepsSkipped) and fact.reason == "stop_layer" for fact in simulator.facts)
    early |= any(isinstance(fact, f.FallbackStarted) for fact in simulator.facts)
    if not early:  # a step of a stopped layer is over before its needs are, and one that waits for its fallback may be given up
        assert found.span_s <= found.makespan_s + 1e-9
    assert found.work_s <= found.makespan_s * max(found.parallel_max, 1) + 1e-9
    assert found.span_s == pytest.approx(sum(seconds for _, seconds in found.critical_path))
    assert sum(found.counts.values()) == len(found.steps) == len(simulator.state.steps)
    assert all(pool.utilisation <= 1 + 1e-9 for pool in found.pools)
    assert all(seconds > 0 for seconds in found.held_s.values())


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_each_second_in_the_queue_has_a_cause(seed: int) -> None:
    """If nobody leaves the queue but by a start, nobody asks for two pools, and no other run is in the way."""
    simulator = Simulator(seed, faults=Faults(fail=0.2, durable_lag_s=0.5))
    steps = [replace(s, resources=dict(list(s.resources.items())[:1]), on_error="isolate") for s in simulator.workflow.steps]
    steps = [replace(s, deadline_s=None, action=Shell(script="true") if isinstance(s.action, Flow) else s.action) for s in steps]
    steps = [replace(s, reads=(), writes=(), max_parallel=None) for s in steps]
    alone = {name: replace(pool, scope="run") for name, pool in simulator.workflow.resources.items()}
    workflow = replace(simulator.workflow, steps=tuple(steps), resources=alone, timeout_s=None, budget=None)
    simulator = Simulator(seed, workflow=workflow, faults=simulator.faults)
    found = numbers(simulator.play())
    assume(not any(isinstance(fact, f.StepsSkipped) and fact.reason == "gate" for fact in simulator.facts))
    found.held_s.pop("backoff", None)
    found.held_s.pop("gate", None)  # who waits there is in no queue yet
    assert sum(found.held_s.values()) == pytest.approx(sum(step.queue_s for step in found.steps))
