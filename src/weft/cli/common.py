"""What the verbs share: settings as flags, reading a workflow with its problems, errors, colour."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click
import msgspec

from weft.engine.folder import RunFolder
from weft.formats import Budgets, Loaded, Outside
from weft.model import shape
from weft.model.errors import Bug, UsageError, WeftError
from weft.model.options import SETTINGS, Setting
from weft.model.problem import Place, Problem
from weft.model.workflow import Plugin, definitions
from weft.settings import Settings

if TYPE_CHECKING:
    from weft.formats.flows import Beside
    from weft.formats.hwfe_config import Config

Command = TypeVar("Command", bound=Callable[..., Any])


def report(error: Exception) -> int:
    """Tell the user of an error that ends the command; returns the exit code."""
    if isinstance(error, BrokenPipeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains when it flushes
        return 0
    if isinstance(error, WeftError) and not isinstance(error, Bug):
        lines = str(error).splitlines() or [type(error).__name__]
        for line in lines:
            click.echo(f"{click.style('error', fg='red', bold=True)}: {line}", err=True, color=use_color("auto", sys.stderr))
        return error.exit_code
    if isinstance(error, OSError):
        click.echo(f"error: the machine: {error}", err=True)
        return 6
    import traceback

    traceback.print_exception(error)
    click.echo("\nThis is a bug of weft, not a fault of yours. Please report it with the lines above.", err=True)
    return 5


def use_color(choice: str, stream: Any) -> bool:
    """Whether to colour what goes to `stream`."""
    if choice != "auto":
        return choice == "always"
    return bool(stream.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def settings_options(*names: str) -> Callable[[Command], Command]:
    """Flags for these settings, from the one table. They arrive as the dict `flags`, with what was given only."""

    def decorate(command: Command) -> Command:
        for setting in reversed(SETTINGS):
            if setting.name in names:
                command = _option(setting)(command)
        return command

    return decorate


def _option(setting: Setting) -> Callable[[Command], Command]:
    declarations = [setting.flag, *([setting.short] if setting.short else []), f"setting_{setting.name}"]
    kind: dict[str, Any] = {"metavar": setting.name.upper()}
    if isinstance(setting.shape, shape.Boolean):
        kind = {"is_flag": True, "flag_value": "true", "default": None}
    elif isinstance(setting.shape, shape.Choice):
        kind = {"metavar": "|".join(setting.shape.values)}
    return click.option(*declarations, help=setting.help, type=str, **kind)


def take_settings(options: dict[str, Any]) -> Settings:
    """The settings, from the flags among a command's options (which are taken out) and all weaker sources."""
    flags = {key: options.pop(key) for key in list(options) if key.startswith("setting_")}
    given = {key.removeprefix("setting_"): value for key, value in flags.items() if value is not None}
    return Settings(given)


def load(file: str, settings: Settings, given: Mapping[str, str] | None = None) -> tuple[Loaded, bytes]:
    """Read a workflow file. Problems go to stderr; errors among them end the command with exit code 2. `given`: what the command
    line gives to a run of it."""
    loaded, data = look_at(file, settings, given=given)
    show_problems(loaded, data, settings)
    if loaded.workflow is None:
        sys.exit(2)
    settings.with_workflow(loaded.workflow)
    return loaded, data


def budgets_of(settings: Settings) -> Budgets:
    """What a file may cost."""
    size_max = settings["size_max"]
    return Budgets(yaml_bytes_max=size_max, json_bytes_max=size_max) if size_max else Budgets()


