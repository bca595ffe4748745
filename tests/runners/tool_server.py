"""A real MCP server for tests: on its standard streams, or with `--http` on a loopback port, which it prints.
Then it lives until its input ends.

`--started FILE` appends its pid to a file, `--count FILE` each call of `add`.
"""

import argparse
import asyncio
import os
import socket
import sys
import threading

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import CallToolResult, ImageContent, TextContent
from pydantic import BaseModel

arguments = argparse.ArgumentParser()
arguments.add_argument("--http", action="store_true")
arguments.add_argument("--json", action="store_true", help="with `--http`: answers are documents, not streams")
arguments.add_argument("--started", default="")
arguments.add_argument("--count", default="")
arguments.add_argument("--stubborn", action="store_true", help="goes on when its input ends")
asked = arguments.parse_args()
server = MCPServer("test-tools", log_level="CRITICAL")


class Sum(BaseModel):
    sum: int
    of: list[int]


@server.tool()
def add(a: int, b: int) -> Sum:
    """A sum, as structured content."""
    note(asked.count, f"{a}+{b}")
    return Sum(sum=a + b, of=[a, b])


@server.tool(structured_output=False)
def echo(text: str) -> str:
    """Text alone."""
    return text


@server.tool(structured_output=False)
def two_texts() -> list[TextContent]:
    return [TextContent(type="text", text="one"), TextContent(type="text", text="two")]


@server.tool(structured_output=False)
def picture() -> CallToolResult:
    return CallToolResult(content=[ImageContent(type="image", data="AAAA", mime_type="image/png")])


@server.tool(structured_output=False)
def spend(tokens: int, wrong: bool = False) -> CallToolResult:
    """It tells what it used, and when to come again."""
    used = {"tokens_in": tokens, "cost": 0.5, "retry_after": 3}
    return CallToolResult(content=[TextContent(type="text", text="done")], is_error=wrong, _meta={"weft/usage": used})


@server.tool(structured_output=False)
def fail(why: str = "as told") -> str:
    raise ToolError(f"{why}\nand more")


@server.tool(structured_output=False)
async def wait() -> str:
    """Longer than any test."""
    await asyncio.Event().wait()
    return "at last"


@server.tool(structured_output=False)
def die() -> str:
    print("something dreadful", file=sys.stderr, flush=True)
    os._exit(7)


@server.tool(structured_output=False)
def env(name: str) -> str:
    return os.environ.get(name, "(none)")


@server.tool(structured_output=False)
def pid() -> str:
    return str(os.getpid())


@server.tool(structured_output=False)
def folder() -> str:
    return os.getcwd()


def note(path: str, text: str) -> None:
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(text + "\n")


def leave_with_the_input() -> None:
    sys.stdin.read()
    os._exit(0)


def over_http() -> None:
    import uvicorn

    threading.Thread(target=leave_with_the_input, daemon=True).start()
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        server.streamable_http_app(max_request_body_size=64 << 20, json_response=asked.json), log_level="critical"
    )
    print(listening.getsockname()[1], flush=True)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))


if __name__ == "__main__":
    note(asked.started, str(os.getpid()))
    if asked.http:
        over_http()
    else:
        server.run("stdio")
        if asked.stubborn:
            threading.Event().wait()
