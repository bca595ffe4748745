"""The configuration of the Hybrid Workflow Engine: HWFE_* variables, over `.env`, over config.toml, .json, .yaml, over defaults.

Only what concerns how a workflow runs is used (`execution`); the rest is known, so that a misspelling is told from it.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from weft.formats.hwfe import MAX_PARALLEL, Execution
from weft.model.suggest import did_you_mean

FILES: Final = ("config.toml", "config.json", "config.yaml", "config.yml")
"""The first one that is there counts."""
READ: Final = (*FILES, ".env")

SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "execution": ("mode", "max_parallel_steps", "enable_step_parallelism"),
    "workflows": ("directory", "extensions", "max_workflows"),
    "server": ("host", "port", "static_dir"),
    "runners": ("python", "javascript", "shell", "wasm"),
    "logging": ("level", "colored"),
}
VARIABLES: Final[Mapping[str, str]] = {
    "HWFE_EXECUTION_MODE": "mode",
    "HWFE_MAX_PARALLEL_STEPS": "max_parallel_steps",
    "HWFE_ENABLE_PARALLELISM": "enable_step_parallelism",
}
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)")


class Setting(msgspec.Struct, frozen=True):
    """One value of the section `execution`, and where it comes from."""

    name: str
    value: Any
    origin: str


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """`problems`: what is wrong, a sentence each; such a value does not count."""

    execution: Execution
    settings: tuple[Setting, ...]
    problems: tuple[str, ...] = ()


def read_config(files: Mapping[str, bytes], variables: Mapping[str, str]) -> Config:
    """`files` holds the content of those of FILES and `.env` that are there, `variables` the environment."""
    problems: list[str] = []
    found: dict[str, Setting] = {
        "mode": Setting("mode", "sequential", "default"),
        "max_parallel_steps": Setting("max_parallel_steps", MAX_PARALLEL, "default"),
        "enable_step_parallelism": Setting("enable_step_parallelism", False, "default"),
    }
    name = next((name for name in FILES if name in files), None)
    if name:
        for key, value in _section(name, files[name], problems).items():
            _take(found, key, value, name, problems)
    sources = [(".env", _env_file(files[".env"], problems))] if ".env" in files else []
    for origin, given in (*sources, ("environment", variables)):
        for variable, key in VARIABLES.items():
            if variable in given:
                _take(found, key, _typed(given[variable]), f"{variable} ({origin})", problems)
    execution = Execution(parallel=found["mode"].value == "parallel", max_parallel_steps=found["max_parallel_steps"].value)
    return Config(execution=execution, settings=tuple(found.values()), problems=tuple(problems))


def _take(found: dict[str, Setting], key: str, value: Any, origin: str, problems: list[str]) -> None:
    if key == "mode" and value not in ("sequential", "parallel"):
        problems.append(f"{origin}: there is no mode `{value}`; it is `sequential` or `parallel`, and counts as sequential")
        value = "sequential"
    elif key == "max_parallel_steps" and (type(value) is not int or value < 0):
        problems.append(f"{origin}: `max_parallel_steps` is `{value}`, where a number from 0 must be (0: as many as CPUs)")
        return
    elif key == "enable_step_parallelism" and not isinstance(value, bool):
        problems.append(f"{origin}: `enable_step_parallelism` is `{value}`, where true or false must be")
        return
    found[key] = Setting(key, value, origin)


def _section(name: str, data: bytes, problems: list[str]) -> Mapping[str, Any]:
    try:
        content = _parsed(name, data)
    except (ValueError, RecursionError) as error:
        problems.append(f"{name}: it cannot be read: {str(error).splitlines()[0]}")
        return {}
    if not isinstance(content, dict):
        problems.append(f"{name}: it holds no sections")
        return {}
    for section, values in content.items():
        _check_section(name, section, values, problems)
    execution = content.get("execution", {})
    return {key: value for key, value in execution.items() if key in SECTIONS["execution"]} if isinstance(execution, dict) else {}


def _check_section(name: str, section: str, values: Any, problems: list[str]) -> None:
    if section not in SECTIONS:
        near = did_you_mean(section, SECTIONS)
        problems.append(f"{name}: there is no section `{section}`" + (f"; did you mean `{near}`?" if near else ""))
    elif not isinstance(values, dict):
        problems.append(f"{name}: the section `{section}` is no mapping")
    else:
        for key in values:
            if key not in SECTIONS[section]:
                near = did_you_mean(str(key), SECTIONS[section])
                problems.append(f"{name}: `{section}` has no `{key}`" + (f"; did you mean `{near}`?" if near else ""))


def _parsed(name: str, data: bytes) -> Any:
    if name.endswith(".toml"):
        import tomllib  # late: it takes as long as all of this, and most folders have no such file

        return tomllib.loads(data.decode())
    if name.endswith(".json"):
        return msgspec.json.decode(data)
    from weft.formats.yaml_source import read_yaml

    document, found = read_yaml(data, name, 64, 10_000)
    if document is None:
        raise ValueError(found[0].message if found else "it is empty")
    return document.value


def _env_file(data: bytes, problems: list[str]) -> dict[str, str]:
    """`NAME=value` lines; quotes around a value are taken off, `#` begins a comment."""
    values = {}
    for number, raw in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if not found:
            problems.append(f".env: line {number} is no `NAME=value`")
            continue
        value = found[2].strip()
        if value[:1] in ("'", '"') and value[-1:] == value[:1] and len(value) > 1:
            value = value[1:-1]
        else:
            value = value.partition(" #")[0].strip()
        values[found[1]] = value
    return values


def _typed(text: str) -> Any:
    """A number or a boolean where the text is one."""
    text = text.strip()
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    return int(text) if text.isascii() and text.isdigit() else text
