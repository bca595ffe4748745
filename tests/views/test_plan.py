"""The plan: short for any workflow, with honest estimates."""

import msgspec
from tale import Golden, nightly, step

from weft.core.estimates import sample_of
from weft.core.facts import Limits
from weft.model.workflow import Approve, Argv, Pool, Shell, Sleep, Step, Workflow
from weft.views import plan
from weft.views.text import width_painted

HERE = Limits(computing=2, waiting=256)


def test_a_small_workflow(golden: Golden) -> None:
    golden("plan_nightly", plan.render(nightly(), HERE, color=False) + "\n")


def test_nothing_is_known_of_the_times(golden: Golden) -> None:
    steps = (step("a"), step("b"), step("c", "a", "b", priority=3, resources={"gpu": 2}))
    workflow = Workflow(name="w", steps=steps, resources={"gpu": Pool(slots=2), "idle": Pool(slots=1)}, schedule="layers")
    golden("plan_untimed", plan.render(workflow, Limits(total=4), color=False) + "\n")


def test_a_sleep_says_how_long_it_takes() -> None:
    workflow = Workflow(name="w", steps=tuple(Step(id=id_, action=Sleep(seconds=0.5)) for id_ in "ab"))
    assert "0.5s under these limits for 1s of work, speedup 2.0×" in plan.render(workflow, HERE, color=False)
    assert plan.as_json(workflow, HERE)["assumed"] == 0


def test_sequential() -> None:
    workflow = msgspec.structs.replace(nightly(), schedule="sequential")
    text = plan.render(workflow, HERE, color=False)
    assert "schedule: sequential" in text
    assert "1 (schedule: sequential)" in text


def test_no_steps() -> None:
    workflow = Workflow(name="w", steps=())
    assert plan.render(workflow, HERE, color=False) == "w: 0 steps in 0 layers\n\n"
    assert plan.as_json(workflow, HERE)["widest_layer"] is None


def test_a_large_workflow_is_shown_by_layers(golden: Golden) -> None:
    steps = [step("root")]
    for layer in range(1, 61):
        first = steps[-1].id if layer == 1 else f"part_{layer - 1:02}_000"
        steps += [step(f"part_{layer:02}_{n:03}", first) for n in range(100)]
    text = plan.render(Workflow(name="large", steps=tuple(steps)), HERE, color=False)
    golden("plan_large", text + "\n")
    assert all(width_painted(line) <= 100 for line in text.splitlines())


def test_a_huge_workflow_is_not_simulated() -> None:
    workflow = Workflow(name="huge", steps=tuple(step(f"s{n}") for n in range(plan.SIMULATED_STEPS_MAX + 1)))
    text = plan.render(workflow, HERE, color=False)
    assert len(text.splitlines()) < 12
    assert "20,001 steps of work; simulated only up to 20,000 steps" in text
    assert plan.as_json(workflow, HERE)["estimated_makespan_s"] is None


def test_as_json() -> None:
    found = plan.as_json(nightly(), HERE)
    steps = found.pop("steps")
    assert found == {
        "name": "nightly",
        "schedule": "dataflow",
        "limits": {"total": None, "computing": 2, "waiting": 256},
        "pools": {"database": 1},
        "pool_limits": {"database": {"slots": 1}},
        "gates": None,
        "layers": 4,
        "widest_layer": {"layer": 0, "steps": 2},
        "critical_path": ["fetch", "load", "report", "cool_down"],
        "assumed": 5,
        "estimated_work_s": 17.0,
        "estimated_span_s": 13.0,
        "estimated_makespan_s": 13.0,
        "parallel_max": 2,
    }
    assert steps[2] == {
        "step": "load",
        "layer": 1,
        "needs": ("fetch",),
        "resources": {"database": 1},
        "gate": None,
        "reuse": False,
        "expect_s": None,
        "estimate_s": 1.0,
        "estimate_from": "assumed",
        "estimate_runs": 0,
    }
    assert msgspec.json.decode(msgspec.json.encode(steps))[0]["expect_s"] == 4.0


def test_where_it_waits_for_people(golden: Golden) -> None:
    steps = (
        step("fetch"),
        Step(id="review", needs=("fetch",), action=Approve(message="Publish?", timeout_s=7200.0, on_timeout="approve")),
        step("clean", gate=Approve()),
        step("publish", "review"),
        step("tidy", role="finally"),
    )
    workflow = Workflow(name="asks", steps=steps, gates=Approve(timeout_s=60.0))
    golden("plan_gates", plan.render(workflow, HERE, color=False) + "\n")
    found = plan.as_json(workflow, HERE)
    assert found["gates"] == "each-layer"
    assert [one["gate"] for one in found["steps"]] == [None, "approve", "before", None, None]


def test_what_earlier_runs_teach(golden: Golden) -> None:
    """The step by its own runs, by its action, by its kind; what they do not teach is said as well."""
    steps = (
        step("fetch", expect_s=9.0),
        step("renamed", "fetch", action=Shell(script="./load.sh\n")),
        step("new", "fetch"),
        step("told", "new", expect_s=3.0, priority=1),
        Step(id="rest", action=Sleep(seconds=5.0)),
        Step(id="list", action=Argv(argv=("ls",))),
    )
    workflow = Workflow(name="w", steps=steps)
    samples = [sample_of(nightly(), {"fetch": seconds, "load": 2.0}) for seconds in (1.0, 4.0)]
    golden("plan_learned", plan.render(workflow, HERE, samples=samples, color=False) + "\n")
    found = [
        (one["estimate_s"], one["estimate_from"], one["estimate_runs"]) for one in plan.as_json(workflow, HERE, samples)["steps"]
    ]
    assert found == [
        (2.5, "learned", 2),
        (2.0, "same action", 2),
        (2.25, "same kind", 2),
        (3.0, "expect", 0),
        (5.0, "sleep", 0),
        (1.0, "assumed", 0),
    ]
