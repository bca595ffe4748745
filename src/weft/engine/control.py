"""Speaking to a living run from another terminal: one JSON line there, one JSON line back, over a socket in the run's folder.

The folder's mode (0700) is the only guard that is needed: who may open the folder may kill the engine as well. A reply is sent
when what was asked for is durable, never before.
"""

import asyncio
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import msgspec

from weft.core import facts as f
from weft.core.gates import refusal
from weft.core.interrupts import refused
from weft.engine.engine import Engine
from weft.engine.questions import cannot_run
from weft.model.errors import MachineError

LINE_BYTES_MAX: Final = 4 << 20
"""A request is a verb, a name and a reason; an answer may bring some thousand new steps."""
LAST_REPLY_S: Final = 1.0
"""How long an engine that leaves waits for its last replies to be read."""
REPLY_TIMEOUT_S: Final = 30.0
"""An engine that cannot commit one fact in this time is not going to."""


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`cancel` ends the run for good, `suspend` leaves it for a resume, `answer` hands in the answer to a gate, or about an
    interrupted step. `by` and `reason` are journalled."""

    ask: Literal["cancel", "suspend", "answer"]
    by: str
    reason: str = ""
    answer: f.Said | None = None


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """`again`: the engine is leaving; whoever comes next can do it."""

    ok: bool
    message: str = ""
    again: bool = False


class Control:
    """The engine's end. Serves until `close`."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._folder = folder
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen. Only the holder of the run's lock comes here, so a socket that is in the way belongs to a dead engine."""
        with _short_path(self._folder) as path:
            with suppress(FileNotFoundError):
                os.unlink(path)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            listener.bind(path)
        self._server = await asyncio.start_unix_server(self._serve, sock=listener, limit=LINE_BYTES_MAX)

    async def close(self) -> None:
        if self._server:
            self._server.close()
            if self._serving:  # a request that ended the run still gets its reply
                await asyncio.wait(self._serving, timeout=LAST_REPLY_S)
            with suppress(FileNotFoundError):
                (self._folder / "engine.sock").unlink()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            reply = await self._answer(await reader.readline())
        except ValueError as error:  # too long a line
            reply = Reply(ok=False, message=str(error))
        with suppress(OSError):
            writer.write(msgspec.json.encode(reply) + b"\n")
            await writer.drain()
        writer.close()

    async def _answer(self, line: bytes) -> Reply:
        try:
            request = msgspec.json.decode(line, type=Request)
        except msgspec.DecodeError as error:
            return Reply(ok=False, message=f"not a request: {error}")
        answer = request.answer
        if (request.ask == "answer") != (answer is not None):
            return Reply(ok=False, message="not a request: an answer goes with `answer`, and with nothing else")
        fact: f.Observed
        if answer is not None:
            fact = answer
        elif request.ask == "cancel":
            fact = f.CancelRequested(at=0.0, by=request.by, reason=request.reason)
        else:
            fact = f.SuspendRequested(at=0.0, how="drain", by=request.by)
        if isinstance(answer, f.GateAnswered) and (wrong := cannot_run(self._engine.kinds, answer.inject)):
            return Reply(ok=False, message=wrong)
        saved = asyncio.Event()
        self._engine.post(fact, saved.set)
        await saved.wait()
        return Reply(ok=True) if answer is None else self._taken(answer)

    def _taken(self, answer: f.Said) -> Reply:
        """Whether this answer was the one that counts; it is on disk, or that which came first."""
        state = self._engine.state
        known: f.Said | None
        if isinstance(answer, f.GateAnswered):
            known, wrong = state.answers.get(answer.gate), refusal(state, answer, state.now)
        else:
            i = state.graph.index.get(answer.step, -1)
            known, wrong = state.told.get(i), refused(state, answer, state.interrupted)
        if known is not None and known.id == answer.id:
            return Reply(ok=True)
        return Reply(ok=False, message=wrong or "its engine is leaving", again=not wrong)


def ask(folder: Path, request: Request) -> Reply | None:
    """The caller's end: the engine's reply, or None if no engine listens. Raises MachineError if it does not answer in time."""
    with _short_path(folder) as path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(REPLY_TIMEOUT_S)
        try:
            connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        try:
            connection.sendall(msgspec.json.encode(request) + b"\n")
            line = connection.makefile("rb").readline(LINE_BYTES_MAX)
        except TimeoutError:
            raise MachineError(f"the engine of run `{folder.name}` did not answer within {REPLY_TIMEOUT_S:g} s") from None
        except ConnectionError:
            return None
    return msgspec.json.decode(line, type=Reply) if line else None


class _short_path:
    """A path to the socket that fits the 108 bytes of an address, however deep the folder: by way of an open descriptor."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> str:
        self._fd = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self._fd}/engine.sock"

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
