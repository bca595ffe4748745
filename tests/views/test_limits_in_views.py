"""How views tell of rates, breakers, sizes that change and reservations."""

from tale import Tale, step

from weft.core.facts import Limits
from weft.model.workflow import Breaker, Pool, Rate, Retry, Step, Workflow
from weft.views.scene import Scene
from weft.views.story import Story
from weft.views.text import Paint, pool_words
from weft.views.why import render_step

ALL = Limits(computing=100, waiting=100)


def workflow(*steps: Step, **pools: Pool) -> Workflow:
    return Workflow(name="w", steps=steps, resources=pools)


def takes(id_: str, *needs: str, weight: int = 1, **fields: object) -> Step:
    return step(id_, *needs, resources={"api": weight}, **fields)


def lines(tale: Tale, verbose: int = 0) -> str:
    story = Story(Paint(False), lambda: 0.0, verbose=verbose)
    return "\n".join(line[10:] for line in story.tell(tale.facts))


def rows(tale: Tale) -> str:
    scene = Scene()
    for fact in tale.facts:
        scene.see(fact)
    assert scene.ticks
    return "\n".join(scene.sections(tale.now, 100, Paint(False)))


def test_a_rate() -> None:
    tale = Tale(workflow(takes("a"), takes("b"), takes("c"), api=Pool(rate=Rate(6, 60.0))), limits=ALL).ok("a", 4.0)
    assert "held         2 steps          rate of api, next in 6s: b, c" in rows(tale)
    said = render_step(tale.state, "b", now=tale.now, color=False)
    assert said == "b is held: pool `api` lets 6/min start, and has no token left (until in 6s)"


def test_a_breaker() -> None:
    pool = Pool(breaker=Breaker(failures=1, cooldown_s=30.0))
    tale = Tale(workflow(takes("a"), takes("b", "x"), takes("c", "x"), step("x"), api=pool), limits=ALL).fail("a").ok("x")
    assert "breaker of api, next in 30s: b, c" in rows(tale)
    assert "breaker    api is open after 1 failure in a row: nothing that takes it starts for 30s" in lines(tale)
    tale.wait(30.0)
    assert "breaker of api, b tries: c" in rows(tale)
    tale.ok("b", 1.0)
    assert "breaker    api is closed again" in lines(tale)


def test_a_pool_that_shrinks() -> None:
    again = Retry(times=1, delay_s=60.0, jitter=False)
    tale = Tale(workflow(*[takes(id_, retry=again) for id_ in "abcde"], api=Pool(slots=4, adaptive=True)), limits=ALL)
    tale.fail("a", retry_after_s=90.0)
    assert "resized    api to 2 slots: a server asked to wait" in lines(tale)
    assert "api, 3 of 2 taken: e" in rows(tale)


def test_units_that_are_reserved() -> None:
    small = [takes(f"s{n:02}") for n in range(24)]
    large = takes("large", "first", weight=2, priority=1)
    tale = Tale(workflow(*small, large, step("first", priority=2), api=Pool(slots=2)), limits=ALL).ok("first")
    for n in range(17):
        tale.ok(f"s{n:02}", 1.0)
    assert "api, reserved for large: s18, s19" in rows(tale)
    assert "reserved" not in lines(tale)
    assert "reserved   large" in lines(tale, verbose=1)


def test_pools_in_words() -> None:
    assert pool_words(Pool(slots=1)) == "1 slot"
    assert pool_words(Pool(rate=Rate(5, 0.1), burst=3)) == "5/100ms, burst 3"
    every = Pool(slots=8, rate=Rate(60, 60.0), adaptive=True, breaker=Breaker(failures=1), per="${{ inputs.x }}")
    assert pool_words(every) == "8 slots, 60/min, adaptive, breaker at 1 failure, each per ${{ inputs.x }}"
