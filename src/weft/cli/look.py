"""`weft runs`, `weft show`, `weft why`: looking at runs, living or not, from their journals."""

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from weft.cli.common import find_run, log_of, report, settings_options, state_folder, take_settings, use_color
from weft.core.facts import Fact
from weft.core.measure import Measure
from weft.journal.index import Index
from weft.journal.lock import holder
from weft.journal.reader import read_facts
from weft.model.errors import MachineError, UsageError
from weft.model.suggest import did_you_mean
from weft.settings import Settings

if TYPE_CHECKING:
    from weft.sim.advice import Advice

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def print_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def _width() -> int:
    from weft.views.outlet import screen_size

    return screen_size(sys.stdout)[0]


@click.command("runs")
@settings_options("state", "color")
@json_option
def runs(as_json: bool, **options: Any) -> None:
    """List the runs of this project, the newest first."""
    from weft.views import runs as view

    settings = take_settings(options)
    index = Index(state_folder(settings))
    index.refresh()
    if as_json:
        print_json(view.as_json(index.runs()))
    else:
        click.echo(view.render(index.runs(), color=use_color(settings["color"], sys.stdout), width=_width()))


class Look:
    """A run as its journal tells it. `damage` is what keeps the rest of the journal from being read, if anything does.

    `alive`: an engine holds the run, or none needs to. `now`: its time, in seconds since the epoch; it stands still without one.
    """

    def __init__(self, name: str, settings: Settings) -> None:
        self.folder: Path = find_run(name, settings)
        self.run = self.folder.name
        self.color = use_color(settings["color"], sys.stdout)
        self.damage: MachineError | None = None
        self._measure = Measure()
        try:
            for fact in read_facts(self.folder):
                self._measure.see(fact)
        except MachineError as error:
            if self._measure.state.created is None:
                raise
            self.damage = error
        self.state = self._measure.state
        self.numbers = self._measure.numbers()
        over = bool(self.state.ended or self.state.left)
        self.alive = over or holder(self.folder) is not None
        self.now = max(time.time(), self.state.now) if self.alive and not over else self.state.now

    def facts(self) -> Iterator[Fact]:
        """The facts once more, up to the damage if there is any."""
        with suppress(MachineError):
            yield from read_facts(self.folder)

    def advice(self) -> "list[Advice]":
        """What would have made the run shorter on this machine."""
        from weft.app import cpu_count
        from weft.sim.advice import advise

        return advise(self.state, self.numbers, self.facts, cpu_count())

    def step(self, step: str) -> str:
        """The step of that name. Raises UsageError with a suggestion."""
        if step not in self.state.graph.index:
            near = did_you_mean(step, self.state.graph.ids)
            raise UsageError(f"run `{self.run}` has no step `{step}`" + (f"; did you mean `{near}`?" if near else ""))
        return step

    def reply(self) -> dict[str, Any]:
        """How the run left in the words of another system, under `reply`, if its file is written for one."""
        if not self.state.workflow.report:
            return {}
        from weft.cli.reply import reply_of
        from weft.journal.store import Store

        return {"reply": reply_of(self.run, self.facts(), Store(self.folder, "process"))}

    def leave(self) -> None:
        if self.damage:
            sys.stdout.flush()
            sys.exit(report(self.damage))


@click.command("show")
@click.argument("name", metavar="RUN", default="@")
@click.option("--step", "-s", metavar="STEP", help="Only this step, in detail: why, attempts, output, logs.")
@settings_options("state", "color")
@json_option
def show(name: str, step: str | None, as_json: bool, **options: Any) -> None:
    """Show a RUN: its steps with status, times and errors. `@` is the last run."""
    from weft.views import show as view

    look = Look(name, take_settings(options))
    if step is None:
        if as_json:
            told = view.as_json(look.numbers, look.state, run=look.run, alive=look.alive, advice=look.advice())
            print_json({**told, **look.reply()})
        else:
            click.echo(view.render(look.numbers, look.state, run=look.run, color=look.color, width=_width(), alive=look.alive))
    else:
        attempts, reused = view.attempts_of(look.facts(), look.step(step)), view.reused_output(look.facts(), step)
        if as_json:
            print_json(view.step_as_json(look.state, step, attempts, run=look.run, reused=reused))
        else:
            click.echo(
                view.render_step(
                    look.state,
                    step,
                    attempts,
                    run=look.run,
                    color=look.color,
                    width=_width(),
                    logs=partial(log_of, look.folder),
                    reused=reused,
                )
            )
    look.leave()


@click.command("why")
@click.argument("name", metavar="[RUN]", default="@")
@click.argument("step", metavar="[STEP]", required=False)
@settings_options("state", "color")
@json_option
def why(name: str, step: str | None, as_json: bool, **options: Any) -> None:
    """Say why a STEP waits, ran, failed or was skipped; without a STEP, what the RUN waits for. `@` is the last run."""
    from weft.views import why as view

    look = Look(name, take_settings(options))
    if step is None and as_json:
        print_json(view.run_as_json(look.state, run=look.run, alive=look.alive))
    elif step is None:
        click.echo(view.render_run(look.state, run=look.run, now=look.now, color=look.color, width=_width(), alive=look.alive))
    elif as_json:
        print_json(view.step_as_json(look.state, look.step(step)))
    else:
        click.echo(view.render_step(look.state, look.step(step), now=look.now, color=look.color))
    look.leave()
