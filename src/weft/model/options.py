"""The one table of settings: flags, environment variables and the keys of `weft.toml` are made from `SETTINGS`.

A setting, its type, its default and what it means are written down once, here, and nowhere else.
"""

import msgspec

from weft.model.keys import Key
from weft.model.pool_keys import SIZE
from weft.model.shape import Boolean, Choice, Duration, Number, Shape, Text
from weft.model.spec import RECORDS
from weft.model.workflow import Value


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting: where it can be given, and what holds when it is not. An empty field: it cannot be given there.

    `flag` and `short` belong to the command line, `env` is an environment variable, `file_key` a key of `weft.toml`, and
    `workflow_key` a key of the workflow file that says the same. `shape` bounds the value, whichever way it comes.
    """

    name: str
    shape: Shape
    help: str
    default: Value
    flag: str
    short: str = ""
    env: str = ""
    file_key: str = ""
    workflow_key: str = ""


def _key(name: str) -> Key:
    return next(key for key in RECORDS["workflow"].keys if key.name == name)


def _setting(name: str, shape: Shape, default: Value, help: str, *, short: str = "", **fields: str) -> Setting:  # noqa: A002
    names = {"flag": "--" + name.replace("_", "-"), "env": "WEFT_" + name.upper(), "file_key": name, **fields}
    return Setting(name=name, shape=shape, default=default, help=help, short=short, **names)


TIME_SCALE_MAX = 1_000


SETTINGS: tuple[Setting, ...] = (
    _setting(
        "max_parallel",
        _key("max_parallel").shape,
        "auto",
        "How many attempts run at once: a number, auto (also 0), unlimited or adaptive.",
        short="-j",
        workflow_key="max_parallel",
    ),
    _setting(
        "schedule",
        _key("schedule").shape,
        "dataflow",
        "When a step is ready: when its own needs have settled, when the layer before has, or one at a time.",
        workflow_key="schedule",
    ),
    _setting("fail_fast", Boolean(), False, "Stop everything at the first failure: every `on_error: isolate` becomes `stop`."),
    _setting(
        "durability",
        _key("durability").shape,
        "power",
        "What the journal survives: loss of power, kill -9 of weft, or nothing.",
        workflow_key="durability",
    ),
    _setting(
        "format",
        Choice(("native", "wfformat", "hwfe", "pml", "evolver", "ghyaml")),
        None,
        "Format of the workflow file, when its content does not tell.",
        env="",
        file_key="",
    ),
    _setting(
        "output",
        Choice(("auto", "live", "lines", "json", "quiet")),
        "auto",
        "What is shown while a run goes on: live on a terminal and lines elsewhere (auto), or always one of them.",
        env="WEFT_VIEW",  # in a step, WEFT_OUTPUT is the file for its output
    ),
    _setting(
        "color", Choice(("auto", "always", "never")), "auto", "Coloured messages; auto: on a terminal, unless NO_COLOR is set."
    ),
    _setting("size_max", SIZE, None, "Largest workflow file that is read; without it 10MB of YAML, 512MB of JSON."),
    _setting(
        "time_scale", Number(0, TIME_SCALE_MAX), 1.0, "Makes the steps of a trace shorter (0.001) or longer.", env="", file_key=""
    ),
    _setting(
        "timeout_unit",
        Choice(("ms", "s")),
        "ms",
        "What a bare `timeout` counts in files of systems that mean milliseconds, and have been written in seconds.",
        env="",
        file_key="",
    ),
    _setting("grace", Duration(), 10.0, "How long a process has to end before it is killed."),
    _setting("state", Text(), ".weft", "Folder of journals and outputs, relative to the project's folder."),
)
