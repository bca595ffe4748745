"""`weft completion`: scripts that complete in a shell, and the answers that they ask for.

- A script hands over the line up to the cursor (`--line`) and gets one line for each candidate: `kind<TAB>value<TAB>help`. Kinds:
  `word`, `part` (more follows at once), `file` and `folder` (the shell lists them itself).
- What a parameter takes, its name says (HINTS): a verb that calls its run `name` and its step `step` needs no word here.
- Whatever goes wrong, nothing is offered, and nothing is written into the line that somebody is typing.
"""

import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from importlib.resources import files
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from click.core import ParameterSource
from click.shell_completion import CompletionItem, ShellComplete, split_arg_string

from weft.cli.main import VERBS, Verbs, weft
from weft.model import shape
from weft.model.options import SETTINGS

OFFERED_MAX: Final = 200
"""More candidates than anybody looks through."""
FILE_BYTES_MAX: Final = 1 << 20
"""A larger workflow takes longer to read than a key press may take; its inputs are not offered."""

SHELLS: Final = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.option("--line", hidden=True, help="Answer a script: the command line up to the cursor.")
def completion(shell: str, line: str | None) -> None:
    """Print a script that completes verbs, flags, runs, steps and inputs in a SHELL: bash, zsh or fish.

    \b
    bash   in ~/.bashrc:                              source <(weft completion bash)
    zsh    in ~/.zshrc, after compinit:               source <(weft completion zsh)
    fish   in ~/.config/fish/completions/weft.fish:   weft completion fish | source
    """
    if line is None:
        click.echo(files(__package__).joinpath("shells", shell).read_text(encoding="utf-8"), nl=False)
        return
    try:
        words, incomplete = split(line)
        for item in islice(candidates(words, incomplete), OFFERED_MAX):
            click.echo(answer(shell, item, incomplete))
    except BrokenPipeError:
        raise
    except Exception:  # an error message would end up in the middle of what is being typed
        return


def split(line: str) -> tuple[list[str], str]:
    """The finished words behind `weft`, and the one that is being typed."""
    words = split_arg_string(line)
    incomplete = "" if not words or (line[-1:].isspace() and not line.endswith("\\ ")) else words.pop()
    while words and "=" in words[0]:  # LANG=C weft …
        words.pop(0)
    return words[1:], incomplete


def answer(shell: str, item: "CompletionItem[str]", incomplete: str) -> str:
    from weft.views.text import visible

    value, kind = item.value, {"plain": "word", "file": "file", "dir": "folder"}[item.type]
    if kind == "word" and value.endswith("="):
        kind = "part"
    flag = incomplete[: incomplete.find("=") + 1]
    if not value.startswith(flag) and kind == "word":
        value = flag + value  # click gives the value of `--flag=value` alone
    if shell == "bash":  # it takes `=` and `:` for ends of words, and puts what it is given into the line as it is
        typed = max(incomplete.rfind("="), incomplete.rfind(":")) + 1
        value = value[typed:] if kind == "part" else shlex.quote(value[typed:])
    return f"{kind}\t{value}\t{visible(item.help or '')}"


def candidates(words: list[str], incomplete: str) -> "Iterator[CompletionItem[str]]":
    """What may stand in place of the unfinished word."""
    _hint(weft.params)
    group = Hinted(name="weft", params=weft.params, callback=weft.callback)
    for item in ShellComplete(group, {}, "weft", "").get_completions(words, incomplete):
        if item.value.isprintable():  # anything else would be keys that somebody presses
            yield item


