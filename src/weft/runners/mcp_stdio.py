"""A program that speaks the Model Context Protocol on its standard streams: one JSON message a line, each way.

- The program leads a session of its own and carries the mark of the run, as every child does. It is told to end by the end of its
  input, then by a signal, then killed; if the engine dies, the kernel kills it (see `host.leash`).
- It is given few variables of the environment, what its definition names, and no more.
"""

import asyncio
import fcntl
import os
import socket
import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import anyio
import msgspec
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from weft.host import leash
from weft.host.children import Children
from weft.host.marks import new_mark
from weft.host.process import Exit, ProcessTree, Streams, spawn

MESSAGE_BYTES_MAX: Final = 64 << 20
"""What is larger belongs into a file."""
EXIT_GRACE_S: Final = 2.0
"""How long a program may take to end when its input has, before it is told by a signal; and then, before it is killed."""
INHERITED: Final = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
"""The environment holds much that is no business of a program which somebody else wrote."""
DESCRIPTOR_MIN: Final = 10
"""Above the numbers that the child's descriptors get."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What is started: the file, its arguments (the first only names it), where, with what. `log`: the file for its stderr."""

    file: str
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    log: str
    run: str


class Life:
    """Of one session with a program. `ended` is set when its whole tree is dead; `end` says how, `log` has its stderr. `hung_up`:
    it has closed its output by itself."""

    def __init__(self) -> None:
        self.log = ""
        self.hung_up = self.leaving = False
        self.ended = asyncio.Event()
        self.end: Exit | None = None

    def gone(self, end: Exit) -> None:
        self.end = end
        self.ended.set()


class Lifeline:
    """A pipe that closes when this process ends, however that comes about. One for all programs of a runner."""

    def __init__(self) -> None:
        reading, self._writing = os.pipe()
        self.reading = _moved(reading)

    def close(self) -> None:
        os.close(self.reading)
        os.close(self._writing)


def environment(given: Mapping[str, str], base: Mapping[str, str], run: str) -> dict[str, str]:
    """The environment of a program: little of ours, what its definition gives it, and the mark of the run."""
    return {**{name: base[name] for name in INHERITED if name in base}, **given, "WEFT_RUN": run}


@asynccontextmanager
async def connect(program: Program, children: Children, lifeline: Lifeline, life: Life) -> AsyncGenerator[Any, None]:
    """Start the program; gives the streams that a client of the protocol wants. At the end nothing of the program runs any more.

    Raises OSError, and ValueError for a NUL.
    """
    reading, writing, both, tree = await _start(program, children, lifeline, life)
    to_client, from_server = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    from_client, to_server = anyio.create_memory_object_stream[SessionMessage](0)
    pumps = [
        asyncio.create_task(_read(reading, to_client, life)),
        asyncio.create_task(_write(to_server, writing)),
    ]
    try:
        yield from_server, from_client
    finally:
        life.leaving = True
        from_client.close()
        from_server.close()
        with suppress(OSError):
            writing.write_eof()
        with suppress(TimeoutError):
            await asyncio.wait_for(life.ended.wait(), EXIT_GRACE_S)
        tree.stop(EXIT_GRACE_S)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, life.ended.wait(), return_exceptions=True)
        for stream in both:
            stream.close()


async def _start(
    program: Program, children: Children, lifeline: Lifeline, life: Life
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, list[asyncio.StreamWriter], ProcessTree]:
    """The program's output, its input, what is to be closed, and its tree. A socket for each way: how the program sets one of
    them does not change the other."""
    out, its_out = _pair()
    in_, its_in = _pair()
    argv = [sys.executable, "-I", "-S", leash.__file__, program.cwd, program.file, *program.argv]
    mark = new_mark(program.run)
    try:
        Path(program.log).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        keep = ((its_in, 0), (its_out, 1), (lifeline.reading, leash.LIFELINE))
        streams = Streams(os.devnull, os.devnull, program.log)
        pid, started = spawn(sys.executable, argv, program.env, streams, mark, keep=keep)
    except BaseException:
        out.close()
        in_.close()
        raise
    finally:
        os.close(its_in)
        os.close(its_out)
    tree = ProcessTree(pid, started, mark, children, life.gone)
    reading, unused = await asyncio.open_connection(sock=out, limit=MESSAGE_BYTES_MAX)
    _, writing = await asyncio.open_connection(sock=in_)
    return reading, writing, [unused, writing], tree


def _pair() -> tuple[socket.socket, int]:
    """Our end, and a descriptor of the child's."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return ours, _moved(theirs.detach())


def _moved(fd: int) -> int:
    """The same open file under a higher number, so that none is overwritten before it is passed on."""
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, DESCRIPTOR_MIN)
    os.close(fd)
    return moved


async def _read(reader: asyncio.StreamReader, to_client: Any, life: Life) -> None:
    """Hand each line to the client, also one that is no message. The end of the output is the end of the session."""
    async with to_client:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            while line := await _line(reader):
                if line.isspace():
                    continue
                try:
                    found: SessionMessage | Exception = SessionMessage(jsonrpc_message_adapter.validate_json(line, by_name=False))
                except ValueError as error:
                    found = error
                await to_client.send(found)
        life.hung_up = not life.leaving


async def _line(reader: asyncio.StreamReader) -> bytes:
    """The next line; nothing at the end, and for a line without an end, which stops us from finding the next."""
    try:
        return await reader.readline()
    except ValueError:
        return b""


async def _write(to_server: Any, writer: asyncio.StreamWriter) -> None:
    async with to_server:
        with suppress(OSError):
            async for message in to_server:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                writer.write(text.encode() + b"\n")
                await writer.drain()
