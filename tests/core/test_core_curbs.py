"""Breakers, sizes that change, reservations: stories, and the reasons that are given."""

from typing import Any

import pytest
from story import Story, check, flow, step

from weft.core import facts as f
from weft.core.adapt import parallel_after
from weft.core.curbs import OVERTAKEN_MAX, overload
from weft.core.facts import Limits
from weft.core.why import why
from weft.model.output import ErrorRecord
from weft.model.workflow import Breaker, Pool, Rate, Step


def takes(id_: str, needs: str = "", weight: int = 1, **settings: Any) -> Step:
    return step(id_, needs, resources={"api": weight}, **settings)


def reason(story: Story, id_: str) -> str:
    return why(story.state, story.state.graph.index[id_], story.now).reason


# ---- breakers ----

BREAKER = Pool(breaker=Breaker(failures=2, cooldown_s=10.0))


def test_a_breaker_opens_tries_and_closes() -> None:
    story = Story(flow(*[takes(id_) for id_ in "abcde"], pools={"api": BREAKER}), Limits(total=2))
    check(
        story.workflow,
        """
        begin   → start a, start b
        a fails → fail a (error), start c
        b fails → fail b (error), open api until 10
        c ok    →
        +10     → start d
        +1      → dropped
        d ok    → close api, start e
        e ok    → failed
        """,
        "a failed, b failed, c succeeded, d succeeded, e succeeded",
        Limits(total=2),
    )


def test_a_breaker_opens_again_when_the_trial_fails() -> None:
    check(
        flow(*[takes(id_) for id_ in "abcd"], pools={"api": Pool(breaker=Breaker(failures=1, cooldown_s=5.0))}),
        """
        begin     → start a, start b, start c, start d
        a fails   → fail a (error), open api until 5
        b lost    → lose b (crash)
        +5        → start b#2
        c fails   → fail c (error)
        b#2 fails → fail b (error), open api until 10
        d ok      → failed
        """,
        "a failed, b failed, c failed, d succeeded",
    )


def test_a_trial_that_says_nothing_is_followed_by_another() -> None:
    check(
        flow(takes("a"), takes("b", "x"), step("x"), pools={"api": Pool(breaker=Breaker(failures=1, cooldown_s=5.0))}),
        """
        begin   → start x, start a
        a fails → fail a (error), open api until 5
        x ok    →
        +5      → start b
        b lost  → lose b (crash), start b#2
        crash   → lose b (crash), start b#3
        b ok    → close api, failed
        """,
        "a failed, b succeeded, x succeeded",
    )


def test_a_success_in_between_begins_anew() -> None:
    check(
        flow(*[takes(id_) for id_ in "abc"], pools={"api": BREAKER}),
        """
        begin   → start a, start b, start c
        a fails → fail a (error)
        b ok    →
        c fails → fail c (error), failed
        """,
        "a failed, b succeeded, c failed",
    )


def test_why_a_breaker_holds() -> None:
    story = Story(flow(*[takes(id_) for id_ in "abc"], pools={"api": Pool(slots=1, breaker=Breaker(failures=1, cooldown_s=5.0))}))
    story.tell("begin")
    story.tell("a fails")
    said = why(story.state, 1)
    assert said.reason == "the breaker of pool `api` is open after 1 failures in a row"
    assert (said.cause, said.until) == ("breaker", 5.0)
    story.tell("+5")
    assert reason(story, "c") == "it asks for 1 of pool `api`, 0 free; held by `b`"


def test_why_half_open() -> None:
    story = Story(flow(*[takes(id_) for id_ in "abc"], pools={"api": Pool(breaker=Breaker(failures=1, cooldown_s=5.0))}))
    story.limits = Limits(total=1)
    story.tell("begin")
    story.tell("a fails")
    story.tell("+5")
    story.limits = Limits()
    story.tell("crash")
    assert reason(story, "c") == "the breaker of pool `api` is half open: `b` tries whether it can be closed"


# ---- sizes that change ----

ADAPTIVE = Pool(slots=4, adaptive=True)


