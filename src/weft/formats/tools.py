"""`tool` and `servers` of the native format: who speaks the Model Context Protocol, and which step calls which tool of it.

Servers are shared by name among a file and its sub-workflows, as pools are. A server's `rate` becomes a pool for each
of its tools.
"""

from collections.abc import Callable, Mapping, Sequence

from weft.formats.document import Findings, Where
from weft.formats.shapes import Fields, quoted
from weft.model.tokens import shown
from weft.model.workflow import Action, Flow, Pool, Rate, Server, Step, Tool, Value

_ONLY_OF = {"url": ("env", "secrets"), "command": ("headers", "bearer", "secret_headers")}
"""What says nothing about a server that has this key."""
_UNKNOWN = Tool(server="", name="")


class Servers:
    """The servers of a file: its own, and those that are declared `around` it. `secrets` are those that the file declares.

    `joined`: the pools of the run that its steps shall join, to which none can be added. `named`: what stands under `servers`,
    also those that are wrong.
    """

    def __init__(
        self,
        fields: Fields,
        around: Mapping[str, Server],
        secrets: Sequence[str],
        findings: Findings,
        joined: Mapping[str, Pool] | None = None,
        named: Value = None,
    ) -> None:
        self._findings, self._secrets = findings, secrets
        self._joined = joined
        self.pools: dict[str, Pool] = {}
        """Those of `takes`."""
        given: dict[str, Fields] = fields.get("servers", {})
        self.own = {name: self._server(server) for name, server in given.items()}
        self.known = {**around, **self.own}
        self._wrong = set(named) - self.known.keys() if isinstance(named, dict) else set()
        self._is_sure = "servers" not in fields.refused

    def _server(self, given: Fields) -> Server:
        for has, keys in _ONLY_OF.items():
            for key in keys if has in given else ():
                if key in given:
                    message = f"`{key}` says nothing about a server with `{has}`"
                    self._findings.add("W214", message, Where(given.at(key), "key"), hint="remove it")
        self._check_secrets(given)
        url, rate = given.get("url", ""), given.get("rate")
        return Server(
            command=tuple(filter(None, given.get("command", ()))),
            env=given.get("env", {}),
            secrets=tuple(filter(None, given.get("secrets", ()))),
            url=url,
            headers=given.get("headers", {}),
            bearer=given.get("bearer", ""),
            secret_headers=given.get("secret_headers", {}),
            rate=Rate(*rate) if rate else None,
        )

    def _check_secrets(self, given: Fields) -> None:
        wanted = [(secret, given.at("secrets", n)) for n, secret in enumerate(given.get("secrets", ()))]
        wanted += [(given["bearer"], given.at("bearer"))] if "bearer" in given else []
        wanted += [(secret, given.at("secret_headers", header)) for header, secret in given.get("secret_headers", {}).items()]
        for secret, path in wanted:
            if secret is not None and secret not in self._secrets:
                near = self._findings.suggest(secret, self._secrets)
                hint = near or f"declare it at the top of the file: `secrets: [{secret}]`"
                self._findings.add("W309", f"the secret `{secret}` is not declared", Where(path), hint=hint)

    def tool(self, fields: Fields) -> Tool:
        """The tool that a step calls. Its server must be known."""
        server, _, name = fields["tool"].partition("/")
        if server in self.known:
            return Tool(server=server, name=name)
        if self._is_sure and server not in self._wrong:
            declare = f"declare it at the top of the file: `servers: {{ {server}: {{ command: [{server}-server] }} }}`"
            near = self._findings.meant(server, self.known)
            hint = f"did you mean `{near}/{shown(name)}`?" if near else declare
            there = f"; there is {quoted(self.known)}" if self.known and not near else ""
            where = Where(fields.at("tool"), "value", 0, len(server))
            self._findings.add("W314", f"there is no server `{shown(server)}`{there}", where, hint=hint)
        return _UNKNOWN

    def takes(self, action: Action) -> dict[str, int]:
        """The pool that bounds how often the tool of a step is called, if it has one and something bounds it."""
        server = self.known.get(action.server) if isinstance(action, Tool) else None
        if server is None or server.rate is None or not isinstance(action, Tool):
            return {}
        [(name, pool)] = tool_pool(action, server.rate).items()
        if self._joined is not None:
            return {name: 1} if self._joined.get(name) == pool else {}
        self.pools[name] = pool
        return {name: 1}


def tool_pool(tool: Tool, rate: Rate) -> dict[str, Pool]:
    """The pool that bounds how often a tool is called, by its name."""
    return {f"{tool.server}/{tool.name}": Pool(rate=rate, burst=rate.starts)}


def shared_servers(
    own: Mapping[str, Server], steps: Sequence[Step], where: Callable[[str], Where], findings: Findings
) -> dict[str, Server]:
    """The servers of a file and of its sub-workflows. Two that differ are reported: a name stands for one session of the run."""
    servers, owner = dict(own), dict[str, str]()
    for step in steps:
        for name, server in step.action.workflow.servers.items() if isinstance(step.action, Flow) else ():
            if name not in servers:
                servers[name], owner[name] = server, step.id
            elif server != servers[name]:
                other = f"the sub-workflow `{owner[name]}`" if name in owner else "this file"
                message = f"the server `{name}` of the sub-workflow `{step.id}` is another one than that of {other}"
                findings.add("W324", message, where(step.id), hint="give one of them another name, or let them be the same")
    return servers
