"""`weft plan` in the real command: what earlier runs taught, and what-if."""

import json

import pytest
from door import Weft, weft

FLOW = """
resources: { database: 1 }
steps:
  short: { run: "true", resources: { database: 1 } }
  long: { run: sleep 0.3, resources: { database: 1 } }
  other: { run: sleep 0.1, resources: { database: 1 } }
"""


def test_the_second_run_knows_how_long_the_first_took(weft: Weft) -> None:
    """The longest first, though it is not first in the file; and the plan says from where it knows."""
    weft.write("w.yaml", FLOW)
    facts = [weft("run", "w.yaml", "--output", "json").facts() for _ in range(2)]
    started = [[fact["step"] for fact in run if fact["fact"] == "attempt_started"] for run in facts]
    assert started == [["short", "long", "other"], ["long", "other", "short"]]
    assert "estimates" not in facts[0][0]
    assert facts[1][0]["estimates"]["long"] >= 0.3
    assert "learned from 2 runs" in weft("plan", "w.yaml").out
    steps = json.loads(weft("plan", "w.yaml", "--json").out)["steps"]
    assert [(step["estimate_from"], step["estimate_runs"]) for step in steps] == [("learned", 2)] * 3
    (weft.folder / ".weft" / "index.db").unlink()
    assert "learned" not in weft("plan", "w.yaml").out
    weft("runs")
    assert "learned from 2 runs" in weft("plan", "w.yaml").out


def test_another_time_scale_is_learned_apart(weft: Weft) -> None:
    weft.write("w.yaml", FLOW)
    weft("run", "w.yaml")
    assert "learned" not in weft("plan", "w.yaml", "--time-scale", "0.5").out


def test_what_if(weft: Weft) -> None:
    weft.write("w.yaml", FLOW)
    question = ("--what-if", "database=3", "--what-if", "max_parallel=3", "--json")
    found = json.loads(weft("plan", "w.yaml", *question).out)
    assert (found["now"]["makespan_s"], found["then"]["makespan_s"]) == (3.0, 1.0)
    weft("run", "w.yaml", "-q")
    found = json.loads(weft("plan", "--run", "@", *question).out)
    assert found["what_if"] == ["database=3", "max_parallel=3"]
    assert found["now"]["work_s"] == pytest.approx(found["now"]["makespan_s"])
    assert found["then"]["makespan_s"] == pytest.approx(found["then"]["span_s"])
    assert found["then"]["held_s"] == {}
    text = weft("plan", "--run", "@", "--what-if", "max_parallel=auto", "--what-if", "schedule=sequential").out
    assert "what if max_parallel=auto, schedule=sequential" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "wants a FILE, or `--run RUN`"),
        (["w.yaml", "--run", "@"], "wants a FILE, or `--run RUN`"),
        (["--run", "@"], "wants a question"),
        (["w.yaml", "--what-if", "databse=3"], "did you mean `database`?"),
        (["w.yaml", "--what-if", "database=2/fortnight"], "`2/fortnight` is not a rate"),
        (["w.yaml", "--what-if", "database"], "write `max_parallel=8`"),
        (["w.yaml", "--what-if", "=3"], "write `max_parallel=8`"),
        (["w.yaml", "--what-if", "database=none"], "`none` is not a whole number from 1"),
        (["w.yaml", "--what-if", "max_parallel=-1"], "`-1` is not a whole number from 0"),
        (["w.yaml", "--what-if", "schedule=layer"], "did you mean `layers`?"),
        (["w.yaml", "--what-if", "schedule=xyz"], "dataflow, layers, sequential"),
    ],
)
def test_what_cannot_be_asked(weft: Weft, arguments: list[str], says: str) -> None:
    weft.write("w.yaml", FLOW)
    assert says in weft("plan", *arguments, code=2).err


def test_a_run_that_could_be_faster_says_how(weft: Weft) -> None:
    weft.write(
        "w.yaml", "resources: {db: 1}\nsteps: {a: {run: sleep 0.4, resources: {db: 1}}, b: {run: sleep 0.4, resources: {db: 1}}}"
    )
    done = weft("run", "w.yaml", "-j", "2")
    assert "2 slots in pool `db` instead of 1" in done.err
    (best, *_) = json.loads(weft("show", "--json").out)["advice"]
    assert (best["kind"], best["name"], best["before"], best["after"]) == ("pool", "db", 1, 2)
    assert best["gain_s"] >= 0.4  # a sleep is never shorter
