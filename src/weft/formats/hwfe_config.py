"""The configuration of the Hybrid Workflow Engine: HWFE_* variables, over `.env`, over config.toml, .json, .yaml, over defaults.

All of it is known and checked. What concerns how a workflow runs and which files there are is used; the rest says so (UNUSED).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from weft.formats.hwfe import MAX_PARALLEL, Execution
from weft.model.problem import Place, Problem
from weft.model.suggest import did_you_mean

FILES: Final = ("config.toml", "config.json", "config.yaml", "config.yml")
"""The first one that is there counts."""
READ: Final = (*FILES, ".env")


class _Known(NamedTuple):
    variable: str
    default: Any


SETTINGS: Final[Mapping[str, _Known]] = {
    "execution.mode": _Known("HWFE_EXECUTION_MODE", "sequential"),
    "execution.max_parallel_steps": _Known("HWFE_MAX_PARALLEL_STEPS", MAX_PARALLEL),
    "execution.enable_step_parallelism": _Known("HWFE_ENABLE_PARALLELISM", False),
    "workflows.directory": _Known("HWFE_WORKFLOW_DIR", "workflows"),
    "workflows.extensions": _Known("HWFE_WORKFLOW_EXTENSIONS", ["lua"]),
    "workflows.max_workflows": _Known("HWFE_WORKFLOW_MAX", 100),
    "server.host": _Known("HWFE_SERVER_HOST", "127.0.0.1"),
    "server.port": _Known("HWFE_SERVER_PORT", 3030),
    "server.static_dir": _Known("HWFE_STATIC_DIR", "pkg"),
    "runners.python.interpreter": _Known("HWFE_PYTHON_INTERPRETER", "python3"),
    "runners.python.enabled": _Known("HWFE_PYTHON_ENABLED", True),
    "runners.javascript.interpreter": _Known("HWFE_JS_INTERPRETER", "node"),
    "runners.javascript.enabled": _Known("HWFE_JS_ENABLED", True),
    "runners.shell.interpreter": _Known("HWFE_SHELL_INTERPRETER", "sh"),
    "runners.shell.enabled": _Known("HWFE_SHELL_ENABLED", True),
    "runners.wasm.modules_dir": _Known("HWFE_WASM_MODULES_DIR", "wasm_modules/target/wasm32-unknown-unknown/release"),
    "runners.wasm.wasi_enabled": _Known("HWFE_WASM_WASI_ENABLED", False),
    "runners.wasm.enabled": _Known("HWFE_WASM_ENABLED", True),
    "logging.level": _Known("HWFE_LOG_LEVEL", "info"),
    "logging.colored": _Known("HWFE_LOG_COLORED", True),
}
"""As documented, with the variable that wins over a file. The type of the default is that of the setting."""

UNUSED: Final[Mapping[str, str]] = {
    "execution.enable_step_parallelism": "the engine itself only shows it",
    "server.host": "`weft serve --host` says where to listen",
    "server.static_dir": "there are no pages to serve",
    "runners.javascript.interpreter": "JavaScript runs confined, in no program of its own",
    "runners.wasm.modules_dir": "the path of a module begins in the current folder",
    "runners.wasm.wasi_enabled": "a module may always use WASI",
    "logging.level": "`-v` and `-q` say how much is shown",
    "logging.colored": "`--color` says so",
}
"""What nothing here depends on, and why."""

PROGRAMS: Final = {"python": "runners.python.interpreter", "shell": "runners.shell.interpreter"}
USUAL: Final = ("python3", "node", "sh", "bash")
"""The documented defaults, which change nothing where they are written out: the Python of weft, no Node, and bash in any case."""
PORT_MAX: Final = 65535
NO_SECTION: Final = "there is no section"
_KINDS: Final = {str: "a text", int: "a number from 0", bool: "true or false", list: "a list of texts"}
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)")


class Setting(msgspec.Struct, frozen=True):
    """One value, and where it comes from."""

    name: str
    value: Any
    origin: str = "default"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """`problems`: what is wrong, a sentence each, with where it was said; such a value does not count."""

    settings: Mapping[str, Setting]
    problems: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Any:
        return self.settings[name].value

    @property
    def execution(self) -> Execution:
        """What the steps of a workflow are run by."""
        languages = (name.split(".")[1] for name in SETTINGS if name.endswith(".enabled"))
        off = {name: self.settings[f"runners.{name}.enabled"] for name in languages if not self[f"runners.{name}.enabled"]}
        return Execution(
            parallel=self["execution.mode"] == "parallel",
            max_parallel_steps=self["execution.max_parallel_steps"],
            disabled={language: setting.origin for language, setting in off.items()},
            programs={language: self[name] for language, name in PROGRAMS.items() if self[name] not in USUAL},
        )

    def warnings(self, name: str) -> Iterator[Problem]:
        """What whoever runs the file of this name must know. A configuration file may be that of another program, whose sections
        are not told."""
        told = [problem for problem in self.problems if NO_SECTION not in problem or "did you mean" in problem]
        node = self.settings["runners.javascript.interpreter"]
        if node.value not in USUAL:
            told.append(f"{node.origin}: the interpreter `{node.value}` is not used: {UNUSED[node.name]}")
        for problem in told:
            hint = "`weft doctor --config FILE` shows what counts"
            yield Problem(code="W610", severity="warning", message=problem, place=Place(name), hint=hint)


def read_config(files: Mapping[str, bytes], variables: Mapping[str, str], file: str | None = None) -> Config:
    """`files` holds the content of those of FILES and `.env` that are there, or of `file`, `variables` the environment."""
    problems: list[str] = []
    found = {name: Setting(name, known.default) for name, known in SETTINGS.items()}
    file = file or next((name for name in FILES if name in files), None)
    if file:
        for name, value in _flat(_parsed(file, files[file], problems), "", file, problems):
            _take(found, Setting(name, value, file), problems)
    sources = [(".env", _env_file(files[".env"], problems))] if ".env" in files else []
    names = {known.variable: name for name, known in SETTINGS.items()}
    for origin, given in (*sources, ("environment", variables)):
        for variable in filter(re.compile("HWFE_").match, given):
            if variable not in names:
                near = did_you_mean(variable, names)
                problems.append(f"{variable} ({origin}): nothing is called so" + (f"; did you mean `{near}`?" if near else ""))
                continue
            value = _typed(given[variable], type(SETTINGS[names[variable]].default))
            _take(found, Setting(names[variable], value, f"{variable} ({origin})"), problems)
    return Config(settings=found, problems=tuple(problems))


def _take(found: dict[str, Setting], new: Setting, problems: list[str]) -> None:
    kind, key = type(SETTINGS[new.name].default), new.name.rpartition(".")[2]
    if new.name == "execution.mode" and new.value not in ("sequential", "parallel"):
        problems.append(
            f"{new.origin}: there is no mode `{new.value}`; it is `sequential` or `parallel`, and counts as sequential"
        )
        new = Setting(new.name, "sequential", new.origin)
    elif not _fits(new):
        more = {"max_parallel_steps": " (0: as many as CPUs)", "port": f" (up to {PORT_MAX})"}.get(key, "")
        problems.append(f"{new.origin}: `{key}` is `{new.value}`, where {_KINDS[kind]} must be{more}")
        return
    found[new.name] = new


def _fits(setting: Setting) -> bool:
    kind, value = type(SETTINGS[setting.name].default), setting.value
    if type(value) is not kind:
        return False
    if kind is list:
        return all(isinstance(item, str) for item in value)
    return kind is not int or 0 <= value <= (PORT_MAX if setting.name == "server.port" else value)


def _flat(content: Any, above: str, file: str, problems: list[str]) -> Iterator[tuple[str, Any]]:
    """The known settings of a file by their whole names."""
    known = {name.removeprefix(above).split(".")[0]: None for name in SETTINGS if name.startswith(above)}
    for key, value in content.items():
        name = f"{above}{key}"
        if name in SETTINGS:
            yield name, value
        elif key not in known:
            near = did_you_mean(str(key), known)
            what = f"`{above.rstrip('.')}` has no" if above else NO_SECTION
            problems.append(f"{file}: {what} `{key}`" + (f"; did you mean `{near}`?" if near else ""))
        elif isinstance(value, dict):
            yield from _flat(value, f"{name}.", file, problems)
        else:
            problems.append(f"{file}: the section `{name}` is no mapping")


def _parsed(name: str, data: bytes, problems: list[str]) -> Mapping[str, Any]:
    try:
        content = _decoded(name, data)
    except (ValueError, RecursionError) as error:
        problems.append(f"{name}: it cannot be read: {str(error).splitlines()[0]}")
        return {}
    if not isinstance(content, dict):
        problems.append(f"{name}: it holds no sections")
        return {}
    return content


def _decoded(name: str, data: bytes) -> Any:
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


def _typed(text: str, kind: type) -> Any:
    """A value of this type where the text is one."""
    text = text.strip()
    if kind is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if kind is list:
        return [part.strip() for part in text.split(",")]
    return int(text) if kind is int and text.isascii() and text.isdigit() else text
