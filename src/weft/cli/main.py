"""The door `weft`: a table of verbs, each imported only when it is used, because start-up time is a feature."""

import gc
import os
import sys
from importlib import import_module
from keyword import iskeyword
from typing import Final

import click

from weft import __version__

VERBS: Final = {
    "run": ("run", "Run a workflow file."),
    "allow": ("allow", "Let the programs that are a file's servers of tools be started."),
    "check": ("check", "Look for problems in a workflow file; nothing is run."),
    "race": ("race", "Run a workflow and tell which steps race for a file."),
    "plan": ("check", "Show layers, critical path and what can run in parallel; nothing is run."),
    "runs": ("look", "List runs."),
    "show": ("look", "Show a run, or one step of it."),
    "logs": ("logs", "Print what a step wrote."),
    "watch": ("watch", "Follow a run from another terminal."),
    "why": ("look", "Say why a step waits, ran, failed or was skipped."),
    "report": ("report", "Write a run as one page of HTML."),
    "resume": ("run", "Go on with a run that was suspended or whose engine died."),
    "retry": ("run", "Try again what did not succeed in a run that has ended."),
    "cancel": ("run", "End a run for good."),
    "approve": ("answer", "Say yes at a gate where a run waits for somebody."),
    "reject": ("answer", "Say no at a gate."),
    "serve": ("serve", "Let programs on this machine list and run workflow files, over HTTP."),
    "init": ("init", "Write a commented workflow to begin with."),
    "fmt": ("fmt", "Write workflow files in their normal spelling."),
    "import": ("import_", "Write a workflow file of another system in the native format."),
    "schema": ("check", "Print the JSON Schema of the workflow format."),
    "explain": ("check", "Explain an error code."),
    "bench": ("bench", "Measure how good the order of dispatch and replays are."),
    "doctor": ("doctor", "Show the machine, the settings with their origins, and what is missing."),
    "completion": ("completion", "Print a script that completes in bash, zsh or fish."),
}
"""verb → (module of weft.cli, one line of help). The order is that of the help."""

CONTEXT: Final = {"help_option_names": ["-h", "--help"], "terminal_width": 78}
"""A width that is asked of the terminal would import shutil and all that comes with it, for every `--help`."""

GARBAGE_OBJECTS_MIN: Final = 50_000
"""How many objects are made before the collector looks for garbage among them, some MiB. Nearly all that a start makes, modules
above all, stays; at the default of 700 a tenth of the start goes into looking at it again and again."""


class Verbs(click.Group):
    """A group whose commands live in modules that are imported by name from the table above, never from input."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = import_module(f"weft.cli.{VERBS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name + "_" * iskeyword(cmd_name))
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from weft.model.suggest import did_you_mean

            near = did_you_mean(args[0], VERBS)
            hint = f"; did you mean `{near}`?" if near else ""
            raise click.UsageError(f"`{args[0]}` is not a verb of weft{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(verb, text) for verb, (_, text) in VERBS.items()])


@click.group(cls=Verbs, context_settings=CONTEXT)
@click.version_option(__version__, prog_name="weft", message="%(prog)s %(version)s")
@click.option("-C", "directory", metavar="DIR", help="Work in this folder instead of the current one.")
def weft(directory: str | None) -> None:
    """Run a graph of steps with as much safe parallelism as its dependencies, the machine and your limits allow.

    \b
    weft run FILE [key=value ...]    run a workflow; `weft run FILE --help` lists its inputs
    weft plan FILE                   see what would run in parallel
    """
    if directory is not None:
        try:
            os.chdir(directory)
        except OSError as error:
            raise click.UsageError(f"-C {directory}: {error.strerror}") from None


def main() -> None:
    """The console script: every error leaves by its exit code and one message; a traceback is shown for bugs of ours only."""
    gc.set_threshold(GARBAGE_OBJECTS_MIN)
    _open_standard_streams()
    try:
        # not `weft.main()`: click would turn a reader who left into exit code 1
        with weft.make_context("weft", sys.argv[1:]) as context:
            weft.invoke(context)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except Exception as error:  # the last door: what is not a WeftError is our bug, and says so
        from weft.cli.common import report

        sys.exit(report(error))
    finally:
        gc.freeze()  # or the interpreter, as it leaves, looks through everything for garbage: 20 ms


def _open_standard_streams() -> None:
    """Whoever starts us with a standard stream closed must not get a journal written where it would print."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115 - for the life of the process; takes the lowest number


if __name__ == "__main__":
    main()
