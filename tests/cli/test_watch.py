"""`weft watch`: another process sees what the engine shows, ends as the run ends, and cannot disturb it."""

import json
import os
import signal

import pytest
from door import Weft, is_fact, read_until, weft

GATED = "steps: {a: {run: echo one}, b: {run: cat gate, needs: a}}\noutputs: {b: '${{ steps.b.output }}'}"


def open_gate(weft: Weft, text: str = "two\n") -> None:
    (weft.folder / "gate").write_text(text)


def test_a_living_run_is_followed_to_its_end(weft: Weft) -> None:
    weft.write("w.yaml", GATED)
    os.mkfifo(weft.folder / "gate")
    engine = weft.start("run", "w.yaml", "--output", "json")
    seen = read_until(engine, is_fact("attempt_spawned", step="b"))
    watching = weft.start("watch", "@", "--output", "json")
    watched = read_until(watching, is_fact("attempt_spawned", step="b"))
    assert watched == seen
    open_gate(weft)
    rest, _ = engine.communicate(timeout=60)
    shown, _ = watching.communicate(timeout=60)
    assert shown == rest
    assert json.loads(shown.splitlines()[-1]) == {"v": 1, "outputs": {"b": "two"}}
    assert (engine.returncode, watching.returncode) == (0, 0)


def test_a_run_that_is_over_is_told_and_summed_up(weft: Weft) -> None:
    weft.write("w.yaml", "steps: {a: {run: echo one}, b: {run: exit 3, needs: a}}")
    ran = weft("run", "w.yaml", code=1)
    told = weft("watch", code=1)
    assert told.err.splitlines() == ran.err.splitlines()
    assert weft("watch", "@", "--output", "quiet", code=1).err.startswith("run ")


def test_a_watcher_ends_with_a_run_that_is_suspended(weft: Weft) -> None:
    weft.write("w.yaml", "steps: {b: {run: cat gate}, c: {run: ':', needs: b}}")
    os.mkfifo(weft.folder / "gate")
    engine = weft.start("run", "w.yaml", "--output", "json")
    read_until(engine, is_fact("attempt_spawned", step="b"))
    watching = weft.start("watch", "--output", "json")
    engine.send_signal(signal.SIGTERM)
    read_until(watching, is_fact("suspend_requested", how="drain"))
    open_gate(weft)
    engine.communicate(timeout=60)
    watching.communicate(timeout=60)
    assert (engine.returncode, watching.returncode) == (143, 143)


@pytest.mark.parametrize("output", ["json", "lines"])
def test_the_death_of_the_engine_is_told(weft: Weft, output: str) -> None:
    weft.write("w.yaml", "steps: {a: {run: exec sleep 600}}")
    engine = weft.start("run", "w.yaml", "--output", "json")
    read_until(engine, is_fact("attempt_spawned", step="a"))
    watching = weft.start("watch", "--output", output)
    if output == "json":
        read_until(watching, is_fact("attempt_spawned", step="a"))
    engine.kill()
    engine.communicate(timeout=60)
    _, errors = watching.communicate(timeout=60)
    assert watching.returncode == 6
    assert b"is gone" in errors
    assert b"weft resume" in errors
    assert output != "json" or f"process {engine.pid}".encode() in errors
    weft("cancel")


def test_a_watcher_that_is_interrupted_leaves_the_run_alone(weft: Weft) -> None:
    weft.write("w.yaml", GATED)
    os.mkfifo(weft.folder / "gate")
    engine = weft.start("run", "w.yaml", "--output", "json")
    read_until(engine, is_fact("attempt_spawned", step="b"))
    watching = weft.start("watch", "--output", "json")
    read_until(watching, is_fact("attempt_spawned", step="b"))
    watching.send_signal(signal.SIGINT)
    _, errors = watching.communicate(timeout=60)
    assert watching.returncode == 130
    assert b"goes on" in errors
    open_gate(weft)
    engine.communicate(timeout=60)
    assert engine.returncode == 0


def test_a_watcher_sees_a_run_again_after_its_resume(weft: Weft) -> None:
    weft.write("w.yaml", "steps: {a: {run: '[ $WEFT_ATTEMPT -gt 1 ] || exec sleep 600'}}")
    engine = weft.start("run", "w.yaml", "--output", "json")
    read_until(engine, is_fact("attempt_spawned", step="a"))
    engine.kill()
    engine.communicate(timeout=60)
    weft("resume")
    facts = weft("watch", "--output", "json").facts()
    assert [fact["fact"] for fact in facts].count("engine_attached") == 2
    assert facts[-1]["fact"] == "run_ended"
