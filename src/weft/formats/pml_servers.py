"""The servers of the tools that PML tasks call: a map `mcpServers` in the file, or in a file of its own in the current folder.

Where there is no map at all, the workflow can still be looked at; a run is refused by the name of the server.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from weft.formats.document import Findings, Path, Where
from weft.formats.pml_tasks import MODES
from weft.formats.shapes import described, quoted
from weft.formats.tools import tool_pool
from weft.formats.yaml_source import read_yaml
from weft.model.shape import ENV_NAME, NAME
from weft.model.tokens import shown
from weft.model.workflow import Pool, Rate, Server, Tool, Value, Workflow

MAPS: Final = ("mcp-servers.json", ".mcp.json")
"""Files with a map, the first of which counts."""
PERMISSIONS: Final = ("mcp-permissions.yaml", "config/mcp-permissions.yaml")
"""Files that say for each server whether its calls are asked about; a server that is not in it is."""
FILES: Final = (*MAPS, *PERMISSIONS)
RATE: Final = Rate(starts=10, window_s=1.0)
"""Calls of each tool, as documented."""

STDIO: Final = ("stdio",)
HTTP: Final = ("http", "streamable-http", "streamable_http", "streamableHttp", "streamablehttp")
"""How a program and an address may be said to be spoken to."""

DEPTH_MAX: Final = 16
ALIASES_MAX: Final = 1000
"""Of a file of permissions, which is small."""

_KEYS: Final = ("command", "args", "env", "url", "headers", "type", "transport", "approvalMode", "description", "disabled")
_TOOL: Final = re.compile(r"[A-Za-z0-9_./:-]{1,128}")
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_]\w*)\}|\$([A-Za-z_]\w*)")


class Servers:
    """Those of a file. `used` holds what its tasks call of them, `pools` what bounds that, `asks` those that want a yes.

    `run`: that which the tasks shall join; it has its servers and pools, and there are no others.
    """

    def __init__(
        self,
        value: Mapping[str, Value],
        path: Path,
        files: Mapping[str, bytes],
        findings: Findings,
        run: Workflow | None = None,
    ) -> None:
        self._findings, self._run = findings, run
        self.used: dict[str, Server] = {}
        self.pools: dict[str, Pool] = {}
        self.secrets: list[str] = []
        self._origin, self._path = "", path
        self._map = self._find(value, path, files)
        self._permissions = self._read_permissions(files)
        self._wrong: set[str] = set()

    def _find(self, value: Mapping[str, Value], path: Path, files: Mapping[str, bytes]) -> Mapping[str, Value] | None:
        for key in ("mcpServers", "mcp_servers"):
            if key in value:
                self._path = (*path, key)
                return self._mapping(value[key], "`mcpServers`")
        name = next((name for name in MAPS if name in files), None)
        if name is None:
            return None
        self._origin = f" in `{name}`"
        try:
            content = msgspec.json.decode(files[name].removeprefix(b"\xef\xbb\xbf"))
        except msgspec.DecodeError as error:
            self._report(f"`{name}` cannot be read: {error}", 'correct it: `{ "mcpServers": { … } }`')
            return {}
        if not isinstance(content, dict) or "mcpServers" not in content:
            self._report(
                f"`{name}` has no `mcpServers`", '{ "mcpServers": { "files": { "command": "mcp-server-files", "args": [] } } }'
            )
            return {}
        return self._mapping(content["mcpServers"], f"`mcpServers` in `{name}`")

    def _mapping(self, value: Value, what: str) -> Mapping[str, Value]:
        if isinstance(value, dict):
            return value
        self._report(f"{what} is {described(value)}, where a mapping must be")
        return {}

    def _report(self, message: str, hint: str = "", *inside: str) -> None:
        where = Where(self._path if self._origin else (*self._path, *inside))
        self._findings.add("W706", message, where, hint=hint)

    def asks(self, server: str) -> bool:
        """Whether somebody must approve each call of it. Of a run: whether a person is asked about any of its calls."""
        if self._run:
            asked = (step for step in self._run.steps if step.gate and step.gate.answer is None)
            return any(isinstance(step.action, Tool) and step.action.server == _ours(server) for step in asked)
        given = (self._map or {}).get(server)
        if isinstance(given, dict) and "approvalMode" in given:
            return bool(given["approvalMode"] == "hil")
        if self._permissions is None:
            return False
        known = self._permissions.get(server)
        return not isinstance(known, dict) or known.get("approvalMode") == "hil"

    def _read_permissions(self, files: Mapping[str, bytes]) -> Mapping[str, Value] | None:
        name = next((name for name in PERMISSIONS if name in files), None)
        if name is None:
            return None
        document, problems = read_yaml(files[name], name, DEPTH_MAX, ALIASES_MAX)
        value = document.value if document else None
        if not isinstance(value, dict):
            told = problems[0].message if problems else f"it is {described(value)}, where a mapping must be"
            self._findings.add("W706", f"`{name}` cannot be read: {told}", Where(()), hint="files: { approvalMode: hil }")
            return {}
        return value

    def tool(self, server: str, name: str, path: Path) -> Tool | None:
        """A tool that a task calls."""
        if not _TOOL.fullmatch(name):
            message, hint = f"`{shown(name)}` cannot be the name of a tool", "letters, digits and `_ . - / :`"
            self._findings.add("W701", message, Where(path), hint=hint)
            return None
        known = self._server(server, path)
        if known is None:
            return None
        tool = Tool(server=known, name=name)
        self.pools |= {name: pool for name, pool in tool_pool(tool, RATE).items() if not self._run or name in self._run.resources}
        return tool

    def _server(self, name: str, path: Path) -> str | None:
        """The name of a server as ours; None if there is no such server, which is reported."""
        ours = _ours(name)
        if ours in self.used or ours in self._wrong:
            return ours
        if self._run:
            if ours in self._run.servers:
                return ours
            hint = self._findings.suggest(name, self._run.servers) or f"it has {quoted(self._run.servers)}"
            self._findings.add("W706", f"the run has no server `{shown(name)}`", Where(path), hint=hint)
            return None
        if self._map is None:
            message = f"nothing says what the server `{shown(name)}` is: the workflow can be looked at, and not be run"
            hint = f'add `"mcpServers": {{ "{shown(name)}": {{ "command": "…", "args": [] }} }}` to the file, or write {MAPS[0]}'
            self._findings.add("W707", message, Where(path), hint=hint, severity="warning")
            self.used[ours] = Server(rate=RATE)
            return ours
        if name not in self._map:
            near = self._findings.suggest(name, self._map)
            there = f"there is {quoted(self._map)}" if self._map else "the map of servers is empty"
            self._findings.add("W706", f"there is no server `{shown(name)}`{self._origin}", Where(path), hint=near or there)
            self._wrong.add(ours)
            return None
        server = self._read(name, self._map[name])
        if server is None:
            self._wrong.add(ours)
        else:
            self.used[ours] = server
        return ours

    def _read(self, name: str, given: Value) -> Server | None:
        what = f"the server `{shown(name)}`{self._origin}"
        if not isinstance(given, dict):
            self._report(f"{what} is {described(given)}, where a mapping must be", '{ "command": "…", "args": [] }', name)
            return None
        for key in given:
            if key not in _KEYS:
                hint = self._findings.suggest(key, _KEYS) or f"it has {quoted(_KEYS, 6)}"
                where = Where(self._path if self._origin else (*self._path, name, key), "key")
                self._findings.add("W702", f"{what} has no use for `{shown(key)}`", where, hint=hint, severity="warning")
        if given.get("disabled") is True:
            self._report(f"{what} is disabled", "remove `disabled`", name, "disabled")
            return None
        self._check_mode(what, name, given)
        if "url" in given and "command" in given:
            self._report(f"{what} has both `command` and `url`", "keep one of them", name, "url")
            return None
        speaks = next((key for key in ("type", "transport") if key in given), "")
        good = HTTP if "url" in given else STDIO
        if speaks and "url" in given and given[speaks] == "sse":
            self._report(f"{what} speaks an older protocol (`sse`)", "use its address for streamable HTTP", name)
            return None
        if speaks and given[speaks] not in good:
            told = f"`{shown(given[speaks])}`" if isinstance(given[speaks], str) else described(given[speaks])
            hint = f"with `{'url' if 'url' in given else 'command'}` it is `{good[0]}`, or left out"
            self._report(f"{what} has a `{speaks}` that is {told}", hint, name, speaks)
            return None
        if "url" in given:
            return self._address(what, name, given)
        return self._program(what, name, given)

    def _check_mode(self, what: str, name: str, given: Mapping[str, Any]) -> None:
        mode = given.get("approvalMode", "auto")
        if mode not in MODES:
            told = f"`{shown(mode)}`" if isinstance(mode, str) else described(mode)
            self._report(f"{what} has an `approvalMode` that is {told}", f"it is {quoted(MODES)}", name, "approvalMode")

    def _program(self, what: str, name: str, given: Mapping[str, Any]) -> Server | None:
        command, args, env = given.get("command"), given.get("args", []), given.get("env", {})
        if not isinstance(command, str) or not command.strip() or "\0" in command:
            told = "has neither `command` nor `url`" if command is None else f"has a `command` that is {described(command)}"
            told = "has a `command` that no program can have" if isinstance(command, str) else told
            self._report(f"{what} {told}", '"command": "mcp-server-files", "args": ["./data"]', name)
            return None
        if not isinstance(args, list) or not all(isinstance(arg, str) and "\0" not in arg for arg in args):
            self._report(f"{what}: `args` must be a list of texts", '"args": ["./data"]', name, "args")
            return None
        if not isinstance(env, dict) or not all(isinstance(text, str) and "\0" not in text for text in env.values()):
            self._report(f"{what}: `env` must be a mapping of texts", '"env": { "LOG_LEVEL": "warn" }', name, "env")
            return None
        plain, secrets = dict[str, str](), list[str]()
        for variable, text in env.items():
            found = _VARIABLE.fullmatch(text)
            if not re.fullmatch(ENV_NAME, variable):
                self._report(
                    f"{what}: `{shown(variable)}` cannot be a variable", "letters, digits and `_`", name, "env", variable
                )
            elif not found:
                plain[variable] = text
            elif (found[1] or found[2]) == variable:
                secrets.append(variable)
            else:
                hint = f"set `{variable}` in the environment, and write `${{{variable}}}`"
                self._report(f"{what}: `{variable}` is given another variable, `{text}`", hint, name, "env", variable)
        self.secrets += [secret for secret in secrets if secret not in self.secrets]
        return Server(command=(command, *args), env=plain, secrets=tuple(secrets), rate=RATE)

    def _address(self, what: str, name: str, given: Mapping[str, Any]) -> Server | None:
        url, headers = given["url"], given.get("headers", {})
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            self._report(f"{what}: `url` must be an address", "it begins with `https://`, or `http://`", name, "url")
            return None
        if not isinstance(headers, dict) or not all(isinstance(text, str) for text in headers.values()):
            self._report(f"{what}: `headers` must be a mapping of texts", '"headers": { "X-Tenant": "acme" }', name, "headers")
            return None
        plain, secret_headers, bearer = dict[str, str](), dict[str, str](), ""
        for header, text in headers.items():
            found = _VARIABLE.fullmatch(text.removeprefix("Bearer ").strip())
            if not found:
                plain[header] = text
                continue
            secret = found[1] or found[2]
            self.secrets += [] if secret in self.secrets else [secret]
            if text.startswith("Bearer ") and header.lower() == "authorization":
                bearer = secret
            else:
                secret_headers[header] = secret
        return Server(url=url, headers=plain, bearer=bearer, secret_headers=secret_headers, rate=RATE)


def _ours(name: str) -> str:
    """The name of a server as one that native files can have."""
    return name if re.fullmatch(NAME, name) else "s_" + re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:100]
