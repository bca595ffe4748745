"""Codes of problems with tools and their servers: rows of the one table in `codes`."""

from typing import Final

from weft.model.code import Code

_SERVERS = "servers: { files: { command: [mcp-server-files] } }\n"

TOOL_CODES: Final[dict[str, Code]] = {
    "W314": Code(
        "a server of tools that does not exist",
        "`tool: server/name` calls a tool of a server that the workflow does not declare, so nobody could be asked.",
        "Correct the spelling, or declare the server under `servers` of the workflow.",
        _SERVERS + "steps:\n  a:\n    tool: flies/read_file\n    with: { path: a.txt }\n",
        _SERVERS + "steps:\n  a:\n    tool: files/read_file\n    with: { path: a.txt }\n",
    ),
    "W324": Code(
        "one name for two servers",
        "Servers are shared by name among a file and its sub-workflows: all steps of a run speak to one in one session. Here a "
        "name stands for two that differ.",
        "Give one of them another name, or let both be the same.",
        _SERVERS + "steps:\n  a: { flow: { servers: { files: { command: [other] } }, steps: { x: { tool: files/list } } } }\n",
        _SERVERS + "steps:\n"
        "  a: { flow: { servers: { files: { command: [mcp-server-files] } }, steps: { x: { tool: files/list } } } }\n",
    ),
}
