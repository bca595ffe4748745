"""Cycles among the needs of the steps of a file, each with its whole path and the place of every edge."""

from collections.abc import Callable, Sequence

from weft.formats.document import Findings, Where
from weft.model.cycle import find_cycle
from weft.model.workflow import Step

CYCLES_MAX = 10
"""Cycles told at once; finding each is linear in the file."""

EDGES_SHOWN_MAX = 20
"""Edges of one cycle told with their places. A longer cycle is cut in the middle: nobody reads on, and ids are long."""


def report_cycles(steps: Sequence[Step], where: Callable[[int, str], Where], findings: Findings) -> None:
    """`where` tells where the step of this number says that it needs that one. No step is told in two cycles."""
    number = {step.id: index for index, step in enumerate(steps)}
    needs = [[number[need] for need in (*step.needs, step.fallback) if need in number] for step in steps]
    for _ in range(CYCLES_MAX):
        cycle = find_cycle(needs)
        if cycle is None:
            return
        ids = [steps[index].id for index in cycle]
        edges = list(zip(cycle, ids, ids[1:] + ids[:1], strict=True))
        shown = ids if len(ids) <= EDGES_SHOWN_MAX else [*ids[: EDGES_SHOWN_MAX // 2], "…", *ids[-EDGES_SHOWN_MAX // 2 :]]
        findings.add(
            "W303",
            f"these steps wait for each other: `{' → '.join([*shown, ids[0]])}`",
            where(edges[0][0], edges[0][2]),
            label=f"`{ids[0]}` needs `{edges[0][2]}`",
            seconds=[(where(index, need), f"`{id_}` needs `{need}`") for index, id_, need in edges[1:EDGES_SHOWN_MAX]],
            hint="remove one of these needs",
        )
        for index in cycle:
            needs[index] = []
