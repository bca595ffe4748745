"""Outlets: whatever becomes of the stream, nothing raises, and only a patient one waits."""

import os
import threading
from collections.abc import Iterator
from io import StringIO
from typing import IO

import pytest

from weft.views.outlet import BACKLOG_BYTES_MAX, LONG_LINES, SMALLEST, Outlet, screen_size


@pytest.fixture
def pipe() -> Iterator[tuple[int, IO[str]]]:
    """The reading end of a pipe, and a stream on the other."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream, os.fdopen(reading, "rb", buffering=0) as reader:
        yield reader.fileno(), stream


def read_all(fd: int) -> str:
    """All that a pipe holds now."""
    os.set_blocking(fd, False)
    pieces = []
    while True:
        try:
            pieces.append(os.read(fd, 1 << 20))
        except BlockingIOError:
            return b"".join(pieces).decode()
        if not pieces[-1]:
            return b"".join(pieces).decode()


def test_a_stream_without_a_descriptor() -> None:
    stream = StringIO()
    outlet = Outlet(stream)
    assert outlet.ready()
    outlet.write("one\n")
    outlet.close()
    assert stream.getvalue() == "one\n"
    stream.close()
    outlet.write("two\n")
    assert outlet.dead


def test_what_the_stream_held_comes_first(pipe: tuple[int, IO[str]]) -> None:
    fd, stream = pipe
    stream.write("before\n")
    Outlet(stream).write("after\n")
    assert read_all(fd) == "before\nafter\n"


def test_a_reader_who_left(pipe: tuple[int, IO[str]]) -> None:
    fd, stream = pipe
    outlet = Outlet(stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), fd)
    outlet.write("x\n")
    assert outlet.dead
    outlet.write("y\n")
    outlet.close()


def test_a_closed_stream() -> None:
    with open(os.devnull, "w") as stream:
        pass
    outlet = Outlet(stream)
    outlet.write("x\n")
    assert outlet.dead


def test_a_reader_who_pauses_holds_nobody_up_and_is_told(pipe: tuple[int, IO[str]]) -> None:
    fd, stream = pipe
    outlet = Outlet(stream)
    line = "x" * 1023 + "\n"
    written = 0
    while outlet.ready():
        outlet.write(line)
        written += 1
    for _ in range(BACKLOG_BYTES_MAX // len(line) + 100):
        outlet.write(line)
        written += 1
    heard = read_all(fd)
    while not outlet.ready() or (more := _give(outlet, fd)):
        heard += more
    lines = heard.splitlines(keepends=True)
    whole = [each for each in lines if each == line]
    assert lines[-1] == f"… {written - len(whole)} lines were left out: nobody read them in time\n"
    assert len(whole) + 1 == len(lines)
    assert not outlet.dead


def _give(outlet: Outlet, fd: int) -> str:
    outlet.write("")
    return read_all(fd)


def test_closing_gives_a_slow_reader_the_rest(pipe: tuple[int, IO[str]]) -> None:
    fd, stream = pipe
    outlet = Outlet(stream)
    text = "".join(f"{n}\n" for n in range(30_000))
    outlet.write(text)
    heard: list[bytes] = []

    def read() -> None:
        while sum(map(len, heard)) < len(text):
            heard.append(os.read(fd, 1 << 16))

    reader = threading.Thread(target=read)
    reader.start()
    outlet.close()
    reader.join(30)
    assert b"".join(heard).decode() == text


def test_a_patient_outlet_loses_nothing(pipe: tuple[int, IO[str]]) -> None:
    fd, stream = pipe
    os.set_blocking(stream.fileno(), False)  # as a shell may leave it
    outlet = Outlet(stream, patient=True)
    text = "".join(f"{n}\n" for n in range(100_000))
    writer = threading.Thread(target=outlet.write, args=(text,))
    writer.start()
    heard = b""
    while len(heard) < len(text):
        heard += os.read(fd, 1 << 16)
    writer.join(30)
    assert heard.decode() == text


def test_a_stream_that_cannot_say_it_gets_plain_characters() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="ascii") as stream, os.fdopen(reading, "rb", buffering=0) as reader:
        Outlet(stream).write("✗ a → b … 日\n")
        assert read_all(reader.fileno()) == "x a > b ~ \\u65e5\n"


def test_data_is_utf8_whatever_the_stream_says() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="ascii") as stream, os.fdopen(reading, "rb", buffering=0) as reader:
        Outlet(stream, patient=True).write("→\n")
        assert read_all(reader.fileno()) == "→\n"


def test_sizes(pipe: tuple[int, IO[str]]) -> None:
    assert Outlet(pipe[1]).size() == SMALLEST
    assert screen_size(pipe[1]) == LONG_LINES
    assert screen_size(StringIO()) == LONG_LINES
