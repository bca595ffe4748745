"""`show`, `runs` and `why`: what a run, a step, or the list of runs has to say for itself."""

from typing import Any

import msgspec
import pytest
from tale import BEGIN, Golden, Tale, nightly, step, whole_night

from weft.core.facts import Limits
from weft.core.measure import Measure
from weft.core.state import State
from weft.journal.index import RunRow
from weft.model.output import ErrorRecord, Output
from weft.model.workflow import Argv, Pool, Python, Sleep, Step, Workflow
from weft.views import runs, show, why
from weft.views.text import width_painted

RUN = "mupid-takol"


def measured(tale: Tale) -> Measure:
    measure = Measure()
    for fact in tale.facts:
        measure.see(fact)
    return measure


def shown(tale: Tale, width: int = 100) -> str:
    measure = measured(tale)
    return show.render(measure.numbers(), measure.state, run=RUN, color=False, width=width) + "\n"


def shown_step(tale: Tale, step: str) -> str:
    attempts = show.attempts_of(tale.facts, step)
    logs = ".weft/runs/mupid-takol/logs"
    text = show.render_step(
        measured(tale).state, step, attempts, run=RUN, color=False, logs=lambda step, attempt: f"{logs}/{step}.{attempt}"
    )
    return text + "\n"


def json_of(data: object) -> Any:
    """As a program sees it; fails for what is no JSON."""
    return msgspec.json.decode(msgspec.json.encode(data))


# ---- a run ----


def test_an_ended_run(golden: Golden) -> None:
    golden("show_run", shown(whole_night()))


def test_a_run_on_its_way(golden: Golden) -> None:
    tale = Tale(nightly()).fail("lint", 0.5, "exit 3").ok("fetch", 3.5).fail("load", 1.0, "exit 1")
    golden("show_running", shown(tale, width=80))


def test_a_cancelled_run() -> None:
    text = shown(Tale(nightly()).cancel(1.0).stopped("fetch", 0.5).stopped("lint", 0.5))
    assert "the run was cancelled" in text
    assert text.startswith("run mupid-takol: nightly, cancelled, 8 steps in 2s\n")


def test_a_large_run_shows_what_needs_attention() -> None:
    n = 1000
    tale = Tale(Workflow(name="w", steps=tuple(step(f"s{i}") for i in range(n))), limits=Limits(total=3))
    for i in range(n - 5):
        tale.fail(f"s{i}", 0.1) if i == 900 else tale.ok(f"s{i}", 0.1)
    text = shown(tale)
    assert len(text.splitlines()) == show.ROWS_MAX + 5
    assert " s900 " in text.replace("\n", " ")
    assert "… and 800 more (in all: 1 failed, 2 held, 3 running, 994 succeeded); --json has them" in text


def test_run_as_json() -> None:
    measure = measured(whole_night())
    found = json_of(show.as_json(measure.numbers(), measure.state, run=RUN))
    steps = found["steps"]
    assert (found["status"], found["created_at"], found["inputs"]) == ("succeeded_with_errors", BEGIN, {"day": "monday"})
    assert [row["status"] for row in steps][:3] == ["succeeded", "failed", "succeeded"]
    assert steps[1]["error"]["exit_code"] == 3
    assert steps[0]["rss_bytes"] == 64 << 20
    assert found["numbers"]["pools"] == [
        {"pool": "database", "slots": 1, "size": "1 slot", "busy_s": 10.0, "utilisation": pytest.approx(10 / 21.5)}
    ]
    assert found["numbers"]["critical_path"][0] == ["fetch", 4.0]


# ---- a step ----


def test_a_step_with_two_attempts(golden: Golden) -> None:
    tale = whole_night()
    golden("show_step", shown_step(tale, "load"))
    assert "fetch the day" in shown_step(tale, "fetch")
    assert '"rows": 12' in shown_step(tale, "fetch")
    assert shown_step(tale, "lint").endswith("  exit 3\n\n│ a.py:1: too long\n")
    assert "if          inputs.day == 'friday'" in shown_step(tale, "publish")


def test_a_failed_step(golden: Golden) -> None:
    steps = (
        Step(
            id="train",
            action=Python(code="def run():\n" + "    x = 1\n" * 30),
            inputs={"rows": "${{ inputs.rows }}", "deep": {"a": [1, 2]}},
            timeout_s=60.0,
            resources={"gpu": 1},
            on_error="stop",
            needs=("data",),
        ),
        step("data"),
    )
    tale = Tale(Workflow(name="w", steps=steps, resources={"gpu": Pool(slots=1)})).ok("data", 1.0).spawn("train", 77)
    tale.wait(60.0).stopped("train", 2.0)
    golden("show_failed_step", shown_step(tale, "train"))


