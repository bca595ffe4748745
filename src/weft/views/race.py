"""What `weft race` found: pairs of steps and their files, what would order them, who watched, and what was declared wrongly."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from weft.core.touched import Said, SeenRace
from weft.views.text import Paint, plural, visible

NAMED_MAX: Final = 5
"""Steps or files that a line names."""


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """Who watched a step: `by` what, what that is blind for, and the programs that were started unseen."""

    step: str
    by: str
    blind: str
    started: tuple[str, ...] = ()


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `status` is that of the run. `count`: of pairs, `races` may be fewer."""

    run: str
    status: str
    races: Sequence[SeenRace]
    count: int
    said: Sequence[Said]
    watched: Sequence[Watched]
    files: Mapping[str, Mapping[str, Sequence[str]]]
    """For each step, what it `reads` and `writes`."""


def as_json(found: Found) -> dict[str, Any]:
    """For programs; all steps and files."""
    return {
        "version": 1,
        "run": found.run,
        "status": found.status,
        "races": [{**race._asdict(), "files": [clash._asdict() for clash in race.files]} for race in found.races],
        "races_found": found.count,
        "declarations": [said._asdict() for said in found.said],
        "watched": [msgspec.structs.asdict(each) for each in found.watched],
        "files": found.files,
    }


def render(found: Found, *, color: bool) -> str:
    """For people."""
    paint = Paint(color)
    lines = [line for race in found.races for line in (*_race(race, paint), "")]
    if found.count > len(found.races):
        lines += [f"{found.count - len(found.races):,} more pairs are not listed; --json has as many", ""]
    for said in found.said:
        lines += _said(said, paint)
    lines += [""] * bool(found.said)
    lines += _watched(found.watched, paint)
    if found.status not in ("succeeded", "succeeded_with_errors"):
        lines.append(paint(f"the run itself did not succeed ({found.status}): what did not run was not seen", "bold"))
    seen = sum(len({*of["reads"], *of["writes"]}) for of in found.files.values())
    looked = f"{plural(len(found.watched), 'step')} watched, {plural(seen, 'file')} touched"
    told = f"{plural(found.count, 'race')} found" if found.count else "no race found"
    lines.append(paint(told, "red" if found.count else "green") + f" in run {found.run}: {looked}")
    return "\n".join(lines)


def _race(race: SeenRace, paint: Paint) -> list[str]:
    lines = [paint("race", "red") + f": `{visible(race.first)}` and `{visible(race.second)}`, with no path between them"]
    for path, first, second in race.files:
        lines.append(f"  {visible(path)}: `{visible(race.first)}` {first}, `{visible(race.second)}` {second}")
    if race.files_count > len(race.files):
        lines.append(f"  and {plural(race.files_count - len(race.files), 'more file')}")
    if race.needs:
        lines.append(f"  = hint: `{race.needs}` in `{visible(race.change)}` orders them")
    else:
        lines.append("  = hint: they are instances of one step: give each a file of its own")
    return lines


def _said(said: Said, paint: Paint) -> list[str]:
    told = (
        ("declares that it reads, and never opened", said.never_read),
        ("declares that it writes, and never wrote", said.never_written),
        ("read without declaring it", said.read),
        ("wrote without declaring it", said.written),
    )
    return [paint("declared", "yellow") + f": `{visible(said.step)}` {what} {_names(of)}" for what, of in told if of]


def _watched(watched: Sequence[Watched], paint: Paint) -> list[str]:
    lines = []
    for by in dict.fromkeys(each.by for each in watched):
        of = [each for each in watched if each.by == by]
        lines.append(f"{paint('watched', 'dim')}: by {by} {_names([each.step for each in of])}; unseen: {of[0].blind}")
        started = list(dict.fromkeys(program for each in of for program in each.started))
        if started:
            lines.append(f"         they started {_names(started)}, which were not watched")
    return lines


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED_MAX} more" if len(names) > NAMED_MAX else ""
    return ", ".join(f"`{visible(name)}`" for name in names[:NAMED_MAX]) + more
