"""The one table of the native file format: everything that must agree is made from it.

The reader of the native format, the JSON Schema that editors use and the reference page come from `RECORDS`. A key, its type, its
default and what it means are written down once, here, and nowhere else.
"""

from weft.model.agent_keys import AGENT, AGENT_RECORDS
from weft.model.gate_keys import APPROVE, GATE, GATE_RECORDS, GATES
from weft.model.keys import Key as Key
from weft.model.keys import Keys as Keys
from weft.model.language_keys import JS, LUA, WASM, WASM_RECORDS
from weft.model.pool_keys import POOL_RECORDS, STEP_MAX_PARALLEL
from weft.model.role_keys import BUDGET, FALLBACK, FINALLY, NOT_OF_A_FALLBACK, RERUN, ROLE_RECORDS
from weft.model.shape import (
    ANY_KEY,
    ENV_NAME,
    INTEGER_MAX,
    NAME,
    PLUGIN,
    Amount,
    Anything,
    Boolean,
    Choice,
    Duration,
    Either,
    Integer,
    ListOf,
    MapOf,
    Number,
    Record,
    Text,
)
from weft.model.tool_keys import HEADER as _HEADER
from weft.model.tool_keys import SERVERS, TOOL_KEY, TOOL_RECORDS

RETRY_TIMES_MAX = 10_000
"""More is a loop, and a loop should say what it waits for."""

PRIORITY_MAX = 1_000_000
ITEMS_MOST = 1_000_000
"""Steps that one run can have at all."""
FACTOR_MAX = 1_000


_name = Text(NAME, "a name")
_env_name = Text(ENV_NAME, "the name of an environment variable")
_data = Text(field="data")
_on_error = Key(
    "on_error",
    Choice(("isolate", "continue", "stop", "stop_layer")),
    "What a failure means once no attempt is left. `isolate`: steps that need this one are skipped, the rest go on, the run "
    "fails. `continue`: steps that need this one run, and see null and `.error`. `stop`: everything else is cancelled. "
    "`stop_layer`: the same layer is cancelled, the rest go on.",
    "continue",
    "isolate",
)
_retry = Key(
    "retry",
    Either((Integer(0, RETRY_TIMES_MAX), Record("retry"))),
    "Further attempts after a failure: a number, or a mapping that says when, and how long to wait. A step that waits holds "
    "nothing.",
    "{ times: 4, delay: 1s, max_delay: 30s, when: [timeout, exit 22] }",
    "0",
)
_timeout = Key(
    "timeout",
    Duration(positive=True),
    "How long one attempt may take. Then its whole process tree is ended, and the attempt has failed with kind `timeout`.",
    "10m",
)
_shell = Key(
    "shell",
    Either((Text(what="a command"), ListOf(Text(), filled=True))),
    "The interpreter of `run` texts, which gets the script as its last argument: a list, or text that is split at spaces; a "
    "single word gets `-c`. Without it: `bash -eu -o pipefail -c`, or `sh -eu -c` where bash is missing.",
    "[zsh, -eu, -c]",
)
_cwd = Key("cwd", Text(), "Working folder of the step, relative to the project's folder.", "build")
_output = Key(
    "output",
    Choice(("text", "json", "lines")),
    "How the standard output of `run` is read: `text` (without the last newline), `json`, or `lines` (a list). "
    "What the step writes to the file `$WEFT_OUTPUT` is read instead, if it writes to it.",
    "json",
    "text",
)
_env = MapOf(_data, "an environment variable", ENV_NAME)
_shared = Either((Text(field="data"), ListOf(Text(field="data"))))

