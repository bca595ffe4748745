"""What stands beside the tasks of a PML workflow: how many at once, validation after each layer, the time that a task has."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from weft.formats.document import Findings, Path, Where
from weft.formats.shapes import described
from weft.model.tokens import shown
from weft.model.workflow import Value

TASK_TIMEOUT_S: Final = 30.0
CONCURRENT_MAX: Final = 1_000_000

SPELLINGS: Final = {
    "max_concurrent": ("max_concurrent", "maxConcurrent", "max_concurrency", "maxConcurrency"),
    "per_layer_validation": ("per_layer_validation", "perLayerValidation"),
    "task_timeout": ("taskTimeout", "task_timeout"),
    "name": ("name", "workflow_name"),
    "description": ("description", "intent"),
}
IGNORED: Final = (
    "tasks",
    "workflow",
    "config",
    "options",
    "settings",
    "mcpServers",
    "mcp_servers",
    "version",
    "id",
    "workflow_id",
)
_NESTED: Final = ("config", "options", "settings")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """`around` is the mapping that holds the tasks, `path` where it stands. `max_concurrent` None: no limit."""

    around: Mapping[str, Value]
    path: Path
    name: str = ""
    description: str = ""
    max_concurrent: int | None = None
    per_layer_validation: bool = False
    task_timeout_s: float = TASK_TIMEOUT_S


def read_settings(value: Mapping[str, Value], findings: Findings) -> Settings:
    """Of the whole file: settings stand at the top, beside `tasks`, or in a mapping like `config`."""
    wrapped = "tasks" not in value and isinstance(value.get("workflow"), dict)
    path: Path = ("workflow",) if wrapped else ()
    around: Mapping[str, Value] = value["workflow"] if wrapped else value
    if "tasks" not in value and "workflow" in value and not wrapped:
        message = f"`workflow` is {described(value['workflow'])}, where a mapping with `tasks` must be"
        findings.add("W701", message, Where(("workflow",)))
    found: dict[str, tuple[Value, Path]] = {}
    places: list[tuple[Value, Path]] = [(value, ()), (around, path)]
    places += [(mapping[key], (*at, key)) for mapping, at in list(places) for key in _NESTED if key in mapping]
    known = {spelling: name for name, spellings in SPELLINGS.items() for spelling in spellings}
    for mapping, at in places:
        if not isinstance(mapping, dict):
            findings.add("W701", f"`{at[-1]}` is {described(mapping)}, where a mapping must be", Where(at))
            continue
        for key, item in mapping.items():
            if key in known and item is None:
                continue
            if key in known:
                found[known[key]] = (item, (*at, key))
            elif key not in IGNORED:
                hint = findings.suggest(key, [*known, *IGNORED]) or "the settings are `max_concurrent`, `per_layer_validation`"
                message = f"a workflow has no `{shown(key)}`"
                findings.add("W702", message, Where((*at, key), "key"), hint=hint, severity="warning")
    return Settings(around=around, path=path, **_checked(found, findings))


def _checked(found: Mapping[str, tuple[Value, Path]], findings: Findings) -> dict[str, Any]:
    good: dict[str, Any] = {}

    def wrong(path: Path, what: str, value: Value, hint: str) -> None:
        findings.add("W701", f"`{path[-1]}` is {described(value)}, where {what} must be", Where(path), hint=hint)

    for name, (value, path) in found.items():
        if name in ("name", "description"):
            if isinstance(value, str):
                good[name] = value
            else:
                wrong(path, "a text", value, "put it in quotes")
        elif name == "per_layer_validation":
            if isinstance(value, bool):
                good[name] = value
            else:
                wrong(path, "`true` or `false`", value, "write it without quotes")
        elif isinstance(value, bool) or not isinstance(value, int | float):
            wrong(path, "a number", value, "write it without quotes")
        elif not 0 < value <= CONCURRENT_MAX * 1000 or (name == "max_concurrent" and value != int(value)):
            hint = (
                "at least 1; without it nothing limits how many tasks run at once" if name == "max_concurrent" else "milliseconds"
            )
            findings.add("W701", f"`{path[-1]}` cannot be {value:g}", Where(path), hint=hint)
        elif name == "max_concurrent":
            good[name] = int(value)
        else:
            good["task_timeout_s"] = value / 1000
    return good
