"""`weft bench` at the door."""

import json

from door import Weft, weft


def trace(*steps: tuple[str, float, list[str]]) -> str:
    """A recorded workflow (WfFormat 1.5) of these steps: name, seconds, what it needs."""
    tasks = [
        {"name": name, "id": name, "parents": needs, "children": [other for other, _, of in steps if name in of]}
        for name, _, needs in steps
    ]
    ran = [{"id": name, "runtimeInSeconds": seconds} for name, seconds, _ in steps]
    workflow = {"specification": {"tasks": tasks}, "execution": {"makespanInSeconds": 1, "executedAt": "", "tasks": ran}}
    return json.dumps({"name": "t", "schemaVersion": "1.5", "workflow": workflow})


def test_without_words_it_says_what_there_is(weft: Weft) -> None:
    assert [line.split()[0] for line in weft("bench").out.splitlines()] == ["schedule", "replay"]
    assert set(json.loads(weft("bench", "--json").out)) == {"schedule", "replay"}
    assert "there is no bench `speed`" in weft("bench", "speed", code=2).err
    assert "needs something to measure" in weft("bench", "replay", code=2).err


def test_the_order_is_measured_on_a_trace(weft: Weft) -> None:
    weft.write("fork.json", trace(("a", 1.0, []), ("b", 5.0, ["a"]), ("c", 5.0, ["a"]), ("d", 1.0, ["b", "c"])))
    figures = json.loads(weft("bench", "schedule", "fork.json", "--json").out)
    assert [row["places"] for row in figures["traces"]] == [4, 16, 64]
    assert all(row["second"] == row["first"] == row["over_proved"] == 1.0 for row in figures["traces"])
    lines = weft("bench", "schedule", "fork.json").out.splitlines()
    assert lines[2].startswith("| fork | 4 | 4 | 1.000 |")
    assert lines[-1].startswith("| all traces | 64 | 1.000 |")


def test_what_tells_no_durations_is_refused(weft: Weft) -> None:
    weft.write("w.yaml", "steps: { a: { run: echo } }\n")
    assert "is not a recorded workflow" in weft("bench", "schedule", "w.yaml", code=2).err
    (weft.folder / "empty").mkdir()
    assert "there is no *.json.xz in `empty`" in weft("bench", "schedule", "empty", code=2).err


def test_a_run_and_a_trace_are_replayed(weft: Weft) -> None:
    weft.write("t.json", trace(("a", 2.0, []), ("b", 1.0, ["a"])))
    weft.write("w.yaml", "steps: { a: { sleep: 0.01 }, b: { sleep: 0.01, needs: a } }\n")
    weft("run", "w.yaml")
    run, file, native = json.loads(weft("bench", "replay", "@", "t.json", "w.yaml", "--time-scale", "0.01", "--json").out)
    assert (run["attempts"], file["attempts"], native["attempts"]) == (2, 2, 2)
    assert file["scale"] == 0.01
    assert file["replayed_s"] >= 0.03
    assert len(weft("bench", "schedule", "t.json", "--real", "--time-scale", "0.01").out.splitlines()) == 4
