"""`weft run` as a user meets it: outputs, exit codes, order, inputs, secrets."""

import re
from typing import Any

import pytest
from door import Weft, weft


def order(facts: list[dict[str, Any]]) -> list[str]:
    """`+step` for a start, `-step` for an end, in order."""
    signs = {"attempt_started": "+", "attempt_ended": "-"}
    return [signs[fact["fact"]] + fact["step"] for fact in facts if fact["fact"] in signs]


def test_hello(weft: Weft) -> None:
    weft.write("hello.weft.yaml", "steps: {a: {run: echo hi}, b: {run: echo ho, needs: a}}")
    done = weft("run", "hello.weft.yaml")
    assert done.out == ""
    assert "succeeded      run" in done.err
    assert "2 steps" in done.err


def test_data_flows_between_kinds(weft: Weft) -> None:
    weft.write(
        "data.weft.yaml",
        """
inputs: { who: { type: string, default: world }, n: { type: integer, default: 2 } }
steps:
  shell: { run: 'echo "hello $who"', with: { who: "${{ inputs.who }}" } }
  lines: { run: [printf, "%s\\n", a b, "${{ steps.shell.output }}"], output: lines }
  python:
    python: |
      def run(lines, n):
          return {"count": len(lines), "times": [lines[-1]] * n}
    with: { lines: "${{ steps.lines.output }}", n: "${{ inputs.n }}" }
  json: { run: 'cat "$WEFT_INPUT"', with: { all: "${{ steps.python.output }}" }, output: json }
  file: { run: 'echo unseen; echo seen > "$WEFT_OUTPUT"', needs: json }
outputs:
  json: "${{ steps.json.output.all }}"
  file: "${{ steps.file.output }}"
  count: "${{ steps.python.output.count }} of 2"
""",
    )
    done = weft("run", "data.weft.yaml", "who=you", "--input", "n=1")
    assert done.outputs == {"json": {"count": 2, "times": ["hello you"]}, "file": "seen", "count": "2 of 2"}


NO_BARRIER = "steps: {a: {sleep: 0.2}, a2: {sleep: 0.2, needs: a}, a3: {sleep: 0.2, needs: a2}, b: {sleep: 0.6}}"


def test_no_layer_barrier(weft: Weft) -> None:
    weft.write("w.yaml", NO_BARRIER)
    seen = order(weft("run", "w.yaml", "--output", "json").facts())
    assert seen.index("+a3") < seen.index("-b")


def test_layers_have_one(weft: Weft) -> None:
    weft.write("w.yaml", NO_BARRIER)
    seen = order(weft("run", "w.yaml", "--output", "json", "--schedule", "layers").facts())
    assert seen.index("-b") < seen.index("+a2")


def test_sequential_is_one_at_a_time_in_file_order(weft: Weft) -> None:
    weft.write("w.yaml", "steps: {z: {run: ':'}, y: {run: ':', needs: x}, x: {run: ':'}}")
    seen = order(weft("run", "w.yaml", "--output", "json", "--schedule", "sequential").facts())
    assert seen == ["+z", "-z", "+x", "-x", "+y", "-y"]


@pytest.mark.parametrize(
    ("steps", "code", "status"),
    [
        ("a: {run: exit 3}, b: {run: ':'}", 1, "failed"),
        ("a: {run: exit 3, on_error: continue}, b: {run: ':', needs: a}", 0, "succeeded_with_errors"),
        ("a: {run: exit 3, on_error: stop}, b: {run: ':', needs: c}, c: {sleep: 30}", 1, "failed"),
        ("a: {run: exit 3, retry: {times: 2, delay: 1ms}, on_error: stop_layer}, b: {sleep: 30}", 1, "failed"),
        ("a: {run: 'sleep 30', timeout: 50ms}", 1, "failed"),
        ("a: {run: ':', if: inputs.x}", 1, "failed"),
    ],
)
def test_exit_codes(weft: Weft, steps: str, code: int, status: str) -> None:
    weft.write("w.yaml", "inputs: {x: {type: any, default: 1}}\nsteps: {" + steps + "}")
    done = weft("run", "w.yaml", "--output", "json", code=code)
    assert done.facts()[-1] == {**done.facts()[-1], "fact": "run_ended", "status": status}


def test_the_same_facts_twice(weft: Weft) -> None:
    """With one slot, two runs differ in times, processes and their name only."""
    steps: dict[str, Any] = {}
    for n in range(12):
        needs = [f"s{m}" for m in range(max(0, n - 3), n)]
        steps[f"s{n}"] = {"run": f"[ $WEFT_ATTEMPT -gt {n % 3} ] || exit 1; echo {n}", "needs": needs}
        steps[f"s{n}"]["retry"] = {"times": 2, "delay": "0s"}
    steps["p"] = {"python": "def run(x): return [x, 1.5, None]", "with": {"x": "${{ steps.s11.output }}"}}
    weft.write("w.json", {"steps": steps, "outputs": {"p": "${{ steps.p.output }}"}})

    def facts() -> list[dict[str, Any]]:
        loose = ("at", "pid", "started", "run", "seed", "until", "cpu_s", "rss_bytes")
        shown = weft("run", "w.json", "--output", "json", "-j", "1").facts()
        return [{key: value for key, value in fact.items() if key not in loose} for fact in shown]

    assert facts() == facts()


