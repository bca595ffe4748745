"""What a plan says of reuse, before anything is run."""

import json
from typing import Any

from door import Weft, weft

__all__ = ["weft"]

FLOW = """
inputs: { day: { type: string, default: mon }, n: { type: list, default: [1, 2] } }
steps:
  fetch: { run: 'echo "$day" > day.txt; echo "$day"', with: { day: "${{ inputs.day }}" }, writes: day.txt, reuse: true }
  each: { for_each: "${{ inputs.n }}", as: n, run: 'echo "$n"', with: { n: "${{ n }}" }, reuse: true }
  plain: { run: echo plain, needs: fetch }
  after: { run: 'echo "$x"', with: { x: "${{ steps.fetch.output }}" }, reuse: true }
  last: { run: 'echo "$x"', with: { x: "${{ steps.plain.output }}" }, reuse: true }
  never: { run: echo never, if: "inputs.day == 'sun'", reuse: true }
  inner: { flow: { steps: { part: { run: 'echo part > "$WEFT_OUTPUT"', reuse: true } } }, needs: plain }
  asked: { run: echo asked, gate: before, reuse: true }
"""


def foretold(weft: Weft, *arguments: str) -> dict[str, Any]:
    found = json.loads(weft("plan", "w.yaml", "--json", *arguments).out)["foretold"]
    return {of["step"]: {key: value for key, value in of.items() if value and key != "step"} for of in found}


def test_nothing_has_been_run_yet_and_nothing_is(weft: Weft) -> None:
    weft.write("w.yaml", FLOW)
    told = foretold(weft)
    assert told["fetch"] == {"runs": 1, "why": "it has not succeeded before, as far as is known"}
    assert told["each"]["runs"] == 2
    assert told["after"] == {"waits": 1, "on": ["fetch"]}
    assert told["never"] == {"left": 1}
    assert told["inner/part"] == {"waits": 1, "on": ["plain"]}
    assert told["asked"]["runs"] == 1
    assert sorted(path.name for path in weft.folder.iterdir()) == ["w.yaml"]


def test_what_earlier_runs_have_done(weft: Weft) -> None:
    weft.write("w.yaml", FLOW)
    weft("run", "w.yaml", code=3)
    weft("approve", "@", "asked")
    run = json.loads(weft("runs", "--json").out)[0]["run"]
    told = foretold(weft)
    assert told["fetch"] == told["after"] == told["asked"] == {"reused": 1, "run": run}
    assert told["each"] == {"reused": 2, "run": run}
    assert told["last"] == {"waits": 1, "on": ["plain"]}, "what `plain` will say is not known"
    changed = weft("run", "w.yaml", "day=sun", "n=[1,2,3]", "-n").out
    assert f"runs: since it succeeded in run {run}, `with.day` changed" in changed
    assert f"2 as in run {run}, 1 runs: it has not succeeded before" in changed
    assert "depends on fetch" in changed
    (weft.folder / "day.txt").write_text("other")
    assert "`day.txt`, which it wrote, has changed since" in foretold(weft)["fetch"]["why"]
    assert "the run was started so that it runs in any case" in weft("run", "w.yaml", "-n", "--no-reuse").out


def test_outputs_are_taken_from_an_earlier_run(weft: Weft) -> None:
    weft.write("w.yaml", FLOW)
    weft("run", "w.yaml", code=3)
    told = weft("run", "w.yaml", "-n", "--reuse-from", "@").out
    assert "takes      " in told
    last = next(line for line in told.splitlines() if line.split()[:1] == ["last"])
    assert last.split()[1:4] == ["as", "in", "run"], "`plain` is taken, so its output is known"


def test_inputs_that_are_not_known(weft: Weft) -> None:
    weft.write("w.yaml", "inputs: { day: { type: string } }\nsteps: { a: { run: echo, reuse: true } }")
    assert "reuse          depends on day: weft run FILE day=… -n" in weft("plan", "w.yaml").out
    assert json.loads(weft("plan", "w.yaml", "--json").out)["foretold"] is None
    assert "it has not succeeded before" in weft("run", "w.yaml", "day=mon", "-n").out
    assert "depends on day" in weft("run", "w.yaml", "-n").out
    weft.write("w.yaml", "steps: { a: { run: echo } }")
    assert "reuse" not in weft("plan", "w.yaml").out


def test_what_cannot_be_evaluated_is_left_to_the_run(weft: Weft) -> None:
    weft.write(
        "w.yaml",
        "inputs: { x: { type: mapping, default: {} } }\n"
        "steps:\n"
        "  a: { run: echo, if: inputs.x.y.z, reuse: true }\n"
        "  b: { run: echo, with: { c: '${{ inputs.x.y }}' }, reuse: true }\n",
    )
    told = foretold(weft)
    assert told["a"] == {"left": 1}
    assert told["b"] == {"runs": 1, "why": "its data could not be resolved"}
