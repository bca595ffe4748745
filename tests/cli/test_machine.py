"""What the machine does to a run: a full disk, a folder that cannot be written, a damaged journal. Exit 6, no traceback."""

import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from door import Weft, is_fact, lives, read_until, weft

SMALL_DISK = "1m"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a megabyte, where this machine lets us mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "weft-test", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("mounting needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


FILLS = (
    "steps: {a: {run: echo one >> ran}, b: {run: 'head -c 700000 /dev/urandom | base64 -w0', needs: a}, c: {run: ':', needs: b}}"
)


def test_a_full_disk(weft: Weft, small_disk: Path) -> None:
    weft.write("w.yaml", FILLS)
    state = ["--state", str(small_disk / "state")]
    done = weft("run", "w.yaml", *state, code=None)
    assert done.code in (1, 6)
    assert "space" in done.err or "full" in done.err
    (small_disk / "ballast").unlink(missing_ok=True)
    assert (weft.folder / "ran").read_text() == "one\n"
    assert "a" in weft("show", "@", *state, code=None).out


def test_a_full_disk_in_the_middle_of_a_run_loses_nothing(weft: Weft, small_disk: Path) -> None:
    steps = {f"s{n}": {"run": "echo $WEFT_STEP >> ran; head -c 3000 /dev/zero | tr '\\0' x"} for n in range(300)}
    weft.write("w.json", {"steps": steps, "schedule": "sequential"})
    state = ["--state", str(small_disk / "state")]
    engine = weft.start("run", "w.json", "--output", "json", *state)
    assert engine.stdout is not None
    complete = set()
    for line in engine.stdout:
        if b'"fact":"attempt_ended"' in line and b'"outcome":"ok"' in line:
            complete.add(line.split(b'"step":"')[1].split(b'"')[0].decode())
    code = engine.wait(60)
    assert engine.stderr is not None
    errors = engine.stderr.read().decode()
    engine.communicate()
    assert "Traceback" not in errors
    assert code in (1, 6)
    assert complete
    assert complete < set(steps)
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    if code == 6:
        weft("resume", "@", *state)
    ran = (weft.folder / "ran").read_text().split()
    assert all(ran.count(step) == 1 for step in complete)


def test_a_file_size_limit(weft: Weft) -> None:
    weft.write("w.json", {"steps": {f"s{n}": {"run": "echo $WEFT_STEP >> ran; ulimit -f unlimited"} for n in range(40)}})

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))

    done = weft("run", "w.json", code=None, preexec_fn=limit)
    assert done.code in (1, 6)


def test_a_state_folder_that_is_a_file(weft: Weft) -> None:
    weft.write("w.yaml", "steps: {a: {run: touch ran}}")
    weft.write(".weft", "in the way")
    assert ".weft" in weft("run", "w.yaml", code=6).err
    assert not (weft.folder / "ran").exists()


def test_a_read_only_state_folder(weft: Weft, small_disk: Path) -> None:
    weft.write("w.yaml", "steps: {a: {run: touch ran}}")
    weft("run", "w.yaml", "--state", str(small_disk))
    (weft.folder / "ran").unlink()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert "read-only" in weft("run", "w.yaml", "--state", str(small_disk), code=6).err.lower()
    assert not (weft.folder / "ran").exists()
    assert "succeeded" in weft("runs", "--state", str(small_disk)).out
    assert "succeeded" in weft("show", "--state", str(small_disk)).out


def test_a_damaged_journal_says_so_and_stops_no_other_run(weft: Weft) -> None:
    weft.write(
        "w.yaml", "steps: {a: {run: echo 1, output: json}, b: {run: ':', needs: a}}\noutputs: {a: '${{ steps.a.output }}'}"
    )
    weft("run", "w.yaml")
    (run,) = (weft.folder / ".weft" / "runs").iterdir()
    journal = run / "journal.db"
    content = bytearray(journal.read_bytes())
    place = content.index(b'"attempt_ended"')
    content[place + 3] ^= 0x20
    journal.write_bytes(content)
    shown = weft("show", run.name, code=6)
    assert "checksum" in shown.err
    assert "attempts" in shown.out, "the good part is shown all the same"
    assert "checksum" in weft("resume", run.name, code=6).err
    assert weft("run", "w.yaml").outputs == {"a": 1}
    listed = weft("runs").out
    assert "damaged" in listed
    assert "succeeded" in listed


@pytest.mark.parametrize("content", [b"", b"not a database at all" * 100, os.urandom(5000)])
def test_what_is_no_journal(weft: Weft, content: bytes) -> None:
    folder = weft.folder / ".weft" / "runs" / "babab-babab"
    folder.mkdir(parents=True)
    (folder / "journal.db").write_bytes(content)
    for verb in ("show", "why", "logs", "resume", "cancel"):
        assert "babab-babab" in weft(verb, "babab", code=6 if content else None).err


def test_the_engine_ends_what_runs_when_its_journal_fails(weft: Weft) -> None:
    """The journal's files are removed under a living engine: it stops, and takes its children with it."""
    weft.write("w.yaml", "steps: {a: {run: 'echo $$ > pid; cat gate; exec sleep 600'}, b: {run: 'cat gate2'}}")
    os.mkfifo(weft.folder / "gate")
    os.mkfifo(weft.folder / "gate2")
    engine = weft.start("run", "w.yaml", "--output", "json", "-j", "4", "--grace", "1s")
    read_until(engine, is_fact("attempt_spawned", step="a"))
    read_until(engine, is_fact("attempt_spawned", step="b"))
    (run,) = (weft.folder / ".weft" / "runs").iterdir()
    for path in run.glob("journal.db*"):
        path.unlink()
    (weft.folder / "gate").write_text("")
    (weft.folder / "gate2").write_text("")
    assert engine.wait(60) == 6
    _, errors = engine.communicate()
    assert b"removed" in errors
    assert not lives(int((weft.folder / "pid").read_text()))