def look_at(
    file: str, settings: Settings, beside: "Beside | None" = None, given: Mapping[str, str] | None = None
) -> tuple[Loaded, bytes]:
    """Read a workflow file and collect its problems. `beside`: a run that its steps shall join. `given`: as for `load`."""
    from weft.formats import load as load_format
    from weft.host.source import read_source

    budgets = budgets_of(settings)
    data, problems = read_source(Path(file), size_max=budgets.json_bytes_max)
    if data is None:
        return Loaded(None, tuple(problems), "", lambda step: Place(file)), b""
    form = settings["format"] or None
    read = partial(read_source, size_max=budgets.json_bytes_max)
    scale, outside = settings["time_scale"], _outside(settings, given)
    loaded = load_format(data, file, format=form, budgets=budgets, time_scale=scale, read=read, outside=outside, beside=beside)
    if missing := list(_missing_plugins(loaded)):
        loaded = msgspec.structs.replace(loaded, workflow=None, problems=(*loaded.problems, *missing))
    return loaded, data


def _missing_plugins(loaded: Loaded) -> Iterator[Problem]:
    """Plugins that are not installed, as their metadata tells: only a worker that runs one imports it."""
    for path, step in definitions(loaded.workflow) if loaded.workflow else ():
        if not isinstance(step.action, Plugin):
            continue
        from weft.host.plugins import missing

        if wrong := missing(step.action.package, step.action.name):
            yield Problem(code="W320", message=f"step `{path}`: {wrong[0]}", place=loaded.places(path), hint=wrong[1])


def refuse_unasked(loaded: Loaded, data: bytes, settings: Settings) -> None:
    """Leave with exit code 2 if a step asks a model that cannot be asked in this environment."""
    from weft.here import unasked

    assert loaded.workflow is not None
    found = [
        Problem(code="W325", message=f"step `{path}`: {wrong.message}", place=loaded.places(path), hint=wrong.hint)
        for path, wrong in unasked(loaded.workflow)
    ]
    if found:
        show_problems(msgspec.structs.replace(loaded, problems=tuple(found)), data, settings)
        leave(2)


def _outside(settings: Settings, given: Mapping[str, str] | None) -> Outside:
    """What files of other systems need beside themselves."""
    from weft.host.programs import evaluate_lua
    from weft.host.source import read_folder

    def evaluate(text: str) -> dict[str, Any]:
        from weft.app import import_engine

        return evaluate_lua(text, (lambda: None) if given is None else import_engine)

    unit = settings["timeout_unit"]
    return Outside(
        evaluate_lua=evaluate, files=_files_here, folder=read_folder, variables=os.environ, timeout_unit=unit, given=given
    )


def _files_here(names: Sequence[str]) -> dict[str, bytes]:
    return {name: Path(name).read_bytes() for name in names if Path(name).is_file()}


def hwfe_config() -> "Config":
    """What the configuration of the Hybrid Workflow Engine says in this folder and environment."""
    from weft.formats.hwfe_config import READ, read_config

    return read_config(_files_here(READ), os.environ)


def show_problems(loaded: Loaded, data: bytes, settings: Settings) -> None:
    if loaded.problems:
        from weft.views.problems import render

        color = use_color(settings["color"], sys.stderr)
        sources = {problem.place.file: data for problem in loaded.problems} | dict(loaded.contents)
        click.echo(render(loaded.problems, sources, color=color), err=True)


def state_folder(settings: Settings) -> Path:
    return Path(settings["state"]).absolute()


def log_of(folder: Path, step: str, attempt: int) -> str:
    """Path of what an attempt wrote, from here: its stderr, else its stdout; empty if it wrote nothing."""
    paths = RunFolder(folder)
    written = filter(os.path.exists, (paths.stderr(step, attempt), paths.stdout(step, attempt)))
    return next(map(os.path.relpath, written), "")


def find_run(name: str, settings: Settings) -> Path:
    """The folder of a run, from its id, a unique prefix of it, or `@`. Raises UsageError."""
    from weft.journal.index import find_run as find

    return find(state_folder(settings), name)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all; one that is there keeps its mode. Raises OSError, or UsageError for a folder."""
    path = path.resolve()  # a link goes on pointing to what it pointed to
    if path.is_dir():
        raise UsageError(f"`{path}` is a folder; name a file in it")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        if path.exists():
            part.chmod(path.stat().st_mode & 0o7777)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def leave(code: int) -> NoReturn:
    sys.stdout.flush()
    sys.exit(code)
