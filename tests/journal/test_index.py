"""The list of runs, and finding one by its name."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from journal_facts import created, ended, started

from weft.core.facts import (
    AttemptEnded,
    AttemptStarted,
    EngineAttached,
    Fact,
    Limits,
    RunCreated,
    RunEnded,
    RunSuspended,
    StepCancelled,
    StepFailed,
    StepsAdded,
    StepsSkipped,
    StepSucceeded,
)
from weft.journal import index
from weft.journal.index import Index, RunRow, find_run
from weft.journal.sqlite import SqliteJournal
from weft.journal.successes import Row
from weft.model.errors import UsageError
from weft.model.output import ErrorRecord
from weft.model.workflow import Shell, Step, Workflow

HERE = Path(__file__).parent


def attached(at: float) -> EngineAttached:
    return EngineAttached(at=at, pid=1, host="h", limits=Limits())


def run(state: Path, name: str, facts: Sequence[Fact]) -> SqliteJournal:
    folder = state / "runs" / name
    journal = SqliteJournal(folder, durability="process", create=not folder.exists())
    journal.append(facts)
    return journal


def listed(state: Path) -> list[RunRow]:
    found = Index(state)
    found.refresh()
    return found.runs()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Three runs: one that ended, one that is suspended, one that only was created."""
    run(tmp_path, "bold-otter", [created(3), attached(1.0), started(0), ended(2), RunEnded(at=5.0, status="succeeded")]).close()
    run(tmp_path, "bold-heron", [created(2, at=7.0), attached(7.0), RunSuspended(at=8.0)]).close()
    run(tmp_path, "calm-finch", [created(2, at=6.0)]).close()
    return tmp_path


def test_rows(state: Path) -> None:
    rows = listed(state)
    assert [row.run for row in rows] == ["bold-heron", "calm-finch", "bold-otter"]
    assert [row.status for row in rows] == ["suspended", "running", "succeeded"]
    assert [row.alive for row in rows] == [False, False, False]
    otter = rows[2]
    assert (otter.workflow, otter.source, otter.created_at, otter.ended_at) == ("sample", "sample.weft.yaml", 1.0, 5.0)
    assert (otter.steps, otter.succeeded, otter.failed, otter.damage) == (3, 1, 0, "")


def test_counts_and_makespan(tmp_path: Path) -> None:
    facts: list[Fact] = [
        created(6, at=100.0),
        attached(101.0),
        started(102),
        StepFailed(at=103.0, step="step0", error=ErrorRecord(kind="exit", message="exit 1")),
        attached(500.0),
        StepCancelled(at=501.0, step="step1", cause="cancel"),
        StepsSkipped(at=501.0, steps=["step2", "step3"], reason="need_failed"),
        RunEnded(at=502.0, status="failed"),
    ]
    run(tmp_path, "bold-otter", facts).close()
    (row,) = listed(tmp_path)
    assert (row.succeeded, row.failed, row.cancelled, row.skipped) == (0, 1, 1, 2)
    assert row.makespan_s == 2.0 + 2.0
    assert row.status == "failed"


def test_added_steps_are_counted(tmp_path: Path) -> None:
    workflow = Workflow(name="w", steps=(Step(id="a", action=Shell(script="true"), for_each=[1, 2]),))
    facts: list[Fact] = [
        msgspec.structs.replace(created(1), workflow=workflow),
        StepsAdded(at=1.0, parent="a", keys=["0", "1"]),
        AttemptEnded(at=2.0, step="a[0]", attempt=1, outcome="ok"),
        AttemptEnded(at=2.0, step="a[1]", attempt=1, outcome="ok"),
        StepSucceeded(at=2.0, step="a"),
        StepsAdded(at=2.0, steps=[Step(id="b", action=Shell(script="true"))]),
    ]
    run(tmp_path, "bold-otter", facts).close()
    (row,) = listed(tmp_path)
    assert (row.steps, row.succeeded) == (4, 3)


def test_a_run_that_somebody_holds_is_alive(state: Path) -> None:
    journal = run(state, "calm-finch", [attached(9.0)])
    assert {row.run: row.alive for row in listed(state)} == {"bold-heron": False, "calm-finch": True, "bold-otter": False}
    journal.close()
    assert not any(row.alive for row in listed(state))