def test_a_pool_shrinks_and_grows() -> None:
    check(
        flow(*[takes(id_, retry=3) for id_ in "abcdefgh"], pools={"api": ADAPTIVE}),
        """
        begin          → start a, start b, start c, start d
        a throttled 30 → retry a at 30, resize api to 2
        b ok           →
        c ok           → resize api to 3, start e, start f
        d ok           → start g
        e ok           → start h
        f ok           → resize api to 4
        """,
        "a backing_off, b succeeded, c succeeded, d succeeded, e succeeded, f succeeded, g running, h running",
    )


def test_one_overload_is_one_decrease() -> None:
    """Those that started under the larger size say nothing about the smaller one."""
    story = Story(flow(*[takes(id_, retry=3) for id_ in "abcd"], pools={"api": ADAPTIVE}))
    for line in ("begin", "+1, a throttled 30", "b throttled 30", "c throttled 30"):
        story.tell(line)
    assert story.state.free(3) == 1
    story.tell("+40, d ok")
    story.tell("+0")
    story.tell("a throttled 9")
    assert [x.slots for x in story.facts if isinstance(x, f.PoolResized)] == [2, 1]


def test_never_below_what_a_step_asks_for() -> None:
    story = Story(flow(takes("a", weight=3, retry=1), takes("b", retry=2), pools={"api": ADAPTIVE}))
    for line in ("begin", "a throttled 1", "+2", "b throttled 1", "+2"):
        story.tell(line)
    assert [x.slots for x in story.facts if isinstance(x, f.PoolResized)] == [3]
    story.finish()


def test_why_a_pool_that_has_shrunk_holds() -> None:
    story = Story(flow(*[takes(id_, retry=1) for id_ in "abcde"], pools={"api": ADAPTIVE}))
    story.tell("begin")
    story.tell("a throttled 30")
    said = reason(story, "e")
    assert said == "it asks for 1 of pool `api`, 0 free of 2 (it adapts, between 1 and 4); held by `b`, `c`, `d`"


@pytest.mark.parametrize(
    ("error", "sign"),
    [
        (None, ""),
        (ErrorRecord(kind="exit", message=""), ""),
        (ErrorRecord(kind="timeout", message=""), "a timeout"),
        (ErrorRecord(kind="error", message="", retry_after_s=0.0), "a server asked to wait"),
        (ErrorRecord(kind="error", message="", exception="RateLimitError APIError Exception"), "RateLimitError"),
        (ErrorRecord(kind="error", message="", exception="HTTP429 HTTPError"), "HTTP429"),
    ],
)
def test_signs_of_overload(error: ErrorRecord | None, sign: str) -> None:
    assert overload(error) == sign


def test_max_parallel_follows_the_machine() -> None:
    limits = Limits(computing=2, waiting=256, adaptive=True)
    check(
        flow(*[step(id_) for id_ in "abcdef"]),
        """
        begin            → start a, start b
        pressure 0.3 0   → dropped
        pressure 0 0     → resize max_parallel (computing) to 3, start c
        pressure 0.9 0   → resize max_parallel (computing) to 1
        pressure 0.9 0   → dropped
        pressure 0 0     → resize max_parallel (computing) to 2
        pressure 0 0.5   → resize max_parallel (computing) to 1
        crash            → lose a (crash), lose b (crash), lose c (crash), start a#2, start b#2
        """,
        "a running, b running, c ready, d ready, e ready, f ready",
        limits,
    )


def test_max_parallel_grows_only_if_somebody_is_held() -> None:
    limits = Limits(computing=1, waiting=256, adaptive=True)
    story = Story(flow(step("a"), step("b", sleep=True), step("c", sleep=True)), limits)
    story.tell("begin")
    assert story.tell("pressure 0 0").facts == []
    assert parallel_after(story.state, f.PressureObserved(at=0.0, cpu=1.0, memory=1.0)) is None
    story.limits = Limits(computing=1)
    story.tell("crash")
    assert story.tell("pressure 1 1").facts == []


