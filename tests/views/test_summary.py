"""The summary: one screen, whatever happened, and it says how to go on."""

from collections.abc import Sequence
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tale import Golden, Tale, nightly, step, whole_night

from weft.core import facts as f
from weft.core.facts import Limits
from weft.core.measure import Measure
from weft.model.output import ErrorRecord
from weft.model.workflow import Retry, Workflow
from weft.sim.advice import Advice
from weft.sim.foresight import foreseen_makespan_s
from weft.sim.random_workflow import random_faults, random_limits, random_workflow
from weft.sim.world import World
from weft.views.summary import render
from weft.views.text import width_painted


def summary(
    tale: Tale,
    *,
    possible_s: float | None = None,
    advice: Sequence[Advice] = (),
    width: int = 100,
    height: int = 24,
    logs: bool = True,
) -> str:
    measure = Measure()
    for fact in tale.facts:
        measure.see(fact)
    text = render(
        measure.numbers(),
        measure.state,
        run="mupid-takol",
        possible_makespan_s=possible_s,
        advice=advice,
        color=False,
        width=width,
        height=height,
        logs=(lambda step, attempt: f".weft/runs/mupid-takol/logs/{step}.{attempt}.err") if logs else None,
    )
    return text + "\n"


def test_success(golden: Golden) -> None:
    workflow = Workflow(name="w", steps=(step("left"), step("right"), step("join", "left", "right")))
    tale = Tale(workflow).ok("left", 3.0).ok("right", 1.0).ok("join", 0.25)
    durations = {"left": 3.0, "right": 4.0, "join": 0.25}
    golden("summary_success", summary(tale, possible_s=foreseen_makespan_s(workflow, durations, Limits(computing=2))))


def test_what_would_have_been_faster(golden: Golden) -> None:
    """Each kind of advice in its words, with what a replay comes to."""
    kinds: list[tuple[Any, str, float | str, float | str]] = [
        ("pool", "database", 2, 4),
        ("max_parallel", "", 2, 8),
        ("schedule", "", "layers", "dataflow"),
        ("retry", "", 3, 0),
        ("step", "join", 0.25, 0.125),
    ]
    advice = [
        Advice(kind=kind, name=name, before=before, after=after, makespan_s=3.0 - n / 2, gain_s=1.0 + n / 2)
        for n, (kind, name, before, after) in enumerate(kinds)
    ]
    tale = Tale(Workflow(name="w", steps=(step("left"), step("right")))).ok("left", 3.0).ok("right", 1.0)
    golden("summary_advice", summary(tale, advice=advice))


def test_success_with_errors(golden: Golden) -> None:
    golden("summary_with_errors", summary(whole_night()))


def failing() -> Tale:
    steps = [step("first", retry=Retry(times=1, delay_s=0.0, jitter=False)), step("second"), step("fine")]
    steps += [step(f"then_{n}", "first") for n in range(30)] + [step(f"bad_{n}", on_error="continue") for n in range(6)]
    tale = Tale(Workflow(name="w", steps=tuple(steps)), limits=Limits())
    tail = "".join(f"line {n} of what it said\n" for n in range(40))
    for n in range(6):
        tale.fail(f"bad_{n}", 0.1, "exit 1", tail=tail)
    tale.fail("first", 0.5, "exit 7", exit_code=7).wait(0.0)
    tale.fail("first", 0.5, "exit 7", exit_code=7, tail=tail, hint="`curl` is not installed").ok("fine", 1.0)
    return tale.fail("second", 0.5, "killed by SIGSEGV (invalid memory access)", tail="\x1b[2J\n")


def test_failures(golden: Golden) -> None:
    golden("summary_failed", summary(failing()))
    assert summary(failing(), height=40).count("\n") <= 40
    assert ".err" not in summary(failing(), logs=False)


def test_a_fan_out_fails_as_one(golden: Golden) -> None:
    workflow = Workflow(name="w", steps=(step("fetch", for_each=[]), step("other"), step("merge", "fetch", "other")))
    tale = Tale(workflow, limits=Limits(computing=1_000, waiting=256))
    tale._turn(f.ItemsEvaluated(at=0.0, step="fetch", keys=[f"k{n}" for n in range(300)]))
    for n in range(300):
        tale.ok(f"fetch[k{n}]", 0.1) if n % 3 else tale.fail(f"fetch[k{n}]", 0.1, f"exit {n}", tail=f"no file {n}\n")
    tale.fail("other", 1.0)
    golden("summary_fan", summary(tale))


def test_suspended(golden: Golden) -> None:
    tale = Tale(nightly()).ok("lint", 1.0).suspend("kill", after=1.0).stopped("fetch", 0.5)
    golden("summary_suspended", summary(tale))


def test_cancelled(golden: Golden) -> None:
    tale = Tale(nightly()).cancel(2.0, "wrong day").stopped("lint", 0.5).stopped("fetch", 0.5)
    golden("summary_cancelled", summary(tale))


def test_outputs_that_cannot_be_evaluated(golden: Golden) -> None:
    error = ErrorRecord(kind="input", message="there is no `steps.a.output.rows`")
    workflow = Workflow(name="w", steps=(step("a"),), outputs={"rows": "${{ steps.a.output.rows }}"})
    golden("summary_outputs", summary(Tale(workflow, outputs=error).ok("a", 1.0)))


def test_a_run_without_steps() -> None:
    assert summary(Tale(Workflow(name="w", steps=()))) == "\nsucceeded      run mupid-takol, 0 steps in 0s\n"


def test_more_than_possible_is_not_said() -> None:
    tale = Tale(Workflow(name="w", steps=(step("a"), step("b")))).ok("a", 2.0).ok("b")
    assert "speedup 2.0× of 2.0× possible here" in summary(tale, possible_s=3.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(70, 130))
def test_it_is_one_screen(seed: int, width: int) -> None:
    random = Random(seed)
    world = World(
        random_workflow(random, steps_max=40), seed=seed, limits=random_limits(random), faults=random_faults(random), check=False
    )
    measure = Measure()
    for fact in world.play():
        measure.see(fact)
    text = render(measure.numbers(), measure.state, run="r", possible_makespan_s=1.0, color=True, width=width)
    lines = text.splitlines()
    assert len(lines) <= 24
    assert all(width_painted(line) <= width for line in lines)
