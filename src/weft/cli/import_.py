"""`weft import`: a workflow file of another system in the native format."""

from pathlib import Path
from typing import Any

import click

from weft.cli.check import READ
from weft.cli.common import load, replace_file, settings_options, take_settings
from weft.model.errors import UsageError


@click.command("import")
@click.argument("file", metavar="FILE")
@click.option("--to", metavar="FILE", help="Write it there instead of printing it; a file that is there already stays.")
@settings_options(*READ)
def import_(file: str, to: str | None, **options: Any) -> None:
    """Print the workflow FILE of another system in the native format, with a word on where each key comes from.

    What is printed loads as the same workflow: this is looked at before anything is printed.
    """
    from weft.formats.emit import imported

    loaded, _ = load(file, take_settings(options))
    if loaded.format == "native":
        raise UsageError(f"`{file}` is in the native format already; `weft fmt` writes it in its normal spelling")
    text = imported(loaded, Path(file).name)
    if to is None:
        click.echo(text, nl=False)
    elif Path(to).exists():
        raise UsageError(f"`{to}` is there already: remove it, or name another file")
    else:
        replace_file(Path(to), text.encode())
        click.echo(f"{to}: written", err=True)
