"""`weft race`: run a workflow, watch which files its steps really open, and tell which of them race for one."""

import sys
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import click
import msgspec

from weft import app
from weft.cli.common import leave, load, settings_options, state_folder, take_settings, use_color
from weft.cli.run import EXIT_CODES, SUSPENDED, VIEW, View, parse_pairs, with_settings
from weft.core import facts as f
from weft.core.touched import Filter, Seen, compare, find_seen
from weft.host.recording import BLIND, Recorder
from weft.model.inputs import bind_inputs
from weft.views.race import Found, Watched, as_json, render

RACES_FOUND: Final = 1


@click.command("race")
@click.argument("file")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--input", "-i", "more_pairs", multiple=True, metavar="KEY=VALUE", help="An input of the workflow.")
@click.option("--include", multiple=True, metavar="GLOB", help="Look at these files only, also where they are left out else.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Do not look at these files.")
@click.option(
    "--by",
    type=click.Choice(("auto", "strace", "samples")),
    default="auto",
    help="How shell steps are watched: by strace, or by looking at their open files now and then.",
)
@click.option("--json", "as_json_", is_flag=True, help="Print JSON.")
@settings_options(*VIEW, "schedule", "fail_fast", "durability", "format", "size_max", "time_scale")
@click.option("--verbose", "-v", count=True, help="Show more.")
@click.option("--quiet", "-q", is_flag=True, help="Do not show the run.")
def race(file: str, pairs: tuple[str, ...], more_pairs: tuple[str, ...], by: Any, as_json_: bool, **options: Any) -> None:
    """Run a workflow FILE and watch which files its steps really open for reading and writing.

    Reports every two steps that touched one file, one of them writing, with no path of needs between them, whether it did harm
    this time or not, and the `needs` line that would order them; and what `reads` and `writes` say that is not so. Exit code 1 if
    a race was found or the run failed.
    """
    settings = take_settings(options)
    loaded, data = load(file, settings)
    assert loaded.workflow is not None
    workflow = with_settings(loaded.workflow, settings)
    inputs = bind_inputs(workflow, parse_pairs((*pairs, *more_pairs)))
    view = View(settings, verbose=options["verbose"], quiet=options["quiet"] or settings["output"] == "json")
    project, state = Path.cwd(), state_folder(settings)
    with TemporaryDirectory(prefix="weft-race-") as folder:
        recorder = Recorder(Path(folder) / "seen", by)
        if by == "strace" and not recorder.has_strace:
            from weft.model.errors import MachineError

            raise MachineError("strace is not here, or may not trace: install it, or let `--by samples` do what it can")
        result = app.start(
            workflow,
            inputs,
            state,
            msgspec.structs.replace(view.options(app.limits_of(settings["max_parallel"], app.cpu_count())), recorder=recorder),
            source=str(Path(file).absolute()),
            digest=sha256(data).hexdigest(),
            project=project,
            time_scale=settings["time_scale"],
            reuse=False,
        )
        recorder.close()
    machine = (sys.prefix, sys.base_prefix)
    filter_ = Filter(str(project), str(state), machine, options["include"], options["exclude"])
    found = _found(result, recorder, filter_, str(project))
    if as_json_:
        click.echo(msgspec.json.format(msgspec.json.encode(as_json(found)), indent=2))
    else:
        click.echo(render(found, color=use_color(settings["color"], sys.stdout)))
    if not result.state.ended:
        leave(128 + result.signal if result.signal else SUSPENDED)
    leave(EXIT_CODES[result.status] or (RACES_FOUND if found.count else 0))


def _found(result: app.Result, recorder: Recorder, filter_: Filter, project: str) -> Found:
    """What was seen, put together by step."""
    state = result.state
    reads: dict[str, set[str]] = {}
    writes: dict[str, set[str]] = {}
    watched: dict[str, Watched] = {}
    for attempt in recorder.attempts.values():
        for opened in attempt.opened:
            if filter_.counts(opened.path, writes=opened.writes):
                (writes if opened.writes else reads).setdefault(attempt.step, set()).add(filter_.shown(opened.path))
        started = (*(watched[attempt.step].started if attempt.step in watched else ()), *sorted(attempt.started))
        blind = BLIND[attempt.means]
        watched[attempt.step] = Watched(step=attempt.step, by=attempt.means, blind=blind, started=tuple(dict.fromkeys(started)))
    seen = {step: Seen(frozenset(reads.get(step, ())), frozenset(writes.get(step, ()))) for step in watched}
    started_at = dict.fromkeys(fact.step for fact in result.facts() if isinstance(fact, f.AttemptStarted))
    races, count = find_seen(state, seen, list(started_at))
    return Found(
        run=result.run,
        status=result.status,
        races=races,
        count=count,
        said=compare(state, {step: of for step, of in seen.items() if watched[step].by != "samples"}, project),
        watched=[*watched.values()],
        files={step: {"reads": sorted(of.reads), "writes": sorted(of.writes)} for step, of in seen.items()},
    )