def test_what_was_stopped_and_has_nothing_to_say_yet() -> None:
    tale = Tale(nightly()).suspend("kill", after=1.0)
    assert "stopped: suspend" in shown_step(tale, "fetch")
    assert tale.stopped("fetch").facts
    assert "suspend" in shown(tale)


def test_a_step_that_never_ran() -> None:
    text = shown_step(whole_night(), "mail")
    assert text.startswith("mail of run mupid-takol: skipped\n  every step that it needs was skipped\n")
    assert "attempt " not in text


@pytest.mark.parametrize(
    ("action", "line"),
    [
        (Argv(argv=("tar", "-c", "a b")), 'run         ["tar","-c","a b"]'),
        (Python(target="package.module:function"), "python      package.module:function"),
        (Sleep(seconds=90.0), "sleep       1m30s"),
    ],
)
def test_actions(action: Argv | Python | Sleep, line: str) -> None:
    assert line in shown_step(Tale(Workflow(name="w", steps=(Step(id="a", action=action),))), "a").splitlines()


@pytest.mark.parametrize(
    ("output", "lines"),
    [
        (Output(form="text", inline=msgspec.Raw(b'"one\\n\\u001b[2Jtwo\\n"')), ["one", "\\x1b[2Jtwo"]),
        (Output(form="lines", inline=msgspec.Raw(b'["one"]')), ["[", '  "one"', "]"]),
        (Output(form="json", inline=msgspec.Raw(b"null")), ["null"]),
        (Output(form="text", inline=msgspec.Raw(msgspec.json.encode("x\n" * 20))), ["x"] * 12 + ["… 8 more lines"]),
        (Output(blob="ab" * 32, size=1 << 20), []),
        (Output(inline=msgspec.Raw(b'"hunter2"'), secret=True), ["(it holds the value of a secret and is not shown)"]),
    ],
)
def test_previews(output: Output, lines: list[str]) -> None:
    assert show.preview(output) == lines


def test_step_as_json() -> None:
    tale = Tale(nightly())
    tale.ok("fetch", 1.0, Output(inline=msgspec.Raw(b'{"rows": 12}'), size=12))
    tale.ok("lint", 1.0, Output(inline=msgspec.Raw(b'"hunter2"'), size=9, secret=True)).fail("load", 1.0, "exit 1")
    state = measured(tale).state

    def found(step: str) -> Any:
        return json_of(show.step_as_json(state, step, show.attempts_of(tale.facts, step), run=RUN))

    (fetched,) = found("fetch")["attempts"]
    assert fetched["output"] == {"form": "json", "size": 12, "secret": False, "blob": "", "value": {"rows": 12}}
    assert "hunter2" not in str(found("lint"))
    (loaded,) = found("load")["attempts"]
    assert (loaded["outcome"], loaded["error"]["message"], loaded["again_at"]) == ("failed", "exit 1", tale.now + 2.0)
    assert found("load")["needed_by"] == ["publish", "report"]
    assert found("load")["why"]["status"] == "backing_off"


def test_attempts_that_were_lost() -> None:
    tale = Tale(nightly()).wait(1.0).resume(60.0)
    assert [(attempt.attempt, attempt.outcome) for attempt in show.attempts_of(tale.facts, "fetch")] == [
        (1, "lost"),
        (2, "running"),
    ]


# ---- the list of runs ----


def rows() -> list[RunRow]:
    at = BEGIN
    return [
        RunRow(run="bakil-gonut", workflow="nightly", created_at=at, steps=8, succeeded=3, alive=True),
        RunRow(run="dofin-lamop", workflow="nightly", created_at=at - 60, steps=8, succeeded=3, makespan_s=12.0),
        RunRow(run="gajup-mirol", workflow="nightly", status="suspended", created_at=at - 90, steps=8, makespan_s=70.0),
        RunRow(
            run="hutan-sivok",
            workflow="an_import_with_a_very_long_name_that_has_to_give_way",
            status="failed",
            created_at=at - 9e5,
            ended_at=at,
            steps=12_000,
            succeeded=11_000,
            failed=20,
            skipped=980,
            makespan_s=4000.0,
        ),
        RunRow(run="zulik-borat", damage="fact 7: its checksum is wrong"),
    ]


def test_the_list_of_runs(golden: Golden) -> None:
    text = runs.render(rows(), color=False)
    golden("runs", text + "\n")
    assert all(width_painted(line) <= 100 for line in text.splitlines())
    assert "\x1b[" in runs.render(rows(), color=True)


def test_no_runs_and_too_many() -> None:
    assert runs.render([], color=False) == "no runs yet: `weft run FILE` makes one"
    assert runs.render(rows()[:1] * 60, color=False).splitlines()[-1] == "… and 10 older runs: --json lists all"


