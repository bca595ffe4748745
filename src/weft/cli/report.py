"""`weft report`: a run as one page of HTML that can be kept, sent and printed."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from weft import __version__
from weft.cli.common import find_run, leave, replace_file, settings_options, take_settings
from weft.cli.common import report as tell
from weft.journal.lock import holder
from weft.journal.reader import read_facts
from weft.model.errors import MachineError
from weft.views.report import Chronicle, render


@click.command("report")
@click.argument("name", metavar="RUN", default="@")
@click.option("--out", "-o", metavar="FILE", help="Where to write it (`-`: to stdout); else `weft-RUN.html` in this folder.")
@settings_options("state")
def report(name: str, out: str | None, **options: Any) -> None:
    """Write a report of a RUN, as one HTML file that needs nothing else. `@` is the last run.

    It shows the outcome, the graph by layers, every attempt over time, the critical path, what was in use, what held steps, and a
    table of all steps. Values of secrets are masked as long as they are in the environment; an output that holds one is left out.
    """
    folder = find_run(name, take_settings(options))
    chronicle, damage = Chronicle(), None
    try:
        for fact in read_facts(folder):
            chronicle.see(fact)
    except MachineError as error:
        if chronicle.measure.state.created is None:
            raise
        damage = error
    state = chronicle.measure.state
    alive = bool(state.ended or state.left) or holder(folder) is not None
    secrets = [os.environ[name] for name in state.workflow.secrets if name in os.environ]
    made = f"written by weft {__version__} at {time.strftime('%Y-%m-%d %H:%M:%S')}"
    page = render(chronicle, run=folder.name, secrets=secrets, alive=alive, made=made)
    if out == "-":
        click.echo(page, nl=False)
    else:
        path = Path(out or f"weft-{folder.name}.html")
        replace_file(path, page.encode())
        click.echo(path)
    if damage:
        sys.stdout.flush()
        leave(tell(damage))
