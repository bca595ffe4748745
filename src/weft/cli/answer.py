"""`weft approve` and `weft reject`: what somebody says at a gate or of an interrupted step, handed to the engine of the run, or
written down and gone on with."""

import getpass
import os
from typing import Any, Final, Literal, NoReturn

import click
import msgspec

from weft import app
from weft.cli.common import find_run, leave, look_at, settings_options, show_problems, take_settings
from weft.cli.look import print_json
from weft.cli.run import VIEW, View, parse_pairs, wait_option
from weft.core import facts as f
from weft.core.apply import apply
from weft.core.gates import question_at
from weft.core.interrupts import asked_about
from weft.core.state import State
from weft.journal.lock import holder
from weft.journal.reader import read_facts
from weft.model.errors import UsageError
from weft.model.inputs import read_values
from weft.model.workflow import Step, Value, Workflow
from weft.settings import Settings

_reason = click.option("--reason", default="", help="Why; it is kept with the run.")
_record = click.option("--record", is_flag=True, help="Without an engine: only write the answer down; `weft resume` goes on.")
_list = click.option("--list", "lists", is_flag=True, help="Answer nothing: list what is asked now.")
_json = click.option("--json", "as_json", is_flag=True, help="With --list: print JSON.")

AT_GATES: Final = {"form_pairs": "--form", "with_pairs": "--with", "steps": "--skip", "files": "--inject", "replan": "--replan"}
"""Options that mean something at a gate only."""
LISTED_MAX: Final = 1_000


@click.command("approve")
@click.argument("name", metavar="[RUN]", default="@")
@click.argument("gate", metavar="[GATE]", required=False)
@_reason
@click.option("--form", "form_pairs", multiple=True, metavar="KEY=VALUE", help="A field of the form.")
@click.option("--with", "with_pairs", multiple=True, metavar="KEY=VALUE", help="Change a value of the step's `with`.")
@click.option("--skip", "steps", multiple=True, metavar="STEP", help="Leave this step out, which has not begun.")
@click.option("--inject", "files", multiple=True, metavar="FILE", help="Add the steps of this file to the run.")
@click.option("--replan", is_flag=True, help="Leave out all that has not begun, the step of the gate included.")
@click.option("--done", is_flag=True, help="Of an interrupted step: its work is done, it need not run again; its output is null.")
@_record
@_list
@_json
@wait_option
@settings_options(*VIEW, "format", "size_max", "time_scale")
def approve(name: str, gate: str | None, record: bool, wait: bool, lists: bool, as_json: bool, **options: Any) -> None:
    """Say yes at a GATE of a RUN; GATE can be an interrupted step, which may then run again. `@` is the last run.

    Without a GATE, where only one thing is asked. The engine of the run goes on with it; if it has none, this command does. The
    first answer counts.
    """
    door = Door(name, take_settings(options))
    if lists or as_json:
        door.show(lists=lists, as_json=as_json)
    door.choose(gate)
    at_gate = [flag for option, flag in AT_GATES.items() if options[option]]
    if door.interrupted:
        if at_gate:
            raise UsageError(f"`{door.gate}` is an interrupted step, and {at_gate[0]} is said at gates; there is --done")
        door.hand_in(door.told("done" if options["done"] else "again", options["reason"]), record=record, wait=wait)
    if options["done"]:
        raise UsageError(f"`{door.gate}` is no interrupted step, of which it could be said that its work is done")
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
@_list
@_json
@wait_option
@settings_options(*VIEW)
def reject(
    name: str, gate: str | None, reason: str, record: bool, wait: bool, lists: bool, as_json: bool, **options: Any
) -> None:
    """Say no at a GATE of a RUN: the step is cancelled, what needs it is skipped; between layers, the run is cancelled.

    If GATE is an interrupted step, it has failed. Without a GATE, where only one thing is asked; `@` is the last run.
    """
    door = Door(name, take_settings(options))
    if lists or as_json:
        door.show(lists=lists, as_json=as_json)
    door.choose(gate)
    said: f.Said = f.GateAnswered(
        at=0.0, gate=door.gate, answer="reject", by=getpass.getuser(), reason=reason, id=os.urandom(8).hex()
    )
    door.hand_in(door.told("give_up", reason) if door.interrupted else said, record=record, wait=wait)


