"""The simulated world itself: it follows its faults, and what is in weft.testing can be used as it says."""

import pytest

import weft.testing
from weft.core import facts as f
from weft.core.facts import Limits
from weft.model.workflow import Sleep, Step, Workflow
from weft.ports import Clock
from weft.sim.torture import torture
from weft.sim.world import Faults, Violation, World
from weft.testing import FakeClock, Simulator

TWO = Workflow(
    name="two",
    steps=(Step(id="a", action=Sleep(seconds=1.0), expect_s=2.0), Step(id="b", action=Sleep(seconds=1.0), needs=("a",))),
)


def test_without_faults_every_step_succeeds_in_its_own_time() -> None:
    world = World(TWO)
    facts = world.play()
    assert [(fact.at, fact.step) for fact in facts if isinstance(fact, f.AttemptStarted)] == [(0.0, "a"), (2.0, "b")]
    assert facts[-1] == f.RunEnded(at=world.now, status="succeeded")
    assert world.crashes == 0


@pytest.mark.parametrize(
    ("faults", "kind"),
    [
        (Faults(fail=1.0), f.StepFailed),
        (Faults(cancel=1.0), f.CancelRequested),
        (Faults(suspend=0.5), f.RunSuspended),
        (Faults(crash=0.7), f.AttemptLost),
        (Faults(echo=1.0), f.AttemptSpawned),
    ],
)
def test_a_fault_is_seen(faults: Faults, kind: type) -> None:
    calm = {type(fact) for fact in Simulator(5, workflow=TWO, limits=Limits(), faults=Faults()).play()}
    assert kind not in calm
    assert kind in {
        type(fact) for seed in range(5) for fact in Simulator(seed, workflow=TWO, limits=Limits(), faults=faults).play()
    }


def test_a_violation_tells_seed_and_story(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.core.decide.dispatch", lambda turn: None)
    with pytest.raises(
        Violation, match=r"step `a` is ready and fits, and was not started \(seed 7, fact 3, t=0.000\)\n.*EngineAttached"
    ):
        World(TWO, seed=7).play()


def test_a_run_without_end_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.sim.world.TURNS_MAX", -200)  # the two steps of this workflow may take 100 turns each on top
    with pytest.raises(Violation, match="the run does not come to an end"):
        World(TWO).play()


def test_torture() -> None:
    played = [torture(TWO, Limits(total=1), seed) for seed in range(30)]
    assert played == [torture(TWO, Limits(total=1), seed) for seed in range(30)]
    assert {one.outcome for one in played} >= {"succeeded", "failed"}
    assert any(one.crashes for one in played)


def test_a_fake_clock_goes_where_it_is_told() -> None:
    clock: Clock = FakeClock(5.0)
    assert clock.now() == clock.now() == 5.0
    assert isinstance(clock, FakeClock)
    clock.advance(2.5)
    assert clock.now() == 7.5
    with pytest.raises(ValueError, match="does not run backwards"):
        clock.advance(-1.0)


def test_names_of_the_testing_package() -> None:
    for name in weft.testing.__all__:
        assert getattr(weft.testing, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Simulater'"):
        weft.testing.Simulater  # noqa: B018
