"""Gates for real: processes that ask, wait, die and answer."""

import json
import os
import signal

import pytest
from door import Weft, is_fact, read_until, weft

__all__ = ["weft"]

REVIEW = """
steps:
  count: { run: echo 42 }
  review:
    approve:
      message: Publish ${{ steps.count.output }} rows?
      form: { channel: { choices: [web, mail], default: web }, copies: { type: integer, default: 1 } }
  publish:
    run: echo "$channel $copies"
    with: { channel: "${{ steps.review.output.form.channel }}", copies: "${{ steps.review.output.form.copies }}" }
outputs: { published: "${{ steps.publish.output }}" }
"""


def run_of(weft: Weft) -> str:
    (run,) = (weft.folder / ".weft" / "runs").iterdir()
    return run.name


def test_a_run_waits_with_exit_code_3_and_goes_on_where_it_is_answered(weft: Weft) -> None:
    weft.write("w.yaml", REVIEW)
    done = weft("run", "w.yaml", code=3)
    assert "Publish 42 rows?" in done.err
    assert f"weft approve {run_of(weft)} review" in done.err
    assert json.loads(weft("runs", "--json").out)[0]["status"] == "waiting"
    assert weft("resume", code=3).out == ""
    answered = weft("approve", "@", "review", "--form", "channel=mail", "--form", "copies=2", "--reason", "fine")
    assert answered.outputs == {"published": "mail 2"}
    (gate,) = json.loads(weft("show", "--json").out)["gates"]
    assert gate["answer"]["reason"] == "fine"
    assert "approved it: fine" in weft("why", "@", "review").out


def test_a_rejected_run_is_cancelled(weft: Weft) -> None:
    weft.write("w.yaml", REVIEW)
    weft("run", "w.yaml", code=3)
    weft("reject", "--reason", "too few", code=4)
    assert "approved" not in weft("why", "@", "review").out
    again = weft("approve", "@", "review", code=2)
    assert "rejected it: too few" in again.err
    assert "has ended (cancelled); nothing is asked any more" in weft("approve", code=2).err


def test_an_answer_that_does_not_fit_changes_nothing(weft: Weft) -> None:
    weft.write("w.yaml", REVIEW)
    weft("run", "w.yaml", code=3)
    assert "is not an integer" in weft("approve", "--form", "copies=many", code=2).err
    assert "is none of" in weft("approve", "--form", "channel=post", code=2).err
    assert "did you mean `review`" in weft("approve", "@", "reviev", code=2).err
    weft("approve")


ANSWERED = """
steps:
  judge: { run: 'echo "$said"', with: { said: '%s' }, output: json, on_error: continue }
  act:
    run: echo "$day"
    with: { day: monday }
    gate: { message: today?, answer: "${{ steps.judge.output }}", on_timeout: approve }
  more: { run: echo more, needs: act }
outputs: { act: "${{ steps.act.output }}", more: "${{ steps.more.output }}" }
"""


@pytest.mark.parametrize(
    ("said", "code", "outputs", "reason"),
    [
        ({"decision": "modify", "arguments": {"day": "$(x)"}}, 0, {"act": "$(x)", "more": "more"}, ""),
        ({"decision": "approve", "skip": ["more"]}, 0, {"act": "monday", "more": None}, ""),
        ({"decision": "reject", "reason": "no"}, 4, {"act": None, "more": None}, "no"),
        (None, 0, {"act": "monday", "more": "more"}, "there is no answer"),
        ([], 0, {"act": "monday", "more": "more"}, "this is no answer: Expected `object`, got `array`"),
        ("", 0, {"act": "monday", "more": "more"}, "there is no answer (the output is empty"),
        (
            {"decision": "approve", "tasks": [{"id": "x", "tool": "a:b"}]},
            0,
            {"act": "monday", "more": "more"},
            "the run has no server `a`",
        ),
    ],
)
def test_a_step_can_give_the_answer(weft: Weft, said: object, code: int, outputs: dict[str, str | None], reason: str) -> None:
    """What a person could have said; what is none is silence. Nobody is waited for."""
    weft.write("w.yaml", ANSWERED % ("" if said == "" else json.dumps(said)))
    plan = weft("plan", "w.yaml").out
    assert "gate with its own answer, else approve" in plan
    assert "for a person" not in plan
    assert weft("run", "w.yaml", code=code).outputs == outputs
    (gate,) = json.loads(weft("show", "--json").out)["gates"]
    assert gate["answer"]["by"] == "judge"
    assert gate["answer"]["answer"] == ("reject" if code else "approve")
    assert gate["answer"]["reason"].startswith(reason)


