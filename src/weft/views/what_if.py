"""What if: a run under its own limits beside the same run under others, and what limits it then."""

from typing import Any, Final

import msgspec

from weft.core.measure import Numbers
from weft.model.units import format_duration
from weft.views.text import Cell, Paint, chain, fit, fit_name, percent, plural, table, visible

CAUSES_MAX: Final = 3
LABEL_WIDTH: Final = 15

NEARLY: Final = 0.95
"""A critical path that fills so much of the makespan is what limits the run."""


def render(now: Numbers, then: Numbers, *, title: str, color: bool, width: int = 100) -> str:
    """Both as text, side by side. `title` says what is asked of what."""
    paint = Paint(color)
    rows: list[list[Cell]] = [
        [(label.ljust(LABEL_WIDTH - 2), "dim"), before, after]
        for label, before, after in (
            ("makespan", format_duration(now.makespan_s), f"{format_duration(then.makespan_s)}{_change(now, then)}"),
            ("speedup", f"{now.speedup:.1f}×", f"{then.speedup:.1f}×"),
            ("at once", f"{now.parallel_max:,}", f"{then.parallel_max:,}"),
            ("held by", _held(now), _held(then)),
        )
    ]
    heading: list[Cell] = ["".ljust(LABEL_WIDTH - 2), "now", "then"]
    limit = (
        paint("then limits".ljust(LABEL_WIDTH - 2), "dim") + "  " + fit(limits_of(then, width - LABEL_WIDTH), width - LABEL_WIDTH)
    )
    return "\n".join([paint(fit(title, width), "bold"), "", *table([heading, *rows], paint, width, keep=(0, 1)), limit])


def _change(now: Numbers, then: Numbers) -> str:
    if not now.makespan_s:
        return ""
    change = then.makespan_s / now.makespan_s - 1
    return f" ({percent(abs(change))} {'less' if change < 0 else 'more'})" if abs(change) >= 0.005 else " (the same)"


def _held(numbers: Numbers) -> str:
    causes = [f"{visible(cause)} {format_duration(seconds)}" for cause, seconds in numbers.held_s.items() if seconds >= 0.001]
    return " · ".join(causes[:CAUSES_MAX]) or "nothing"


def limits_of(numbers: Numbers, width: int = 100) -> str:
    """What keeps a run from being shorter, in words: its longest path, else what held its steps most, else the layers."""
    if numbers.span_s >= NEARLY * numbers.makespan_s:
        head = f"the critical path, {format_duration(numbers.span_s)}: "
        parts = [(f"{fit_name(visible(step), 32)} {format_duration(s)}", s) for step, s in numbers.critical_path]
        return head + chain(parts, width - len(head)) if parts else "nothing: no step takes time"
    for cause, seconds in numbers.held_s.items():
        return f"{visible(cause)}, which held steps for {format_duration(seconds)} (summed over steps)"
    return f"the layers: steps wait for others that they do not need ({plural(numbers.parallel_max, 'step')} at once at most)"


def as_json(now: Numbers, then: Numbers) -> dict[str, Any]:
    """Both as data, times in seconds, held per cause in step-seconds; `limited_by` says in words what limits the second."""

    def told(numbers: Numbers) -> dict[str, Any]:
        return {
            "makespan_s": numbers.makespan_s,
            "work_s": numbers.work_s,
            "span_s": numbers.span_s,
            "speedup": numbers.speedup,
            "parallel_max": numbers.parallel_max,
            "held_s": numbers.held_s,
            "pools": [msgspec.structs.asdict(pool) for pool in numbers.pools],
            "critical_path": numbers.critical_path,
        }

    return {"now": told(now), "then": told(then), "limited_by": limits_of(then)}
