"""The pitfalls of running agents in parallel, each of which weft does not have: measured from the facts of real runs."""

import json
import sys
from pathlib import Path

import pytest
from played import PATTERNS, Played, play, weft

sys.path.append(str(Path(__file__).parents[1] / "runners"))
from model_server import ASKED, models_at

SOURCES = ["amazon", "reddit", "youtube", "prices", "experts"]


# ---- 1. race conditions: tasks modify shared state ----


def test_updates_of_shared_state_are_not_lost_and_the_race_is_told(tmp_path: Path) -> None:
    played = play(tmp_path, "counter")
    assert played.outputs["counter"] == "5"
    told = json.loads(weft(tmp_path, "check", str(PATTERNS / "counter.weft.yaml"), "--json").stdout)
    assert [(problem["code"], problem["severity"]) for problem in told] == [("W501", "warning")]
    assert "the instances of `increment` race" in told[0]["message"]


def test_two_tasks_that_write_one_file_take_turns(tmp_path: Path) -> None:
    played = play(
        tmp_path,
        "steps:\n"
        "  a: { run: 'sleep 0.1; echo a >> log', writes: log }\n"
        "  b: { run: 'sleep 0.1; echo b >> log', writes: log }\n"
        "  c: { run: sleep 0.1 }\n",
    )
    spans = {step: (played.starts(step)[0], next(fact["at"] for fact in played.of("attempt_ended", step))) for step in ("a", "b")}
    assert spans["a"][1] <= spans["b"][0] or spans["b"][1] <= spans["a"][0]


# ---- 2. ignoring partial failures: one fails, all results are thrown away or move ----


@pytest.mark.parametrize("down", [["amazon"], ["experts"], ["amazon", "reddit"], ["reddit", "prices", "experts"], SOURCES, []])
def test_a_failure_moves_no_result(tmp_path: Path, down: list[str]) -> None:
    played = play(tmp_path, "research", f"down={json.dumps(down)}")
    report = played.outputs["report"]
    assert report["results"] == {source: f"kettles, says {source}" for source in SOURCES if source not in down}
    assert {told["item"] for told in report["errors"]} == set(down)
    assert report["success_rate"] == pytest.approx(1 - len(down) / 5)
    for source in ("reddit", "amazon"):
        expected = "nobody said anything" if source in down else f"kettles, says {source}"
        assert played.outputs[source] == expected


GATHER = (
    "steps:\n"
    "  one: { run: echo 1 }\n"
    "  two: { run: 'echo broken >&2; exit 3' }\n"
    "  three: { run: sleep 0.1; echo 3 }\n"
    "outputs: { one: '${{ steps.one.output }}', three: '${{ steps.three.output }}' }\n"
)


def test_a_failure_throws_nothing_away_and_stops_nobody(tmp_path: Path) -> None:
    played = play(tmp_path, GATHER)
    assert played.outputs == {"one": "1", "three": "3"}
    assert sorted(played.order("attempt_started")) == ["one", "three", "two"]


def test_a_failure_is_never_swallowed(tmp_path: Path) -> None:
    played = play(tmp_path, GATHER)
    assert (played.code, played.status) == (1, "failed")
    told = weft(tmp_path, "show", "@").stdout
    assert "two" in told
    assert "exit 3" in told
    forgiven = play(tmp_path, GATHER.replace("exit 3' }", "exit 3', on_error: continue }"))
    assert (forgiven.code, forgiven.status) == (0, "succeeded_with_errors")


# ---- 3. overwhelming what is called ----


def test_there_is_no_unbounded_concurrency(tmp_path: Path) -> None:
    played = play(tmp_path, "bounded", "calls=60")
    assert played.at_once() <= 10
    default = play(tmp_path, "steps:\n  call: { for_each: '${{ range(400) }}', sleep: 20ms }\n")
    assert default.at_once() == 256, "without any pool, what only waits is bounded too"


def test_a_rate_is_never_exceeded(tmp_path: Path) -> None:
    played = play(
        tmp_path,
        "resources: { api: { rate: 20/s, burst: 5 } }\n"
        "steps:\n  call: { for_each: '${{ range(30) }}', sleep: 1ms, resources: { api: 1 } }\n",
    )
    assert len(played.starts()) == 30
    assert played.busiest(0.5) <= 5 + 10, "the burst, and what the rate gives in the meantime"
    assert played.busiest(0.01) <= 6


def test_further_attempts_count_towards_the_rate(tmp_path: Path) -> None:
    played = play(
        tmp_path,
        "resources: { api: { rate: 20/s } }\n"
        "steps:\n"
        "  call:\n"
        "    for_each: '${{ range(6) }}'\n"
        "    run: test $WEFT_ATTEMPT -gt 2\n"
        "    retry: { times: 2, delay: 0s }\n"
        "    resources: { api: 1 }\n",
    )
    assert len(played.starts()) == 18
    assert min(played.gaps_s()) >= 0.05 * 0.99


