"""`weft approve` and `weft reject`: the answer to a gate, handed to the engine of the run, or written down and gone on with."""

import getpass
import os
from typing import Any

import click
import msgspec

from weft import app
from weft.cli.common import find_run, leave, look_at, settings_options, show_problems, take_settings
from weft.cli.run import VIEW, View, parse_pairs, wait_option
from weft.core import facts as f
from weft.core.apply import apply
from weft.core.gates import question_at
from weft.core.state import State
from weft.journal.reader import read_facts
from weft.model.errors import UsageError
from weft.model.inputs import read_values
from weft.model.workflow import Step, Value, Workflow
from weft.settings import Settings

_reason = click.option("--reason", default="", help="Why; it is kept with the run.")
_record = click.option("--record", is_flag=True, help="Without an engine: only write the answer down; `weft resume` goes on.")


@click.command("approve")
@click.argument("name", metavar="[RUN]", default="@")
@click.argument("gate", metavar="[GATE]", required=False)
@_reason
@click.option("--form", "form_pairs", multiple=True, metavar="KEY=VALUE", help="A field of the form.")
@click.option("--with", "with_pairs", multiple=True, metavar="KEY=VALUE", help="Change a value of the step's `with`.")
@click.option("--skip", "steps", multiple=True, metavar="STEP", help="Between layers: leave this step out.")
@click.option("--inject", "files", multiple=True, metavar="FILE", help="Between layers: add the steps of this file to the run.")
@click.option("--replan", is_flag=True, help="Between layers: leave out all that has not begun.")
@_record
@wait_option
@settings_options(*VIEW, "format", "size_max", "time_scale")
def approve(name: str, gate: str | None, record: bool, wait: bool, **options: Any) -> None:
    """Say yes at a GATE of a RUN. Without a GATE, at the only one that is open; `@` is the last run.

    The engine of the run goes on with it; if it has none, this command does. The first answer to a gate counts.
    """
    door = Door(name, gate, take_settings(options))
    said = f.GateAnswered(
        at=0.0,
        gate=door.gate,
        answer="approve",
        by=getpass.getuser(),
        reason=options["reason"],
        form=door.form(parse_pairs(options["form_pairs"])),
        inputs=door.inputs(parse_pairs(options["with_pairs"])),
        skip=list(options["steps"]),
        replan=options["replan"],
        inject=door.steps_of(options["files"]),
        id=os.urandom(8).hex(),
    )
    door.hand_in(said, record=record, wait=wait)


@click.command("reject")
@click.argument("name", metavar="[RUN]", default="@")
@click.argument("gate", metavar="[GATE]", required=False)
@_reason
@_record
@wait_option
@settings_options(*VIEW)
def reject(name: str, gate: str | None, reason: str, record: bool, wait: bool, **options: Any) -> None:
    """Say no at a GATE of a RUN: the step is cancelled, what needs it is skipped; between layers, the run is cancelled.

    Without a GATE, at the only one that is open; `@` is the last run.
    """
    door = Door(name, gate, take_settings(options))
    said = f.GateAnswered(at=0.0, gate=door.gate, answer="reject", by=getpass.getuser(), reason=reason, id=os.urandom(8).hex())
    door.hand_in(said, record=record, wait=wait)


class Door:
    """A gate of a run, as the run's journal tells of it. Raises UsageError if it is not clear which one is meant."""

    def __init__(self, name: str, gate: str | None, settings: Settings) -> None:
        self._settings = settings
        self._folder = find_run(name, settings)
        self.run = self._folder.name
        self.state = State()
        for fact in read_facts(self._folder):
            apply(self.state, fact)
        self.gate = gate or self._only_one()

    def _only_one(self) -> str:
        asking = list(self.state.asking)
        if len(asking) == 1:
            return asking[0]
        if not asking:
            raise UsageError(f"nothing is asked in run `{self.run}` now; `weft why {self.run}` tells what it waits for")
        listed = "\n".join(f"  weft approve {self.run} {gate}    {self.state.gates[gate].message}" for gate in asking)
        raise UsageError(f"run `{self.run}` has {len(asking)} open gates; say which:\n{listed}")

    def form(self, given: dict[str, str]) -> dict[str, Value]:
        """The fields of the form, read by their types. Raises UsageError; whether they fit, the engine says."""
        question = question_at(self.state, self.gate)
        try:
            return read_values(question.form, given) if question else dict(given)
        except ValueError as error:
            raise UsageError(f"the form of `{self.gate}`: {error}") from None

    def inputs(self, given: dict[str, str]) -> dict[str, Value]:
        """New values for the step's `with`: text where text was written, else JSON if it can be, else text."""
        i = self.state.graph.index.get(self.gate)
        written = {} if i is None else self.state.steps[i].inputs
        return {name: _like(written.get(name), text) for name, text in given.items()}

    def steps_of(self, files: tuple[str, ...]) -> list[Step]:
        """The steps of files, which may refer to those of the run. Problems are shown, and end the command with exit code 2."""
        from weft.formats.flows import Beside

        beside = Beside(steps=frozenset(self.state.graph.ids), workflow=self.state.workflow)
        found: list[Step] = []
        for file in files:
            loaded, data = look_at(file, self._settings, beside)
            show_problems(loaded, data, self._settings)
            if loaded.workflow is None:
                leave(2)
            bare = Workflow(name=loaded.workflow.name, steps=loaded.workflow.steps, secrets=loaded.workflow.secrets)
            if msgspec.structs.replace(loaded.workflow, description="") != bare:
                raise UsageError(f"{file}: what is injected into a run is `steps`, and nothing that speaks of a run")
            found += loaded.workflow.steps
        return found

    def hand_in(self, said: f.GateAnswered, *, record: bool, wait: bool) -> None:
        """Give the answer, go on with the run if nobody else does, and leave."""
        view = View(self._settings, quiet=record, stays=wait)
        result = app.answer(
            self._folder, view.options(app.limits_of(self._settings["max_parallel"], app.cpu_count())), said, go_on=not record
        )
        done = {"approve": "approved", "reject": "rejected"}[said.answer]
        if result is None:
            click.echo(f"`{self.gate}` of run {self.run} is {done}; its engine goes on", err=True)
            leave(0)
        if record:
            click.echo(f"`{self.gate}` of run {self.run} is {done}; `weft resume {self.run}` goes on", err=True)
            leave(0)
        leave(view.finish(result))


def _like(written: Value, text: str) -> Value:
    if isinstance(written, str) and "${{" not in written:
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
