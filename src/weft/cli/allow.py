"""`weft allow`: saying yes to the programs that the servers of a workflow file are. `weft run` asks for the same."""

import os
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from weft.cli.common import leave, load, settings_options, take_settings
from weft.host.allowed import Allowed, book, missing, read, refusal
from weft.host.allowed import allow as write_down
from weft.model.errors import UsageError
from weft.model.workflow import Workflow


@click.command("allow")
@click.argument("file", required=False)
@click.option("--yes", "-y", is_flag=True, help="Ask nothing.")
@click.option("--list", "lists", is_flag=True, help="Print what is allowed, and the file that it is kept in.")
@settings_options("format", "size_max")
def allow(file: str | None, yes: bool, lists: bool, **options: Any) -> None:
    """Let the servers of tools that a workflow FILE declares be started on this machine, from now on.

    Allowed is a command line word for word, with the names of the variables that it is given. The list is a file of yours:
    what you remove from it is not allowed any more.
    """
    if lists:
        for each in sorted(read(book(os.environ)), key=lambda each: each.command):
            click.echo(_shown(each))
        click.echo(str(book(os.environ)), err=True)
        leave(0)
    if file is None:
        raise UsageError("`weft allow` wants a FILE, or `--list`")
    loaded, _ = load(file, take_settings(options))
    assert loaded.workflow is not None
    if not allow_servers(loaded.workflow, yes=yes):
        click.echo(f"{file}: nothing needs to be allowed", err=True)


def allow_servers(workflow: Workflow, *, yes: bool) -> int:
    """Let the servers of a workflow be started: without a question, or after one. How many were allowed now. Raises UsageError
    if the answer is no, or there is no terminal to ask on."""
    wanted = missing(workflow.servers, Path.cwd(), os.environ)
    if not wanted:
        return 0
    if not yes:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(refusal(wanted))
        for name, each in wanted.items():
            click.echo(f"the server `{name}` is this program:\n    {_shown(each)}", err=True)
        if not click.confirm("May it be started, now and later?" if len(wanted) == 1 else "May they?", err=True):
            raise UsageError("it was not allowed; nothing was started")
    write_down(book(os.environ), wanted.values())
    for name, each in wanted.items():
        click.echo(f"allowed: {name}: {_shown(each)}", err=True)
    return len(wanted)


def _shown(each: Allowed) -> str:
    variables = f"    (given {', '.join(each.variables)})" if each.variables else ""
    words = [word if word.isprintable() else repr(word) for word in each.command]
    return f"{shlex.join(words)}{variables}{f'    (in {each.folder})' if each.folder else ''}"
