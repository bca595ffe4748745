"""`weft run`, `weft resume`, `weft cancel`: the verbs that let an engine work."""

import getpass
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final, NoReturn

import click
import msgspec

from weft import app
from weft.cli.common import (
    Command,
    find_run,
    leave,
    load,
    log_of,
    refuse_unasked,
    settings_options,
    state_folder,
    take_settings,
    use_color,
)
from weft.core.facts import Fact, InterruptAnswered, Limits
from weft.core.measure import Measure
from weft.core.selection import Selection
from weft.model.errors import UsageError
from weft.model.inputs import bind_inputs
from weft.model.workflow import Workflow, fail_fast
from weft.ports import Observer
from weft.settings import Settings
from weft.views.alarm import Later, on_loop

EXIT_CODES = {"succeeded": 0, "succeeded_with_errors": 0, "failed": 1, "cancelled": 4, "waiting": 3}
SUSPENDED = 130
"""A run that was suspended from another terminal leaves as if it had had the signal itself."""

FORESIGHT_STEPS_MAX = 20_000
"""The possible speedup of a larger graph takes longer to simulate than a summary should make wait (about 25 µs a step)."""

wait_option = click.option("--wait", is_flag=True, help="Stay while the run waits for people, rather than leave.")

VIEW = ("output", "color", "state", "grace", "max_parallel")


def selection_options(*names: str) -> Callable[[Command], Command]:
    """Flags that say which steps are run, from the table below. They arrive as tuples."""

    def decorate(command: Command) -> Command:
        for name in reversed(names):
            command = click.option(f"--{name}", f"select_{name}", multiple=True, metavar="STEP", help=SELECTING[name])(command)
        return command

    return decorate


SELECTING: Final = {
    "from": "Run STEP and all that comes after it; take all other outputs from the earlier run.",
    "downstream": "The same without STEP itself.",
    "only": "Run STEP alone; take all other outputs from the earlier run.",
    "until": "Run only STEP and what it needs.",
    "skip": "Do not run STEP, as if its `if` were false.",
}


def take_selection(options: dict[str, Any]) -> Selection:
    """The selection among a command's options, which are taken out."""
    return Selection(**{_FIELDS.get(name, name): options.pop(f"select_{name}", ()) for name in SELECTING})


_FIELDS: Final = {"from": "from_"}


@click.command("run", add_help_option=False)
@click.argument("file", required=False)
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--input", "-i", "more_pairs", multiple=True, metavar="KEY=VALUE", help="An input of the workflow.")
@wait_option
@click.option("--dry-run", "-n", is_flag=True, help="Show the plan and run nothing.")
@settings_options(*VIEW, "schedule", "fail_fast", "durability", "format", "size_max", "time_scale", "timeout_unit")
@selection_options("from", "downstream", "only", "until", "skip")
@click.option("--reuse-from", metavar="RUN", help="Take the outputs of what has not changed from this run.")
@click.option("--yes", "-y", is_flag=True, help="Let the servers of the file be started, as `weft allow` does.")
@click.option("--no-reuse", is_flag=True, help="Run steps with `reuse: true` all the same.")
@click.option("--verbose", "-v", count=True, help="Show more.")
@click.option("--quiet", "-q", is_flag=True, help="Show nothing but errors.")
@click.option("--help", "-h", "wants_help", is_flag=True, help="Show this, and the inputs of FILE.")
@click.pass_context
def run(ctx: click.Context, /, file: str | None, pairs: tuple[str, ...], more_pairs: tuple[str, ...], **options: Any) -> None:
    """Run a workflow FILE. Its outputs go to stdout as JSON, everything else to stderr.

    FILE may be a folder: then all workflow files in it are run, one after the other, whatever becomes of each.
    """
    wants_help = options.pop("wants_help")
    if wants_help or file is None:
        click.echo(ctx.get_help())
    if file is None:
        leave(0 if wants_help else 2)
    settings = take_settings(options)
    given = parse_pairs((*pairs, *more_pairs))
    if Path(file).is_dir():
        from weft.cli.folder import run_folder

        leave(0 if wants_help else run_folder(ctx, file, settings))
    loaded, data = load(file, settings, None if wants_help else given)
    assert loaded.workflow is not None
    if wants_help:
        click.echo(_inputs_help(loaded.workflow))
        leave(0)
    if not options["dry_run"]:
        refuse_unasked(loaded, data, settings)
    workflow = with_settings(loaded.workflow, settings)
    selection, source = take_selection(options), str(Path(file).absolute())
    before = _before(options["reuse_from"], selection, source, settings)
    if options["dry_run"]:
        _dry_run(workflow, given, selection, before, settings, reuse=not options["no_reuse"])
    inputs = bind_inputs(workflow, given)
    if workflow.servers:
        from weft.cli.allow import allow_servers

        allow_servers(workflow, yes=options["yes"])
    view = View(settings, verbose=options["verbose"], quiet=options["quiet"], stays=options["wait"])
    result = app.start(
        workflow,
        inputs,
        state_folder(settings),
        view.options(_limits(settings)),
        source=source,
        digest=sha256(data).hexdigest(),
        parts={str(Path(name).absolute()): digest for name, digest in loaded.digests.items()},
        project=Path.cwd(),
        time_scale=settings["time_scale"],
        reuse=not options["no_reuse"],
        selection=selection,
        before=before,
    )
    leave(view.finish(result))


