"""A stand-in for the MCP servers that workflows of PML name: run as a program with the name of the server."""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel

server = MCPServer(sys.argv[1] if len(sys.argv) > 1 else "stand-in", log_level="CRITICAL")
meeting = asyncio.Condition()
arrived: Counter[str] = Counter()


class Merged(BaseModel):
    count: int
    keys: list[str]
    config: dict[str, Any]


@server.tool(structured_output=False)
def read_file(path: str) -> str:
    """The text of a file."""
    try:
        return Path(path).read_text()
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror}") from None


@server.tool()
def merge(configs: list[Any]) -> Merged:
    """One mapping out of several, given as mappings or as texts of JSON."""
    config: dict[str, Any] = {}
    for each in configs:
        config |= json.loads(each) if isinstance(each, str) else each
    return Merged(count=len(configs), keys=list(config), config=config)


@server.tool()
def work(name: str, after: Any = None) -> dict[str, Any]:
    """A mapping that names the task."""
    return {"name": name, "after": after, "items": [{"x": 1}, {"x": 2}], "count": 2}


@server.tool()
def say(text: str) -> str:
    """The text, which the server wraps under `result`."""
    return text


@server.tool(structured_output=False)
async def meet(at: str, people: int) -> str:
    """Comes back when so many have come: proof that they were there at once."""
    async with meeting:
        arrived[at] += 1
        meeting.notify_all()
        await meeting.wait_for(lambda: arrived[at] >= people)
    return at


@server.tool(structured_output=False)
def fail(why: str = "as told") -> str:
    raise ToolError(why)


if __name__ == "__main__":
    server.run("stdio")
