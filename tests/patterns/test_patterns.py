"""Every pattern of the examples does what its comments say, without a network and without a model."""

import json
from pathlib import Path

import pytest
from played import EXAMPLES, PATTERNS, play, weft


def test_every_pattern_is_tested_here() -> None:
    text = Path(__file__).read_text()
    names = [path.name.partition(".")[0] for path in PATTERNS.glob("*.weft.yaml")]
    assert len(names) >= 15
    assert [name for name in names if f'"{name}"' not in text] == []


def test_fan_out_and_aggregate(tmp_path: Path) -> None:
    played = play(tmp_path, "analyses")
    assert played.outputs == {"sentiment": "positive", "entities": ["Acme", "AI"], "summary": "Acme ships AI"}
    assert played.at_once() == 3


def test_partial_failure(tmp_path: Path) -> None:
    played = play(tmp_path, "research")
    assert played.status == "succeeded_with_errors"
    report = played.outputs["report"]
    assert (sorted(report["results"]), report["success_rate"]) == (["experts", "reddit", "youtube"], 0.6)
    assert report["errors"][1] == {"item": "prices", "error": "ConnectionError: prices does not answer"}
    assert (played.outputs["reddit"], played.outputs["amazon"]) == ("kettles, says reddit", "nobody said anything")


def test_a_bound_on_concurrency(tmp_path: Path) -> None:
    played = play(tmp_path, "bounded")
    assert played.outputs == {"answers": 100}
    assert played.at_once() == 10


def test_time_limits(tmp_path: Path) -> None:
    played = play(tmp_path, "timeouts")
    assert played.outputs["done"] == {"quick": "quick is done", "brisk": "brisk is done"}
    assert played.outputs["slow"] == "timeout"


def test_a_rate(tmp_path: Path) -> None:
    played = play(tmp_path, "rate")
    assert played.outputs == {"calls": 12}
    assert len(played.starts("call")) == 13
    assert played.busiest(1.0, "call") <= 10


def test_retry_with_backoff(tmp_path: Path) -> None:
    played = play(tmp_path, "retries")
    assert played.outputs == {"flaky": "attempt 3", "busy": "let in", "wrong": "ValueError: the question makes no sense"}
    assert [len(played.starts(step)) for step in ("flaky", "busy", "wrong")] == [3, 2, 1]
    assert played.gaps_s("busy")[0] >= 0.4, "the server said when to come back"


def test_dynamic_tasks(tmp_path: Path) -> None:
    played = play(tmp_path, "dynamic", "query=looms")
    assert [page["url"] for page in played.outputs["pages"]] == [
        *(f"https://google.example/looms/{number}" for number in range(3)),
        *(f"https://bing.example/looms/{number}" for number in range(2)),
    ]


def test_map_and_reduce(tmp_path: Path) -> None:
    assert play(tmp_path, "map_reduce").outputs == {"most": {"to": 2, "be": 2}}
    assert play(tmp_path, "map_reduce", "text=").outputs == {"most": {}}


def test_priority(tmp_path: Path) -> None:
    played = play(tmp_path, "priority")
    order = [step.partition("[")[0] for step in played.order("attempt_started") if step != "after"]
    assert order == ["urgent"] * 3 + ["normal"] * 3 + ["backlog"] * 4
    (begun,) = played.starts("after")
    ended = [fact for fact in played.of("attempt_ended") if fact["step"].startswith(("urgent", "normal"))]
    assert len(ended) == 6
    assert all(fact["at"] <= begun for fact in ended)


def test_monitoring(tmp_path: Path) -> None:
    played = play(tmp_path, "monitored")
    assert played.status == "succeeded_with_errors"
    shown = json.loads(weft(tmp_path, "show", "@", "--json").stdout)
    told = {step["step"]: (step["run_s"] > 0, step["status"]) for step in shown["steps"]}
    assert told == {
        "first": (True, "succeeded"),
        "second": (True, "failed"),
        "third": (True, "succeeded"),
        "tell": (True, "succeeded"),
    }
    tell = played.of("attempt_ended", "tell")[0]["output"]["inline"]
    assert tell == "the run has succeeded_with_errors, second: exit 3"
    report = weft(tmp_path, "report", "@", "-o", "-").stdout
    assert "what happened" in report


def test_shared_state(tmp_path: Path) -> None:
    played = play(tmp_path, "counter")
    assert played.outputs == {"counter": "5"}
    assert played.at_once("increment") == 1


def test_a_chain(tmp_path: Path) -> None:
    played = play(tmp_path, "chain")
    text = "The warp is held. The weft goes through. The shed opens."
    assert played.outputs == {"title": "On looms", "text": text}
    record = json.loads(weft(tmp_path, "show", "@", "--json").stdout)
    asked = record["steps"][0]
    assert (asked["step"], asked["status"], asked["attempts"], asked["run_s"] > 0) == ("outline", "succeeded", 1, True)
    assert asked["usage"]["tokens_in"] < record["numbers"]["usage"]["tokens_in"]
    one = json.loads(weft(tmp_path, "show", "@", "--step", "outline", "--json").stdout)
    assert one["attempts"][0]["started_at"] < one["attempts"][0]["ended_at"]
    again = play(tmp_path, "chain")
    assert again.outputs == played.outputs
    assert again.order("attempt_started") == ["check"], "what was asked before is not asked again"
    shown = json.loads(weft(tmp_path, "show", "@", "--json").stdout)
    assert [step["status"] for step in shown["steps"]][:4] == ["reused", "reused", "succeeded", "skipped"]
    other = play(tmp_path, "chain", "topic=knots")
    assert other.order("attempt_started") == ["outline", "check"], "the outline is the same, so the draft is too"


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ('{"route": "billing", "confidence": 0.9}', "the bill is explained"),
        ('{"route": "technical", "confidence": 0.7}', "the fault is found"),
        ('{"route": "technical", "confidence": 0.5}', "somebody will call"),
        ('{"route": "weather", "confidence": 1}', "somebody will call"),
    ],
)
def test_a_router(tmp_path: Path, said: str, answer: str) -> None:
    played = play(tmp_path, "router", f"model=test:{said}")
    assert (played.outputs["answer"], played.status) == (answer, "succeeded")
    assert len(played.starts()) == 3


