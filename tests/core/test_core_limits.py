"""Rates, keys, and `max_parallel` of a step: stories, and the reasons that are given."""

from typing import Any

from story import Story, check, flow, step

from weft.core import facts as f
from weft.core.why import why
from weft.model.workflow import Breaker, Pool, Rate, Step

ONE_A_SECOND = Pool(rate=Rate(60, 60.0))


def takes(id_: str, needs: str = "", weight: int = 1, **settings: Any) -> Step:
    return step(id_, needs, resources={"api": weight}, **settings)


def reason(story: Story, id_: str) -> str:
    return why(story.state, story.state.graph.index[id_], story.now).reason


# ---- rates ----


def test_starts_are_spread() -> None:
    check(
        flow(takes("a"), takes("b"), takes("c"), pools={"api": ONE_A_SECOND}),
        """
        begin → start a
        a ok  →
        +1    → start b
        +0.5  → dropped
        b ok  →
        +0.5  → start c
        c ok  → succeeded
        """,
        "a succeeded, b succeeded, c succeeded",
    )


def test_a_burst() -> None:
    check(
        flow(*[takes(id_) for id_ in "abcd"], pools={"api": Pool(rate=Rate(1, 10.0), burst=2)}),
        """
        begin → start a, start b
        +10   → start c
        +9    → dropped
        +1    → start d
        """,
        "a running, b running, c running, d running",
    )


def test_buckets_are_empty_after_a_crash() -> None:
    """What was started last may not have been saved; the same holds for a bucket that nobody has taken from yet."""
    check(
        flow(
            takes("a"), step("b", "a", resources={"web": 1}), pools={"api": ONE_A_SECOND, "web": Pool(rate=Rate(1, 5.0), burst=9)}
        ),
        """
        begin → start a
        crash → lose a (crash)
        +1    → start a#2
        a ok  →
        +4    → start b
        b ok  → succeeded
        """,
        "a succeeded, b succeeded",
    )


def test_a_step_that_waits_for_a_token_holds_nothing_and_says_until_when() -> None:
    story = Story(flow(takes("a"), takes("b"), step("c", resources={"db": 1}), pools={"api": ONE_A_SECOND, "db": 1}))
    story.tell("begin")
    said = why(story.state, 1)
    assert (said.status, said.cause, said.pool, said.until) == ("held", "rate", "api", 1.0)
    assert said.reason == "pool `api` lets 60/min start, and has no token left"
    assert story.wake_at == 1.0
    assert story.state.free(0) == float("inf")


def test_slots_and_rate_in_one_pool() -> None:
    check(
        flow(*[takes(id_) for id_ in "abc"], pools={"api": Pool(slots=1, rate=Rate(1, 1.0))}),
        """
        begin → start a
        +5    → dropped
        a ok  → start b
        b ok  →
        +1    → start c
        """,
        "a succeeded, b succeeded, c running",
    )


def test_a_retry_is_a_start() -> None:
    check(
        flow(takes("a", retry=1), pools={"api": Pool(rate=Rate(1, 10.0))}),
        """
        begin   → start a
        a fails → retry a at 1
        +1      →
        +9      → start a#2
        a ok    → succeeded
        """,
        "a succeeded",
    )


def test_two_rates_the_later_counts() -> None:
    pools = {"api": Pool(rate=Rate(1, 2.0)), "web": Pool(rate=Rate(1, 5.0))}
    check(
        flow(step("a", resources={"api": 1, "web": 1}), step("b", resources={"api": 1, "web": 1}), takes("c"), pools=pools),
        """
        begin → start a
        +2    → start c
        +3    → start b
        """,
        "a running, b running, c running",
    )


def test_who_waits_for_a_token_may_go_away() -> None:
    """Nobody is woken for a step that has been given up."""
    story = Story(flow(takes("a"), takes("b", retry=3, deadline_s=2.0), pools={"api": Pool(rate=Rate(1, 100.0), burst=2)}))
    story.tell("begin")
    story.tell("b fails")
    story.tell("+1")
    assert story.wake_at == 2.0
    story.tell("+1")
    assert story.state.errors[1].kind == "timeout"
    assert story.wake_at is None


def test_nobody_is_woken_while_the_run_is_suspended() -> None:
    story = Story(flow(takes("a"), takes("b"), pools={"api": ONE_A_SECOND}))
    story.tell("begin")
    story.tell("drain")
    assert story.wake_at is None
    assert reason(story, "b") == "the run is suspended: `weft resume` goes on"


