"""Leaving a run and coming back: signals, cancel, resume, locks."""

import os
import signal

import pytest
from door import Weft, is_fact, lives, read_until, weft

ENDLESS = "steps: {a: {run: 'echo $$ > pid; exec sleep 600'}, b: {run: ':', needs: a}}"


def alive(weft: Weft) -> bool:
    return lives(int((weft.folder / "pid").read_text()))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_drains_and_resume_goes_on(weft: Weft, number: int, code: int) -> None:
    weft.write("w.yaml", "steps: {a: {run: 'cat gate; echo a >> ran'}, b: {run: 'echo b >> ran', needs: a}}")
    os.mkfifo(weft.folder / "gate")
    engine = weft.start("run", "w.yaml", "--output", "json")
    read_until(engine, is_fact("attempt_spawned", step="a"))
    engine.send_signal(number)
    read_until(engine, is_fact("suspend_requested", how="drain"))
    (weft.folder / "gate").write_text("go\n")
    facts = read_until(engine, is_fact("run_suspended"))
    assert not [fact for fact in facts if fact.get("step") == "b"]
    assert engine.wait(30) == code
    engine.communicate()
    weft("resume")
    assert (weft.folder / "ran").read_text() == "a\nb\n"


def test_the_grace_ends(weft: Weft) -> None:
    weft.write("w.yaml", ENDLESS)
    engine = weft.start("run", "w.yaml", "--output", "json", "--grace", "100ms")
    read_until(engine, is_fact("attempt_spawned", step="a"))
    engine.send_signal(signal.SIGINT)
    facts = read_until(engine, is_fact("run_suspended"))
    assert [fact["reason"] for fact in facts if fact["fact"] == "attempt_lost"] == ["suspend"]
    assert engine.wait(30) == 130
    engine.communicate()
    assert not alive(weft)


def test_the_second_signal_kills(weft: Weft) -> None:
    weft.write("w.yaml", "steps: {a: {run: 'trap : TERM; echo $$ > pid; while :; do read x < gate; done'}}")
    os.mkfifo(weft.folder / "gate")
    engine = weft.start("run", "w.yaml", "--output", "json", "--grace", "10m")
    read_until(engine, is_fact("attempt_spawned", step="a"))
    engine.send_signal(signal.SIGINT)
    read_until(engine, is_fact("suspend_requested", how="drain"))
    engine.send_signal(signal.SIGINT)
    read_until(engine, is_fact("run_suspended"))
    assert engine.wait(30) == 130
    engine.communicate()


def test_the_third_signal_leaves_at_once_and_resume_sweeps(weft: Weft) -> None:
    weft.write("w.yaml", "steps: {a: {run: 'echo $$ >> pids; [ $WEFT_ATTEMPT -gt 1 ] || exec sleep 600'}}")
    engine = weft.start("run", "w.yaml", "--output", "json", "--grace", "10m")
    read_until(engine, is_fact("attempt_spawned", step="a"))
    os.kill(engine.pid, signal.SIGSTOP)  # so that all three have come before the engine looks
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(engine.pid, number)
    os.kill(engine.pid, signal.SIGCONT)
    assert engine.wait(30) in (129, 130, 143)
    engine.communicate()
    weft("resume")
    first = int((weft.folder / "pids").read_text().split()[0])
    assert not lives(first)


def test_cancel_by_another_process(weft: Weft) -> None:
    weft.write("w.yaml", ENDLESS)
    engine = weft.start("run", "w.yaml", "--output", "json", "--grace", "1s")
    read_until(engine, is_fact("attempt_spawned", step="a"))
    assert "its engine is ending it" in weft("cancel", "@", "--reason", "enough").err
    facts = read_until(engine, is_fact("run_ended"))
    assert facts[-1]["status"] == "cancelled"
    assert [fact["reason"] for fact in facts if fact["fact"] == "cancel_requested"] == ["enough"]
    assert engine.wait(30) == 4
    engine.communicate()
    assert not alive(weft)
    assert "has ended (cancelled)" in weft("resume", code=2).err


def test_cancel_without_an_engine(weft: Weft) -> None:
    weft.write("w.yaml", ENDLESS)
    engine = weft.start("run", "w.yaml", "--output", "json")
    read_until(engine, is_fact("attempt_spawned", step="a"))
    engine.kill()
    engine.communicate()
    assert "is closed" in weft("cancel").err
    assert not alive(weft)
    assert "cancelled" in weft("show").out


def test_a_second_engine_is_refused_by_name(weft: Weft) -> None:
    weft.write("w.yaml", ENDLESS)
    engine = weft.start("run", "w.yaml", "--output", "json", "--grace", "1s")
    read_until(engine, is_fact("attempt_spawned", step="a"))
    refusal = weft("resume", code=6).err
    assert f"process {engine.pid}" in refusal
    weft("cancel")
    engine.communicate()


@pytest.mark.parametrize(
    ("changed", "said"), [("part", "part.yaml has changed since run"), ("both", "hold.yaml and 1 more have changed since run")]
)
def test_resume_says_when_a_file_has_changed(weft: Weft, changed: str, said: str) -> None:
    weft.write("part.yaml", "steps: { b: { run: echo b } }")
    weft.write(
        "hold.yaml", "steps: {a: {run: 'cat gate'}, p: {flow: ./part.yaml, needs: a}}\noutputs: {a: '${{ steps.a.output }}'}"
    )
    os.mkfifo(weft.folder / "gate")
    engine = weft.start("run", "hold.yaml", "--output", "json")
    read_until(engine, is_fact("attempt_spawned", step="a"))
    engine.kill()
    engine.communicate()
    if changed == "both":
        weft.write("hold.yaml", "steps: {a: {run: 'echo new'}}")
    weft.write("part.yaml", "steps: { c: { run: echo b } }")
    (weft.folder / "gate").unlink()
    (weft.folder / "gate").write_text("as it was")
    done = weft("resume")
    assert done.outputs == {"a": "as it was"}
    assert said in done.err


def test_retry_tries_again_what_did_not_succeed(weft: Weft) -> None:
    steps = "a: {run: echo a >> ran}, b: {run: echo b >> ran; test -e mended, needs: a}, c: {run: ':', needs: b}"
    weft.write("w.yaml", "steps: {" + steps + "}")
    weft("run", "w.yaml", code=1)
    assert "has ended (failed); `weft retry" in weft("resume", code=2).err
    (weft.folder / "mended").touch()
    done = weft("retry")
    assert (weft.folder / "ran").read_text() == "a\nb\nb\n"
    assert "tries again" not in done.err
    assert "3/3" in weft("runs").out
    assert "there is nothing to retry" in weft("retry", code=2).err


def test_retry_of_a_run_that_has_not_ended_is_a_resume(weft: Weft) -> None:
    weft.write("w.yaml", ENDLESS)
    engine = weft.start("run", "w.yaml", "--output", "json")
    read_until(engine, is_fact("attempt_spawned", step="a"))
    engine.kill()
    engine.communicate()
    assert "`weft resume" in weft("retry", code=2).err
    weft("cancel")
    assert not alive(weft)
