"""What only the store on a disk does: files, modes, damage, large payloads, crashes in between."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from weft.journal import store as module
from weft.journal.store import NAME, Store
from weft.journal.values import INLINE_BYTES_MAX
from weft.model.errors import MachineError

LARGE = b"x" * (INLINE_BYTES_MAX + 1)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / NAME).iterdir())


def test_blobs_are_named_by_their_hash_and_hold_the_raw_bytes(tmp_path: Path) -> None:
    raw = LARGE + b"\xff\r\n"
    kept = Store(tmp_path).keep(raw, "text")
    assert names(tmp_path) == [kept.blob]
    assert (tmp_path / NAME / kept.blob).read_bytes() == raw
    assert (tmp_path / NAME / kept.blob).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o700
    with Store(tmp_path).open_raw(kept) as file:
        assert file.read() == raw


def test_small_outputs_touch_no_disk(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.keep(b"hello\n", "text").blob == ""
    assert not (tmp_path / NAME).exists()


@pytest.mark.parametrize(
    ("data", "form", "shown"), [(b"a\n", "text", b"a"), (b"a\nb\n", "lines", b"a\nb"), (b" [1,\n2]", "json", b"[1, 2]")]
)
def test_small_outputs_are_shown(tmp_path: Path, data: bytes, form: str, shown: bytes) -> None:
    store = Store(tmp_path)
    with store.open_raw(store.keep(data, form)) as file:  # type: ignore[arg-type]
        assert file.read() == shown


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: b"y" + data[1:], lambda data: data + b"x"])
def test_a_damaged_blob_is_named(tmp_path: Path, change: object) -> None:
    kept = Store(tmp_path).keep(LARGE, "text")
    path = tmp_path / NAME / kept.blob
    path.write_bytes(change(LARGE))  # type: ignore[operator]
    with pytest.raises(MachineError, match=kept.blob):
        Store(tmp_path).load(kept)
    again = Store(tmp_path).keep(LARGE, "text")
    assert again == kept
    assert Store(tmp_path).load(again) == LARGE.decode()


def test_values_are_kept_and_their_number_is_bounded(tmp_path: Path) -> None:
    store = Store(tmp_path)
    outputs = [store.keep(LARGE + b"%d" % number, "text") for number in range(module._KEPT_MAX + 1)]
    first = store.load(outputs[0])
    assert store.load(outputs[0]) is first
    for output in outputs[1:]:
        store.load(output)
    for path in (tmp_path / NAME).iterdir():
        path.unlink()
    assert len(store.load(outputs[-1])) == len(LARGE) + 1
    with pytest.raises(MachineError, match="cannot be read"):
        store.load(outputs[0])


def test_the_same_blob_from_many_threads(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with ThreadPoolExecutor(4) as pool:
        kept = set(pool.map(lambda _: store.keep(LARGE, "text").blob, range(16)))
    assert names(tmp_path) == sorted(kept)
    assert len(kept) == 1


def test_what_a_dead_process_left_unfinished_is_removed(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    (tmp_path / NAME / f"{dead.pid}-0.part").write_bytes(b"half")
    (tmp_path / NAME / f"{os.getppid()}-0.part").write_bytes(b"somebody is at it")
    kept = Store(tmp_path).keep(LARGE, "text")
    assert names(tmp_path) == sorted([kept.blob, f"{os.getppid()}-0.part"])


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OUTPUT_BYTES_MAX", 100)
    with pytest.raises(ValueError, match="at most 100"):
        Store(tmp_path).keep(LARGE, "text")
    assert names(tmp_path) == []


FULL = """
import resource, sys
from pathlib import Path
from weft.journal.store import Store
from weft.model.errors import MachineError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    Store(Path(sys.argv[1])).keep(b"x" * 1_000_000, "text")
except MachineError as error:
    sys.exit(str(error))
"""


def test_the_disk_is_full(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("cannot save an output: File too large")
    assert "Traceback" not in done.stderr
    assert names(tmp_path) == []


def test_large_files_pass_in_little_memory(tmp_path: Path) -> None:
    """In a child, whose peak memory is its own: 300 MB through at most 60 MB more than it had."""
    code = """
import resource, sys
from pathlib import Path
from weft.journal.store import Store
store = Store(Path(sys.argv[1]), "none")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
kept = store.keep(Path(sys.argv[2]), "text")
sys.stdout.write(f"{kept.size} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before}")
"""
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.truncate(300 << 20)
    command = [sys.executable, "-c", code, str(tmp_path), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    size, more_kib = map(int, done.stdout.split())
    assert size == 300 << 20
    assert more_kib < 60 << 10


def test_a_value_that_is_too_large_is_refused_but_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "VALUE_BYTES_MAX", len(LARGE))
    store = Store(tmp_path)
    kept = store.keep(LARGE + b"x", "text")
    with pytest.raises(ValueError, match="write it to a file"):
        store.load(kept)
    with pytest.raises(ValueError, match="an output of JSON"):
        store.keep(b" " * len(LARGE) + b"1", "json")
