"""A replay tells a run again: the same steps come to the same ends in the same time, whatever happened to them."""

from random import Random

import pytest
from msgspec.structs import replace

from weft.core import facts as f
from weft.core.facts import Fact, Limits
from weft.core.measure import Measure
from weft.model.errors import Bug
from weft.model.workflow import Retry, Shell, Step, Workflow
from weft.sim.random_workflow import random_limits, random_workflow
from weft.sim.replay import Past, Player, Tried, past_of
from weft.sim.world import Faults, World


def played(past: Past) -> tuple[list[Fact], Player]:
    player = Player(past)
    return list(player.play()), player


def makespan_s(facts: list[Fact]) -> float:
    """How long engines worked on the run: less than all the time, where it waited for people."""
    measure = Measure()
    for fact in facts:
        measure.see(fact)
    return measure.makespan_s


@pytest.mark.parametrize("seed", range(150))
def test_a_run_under_its_own_limits(seed: int) -> None:
    """Failures, hangs, retries and conditions included. Where a stop is decided among ends of the same instant, their order is
    not known, so this leaves out failures that stop others."""
    random = Random(seed)
    workflow = random_workflow(random)
    alone = {name: replace(pool, scope="run") for name, pool in workflow.resources.items()}  # of other runs nothing is known
    workflow = replace(workflow, resources=alone)
    stops = any(step.on_error in ("stop", "stop_layer") for step in workflow.steps)
    faults = Faults() if stops else Faults(fail=0.3, hang=0.2)
    world = World(workflow, seed=seed, limits=random_limits(random), faults=faults, check=False)
    facts = world.play()
    if world.state.stopped_by is not None or world.state.stopped_layers:
        return
    if any(isinstance(x, f.FingerprintTaken) for x in facts):
        return  # how long that takes is not recorded
    if sum(isinstance(x, f.EngineAttached) for x in facts) > 1 and any(pool.rate for pool in workflow.resources.values()):
        return  # another engine begins with empty buckets
    again, player = played(past_of(facts))
    assert player.now == pytest.approx(makespan_s(facts))
    assert player.state.status == world.state.status
    assert player.state.attempts == world.state.attempts
    assert [x.status for x in again if isinstance(x, f.RunEnded)] == [x.status for x in facts if isinstance(x, f.RunEnded)]


def created(*steps: Step) -> f.RunCreated:
    return f.RunCreated(at=0.0, run="r", workflow=Workflow(name="w", steps=steps), inputs={}, seed=0)


def step(id_: str, *needs: str, **fields: object) -> Step:
    return Step(id=id_, action=Shell(script="true"), needs=needs, **fields)  # type: ignore[arg-type]


def test_what_is_not_known() -> None:
    """A step without a past takes no time; a further attempt goes like the last."""
    failed = f.AttemptEnded(at=0.0, step="a", attempt=1, outcome="failed")
    retry = Retry(times=2, delay_s=1.0, factor=1.0, jitter=False)
    past = Past(created=created(step("a", retry=retry), step("b")), limits=Limits(), tried={"a": [Tried(2.0, failed)]})
    facts, player = played(past)
    assert player.now == 3 * 2.0 + 2 * 1.0
    assert [(x.step, x.at) for x in facts if isinstance(x, f.AttemptEnded)] == [("b", 0.0), ("a", 2.0), ("a", 5.0), ("a", 8.0)]


def test_a_timeout_that_did_not_come_before() -> None:
    """An attempt that would have succeeded is stopped by its timeout, and then ends at once."""
    past = Past(created=created(step("a", timeout_s=1.5)), limits=Limits(), tried={"a": [Tried(2.0)]})
    facts, player = played(past)
    assert player.now == 1.5
    assert [x.error.kind for x in facts if isinstance(x, f.AttemptEnded) and x.error] == ["timeout"]


def test_attempts_that_an_engine_took_with_it_are_left_out() -> None:
    facts: list[Fact] = [
        created(step("a")),
        f.EngineAttached(at=1.0, pid=1, host="h", limits=Limits(total=3)),
        f.AttemptStarted(at=1.0, step="a", attempt=1),
        f.EngineAttached(at=90.0, pid=2, host="h", limits=Limits(total=1)),
        f.AttemptLost(at=90.0, step="a", attempt=1),
        f.AttemptStarted(at=90.0, step="a", attempt=2),
        f.AttemptEnded(at=94.0, step="a", attempt=2, outcome="ok"),
    ]
    past = past_of(facts)
    assert past.limits == Limits(total=1)
    assert played(past)[1].now == 4.0


def test_what_was_retried_began_anew() -> None:
    """What had succeeded did not."""
    first = [("a", "ok"), ("b", "failed")]
    facts: list[Fact] = [created(step("a"), step("b")), f.EngineAttached(at=0.0, pid=1, host="h", limits=Limits())]
    for at, ends in ((0.0, first), (10.0, [("b", "ok")])):
        facts += [f.AttemptStarted(at=at, step=id_, attempt=1) for id_, _ in ends]
        facts += [f.AttemptEnded(at=at + 3.0, step=id_, attempt=1, outcome=outcome) for id_, outcome in ends]  # type: ignore[arg-type]
        facts += [f.RunEnded(at=at + 3.0, status="failed"), f.RetryRequested(at=at + 3.0, by="somebody")] if at == 0.0 else []
    again, player = played(past_of(facts))
    assert player.now == 3.0
    assert [x.outcome for x in again if isinstance(x, f.AttemptEnded)] == ["ok", "ok"]


def test_no_run() -> None:
    with pytest.raises(ValueError, match="creation"):
        past_of([])


def test_a_run_that_cannot_end_is_our_fault() -> None:
    """A demand over its pool, which no loader lets through."""
    from weft.model.workflow import Pool

    workflow = Workflow(name="w", steps=(step("a", resources={"p": 2}),), resources={"p": Pool(slots=1)})
    past = Past(created=f.RunCreated(at=0.0, run="r", workflow=workflow, inputs={}, seed=0), limits=Limits(), tried={})
    with pytest.raises(Bug, match="nothing more to wait for"):
        played(past)