RECORDS: dict[str, Keys] = {
    "workflow": Keys(
        "the file",
        (
            Key("name", Text(), "Name of the workflow, for lists and reports.", "nightly-report", "the file's name"),
            Key("description", Text(), "What it is for, in a sentence or a page.", "Counts last night's rows."),
            Key(
                "inputs",
                MapOf(Record("input"), "an input"),
                "Typed parameters of the workflow, given as `weft run FILE name=value` and read as `${{ inputs.name }}`.",
                '{ day: { type: string, default: "2026-01-31" } }',
            ),
            Key(
                "secrets",
                ListOf(_env_name),
                "Names of secrets, whose values come from the environment. A step gets those that it names under its own "
                "`secrets`, and no other.",
                "[TOKEN]",
            ),
            Key(
                "env",
                _env,
                "Environment variables of every step. They may refer to inputs.",
                '{ LC_ALL: C, DAY: "${{ inputs.day }}" }',
            ),
            Key(
                "resources",
                MapOf(Either((Amount(auto=True), Record("pool"))), "a pool"),
                "Named pools that bound what runs at the same time, and how fast it starts: a number of slots, a size, or a "
                "mapping. `cpu`, `mem` and `gpu` are the machine's own: `auto` is what it has, and steps are held to what they "
                "ask for.",
                "{ database: 2, mem: auto, openai: { slots: 8, rate: 60/min } }",
            ),
            SERVERS,
            Key(
                "defaults", Record("defaults"), "Values for every step that does not say otherwise.", "{ timeout: 10m, retry: 1 }"
            ),
            Key(
                "max_parallel",
                Either((Integer(0, INTEGER_MAX), Choice(("auto", "unlimited", "adaptive")))),
                "How many attempts may run at once: a number, `unlimited`, or `auto` (also `0`): as many as there are CPUs of "
                "those that compute, and 256 of those that only wait. `adaptive`: it starts as `auto`, then of those that "
                "compute more or fewer run as the pressure on CPU and memory allows.",
                "8",
                "auto",
            ),
            Key(
                "schedule",
                Choice(("dataflow", "layers", "sequential")),
                "When a step is ready. `dataflow`: when its own needs have settled. `layers`: when the whole layer before has. "
                "`sequential`: one at a time, in file order.",
                "layers",
                "dataflow",
            ),
            Key(
                "durability",
                Choice(("power", "process", "none")),
                "What the journal of a run survives. `power`: loss of power. `process`: kill -9, but not loss of power. "
                "`none`: nothing.",
                "process",
                "power",
            ),
            Key(
                "timeout",
                Duration(positive=True),
                "How long the run may take, not counting the time in which no engine works on it. Then what runs is stopped, "
                "nothing else starts, and the run has failed.",
                "2h",
            ),
            GATES,
            Key(
                "steps",
                Either((MapOf(Record("step"), "a step", filled=True), ListOf(Record("listed_step"), filled=True))),
                "The steps: a mapping from id to step, or a list of steps with `id`.",
                '{ fetch: { run: "echo 42" } }',
                required=True,
            ),
            FINALLY,
            BUDGET,
            Key(
                "outputs",
                MapOf(Anything(data=True), "an output"),
                "What the run hands back: printed as JSON at its end. Of a run that has failed those that can be evaluated, and "
                "null for the others.",
                '{ rows: "${{ steps.fetch.output }}" }',
            ),
        ),
        later=("deadline",),
        meant={
            **dict.fromkeys(("jobs", "tasks", "stages", "nodes"), "steps"),
            **dict.fromkeys(("params", "parameters", "arguments", "vars"), "inputs"),
            **dict.fromkeys(("concurrency", "parallelism", "max_workers", "jobs_max"), "max_parallel"),
            **dict.fromkeys(("pools", "limits"), "resources"),
            **dict.fromkeys(("mcpServers", "mcp_servers", "mcp", "tools"), "servers"),
            **dict.fromkeys(("environment", "variables"), "env"),
        },
    ),
    "input": Keys(
        "an input",
        (
            Key(
                "type",
                Choice(("string", "integer", "number", "boolean", "list", "mapping", "any")),
                "What kind of value it takes.",
                "string",
                "any",
            ),
            Key("default", Anything(), "Its value when none is given. Without a default it must be given.", '"2026-01-31"'),
            Key("description", Text(), "Shown in the help of `weft run FILE --help`.", "The day to report on."),
            Key("choices", ListOf(Anything(), filled=True), "The values it may have.", "[crm, shop]"),
        ),
    ),
    **AGENT_RECORDS,
    **WASM_RECORDS,
    **GATE_RECORDS,
    **POOL_RECORDS,
    **ROLE_RECORDS,
    **TOOL_RECORDS,
    "defaults": Keys("`defaults`", (_timeout, _retry, _on_error, _shell, _cwd, _output)),
    "http": Keys(
        "`http`",
        (
            Key("url", _data, "The address.", "https://example.org/rows", required=True),
            Key("method", Choice(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")), "The method.", "POST", "GET"),
            Key("headers", MapOf(Anything(data=True), "a header", _HEADER), "Headers of the request.", "{ Accept: text/csv }"),
            Key(
                "query",
                MapOf(Anything(data=True), "a parameter", ".+"),
                "What is added to the address; a list repeats.",
                "{ page: 2 }",
            ),
            Key(
                "body", Anything(data=True), "What is sent: text as it is, anything else as JSON.", '{ day: "${{ inputs.day }}" }'
            ),
            Key(
                "expect",
                ListOf(Integer(100, 599), filled=True),
                "The statuses that are a success.",
                "[200, 404]",
                "all below 400",
            ),
            Key(
                "redirects",
                Boolean(),
                "Whether redirects are followed. A request that carries secrets follows none.",
                "false",
                "true",
            ),
            Key("bearer", _env_name, "The secret that is sent as `Authorization: Bearer …`; the step must name it.", "TOKEN"),
            Key(
                "secret_headers",
                MapOf(_env_name, "a header", _HEADER),
                "Headers whose values are secrets, which the step must name.",
                "{ X-Api-Key: KEY }",
            ),
        ),
        meant={"json": "body", "data": "body", "params": "query", "follow_redirects": "redirects"},
    ),
    "retry": Keys(
        "`retry`",
        (
            Key("times", Integer(0, RETRY_TIMES_MAX), "Further attempts after the first.", "4", required=True),
            Key("delay", Duration(), "The wait before the second attempt.", "500ms", "1s"),
            Key("factor", Number(1, FACTOR_MAX), "By how much the wait grows with each attempt.", "1.5", "2"),
            Key("max_delay", Duration(), "The longest wait.", "30s", "60s"),
            Key("jitter", Boolean(), "Whether each wait is drawn at random between zero and its full length.", "false", "true"),
            Key(
                "when",
                ListOf(Text(what="an error kind, `exit N` or the name of an exception"), filled=True),
                "Only failures of these sorts are tried again: an error kind (`timeout`), an exit status (`exit 22`) or the "
                "name of an exception.",
                "[timeout, exit 22, ConnectionError]",
                "any failure",
            ),
            Key(
                "max_elapsed",
                Duration(positive=True),
                "No further attempt begins later than this after the first one began.",
                "10m",
            ),
        ),
    ),
}

_STEP = (
    Key("title", Text(), "What views show beside the id.", "Fetch the rows"),
    Key("description", Text(), "For readers of the file.", "One page per shop."),
    Key(
        "for_each",
        Either((_data, ListOf(Anything(data=True)), MapOf(Anything(data=True), "an item", ANY_KEY))),
        "A list or a mapping, or the `${{ }}` that gives one: the step is done once for each item, all of them at once as far as "
        "limits allow. The output is a mapping from key to output. If it is `${{ steps.X.output }}` of another step with "
        "`for_each`, each instance follows the one with the same key.",
        "${{ inputs.sources }}",
    ),
    Key(
        "matrix",
        MapOf(Either((_data, ListOf(Anything(data=True)))), "an axis"),
        "Lists by name: the step is done once for each combination of their items. `exclude` and `include`, lists of mappings, "
        "take combinations away and add some. The item is called `matrix`, its key is its values, joined by `-`.",
        "{ python: ['3.11', '3.14'], system: [debian, alpine] }",
    ),
    Key("as", _name, "What the item of `for_each` is called in the data of the step.", "source", "item"),
    Key(
        "key",
        _data,
        "Names each instance of `for_each`: data that refers to the item.",
        "${{ item.name }}",
        "the index in a list, the key in a mapping",
    ),
    Key("items_max", Integer(1, ITEMS_MOST), "With more items than this the step fails.", "500", "100,000"),
    Key(
        "run",
        Either((Text(what="a script", field="code"), ListOf(Text(field="data"), filled=True))),
        "Text: a shell script, whose data comes as environment variables from `with`. A list: a program and its arguments, "
        "without a shell.",
        "echo hello",
    ),
    Key(
        "python",
        Text(what="Python code", field="code"),
        "Python code that defines `run`, which is called with the values of `with` by name (or with all of them as one mapping, "
        "if its only parameter is called `inputs`) and returns the output; or `module:function`.",
        "'def run(): return 42'",
    ),
    LUA,
    JS,
    WASM,
    Key(
        "http",
        Either((Text(field="data"), Record("http"))),
        "One HTTP request: an address, or a mapping. The output is a mapping of `status`, `headers`, `url` and `body`. A status "
        "of 400 or more is a failure with the exception `HTTP404` or the like; a server's Retry-After is honoured.",
        "https://example.org/rows",
    ),
    AGENT,
    TOOL_KEY,
    Key(
        "uses",
        Text(PLUGIN, "a plugin"),
        "A kind of step that an installed Python package brings, as `package/kind`. It gets `with` and returns the output.",
        "acme-words/count",
    ),
    Key("sleep", Duration(), "Wait this long, and do nothing.", "250ms"),
    APPROVE,
    Key(
        "flow",
        Either((Text(what="a path"), Record("workflow"))),
        "A sub-workflow: the path of its file, relative to the file that this stands in, or the workflow itself. `with` gives "
        "its inputs, and its outputs are the output of the step. Its steps join the run as `id/step`.",
        "./archive.weft.yaml",
    ),
    Key(
        "needs",
        Either((Text(), ListOf(Text()))),
        "Ids of the steps that must have settled before this one starts. Steps that its data refers to are needed without "
        "being named.",
        "[other]",
        spellings=("depends_on", "dependsOn", "depends"),
    ),
    Key(
        "with",
        MapOf(Anything(data=True), "a value", ".+"),
        "The data of the step, by name. Texts may hold `${{ }}`. A script finds it in its environment, and as JSON in the file "
        "`$WEFT_INPUT`; Python gets it as arguments.",
        '{ day: "${{ inputs.day }}" }',
    ),
    Key(
        "if",
        Either((Text(what="an expression", field="condition"), Boolean())),
        "An expression, with or without `${{ }}`: if it is false, the step is skipped. It is evaluated when all needs have "
        "settled.",
        "steps.other.output != ''",
        "success()",
    ),
    GATE,
    Key("env", _env, "Environment variables of the step.", "{ LANG: C.UTF-8 }"),
    Key("secrets", ListOf(_env_name), "The declared secrets that it gets, as environment variables.", "[TOKEN]"),
    _cwd,
    _shell,
    _output,
    Key(
        "resources",
        MapOf(Amount(), "a pool"),
        "Units of the workflow's pools that it holds while an attempt runs; it takes all or none. Of `cpu` and `gpu` it may be "
        "a fraction.",
        "{ database: 1 }",
    ),
    STEP_MAX_PARALLEL,
    Key("priority", Integer(-PRIORITY_MAX, PRIORITY_MAX), "Among ready steps, the higher one goes first.", "10", "0"),
    Key("expect", Duration(), "How long it is expected to take, for choosing the order.", "90s"),
    _on_error,
    _retry,
    _timeout,
    Key(
        "deadline",
        Duration(positive=True),
        "How long the step may take from its first start, over all attempts and the waits between them. Then it has failed with "
        "kind `timeout`.",
        "1h",
    ),
    Key(
        "reads",
        _shared,
        "What it reads that other steps may write: paths or globs, from the project's folder, or any words. Steps of which one "
        "writes what the other reads or writes never run at the same time, and `weft check` warns if no path orders them. Lua, "
        "JavaScript and WebAssembly may open these files and no others.",
        "[rows.csv, 'pages/*.html', database]",
    ),
    Key(
        "writes",
        _shared,
        "What it writes that other steps may read or write, as under `reads`. A path that refers to the item of a fan-out is "
        "another one for each instance.",
        "out/report.html",
    ),
    Key(
        "races",
        Choice(("allow",)),
        "`allow`: any order is fine. The step may run at the same time as those that touch what it reads and writes.",
        "allow",
    ),
    Key(
        "reuse",
        Boolean(),
        "Whether the step is not run if it has succeeded in an earlier run with the same fingerprint: its action, `with`, `env` "
        "and `versions`, and the contents of the files under `reads`. It then has the output that it had.",
        "true",
        "false",
    ),
    Key(
        "versions",
        MapOf(_data, "a version", ".+"),
        "What else the result depends on, by name, versions of tools mostly: with `reuse`, the step runs again when one changes.",
        '{ compiler: "12.2" }',
    ),
    FALLBACK,
    RERUN,
    Key(
        "drain",
        Boolean(),
        "With `on_error: stop`: the steps that run when this one fails may end; nothing else starts.",
        "false",
        "false",
    ),
)
_MEANT = {
    **dict.fromkeys(("cmd", "command", "script", "bash", "sh", "exec"), "run"),
    **dict.fromkeys(("code", "function"), "python"),
    **dict.fromkeys(("after", "requires", "dependencies", "upstream"), "needs"),
    **dict.fromkeys(("when", "condition", "only_if"), "if"),
    **dict.fromkeys(("args", "inputs", "params", "data"), "with"),
    **dict.fromkeys(("environment", "variables"), "env"),
    **dict.fromkeys(("retries", "attempts", "max_retries"), "retry"),
    **dict.fromkeys(("continue_on_error", "on_failure"), "on_error"),
    **dict.fromkeys(("name", "label"), "title"),
    **dict.fromkeys(("pool", "pools", "limits", "rate", "rate_limit", "per"), "resources"),
    **dict.fromkeys(("concurrency", "parallelism"), "max_parallel"),
    **dict.fromkeys(("workdir", "working_directory"), "cwd"),
    **dict.fromkeys(("foreach", "loop", "with_items", "map", "items"), "for_each"),
    **dict.fromkeys(("strategy", "parameters"), "matrix"),
    **dict.fromkeys(("workflow", "subflow", "sub_workflow", "include"), "flow"),
}
"""Keys of a step in other tools."""

_KINDS = ("run", "python", "lua", "js", "wasm", "http", "agent", "tool", "uses", "flow", "sleep", "approve")
_ID = Key("id", _name, "The name of the step, which is unique in the file.", "fetch", required=True)
RECORDS["step"] = Keys("a step", _STEP, _KINDS, meant=_MEANT)
RECORDS["fallback"] = Keys(
    "a fallback",
    tuple(key for key in _STEP if key.name not in NOT_OF_A_FALLBACK),
    _KINDS,
    meant={said: meant for said, meant in _MEANT.items() if meant not in NOT_OF_A_FALLBACK},
)
RECORDS["listed_step"] = Keys("a step in a list", (_ID, *_STEP), _KINDS, meant=_MEANT)

RESERVED_ENV = (
    "WEFT_INPUT",
    "WEFT_OUTPUT",
    "WEFT_USAGE",
    "WEFT_DIR",
    "WEFT_RUN",
    "WEFT_STEP",
    "WEFT_ATTEMPT",
    "WEFT_IDEMPOTENCY_KEY",
)
"""Environment variables that weft itself gives to every step."""
