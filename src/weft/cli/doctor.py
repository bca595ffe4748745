"""`weft doctor`: what the machine offers, where each setting comes from, and what is missing."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from weft import __version__, app
from weft.cli.common import settings_options, state_folder, take_settings
from weft.model.errors import UsageError
from weft.model.options import SETTINGS

DISK_FREE_MIN_BYTES: Final = 1 << 30
"""Below this a run with sizeable outputs may fill the disk."""
FILES_MIN: Final = 1024
"""Open files that a wide run wants; with fewer, weft runs fewer processes at once."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report. `level`: ok, note (works, with less), or missing (something will not work)."""

    level: str
    subject: str
    text: str


@click.command("doctor")
@settings_options("state", "max_parallel")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--config", metavar="FILE", help="Check a configuration file of the Hybrid Workflow Engine instead.")
def doctor(as_json: bool, config: str | None, **options: Any) -> None:
    """Show the machine, the settings with their origins, and what is missing. Exit code 6 if something will not work."""
    if config is not None:
        sys.exit(_check_config(config))
    settings = take_settings(options)
    findings = list(_machine(state_folder(settings)))
    rows = [
        {"name": setting.name, "value": settings[setting.name], "origin": settings.origins[setting.name].origin}
        for setting in SETTINGS
    ]
    if as_json:
        report = {"version": __version__, "findings": findings, "settings": rows}
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2))
    else:
        click.echo(f"weft {__version__}, Python {platform.python_version()}, {platform.system()} {platform.release()}\n")
        for finding in findings:
            click.echo(f"{finding.level:8} {finding.subject:15} {finding.text}")
        click.echo("\nSettings:")
        for row in rows:
            click.echo(f"  {row['name']:14} {row['value']!s:12} {row['origin']}")
    sys.exit(6 if any(finding.level == "missing" for finding in findings) else 0)


def _check_config(file: str) -> int:
    """Show what a configuration file and the environment say about how workflows run, and what is wrong with it."""
    from weft.formats.evolver_config import FILES as MODE_FILES
    from weft.formats.evolver_config import recognises_config
    from weft.formats.hwfe_config import FILES, UNUSED, read_config

    name = Path(file).name
    kind = next((known for known in (*FILES, ".env") if name == known or name.endswith(f".{known.partition('.')[2]}")), None)
    if kind is None:
        raise UsageError(f"`{file}` is no configuration file: its name ends in .toml, .json, .yaml, .yml or .env")
    try:
        data = Path(file).read_bytes()
    except OSError as error:
        raise UsageError(f"`{file}` cannot be read: {error.strerror}") from None
    if kind in MODE_FILES and recognises_config(data):
        return _check_mode(kind, data)
    files = {kind: data} if kind == ".env" else {name: data}
    if kind != ".env" and Path(".env").is_file():
        files[".env"] = Path(".env").read_bytes()
    found = read_config(files, os.environ, None if kind == ".env" else name)
    for setting in found.settings.values():
        said = ", ".join(setting.value) if isinstance(setting.value, list) else str(setting.value)
        unused = f"; not used: {UNUSED[setting.name]}" if setting.origin != "default" and setting.name in UNUSED else ""
        click.echo(f"  {setting.name:34} {said:12} {setting.origin}{unused}")
    for problem in found.problems:
        click.echo(f"error: {problem}", err=True)
    return 2 if found.problems else 0


def _check_mode(name: str, data: bytes) -> int:
    """The same for the section `chat.workflow_mode` of a configuration of Code Evolver."""
    from weft.formats.evolver_config import KEYS, read_mode

    mode = read_mode({name: data})
    for key in KEYS:
        value = getattr(mode, key)
        click.echo(f"  {key:24} {', '.join(value) if isinstance(value, tuple) else value!s:12} {name}")
    for problem in mode.problems:
        click.echo(f"error: {problem}", err=True)
    return 2 if mode.problems else 0


def _machine(state: Path) -> Iterator[Finding]:
    yield from _pools()
    yield _bounds()
    bash = shutil.which("bash")
    if bash:
        yield Finding(level="ok", subject="shell", text=f"{bash}: `run` steps use `bash -eu -o pipefail`")
    else:
        text = "bash is missing: `run` steps use `sh -eu`, in which a failure early in a pipe goes unseen; install bash"
        yield Finding(level="note", subject="shell", text=text)
    yield _pidfd()
    yield _files()
    yield _sqlite()
    yield _state(state)


def _pools() -> Iterator[Finding]:
    """What the pools `cpu`, `mem` and `gpu` have here if they are `auto`."""
    from weft.host import machine
    from weft.model.units import format_size, format_units

    cpus, thousandths = app.cpu_count(), machine.cpus_thousandths()
    text = f"{format_units(thousandths, 1000)}: `max_parallel: auto` computes with {cpus} attempts at once"
    yield Finding(level="ok", subject="processors", text=text)
    yield Finding(
        level="ok", subject="memory", text=f"{format_size(machine.memory_bytes())}, limits of containers and groups included"
    )
    gpus = machine.gpus(os.environ)
    text = f"{len(gpus)}: {', '.join(gpus)}" if gpus else "none found (no driver, or CUDA_VISIBLE_DEVICES is empty)"
    yield Finding(level="ok", subject="GPUs", text=text)


def _bounds() -> Finding:
    """Whether steps are held to what they ask of `mem` and `cpu`, and how."""
    from weft.host.cgroups import Groups

    groups = Groups()
    by = {"mem": groups.bounds_memory, "cpu": groups.bounds_cpu}
    if all(by.values()):
        return Finding(level="ok", subject="bounds", text="`mem` and `cpu` bound the whole tree of a step, by control groups")
    parts = []
    if not by["mem"]:
        parts.append("`mem` bounds each process alone (RLIMIT_DATA), not the tree of a step")
    if not by["cpu"]:
        parts.append("`cpu` is counted and does not bound")
    text = f"{'; '.join(parts)}: no control group can be made here (root, or a delegated group, is needed)"
    return Finding(level="note", subject="bounds", text=text)


def _pidfd() -> Finding:
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (OSError, AttributeError) as error:
        return Finding(
            level="missing", subject="processes", text=f"pidfd_open does not work ({error}): Linux 5.3 or later is needed"
        )
    return Finding(level="ok", subject="processes", text="pidfd works: the end of a process is never missed")


def _files() -> Finding:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < FILES_MIN:
        text = f"at most {hard} open files: weft runs fewer processes at once; raise it with `ulimit -n`"
        return Finding(level="note", subject="open files", text=text)
    return Finding(level="ok", subject="open files", text=f"up to {hard}")


def _sqlite() -> Finding:
    import sqlite3

    return Finding(level="ok", subject="sqlite", text=f"{sqlite3.sqlite_version}, with a write-ahead log and one writer")


def _state(state: Path) -> Finding:
    folder = next(path for path in (state, *state.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if not os.access(folder, os.W_OK):
        return Finding(level="missing", subject="state folder", text=f"{state} cannot be written; give another by --state")
    level = "ok" if free >= DISK_FREE_MIN_BYTES else "note"
    return Finding(level=level, subject="state folder", text=f"{state}, {free / (1 << 30):.1f} GiB free")