def test_only_changed_runs_are_read_again(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    fold = index._fold

    def noted(folder: Path) -> tuple[RunRow, index.Note | None, list[Row]]:
        read.append(folder.name)
        return fold(folder)

    monkeypatch.setattr(index, "_fold", noted)
    listed(state)
    assert sorted(read) == ["bold-heron", "bold-otter", "calm-finch"]
    read.clear()
    listed(state)
    assert read == []
    run(state, "bold-heron", [attached(20.0)]).close()
    shutil.rmtree(state / "runs" / "bold-otter")
    assert [(row.run, row.status) for row in listed(state)] == [("bold-heron", "running"), ("calm-finch", "running")]
    assert read == ["bold-heron"]


@pytest.mark.parametrize("content", [None, b"", b"rubbish" * 1000, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_the_index_can_be_lost_or_broken(state: Path, content: bytes | None) -> None:
    before = listed(state)
    path = state / index.NAME
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert listed(state) == before
    assert path.stat().st_mode & 0o777 == 0o600 or content is not None
    data = bytearray(path.read_bytes())
    for place in range(0, len(data), 61):
        data[place] ^= 0x10
    path.write_bytes(data)
    assert listed(state) == before


def test_an_index_of_another_format_is_rebuilt(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = listed(state)
    monkeypatch.setattr(index, "_FORMAT", 99)
    assert listed(state) == before


def test_without_a_place_for_the_index(state: Path) -> None:
    (state / index.NAME).mkdir()
    assert len(listed(state)) == 3


def test_a_damaged_run_is_listed_and_hides_no_other(state: Path) -> None:
    path = state / "runs" / "bold-heron" / "journal.db"
    path.write_bytes(path.read_bytes()[:-3000])
    (state / "runs" / "bare-crane").mkdir()
    (state / "runs" / "bare-crane" / "journal.db").touch()
    (state / "runs" / "no-journal").mkdir()
    rows = {row.run: row for row in listed(state)}
    assert rows.keys() == {"bold-heron", "bold-otter", "calm-finch", "bare-crane"}
    assert "damaged" in rows["bold-heron"].damage
    assert "0 bytes" in rows["bare-crane"].damage
    assert rows["bold-otter"].damage == ""


def test_many_readers_at_once(state: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: listed(state), range(24)))
    assert all(rows == results[0] for rows in results)


def test_no_state_at_all(tmp_path: Path) -> None:
    assert listed(tmp_path / "nothing") == []
    with pytest.raises(UsageError, match="no run"):
        find_run(tmp_path / "nothing", "@")


@pytest.mark.parametrize(
    ("text", "name"), [("bold-otter", "bold-otter"), ("c", "calm-finch"), ("bold-h", "bold-heron"), ("@", "bold-heron")]
)
def test_find(state: Path, text: str, name: str) -> None:
    assert find_run(state, text) == state / "runs" / name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("bold-", "beginning of 2 runs: `bold-heron`, `bold-otter`"),
        ("bold-oter", "did you mean `bold-otter`"),
        ("xyzzy", "weft runs"),
        ("", "weft runs"),
        ("../runs/bold-otter", "no run"),
    ],
)
def test_find_nothing(state: Path, text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        find_run(state, text)


def test_an_exact_name_wins_over_a_longer_one(state: Path) -> None:
    run(state, "bold-otter2", [created()]).close()
    assert find_run(state, "bold-otter").name == "bold-otter"


def test_a_run_that_is_being_written(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "bold-otter"
    env = {**os.environ, "PYTHONPATH": str(HERE)}
    command = [sys.executable, str(HERE / "writer.py"), str(folder), "process", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout
        for _ in range(3):
            process.stdout.readline()
        (row,) = listed(tmp_path)
        process.send_signal(signal.SIGKILL)
        process.stdout.read()
    assert row.run == "bold-otter"
    assert "Traceback" not in row.damage


# ---- what runs teach ----


def test_a_run_that_ends_and_a_journal_that_is_read_teach_the_same(tmp_path: Path) -> None:
    start, end = AttemptStarted(at=2.0, step="step0", attempt=1), AttemptEnded(at=3.5, step="step0", attempt=1, outcome="ok")
    failed = AttemptEnded(at=9.0, step="step1", attempt=1, outcome="failed")
    other = AttemptStarted(at=2.0, step="step1", attempt=1)
    run(tmp_path, "bold-otter", [created(3), attached(1.0), start, other, end, failed]).close()
    listed(tmp_path)
    (read,) = Index(tmp_path).samples("sample")
    assert read.steps == {"step0": 1.5}
    (tmp_path / index.NAME).unlink()
    Index(tmp_path).note(created(3), {"step0": 1.5})
    assert Index(tmp_path).samples("sample") == [read]


def test_the_last_runs_teach(state: Path) -> None:
    """The newest first, no more than a few, and of other workflows nothing."""
    for n in range(index.SAMPLES_MAX + 3):
        Index(state).note(noted(n), {"step0": float(n)})
    Index(state).note(msgspec.structs.replace(noted(99), time_scale=0.5), {"step0": 99.0})
    Index(state).note(noted(100), {})
    found = [sample.steps["step0"] for sample in Index(state).samples("sample")]
    assert found == [float(n) for n in range(index.SAMPLES_MAX + 3)][: -index.SAMPLES_MAX - 1 : -1]
    assert [sample.steps for sample in Index(state).samples(index.learned_under("sample", 0.5))] == [{"step0": 99.0}]
    assert Index(state).samples("another") == []


def noted(n: int) -> RunCreated:
    return msgspec.structs.replace(created(3, at=100.0 + n), run=f"run-{n}")


def test_large_samples_are_read_up_to_a_bound(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(3):
        Index(state).note(noted(n), {"step0": 1.0})
    monkeypatch.setattr(index, "SAMPLES_BYTES_MAX", 1)
    assert len(Index(state).samples("sample")) == 1


def test_what_a_removed_run_taught_is_forgotten(state: Path) -> None:
    Index(state).note(msgspec.structs.replace(created(3), run="bold-otter"), {"step0": 1.5})
    listed(state)
    shutil.rmtree(state / "runs" / "bold-otter")
    assert len(Index(state).samples("sample")) == 1
    listed(state)
    assert Index(state).samples("sample") == []


@pytest.mark.parametrize("content", [None, b"", b"rubbish" * 1000])
def test_nothing_is_learned_from_a_broken_index(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / index.NAME).write_bytes(content)
    assert Index(tmp_path).samples("sample") == []
    assert content is not None or not (tmp_path / index.NAME).exists()
    Index(tmp_path).note(noted(1), {"step0": 1.0})
    assert len(Index(tmp_path).samples("sample")) == 1
