"""What every output store does, whatever it keeps its outputs in."""

from collections.abc import Callable
from pathlib import Path

import pytest

from weft.journal.memory import MemoryStore
from weft.journal.store import Store
from weft.journal.values import INLINE_BYTES_MAX
from weft.model.errors import MachineError
from weft.model.output import Output, OutputForm
from weft.ports import OutputStore, Payload

LARGE = INLINE_BYTES_MAX + 1


@pytest.fixture(params=["memory", "power", "process"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> OutputStore:
    if request.param == "memory":
        return MemoryStore()
    return Store(tmp_path / "run", request.param)


@pytest.fixture(params=["bytes", "file"])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[bytes], Payload]:
    """The same payload as bytes and as a file."""

    def as_file(data: bytes) -> Path:
        path = tmp_path / "payload"
        path.write_bytes(data)
        return path

    return bytes if request.param == "bytes" else as_file


@pytest.mark.parametrize(
    ("data", "form", "value"),
    [
        (b"", "text", ""),
        (b"hello\n", "text", "hello"),
        (b"hello\r\n", "text", "hello"),
        (b"hello\n\n", "text", "hello\n"),
        (b"hello\r", "text", "hello\r"),
        (b"a\x00b\xff\xfe\n", "text", "a\x00b\ufffd\ufffd"),
        ("äöü€😀".encode(), "text", "äöü€😀"),
        (b"", "lines", []),
        (b"\n", "lines", [""]),
        (b"a\nb\r\nc", "lines", ["a", "b", "c"]),
        (b"a\n\nb\n", "lines", ["a", "", "b"]),
        (b"a\rb\x0cc\xe2\x80\xa8d\n", "lines", ["a\rb\x0cc\u2028d"]),
        (b'{"a": [1, 2.5, null, true, "x"]}', "json", {"a": [1, 2.5, None, True, "x"]}),
        (b' \n {\n "a" :\t1 }\r\n', "json", {"a": 1}),
        (b'{"a": 1, "a": 2}', "json", {"a": 2}),
        (b"12345678901234567890123456789012345678901", "json", 12345678901234567890123456789012345678901),
        (b'"\\ud83d\\ude00"', "json", "😀"),
    ],
)
@pytest.mark.parametrize("padding", [0, LARGE])
def test_forms(
    store: OutputStore, given: Callable[[bytes], Payload], data: bytes, form: OutputForm, value: object, padding: int
) -> None:
    if padding and form == "json":
        data = b" " * padding + data
    elif padding and form == "text":
        data, value = b"x" * padding + data, "x" * padding + str(value)
    elif padding:
        data, value = b"x\n" * padding + data, ["x"] * padding + list(value)  # type: ignore[call-overload]
    kept = store.keep(given(data), form)
    assert kept.form == form
    assert kept.size == len(data)
    assert bool(kept.blob) == bool(padding)
    assert store.load(kept) == value
    assert type(store.load(kept)) is type(value)


def test_the_bound_of_inline(store: OutputStore, given: Callable[[bytes], Payload]) -> None:
    assert store.keep(given(b"x" * INLINE_BYTES_MAX), "text").blob == ""
    assert store.keep(given(b"x" * LARGE), "text").blob != ""


def test_equal_outputs_share_a_blob(store: OutputStore, given: Callable[[bytes], Payload]) -> None:
    first = store.keep(given(b"x" * LARGE), "text")
    again = store.keep(given(b"x" * LARGE), "text")
    other = store.keep(given(b"y" * LARGE), "lines")
    assert first.blob == again.blob != other.blob
    assert store.load(first) == "x" * LARGE
    assert store.load(other) == ["y" * LARGE]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"hello", "line 1, column 1"),
        (b'{"a": 1,\n "b": tru}', "line 2, column 11, near"),
        (b"[1, 2", "too early, at line 1, column 6"),
        (b"[1] [2]", "trailing characters"),
        (b"NaN", "column 1"),
        (b"[1e999]", "out of range"),
        (b'"\xff"', "UTF-8, at line 1, column 2"),
        (b'{"a": "\\udcff"}', "surrogate"),
        (b"\xef\xbb\xbf{}", "column 1"),
        (b"[" * 10_000, "nested too deeply"),
    ],
)
def test_json_that_is_none(store: OutputStore, given: Callable[[bytes], Payload], data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        store.keep(given(data), "json")


@pytest.mark.parametrize("data", [b"[1,\n" + b" " * LARGE + b"x]", b'["\xff"' + b" " * LARGE + b"]", b"[" * LARGE, b" " * LARGE])
def test_large_json_that_is_none(store: OutputStore, given: Callable[[bytes], Payload], data: bytes) -> None:
    with pytest.raises(ValueError, match=r"line \d|deeply|empty"):
        store.keep(given(data), "json")


def test_a_payload_that_is_gone(store: OutputStore, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="payload"):
        store.keep(tmp_path / "payload", "text")


def test_a_blob_that_is_gone(store: OutputStore) -> None:
    with pytest.raises(MachineError, match="ab" * 32):
        store.load(Output(form="text", blob="ab" * 32, size=LARGE))