def _before(name: str | None, selection: Selection, source: str, settings: Settings) -> Path | None:
    """The folder of the run that outputs are taken from: the one that was named, else the last one of the file."""
    if name:
        return find_run(name, settings)
    if not selection.names_what_runs:
        return None
    from weft.earlier import last_of

    return last_of(source, state_folder(settings))


def _dry_run(
    workflow: Workflow, given: Mapping[str, str], selection: Selection, before: Path | None, settings: Settings, *, reuse: bool
) -> NoReturn:
    """Show the plan with what is reused and, where less is run, what; then leave."""
    from weft.cli.check import show_plan
    from weft.rehearsal import foretell

    limits = app.limits_here(workflow, _limits(settings))
    known = not any(declared.required and name not in given for name, declared in workflow.inputs.items())
    project, state, told = Path.cwd(), state_folder(settings), None
    if known:
        inputs = bind_inputs(workflow, given)
        told = foretell(workflow, inputs, state, limits, project=project, reuse=reuse, selection=selection, before=before)
    show_plan(workflow, settings, told)
    if selection != Selection() or before:
        from weft.core.selection import choose
        from weft.earlier import look_back
        from weft.views.selection import render

        inputs = bind_inputs(workflow, given)
        chosen = choose(workflow, inputs, selection, look_back(before, str(Path.cwd())) if before else None)
        click.echo("\n" + render(chosen, workflow, run=before.name if before else ""))
    leave(0)


def _inputs_help(workflow: Workflow) -> str:
    lines = [f"\nInputs of {workflow.name}:" if workflow.inputs else f"\n{workflow.name} has no inputs."]
    for name, declared in workflow.inputs.items():
        default = "required" if declared.required else f"default: {msgspec.json.encode(declared.default).decode()}"
        lines.append(f"  {name}  {declared.type}, {default}  {declared.description}".rstrip())
    return "\n".join(lines)


def parse_pairs(pairs: tuple[str, ...]) -> dict[str, str]:
    """`key=value` texts as a mapping; the last one wins. A text that begins with `{` is a JSON object with several of them.
    Raises UsageError."""
    given: dict[str, str] = {}
    for pair in pairs:
        if pair.startswith("{"):
            given |= _json_pairs(pair)
            continue
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"`{pair}` is not an input: write `name=value`")
        given[key] = value
    return given


def _json_pairs(text: str) -> dict[str, str]:
    try:
        values = msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise UsageError(f"`{text[:60]}` is no JSON object: {error}; or write `name=value`") from None
    return {name: _as_given(value) for name, value in values.items()}


def _as_given(value: Any) -> str:
    """The text that is read as this value again: a text stands for itself, unless it looks like JSON."""
    if isinstance(value, str):
        try:
            msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeEncodeError):
            return value
    return msgspec.json.encode(value).decode()


def with_settings(workflow: Workflow, settings: Settings) -> Workflow:
    """The workflow as this run shall have it."""
    changed = msgspec.structs.replace(
        workflow,
        max_parallel=settings["max_parallel"],
        schedule=settings["schedule"],
        durability=settings["durability"],
    )
    return fail_fast(changed) if settings["fail_fast"] else changed


