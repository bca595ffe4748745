"""The server of tools that pml.json names."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("numbers", log_level="CRITICAL")


@server.tool()
def seven() -> int:
    """The number 7."""
    return 7


@server.tool()
def times(number: int, by: int) -> int:
    """One number times the other."""
    return number * by


@server.tool()
def plus(one: int, other: int) -> int:
    """The sum of two numbers."""
    return one + other


if __name__ == "__main__":
    server.run("stdio")