class Hinted(Verbs):
    """The verbs, with parameters that know what they take."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = super().get_command(ctx, cmd_name)
        _hint(command.params if command else ())
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem[str]]":
        """From the table: no verb is imported to say what it is called."""
        verbs = [CompletionItem(verb, help=text) for verb, (_, text) in VERBS.items() if verb.startswith(incomplete)]
        return verbs + click.Command.shell_complete(self, ctx, incomplete)


def _hint(params: Iterable[click.Parameter]) -> None:
    for param in params:
        name = param.name or ""
        hint = HINTS.get(name) or (_setting if name.startswith("setting_") else None)
        if hint:
            param.type = Hint(hint)


class Hint(click.types.StringParamType):
    def __init__(self, hint: "Callable[[click.Context, click.Parameter, str], Iterable[CompletionItem[str]]]") -> None:
        self._hint = hint

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem[str]]":
        folder = ctx.find_root().params.get("directory")
        if folder:
            os.chdir(folder)
        return [item for item in self._hint(ctx, param, incomplete) if item.value.startswith(incomplete) or item.type != "plain"]


# ---- what parameters take ----


def _run(ctx: click.Context, param: click.Parameter, incomplete: str) -> "Iterator[CompletionItem[str]]":
    from weft.journal.index import Index

    index = Index(_state(ctx))
    index.refresh()
    if index.runs():
        yield CompletionItem("@", help="the last run")
    for row in index.runs():
        yield CompletionItem(row.run, help=f"{row.workflow}, {row.status.replace('_', ' ')}")


def _step(ctx: click.Context, param: click.Parameter, incomplete: str) -> "Iterator[CompletionItem[str]]":
    from weft.core.facts import RunCreated
    from weft.journal.index import find_run
    from weft.journal.reader import read_facts

    taken = ctx.params.get(param.name or "") if param.nargs == -1 else ()
    folder = find_run(_state(ctx), _first(ctx, "name") or "@")
    if "[" in incomplete or "/" in incomplete:  # only then is it worth reading the whole journal
        from weft.core.apply import apply
        from weft.core.state import State

        state = State()
        for fact in read_facts(folder):
            apply(state, fact)
        parts = (id_ for id_ in state.graph.ids if id_.startswith(incomplete) and id_ not in (taken or ()))
        yield from map(CompletionItem, islice(parts, OFFERED_MAX))
        return
    first = next(read_facts(folder), None)
    for step in first.workflow.steps if isinstance(first, RunCreated) else ():
        if step.id not in (taken or ()):
            yield CompletionItem(step.id, help=step.title)


def _selected(ctx: click.Context, param: click.Parameter, incomplete: str) -> "Iterator[CompletionItem[str]]":
    """A step of the file that is to be run, or of the run that is to be tried again."""
    if "file" not in {other.name for other in ctx.command.params}:
        yield from _step(ctx, param, incomplete)
        return
    from weft.formats import load
    from weft.host.source import read_source

    path = Path(_first(ctx, "file"))
    workflow = load(path.read_bytes(), str(path), read=read_source).workflow if path.stat().st_size <= FILE_BYTES_MAX else None
    yield from (CompletionItem(step.id, help=step.title) for step in (workflow.steps if workflow else ()))


def _gate(ctx: click.Context, param: click.Parameter, incomplete: str) -> "Iterator[CompletionItem[str]]":
    from weft.core.apply import apply
    from weft.core.interrupts import asked_about
    from weft.core.state import State
    from weft.journal.index import find_run
    from weft.journal.reader import read_facts

    state = State()
    for fact in read_facts(find_run(_state(ctx), _first(ctx, "name") or "@")):
        apply(state, fact)
    for gate in state.asking:
        yield CompletionItem(gate, help=state.gates[gate].message)
    for i in asked_about(state):
        yield CompletionItem(state.graph.ids[i], help="interrupted")


def _input(ctx: click.Context, param: click.Parameter, incomplete: str) -> "Iterator[CompletionItem[str]]":
    from weft.formats import load
    from weft.host.source import read_source

    path = Path(_first(ctx, "file"))
    if path.stat().st_size > FILE_BYTES_MAX:
        return
    workflow = load(path.read_bytes(), str(path), read=read_source).workflow
    name, equals, _ = incomplete.partition("=")
    given = {pair.partition("=")[0] for pair in (*(ctx.params.get("pairs") or ()), *(ctx.params.get("more_pairs") or ()))}
    for key, declared in workflow.inputs.items() if workflow else ():
        if not equals and key not in given:
            yield CompletionItem(f"{key}=", help=declared.description)
        elif equals and key == name:
            values = declared.choices or ((True, False) if declared.type == "boolean" else ())
            for value in values:
                text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
                yield CompletionItem(f"{key}={text}")


def _code(ctx: click.Context, param: click.Parameter, incomplete: str) -> "Iterator[CompletionItem[str]]":
    from weft.model.codes import CODES

    return (CompletionItem(code, help=entry.title) for code, entry in CODES.items())


def _setting(ctx: click.Context, param: click.Parameter, incomplete: str) -> "Iterator[CompletionItem[str]]":
    """The words that a setting may be."""
    setting = next(setting for setting in SETTINGS if f"setting_{setting.name}" == param.name)
    options = setting.shape.options if isinstance(setting.shape, shape.Either) else (setting.shape,)
    for option in options:
        for word in option.values if isinstance(option, shape.Choice) else ():
            yield CompletionItem(word)


def _file(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem[str]]":
    return [CompletionItem(incomplete, type="file")]


def _folder(ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem[str]]":
    return [CompletionItem(incomplete, type="dir")]


def _first(ctx: click.Context, name: str) -> str:
    """The first argument, of this name. Where an option is still without its value, click gives up before it reads arguments."""
    if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
        return str(ctx.params[name])
    return ctx.args[0] if ctx.args else ""


def _state(ctx: click.Context) -> Path:
    from weft.settings import Settings

    given = ctx.params.get("setting_state")
    return Path(Settings({"state": given} if given else {})["state"]).absolute()


HINTS: Final[dict[str, Callable[[click.Context, click.Parameter, str], Any]]] = {
    "name": _run,
    "step": _step,
    "steps": _step,
    **{f"select_{name}": _selected for name in ("from", "downstream", "only", "until", "skip")},
    "reuse_from": _run,
    "gate": _gate,
    "pairs": _input,
    "more_pairs": _input,
    "code": _code,
    "file": _file,
    "files": _file,
    "out": _file,
    "directory": _folder,
    "setting_state": _folder,
}
"""Parameter name → what may be given."""
