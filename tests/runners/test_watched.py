"""Watched attempts end as they do unwatched, with all that came of them; and what was seen is theirs."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import test_trees
from test_trees import LEFT_BEHIND, SURVIVORS, play

from weft.host.recording import Recorder, open_files
from weft.host.strace import Opened, find_strace
from weft.model.workflow import Argv, Python, Shell
from weft.ports import Ended, Job, Runner
from weft.runners.python import PythonRunner
from weft.runners.shell import ShellRunner
from weft.testing.runners import Reports, make_job

needs_strace = pytest.mark.skipif(find_strace() is None, reason="strace is not here, or may not trace")


def watched_shell(recorder: Recorder) -> Callable[..., ShellRunner]:
    def make(env: dict[str, str], folder: Path) -> ShellRunner:
        runner = ShellRunner(env, folder)
        runner.wrap = recorder.wrap
        return runner

    return make


@needs_strace
@pytest.mark.parametrize("script", SURVIVORS.values(), ids=SURVIVORS.keys())
def test_stop_ends_the_whole_tree(tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder(tmp_path / "seen")
    monkeypatch.setattr(test_trees, "ShellRunner", watched_shell(recorder))
    end = play(tmp_path, script, 1, lambda runner, key: runner.stop(key, 0.2))
    assert end.outcome == "cancelled"
    recorder.close()
    assert Opened(str(tmp_path / "fifo"), True) in recorder.attempts["step", 1].opened
    assert not (tmp_path / "seen").exists()


@needs_strace
@pytest.mark.parametrize("script", LEFT_BEHIND.values(), ids=LEFT_BEHIND.keys())
def test_what_is_left_behind_is_ended(tmp_path: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(test_trees, "ShellRunner", watched_shell(Recorder(tmp_path / "seen")))
    end = play(tmp_path, script, 1, lambda runner, key: None)
    assert (end.outcome, end.error) == ("ok", None)
    assert (tmp_path / "logs" / "step.1.out").read_text() == "done\n"


def run(runner: Runner, *jobs: Job) -> list[Ended]:
    async def main() -> list[Ended]:
        reports = Reports()
        for job in jobs:
            runner.start(job, reports)
        ends = [await reports.ended(job.key) for job in jobs]
        await runner.close()
        return ends

    return asyncio.run(main())


@needs_strace
def test_exit_codes_signals_and_output_are_those_of_the_program(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "seen", "strace")
    runner = watched_shell(recorder)(dict(os.environ), tmp_path)
    scripts = ["echo out; exit 7", "kill -KILL $$", "cat", "printf '%s' \"$0\""]
    jobs = [make_job(tmp_path, Shell(script=script), f"s{n}") for n, script in enumerate(scripts)]
    jobs.append(make_job(tmp_path, Argv(argv=("/nowhere/program",)), "gone"))
    ends = run(runner, *jobs)
    assert ends[0].error is not None
    assert ends[0].error.exit_code == 7
    assert (tmp_path / "logs" / "s0.1.out").read_text() == "out\n"
    assert ends[1].error is not None
    assert ends[1].error.signal == "SIGKILL"
    assert [end.outcome for end in ends[2:]] == ["ok", "ok", "failed"]


PYTHON = """
import os, shutil, sqlite3, subprocess

def run(folder):
    os.chdir(folder)
    open("made", "w").close()
    open("made").read()
    os.rename("made", "moved")
    os.symlink("moved", "link")
    open("link").read()
    os.link("moved", "hard")
    os.makedirs("d/e")
    with open("d/e/f", "wb"):
        pass
    shutil.rmtree("d")
    sqlite3.connect("data.db").close()
    sqlite3.connect(":memory:").close()
    os.listdir(".")
    for missing in ("gone", "no/folder"):
        try:
            open(missing)
        except OSError:
            pass
    try:
        open("no/folder", "w")
    except OSError:
        pass
    try:
        open("nul\\0")
    except ValueError:
        pass
    subprocess.run(["true"])
    return os.getpid()
"""


def test_audit_events(tmp_path: Path) -> None:
    from weft.executors.processes import ProcessExecutor

    (tmp_path / "w").mkdir()
    recorder = Recorder(tmp_path / "seen")
    executor = ProcessExecutor(dict(os.environ), tmp_path, "test-run")
    executor.watch = recorder.file
    (end,) = run(PythonRunner(executor), make_job(tmp_path, Python(code=PYTHON), inputs={"folder": str(tmp_path / "w")}))
    assert end.error is None
    recorder.attempts["other", 1] = type(recorder.attempts["step", 1])(
        "other", "nothing", tmp_path / "none", "/", {Opened(str(tmp_path / "w" / "gone"), True)}
    )
    recorder.close()
    seen = recorder.attempts["step", 1]
    own = {(opened.path.removeprefix(f"{tmp_path}/w/"), opened.writes, opened.missed) for opened in seen.opened}
    assert {each for each in own if not each[0].startswith("/")} == {
        ("made", True, False),
        ("made", False, False),
        ("moved", True, False),
        ("link", True, False),
        ("moved", False, False),
        ("hard", True, False),
        ("d/e/f", True, False),
        ("data.db", True, False),
        ("gone", False, True),
    }
    assert seen.started == {"true"}


def test_open_files_of_a_process(tmp_path: Path) -> None:
    with (tmp_path / "r").open("w"), (tmp_path / "r").open(), (tmp_path / "u").open("w+"):
        found = {opened for opened in open_files(os.getpid()) if opened.path.startswith(str(tmp_path))}
    assert found == {
        Opened(str(tmp_path / name), writes) for name, writes in (("r", True), ("r", False), ("u", True), ("u", False))
    }
    assert list(open_files(2**22 + 1)) == []


def test_samples_see_what_stays_open(tmp_path: Path) -> None:
    """The step holds a file open until it has been seen."""
    recorder = Recorder(tmp_path / "seen", "samples")
    assert not recorder.has_strace
    shell = ShellRunner(dict(os.environ), tmp_path)
    shell.wrap = recorder.wrap
    os.mkfifo(tmp_path / "go")

    async def main() -> Ended:
        runner, reports = recorder.sampled(shell), Reports()
        script = f"exec 7> {tmp_path}/held; (exec 8< {tmp_path}/held; read < {tmp_path}/go)"
        job = make_job(tmp_path, Shell(script=script))
        runner.start(job, reports)
        await reports.spawned(job.key)
        wanted = {Opened(f"{tmp_path}/held", True), Opened(f"{tmp_path}/held", False)}
        async with asyncio.timeout(30):
            while not wanted <= recorder.attempts[job.key].opened:
                await asyncio.sleep(0)
        (tmp_path / "go").write_text("\n")
        end = await reports.ended(job.key)
        runner.stop(job.key, 0)
        await runner.close()
        return end

    assert asyncio.run(main()).outcome == "ok"
    recorder.close()