def _limits(settings: Settings) -> Limits:
    return app.limits_of(settings["max_parallel"], app.cpu_count())


@click.command("resume")
@click.argument("name", metavar="RUN", default="@")
@click.option("--again", multiple=True, metavar="STEP", help="Let this interrupted step run again.")
@click.option(
    "--done", multiple=True, metavar="STEP", help="Take the work of this interrupted step for done; its output is null."
)
@click.option("--give-up", multiple=True, metavar="STEP", help="Let this interrupted step have failed.")
@click.option("--reason", default="", help="Why you say so; it is kept with the run.")
@settings_options(*VIEW)
@wait_option
@click.option("--verbose", "-v", count=True, help="Show more.")
@click.option("--quiet", "-q", is_flag=True, help="Show nothing but errors.")
def resume(name: str, wait: bool, verbose: int, quiet: bool, reason: str, **options: Any) -> None:
    """Go on with a RUN that was suspended or whose engine died. `@` is the last run.

    No step that was reported complete runs again; one that was running does, with the same idempotency key, unless it says
    `rerun: ask` or `rerun: never`: then it is interrupted until somebody says what becomes of it.
    """
    answers = [
        InterruptAnswered(at=0.0, step=step, answer=answer, by=getpass.getuser(), reason=reason)
        for answer in ("again", "done", "give_up")
        for step in options.pop(answer)
    ]
    named = [answer.step for answer in answers]
    if twice := [step for n, step in enumerate(named) if step in named[:n]]:
        raise UsageError(f"`{twice[0]}` is named twice: its first answer is the only one")
    settings = take_settings(options)
    folder = find_run(name, settings)
    view = View(settings, verbose=verbose, quiet=quiet, stays=wait)
    given = settings.origins["max_parallel"].origin != "default"
    limits = _limits(settings) if given else None
    result = app.resume(folder, view.options(_limits(settings)), limits=limits, answers=answers)
    leave(view.finish(result))


@click.command("retry")
@click.argument("name", metavar="RUN", default="@")
@selection_options("from", "downstream", "only")
@settings_options(*VIEW)
@wait_option
@click.option("--verbose", "-v", count=True, help="Show more.")
@click.option("--quiet", "-q", is_flag=True, help="Show nothing but errors.")
def retry(name: str, wait: bool, verbose: int, quiet: bool, **options: Any) -> None:
    """Go on with a RUN that has failed or was cancelled: what did not succeed is tried again. `@` is the last run.

    Steps that succeeded do not run again; each of the others has all its attempts once more. With `--from`, `--downstream` or
    `--only` it is a new run, whatever the old one came to, which takes all other outputs from that one.
    """
    selection = take_selection(options)
    settings = take_settings(options)
    folder = find_run(name, settings)
    view = View(settings, verbose=verbose, quiet=quiet, stays=wait)
    given = settings.origins["max_parallel"].origin != "default"
    limits = _limits(settings) if given else None
    if selection.names_what_runs:
        leave(view.finish(app.again(folder, view.options(_limits(settings)), selection, limits)))
    leave(view.finish(app.retry(folder, view.options(_limits(settings)), by=getpass.getuser(), limits=limits)))


@click.command("cancel")
@click.argument("name", metavar="RUN", default="@")
@click.option("--reason", default="", help="Why; it is kept with the run.")
@settings_options(*VIEW)
def cancel(name: str, reason: str, **options: Any) -> None:
    """End a RUN for good. A living engine is told; without one, the run is closed here."""
    settings = take_settings(options)
    folder = find_run(name, settings)
    view = View(settings, quiet=True)
    result = app.cancel(folder, view.options(_limits(settings)), by=getpass.getuser(), reason=reason)
    if result is None:
        where = "its engine is ending it"
    elif result.state.ended:
        where = "it had no engine and is closed"
    else:  # steps of `finally` wait for people
        where = f"its `finally` is {result.status}; `weft why {folder.name}` tells for what, and a second `weft cancel` ends it"
    click.echo(f"run {folder.name} is cancelled: {where}", err=True)


