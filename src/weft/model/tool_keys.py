"""The keys of tools and their servers: rows of the one table in `spec`, which holds them together with the others."""

from weft.model.keys import Key, Keys
from weft.model.shape import ADDRESS, ENV_NAME, TOOL, Frequency, ListOf, MapOf, Record, Text

_env_name = Text(ENV_NAME, "the name of an environment variable")
HEADER = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
"""A token of RFC 9110, 5.6.2."""

TOOL_KEY = Key(
    "tool",
    Text(TOOL, "a tool"),
    "A call of a tool of one of the `servers`, as `server/tool`. `with` gives its arguments, which must fit the schema that the "
    "server tells of it. The output is the structured content of the result, or else its text.",
    "files/read_file",
)
SERVERS = Key(
    "servers",
    MapOf(Record("server"), "a server"),
    "Servers of tools that speak the Model Context Protocol (MCP), by name: each a program that is started, or an address. One "
    "is asked when a step first needs it, by all steps of the run in one session.",
    "{ files: { command: [mcp-server-files, ./data] } }",
)

TOOL_RECORDS: dict[str, Keys] = {
    "server": Keys(
        "a server",
        (
            Key(
                "command",
                ListOf(Text(), filled=True),
                "The program and its arguments, without a shell. It must have been allowed once on this machine: "
                "`weft allow FILE`.",
                "[mcp-server-files, ./data]",
            ),
            Key(
                "env",
                MapOf(Text(), "an environment variable", ENV_NAME),
                "Environment variables of the program, besides HOME, PATH and the like: it inherits no others.",
                "{ LOG_LEVEL: warning }",
            ),
            Key(
                "secrets",
                ListOf(_env_name),
                "The declared secrets that the program gets, as environment variables.",
                "[TOKEN]",
            ),
            Key(
                "url",
                Text(ADDRESS, "an address"),
                "The address of a server that is reached over HTTP.",
                "https://tools.example/mcp",
            ),
            Key(
                "headers",
                MapOf(Text(), "a header", HEADER),
                "Headers of all requests to the address.",
                "{ X-Tenant: acme }",
            ),
            Key("bearer", _env_name, "The secret that is sent as `Authorization: Bearer …`.", "TOKEN"),
            Key(
                "secret_headers",
                MapOf(_env_name, "a header", HEADER),
                "Headers whose values are secrets.",
                "{ X-Api-Key: TOKEN }",
            ),
            Key(
                "rate",
                Frequency(),
                "How many calls of each of its tools start in a stretch of time: `10/s`, `60/min`. So many may start together "
                "after a rest.",
                "10/s",
                "no limit",
            ),
        ),
        one_of=("command", "url"),
        meant={
            **dict.fromkeys(("cmd", "run", "args", "argv", "program", "stdio"), "command"),
            **dict.fromkeys(("environment", "variables"), "env"),
            **dict.fromkeys(("address", "endpoint", "http", "uri"), "url"),
            **dict.fromkeys(("token", "auth", "authorization"), "bearer"),
            **dict.fromkeys(("rate_limit", "limit", "throttle"), "rate"),
        },
    ),
}
