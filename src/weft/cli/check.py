"""`weft check`, `weft plan`, `weft schema`, `weft explain`: looking at files; nothing is run."""

import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import click
import msgspec

from weft import app
from weft.cli.common import (
    find_run,
    leave,
    load,
    look_at,
    settings_options,
    show_problems,
    state_folder,
    take_settings,
    use_color,
)
from weft.core.facts import Limits
from weft.model.errors import UsageError
from weft.model.inputs import bind_inputs
from weft.model.problem import Problem
from weft.model.workflow import Workflow, definitions
from weft.settings import Settings

if TYPE_CHECKING:
    from weft.core.estimates import Sample
    from weft.views.foretold import Foretold

READ = ("format", "size_max", "time_scale", "timeout_unit", "color")


@click.command("check")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@settings_options(*READ, "max_parallel")
@click.option(
    "--simulate", metavar="N", type=click.IntRange(0), default=0, help="Also run it N times in simulated time, with faults."
)
@click.option("--json", "as_json", is_flag=True, help="Print the problems as JSON.")
def check(files: tuple[str, ...], simulate: int, as_json: bool, **options: Any) -> None:
    """Look for problems in workflow FILEs. Exit code 2 if one has an error; nothing is run.

    `--simulate N` also runs the workflow N times in simulated time, with failing, hanging and lost attempts, crashes and resumes,
    and checks after each step that no limit is exceeded, nothing runs twice, and the run comes to an end.
    """
    settings = take_settings(options)
    failed = False
    problems: list[Problem] = []
    for file in files:
        loaded, data = look_at(file, settings)
        failed = failed or loaded.workflow is None
        problems += loaded.problems
        if not as_json:
            show_problems(loaded, data, settings)
        if loaded.workflow is not None:
            if simulate:
                _simulate(loaded.workflow, settings, simulate)
            if not as_json:
                click.echo(f"{file}: {_count(len(loaded.workflow.steps), 'step')}, no errors")
                for said in app.too_small_for(loaded.workflow):
                    click.echo(f"on this machine {said}", err=True)
                for path, wrong in app.unasked(loaded.workflow):
                    click.echo(f"in this environment step `{path}` will fail: {wrong.message}; {wrong.hint}", err=True)
    if as_json:
        from weft.views.problems import as_json as problems_as_json

        click.echo(problems_as_json(problems))
    leave(2 if failed else 0)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _simulate(workflow: Workflow, settings: Settings, runs: int) -> None:
    """Raises Violation, which is our bug, if the core breaks a rule on this workflow."""
    from collections import Counter

    from weft.sim.torture import torture

    settings.with_workflow(workflow)
    limits = app.limits_here(workflow, _limits(settings))
    outcomes: Counter[str] = Counter()
    crashes = 0
    for seed in range(runs):
        played = torture(workflow, limits, seed)
        outcomes[played.outcome] += 1
        crashes += played.crashes
    told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    click.echo(
        f"simulated {_count(runs, 'run')} with faults and {_count(crashes, 'restart')}: {told}; no rule was broken", err=True
    )