def test_other_steps_are_left_out_and_added_at_any_gate(weft: Weft) -> None:
    weft.write(
        "w.yaml", "steps: { a: { run: echo a, gate: before }, b: { run: echo b, needs: a }, c: { run: sleep 0, needs: b } }"
    )
    weft.write("more.yaml", 'steps: { x: { run: echo "$a", with: { a: "${{ steps.a.output }}" } } }')
    weft("run", "w.yaml", code=3)
    assert "`zz`" in weft("approve", "--skip", "zz", code=2).err
    weft("approve", "--skip", "b", "--inject", "more.yaml")
    steps = {step["step"]: step["status"] for step in json.loads(weft("show", "--json").out)["steps"]}
    assert steps == {"a": "succeeded", "b": "skipped", "c": "skipped", "x": "succeeded"}


def test_a_changed_value_is_used_also_after_the_engine_died(weft: Weft) -> None:
    weft.write(
        "w.yaml",
        'steps: { a: { run: echo "$day", with: { day: "2026" }, gate: before } }\noutputs: { a: "${{ steps.a.output }}" }',
    )
    weft("run", "w.yaml", code=3)
    assert "did you mean `day`" in weft("approve", "--with", "dya=1", code=2).err
    weft("approve", "--with", "day=${{ inputs.x }}", "--record")
    assert weft("resume").outputs == {"a": "${{ inputs.x }}"}


def test_a_gate_survives_the_death_of_its_engine(weft: Weft) -> None:
    weft.write("w.yaml", REVIEW)
    engine = weft.start("run", "w.yaml", "--wait", "--output", "json")
    read_until(engine, is_fact("gate_opened", gate="review"))
    os.killpg(engine.pid, signal.SIGKILL)
    engine.communicate()
    assert weft("approve").outputs == {"published": "web 1"}


def test_a_living_engine_takes_the_answer(weft: Weft) -> None:
    weft.write("w.yaml", REVIEW)
    engine = weft.start("run", "w.yaml", "--wait", "--output", "json")
    read_until(engine, is_fact("gate_opened", gate="review"))
    assert "its engine goes on" in weft("approve", run_of(weft), "review").err
    out, _ = engine.communicate(timeout=60)
    assert json.loads(out.splitlines()[-1])["outputs"] == {"published": "web 1"}
    assert "approved it" in weft("reject", "@", "review", code=2).err


@pytest.mark.parametrize("living", [True, False], ids=["with an engine", "without one"])
def test_of_many_answers_at_once_exactly_one_counts(weft: Weft, living: bool) -> None:
    weft.write("w.yaml", REVIEW)
    engine = None
    if living:
        engine = weft.start("run", "w.yaml", "--wait", "--output", "json")
        read_until(engine, is_fact("gate_opened", gate="review"))
    else:
        weft("run", "w.yaml", code=3)
    answers = [weft.start("approve", "@", "review", "--reason", f"number {n}", "--output", "quiet") for n in range(4)]
    told = [answer.communicate(timeout=60) for answer in answers]
    codes = [answer.returncode for answer in answers]
    assert sorted(codes) == [0, 2, 2, 2], told
    winner = codes.index(0)
    assert all(f"number {winner}".encode() in err for n, (_, err) in enumerate(told) if n != winner)
    if engine:
        engine.communicate(timeout=60)
    (gate,) = json.loads(weft("show", "--json").out)["gates"]
    assert gate["answer"]["reason"] == f"number {winner}"


