"""The MCP server of the tests: how it is started, and one that listens on loopback as long as this process lives."""

import atexit
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from weft.model.workflow import Server
from weft.runners.mcp_tool import ToolRunner

SERVER = str(Path(__file__).with_name("tool_server.py"))
COMMAND = (sys.executable, SERVER)


def listen(*more: str) -> "tuple[subprocess.Popen[str], str]":
    """A server over HTTP, and its address."""
    server = subprocess.Popen([*COMMAND, "--http", *more], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout
    port = server.stdout.readline().strip()
    return server, f"http://127.0.0.1:{port}/mcp"


@cache
def address() -> str:
    """Of the one that all tests of this process may ask."""
    server, found = listen()
    atexit.register(server.communicate)
    return found


def both() -> dict[str, Server]:
    """One of each sort: `t` over streams, `h` over HTTP."""
    return {"t": Server(command=COMMAND), "h": Server(url=address())}


def tool_runner(folder: Path, servers: dict[str, Server] | None = None, secrets: dict[str, str] | None = None) -> ToolRunner:
    return ToolRunner(both() if servers is None else servers, secrets or {}, os.environ, folder, "test-run")
