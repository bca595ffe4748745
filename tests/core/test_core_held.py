"""What steps were held by, and for how long, on stories that can be worked out by hand."""

from typing import Any

from story import Story, flow, step
from test_core_measure import measured, numbers

from weft.core import facts as f
from weft.core.facts import Limits
from weft.model.workflow import Breaker, Pool, Rate, Step


def takes(id_: str, needs: str = "", weight: int = 1, **settings: Any) -> Step:
    return step(id_, needs, resources={"api": weight}, **settings)


def test_by_a_rate() -> None:
    found = measured(
        flow(takes("a"), takes("b"), takes("c"), pools={"api": Pool(rate=Rate(1, 2.0))}), "begin; +2; +2; a ok, b ok, c ok"
    )
    assert found.held_s == {"rate (api)": 2.0 + 4.0}
    assert found.pools == []


def test_by_a_rate_only_until_it_opens() -> None:
    """From then on it is `max_parallel` that leaves no place; a look at the numbers in between changes nothing."""
    story = Story(flow(takes("a"), takes("b"), step("c"), pools={"api": Pool(rate=Rate(1, 2.0))}), Limits(total=2))
    for line in ("begin", "+1, a ok", "+4, c ok"):
        story.tell(line)
        numbers(story.facts)
    story.finish()
    assert numbers(story.facts).held_s == {"max_parallel": 1.0, "rate (api)": 1.0}


def test_by_slots_first() -> None:
    pools = {"api": Pool(slots=1, rate=Rate(1, 2.0))}
    found = measured(flow(takes("a"), takes("b"), pools=pools), "begin; +1, a ok; +1; +1, b ok")
    assert found.held_s == {"api": 1.0, "rate (api)": 1.0}


def test_by_a_breaker_and_its_trial() -> None:
    pools = {"api": Pool(breaker=Breaker(failures=1, cooldown_s=5.0))}
    story = Story(flow(takes("a"), takes("b", "x"), takes("c", "x"), step("x"), pools=pools))
    for line in ("begin", "a fails, x ok", "+5", "+2, b ok", "c ok"):
        story.tell(line)
    assert numbers(story.facts).held_s == {"breaker (api)": 5.0 + 7.0}


def test_by_an_empty_bucket_after_a_crash() -> None:
    found = measured(flow(takes("a"), pools={"api": Pool(rate=Rate(1, 3.0))}), "begin; +1; crash; +3; a ok")
    assert found.held_s == {"rate (api)": 3.0}


def test_by_a_pool_that_has_shrunk() -> None:
    pools = {"api": Pool(slots=2, adaptive=True)}
    story = Story(flow(takes("a", retry=1), takes("b"), takes("c"), pools=pools))
    for line in ("begin", "+1, a throttled 9", "+2, b ok", "+1, c ok"):
        story.tell(line)
    held = numbers(story.facts).held_s
    assert held["api"] == 1.0 + 2.0
    assert held["backoff"] == 3.0


def test_by_units_that_are_reserved() -> None:
    small = [takes(f"s{n}") for n in range(20)]
    large = takes("large", "first", weight=2, priority=1)
    story = Story(flow(*small, large, step("first", priority=2), pools={"api": 2}))
    story.tell("begin")
    story.tell("first ok")
    n = 0
    while not any(isinstance(x, f.UnitsReserved) for x in story.facts):
        story.tell(f"s{n} ok")
        n += 1
    story.tell(f"s{n} ok")
    before = numbers(story.facts).held_s.get("reserved (api)", 0.0)
    story.tell("+3")
    story.tell(f"s{n + 1} ok")
    waiting = sum(len(ready) for ready in story.state.ready)
    assert before == 0.0
    assert numbers(story.facts).held_s["reserved (api)"] == 3.0 * waiting


def test_pools_with_keys_count_for_each_key() -> None:
    pools = {"api": Pool(slots=1, per="${{ item }}")}
    found = measured(flow(takes("a"), takes("b"), pools=pools), "begin; a keys api=x, b keys api=y; +4, a ok, b ok")
    assert [(of.pool, of.slots, of.busy_s, of.utilisation) for of in found.pools] == [("api", 2, 8.0, 1.0)]