@pytest.mark.parametrize(("scores", "rounds"), [("[9]", 1), ("[4, 8]", 2), ("[4, 6, 9]", 3), ("[1, 2, 3]", 3)])
def test_a_feedback_loop_ends(tmp_path: Path, scores: str, rounds: int) -> None:
    played = play(tmp_path, "refine", f"scores={scores}")
    assert played.outputs["best"] == {"rounds": rounds, "text": f"draft {rounds - 1}", "score": json.loads(scores)[rounds - 1]}
    assert played.status == "succeeded"


def test_tool_calling(tmp_path: Path) -> None:
    played = play(tmp_path, "react")
    assert played.outputs["answer"] == "It has 360."
    assert [(past["action"], past["said"]) for past in played.outputs["history"]] == [
        ("look_up", "12"),
        ("multiply", "360.0"),
        ("answer", None),
    ]
    known = play(tmp_path, "react", 'thoughts=[{"action": "answer", "input": "Many."}]')
    assert (known.outputs["answer"], len(known.of("attempt_started", "second/"))) == ("Many.", 0)


@pytest.mark.parametrize(
    ("inputs", "error"),
    [
        (["x", "x"], "RecursionError: multiply was asked the same before: x"),
        (["x", "2 x", "2 3"], "TimeoutError: no answer after 3 rounds"),
    ],
)
def test_tool_calling_ends(tmp_path: Path, inputs: list[str], error: str) -> None:
    """A tool that fails is something to think about; the same again is not, and after three rounds it is over."""
    thoughts = [{"action": "multiply", "input": text} for text in inputs]
    played = play(tmp_path, "react", f"thoughts={json.dumps(thoughts)}")
    assert played.status == "failed"
    assert error in [fact["error"]["message"] for fact in played.of("attempt_ended") if "error" in fact]


def test_quotas_by_tier(tmp_path: Path) -> None:
    played = play(tmp_path, "quota")
    assert list(played.outputs["answers"]) == ["a", "b", "d"]
    refused = {key: error["message"] for key, error in played.outputs["refused"].items()}
    assert refused == {
        "c": "QuotaExceeded: ann has 2 requests a day",
        "e": "QuotaExceeded: bob has 2000 tokens a day",
    }
    assert played.outputs["alert"] == "2 of 5 calls were refused"
    assert len(played.starts("ask")) == 3, "who is refused asks nobody"
    again = play(tmp_path, "quota")
    assert again.outputs["answers"] == {}, "the day's quota holds for all runs"
    assert list(play(tmp_path, "quota", "day=2026-02-01").outputs["answers"]) == ["a", "b", "d"]


def test_cascading_fallbacks(tmp_path: Path) -> None:
    assert play(tmp_path, "cascade").outputs["answer"] == "A thread across."
    nobody = play(tmp_path, "cascade", "smaller=nobody:x")
    assert nobody.outputs["answer"] == "Nobody can say just now."
    assert "cannot be reached" in nobody.outputs["why_not_the_best"]
    (tmp_path / "yesterday.txt").write_text("A thread.\n")
    assert play(tmp_path, "cascade", "smaller=nobody:x").outputs["answer"] == "A thread."


def test_a_circuit_breaker(tmp_path: Path) -> None:
    played = play(tmp_path, "breaker")
    assert played.outputs == {"calls": 6}
    assert len(played.starts("call")) == 12
    assert max(played.gaps_s("call")) >= 0.3, "nobody asked while it was open"


def test_manager_and_workers(tmp_path: Path) -> None:
    played = play(tmp_path, "hierarchy")
    assert played.outputs["parts"]["jacquard"] == "jacquard is done"
    assert played.outputs["report"] == "All parts are done."


def test_the_example_of_agents(tmp_path: Path) -> None:
    played = play(tmp_path, EXAMPLES / "agent.weft.yaml")
    assert played.outputs == {"sentiment": "positive", "entities": ["a"], "report": "success (no tool calls)"}
    assert sum(fact["usage"]["tokens_in"] for fact in played.of("attempt_ended")) > 100


def test_the_page_shows_what_is_in_the_files() -> None:
    page = (EXAMPLES.parent / "docs" / "patterns.md").read_text()
    shown = 0
    for part in page.split("```yaml\n")[1:]:
        before = page[: page.index(part)]
        name = before.rpartition("](../examples/patterns/")[2].partition(")")[0]
        lines = part.partition("\n```")[0].split("\n")
        text = (PATTERNS / name).read_text().split("\n")
        assert [line for line in lines if line not in text] == [], name
        shown += 1
    assert shown >= 10
