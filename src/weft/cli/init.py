"""`weft init`: a commented workflow to begin with, which runs as it stands."""

import shlex
from importlib.resources import files
from pathlib import Path
from typing import Final

import click

from weft.model.errors import UsageError

TEMPLATES: Final = {
    "start": "two steps side by side and one that needs both",
    "pipeline": "data between steps, retries, a pool, a step that may fail",
    "fan_out": "the same work for each item of a list, and a step that gathers the results",
    "build": "independent checks, then a package",
}
_LISTED: Final = "; ".join(f"`{name}`: {what}" for name, what in TEMPLATES.items())


@click.command("init", epilog=f"Templates: {_LISTED}.")
@click.argument("file", default="workflow.weft.yaml")
@click.option(
    "--template", "-t", type=click.Choice(list(TEMPLATES)), default="start", show_default=True, help="What to begin with."
)
def init(file: str, template: str) -> None:
    """Write a commented workflow to FILE (else `workflow.weft.yaml`). It runs as it stands; a file that is there is kept."""
    text = files(__package__).joinpath("templates", f"{template}.weft.yaml").read_text(encoding="utf-8")
    name = shlex.quote(file) if file.isprintable() else "FILE"
    try:
        with Path(file).open("x", encoding="utf-8") as out:
            out.write(text.replace("{file}", name))
    except FileExistsError:
        raise UsageError(f"`{file}` is there already, and is kept; give another name: `weft init FILE`") from None
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(f"`{file}` cannot be written: {error.strerror}; make its folder first") from None
    click.echo(f"wrote {file}; try: weft run {name}", err=True)
