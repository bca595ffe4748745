"""Whatever a file holds, loading it ends with a workflow or with problems that can be shown: files of the catalogue, spoiled."""

import random
import sys
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "bad"))

import catalogue

from weft.formats import load
from weft.model.codes import CODES
from weft.model.graph import Graph
from weft.model.workflow import Workflow
from weft.views.problems import render

ROUNDS = 2500
BYTES_MAX = 5000
FILES = [(case.name, case.data) for case in catalogue.cases() if len(case.data) < BYTES_MAX]
FILES += [("f.json" if code.right.startswith("{") else "f.yaml", code.right.encode()) for code in CODES.values() if code.right]
PIECES = [piece for _, data in FILES for piece in data.split()]
PIECES += [b"\n", b"  ", b"\t", b": ", b"- ", b"{", b"}", b"[", b"]", b'"', b"'", b"|", b">", b"&a ", b"*a", b"!!x", b"<<", b"? "]
PIECES += [b"${{ ", b" }}", b"$${{", b"~", b".inf", b"1e999", b"\xff", b"\0", b"#", b"...", b"---", b"\xe2\x80\xa8", b"\\", b"\r"]


def spoil(data: bytes, dice: random.Random) -> bytes:
    spoiled = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        start = dice.randint(0, len(spoiled))
        copied = dice.randint(0, len(spoiled))
        piece = dice.choice([dice.choice(PIECES), b"", bytes(spoiled[copied : copied + dice.randint(0, 60)])])
        spoiled[start : start + dice.choice([0, 0, 1, 3, 10, 40])] = piece
    return bytes(spoiled)


@pytest.mark.parametrize("seed", range(2))
def test_spoiled_files(seed: int) -> None:
    dice = random.Random(seed)
    good = 0
    for turn in range(ROUNDS):
        name, data = dice.choice(FILES)
        data = spoil(data, dice)
        note = f"seed {seed}, turn {turn}, {name}: {data!r}"
        loaded = load(data, name, format=dice.choice([None, None, "native", "wfformat", "evolver"]))
        wrong = any(problem.severity == "error" for problem in loaded.problems)
        assert (loaded.workflow is None) == wrong, note
        lines = data.count(b"\n") + 1
        assert all(problem.code in CODES and 0 <= problem.place.line <= lines for problem in loaded.problems), note
        assert bool(render(loaded.problems, {name: data})) == bool(loaded.problems), note
        if loaded.workflow:
            good += 1
            Graph(loaded.workflow.steps)
            assert msgspec.json.decode(msgspec.json.encode(loaded.workflow), type=Workflow) == loaded.workflow, note
            assert all(loaded.places(step.id).line > 0 for step in loaded.workflow.steps), note
    assert good