def test_runs_as_json() -> None:
    found = json_of(runs.as_json(rows()))
    assert set(found[0]) == set(RunRow.__struct_fields__)
    assert found[4]["damage"] == "fact 7: its checksum is wrong"


# ---- why ----


def chain(state: State, step: str, now: float = 0.0) -> str:
    return why.render_step(state, step, now=now, color=False)


def test_why_a_step_waits_goes_down_to_what_runs(golden: Golden) -> None:
    tale = Tale(nightly()).spawn("fetch", 4711)
    golden("why_waiting", chain(tale.state, "mail") + "\n")
    tale.ok("lint", 1.0).ok("fetch", 3.0)
    assert chain(tale.state, "index") == "index is held: it asks for 1 of pool `database`, 0 free; held by `load`"
    tale.fail("load", 1.0)
    assert chain(tale.state, "load", tale.now + 0.5) == (
        "load is backing off: attempt 1 failed; it waits before the next, 2 left (until in 1.5s)"
    )
    assert chain(tale.state, "index", tale.now) == "index is running: attempt 1 runs (timeout in 1m)"
    assert chain(whole_night().state, "mail") == "mail was skipped: every step that it needs was skipped"
    assert chain(whole_night().state, "lint").startswith("lint failed: ")


def test_a_long_chain_is_shortened(golden: Golden) -> None:
    steps = [step("s0")] + [step(f"s{n}", f"s{n - 1}") for n in range(1, 100)]
    tale = Tale(Workflow(name="w", steps=tuple(steps)))
    golden("why_long", chain(tale.state, "s99") + "\n")
    found = why.step_as_json(tale.state, "s99")
    assert [link["step"] for link in found["chain"]] == [f"s{n}" for n in range(98, -1, -1)]


def test_why_layers_wait() -> None:
    steps = (step("a"), step("b"), step("c", "a"))
    tale = Tale(Workflow(name="w", steps=steps, schedule="layers")).ok("a", 1.0)
    assert chain(tale.state, "c").splitlines()[-1] == "  b is running: attempt 1 runs"


def reason(tale: Tale) -> str:
    return why.render_run(measured(tale).state, run=RUN, now=tale.now, color=False)


def test_what_a_run_waits_for(golden: Golden) -> None:
    golden("why_run", reason(Tale(nightly()).fail("lint", 0.5, "exit 3").ok("fetch", 3.5)) + "\n")
    suspended = reason(Tale(nightly()).suspend("kill", after=1.0).stopped("fetch").stopped("lint"))
    assert suspended.startswith("run mupid-takol is suspended: 0 of 8 steps done")


def test_why_a_run_ended_as_it_did() -> None:
    assert reason(whole_night()) == ("run mupid-takol succeeded with errors: lint failed with `on_error: continue`")
    assert reason(Tale(Workflow(name="w", steps=(step("a"),))).ok("a")) == "run mupid-takol succeeded: no step failed"
    both = Tale(Workflow(name="w", steps=(step("a"), step("b")))).fail("a", 1.0, "exit 7").fail("b")
    assert reason(both) == "run mupid-takol failed: `a` failed (exit 7); so did b"
    cancelled = Tale(nightly()).cancel(1.0, "wrong day").stopped("fetch").stopped("lint")
    assert reason(cancelled) == "run mupid-takol was cancelled: ann asked for it: wrong day"
    outputs = Tale(
        Workflow(name="w", steps=(step("a"),), outputs={"x": "${{ steps.a.output.x }}"}),
        outputs=ErrorRecord(kind="input", message="no such path"),
    ).ok("a")
    assert reason(outputs) == "run mupid-takol failed: its outputs could not be evaluated: no such path"


def test_a_run_that_lost_its_engine() -> None:
    measure = measured(Tale(nightly()))
    said = "weft resume mupid-takol goes on"
    assert said in show.render(measure.numbers(), measure.state, run=RUN, color=False, alive=False)
    assert said in why.render_run(measure.state, run=RUN, now=BEGIN, color=False, alive=False)
    assert show.as_json(measure.numbers(), measure.state, run=RUN, alive=False)["alive"] is False
    assert why.run_as_json(measure.state, run=RUN, alive=False)["alive"] is False


def test_why_a_run_as_json() -> None:
    tale = Tale(nightly()).ok("fetch", 1.0).fail("load", 1.0)
    found = json_of(why.run_as_json(tale.state, run=RUN))
    assert (found["status"], found["done"], found["steps"]) == ("running", 1, 8)
    assert [link["step"] for link in found["running"]] == ["lint", "index"]
    assert [link["step"] for link in found["backing_off"]] == ["load"]
    assert (found["held"], found["stopping"], found["failed"]) == ([], [], [])
