"""Files that are programs are evaluated in a process of their own, which has nothing but the text and is killed soon."""

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

LUA_S: Final = 10.0
"""How long a Lua file may take to say what it holds, on a machine that is busy with something else. A definition takes
milliseconds; an endless one is over after the second of processor time that the child allows itself."""
ENDLESS: Final = "it does not come to an end within 2 seconds"
OUTPUT_BYTES_MAX: Final = 64 << 20
PROGRAM: Final = str(Path(__file__).parents[1] / "guests" / "lua_file.py")


def evaluate_lua(text: str, meanwhile: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """`workflow`: what the global of that name holds; else `error`: why there is none; or `missing`: Lua is not installed.

    The child gets no environment, no files and no network that the language could reach, and RLIMIT_CPU beside the clock.
    `meanwhile` is called while it starts, which takes as long as a large import.
    """
    with_text, to_child = os.pipe()
    from_child, its_output = os.pipe()
    quiet = os.open(os.devnull, os.O_WRONLY)
    moves = [(os.POSIX_SPAWN_DUP2, with_text, 0), (os.POSIX_SPAWN_DUP2, its_output, 1), (os.POSIX_SPAWN_DUP2, quiet, 2)]
    try:
        pid = os.posix_spawn(sys.executable, [sys.executable, "-P", PROGRAM], {}, file_actions=moves, setsigmask=[])
    finally:
        for fd in (with_text, its_output, quiet):
            os.close(fd)
    try:
        meanwhile()
        data = _talk(to_child, from_child, text.encode("utf-8", "surrogatepass"))
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(from_child)
    if data is None:
        return {"error": ENDLESS}
    try:
        answer: dict[str, Any] = msgspec.json.decode(data)
    except msgspec.DecodeError:
        return {"error": ENDLESS}
    return answer


def _talk(to_child: int, from_child: int, text: bytes) -> bytes | None:
    """What the child says to the text; None if it does not end in time."""
    os.set_blocking(to_child, False)
    end, received, sent = time.monotonic() + LUA_S, bytearray(), 0
    poll = select.poll()
    poll.register(from_child, select.POLLIN)
    poll.register(to_child, select.POLLOUT)
    open_ = True
    try:
        while (left := end - time.monotonic()) > 0 and len(received) <= OUTPUT_BYTES_MAX:
            for fd, _ in poll.poll(left * 1000):
                if fd == from_child:
                    piece = os.read(from_child, 1 << 16)
                    if not piece:
                        return bytes(received)
                    received += piece
                    continue
                try:
                    sent += os.write(to_child, text[sent : sent + (1 << 16)])
                except BrokenPipeError:
                    sent = len(text)
                if sent >= len(text):
                    poll.unregister(to_child)
                    os.close(to_child)
                    open_ = False
        return None
    finally:
        if open_:
            os.close(to_child)
