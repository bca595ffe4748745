"""Codes of problems with workflows of PML: rows of the one table in `codes`."""

from typing import Final

from weft.model.code import Code

_TASK = '{"id": "a", "tool": "t:x"}'
_SECOND = '{"id": "b", "tool": "t:x", "dependsOn": ["a"]}'
_MAP = '"mcpServers": {"t": {"command": "server"}}, '

PML_CODES: Final[dict[str, Code]] = {
    "W701": Code(
        "a workflow of PML is not as it should be",
        "A file has a list of `tasks`, each a mapping with an `id` of its own and a `tool` as `server:tool`; or a list of "
        "templates under `workflows`. Something of it is missing, or is of another type.",
        "Write it as the hint shows.",
        f'{{{_MAP}"tasks": [{{"id": "a", "tool": "x"}}]}}\n',
        f'{{{_MAP}"tasks": [{_TASK}]}}\n',
    ),
    "W702": Code(
        "a key that PML does not have here",
        "A key that is not known is ignored, and with it what it was meant to do.",
        "Correct it, or remove it.",
        f'{{{_MAP}"tasks": [{{"id": "a", "tool": "t:x", "dependOn": []}}]}}\n',
        f'{{{_MAP}"tasks": [{{"id": "a", "tool": "t:x", "dependsOn": []}}]}}\n',
    ),
    "W703": Code(
        "a dependency that does not exist",
        "`dependsOn` names a task that is not in the file, so nobody could say when it is done.",
        "Correct the id, or add the task.",
        f'{{{_MAP}"tasks": [{{"id": "a", "tool": "t:x", "dependsOn": ["b"]}}]}}\n',
        f'{{{_MAP}"tasks": [{_TASK}]}}\n',
    ),
    "W704": Code(
        "a reference or a condition that cannot be read",
        "It names a task that does not exist, or it is not in one of the forms that PML documents: `$OUTPUT[id].a.b`, "
        "`$id.result.a`, typed arguments, paths and template literals in their expressions.",
        "Correct it as the hint shows.",
        f'{{{_MAP}"tasks": [{_TASK}, {{"id": "b", "tool": "t:x", "arguments": {{"v": "$OUTPUT[c]"}}}}]}}\n',
        f'{{{_MAP}"tasks": [{_TASK}, {{"id": "b", "tool": "t:x", "arguments": {{"v": "$OUTPUT[a]"}}}}]}}\n',
    ),
    "W705": Code(
        "a circular dependency",
        "Tasks that wait for each other, by `dependsOn` or because they refer to each other's results, would never start. The "
        "message has the tasks that are left when all others are done, and the circle.",
        "Remove one of its dependencies.",
        f'{{{_MAP}"tasks": [{{"id": "a", "tool": "t:x", "dependsOn": ["b"]}}, {_SECOND}]}}\n',
        f'{{{_MAP}"tasks": [{_TASK}, {_SECOND}]}}\n',
    ),
    "W706": Code(
        "the map of servers does not fit",
        "Tasks call tools of servers, which `mcpServers` lists, in the file or in `mcp-servers.json` or `.mcp.json` in the "
        "current folder. The server of a task is not in it, or its entry is not as it should be.",
        "Correct the name, or the entry: a server has `command` and `args`, or `url`.",
        f'{{{_MAP}"tasks": [{{"id": "a", "tool": "tt:x"}}]}}\n',
        f'{{{_MAP}"tasks": [{_TASK}]}}\n',
    ),
    "W707": Code(
        "there is no map of servers",
        "Tasks call tools of servers, and nothing says what these are: neither `mcpServers` in the file, nor `mcp-servers.json` "
        "or `.mcp.json` in the current folder. The workflow can be looked at; a run does not begin.",
        "Write a map.",
        f'{{"tasks": [{_TASK}]}}\n',
        f'{{{_MAP}"tasks": [{_TASK}]}}\n',
    ),
    "W708": Code(
        "a task that this version does not run",
        "Tasks of the types `code_execution` and `capability` are TypeScript code in a sandbox of its own.",
        "Let the task call a tool. `weft import` makes a native workflow of the rest, in which steps of `js` or `python` can do "
        "it.",
        f'{{{_MAP}"tasks": [{{"id": "a", "type": "code_execution", "code": "1 + 1"}}]}}\n',
        f'{{{_MAP}"tasks": [{_TASK}]}}\n',
    ),
    "W709": Code(
        "a reference inside a longer text",
        "`$OUTPUT[id]` and `$id.result` stand for a result only where they are the whole text. Here the text would be passed on "
        "as it stands.",
        "Use a template literal, a text in backticks: `` `text ${id.field}` ``.",
        f'{{{_MAP}"tasks": [{_TASK}, {{"id": "b", "tool": "t:x", "arguments": {{"v": "it is $OUTPUT[a].n"}}}}]}}\n',
        f'{{{_MAP}"tasks": [{_TASK}, {{"id": "b", "tool": "t:x", "arguments": {{"v": "$OUTPUT[a].n"}}}}]}}\n',
    ),
}
