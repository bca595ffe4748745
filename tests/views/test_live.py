"""The live view on a terminal: what scrolls by stays, the rows below are redrawn in bounds, and nothing can hurt the run."""

import asyncio
import fcntl
import os
import re
import select
import struct
import termios
from collections.abc import Iterator
from io import StringIO
from random import Random
from typing import IO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tale import Golden, Tale, Time, nightly, step, whole_night
from terminal import Terminal

from weft.core.facts import Limits
from weft.model.workflow import Workflow
from weft.sim.random_workflow import random_faults, random_limits, random_workflow
from weft.sim.world import World
from weft.views.live import REDRAWS_PER_S, TICK_S, Live
from weft.views.story import LINES_PER_S_MAX

PATIENCE_S = 30.0


class Tty:
    """A pseudo-terminal: `stream` to write to, and a Terminal that shows what was written."""

    def __init__(self, width: int, height: int) -> None:
        self.master, slave = os.openpty()
        self.stream: IO[str] = os.fdopen(slave, "w")
        self.resize(width, height)
        self.terminal = Terminal(width, height)

    def resize(self, width: int, height: int) -> None:
        fcntl.ioctl(self.stream.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def look(self) -> str:
        """What the terminal shows now."""
        os.set_blocking(self.master, False)
        data = b""
        try:
            while piece := os.read(self.master, 1 << 16):
                data += piece
        except BlockingIOError:
            pass
        self.terminal.feed(data.decode().replace("\r\n", "\n"))
        return self.terminal.text

    def close(self) -> None:
        self.stream.close()
        os.close(self.master)


@pytest.fixture
def tty() -> Iterator[Tty]:
    tty = Tty(80, 24)
    yield tty
    tty.close()


def test_a_run_as_it_goes(tty: Tty, golden: Golden) -> None:
    time = Time()
    live = Live(tty.stream, color=False, clock=time.clock, later=time.later)
    tale = Tale(nightly())
    live.see(tale.facts)
    time.move(3.4)
    golden("live_begin", tty.look())
    seen = len(tale.facts)
    tale.fail("lint", 0.5, "exit 3", tail="".join(f"line {n}\n" for n in range(9))).ok("fetch", 3.0)
    live.see(tale.facts[seen:])
    time.move(1.0)
    golden("live_middle", tty.look())
    seen = len(tale.facts)
    tale.ok("load", 1.0).ok("index", 1.0).ok("report", 1.0).ok("cool_down", 5.0)
    live.see(tale.facts[seen:])
    live.close()
    golden("live_end", tty.look())
    assert time.calls == []


def test_redraws_are_bounded_and_none_is_wasted() -> None:
    time, stream = Time(), StringIO()
    live = Live(stream, color=False, clock=time.clock, later=time.later)
    tale = Tale(Workflow(name="w", steps=tuple(step(f"s{n}") for n in range(40))))
    live.see(tale.facts)
    seen = len(tale.facts)
    for n in range(40):
        live.see(tale.ok(f"s{n}", 0.05).facts[seen:])
        seen = len(tale.facts)
        time.move(0.05)
    frames = stream.getvalue().count("of 40 steps")
    assert 40 * 0.05 * REDRAWS_PER_S - 1 <= frames <= 40 * 0.05 * REDRAWS_PER_S + 1
    time.move(10.0)  # nothing runs, nothing changes
    assert stream.getvalue().count("of 40 steps") <= frames + 1


def test_a_fact_that_changes_no_row_draws_nothing() -> None:
    time, stream = Time(), StringIO()
    live = Live(stream, color=False, clock=time.clock, later=time.later)
    tale = Tale(nightly())
    live.see(tale.facts)
    time.move(0.5)
    seen, before = len(tale.facts), stream.getvalue()
    live.see(tale.spawn("fetch", 77).facts[seen:])
    time.move(0.3)
    assert stream.getvalue() == before


def test_only_the_time_moves_on() -> None:
    time, stream = Time(), StringIO()
    live = Live(stream, color=False, clock=time.clock, later=time.later)
    live.see(Tale(nightly()).facts)
    time.move(10 * TICK_S)
    assert 9 <= stream.getvalue().count("of 8 steps") <= 11


def test_above_lines_stay_and_rows_go() -> None:
    time, stream = Time(), StringIO()
    live = Live(stream, color=True, clock=time.clock, later=time.later)
    live.say("something to say")
    live.see(whole_night().facts)
    live.close()
    terminal = Terminal(80, 24)
    terminal.feed(stream.getvalue())
    assert terminal.text.splitlines()[0] == "something to say"
    assert "started" not in terminal.text
    assert "succeeded  cool_down" in terminal.text.splitlines()[-1]


def test_a_resumed_run_begins_where_it_was(tty: Tty, golden: Golden) -> None:
    tale = Tale(nightly()).ok("lint", 2.0).suspend("kill", 1.0).stopped("fetch", 0.5)
    seen = len(tale.facts)
    tale.resume(3600.0)
    time = Time()
    live = Live(tty.stream, color=False, clock=time.clock, later=time.later)
    live.recall(tale.facts[:seen])
    live.see(tale.facts[seen:])
    time.move(2.0)
    golden("live_resumed", tty.look())
    live.close()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 100), st.integers(1, 30))
