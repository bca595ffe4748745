"""`weft run FOLDER`: all workflow files of a folder, one after the other, each in a process of its own."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from weft.cli.common import look_at
from weft.model.errors import UsageError
from weft.settings import Settings

ENDINGS: Final = (".lua", ".yaml", ".yml", ".json")
WORST_FIRST: Final = (5, 6, 2, 1, 4, 3, 0)
"""Exit codes: our bug, the machine, an invalid file, failed, cancelled, waiting, succeeded."""
SIGNALLED: Final = (130, 143)
NO_WORKFLOW: Final = "W122"


def run_folder(ctx: click.Context, folder: str, settings: Settings) -> int:
    """Run them with the flags of this command; the exit code of the worst. What is no workflow is left out. One that fails does
    not stop the others; Ctrl-C suspends the one that runs, and no other starts. Raises UsageError."""
    paths = sorted(path for path in Path(folder).iterdir() if path.suffix.lower() in ENDINGS and path.is_file())
    files = [path for path in paths if not _is_something_else(path, settings)]
    if not files:
        raise UsageError(f"there is no workflow file in `{folder}`")
    flags, codes = list(_flags(ctx)), dict[Path, int]()
    quiet = ctx.params["quiet"] or settings["output"] == "quiet"
    for number, file in enumerate(files, 1):
        if not quiet:
            click.echo(f"{number} of {len(files)}: {file}", err=True)
        codes[file] = _run([sys.executable, "-m", "weft.cli.main", "run", *flags, "--", str(file)])
        if codes[file] in SIGNALLED:
            return codes[file]
    failed = ", ".join(f"{file} (exit code {code})" for file, code in codes.items() if code)
    if failed or not quiet:
        count = f"{list(codes.values()).count(0)} of {len(files)} workflows succeeded"
        click.echo(f"{count}, not {failed}" if failed else count, err=True)
    return next((code for code in WORST_FIRST if code in codes.values()), max(codes.values()))  # else it was killed


def _is_something_else(path: Path, settings: Settings) -> bool:
    return any(problem.code == NO_WORKFLOW for problem in look_at(str(path), settings)[0].problems)


def _flags(ctx: click.Context) -> Iterator[str]:
    """The flags of this command line, inputs included."""
    given: Mapping[str, Any] = ctx.params
    yield from (f"--input={pair}" for pair in given["pairs"])
    for option in ctx.command.params:
        value = given[option.name or ""]
        if not isinstance(option, click.Option) or value in (None, False, 0, ()):
            continue
        if option.is_flag or option.count:
            yield from [option.opts[0]] * (value if option.count else 1)
        else:
            yield from (f"{option.opts[0]}={each}" for each in (value if option.multiple else [value]))


def _run(command: list[str]) -> int:
    """A run in the foreground: a Ctrl-C is meant for it, and reaches it by itself."""
    child = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while True:
        try:
            code = child.wait()
        except KeyboardInterrupt:
            continue
        return code if code >= 0 else 128 - code
