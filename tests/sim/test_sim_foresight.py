"""Possible speedup: on graphs whose best makespan is known, and within its bounds on any."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from weft.core.facts import Limits
from weft.model.graph import Graph
from weft.model.workflow import Pool, Retry, Schedule, Shell, Sleep, Step, Workflow
from weft.sim.foresight import foresee, foreseen_makespan_s
from weft.testing.strategies import limits, workflows


def flow(text: str, schedule: Schedule = "dataflow", pool: int | None = None) -> tuple[Workflow, dict[str, float]]:
    """`a 3, b 2 < a`: steps with their seconds and needs. A pool of so many slots is wanted by all."""
    steps, durations = [], {}
    for part in text.split(","):
        (id_, seconds), needs = part.partition("<")[0].split(), part.partition("<")[2].split()
        durations[id_] = float(seconds)
        resources = {"p": 1} if pool else {}
        steps.append(Step(id=id_, action=Shell(script="true"), needs=tuple(needs), resources=resources))
    pools = {"p": Pool(slots=pool)} if pool else {}
    return Workflow(name="w", steps=tuple(steps), schedule=schedule, resources=pools), durations


@pytest.mark.parametrize(
    ("text", "schedule", "pool", "limit", "makespan_s", "parallel_max"),
    [
        ("a 3", "dataflow", None, Limits(), 3.0, 1),
        ("a 3, b 2, c 1", "dataflow", None, Limits(), 3.0, 3),
        ("a 3, b 2, c 1", "dataflow", None, Limits(total=2), 3.0, 2),
        ("a 3, b 2, c 1", "dataflow", None, Limits(total=1), 6.0, 1),
        ("a 3, b 2, c 1", "sequential", None, Limits(), 6.0, 1),
        ("a 2, a2 2 < a, a3 2 < a2, b 6", "dataflow", None, Limits(), 6.0, 2),
        ("a 2, a2 2 < a, a3 2 < a2, b 6", "layers", None, Limits(), 10.0, 2),
        # file order would start x and y first and take 5 s
        ("x 1, y 1, a 2, b 2 < a", "dataflow", None, Limits(total=2), 4.0, 2),
        ("x 2, y 2, a 3, b 3 < a", "dataflow", None, Limits(total=2), 6.0, 2),
        ("a 1, b 2, c 3, d 4", "dataflow", 2, Limits(), 5.0, 2),
        ("a 0, b 0 < a", "dataflow", None, Limits(), 0.0, 1),
    ],
)
def test_known_optimum(
    text: str, schedule: Schedule, pool: int | None, limit: Limits, makespan_s: float, parallel_max: int
) -> None:
    workflow, durations = flow(text, schedule, pool)
    found = foresee(workflow, durations, limit)
    assert (found.makespan_s, found.parallel_max) == (makespan_s, parallel_max)


def test_what_happened_to_the_steps_does_not_matter() -> None:
    """Neither conditions nor failures, timeouts and retries: every step takes what it took, at the first attempt."""
    steps = [
        Step(id="a", action=Sleep(seconds=9.0), retry=Retry(times=3), timeout_s=0.5, condition="inputs.no", priority=-1),
        Step(id="b", action=Sleep(seconds=9.0), needs=("a",), expect_s=500.0, on_error="stop"),
    ]
    workflow = Workflow(name="w", steps=tuple(steps), outputs={"o": "${{ steps.a.output }}"})
    assert foreseen_makespan_s(workflow, {"a": 2.0}, Limits()) == 2.0


@settings(max_examples=100, deadline=None)
@given(workflow=workflows(steps_max=10), limit=limits(), data=st.data())
def test_never_better_than_possible(workflow: Workflow, limit: Limits, data: st.DataObject) -> None:
    durations = {step.id: data.draw(st.sampled_from([0.0, 0.5, 1.0, 3.0])) for step in workflow.steps}
    graph = Graph(workflow.steps)
    weights = [durations[id_] for id_ in graph.ids]
    makespan_s = foreseen_makespan_s(workflow, durations, limit)
    places = 1 if workflow.schedule == "sequential" else limit.total or len(weights)
    assert makespan_s >= sum(weights[i] for i in graph.critical_path(weights)) - 1e-9
    assert makespan_s >= sum(weights) / places - 1e-9
    assert makespan_s <= sum(weights) + 1e-9
    for name, pool in workflow.resources.items():
        busy = sum(step.resources.get(name, 0) * durations[step.id] for step in workflow.steps)
        assert makespan_s >= busy / (pool.slots or 1) - 1e-9