def test_silence_while_nobody_lives(weft: Weft) -> None:
    weft.write(
        "w.yaml", "steps: { a: { approve: { message: Yes?, timeout: 10ms, on_timeout: approve } }, b: { run: 'true', needs: a } }"
    )
    weft("run", "w.yaml", code=None)
    late = weft("reject", "@", "a", code=2)
    assert "is over" in late.err or "its timeout approved it" in late.err
    weft("resume", code=None)
    assert "its timeout approved it" in weft("why", "@", "a").out


LAYERS = """
gates: each-layer
steps: { a: { run: echo 1 }, b: { run: echo 2, needs: a }, c: { run: echo 3, needs: b } }
outputs: { c: "${{ steps.c.output }}" }
"""


def test_layers_are_left_out_and_added(weft: Weft) -> None:
    weft.write("w.yaml", LAYERS)
    done = weft("run", "w.yaml", code=3)
    assert "layer 0 is done" in done.err
    weft.write("more.yaml", 'steps: { n: { python: "def run(x): return x + x", with: { x: "${{ steps.a.output }}" } } }')
    weft("approve", "--inject", "more.yaml", "--skip", "b", code=3)
    assert json.loads(weft("show", "--json").out)["steps"][3]["status"] == "succeeded"
    assert weft("approve").outputs == {"c": None}


def test_what_is_injected_is_checked_like_any_file(weft: Weft) -> None:
    weft.write("w.yaml", LAYERS)
    weft("run", "w.yaml", code=3)
    weft.write("bad.yaml", "steps: { a: { run: 'true' }, m: { run: 'true', needs: bb } }")
    refused = weft("approve", "--inject", "bad.yaml", code=2)
    assert "error[W119]" in refused.err
    assert "error[W301]" in refused.err
    weft.write("more.yaml", "timeout: 1h\nsteps: { m: { run: 'true' } }")
    assert "nothing that speaks of a run" in weft("approve", "--inject", "more.yaml", code=2).err
    weft("reject", code=4)


def test_secrets_are_not_shown(weft: Weft) -> None:
    weft.write(
        "w.yaml",
        "secrets: [TOKEN]\nsteps: { a: { run: 'echo \"$TOKEN\"', secrets: [TOKEN] }, "
        'b: { approve: { message: "Use ${{ steps.a.output }}?", show: ["${{ steps.a.output }}"] } } }',
    )
    done = weft("run", "w.yaml", code=3, env={"TOKEN": "hunter2hunter2"})
    assert "hunter2" not in done.err
    assert "hunter2" not in weft("show", "--json").out


def test_without_a_journal_nobody_can_answer(weft: Weft) -> None:
    weft.write("w.yaml", REVIEW)
    assert "keeps none" in weft("run", "w.yaml", "--durability", "none", code=2).err


def test_names_of_open_gates_are_completed(weft: Weft) -> None:
    weft.write("w.yaml", REVIEW)
    weft("run", "w.yaml", code=3)
    offered = weft("completion", "bash", "--line", f"weft approve {run_of(weft)} ").out
    assert offered.split("\t")[:2] == ["word", "review"]


def test_finally_asks_before_the_run_ends(weft: Weft) -> None:
    weft.write(
        "w.yaml",
        "steps: { a: { run: exit 3 } }\n"
        'finally: { ask: { approve: "It has ${{ run.status }}. Tell them?" }, b: { run: echo, gate: before } }',
    )
    assert "It has failed. Tell them?" in weft("run", "w.yaml", code=3).err
    weft("approve", "@", "ask", code=3)
    assert "is cancelled: it had no engine and is closed" in weft("cancel").err
    weft("run", "w.yaml", code=3)
    weft("approve", "@", "ask", code=3)
    weft("approve", "@", "b", code=1)


def test_a_cancelled_run_may_still_ask(weft: Weft) -> None:
    weft.write("w.yaml", "steps: { a: { approve: Go? } }\nfinally: { ask: { approve: Clean up? } }")
    weft("run", "w.yaml", code=3)
    assert "its `finally` is waiting" in weft("cancel").err
    weft("approve", "@", "ask", code=4)