class Door:
    """Where a run asks people something, as its journal tells. After `choose`, `gate` is what is answered: a gate, or a step, and
    then `interrupted` is true."""

    def __init__(self, name: str, settings: Settings) -> None:
        self._settings = settings
        self._folder = find_run(name, settings)
        self.run = self._folder.name
        self.state = State()
        living = holder(self._folder)
        for fact in read_facts(self._folder):
            apply(self.state, fact)
        self._asked = self.state.interrupted if living else asked_about(self.state)

    def choose(self, gate: str | None) -> None:
        """Raises UsageError if it is not clear which one is meant."""
        self.gate = gate or self._only_one()
        i = self.state.graph.index.get(self.gate, -1)
        self.interrupted = i in self._asked or (i in self.state.told and self.gate not in self.state.asking)

    def _only_one(self) -> str:
        from weft.views.asked import asked_lines

        asking = [*self.state.asking, *(self.state.graph.ids[i] for i in self._asked)]
        if len(asking) == 1:
            return asking[0]
        if not asking and self.state.ended:
            raise UsageError(f"run `{self.run}` has ended ({self.state.ended.status}); nothing is asked any more")
        if not asking:
            raise UsageError(f"nothing is asked in run `{self.run}` now; `weft why {self.run}` tells what it waits for")
        listed = "\n".join(asked_lines(self.state, self.run, LISTED_MAX, self._asked))
        raise UsageError(f"in run `{self.run}` {len(asking)} things are asked; say which:\n{listed}")

    def show(self, *, lists: bool, as_json: bool) -> NoReturn:
        """Print what is asked, and leave."""
        from weft.views.asked import asked_as_json, asked_lines
        from weft.views.summary import run_status

        if not lists:
            raise UsageError("`--json` prints what is asked, with `--list`; the outputs of the run go to stdout as JSON anyway")
        if as_json:
            print_json(
                {"run": self.run, "status": run_status(self.state), "asked": asked_as_json(self.state, self._asked)[:LISTED_MAX]}
            )
        else:
            lines = asked_lines(self.state, self.run, LISTED_MAX, self._asked)
            click.echo("\n".join(lines or [f"nothing is asked in run {self.run} now"]))
        leave(0)

    def told(self, answer: Literal["again", "done", "give_up"], reason: str) -> f.InterruptAnswered:
        """What becomes of the interrupted step."""
        by, own = getpass.getuser(), os.urandom(8).hex()
        return f.InterruptAnswered(at=0.0, step=self.gate, answer=answer, by=by, reason=reason, id=own)

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

    def hand_in(self, said: f.Said, *, record: bool, wait: bool) -> NoReturn:
        """Give the answer, go on with the run if nobody else does, and leave."""
        view = View(self._settings, quiet=record, stays=wait)
        result = app.answer(
            self._folder, view.options(app.limits_of(self._settings["max_parallel"], app.cpu_count())), said, go_on=not record
        )
        done = _SAID[said.answer]
        if result is None:
            click.echo(f"`{self.gate}` of run {self.run} {done}; its engine goes on", err=True)
            leave(0)
        if record:
            click.echo(f"`{self.gate}` of run {self.run} {done}; `weft resume {self.run}` goes on", err=True)
            leave(0)
        leave(view.finish(result))


_SAID: Final = {
    "approve": "is approved",
    "reject": "is rejected",
    "again": "may run again",
    "done": "counts as done",
    "give_up": "is given up",
}


def _like(written: Value, text: str) -> Value:
    if isinstance(written, str) and "${{" not in written:
        return text
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
