"""Lines: each transition once, bounded in a large run, a heartbeat in silence, and never in the way."""

import os
import re
from io import StringIO

import msgspec
from tale import Golden, Tale, Time, nightly, step, whole_night

from weft.core import facts as f
from weft.core.facts import Limits
from weft.model.output import ErrorRecord
from weft.model.workflow import Retry, Workflow
from weft.views.lines import HEARTBEAT_S, Lines
from weft.views.story import FAILURES_MAX, LINES_PER_S_MAX, TAILS_MAX, stamp


def told(tale: Tale, *, verbose: int = 0) -> str:
    stream = StringIO()
    view = Lines(stream, color=False, clock=Time().clock, verbose=verbose)
    view.see(tale.facts)
    view.close()
    return stream.getvalue()


def test_a_whole_run(golden: Golden) -> None:
    golden("lines_whole_night", told(whole_night()))


def test_verbose_adds_processes_and_numbers() -> None:
    text = told(whole_night(), verbose=1)
    assert "  0:00.0  process    lint       4002\n" in text
    assert "  0:04.0  succeeded  fetch      4s, cpu 1.2s, peak 64MiB\n" in text


def test_colour_only_repeats_the_words() -> None:
    stream = StringIO()
    Lines(stream, color=True, clock=Time().clock).see(whole_night().facts)
    assert "\x1b[1;31mfailed   \x1b[0m" in stream.getvalue()
    assert re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()) == told(whole_night())


def test_a_failure_that_stops_the_run(golden: Golden) -> None:
    workflow = Workflow(
        name="w",
        steps=(
            step("a", timeout_s=5.0),
            step("b", on_error="stop"),
            step("c"),
            step("d", "c"),
            step("e", "c"),
            step("f", "c"),
        ),
    )
    tale = Tale(workflow, limits=Limits())
    tale.wait(5.0).stopped("a", 1.0).fail("b", 1.0, "exit 9", exit_code=9).stopped("c", 0.5)
    golden("lines_stopped", told(tale))


def test_a_crash_and_a_cancel(golden: Golden) -> None:
    tale = Tale(nightly()).wait(2.0).resume(60.0).cancel(1.0, "wrong\x1b[2J day").stopped("fetch", 0.5).stopped("lint", 0.5)
    golden("lines_crash_and_cancel", told(tale))


def test_suspended_and_resumed(golden: Golden) -> None:
    tale = Tale(nightly()).suspend(after=1.0).ok("lint", 1.0).suspend("kill", after=1.0).stopped("fetch", 0.5)
    seen = len(tale.facts)
    golden("lines_suspended", told(tale))
    tale.resume(3600.0, Limits(total=3)).ok("fetch", 4.0)
    stream = StringIO()
    view = Lines(stream, color=False, clock=Time().clock)
    view.recall(iter(tale.facts[:seen]))
    view.see(tale.facts[seen:])
    golden("lines_resumed", stream.getvalue())


def test_outputs_that_cannot_be_evaluated() -> None:
    error = ErrorRecord(kind="input", message="there is no `steps.a.output.rows`")
    tale = Tale(Workflow(name="w", steps=(step("a"),), outputs={"rows": "${{ steps.a.output.rows }}"}), outputs=error).ok(
        "a", 1.0
    )
    assert told(tale).splitlines()[-2:] == [
        "  0:01.0  failed     the outputs of the run: there is no `steps.a.output.rows`",
        "  0:01.0  ended      failed",
    ]


def crowd(n: int, **fields: object) -> Tale:
    return Tale(Workflow(name="crowd", steps=tuple(step(f"s{i}", **fields) for i in range(n))), limits=Limits())


def test_a_large_run_is_told_in_few_lines() -> None:
    n = 3_000
    tale = crowd(n)
    for i in range(n):
        tale.ok(f"s{i}", 0.001)
    lines = told(tale).splitlines()
    assert len(lines) <= 3 + (LINES_PER_S_MAX + 1) * 5
    counts = [line for line in lines if " progress " in line]
    assert counts[0] == "  0:01.0  progress   1,000 of 3,000 steps done, 2,000 running"
    assert lines[-1].endswith("ended      succeeded")


def test_many_failures_are_told_and_then_counted() -> None:
    n = 3_000
    tale = crowd(n)
    for i in range(n):
        tale.fail(f"s{i}", 0.0, "exit 1", tail="last words\n")
    text = told(tale)
    assert text.count("  failed ") == FAILURES_MAX  # the starts had used the second up
    assert text.count("│ last words") == TAILS_MAX


def test_retries_of_a_large_run_are_bounded_too() -> None:
    n = 3_000
    tale = crowd(n, retry=Retry(times=1))
    for i in range(n):
        tale.fail(f"s{i}")
    assert told(tale).count("  retry ") <= LINES_PER_S_MAX


def test_a_long_message_is_one_bounded_line() -> None:
    tale = Tale(Workflow(name="w", steps=(step("a"),))).fail("a", 1.0, "x" * 10_000 + "\nmore", tail="y\n" * 1000)
    failed = next(line for line in told(tale).splitlines() if "failed" in line)
    assert len(failed) < 400
    assert told(tale).count("│ y") == 20


def test_the_heartbeat() -> None:
    time = Time()
    stream = StringIO()
    view = Lines(stream, color=False, clock=time.clock, later=time.later)
    tale = Tale(nightly())
    view.see(tale.facts)
    seen = len(tale.facts)
    time.move(HEARTBEAT_S - 1)
    assert "running" not in stream.getvalue()
    view.see(tale.ok("lint", HEARTBEAT_S - 1).facts[seen:])  # speaks, so silence begins anew
    time.move(HEARTBEAT_S - 1)
    assert "  running " not in stream.getvalue()
    time.move(HEARTBEAT_S * 2)
    assert [line for line in stream.getvalue().splitlines() if "  running " in line] == [
        "  0:59.0  running    1 of 8 steps done, 1 running: fetch 59s",
        "  1:29.0  running    1 of 8 steps done, 1 running: fetch 1m29s",
    ]
    view.close()
    assert time.calls == []


def test_something_to_say() -> None:
    stream = StringIO()
    Lines(stream, color=False).say("the file has changed")
    assert stream.getvalue() == "the file has changed\n"


def test_a_reader_who_leaves_does_not_end_the_run() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        view = Lines(stream, color=False)
        view.see(whole_night().facts)
        view.close()


def test_ids_and_names_cannot_move_the_cursor() -> None:
    evil = "a\x1b[2J"
    workflow = Workflow(name=evil, steps=(step("a", title=evil), step("b")))
    tale = Tale(workflow).fail("a", 1.0, evil, tail=evil, hint=evil)
    facts = [msgspec.structs.replace(fact, run=evil) if isinstance(fact, f.RunCreated) else fact for fact in tale.facts]
    stream = StringIO()
    Lines(stream, color=False).see(facts)
    assert "\x1b" not in stream.getvalue()


def test_stamps() -> None:
    assert [stamp(s) for s in (0, 0.05, 59.99, 60, 3599.9, 3600, 200_000)] == [
        "0:00.0", "0:00.0", "0:59.9", "1:00.0", "59:59.9", "1:00:00", "55:33:20",
    ]  # fmt: skip
