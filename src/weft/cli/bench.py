"""`weft bench`: how good weft is, by its own measure. Figures for this machine go to stdout as a table, or as JSON."""

import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from weft import app
from weft.bench import replays, schedule
from weft.bench.bounds import simple_bound_s
from weft.cli.common import budgets_of, find_run, look_at, settings_options, show_problems, take_settings
from weft.core.facts import Limits
from weft.journal.reader import read_facts
from weft.model.errors import UsageError
from weft.model.graph import Graph
from weft.model.inputs import check_inputs
from weft.model.workflow import Workflow
from weft.settings import Settings

WHAT: Final = {
    "schedule": "how near the order of dispatch comes to the shortest makespan possible, on recorded workflows (WfFormat)",
    "replay": "how far the replay of a run under its own limits is from the run: of runs, or of workflows that are run for it",
}
DEFAULT: Final = "default"
"""The origin of a setting that nobody gave."""
REAL_MAX: Final = 3
"""Traces that `schedule --real` runs, the smallest: in real time each takes seconds."""
STEP_S: Final = 0.2
"""How long a step of a trace takes in real time, in the mean: much longer than what surrounds it."""
PLACES: Final = 16
"""Attempts at once, in real time, where the workflow does not say."""


@click.command("bench")
@click.argument("what", required=False, metavar="[WHAT]")
@click.argument("names", nargs=-1, metavar="[FILE|FOLDER|RUN]...")
@click.option("--real", is_flag=True, help="`schedule`: run the smallest three of the traces twice in real time instead.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
@settings_options("state", "time_scale", "max_parallel", "size_max", "color")
def bench(what: str | None, names: tuple[str, ...], real: bool, as_json: bool, **options: Any) -> None:
    """Measure weft. Without WHAT: say what can be measured.

    \b
    weft bench schedule FOLDER          recorded workflows (*.json.xz), in simulated time
    weft bench schedule FOLDER --real   three of them in real time, and their replays
    weft bench replay RUN...            replays of runs that were
    weft bench replay FILE|FOLDER...    workflows are run first, in a folder that is then deleted

    In real time a step of a trace takes 0.2 s in the mean, or what `--time-scale` makes of it, 16 at once or `-j`.
    """
    settings = take_settings(options)
    if what is None:
        _list(as_json)
    elif what not in WHAT:
        raise UsageError(f"there is no bench `{what}`: {', '.join(WHAT)}")
    elif not names:
        raise UsageError(f"`weft bench {what}` needs something to measure: `weft bench --help` shows examples")
    elif what == "replay":
        _table(_replays(names, settings), as_json)
    elif real:
        _table(_real(names, settings), as_json)
    else:
        _simulated(names, settings, as_json)


def _list(as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(WHAT))
    else:
        click.echo("\n".join(f"{name:10}{text}" for name, text in WHAT.items()))


def _files(names: Iterable[str]) -> list[Path]:
    """Files as they are named; of a folder its recorded workflows."""
    found: list[Path] = []
    for name in names:
        path = Path(name)
        inside = sorted(path.glob("*.json.xz")) if path.is_dir() else [path]
        if not inside:
            raise UsageError(f"there is no *.json.xz in `{name}`")
        found += inside
    return found


def _load(path: Path, settings: Settings, scale: float = 1.0) -> tuple[Workflow, bool]:
    """The workflow in a file, and whether it is a recorded one."""
    from weft.formats import load

    loaded, data = look_at(str(path), settings)
    if loaded.workflow is None:
        show_problems(loaded, data, settings)
        sys.exit(2)
    trace = loaded.format == "wfformat"
    if trace and scale != 1.0:
        loaded = load(data, str(path), budgets=budgets_of(settings), time_scale=scale)
    assert loaded.workflow is not None
    return loaded.workflow, trace


def _name(path: Path) -> str:
    return path.name.removesuffix(".xz").removesuffix(".json")


# ---- simulated ----


def _simulated(names: Iterable[str], settings: Settings, as_json: bool) -> None:
    """A row for each trace and number of places as it is ready, then the means."""
    head = ["trace", "steps", "P", "second", "first", "fcfs", "layers", "proved bound", "second ÷ proved"]
    found: dict[int, list[schedule.Ratios]] = {places: [] for places in schedule.PLACES}
    rows = []
    if not as_json:
        _row(head, head=True)
    for path in _files(names):
        workflow, trace = _load(path, settings)
        if not trace:
            raise UsageError(f"`{path}` is not a recorded workflow, so it does not say how long its steps take")
        workflow, seconds = schedule.timed(workflow)
        for places in schedule.PLACES:
            ratios = schedule.ratios(workflow, seconds, places)
            found[places].append(ratios)
            rows.append({"trace": _name(path), "steps": len(seconds), "places": places, **msgspec.to_builtins(ratios)})
            if not as_json:
                _row([_name(path), f"{len(seconds):,}", places, *_figures(ratios)])
    means = {places: schedule.mean(of) for places, of in found.items()}
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode({"traces": rows, "means": means}), indent=2))
        return
    click.echo()
    _row(["geometric mean", *head[2:], "aim", "first ≤ fcfs"], head=True)
    for places, mean in means.items():
        no_worse = "yes" if mean.first <= mean.fcfs else "no"
        _row(["all traces", places, *_figures(mean), f"{schedule.TARGETS[places]:.2f}", no_worse])


