"""Warnings about pairs of steps that race: what each of them says, and what would order them."""

from collections.abc import Callable, Mapping

from weft.formats.document import Findings, Path, Where
from weft.formats.shapes import Fields
from weft.model.races import Race, Touch, cure, find_races
from weft.model.tokens import shown
from weft.model.workflow import Value, Workflow

PAIRS_MAX = 50
"""Pairs that are listed: a file that races more has one cause, which shows in the first few."""


def shared(fields: Fields, key: str) -> tuple[str, ...]:
    """The items of `reads` or `writes`."""
    texts = fields.get(key, [])
    return (texts,) if isinstance(texts, str) else tuple(texts)


def report_races(workflow: Workflow, paths: Mapping[str, Path], written: Callable[[Path], Value], findings: Findings) -> None:
    """Warn of the races of a workflow. `paths` tells where its steps stand in the document, `written` what stands at a path."""

    def where(step: str, touch: Touch) -> Where:
        """Where a step says what it touches; for one of a sub-workflow, the step that it is part of."""
        outer, _, inner = step.partition("/")
        if inner:
            return Where(paths[outer], "key")
        path = (*paths[step], touch.does)
        texts = written(path)
        return Where((*path, texts.index(touch.text)) if isinstance(texts, list) else path)

    races = find_races(workflow, PAIRS_MAX)
    for race in races.pairs:
        (first, second), same = race.by, race.first is race.second
        findings.add(
            "W501",
            _message(race),
            where(race.second.path, second),
            label="the same for each instance" if same else "no path orders the two",
            seconds=[(where(race.first.path, first), f"`{race.first.path}` {_does(first)} here")][: not same],
            hint=_hint(workflow, race),
            severity="warning",
        )
    if races.count > len(races.pairs):
        message = f"{races.count - len(races.pairs):,} more pairs of steps race"
        findings.add("W502", message, Where(()), hint="order those that are listed, and check again", severity="warning")
    if not races.exact:
        message = "there are too many globs to look for races: steps that read or write something run one at a time"
        findings.add("W502", message, Where(()), hint="name files, or folders like `out/`, instead", severity="warning")


def _does(touch: Touch) -> str:
    return f"{touch.does} `{shown(touch.text)}`"


def _message(race: Race) -> str:
    (first, second), one, two = race.by, race.first.path, race.second.path
    if one == two:
        return f"the instances of `{two}` race: one {_does(first)} while another {_does(second)}"
    if race.apart:
        return f"instances of `{one}` and `{two}` race: one {_does(first)} while another {_does(second)}"
    if first == second:
        return f"`{one}` and `{two}` race: both {second.does[:-1]} `{shown(second.text)}`"
    return f"`{one}` and `{two}` race: one {_does(first)}, the other {_does(second)}"


def _hint(workflow: Workflow, race: Race) -> str:
    if race.apart:
        return "let the path refer to the item, so that each instance has its own; or say with `races: allow` that this is fine"
    order = (race.first.path, race.second.path)
    if race.by[0].does == "reads":
        order = order[::-1]  # who writes shall go before who only reads
    step, line = cure(workflow, *order)
    return f"`{line}` in `{step}` lets `{order[0]}` go first; if any order is fine, say `races: allow` in one of them"
