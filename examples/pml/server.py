"""The server of tools that merge.json names: pip install 'weft[mcp]' brings the library that it is written with."""

import json
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import MCPServer
from pydantic import BaseModel

server = MCPServer("files")


class Merged(BaseModel):
    count: int
    config: dict[str, Any]


@server.tool(structured_output=False)
def read_file(path: str) -> str:
    """The text of a file."""
    return Path(path).read_text(encoding="utf-8")


@server.tool()
def merge(configs: list[str]) -> Merged:
    """One mapping out of texts of JSON, the last of which count."""
    return Merged(count=len(configs), config={key: value for text in configs for key, value in json.loads(text).items()})


@server.tool(structured_output=False)
def say(text: str) -> str:
    """A text as it is."""
    return text


if __name__ == "__main__":
    server.run("stdio")
