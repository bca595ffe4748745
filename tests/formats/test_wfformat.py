"""Recorded traces: small ones of each version, and the real ones where the corpus is at hand."""

import json
import lzma
import os
from pathlib import Path
from typing import Any

import pytest

from weft.formats import load
from weft.model.graph import Graph
from weft.model.workflow import Sleep, Step, Workflow

CORPUS = Path(os.environ.get("WEFT_CORPORA", Path(__file__).parents[3] / "shared" / "corpora")) / "wfinstances"
MANIFEST = CORPUS / "MANIFEST.json"
TRACES: list[dict[str, Any]] = json.loads(MANIFEST.read_text()) if MANIFEST.exists() else []
TRACES = [row for row in TRACES if row["file"].endswith(".xz")]

FLAT = {
    "name": "flat",
    "description": "An old one",
    "schemaVersion": "1.4",
    "workflow": {
        "tasks": [
            {
                "name": "fetch",
                "id": "ID1",
                "runtimeInSeconds": 2,
                "parents": [],
                "children": ["load"],
                "files": [{"link": "output", "name": "rows"}, {"link": "input", "name": "rows"}, {"link": "input"}, {}],
            },
            {"name": "load", "id": "ID2", "runtimeInSeconds": 0.5, "parents": ["fetch", "ID1"]},
            {"name": "look", "id": "ID3", "runtimeInSeconds": 1, "files": [{"link": "input", "name": "rows"}]},
        ]
    },
}
NESTED = {
    "schemaVersion": "1.5",
    "workflow": {
        "specification": {
            "tasks": [
                {"name": "A.B:c/d 1", "id": "A.B:c/d 1", "parents": [], "children": ["7"], "outputFiles": ["f"]},
                {"name": "A.B:c/d 1", "id": "A.B:c/d_1", "parents": [], "children": []},
                {"name": "seven", "id": "7", "parents": ["A.B:c/d_1"], "children": [], "inputFiles": ["g"]},
                {"name": "last", "id": "last", "parents": [], "children": [], "inputFiles": ["f", "h"], "outputFiles": ["g"]},
            ],
            "files": [],
        },
        "execution": {"makespanInSeconds": 5, "executedAt": "now", "tasks": [{"id": "7", "runtimeInSeconds": 4.5}]},
    },
}


def trace(value: object, name: str = "some.trace.json", time_scale: float = 1.0) -> Workflow:
    loaded = load(json.dumps(value).encode(), name, time_scale=time_scale)
    assert loaded.problems == ()
    assert loaded.format == "wfformat"
    assert loaded.workflow is not None
    return loaded.workflow


def test_up_to_1_4() -> None:
    assert trace(FLAT, time_scale=0.5) == Workflow(
        name="flat",
        description="An old one",
        steps=(
            Step(id="ID1", action=Sleep(seconds=1.0), expect_s=1.0, title="fetch"),
            Step(id="ID2", action=Sleep(seconds=0.25), expect_s=0.25, title="load", needs=("ID1",)),
            Step(id="ID3", action=Sleep(seconds=0.5), expect_s=0.5, title="look", needs=("ID1",)),
        ),
    )


def test_from_1_5() -> None:
    assert trace(NESTED) == Workflow(
        name="some",
        steps=(
            Step(id="A_B_c_d_1", action=Sleep(seconds=0.0), expect_s=0.0, title="A.B:c/d 1"),
            Step(id="A_B_c_d_1-2", action=Sleep(seconds=0.0), expect_s=0.0, title="A.B:c/d 1"),
            Step(id="_7", action=Sleep(seconds=4.5), expect_s=4.5, title="seven", needs=("A_B_c_d_1", "A_B_c_d_1-2", "last")),
            Step(id="last", action=Sleep(seconds=0.0), expect_s=0.0, needs=("A_B_c_d_1",)),
        ),
    )


def test_without_names_or_run_times() -> None:
    assert trace({"workflow": {"jobs": [{"name": "a"}, {"name": "b", "parents": ["a"], "runtime": 3}]}}, ".json") == Workflow(
        name="trace",
        steps=(
            Step(id="a", action=Sleep(seconds=0.0), expect_s=0.0),
            Step(id="b", action=Sleep(seconds=3.0), expect_s=3.0, needs=("a",)),
        ),
    )


def test_places() -> None:
    loaded = load(json.dumps(NESTED, indent=1).encode(), "t.json")
    lines = json.dumps(NESTED, indent=1).split("\n")
    assert lines[loaded.places("_7").line].strip() == '"name": "seven",'


@pytest.mark.parametrize("row", TRACES, ids=[row["file"] for row in TRACES])
def test_real_traces(row: dict[str, Any]) -> None:
    loaded = load(lzma.decompress((CORPUS / row["file"]).read_bytes()), row["file"])
    assert loaded.problems == ()
    assert loaded.workflow is not None
    graph = Graph(loaded.workflow.steps)
    assert len(graph) == row["tasks"]
    assert sum(map(len, graph.needs)) == row["edges"]
    assert len(graph.layers()) == row["levels"]
    assert max(map(len, graph.layers())) == row["width"]
    weights = [step.expect_s or 0.0 for step in loaded.workflow.steps]
    assert sum(weights) == pytest.approx(row["work"])
    assert sum(weights[i] for i in graph.critical_path(weights)) == pytest.approx(row["cp_len"])
