"""Time from left to right: the attempts of a run, and what was in use."""

from collections.abc import Sequence
from typing import Final

from weft.core.measure import Numbers
from weft.core.state import State
from weft.model.units import format_duration
from weft.views.report.chronicle import ATTEMPTS, Bar, Chronicle, lanes, profile
from weft.views.report.text import Write
from weft.views.text import percent, plural, words

ROWS_MAX: Final = 250
"""Steps that get a row of their own in the Gantt chart; the attempts of a larger run are laid into as few rows as fit."""
TICKS: Final = 8
"""At most so many lines of time across a chart."""
BUCKETS: Final = 240
"""Points of a curve: one for each few pixels."""
POOLS_MAX: Final = 24
LANES_HEIGHT: Final = 420
LANE_HEIGHT_MAX: Final = 22
SCALE: Final = 10_000
"""Units across the chart of a large run: a tenth of a pixel."""

_STEPS_S: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


def tick_s(end_s: float) -> float:
    """A round time that cuts `end_s` into at most TICKS parts."""
    if end_s > _STEPS_S[-1] * TICKS:
        days = -(-end_s // (TICKS * 86400))
        return days * 86400
    if end_s > TICKS:
        return next(step for step in _STEPS_S if step * TICKS >= end_s)
    unit = 1e-6
    while unit * 10 * TICKS < end_s:
        unit *= 10
    return next(unit * step for step in (1, 2, 5, 10) if unit * step * TICKS >= end_s)


def axis(end_s: float) -> str:
    """The times under (or above) a chart."""
    tick = tick_s(end_s)
    marks = []
    for n in range(int(end_s / tick + 1e-9) + 1):
        if n * tick <= end_s * 0.97:
            marks.append(f'<span style="left:{100 * n * tick / end_s:.3f}%">{format_duration(n * tick) if n else "0"}</span>')
    times = f'<div class="times">{"".join(marks)}</div>'
    return f'<div class="row axis"><span class="name"></span>{times}<span class="num"></span></div>'


def frame(end_s: float, rows: str, extra: str = "") -> str:
    """A chart with its axis; lines of time run through all tracks."""
    return f'<div class="chart{extra}" style="--tick:{100 * tick_s(end_s) / end_s:.4f}%">{axis(end_s)}{rows}</div>'


def gantt(chronicle: Chronicle, numbers: Numbers, write: Write) -> str:
    end_s = numbers.makespan_s
    if not chronicle.bars or end_s <= 0:
        return '<p class="soft">Nothing ran.</p>'
    path = {step for step, _ in numbers.critical_path}
    if len(chronicle.bars) > ROWS_MAX:
        return frame(end_s, _lanes(chronicle, numbers, path), " large")
    rows = []
    for i in sorted(chronicle.bars, key=lambda i: (chronicle.bars[i][0].start_s, i)):
        step = numbers.steps[i]
        mark, bars = (" path" if step.step in path else ""), "".join(_bar(bar, end_s) for bar in chronicle.bars[i])
        name = write(step.step)
        rows.append(
            f'<div class="row{mark}"><span class="name" title="{name}">{name}</span><div class="track">{bars}</div>'
            f'<span class="num">{format_duration(step.run_s) if step.run_s else ""}</span></div>'
        )
    return frame(end_s, "".join(rows))


def _bar(bar: Bar, end_s: float) -> str:
    took = format_duration(bar.end_s - bar.start_s)
    what = f"attempt {bar.attempt} {words(bar.kind)}" if bar.kind in ATTEMPTS else words(bar.kind)
    title = f"{what}: {took}, from {format_duration(bar.start_s)} to {format_duration(bar.end_s)}"
    left, width = 100 * bar.start_s / end_s, 100 * (bar.end_s - bar.start_s) / end_s
    return f'<i class="b {bar.kind}" style="left:{left:.3f}%;width:{width:.3f}%" title="{title}"></i>'


def _lanes(chronicle: Chronicle, numbers: Numbers, path: set[str]) -> str:
    """All attempts of a large run, in as many rows as there were at once; script tells which is under the pointer."""
    rows = attempts_in_lanes(chronicle)
    height = max(1.0, min(LANE_HEIGHT_MAX, LANES_HEIGHT / len(rows)))
    scale = SCALE / numbers.makespan_s
    drawn: dict[str, list[str]] = {}
    for lane, row in enumerate(rows):
        y, tall = lane * height, height * (0.82 if height > 3 else 1)
        for i, bar in row:
            kind = f"{bar.kind} path" if numbers.steps[i].step in path else bar.kind
            x, wide = round(bar.start_s * scale), max(1, round((bar.end_s - bar.start_s) * scale))
            drawn.setdefault(kind, []).append(f"M{x} {y:.1f}h{wide}v{tall:.1f}h-{wide}z")
    paths = "".join(
        f'<path class="b {kind}" d="{"".join(d)}"/>' for kind, d in sorted(drawn.items(), key=lambda item: "path" in item[0])
    )
    return (
        f'<div class="row"><span class="name">{plural(len(rows), "attempt")} at once at most</span>'
        f'<div class="track lanes" data-lanes="{len(rows)}" style="height:{height * len(rows):.0f}px">'
        f'<svg viewBox="0 0 {SCALE} {height * len(rows):.1f}" preserveAspectRatio="none">{paths}</svg></div>'
        '<span class="num"></span></div>'
    )


def attempts_in_lanes(chronicle: Chronicle) -> list[list[tuple[int, Bar]]]:
    return lanes((i, bar) for i, bars in chronicle.bars.items() for bar in bars if bar.kind in ATTEMPTS)


# ---- what was in use ----


def usage(chronicle: Chronicle, numbers: Numbers, state: State, write: Write) -> str:
    """Curves over time: steps that ran, steps that were held, and each pool against its slots."""
    end_s = numbers.makespan_s
    if not chronicle.bars or end_s <= 0:
        return ""
    flat = [(i, bar) for i, bars in chronicle.bars.items() for bar in bars]
    running = [(bar.start_s, bar.end_s, 1.0) for _, bar in flat if bar.kind in ATTEMPTS]
    rows = [_curve("running", running, end_s, None, f"at most {numbers.parallel_max}", "running")]
    held = [(bar.start_s, bar.end_s, 1.0) for _, bar in flat if bar.kind == "held"]
    if any(end > start for start, end, _ in held):
        rows.append(_curve("held", held, end_s, None, format_duration(sum(end - start for start, end, _ in held)), "held"))
    for pool in sorted(numbers.pools, key=lambda pool: -pool.utilisation)[:POOLS_MAX]:
        taken = [
            (bar.start_s, bar.end_s, float(weight))
            for i, bar in flat
            if bar.kind in ATTEMPTS and (weight := state.steps[i].resources.get(pool.pool))
        ]
        used = f"{percent(pool.utilisation)} of {pool.size}"
        rows.append(_curve(write(pool.pool), taken, end_s, pool.slots, used, "pool"))
    return frame(end_s, "".join(rows), " curves")


def _curve(name: str, spans: Sequence[tuple[float, float, float]], end_s: float, slots: int | None, said: str, kind: str) -> str:
    """`name` is HTML."""
    levels = profile(spans, end_s, BUCKETS)
    top = max(slots or 0, *levels, 1e-9) * 1.06
    points = "".join(f"V{100 - 100 * level / top:.1f}H{n + 1}" for n, level in enumerate(levels))
    limit = (
        f'<line x1="0" x2="{BUCKETS}" y1="{100 - 100 * slots / top:.1f}" y2="{100 - 100 * slots / top:.1f}"/>' if slots else ""
    )
    drawing = f'<path class="{kind}" d="M0 100{points}V100Z"/>{limit}'
    return (
        f'<div class="row"><span class="name" title="{name}">{name}</span><div class="track curve">'
        f'<svg viewBox="0 0 {BUCKETS} 100" preserveAspectRatio="none">{drawing}</svg></div><span class="num">{said}</span></div>'
    )


def causes(numbers: Numbers, write: Write) -> str:
    """What held steps, longest first."""
    held = {cause: held_s for cause, held_s in numbers.held_s.items() if held_s >= 0.001}
    longest = max(held.values(), default=0.0)
    return "".join(
        f'<div class="row"><span class="name">{write(cause)}</span>'
        f'<div class="stack"><i class="b held" style="width:{100 * held_s / longest:.2f}%"></i></div>'
        f'<span class="num">{format_duration(held_s)}</span></div>'
        for cause, held_s in list(held.items())[:POOLS_MAX]
    )