def test_a_server_that_is_busy_is_left_alone(tmp_path: Path) -> None:
    """A server's 429 shrinks an adaptive pool, and one that is down opens a breaker."""
    env = {"OPENAI_BASE_URL": models_at()}
    step = "agent: { prompt: hi, model: 'openai:full' }, retry: { times: 3, delay: 10ms }, resources: { model: 1 }"
    played = play(
        tmp_path,
        f"resources: {{ model: {{ slots: 8, adaptive: true }} }}\nsteps: {{ a: {{ {step} }}, b: {{ {step} }} }}\n",
        env=env,
    )
    shrunk = played.of("pool_resized")
    assert shrunk
    assert min(fact["slots"] for fact in shrunk) < 8
    asked = len(ASKED)
    down = step.replace("openai:full", "openai:down")
    played = play(
        tmp_path,
        "resources: { model: { breaker: { failures: 2, cooldown: 200ms } } }\n"
        f"steps: {{ a: {{ {down} }}, b: {{ {down} }} }}\n",
        env=env,
    )
    assert max(played.gaps_s()) >= 0.2
    assert len(ASKED) - asked == len(played.starts())


def test_retries_are_not_multiplied(tmp_path: Path) -> None:
    """Three attempts are three requests: neither the library nor its client tries again by itself."""
    asked = len(ASKED)
    played = play(
        tmp_path,
        "steps:\n  a: { agent: { prompt: hi, model: 'openai:down' }, retry: { times: 2, delay: 10ms } }\n",
        env={"OPENAI_BASE_URL": models_at()},
    )
    assert (len(played.starts()), len(ASKED) - asked) == (3, 3)


# ---- 4. no timeout: one slow task blocks everything ----


def test_one_slow_task_blocks_nobody(tmp_path: Path) -> None:
    played = play(tmp_path, "timeouts")
    (slow,) = played.of("attempt_ended", "task[slow]")
    others = [fact["at"] for fact in played.of("attempt_ended") if fact["step"] != "task[slow]"]
    assert len(others) == 4
    assert max(others) < slow["at"], "those who follow the quick ones had ended before the slow one did"
    assert slow["error"]["kind"] == "timeout"


def test_what_is_ended_by_a_timeout_is_dead(tmp_path: Path) -> None:
    play(
        tmp_path,
        "steps:\n  a: { run: 'sleep 60 & echo $! > pid; wait', timeout: 200ms }\n  b: { run: echo b, needs: a, if: always() }\n",
    )
    pid = (tmp_path / "pid").read_text().strip()
    stat = Path(f"/proc/{pid}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_run_ends_in_time_whatever_its_steps_do(tmp_path: Path) -> None:
    played = play(tmp_path, "timeout: 300ms\nsteps: { a: { run: sleep 60 }, b: { run: echo b } }\n")
    assert (played.status, played.code) == ("failed", 1)
    assert played.facts[-1]["at"] - played.facts[0]["at"] < 30


# ---- 5. order: results are taken for those of what ended first ----


def test_results_do_not_depend_on_who_is_done_first(tmp_path: Path) -> None:
    played = play(
        tmp_path,
        "max_parallel: 3\n"
        "steps:\n"
        "  task:\n"
        "    for_each: { a: 0.3, b: 0.15, c: 0 }\n"
        "    run: sleep $seconds; echo $name\n"
        "    with: { name: '${{ key }}', seconds: '${{ item }}' }\n"
        "  all: { python: 'def run(values): return values', with: { values: '${{ values(steps.task.output) }}' } }\n"
        "outputs: { task: '${{ steps.task.output }}', all: '${{ steps.all.output }}' }\n",
    )
    assert played.order("attempt_ended", "task") == ["task[c]", "task[b]", "task[a]"]
    assert played.outputs == {"task": {"a": "a", "b": "b", "c": "c"}, "all": ["a", "b", "c"]}
    assert list(played.outputs["task"]) == ["a", "b", "c"]


# ---- what else the document warns of ----


def test_dependent_tasks_are_never_started_together(tmp_path: Path) -> None:
    played = play(
        tmp_path,
        "steps:\n  b: { run: 'echo got $x', with: { x: '${{ steps.a.output }}' } }\n  a: { run: sleep 0.1; echo 1 }\n"
        "outputs: { b: '${{ steps.b.output }}' }\n",
    )
    assert played.outputs == {"b": "got 1"}
    assert played.order("attempt_started") == ["a", "b"]


def test_what_costs_too_much_is_stopped(tmp_path: Path) -> None:
    step = "{ agent: { prompt: hi, model: 'openai:gpt-4o-mini' } }"
    played = play(
        tmp_path,
        f"budget: {{ tokens: 2500 }}\nmax_parallel: 1\nsteps: {{ {', '.join(f's{n}: {step}' for n in range(9))} }}\n",
        env={"OPENAI_BASE_URL": models_at()},
    )
    assert len(played.starts()) == 3, "1,100 tokens each"
    assert played.status == "failed"


def test_a_runaway_list_is_refused(tmp_path: Path) -> None:
    played = play(tmp_path, "steps:\n  call: { for_each: '${{ range(1000) }}', items_max: 100, sleep: 0s }\n")
    assert played.status == "failed"
    assert played.starts() == []


def test_the_same_run_decides_the_same(tmp_path: Path) -> None:
    """Who starts when depends on nothing but the file and what ended: `PYTHONHASHSEED` and threads have no say."""
    text = "max_parallel: 1\nsteps:\n" + "".join(f"  s{n}: {{ sleep: 1ms, priority: {n % 3} }}\n" for n in range(12))
    orders: list[Played] = [play(tmp_path, text, env={"PYTHONHASHSEED": seed}) for seed in ("1", "2", "3")]
    assert len({tuple(played.order("attempt_started")) for played in orders}) == 1
