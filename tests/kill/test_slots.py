"""Slots under fire: steps, engines and workers are killed at random, and what a killed engine held is free when it should be."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import IO, Any

import pytest
from slots import WEFT, many

CHUNKS = 3
SHARED = {"one": {"slots": 1, "scope": "engine"}}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_no_limit_is_exceeded_and_nothing_stays_held(chunk: int) -> None:
    found = many(seed=100 * chunk, wanted=10)
    assert found["runs"] >= 10
    assert found["kills"] >= 5
    assert found["all full"] + found["own full"] > 0, "a limit that is never reached proves nothing"


def start(folder: Path, name: str, steps: dict[str, Any]) -> "subprocess.Popen[str]":
    (folder / f"{name}.weft.json").write_text(json.dumps({"name": name, "resources": SHARED, "steps": steps}))
    command = [*WEFT, "run", f"{name}.weft.json", "--output", "json"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True)


def until(stream: IO[str], fact: str) -> dict[str, Any]:
    """The first of these facts that is shown; those before it are passed over."""
    for line in stream:
        shown: dict[str, Any] = json.loads(line)
        if shown.get("fact") == fact:
            return shown
    raise AssertionError(f"no {fact} was shown")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", ["shell", "python"])
def test_what_a_killed_engine_held_is_free_when_its_children_are_dead(tmp_path: Path, kind: str) -> None:
    """The other run waits, and says for whom; it starts when the last child is gone, though nobody resumes the killed one."""
    if kind == "shell":
        action = {"run": "sleep 100 & echo $! > child; wait"}
    else:
        forks = "    if os.fork() == 0:\n        os.setsid()\n        open('child', 'w').write(str(os.getpid()))\n"
        code = "import os, time\ndef run():\n" + forks
        action = {"python": code + "        time.sleep(100)\n    os.waitpid(-1, 0)\n"}
    first = start(tmp_path, "first", {"hold": {**action, "resources": {"one": 1}}})
    assert first.stdout
    run = until(first.stdout, "run_created")["run"]
    until(first.stdout, "attempt_started")
    second = start(tmp_path, "second", {"wait": {"run": "echo got it", "resources": {"one": 1}}})
    assert second.stdout
    other = until(second.stdout, "run_created")["run"]
    assert until(second.stdout, "pool_busy")["runs"] == [run]
    why = subprocess.run([*WEFT, "why", other, "wait"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert f"run `{run}`" in why.stdout + why.stderr
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text().strip():
        os.sched_yield()
    child = int((tmp_path / "child").read_text())
    leaders = children_of(first.pid)
    first.send_signal(signal.SIGKILL)
    first.wait(20)
    first.stdout.close()
    for pid in {*leaders, child}:
        kill(pid)
    assert until(second.stdout, "pool_leased")["units"] == {"one": 1}
    assert until(second.stdout, "run_ended")["status"] == "succeeded"
    second.stdout.close()
    assert second.wait(20) == 0


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # the kernel has killed the worker with its engine


@pytest.mark.timeout(60)
def test_a_second_engine_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    first = start(tmp_path, "first", {"hold": {"run": "sleep 100"}})
    assert first.stdout
    run = until(first.stdout, "run_created")["run"]
    until(first.stdout, "attempt_started")
    second = subprocess.run([*WEFT, "resume", run], cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False)
    assert second.returncode == 6
    assert f"run `{run}` is held by process {first.pid}" in second.stderr
    first.send_signal(signal.SIGINT)
    first.send_signal(signal.SIGINT)
    first.stdout.read()
    first.stdout.close()
    assert first.wait(30) == 130