class View:
    """What a person, or a program, is shown of a run, and how the command leaves.

    `clock` and `later` are those of an engine's loop, unless facts come from elsewhere.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        verbose: int = 0,
        quiet: bool = False,
        stays: bool = False,
        clock: Callable[[], float] = time.monotonic,
        later: Later = on_loop,
    ) -> None:
        self._settings = settings
        self._verbose = verbose
        self._stays = stays
        output = "quiet" if quiet else settings["output"]
        if output == "auto":
            output = "live" if sys.stderr.isatty() and os.environ.get("TERM") not in (None, "dumb") else "lines"
        self.output: str = output
        self.color = use_color(settings["color"], sys.stderr)
        self._observer = self._make_observer(sys.stderr, clock, later)

    def _make_observer(self, stream: IO[str], clock: Callable[[], float], later: Later) -> Observer | None:
        if self.output == "live":
            from weft.views.live import Live

            return Live(stream, color=self.color, clock=clock, later=later)
        if self.output == "lines":
            from weft.views.lines import Lines

            return Lines(stream, color=self.color, verbose=self._verbose, clock=clock, later=later)
        if self.output == "json":
            from weft.views.jsonl import JsonLines

            return JsonLines(sys.stdout)
        return None

    def options(self, limits: Limits) -> app.Options:
        """How the engine is to be driven for this view."""
        return app.Options(
            limits=limits,
            grace_s=self._settings["grace"],
            observers=(self._observer,) if self._observer else (),
            say=self._say,
            stays=self._stays,
        )

    def see(self, facts: Sequence[Fact]) -> None:
        """Show facts that no engine hands to the observer."""
        if self._observer:
            self._observer.see(facts)

    def close(self) -> None:
        """The engine does this where there is one."""
        if self._observer:
            self._observer.close()

    def _say(self, text: str) -> None:
        """Through the view where there is one: a live view must know of every line."""
        say = getattr(self._observer, "say", None)
        if say:
            say(text)
        elif self.output != "quiet":
            click.echo(text, err=True)

    def finish(self, result: app.Result) -> int:
        """Print summary and outputs; returns the exit code."""
        from weft.views.outlet import Outlet

        if self.output in ("live", "lines"):
            summary = Outlet(sys.stderr)  # unlike click, it does not mind that nobody reads any more
            summary.write(self._summary(result) + "\n")
            summary.close()
        elif result.status not in ("succeeded", "succeeded_with_errors") and self.output == "quiet":
            click.echo(f"run {result.run}: {result.status}; `weft show {result.run}` tells more", err=True)
        self._print_outputs(result)
        if result.status == "suspended":
            return 128 + result.signal if result.signal else SUSPENDED
        return EXIT_CODES[result.status]

    def _print_outputs(self, result: app.Result) -> None:
        evaluated = result.state.outputs
        outputs = evaluated.outputs if evaluated and not evaluated.error else None
        if self.output == "json":
            from weft.views.jsonl import JsonLines

            assert isinstance(self._observer, JsonLines)
            self._observer.outputs(outputs)
            return
        if result.state.workflow.report:
            from weft.cli.reply import reply_of
            from weft.views.reply import as_text

            outputs = reply_of(result.run, result.facts(), result.store)
            if self.output in ("live", "lines") and (told := as_text(result.state, outputs, verbose=self._verbose > 0)):
                click.echo(told, err=True)
        if outputs is not None:
            with suppress(BrokenPipeError):  # who does not read them does not change how the run ended
                click.echo(msgspec.json.format(msgspec.json.encode(outputs), indent=2))

    def _summary(self, result: app.Result) -> str:
        from weft.sim.advice import advise
        from weft.views.outlet import screen_size
        from weft.views.summary import render

        measure = Measure()
        for fact in result.facts():
            measure.see(fact)
        numbers = measure.numbers()
        possible_s = None
        if result.status == "succeeded" and len(numbers.steps) <= FORESIGHT_STEPS_MAX:
            from weft.sim.foresight import foreseen_makespan_s, keys_of, pool_keys_of

            durations = {step.step: step.run_s for step in numbers.steps}
            state = result.state
            keys, pool_keys = keys_of(state), pool_keys_of(state)
            possible_s = foreseen_makespan_s(state.workflow, durations, state.limits, keys, pool_keys)
        width, height = screen_size(sys.stderr)
        return render(
            numbers,
            measure.state,
            run=result.run,
            possible_makespan_s=possible_s,
            advice=advise(measure.state, numbers, result.facts, app.cpu_count()),
            color=self.color,
            width=width,
            height=height,
            logs=partial(log_of, result.folder),
        )