def test_an_instant_that_moves() -> None:
    """b waits for a token of both pools; others take tokens meanwhile, so that it is told another instant."""
    pools = {"api": Pool(rate=Rate(1, 2.0), burst=2), "web": Pool(rate=Rate(1, 5.0))}
    both = [step(id_, resources={"api": 1, "web": 1}) for id_ in "ab"]
    check(
        flow(*both, takes("c", "x"), takes("d", "y", priority=9), step("x"), step("y"), pools=pools),
        """
        begin → start x, start y, start a
        x ok  → start c
        +1    → dropped
        +1    → dropped
        y ok  → start d
        +3    → start b
        """,
        "a running, b running, c running, d running, x succeeded, y succeeded",
    )


def test_a_token_that_another_takes() -> None:
    """b waits for the next one of a bucket from which c, which comes first, takes it: b is woken for the one after that."""
    pools = {"api": Pool(rate=Rate(1, 2.0)), "db": 1}
    story = Story(flow(takes("a"), takes("b"), step("c", resources={"api": 1, "db": 1}, priority=5), pools=pools))
    story.tell("begin")
    assert [x.step for x in story.facts if isinstance(x, f.AttemptStarted)] == ["c"]
    story.tell("+2")
    assert story.wake_at == 4.0
    story.finish()


def test_a_breaker_may_open_while_somebody_waits_for_a_token() -> None:
    """The old instant is forgotten at once, or when it comes while another one is waited for."""
    api = Pool(rate=Rate(1, 4.0), burst=2, breaker=Breaker(failures=1, cooldown_s=10.0))
    for web in (Rate(1, 3.0), Rate(1, 60.0)):
        both = [step(id_, resources={"web": 1}) for id_ in "de"]
        story = Story(flow(*[takes(id_) for id_ in "abc"], *both, pools={"api": api, "web": Pool(rate=web)}))
        story.tell("begin")
        story.tell("+1")
        story.tell("b fails")
        story.tell("+4")
        assert story.wake_at == 11.0
        story.finish()


def test_the_best_gets_the_token() -> None:
    check(
        flow(takes("a"), takes("b"), takes("c", "d", priority=5), step("d"), pools={"api": ONE_A_SECOND}),
        """
        begin → start d, start a
        d ok  →
        +1    → start c
        +1    → start b
        """,
        "a running, b running, c running, d succeeded",
    )


# ---- keys ----

PER = "${{ item }}"


def test_each_key_has_slots_of_its_own() -> None:
    check(
        flow(*[takes(id_) for id_ in "abc"], pools={"api": Pool(slots=1, per=PER)}),
        """
        begin                                    → ask a, ask b, ask c
        a keys api=x, b keys api=x, c keys api=y → start a, start c
        a ok                                     → start b
        """,
        "a succeeded, b running, c running",
    )


def test_each_key_has_a_rate_of_its_own() -> None:
    story = check(
        flow(*[takes(id_) for id_ in "abc"], pools={"api": Pool(rate=Rate(1, 1.0), per=PER)}),
        """
        begin                                    → ask a, ask b, ask c
        a keys api=x, b keys api=x, c keys api=y → start a, start c
        +1                                       → start b
        """,
        "a running, b running, c running",
    )
    assert story.state.demands.pools[3:] == ["api", "api[x]", "api[y]"]


def test_the_key_is_asked_for_together_with_the_if() -> None:
    check(
        flow(takes("a", condition="inputs.go"), takes("b"), pools={"api": Pool(slots=1, per=PER)}),
        """
        begin    → ask a, ask b
        a false  → skip a (condition)
        b broken → fail b (input), failed
        """,
        "a skipped, b failed",
    )


def test_keys_that_are_being_evaluated() -> None:
    story = Story(flow(takes("a"), pools={"api": Pool(slots=1, per=PER)}))
    story.tell("begin")
    assert reason(story, "a") == "the keys of its pools are being evaluated"


# ---- max_parallel of a step ----


def test_instances_are_bounded() -> None:
    story = check(
        flow(step("a", for_each=PER, max_parallel=2)),
        """
        begin         → ask items a
        a items x y z → expand a (x y z), start a[x], start a[y]
        a[y] ok       → start a[z]
        """,
        "a expanded, a[x] running, a[y] succeeded, a[z] running",
    )
    assert story.state.demands.pools[3:] == ["max_parallel of a"]


def test_a_plain_step_needs_no_pool() -> None:
    story = Story(flow(step("a", max_parallel=3)))
    story.tell("begin")
    assert story.state.demands.pools[3:] == []


def test_why_an_instance_is_held() -> None:
    story = Story(flow(step("a", for_each=PER, max_parallel=1)))
    story.tell("begin")
    story.tell("a items x y")
    assert reason(story, "a[y]") == "it asks for a place under `max_parallel of a`, 0 free; held by `a[x]`"
