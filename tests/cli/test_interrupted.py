"""Steps that must not run twice, for real: their engine is killed, and people answer, with and without another engine."""

import json

import pytest
from door import Weft, is_fact, read_until, weft

__all__ = ["weft"]

PAY = """
steps:
  pay:
    run: |
      echo "paying" >> payments.txt
      if test "$WEFT_ATTEMPT" = 1; then kill -9 $PPID; sleep 60; fi
      echo paid
    rerun: RERUN
    fallback: { run: echo "not paid" }
  other: { run: "exit 3", needs: pay, if: "${{ steps.pay.output == null }}" }
outputs: { pay: "${{ steps.pay.output }}" }
"""


def killed(weft: Weft, rerun: str = "ask") -> None:
    weft.write("w.yaml", PAY.replace("RERUN", rerun))
    weft("run", "w.yaml", code=-9)


def waiting(weft: Weft, rerun: str = "ask") -> str:
    """A run that has nothing left to do but to be told; what was asked."""
    killed(weft, rerun)
    return weft("resume", code=3).err


def payments(weft: Weft) -> int:
    return (weft.folder / "payments.txt").read_text().count("paying")


def test_approve_lets_it_run_again(weft: Weft) -> None:
    asked = waiting(weft)
    assert "? pay  interrupted, attempt 1 was lost: may it run again?" in asked
    assert weft("approve", "--reason", "the bank says so").outputs == {"pay": "paid"}
    assert payments(weft) == 2
    again = weft("approve", "@", "pay", code=2)
    assert "has been answered" in again.err
    assert "let it run again: the bank says so" in again.err


def test_done_means_that_it_need_not(weft: Weft) -> None:
    waiting(weft)
    weft("approve", "@", "pay", "--done", code=1)  # `other` runs, and fails
    assert json.loads(weft("show", "--json").out)["status"] == "failed"
    assert payments(weft) == 1
    assert "said that its work is done" in weft("why", "@", "pay").out


def test_reject_gives_it_up(weft: Weft) -> None:
    waiting(weft)
    assert weft("reject", "--reason", "lost").outputs == {"pay": "not paid"}
    assert "gave it up: lost" in weft("why", "@", "pay").out


def test_it_can_be_answered_before_anybody_resumes(weft: Weft) -> None:
    killed(weft)
    assert "weft approve" in weft("why").out
    assert weft("approve", "@", "pay", "--record").out == ""
    assert weft("resume").outputs == {"pay": "paid"}


def test_a_living_engine_takes_the_answer(weft: Weft) -> None:
    killed(weft)
    engine = weft.start("resume", "--wait", "--output", "json")
    read_until(engine, is_fact("step_interrupted", step="pay"))
    answers = [weft.start("approve", "@", "pay", "--reason", f"number {n}") for n in range(3)]
    told = [answer.communicate(timeout=60)[1].decode() for answer in answers]
    assert sorted(answer.returncode for answer in answers) == [0, 2, 2], told
    winner = [answer.returncode for answer in answers].index(0)
    assert "may run again; its engine goes on" in told[winner]
    assert all("has been answered" in err for n, err in enumerate(told) if n != winner)
    out, _ = engine.communicate(timeout=60)
    assert json.loads(out.splitlines()[-1])["outputs"] == {"pay": "paid"}
    assert payments(weft) == 2


def test_retry_lets_it_run_again(weft: Weft) -> None:
    waiting(weft)
    assert weft("retry").outputs == {"pay": "paid"}


def test_never_means_that_a_person_decides_what_it_came_to(weft: Weft) -> None:
    assert "is its work done?" in waiting(weft, "never")
    for verb in ("approve", "retry"):
        refused = weft(verb, code=2)
        assert "says `rerun: never`" in refused.err
        assert "--done` says that its work is done" in refused.err
    assert "says `rerun: never`" in weft("resume", "--again", "pay", code=2).err
    assert weft("resume", "--give-up", "pay").outputs == {"pay": "not paid"}


def test_what_is_asked_can_be_listed(weft: Weft) -> None:
    weft.write(
        "w.yaml",
        "steps: { a: { approve: First? }, b: { approve: Second? }, pay: { run: 'kill -9 $PPID; sleep 60', rerun: ask } }",
    )
    weft("run", "w.yaml", code=-9)
    weft("resume", code=3)
    asked = json.loads(weft("approve", "--list", "--json").out)
    assert asked["status"] == "waiting"
    assert [(of["kind"], of.get("gate") or of["step"]) for of in asked["asked"]] == [
        ("gate", "a"),
        ("gate", "b"),
        ("interrupted", "pay"),
    ]
    assert weft("reject", "--list").out.count("? ") == 3
    assert "3 things are asked; say which" in weft("approve", code=2).err
    assert weft("approve", "--json", code=2).out == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["approve", "@", "pay", "--form", "a=b"], "`pay` is an interrupted step, and --form is said at gates"),
        (["approve", "@", "a", "--done"], "`a` is no interrupted step"),
        (["resume", "--again", "pay", "--done", "pay"], "`pay` is named twice"),
        (["resume", "--again", "a"], "step `a` is not interrupted; `pay` is"),
    ],
)
def test_what_does_not_fit(weft: Weft, arguments: list[str], says: str) -> None:
    weft.write("w.yaml", "steps: { a: { approve: Yes? }, pay: { run: 'kill -9 $PPID; sleep 60', rerun: ask } }")
    weft("run", "w.yaml", code=-9)
    assert says in weft(*arguments, code=2).err