@click.command("plan")
@click.argument("file", required=False)
@settings_options(*READ, "max_parallel", "schedule", "state")
@click.option("--run", "run_name", metavar="RUN", help="Instead of a FILE: a run that was, with the times that its steps took.")
@click.option(
    "--what-if",
    "questions",
    multiple=True,
    metavar="NAME=VALUE",
    help="Simulate it with another max_parallel, schedule or number of slots of a pool; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(file: str | None, run_name: str | None, questions: tuple[str, ...], as_json: bool, **options: Any) -> None:
    """Show what FILE would run: layers, critical path, the widest layer, what can run in parallel. Nothing is run.

    Times are those of earlier runs, else `expect`. `--what-if max_parallel=8 --what-if database=4` compares with a run under
    other limits, in simulated time.
    """
    if (file is None) == (run_name is None):
        raise UsageError("`weft plan` wants a FILE, or `--run RUN`")
    settings = take_settings(options)
    if run_name is not None:
        _plan_run(run_name, settings, questions, as_json=as_json)
        return
    assert file is not None
    loaded, _ = load(file, settings)
    assert loaded.workflow is not None
    workflow = msgspec.structs.replace(loaded.workflow, schedule=settings["schedule"], max_parallel=settings["max_parallel"])
    if questions:
        from weft.cli.what_if import show
        from weft.views.plan import expected

        past = expected(workflow, app.limits_here(workflow, _limits(settings)), _samples(workflow, settings))
        show(past, questions, of=workflow.name, settings=settings, as_json=as_json)
    else:
        show_plan(workflow, settings, _foretell(workflow, settings), as_json=as_json)


def _plan_run(name: str, settings: Settings, questions: tuple[str, ...], *, as_json: bool) -> None:
    from weft.cli.what_if import show
    from weft.journal.reader import read_facts
    from weft.sim.replay import past_of

    if not questions:
        raise UsageError(
            "`weft plan --run` wants a question like `--what-if max_parallel=8`; `weft show` shows the run as it was"
        )
    folder = find_run(name, settings)
    show(past_of(read_facts(folder)), questions, of=f"run {folder.name}", settings=settings, as_json=as_json)


def _limits(settings: Settings) -> Limits:
    return app.limits_of(settings["max_parallel"], app.cpu_count())


def _samples(workflow: Workflow, settings: Settings) -> "list[Sample]":
    return app.samples(workflow, state_folder(settings), settings["time_scale"])


def show_plan(workflow: Workflow, settings: Settings, foretold: "Sequence[Foretold] | None", *, as_json: bool = False) -> None:
    """Print the plan of a workflow, with what earlier runs in this project teach. `foretold`: reuse, if inputs are known."""
    from weft.views import plan as view

    limits, samples = app.limits_here(workflow, _limits(settings)), _samples(workflow, settings)
    if as_json:
        told = None if foretold is None else [msgspec.structs.asdict(of) for of in foretold]
        made = {**view.as_json(workflow, limits, samples), "foretold": told}
        click.echo(msgspec.json.format(msgspec.json.encode(made), indent=2))
        return
    from weft.views.foretold import render, unknown
    from weft.views.outlet import screen_size

    color, width = use_color(settings["color"], sys.stdout), screen_size(sys.stdout)[0]
    click.echo(view.render(workflow, limits, samples=samples, color=color, width=width))
    if foretold:
        click.echo(render(foretold, color=color, width=width))
    elif foretold is None and any(step.reuse for _, step in definitions(workflow)):
        click.echo(unknown([name for name, declared in workflow.inputs.items() if declared.required]))


def _foretell(workflow: Workflow, settings: Settings) -> "Sequence[Foretold] | None":
    """What would be reused, if all inputs have defaults."""
    if any(declared.required for declared in workflow.inputs.values()):
        return None
    from weft.rehearsal import foretell

    limits = app.limits_here(workflow, _limits(settings))
    return foretell(workflow, bind_inputs(workflow, {}), state_folder(settings), limits, project=Path.cwd())


@click.command("schema")
def schema() -> None:
    """Print the JSON Schema (draft-07) of the workflow format; editors complete and check with it."""
    from weft.formats.schema import schema as make

    click.echo(msgspec.json.format(msgspec.json.encode(make()), indent=2))


@click.command("explain")
@click.argument("code", required=False)
def explain(code: str | None) -> None:
    """Explain an error CODE such as W203; without one, list them all."""
    from weft.model.codes import CODES
    from weft.model.suggest import did_you_mean

    if code is None:
        for known, entry in CODES.items():
            click.echo(f"{known}  {entry.title}")
        return
    if code.upper() not in CODES:
        near = did_you_mean(code.upper(), CODES)
        raise UsageError(f"`{code}` is not an error code of weft" + (f"; did you mean `{near}`?" if near else ""))
    entry = CODES[code.upper()]
    parts = [f"{code.upper()}: {entry.title}", entry.why, entry.fix]
    if entry.wrong:
        parts += ["Wrong:\n" + indent(entry.wrong.rstrip(), "    ")]
    if entry.right:
        parts += ["Right:\n" + indent(entry.right.rstrip(), "    ")]
    click.echo("\n\n".join(parts))
