"""The rows of a live view: what they say, in which order, and that neither rows nor columns are exceeded."""

import re
import sys
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tale import Golden, Tale, nightly, step

from weft.core import facts as f
from weft.core.facts import Limits
from weft.model.workflow import Approve, Pool, Retry, Sleep, Workflow
from weft.sim.random_workflow import random_faults, random_limits, random_workflow
from weft.sim.world import World
from weft.views.fans import Fans
from weft.views.scene import ROWS_MAX, Scene
from weft.views.text import Paint, width_painted
from weft.views.waiting import Shortlist


def scene_of(tale: Tale) -> Scene:
    scene = Scene()
    for fact in tale.facts:
        scene.see(fact)
    return scene


def shown(tale: Tale, width: int = 80, height: int = 24, elapsed_s: float = 12.0, later: float = 0.0) -> str:
    rows = scene_of(tale).rows(tale.now + later, elapsed_s, width, height, Paint(False))
    assert len(rows) <= min(height, ROWS_MAX)
    assert all(width_painted(row) <= width for row in rows)
    return "\n".join(rows) + "\n"


def busy() -> Tale:
    """Something in each section: one failed, three running, one stopping, two backing off, held for two reasons."""
    retry = Retry(times=4, delay_s=30.0, jitter=False)
    steps = [step("broken"), step("slow", timeout_s=5.0), step("flaky", retry=retry), step("shaky", retry=retry)]
    steps += [step(f"import_{n}", resources={"database": 1}, expect_s=90.0 - n) for n in range(4)]
    steps += [step(f"crunch_{n:02}", expect_s=60.0) for n in range(16)]
    steps += [step("merge", *(s.id for s in steps), title="put it all together"), step("after_broken", "broken")]
    tale = Tale(
        Workflow(name="busy", steps=tuple(steps), resources={"database": Pool(slots=1)}), limits=Limits(computing=6, waiting=256)
    )
    for running in [i for i in tale.state.alive if tale.state.graph.ids[i].startswith("crunch")]:
        tale.ok(tale.state.graph.ids[running], 0.1)
    while "slow" not in alive(tale):
        tale.ok(next(id_ for id_ in alive(tale) if id_.startswith("crunch")), 0.1)
    for id_ in ("broken", "flaky", "shaky"):
        tale.fail(id_, 1.0, f"exit 3 of {id_}") if id_ in alive(tale) else None
    return tale.wait(5.0)


def test_what_waits_for_a_person_has_a_row() -> None:
    steps = (
        step("pay", rerun="ask"),
        step("ship", rerun="never"),
        step("review", action=Approve(message="Publish?")),
        step("long"),
    )
    tale = Tale(Workflow(name="asks", steps=steps))
    tale.resume(1.0)._turn(f.GateOpened(at=0.0, gate="review", message="Publish?"))
    asked = [line.split(None, 1) for line in shown(tale, later=60.0).splitlines()]
    assert asked[0] == ["to", "approve   pay             interrupted, attempt 1 was lost: may it run again?"]
    assert asked[1] == ["ship", "interrupted, attempt 1 was lost: is its work done?"]
    assert asked[2] == ["review", "1m  Publish?"]
    assert "(and 2 more) interrupted, attempt 1" in shown(tale, height=6)
    tale._turn(f.InterruptAnswered(at=0.0, step="pay", answer="done", by="ann"), f.CancelRequested(at=0.0, by="ann"))
    assert "to approve" not in shown(tale)


def fan(count: int, limit: int = 3, **settings: Any) -> Tale:
    """A fan-out beside two steps, with so many instances, of which some run."""
    settings = {"retry": Retry(times=1, delay_s=30.0, jitter=False), "for_each": [], **settings}
    steps = (step("fetch", **settings), step("long", expect_s=90.0), step("merge", "fetch"))
    tale = Tale(Workflow(name="fans", steps=steps), limits=Limits(computing=limit, waiting=256))
    tale._turn(f.ItemsEvaluated(at=0.0, step="fetch", keys=[f"k{n}" for n in range(count)]))
    return tale


def test_a_fan_out_is_one_row(golden: Golden) -> None:
    tale = fan(1_000, limit=8)
    for n in range(5):
        tale.ok(f"fetch[k{n}]", 1.0)
    for key in ("k5", "k6"):
        tale.fail(f"fetch[{key}]", 1.0)
    golden("scene_fan", shown(tale, width=100))
    tale.wait(30.0)
    for n in (7, 5, 6):
        tale.fail(f"fetch[k{n}]", 1.0)
    golden("scene_fan_failed", shown(tale, width=100))
    golden("scene_fan_cancelled", shown(tale.cancel(1.0), width=100))


def test_a_fan_out_that_only_waits_is_one_row_too() -> None:
    backing_off = fan(3, limit=4)
    for n in range(3):
        backing_off.fail(f"fetch[k{n}]", 1.0)
    assert "backing off  fetch      3s  0 of 3 done, 3 backing off" in shown(backing_off)
    asks = fan(40, action=Approve(message="Yes?"))
    for n in range(40):
        asks._turn(f.GateOpened(at=0.0, gate=f"fetch[k{n}]", message="Yes?"))
    assert "to approve   fetch          0 of 40 done, 40 to approve" in shown(asks)
    asks._turn(f.GateAnswered(at=0.0, gate="fetch[k7]", answer="approve", by="ann"))
    assert "1 of 40 done, 39 to approve" in shown(asks)


