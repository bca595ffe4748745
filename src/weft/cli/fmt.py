"""`weft fmt`: workflow files in their normal spelling."""

import sys
from pathlib import Path
from typing import Any

import click

from weft.cli.common import budgets_of, leave, look_at, replace_file, settings_options, show_problems, take_settings
from weft.model.errors import UsageError


@click.command("fmt")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--write", "-w", is_flag=True, help="Replace each file that differs.")
@click.option("--check", is_flag=True, help="Print the names of the files that differ, with exit code 1, and change nothing.")
@settings_options("size_max", "color")
def fmt(files: tuple[str, ...], write: bool, check: bool, **options: Any) -> None:
    """Print workflow FILEs in their normal spelling; `-w` writes it back.

    Keys get their one name (`needs`) and the order of the reference, tabs become spaces, ends of lines are trimmed; JSON is
    indented. Comments stay with what they stand above. The workflow is the same before and after. A file with errors is left
    as it is.
    """
    from weft.formats.normal import normal
    from weft.host.source import read_source

    settings = take_settings(options)
    if write and check:
        raise UsageError("--check changes nothing, --write does: give one of them")
    code = 0
    for file in files:
        loaded, data = look_at(file, settings)
        show_problems(loaded, data, settings)
        if loaded.workflow is None:
            code = 2
            continue
        text = normal(data, file, budgets_of(settings), read_source)
        if not (write or check):
            sys.stdout.buffer.write(text)
        elif text != data and check:
            click.echo(file)
            code = code or 1
        elif text != data and file.endswith(".xz"):
            raise UsageError(f"`{file}` is compressed: decompress it, and write that")
        elif text != data:
            replace_file(Path(file), text)
            click.echo(f"{file}: rewritten", err=True)
    leave(code)