def test_inputs_are_listed_by_help(weft: Weft) -> None:
    weft.write("w.yaml", "inputs: {day: {type: string, description: Which day.}}\nsteps: {a: {run: ':'}}")
    shown = weft("run", "w.yaml", "--help").out
    assert "day" in shown
    assert "Which day." in shown


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["dya=x"], "did you mean `day`?"),
        (["day"], "write `name=value`"),
        (["n=x"], "input `n`: `x` is not an integer"),
        (["--max-parallel", "lots"], "`max_parallel` cannot be `lots`"),
        (["--schedul", "layers"], "--schedule"),
    ],
)
def test_bad_usage_runs_nothing(weft: Weft, arguments: list[str], says: str) -> None:
    weft.write("w.yaml", "inputs: {day: {default: x}, n: {type: integer, default: 1}}\nsteps: {a: {run: touch ran}}")
    assert says in weft("run", "w.yaml", *arguments, code=2).err
    assert not (weft.folder / "ran").exists()
    assert not (weft.folder / ".weft").exists()


def test_a_missing_secret_is_refused_before_anything_starts(weft: Weft) -> None:
    weft.write("w.yaml", "secrets: [WEFT_TEST_TOKEN]\nsteps: {a: {run: touch ran, secrets: [WEFT_TEST_TOKEN]}}")
    assert "WEFT_TEST_TOKEN" in weft("run", "w.yaml", code=2).err
    assert not (weft.folder / "ran").exists()


def test_secrets_reach_only_their_steps_and_no_eye(weft: Weft) -> None:
    weft.write(
        "w.yaml",
        """
secrets: [WEFT_TEST_TOKEN]
steps:
  has: { run: 'echo "token $WEFT_TEST_TOKEN"; exit 4', secrets: [WEFT_TEST_TOKEN], on_error: continue }
  none: { run: 'echo "[${WEFT_TEST_TOKEN-unset}]"', needs: has }
  told: { run: 'echo "$WEFT_TEST_TOKEN"', secrets: [WEFT_TEST_TOKEN] }
outputs: { none: "${{ steps.none.output }}" }
""",
    )
    token = {"WEFT_TEST_TOKEN": "correct-horse-battery"}
    done = weft("run", "w.yaml", env=token)
    assert done.outputs == {"none": "[unset]"}
    assert "correct-horse" not in done.err
    assert "token ***" in done.err
    assert "correct-horse" not in weft("logs", "@", env=token).out
    shown = weft("show", "@", "--step", "told", env=token)
    assert "correct-horse" not in shown.out + shown.err


def test_a_dry_run_shows_the_plan(weft: Weft) -> None:
    weft.write("w.yaml", NO_BARRIER)
    done = weft("run", "w.yaml", "--dry-run")
    assert re.search("a .*→ a2 .*→ a3", done.out)
    assert not (weft.folder / ".weft").exists()


def test_no_durability_leaves_nothing(weft: Weft) -> None:
    weft.write("w.yaml", "steps: {a: {run: echo 1, output: json}}\noutputs: {a: '${{ steps.a.output }}'}")
    assert weft("run", "w.yaml", "--durability", "none").outputs == {"a": 1}
    assert not list((weft.folder / ".weft" / "runs").iterdir())


def test_confined_code_opens_what_its_step_declares_and_nothing_else(weft: Weft) -> None:
    (weft.folder / "in [1]").mkdir()
    for name in ("a", "b"):
        (weft.folder / "in [1]" / name).write_text(name)
    weft.write(
        "w.yaml",
        """\
steps:
  copy:
    for_each: [a, b]
    reads: "in [[]1]/${{ item }}"
    writes: "${{ item }}.txt"
    with: { name: "${{ item }}" }
    lua: |
      function run(i)
        local file = io.open(i.name .. ".txt", "w")
        file:write(io.open("in [1]/" .. i.name):read("a"))
        file:close()
        return (select(2, io.open("in [1]/" .. (i.name == "a" and "b" or "a"))))
      end
  read: { js: "function run() { return std.loadFile('../a.txt') + typeof std }", reads: a.txt, needs: copy, cwd: "in [1]" }
  none: { js: "function run() { return typeof std }" }
outputs: { refused: "${{ steps.copy.output }}", read: "${{ steps.read.output }}", none: "${{ steps.none.output }}" }
""",
    )
    why = "in [1]/{}: the step does not declare that it reads this: add it to `reads`"
    found = weft("run", "-q", "w.yaml").outputs
    assert found == {"refused": {"0": why.format("b"), "1": why.format("a")}, "read": "aobject", "none": "undefined"}