def test_what_a_fan_out_falls_back_on_belongs_to_it() -> None:
    steps = (
        step("page", for_each=[], fallback="page/fallback"),
        step("page/fallback", role="fallback", action=Sleep(seconds=1.0), for_each=None),
    )
    tale = Tale(Workflow(name="fans", steps=steps))
    tale._turn(f.ItemsEvaluated(at=0.0, step="page", keys=["a", "b"]))
    tale.fail("page[a]", 2.0)
    rows = shown(tale, width=100)
    assert "page" in rows
    assert "0 of 2 done, 2 running: b, /fallback[a]" in rows
    assert rows.count("page") == 1


@pytest.mark.parametrize("seed", range(40))
def test_fan_outs_are_counted_right_at_every_fact(seed: int) -> None:
    random = Random(seed)
    world = World(random_workflow(random), seed=seed, limits=random_limits(random), faults=random_faults(random), check=False)
    scene = Scene()
    for fact in world.play():
        scene.see(fact)
        told, fresh = scene._fans, Fans(scene.state)
        assert {g: +fan.steps for g, fan in told.fans.items()} == {g: +fan.steps for g, fan in fresh.fans.items()}
        assert {g: list(fan.running) for g, fan in told.fans.items() if len(fan.running) < 2} == {
            g: list(fan.running) for g, fan in fresh.fans.items() if len(fan.running) < 2
        }
        assert {name: set(of) for name, of in told.sections.items()} == {name: set(of) for name, of in fresh.sections.items()}
        assert (told.of, +told.counted) == (fresh.of, +fresh.counted)
        rows = scene.rows(fact.at, 1.0, 100, 40, Paint(False))
        assert len(rows) <= ROWS_MAX


def test_the_cost_of_a_look_does_not_grow_with_a_fan_out() -> None:
    def calls(count: int) -> int:
        scene, n = scene_of(fan(count, limit=4)), 0

        def note(*_: object) -> None:
            nonlocal n
            n += 1

        scene.rows(0.0, 0.0, 100, 24, Paint(False))
        sys.setprofile(note)
        try:
            scene.rows(0.0, 0.0, 100, 24, Paint(False))
        finally:
            sys.setprofile(None)
        return n

    assert calls(4_000) < 1.1 * calls(40)


def alive(tale: Tale) -> list[str]:
    return [tale.state.graph.ids[i] for i in tale.state.alive]


def test_a_quiet_night(golden: Golden) -> None:
    golden("scene_begin", shown(Tale(nightly()), later=3.2))
    tale = Tale(nightly()).fail("lint", 0.5, "exit 3").ok("fetch", 3.5).fail("load", 1.0)
    golden("scene_backoff", shown(tale))


def test_sections_have_an_order(golden: Golden) -> None:
    golden("scene_busy", shown(busy(), width=100))


@pytest.mark.parametrize("height", [1, 2, 3, 5, 8, 12])
def test_a_small_terminal_shows_what_matters_most(height: int) -> None:
    rows = shown(busy(), height=height).splitlines()
    assert len(rows) == min(height, 10)
    assert " of 26 steps " in rows[-1]
    assert height < 3 or rows[0].split()[0] in ("failed", "running")


def test_a_narrow_terminal(golden: Golden) -> None:
    golden("scene_narrow", shown(busy(), width=40))
    assert len(shown(busy(), width=30).splitlines()) == 1
    assert len(shown(busy(), width=9)) <= 10


def test_colour_only_repeats_the_words() -> None:
    tale = busy()
    painted = scene_of(tale).rows(tale.now, 1.0, 80, 24, Paint(True))
    assert any("\x1b[1;31mfailed" in row for row in painted)

    plain = [re.sub(r"\x1b\[[0-9;]*m", "", row) for row in painted]
    assert plain == scene_of(tale).rows(tale.now, 1.0, 80, 24, Paint(False))


def test_a_suspended_and_a_cancelled_run() -> None:
    assert "suspending · 0 of 8 steps" in shown(Tale(nightly()).suspend(after=1.0))
    tale = Tale(nightly()).cancel(1.0)
    assert "cancelling · 6 of 8 steps" in shown(tale)
    assert "stopping     fetch" in shown(tale)
    assert "the run was cancelled, and 1 more" in shown(tale, height=8)


def test_the_time_of_what_runs_moves_on() -> None:
    scene = scene_of(Tale(nightly()))
    assert scene.ticks
    ended = Tale(Workflow(name="w", steps=(step("a"),))).ok("a")
    assert not scene_of(ended).ticks


def test_a_scene_made_of_a_state_is_the_same() -> None:
    tale = busy()
    told = scene_of(tale).rows(tale.now, 1.0, 100, 24, Paint(False))
    assert Scene.of(scene_of(tale).state).rows(tale.now, 1.0, 100, 24, Paint(False)) == told


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 130), st.integers(1, 40))
def test_rows_fit_whatever_happens(seed: int, width: int, height: int) -> None:
    random = Random(seed)
    world = World(random_workflow(random), seed=seed, limits=random_limits(random), faults=random_faults(random), check=False)
    scene = Scene()
    for fact in world.play():
        scene.see(fact)
        rows = scene.rows(fact.at + 0.5, fact.at, width, height, Paint(True))
        assert 1 <= len(rows) <= min(height, ROWS_MAX)
        assert all(width_painted(row) <= width for row in rows)


ITEMS = st.tuples(st.floats(0, 9), st.integers(0, 20))


@given(st.lists(st.tuples(st.booleans(), ITEMS)), st.integers(0, 5))
def test_a_shortlist_gives_the_least_that_count(changes: list[tuple[bool, tuple[float, int]]], count: int) -> None:
    shortlist: Shortlist[tuple[float, int]] = Shortlist()
    members: set[tuple[float, int]] = set()
    for comes, item in changes:
        if comes:
            shortlist.add(item)
            members.add(item)
        else:
            members.discard(item)
        assert shortlist.least(count, members.__contains__) == sorted(members)[:count]
