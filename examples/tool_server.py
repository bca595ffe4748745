"""A small server of tools for examples/tools.weft.yaml: pip install 'weft[mcp]' brings the library that it is written with."""

from collections import Counter

from mcp.server.mcpserver import MCPServer
from pydantic import BaseModel

server = MCPServer("words")


class Words(BaseModel):
    most: str
    words: dict[str, int]


@server.tool()
def count(text: str) -> Words:
    """How often each word occurs, and which one occurs most."""
    words = Counter(text.split())
    return Words(most=words.most_common(1)[0][0], words=dict(words))


@server.tool(structured_output=False)
def say(text: str) -> str:
    """A text, as a sentence."""
    return f"{text[:1].upper()}{text[1:]}."


if __name__ == "__main__":
    server.run("stdio")
