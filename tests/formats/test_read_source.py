"""Reading files: what can be wrong with a path is told, and nothing is read without a bound."""

import lzma
import os
import threading
import zlib
from contextlib import suppress
from pathlib import Path

import pytest

from weft.formats import Budgets, load
from weft.host.source import read_source


def refused(path: str | Path, size_max: int = 1000) -> tuple[str, str, str]:
    data, problems = read_source(path, size_max)
    assert data is None
    (problem,) = problems
    assert problem.place.file == os.fspath(path)
    return problem.code, problem.message, problem.hint


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    for data in (b"", b"x" * 999, b"x" * 1000):
        path.write_bytes(data)
        assert read_source(path, 1000) == (data, [])
    path.write_bytes(b"x" * 1001)
    assert refused(path)[0] == "W104"


def test_missing(tmp_path: Path) -> None:
    (tmp_path / "nightly.weft.yaml").touch()
    code, message, hint = refused(tmp_path / "nigthly.weft.yaml")
    assert code == "W101"
    assert "nigthly.weft.yaml" in message
    assert hint == f"did you mean `{tmp_path / 'nightly.weft.yaml'}`?"
    assert "`ls *.yaml`" in refused(tmp_path / "something-else")[2]
    assert refused(tmp_path / "no" / "f.yaml")[2] == f"there is no folder `{tmp_path / 'no'}`"
    assert refused(tmp_path / "nightly.weft.yaml" / "f.yaml")[0] == "W101"


def test_a_folder(tmp_path: Path) -> None:
    code, message, hint = refused(tmp_path)
    assert (code, hint) == ("W102", "name the file in it")
    assert "folder" in message
    (tmp_path / "a.weft.yaml").touch()
    assert f"`{tmp_path / 'a.weft.yaml'}`" in refused(tmp_path)[2]


def test_a_device_is_not_read() -> None:
    assert refused("/dev/zero")[0] == "W102"


def test_unreadable(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    assert refused(loop)[0] == "W103"
    assert refused(str(tmp_path / "a\0b"))[0] == "W103"
    assert refused("/proc/self/mem")[0] == "W103"  # opens, and then cannot be read


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_forbidden(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.touch(mode=0)
    code, message, hint = refused(path)
    assert code == "W103"
    assert "permission denied" in message
    assert f"chmod u+r {path}" in hint


@pytest.mark.parametrize(("size", "told"), [(1000, []), (3_000_000, ["W104"])])
def test_a_pipe(size: int, told: list[str]) -> None:
    reader, writer = os.pipe()
    feeder = threading.Thread(target=feed, args=(writer, size))
    feeder.start()
    data, problems = read_source(f"/dev/fd/{reader}", 1000)
    os.close(reader)
    feeder.join()
    assert [problem.code for problem in problems] == told
    assert data == (None if told else b"x" * size)


def feed(descriptor: int, size: int) -> None:
    """Write so much into a pipe, or until nobody reads it any more."""
    with suppress(BrokenPipeError):
        while size:
            size -= os.write(descriptor, b"x" * min(size, 1 << 16))
    os.close(descriptor)


def test_xz(tmp_path: Path) -> None:
    path = tmp_path / "f.json.xz"
    path.write_bytes(lzma.compress(b"a" * 600) + lzma.compress(b"b" * 400) + b"\0" * 8)
    assert read_source(path, 1000) == (b"a" * 600 + b"b" * 400, [])
    assert refused(path, 999)[0] == "W104"
    path.write_bytes(lzma.compress(b"\0" * 50_000_000))  # a few kB
    assert refused(path, 1_000_000)[0] == "W104"


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-20], lambda data: data[:20], lambda data: b"x" + data, lambda data: data + b"x"]
)
def test_damaged_xz(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    path = tmp_path / "f.json.xz"
    path.write_bytes(damage(lzma.compress(bytes(range(256)))))
    code, message, hint = refused(path)
    assert code == "W105"
    assert "xz file is damaged: " in message
    assert f"`xz -t {path}`" in hint


def test_an_xz_file_that_wants_too_much_memory(tmp_path: Path) -> None:
    path = tmp_path / "f.xz"
    path.write_bytes(lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]))
    assert read_source(path) == (b"x", [])
    header = bytearray(path.read_bytes())
    header[16] = 40  # the dictionary's size: 4 GiB
    header[20:24] = zlib.crc32(bytes(header[12:20])).to_bytes(4, "little")
    path.write_bytes(bytes(header))
    assert refused(path)[1] == "the xz file is damaged: memory usage limit exceeded"


def test_size_limits_of_formats() -> None:
    budgets = Budgets(yaml_bytes_max=20, json_bytes_max=30)
    for size, name, told in ((20, "f.yaml", False), (21, "f.yaml", True), (30, "f.json.xz", False), (31, "f.json", True)):
        loaded = load(b"#" * size, name, budgets=budgets)
        assert ("W104" in [problem.code for problem in loaded.problems]) == told
        assert loaded.workflow is None
    (problem,) = load(b"#" * 31, "f.yaml", budgets=budgets).problems
    assert "31 bytes" in problem.message
    assert "--size-max" in problem.hint
    assert loaded.places("a").file == "f.json"
