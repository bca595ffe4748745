"""What the tests of PML share: tasks, layers, and where the copies of the document's workflows are."""

from pathlib import Path
from typing import Final

from weft.model.graph import Graph
from weft.model.workflow import Value, Workflow

SEEDS: Final = Path(__file__).parent / "seeds" / "pml"
STAND_IN: Final = Path(__file__).with_name("stand_in_tools.py")


def task(id_: str = "a", **fields: Value) -> dict[str, Value]:
    return {"id": id_, "tool": "work:work", **fields}


def layers(found: Workflow) -> list[list[str]]:
    graph = Graph(found.steps)
    result: list[list[str]] = [[] for _ in range(max(graph.layer) + 1)]
    for i, layer in enumerate(graph.layer):
        result[layer].append(found.steps[i].id)
    return result