def _figures(of: schedule.Ratios) -> list[str]:
    return [f"{figure:.3f}" for figure in (of.second, of.first, of.fcfs, of.layers, of.proved, of.over_proved)]


# ---- in real time ----


def _real(names: Iterable[str], settings: Settings) -> Iterator[dict[str, Any]]:
    """The smallest traces, twice each: the second run knows how long steps took in the first."""
    sized = []
    for path in _files(names):
        workflow, trace = _load(path, settings)
        if trace:
            sized.append((len(workflow.steps), path))
    for _, path in sorted(sized)[:REAL_MAX]:
        with tempfile.TemporaryDirectory() as folder:
            for run in ("first", "second"):
                yield {"run": f"{_name(path)}, {run}", **_run(path, settings, Path(folder))}


def _replays(names: Iterable[str], settings: Settings) -> Iterator[dict[str, Any]]:
    for name in names:
        if not Path(name).exists():
            folder = find_run(name, settings)
            yield {"run": folder.name, **_replay_row(replays.replayed(read_facts(folder)))}
            continue
        for path in _files([name]):
            with tempfile.TemporaryDirectory() as temporary:
                yield {"run": _name(path), **_run(path, settings, Path(temporary))}


def _run(path: Path, settings: Settings, state: Path) -> dict[str, Any]:
    """Run a workflow and replay it. A trace runs at the pace that was asked for, else its steps take STEP_S in the mean."""
    workflow, trace = _load(path, settings)
    scale = settings["time_scale"]
    if trace:
        _, seconds = schedule.timed(workflow)
        if settings.origins["time_scale"].origin == DEFAULT:
            scale = STEP_S * len(seconds) / (sum(seconds.values()) or 1.0)
        workflow, _ = _load(path, settings, scale)
    limits = Limits(total=PLACES) if trace else app.limits_of(workflow.max_parallel, app.cpu_count())
    if settings.origins["max_parallel"].origin != DEFAULT:
        limits = app.limits_of(settings["max_parallel"], app.cpu_count())
    try:
        inputs = check_inputs(workflow, {})
    except ValueError as error:
        raise UsageError(f"`{path}`: {error}; run it, and name the run here") from None
    options = app.Options(limits=limits, signals=False)
    result = app.start(workflow, inputs, state, options, project=state if trace else Path.cwd(), time_scale=scale)
    row = _replay_row(replays.replayed(result.facts()))
    if trace:
        workflow, seconds = schedule.timed(workflow)
        graph = Graph(workflow.steps)
        bound_s = simple_bound_s(graph, [seconds[id_] for id_ in graph.ids], limits.total or len(graph))
        row["over_bound"] = round(row["took_s"] / bound_s, 3)
    return {"scale": float(f"{scale:.3g}"), **row}


def _replay_row(of: replays.Replayed) -> dict[str, Any]:
    return {
        "attempts": of.attempts,
        "mean_step_s": round(of.mean_step_s, 3),
        "took_s": round(of.took_s, 3),
        "replayed_s": round(of.replayed_s, 3),
        "error": round(of.error, 5),
    }


# ---- tables ----

COLUMNS: Final = {
    "run": "run",
    "scale": "time scale",
    "attempts": "attempts",
    "mean_step_s": "mean s",
    "took_s": "seconds",
    "replayed_s": "replayed",
    "error": "error",
    "over_bound": "÷ simple bound",
}


def _table(rows: Iterator[dict[str, Any]], as_json: bool) -> None:
    """Rows as they are ready."""
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(list(rows)), indent=2))
        return
    _row(COLUMNS.values(), head=True)
    for row in rows:
        shown = {**row, "error": f"{row['error']:+.2%}"}
        _row([shown.get(column, "") for column in COLUMNS])


def _row(cells: Iterable[object], *, head: bool = False) -> None:
    texts = [str(cell) for cell in cells]
    click.echo("| " + " | ".join(texts) + " |")
    if head:
        click.echo("|---|" + "---:|" * (len(texts) - 1))
