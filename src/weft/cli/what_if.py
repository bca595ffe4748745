"""`weft plan --what-if`: a workflow, or a run that was, replayed in simulated time under other limits."""

import sys
from collections.abc import Sequence
from typing import get_args

import click
import msgspec

from weft import app
from weft.cli.common import use_color
from weft.model.errors import UsageError
from weft.model.suggest import did_you_mean
from weft.model.units import parse_rate
from weft.model.workflow import Rate, Schedule
from weft.settings import Settings
from weft.sim.replay import Past
from weft.sim.what_if import Changes, replayed, under
from weft.views import what_if as view

STEPS_MAX = 1_000_000
"""A replay takes some 70 µs a step and keeps its facts; a question about a larger graph is asked of a smaller one."""


def show(past: Past, texts: Sequence[str], *, of: str, settings: Settings, as_json: bool) -> None:
    """Answer what would be under the limits of `texts` (`name=value`). `of` names what is replayed. Raises UsageError."""
    steps = len(past.created.workflow.steps)
    if steps > STEPS_MAX:
        raise UsageError(f"{of} has {steps:,} steps; up to {STEPS_MAX:,} can be replayed")
    other = under(past, parse(texts))
    now, then = replayed(past), replayed(other)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode({"what_if": list(texts), **view.as_json(now, then)}), indent=2))
        return
    from weft.views.outlet import screen_size

    title = f"{of}: what if {', '.join(texts)}"
    click.echo(
        view.render(now, then, title=title, color=use_color(settings["color"], sys.stdout), width=screen_size(sys.stdout)[0])
    )


def parse(texts: Sequence[str]) -> Changes:
    """`max_parallel=8`, `schedule=layers`, `database=4`, `api=60/min` … as one change; of a name given twice the last wins."""
    changes, pools, rates = Changes(), dict[str, int](), dict[str, Rate]()
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise UsageError(f"`--what-if {text}`: write `max_parallel=8`, or a pool with its slots or its rate: `database=4`")
        if name == "max_parallel":
            known = value if value in ("auto", "unlimited", "adaptive") else _number(text, value, least=0)
            changes = msgspec.structs.replace(changes, limits=app.limits_of(known, app.cpu_count()))
        elif name == "schedule":
            changes = msgspec.structs.replace(changes, schedule=_schedule(value))
        elif name == "races" and value == "allow":
            changes = msgspec.structs.replace(changes, races=True)
        elif "/" in value:
            rates[name] = _rate(text, value)
        else:
            pools[name] = _number(text, value, least=1)
    return msgspec.structs.replace(changes, pools=pools, rates=rates)


def _rate(text: str, value: str) -> Rate:
    try:
        return Rate(*parse_rate(value))
    except ValueError as error:
        raise UsageError(f"`--what-if {text}`: {error}") from None


def _number(text: str, value: str, least: int) -> int:
    if not (value.isascii() and value.isdecimal() and len(value) < 10 and int(value) >= least):
        raise UsageError(f"`--what-if {text}`: `{value}` is not a whole number from {least}")
    return int(value)


def _schedule(value: str) -> Schedule:
    for known in get_args(Schedule):
        if known == value:
            return known  # type: ignore[no-any-return]  # get_args does not say of what
    near = did_you_mean(value, get_args(Schedule))
    raise UsageError(
        f"there is no schedule `{value}`" + (f"; did you mean `{near}`?" if near else ": dataflow, layers, sequential")
    )
