"""An attempt has ended when nothing of it runs any more, whatever its processes do to survive."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from weft.host import procfs
from weft.model.workflow import Shell
from weft.ports import Ended
from weft.runners.shell import ShellRunner
from weft.testing.runners import Reports, make_job

SURVIVORS = {
    "ignores TERM": "trap '' TERM; echo $BASHPID > $fifo; sleep 1000 & wait; sleep 1000",
    "is stopped": "echo $BASHPID > $fifo; kill -STOP $BASHPID",
    "background child": "sleep 1000 & echo $! > $fifo; wait",
    "own group": "set -m; sleep 1000 & echo $! > $fifo; wait",
    "own session": "setsid sh -c 'echo $$ > $fifo; exec sleep 1000' & wait",
    "own session, ignores TERM": "setsid bash -c 'trap \"\" TERM; echo $$ > $fifo; while :; do sleep 1000; done' & wait",
    "daemon": "(setsid sh -c 'echo $$ > $fifo; exec sleep 1000' > /dev/null 2>&1 &); sleep 1000",
    "daemon without environment": '(setsid env -i sh -c "echo \\$\\$ > $fifo; exec sleep 1000" &); sleep 1000',
    "daemon of a daemon": "(setsid env -i sh -c \"(setsid sh -c 'echo \\$\\$ > $fifo; exec sleep 1000' &)\" &); sleep 1000",
}


async def lines(fifo: int, count: int) -> list[int]:
    """Wait for so many pids to be written to the fifo."""
    readable, data = asyncio.Event(), b""
    loop = asyncio.get_running_loop()
    loop.add_reader(fifo, readable.set)
    async with asyncio.timeout(30):
        while data.count(b"\n") < count:
            await readable.wait()
            readable.clear()
            with suppress(BlockingIOError):
                data += os.read(fifo, 65536)
    loop.remove_reader(fifo)
    return [int(line) for line in data.split()]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if (found := procfs.stat(pid)) and not found.dead]


def play(
    folder: Path, script: str, count: int, act: Callable[[ShellRunner, tuple[str, int]], None], cwd: Path | None = None
) -> Ended:
    """Run the script until `count` pids have come, act, await the end, and check that none of the pids lives then."""

    async def main() -> Ended:
        os.mkfifo(folder / "fifo")
        fifo = os.open(folder / "fifo", os.O_RDWR | os.O_NONBLOCK)
        runner, reports = ShellRunner(os.environ, folder), Reports()
        job = make_job(folder, Shell(script=script), env={"fifo": str(folder / "fifo")}, cwd=cwd)
        runner.start(job, reports)
        pids = [*await lines(fifo, count), (await reports.spawned(job.key)).pid]
        act(runner, job.key)
        end = await reports.ended(job.key)
        assert alive(pids) == []
        os.close(fifo)
        await runner.close()
        return end

    return asyncio.run(main())


@pytest.mark.parametrize("script", SURVIVORS.values(), ids=SURVIVORS.keys())
def test_stop_ends_the_whole_tree(tmp_path: Path, script: str) -> None:
    end = play(tmp_path, script, 1, lambda runner, key: runner.stop(key, 0.2))
    assert end.outcome == "cancelled"


def test_stop_without_grace(tmp_path: Path) -> None:
    play(tmp_path, SURVIVORS["own session, ignores TERM"], 1, lambda runner, key: runner.stop(key, 0))


def test_a_later_stop_shortens_the_grace(tmp_path: Path) -> None:
    def act(runner: ShellRunner, key: tuple[str, int]) -> None:
        runner.stop(key, 1000)
        runner.stop(key, 0.1)

    assert play(tmp_path, SURVIVORS["ignores TERM"], 1, act).outcome == "cancelled"


def test_a_tree_in_another_folder(tmp_path: Path) -> None:
    play(tmp_path, SURVIVORS["daemon without environment"], 1, lambda runner, key: runner.stop(key, 0.2), cwd=tmp_path)


def test_the_grace_is_given(tmp_path: Path) -> None:
    script = "trap 'echo bye; exit 0' TERM; echo $$ > $fifo; while :; do sleep 0.01; done"
    end = play(tmp_path, script, 1, lambda runner, key: runner.stop(key, 1000))
    assert end.outcome == "cancelled"
    assert (tmp_path / "logs" / "step.1.out").read_text() == "bye\n"


def test_a_storm_of_daemons(tmp_path: Path) -> None:
    script = 'for i in $(seq 150); do (setsid env -i sh -c "echo \\$\\$ > $fifo; exec sleep 1000" &); done; sleep 1000'
    play(tmp_path, script, 60, lambda runner, key: runner.stop(key, 0))
    assert not [pid for pid in procfs.pids() if str(tmp_path).encode() in procfs.read(f"/proc/{pid}/cmdline", 4096)]


UP = 'up=$WEFT_DIR/up; mkfifo "$up"; '
"""The script goes on, at `read < $up`, when the process that it leaves behind is there."""
LEFT_BEHIND = {
    "background child": UP + 'sh -c "echo \\$\\$ > $fifo; echo > $up; exec sleep 1000" & read < "$up"; echo done',
    "holds stdout in its own session": UP
    + 'setsid sh -c "echo \\$\\$ > $fifo; echo > $up; exec sleep 1000" & read < "$up"; echo done',
    "daemon without environment": UP
    + '(setsid env -i sh -c "echo \\$\\$ > $fifo; echo > $up; exec sleep 1000" &); read < "$up"; echo done',
    "ignores TERM": UP
    + 'setsid bash -c "trap \'\' TERM; echo \\$\\$ > $fifo; echo > $up; while :; do sleep 1000; done" & read < "$up"; echo done',
}


@pytest.mark.parametrize("script", LEFT_BEHIND.values(), ids=LEFT_BEHIND.keys())
def test_what_a_successful_step_leaves_behind_is_ended(tmp_path: Path, script: str) -> None:
    end = play(tmp_path, script, 1, lambda runner, key: None)
    assert (end.outcome, end.error) == ("ok", None)
    assert (tmp_path / "logs" / "step.1.out").read_text() == "done\n"


def test_a_stop_that_comes_after_the_end_changes_nothing(tmp_path: Path) -> None:
    """The script has succeeded; only what it left behind is still being ended when somebody stops the step."""

    async def main() -> Ended:
        os.mkfifo(tmp_path / "fifo")
        fifo = os.open(tmp_path / "fifo", os.O_RDWR | os.O_NONBLOCK)
        runner, reports = ShellRunner(os.environ, tmp_path), Reports()
        job = make_job(tmp_path, Shell(script=LEFT_BEHIND["ignores TERM"]), env={"fifo": str(tmp_path / "fifo")})
        runner.start(job, reports)
        [pid] = await lines(fifo, 1)
        leader = (await reports.spawned(job.key)).pid
        async with asyncio.timeout(20):
            while alive([leader]) or procfs.stat(leader):
                await asyncio.sleep(0)
        runner.stop(job.key, 0)
        end = await reports.ended(job.key)
        assert alive([pid]) == []
        os.close(fifo)
        await runner.close()
        return end

    assert asyncio.run(main()).outcome == "ok"


def test_neighbours_are_left_alone(tmp_path: Path) -> None:
    """Two attempts with daemons of the same make: stopping one ends its own only."""

    async def main() -> None:
        os.mkfifo(tmp_path / "fifo")
        fifo = os.open(tmp_path / "fifo", os.O_RDWR | os.O_NONBLOCK)
        runner, reports = ShellRunner(os.environ, tmp_path), Reports()
        script = SURVIVORS["daemon without environment"]
        first, second = (make_job(tmp_path, Shell(script=script), s, env={"fifo": str(tmp_path / "fifo")}) for s in "ab")
        runner.start(first, reports)
        [one] = await lines(fifo, 1)
        runner.start(second, reports)
        [two] = await lines(fifo, 1)
        runner.stop(first.key, 0)
        await reports.ended(first.key)
        assert alive([one, two]) == [two]
        runner.stop(second.key, 0)
        await reports.ended(second.key)
        assert alive([two]) == []
        os.close(fifo)
        await runner.close()

    asyncio.run(main())


def test_a_child_that_somebody_else_kills(tmp_path: Path) -> None:
    end = play(tmp_path, "echo $$ > $fifo; sleep 1000 & wait", 1, lambda runner, key: _kill_leader(tmp_path))
    assert end.error is not None
    assert (end.error.kind, end.error.signal) == ("killed", "SIGTERM")


def _kill_leader(folder: Path) -> None:
    """SIGTERM to the one process that runs with this fifo in its environment and leads a session."""
    for pid, found in procfs.table().items():
        if found.session == pid and f"fifo={folder / 'fifo'}".encode() in procfs.environ(pid):
            os.kill(pid, signal.SIGTERM)