def test_nothing_of_the_rows_is_left_behind(seed: int, width: int, height: int) -> None:
    """On a terminal of any size, the end shows exactly the lines that scrolled by."""
    tty = Tty(width, height)
    random = Random(seed)
    world = World(random_workflow(random), seed=seed, limits=random_limits(random), faults=random_faults(random), check=False)
    time = Time()
    live = Live(tty.stream, color=True, clock=time.clock, later=time.later)
    for fact in world.play():
        live.see([fact])
        time.move(random.random())
        tty.look()
    live.close()
    text = tty.look()
    tty.close()
    plain = StringIO()
    reference = Live(plain, color=False, clock=Time().clock, later=lambda delay_s, call: None)
    reference.see(world.facts)
    reference.close()
    expected = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", plain.getvalue()).replace("\r", "")
    wanted = Terminal(width, height)
    wanted.feed(expected)
    assert text == wanted.text


def test_a_terminal_that_changes_its_size(tty: Tty) -> None:
    time = Time()
    live = Live(tty.stream, color=False, clock=time.clock, later=time.later)
    live.see(Tale(nightly()).facts)
    time.move(1.0)
    tty.look()
    for width, height in ((80, 24), (200, 50), (80, 10), (80, 3), (33, 24), (10, 2), (0, 0), (80, 24)):
        tty.resize(width, height)
        time.move(1.0)
        written = _written(tty)
        rows = written.rpartition("\x1b[J")[2].replace("\x1b[?2026l", "").splitlines()
        assert len(rows) <= max(1, (height or 24) - 1)
        assert all(len(row) < (width or 80) for row in rows)
    live.close()


def _written(tty: Tty) -> str:
    """What was drawn, to the end of a drawing: the kernel hands it over in its own time, and in pieces."""
    written = b""
    while not written.endswith(b"\x1b[?2026l"):
        assert select.select([tty.master], [], [], 10)[0], written
        written += os.read(tty.master, 1 << 16)
    return written.decode().replace("\r\n", "\n")


def test_a_narrower_terminal_has_broken_the_old_rows(tty: Tty) -> None:
    time = Time()
    live = Live(tty.stream, color=False, clock=time.clock, later=time.later)
    live.see(Tale(nightly()).facts)
    time.move(1.0)
    tty.look()
    time.move(1.0)
    rows = _written(tty).rpartition("\x1b[J")[2].replace("\x1b[?2026l", "").splitlines()
    tty.resize(35, 24)
    time.move(1.0)
    up = re.search(r"\x1b\[(\d+)A", _written(tty))
    assert up
    assert int(up[1]) == sum(max(1, -(-len(row) // 35)) for row in rows) > len(rows)
    live.close()


def test_a_stopped_terminal_does_not_stop_the_run(tty: Tty) -> None:
    time = Time()
    live = Live(tty.stream, color=False, clock=time.clock, later=time.later)
    tale = Tale(nightly())
    live.see(tale.facts)
    time.move(1.0)
    tty.look()
    termios.tcflow(tty.stream.fileno(), termios.TCOOFF)  # Ctrl-S
    seen = len(tale.facts)
    live.see(tale.ok("lint", 1.0).facts[seen:])
    time.move(5.0)
    assert "succeeded  lint" not in tty.look()
    termios.tcflow(tty.stream.fileno(), termios.TCOON)  # Ctrl-Q
    time.move(TICK_S)
    written = _written(tty)
    assert "succeeded  lint" in written
    assert written.count(" of 8 steps ") == 1  # what was missed is not made up for
    live.close()


def test_a_terminal_that_is_gone(tty: Tty) -> None:
    time = Time()
    live = Live(tty.stream, color=False, clock=time.clock, later=time.later)
    live.see(whole_night().facts)
    os.close(tty.master)
    tty.master = os.open(os.devnull, os.O_RDONLY)
    time.move(5.0)
    live.say("x")
    time.move(5.0)
    live.close()
    assert time.calls == []


def test_on_a_real_loop() -> None:
    """The alarm is the loop's own: a frame is drawn while nothing but the loop runs."""

    class Seen(StringIO):
        def write(self, text: str) -> int:
            if "of 8 steps" in text:
                drawn.set()
            return super().write(text)

    drawn = asyncio.Event()

    async def watch() -> None:
        live = Live(Seen(), color=False)
        live.see(Tale(nightly()).facts)
        await asyncio.wait_for(drawn.wait(), PATIENCE_S)
        live.close()

    asyncio.run(watch())


def test_without_a_loop_it_draws_when_it_is_closed() -> None:
    stream = StringIO()
    live = Live(stream, color=False)
    live.see(whole_night().facts)
    live.close()
    assert "succeeded  cool_down" in stream.getvalue()


def test_a_large_run_scrolls_slowly() -> None:
    """Ten lines a second of what goes well, and every failure."""
    n = 600
    tale = Tale(Workflow(name="w", steps=tuple(step(f"s{i}") for i in range(n))), limits=Limits())
    for i in range(n):
        tale.fail(f"s{i}", 0.005) if i % 100 == 50 else tale.ok(f"s{i}", 0.005)
    stream = StringIO()
    live = Live(stream, color=False, later=lambda delay_s, call: None)
    live.see(tale.facts)
    live.close()
    text = stream.getvalue()
    assert 3 * LINES_PER_S_MAX <= text.count("  succeeded  ") <= 4 * LINES_PER_S_MAX
    assert text.count("  failed  ") == 6
    assert "progress" not in text