def test_max_parallel_grows_so_far() -> None:
    story = Story(flow(*[step(f"s{n}") for n in range(9)]), Limits(computing=1, adaptive=True))
    story.tell("begin")
    for _ in range(9):
        story.tell("pressure 0 0")
    assert len(story.state.alive) == 4


# ---- reservations ----


def test_who_is_overtaken_too_often_gets_what_becomes_free() -> None:
    small = [takes(f"s{n}") for n in range(OVERTAKEN_MAX + 6)]
    story = Story(flow(*small, takes("large", "first", weight=2, priority=1), step("first", priority=2), pools={"api": 2}))
    story.tell("begin")
    story.tell("first ok")
    n = 0
    while not any(isinstance(x, f.UnitsReserved) for x in story.facts):
        story.tell(f"s{n} ok")
        n += 1
    assert n == OVERTAKEN_MAX
    assert story.tell(f"s{n} ok").facts[1:] == []
    waiting = f"s{n + 2}"
    assert reason(story, waiting) == (
        "it asks for 1 of pool `api`; the 1 free are reserved for `large`, which comes first and was overtaken "
        f"{OVERTAKEN_MAX} times"
    )
    started = [x.step for x in story.tell(f"s{n + 1} ok").facts if isinstance(x, f.AttemptStarted)]
    assert started == ["large"]
    started = [x.step for x in story.tell("large ok").facts if isinstance(x, f.AttemptStarted)]
    assert started == [waiting, f"s{n + 3}"]
    story.finish()


def test_a_reservation_ends_with_its_step() -> None:
    """Given up, it lets the others go on in the same turn; who comes before it in the order is not kept waiting."""
    small = [takes(f"s{n}") for n in range(OVERTAKEN_MAX + 6)]
    large = takes("large", "first", weight=2, priority=1, retry=1, deadline_s=100.0)
    urgent = takes("urgent", "later", priority=5)
    steps = (*small, large, step("first", priority=2), urgent, step("later"))
    story = Story(flow(*steps, pools={"api": 2}))
    story.tell("begin")
    story.tell("first ok")
    n = 0
    while not any(isinstance(x, f.UnitsReserved) for x in story.facts):
        story.tell(f"s{n} ok")
        n += 1
    story.tell(f"s{n} ok")
    assert len(story.state.alive) == 2
    started = [x.step for x in story.tell("later ok").facts if isinstance(x, f.AttemptStarted)]
    assert started == ["urgent"]
    story.tell("cancel")
    assert story.state.curbs.holder is None


def test_pools_are_reserved_one_after_the_other() -> None:
    """What it lacks later is kept too, and what was kept stays so until it starts."""
    count = OVERTAKEN_MAX + 8
    reds = [step(f"r{n}", resources={"red": 1}) for n in range(count)]
    blues = [step(f"b{n}", resources={"blue": 1}) for n in range(count)]
    large = step("large", "first", resources={"red": 2, "blue": 2}, priority=1)
    story = Story(flow(*reds, *blues, large, step("first", priority=2), pools={"red": 2, "blue": 2}))
    story.tell("begin")
    story.tell("first ok")
    for _ in range(4 * count):
        alive = [story.state.graph.ids[i] for i in story.state.alive]
        if "large" in alive:
            break
        story.tell(f"{alive[0]} ok")
    assert "large" in [story.state.graph.ids[i] for i in story.state.alive]
    assert {of.pool for x in story.facts if isinstance(x, f.UnitsReserved) for of in x.pools} == {"red", "blue"}


def test_who_waits_for_an_instant_keeps_nothing() -> None:
    small = [takes(f"s{n}") for n in range(OVERTAKEN_MAX + 6)]
    large = step("large", "first", resources={"api": 2, "web": 1}, priority=1)
    first = step("first", priority=2, resources={"web": 1})
    story = Story(flow(*small, large, first, pools={"api": 2, "web": Pool(rate=Rate(1, 1000.0))}))
    story.tell("begin")
    story.tell("first ok")
    for n in range(OVERTAKEN_MAX + 4):
        story.tell(f"s{n} ok")
    assert not any(isinstance(x, f.UnitsReserved) for x in story.facts)
