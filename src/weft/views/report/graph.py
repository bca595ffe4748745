"""The graph of a run by layers, from left to right, as SVG; a large one as a list of its layers.

- A need over several layers runs through a place of its own in each, so that its line passes between the steps.
- The order inside a layer comes from a few sweeps that put each step near the mean of its neighbours.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from weft.core.measure import Numbers
from weft.core.state import State
from weft.core.why import status_word
from weft.model.units import format_duration
from weft.views.report.text import GLYPHS, Write
from weft.views.show import note
from weft.views.text import fit_name, plural, words

STEPS_MAX: Final = 90
"""A larger graph drawn step by step is a ball of wool."""
PLACES_MAX: Final = 1_500
"""Steps and lines passing layers; more are not told apart by any eye."""
SWEEPS: Final = 6
"""Then the order hardly changes any more."""
LAYER_ROWS_MAX: Final = 60
"""Rows of the list of layers; in a deeper graph each row stands for several layers."""

WIDTH: Final = 168
HEIGHT: Final = 42
ACROSS: Final = 64
"""Pixels: width and height of a step, and between two layers."""
GAP: Final = 14
LINE: Final = 12
"""Height of the place of a line that passes a layer."""
NAME_WIDTH: Final = 19

Place: TypeAlias = tuple[int, int]
"""(step number, layer) of a step; for a line that passes a layer (-1 - number of the step that it leads to, layer)."""

Link: TypeAlias = tuple[Place, Place]


def draw(state: State, numbers: Numbers, write: Write) -> str:
    """The graph of a run as HTML."""
    if len(state.steps) <= STEPS_MAX:
        layout = Layout(state.graph.layer, state.graph.needs)
        if layout.size <= PLACES_MAX:
            return _svg(state, numbers, layout, write)
    return _rows(state, numbers)


class Layout:
    """Where steps and lines go. `layers[n]` holds the places of layer n from top to bottom, `y` the middle of each."""

    def __init__(self, layer: Sequence[int], needs: Sequence[Sequence[int]]) -> None:
        self.layers: list[list[Place]] = [[] for _ in range(max(layer, default=-1) + 1)]
        self.links: dict[Link, None] = {}  # lines to one step share their way
        for i, at in enumerate(layer):
            self.layers[at].append((i, at))
        for i, of in enumerate(needs):
            for need in of:
                for link in way(need, i, layer):
                    self.links[link] = None
                    if link[1][0] < 0 and link[1] not in self.layers[link[1][1]]:
                        self.layers[link[1][1]].append(link[1])
                if len(self.links) > PLACES_MAX:
                    break
        self.size = len(self.links) + len(layer)
        if self.size <= PLACES_MAX:
            self._order()
        self.y = {place: y for places in self.layers for place, y in self._stack(places)}
        self.height = max((self._height(places) for places in self.layers), default=0)
        for places in self.layers:  # each layer around the same middle
            down = (self.height - self._height(places)) / 2
            self.y.update({place: self.y[place] + down for place in places})

    def _order(self) -> None:
        above: dict[Place, list[Place]] = {}
        below: dict[Place, list[Place]] = {}
        for before, after in self.links:
            above.setdefault(after, []).append(before)
            below.setdefault(before, []).append(after)
        for sweep in range(SWEEPS):
            forward = sweep % 2 == 0
            neighbours = above if forward else below
            for places in self.layers if forward else reversed(self.layers):
                rank = {place: n for layer in self.layers for n, place in enumerate(layer)}

                def mean(place: Place, rank: dict[Place, int] = rank, near: dict[Place, list[Place]] = neighbours) -> float:
                    return sum(rank[other] for other in near[place]) / len(near[place]) if place in near else rank[place]

                places.sort(key=mean)

    def _stack(self, places: list[Place]) -> list[tuple[Place, float]]:
        stacked, y = [], 0.0
        for place in places:
            height = _height(place)
            stacked.append((place, y + height / 2))
            y += height + GAP
        return stacked

    def _height(self, places: list[Place]) -> float:
        return sum(_height(place) + GAP for place in places) - GAP if places else 0


def way(need: int, i: int, layer: Sequence[int]) -> list[Link]:
    """The pieces of the line from a step to one that needs it."""
    passed = [(-1 - i, n) for n in range(layer[need] + 1, layer[i])]
    return list(pairwise([(need, layer[need]), *passed, (i, layer[i])]))


def _height(place: Place) -> int:
    return HEIGHT if place[0] >= 0 else LINE


def _svg(state: State, numbers: Numbers, layout: Layout, write: Write) -> str:
    path = [state.graph.index[step] for step, _ in numbers.critical_path]
    layer, marked = state.graph.layer, set[Link]()
    for before, after in pairwise(path):
        if before in state.graph.needs[after]:
            marked.update(way(before, after, layer))
    width = len(layout.layers) * (WIDTH + ACROSS) - ACROSS
    size = f'width="{width + 4}" height="{layout.height + 4:.0f}" viewBox="-2 -2 {width + 4} {layout.height + 4:.0f}"'
    parts = [f'<div class="wide"><svg class="graph" {size} role="img" aria-label="the graph of the run, by layers">']
    for link in sorted(layout.links, key=marked.__contains__):
        mark = " path" if link in marked else ""
        parts.append(f'<path class="edge{mark}" d="{_curve(layout, *link)}"/>')
    for n, places in enumerate(layout.layers):
        for place in places:
            if place[0] >= 0:
                parts.append(_node(state, numbers, place[0], n * (WIDTH + ACROSS), layout.y[place], place[0] in path, write))
    return "".join([*parts, "</svg></div>"])


def _curve(layout: Layout, before: Place, after: Place) -> str:
    x1 = before[1] * (WIDTH + ACROSS) + WIDTH
    x2 = after[1] * (WIDTH + ACROSS)
    y1, y2, bend = layout.y[before], layout.y[after], ACROSS / 2
    through = f"H{x2 + WIDTH}" if after[0] < 0 else ""
    return f"M{x1} {y1:.1f}C{x1 + bend:g} {y1:.1f} {x2 - bend:g} {y2:.1f} {x2} {y2:.1f}{through}"


def _node(state: State, numbers: Numbers, i: int, x: int, y: float, critical: bool, write: Write) -> str:
    step, status = numbers.steps[i], status_word(state, i)
    ran = format_duration(step.run_s) if step.run_s else words(status)
    more = note(state, i)
    title = write(f"{step.step}: {words(status)}" + (f", ran {ran}" if step.run_s else "") + (f" ({more})" if more else ""))
    name = write(fit_name(step.step, NAME_WIDTH))
    tries = f" · {plural(step.attempts, 'attempt')}" if step.attempts > 1 else ""
    mark = " path" if critical else ""
    return (
        f'<g class="node {status}{mark}" transform="translate({x} {y - HEIGHT / 2:.1f})"><title>{title}</title>'
        f'<rect class="box" width="{WIDTH}" height="{HEIGHT}" rx="7"/><rect class="flag" width="5" height="{HEIGHT}" rx="2.5"/>'
        f'<text class="name" x="14" y="18">{name}</text>'
        f'<text class="more" x="14" y="33"><tspan class="glyph">{GLYPHS.get(status, "·")}</tspan> {ran}{tries}</text></g>'
    )


# ---- a large graph ----


def _rows(state: State, numbers: Numbers) -> str:
    """One row for each layer, or for so many layers that the rows stay few: its steps by status, and what they took."""
    layers = state.graph.layers()
    each = -(-len(layers) // LAYER_ROWS_MAX)
    groups = [range(first, min(first + each, len(layers))) for first in range(0, len(layers), each)]
    widest = max(sum(len(layers[n]) for n in group) for group in groups)
    lines = []
    for group in groups:
        members = [i for n in group for i in layers[n]]
        counts: dict[str, int] = {}
        for i in members:
            counts[numbers.steps[i].status] = counts.get(numbers.steps[i].status, 0) + 1
        cells = "".join(
            f'<i class="b {status}" style="width:{100 * count / widest:.3f}%" title="{count:,} {words(status)}"></i>'
            for status, count in sorted(counts.items())
        )
        first, last = (n + state.workflow.first_layer for n in (group[0], group[-1]))
        name = f"layer {first}" if first == last else f"layers {first} to {last}"
        took = format_duration(sum(numbers.steps[i].run_s for i in members))
        lines.append(
            f'<div class="row"><span class="name">{name}</span><span class="stack">{cells}</span>'
            f'<span class="num">{len(members):,} · {took}</span></div>'
        )
    return f'<p class="soft">Each bar is a layer: its steps by status, and the time they took together.</p>{"".join(lines)}'
