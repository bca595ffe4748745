"""`weft run FOLDER`: all workflow files in it, whatever becomes of each."""

import json
import os
import signal

import pytest
from door import Weft, is_fact, read_until, weft

GOOD = """
inputs: { n: { type: integer, default: 1 } }
steps: { a: { run: echo $n, with: { n: "${{ inputs.n }}" } } }
outputs: { n: "${{ steps.a.output }}" }
"""
LUA = "workflow = { steps = { a = { code = 'function run() return 2 end' } } }"


@pytest.fixture
def folder(weft: Weft) -> Weft:
    (weft.folder / "w" / "parts").mkdir(parents=True)
    weft.write("w/parts/z.yaml", GOOD)
    weft.write("w/config.yaml", "execution: { mode: parallel }\n")
    weft.write("w/notes.md", "steps: {}\n")
    weft.write("w/b.weft.yaml", GOOD)
    weft.write("w/c.lua", LUA)
    return weft


def outputs(text: str) -> list[object]:
    """JSON documents, one after the other."""
    found, decoder, at = [], json.JSONDecoder(), 0
    while text[at:].strip():
        value, at = decoder.raw_decode(text, at + len(text[at:]) - len(text[at:].lstrip()))
        found.append(value)
    return found


def test_all_files_are_run_in_the_order_of_their_names(folder: Weft) -> None:
    done = folder("run", "w", "-j", "2")
    assert outputs(done.out) == [{"n": "1"}, {"a": 2}]
    assert "1 of 2: w/b.weft.yaml" in done.err
    assert done.err.endswith("2 of 2 workflows succeeded\n")
    assert len(json.loads(folder("runs", "--json").out)) == 2


def test_a_failure_does_not_stop_the_others_and_the_worst_counts(folder: Weft) -> None:
    folder.write("w/a.yaml", "steps: { a: { run: exit 3 } }\n")
    done = folder("run", "w", "-q", code=1)
    assert outputs(done.out) == [{"n": "1"}, {"a": 2}]
    assert "2 of 3 workflows succeeded, not w/a.yaml (exit code 1)" in done.err
    assert "1 of 3" not in done.err
    folder.write("w/d.json", '{"steps": {"a": {"rn": 1}}}')
    assert "w/d.json (exit code 2)" in folder("run", "w", "-q", code=2).err


def test_flags_and_inputs_are_for_each(folder: Weft) -> None:
    (folder.folder / "w" / "c.lua").unlink()
    done = folder("run", "-vv", "w", "n=7", "--output", "lines", "--schedule=sequential")
    assert outputs(done.out) == [{"n": "7"}]
    assert "process" in done.err
    assert "layer 0" in folder("run", "w", "-n").out
    assert not (folder.folder / "w" / ".weft").exists()
    assert "is not an input" in folder("run", "w", "m=1", code=2).err


def test_a_folder_without_a_workflow(folder: Weft) -> None:
    (folder.folder / "empty").mkdir()
    assert "there is no workflow file in `empty`" in folder("run", "empty", code=2).err
    assert "FILE may be a folder" in folder("run", "empty", "--help").out


def test_ctrl_c_suspends_the_run_and_starts_no_other(folder: Weft) -> None:
    folder.write("w/a.yaml", "steps: { a: { run: sleep 30 } }\n")
    with folder.start("run", "w", "--grace", "0s", "--output", "json") as child:
        read_until(child, is_fact("attempt_spawned"))
        os.killpg(child.pid, signal.SIGINT)
        _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert b"2 of 3" not in said
