"""A fallback: when it is tried, what comes of it, what becomes of one that nobody needs."""

from typing import Any

import pytest
from growing import each, inner, sub
from story import Story, check, flow, step

from weft.core.facts import Limits
from weft.core.growth import grown
from weft.core.why import why
from weft.model.graph import Graph
from weft.model.workflow import Approve, Step, Workflow


def fallback(id_: str, needs: str = "", **settings: Any) -> Step:
    return step(id_, needs, role="fallback", **settings)


PAIR = flow(step("a", retry=1, fallback="f"), fallback("f"), step("b", "a"))
CHAIN = flow(step("a", fallback="f"), fallback("f", fallback="g"), fallback("g"), step("b", "a"))
NEEDY = flow(step("a", fallback="f"), fallback("f", "x"), step("x"), step("b", "a"))
SOFT = flow(step("a", fallback="f", on_error="continue"), fallback("f"), step("b", "a"))
IF = flow(step("a", fallback="f", condition="inputs.go"), fallback("f", condition="inputs.go"))
HELD = flow(step("a", fallback="f", deadline_s=2.0, retry=3), fallback("f"), step("x"), step("y"))
STOPS = flow(step("a", fallback="f"), fallback("f"), step("x", on_error="stop"))
LAYER = flow(step("a", fallback="f"), fallback("f"), step("x", on_error="stop_layer"))
LAYERS = flow(step("a", fallback="f"), fallback("f", "x"), step("x"), step("b", "a"), step("c", "x"), schedule="layers")


@pytest.mark.parametrize(
    ("workflow", "script", "expected"),
    [
        pytest.param(
            PAIR,
            """
            begin   → start a
            a ok    → skip f (not_needed a), start b
            b ok    → succeeded
            """,
            "a succeeded, f skipped, b succeeded",
            id="one that nobody needs is skipped, and that is no failure",
        ),
        pytest.param(
            PAIR,
            """
            begin   → start a
            a fails → retry a at 1
            +1      → start a#2
            a fails → try f for a, start f
            f ok    → done a, start b
            b ok    → succeeded
            """,
            "a succeeded, f succeeded, b succeeded",
            id="it is tried when no attempt is left",
        ),
        pytest.param(
            PAIR,
            """
            begin              → start a
            a fails            → retry a at 1
            +1                 → start a#2
            a fails exit 3, +1 → try f for a, start f
            f fails            → fail f (error), fail a (exit), skip b (need_failed a), failed
            retry              → start a#3
            a fails            → retry a at 3
            +1                 → start a#4
            a fails            → try f for a, start f#2
            f ok               → done a, start b
            b ok               → succeeded
            """,
            "a succeeded, f succeeded, b succeeded",
            id="if it fails too, the step has failed with the first error; a retry begins anew",
        ),
        pytest.param(
            CHAIN,
            """
            begin   → start a
            a fails → try f for a, start f
            f fails → try g for f, start g
            g ok    → done f, done a, start b
            b ok    → succeeded
            """,
            "a succeeded, f succeeded, g succeeded, b succeeded",
            id="a fallback may have one",
        ),
        pytest.param(
            CHAIN,
            """
            begin   → start a
            a ok    → skip f (not_needed a), skip g (not_needed f), start b
            b ok    → succeeded
            """,
            "a succeeded, f skipped, g skipped, b succeeded",
            id="of a chain that nobody needs, all are skipped",
        ),
        pytest.param(
            NEEDY,
            """
            begin   → start a, start x
            a fails → try f for a
            x ok    → start f
            f ok    → done a, start b
            b ok    → succeeded
            """,
            "a succeeded, f succeeded, x succeeded, b succeeded",
            id="it waits for what it needs itself",
        ),
        pytest.param(
            NEEDY,
            """
            begin            → start a, start x
            a fails, x fails → try f for a, fail x (error), skip f (need_failed x), fail a (error), skip b (need_failed a), failed
            """,
            "a failed, f skipped, x failed, b skipped",
            id="it is skipped if that has failed, and then the step has failed",
        ),
        pytest.param(
            SOFT,
            """
            begin   → start a
            a fails → try f for a, start f
            f fails → fail f (error), fail a (error), start b
            b ok    → succeeded_with_errors
            """,
            "a failed, f failed, b succeeded",
            id="on_error applies when both have failed",
        ),
        pytest.param(
            IF,
            """
            begin    → ask a
            a broken → try f for a, ask f
            f false  → skip f (condition), fail a (input), failed
            """,
            "a failed, f skipped",
            id="it may be skipped by its own if",
        ),
        pytest.param(
            HELD,
            """
            begin         → start a
            a fails       → retry a at 1, start x
            +1            →
            +1            → try f for a
            x ok          → start f
            f ok          → done a, start y
            y ok          → succeeded
            """,
            "a succeeded, f succeeded, x succeeded, y succeeded",
            id="a step whose deadline passes while it is held falls back",
        ),
        pytest.param(
            PAIR,
            """
            begin       → start a
            a fails     → retry a at 1
            +1          → start a#2
            a fails     → try f for a, start f
            cancel      → stop f (cancel), skip b (cancel)
            f cancelled → cancel f (cancel), cancel a (cancel), cancelled
            """,
            "a cancelled, f cancelled, b skipped",
            id="a cancel ends it, and the step with it",
        ),
        pytest.param(
            NEEDY,
            """
            begin            → start a, start x
            a fails          → try f for a
            cancel           → stop x (cancel), skip f b (cancel), cancel a (cancel)
            x ok             → cancel x (cancel), cancelled
            """,
            "a cancelled, f skipped, x cancelled, b skipped",
            id="a cancel gives up one that waits",
        ),
        pytest.param(
            STOPS,
            """
            begin   → start a, start x
            x fails → fail x (error), stop a (stop), skip f (stop x)
            a fails → cancel a (stop), failed
            """,
            "a cancelled, f skipped, x failed",
            id="nothing is tried any more once the run is stopped",
        ),
        pytest.param(
            LAYER,
            """
            begin            → start a, start x
            a fails, x fails → try f for a, fail x (error), skip f (stop_layer x), cancel a (stop_layer), failed
            """,
            "a cancelled, f skipped, x failed",
            id="it belongs to the layer of its step",
        ),
        pytest.param(
            LAYERS,
            """
            begin   → start x
            x ok    → start a, start c
            a fails → try f for a, start f
            c ok    →
            f ok    → done a, start b
            b ok    → succeeded
            """,
            "a succeeded, f succeeded, x succeeded, b succeeded, c succeeded",
            id="by layers, a step comes after what its fallback needs",
        ),
        pytest.param(
            PAIR,
            """
            begin   → start a
            a fails → retry a at 1
            +1      → start a#2
            a fails → try f for a, start f
            crash   → lose f (crash), start f#2
            f ok    → done a, start b
            b ok    → succeeded
            """,
            "a succeeded, f succeeded, b succeeded",
            id="a crash while it runs",
        ),
    ],
)
def test_a_fallback(workflow: Workflow, script: str, expected: str) -> None:
    check(workflow, script, expected, Limits(total=1) if workflow is HELD else None)


def test_both_errors_are_named() -> None:
    story = Story(SOFT)
    for line in ("begin", "a fails exit 3", "f fails"):
        story.tell(line)
    assert story.state.errors[0].exit_code == 3
    assert story.state.errors[0].message == "told so; then its fallback `f` failed: told so"


# ---- fan-outs and sub-workflows ----

EACH = flow(each("a", fallback="f"), fallback("f", fallback="g"), fallback("g"), step("b", "a"))


def test_each_instance_has_its_own() -> None:
    check(
        EACH,
        """
        begin       → ask items a
        a items x y → expand a (x y), start a[x], start a[y]
        a[x] fails  → add f[x], try f[x] for a[x], start f[x]
        f[x] fails  → add g[x], try g[x] for f[x], start g[x]
        a[y] ok     →
        g[x] ok     → done f[x], done a[x], done a, skip f (not_needed a), skip g (not_needed f), start b
        b ok        → succeeded
        """,
        "a succeeded, f skipped, g skipped, b succeeded, a[x] succeeded, a[y] succeeded, f[x] succeeded, g[x] succeeded",
    )


def test_the_copy_of_a_fan_out_has_copies_for_its_own_instances() -> None:
    story = Story(flow(each("a", fallback="f"), each("f", role="fallback", fallback="g"), fallback("g")))
    for line in ("begin", "a items x", "a[x] fails", "f[x] items 0", "f[x][0] fails"):
        story.tell(line)
    assert story.state.graph.ids[-1] == "g[x][0]"
    story.finish()
    assert story.state.ended is not None
    assert story.state.ended.status == "succeeded"


FLOW = flow(
    sub("a", of=inner(step("x", fallback="f"), fallback("f"), step("y", "x")), fallback="h"), fallback("h"), step("b", "a")
)


def test_inside_a_sub_workflow() -> None:
    check(
        FLOW,
        """
        begin     → ask items a
        a items   → expand a (), start a/x
        a/x fails → try a/f for a/x, start a/f
        a/f ok    → done a/x, start a/y
        a/y fails → fail a/y (error), try h for a, start h
        h ok      → done a, start b
        b ok      → succeeded
        """,
        "a succeeded, h succeeded, b succeeded, a/x succeeded, a/f succeeded, a/y failed",
    )


def test_what_a_fallback_stood_in_for_is_not_tried_again() -> None:
    story = Story(flow(*FLOW.steps, step("z")))
    for line in ("begin", "a items", "a/x ok, z fails", "a/y fails", "h ok", "b ok"):
        story.tell(line)
    assert story.state.failed_hard == 1
    story.tell("retry")
    assert {story.state.graph.ids[i] for i in story.state.alive} == {"z"}
    story.finish()
    assert story.state.ended is not None
    assert story.state.ended.status == "succeeded"


def test_a_fallback_with_parts_goes_on_with_them() -> None:
    story = Story(flow(step("a", fallback="f"), fallback("f", fallback="g"), each("g", role="fallback")))
    for line in ("begin", "a fails", "f fails", "g items x y", "g[x] ok, g[y] fails"):
        story.tell(line)
    assert story.state.ended is not None
    message = story.state.errors[0].message
    story.tell("retry")
    assert {story.state.graph.ids[i] for i in story.state.alive} == {"g[y]"}
    story.tell("g[y] fails")
    assert story.state.errors[0].message == message
    story.tell("retry")
    story.tell("g[y] ok")
    assert story.state.ended is not None
    assert story.state.ended.status == "succeeded"


def test_a_group_may_be_a_fallback_that_nobody_needs() -> None:
    """What it is wired to expands, and it does not."""
    workflow = flow(each("w"), step("a", fallback="f"), each("f", "w", role="fallback", wired="w", each_if=True))
    story = Story(workflow)
    story.tell("begin")
    story.tell("w items x")
    assert [id_ for id_ in story.state.graph.ids if id_.startswith("f")] == ["f"]
    story.finish()


def test_a_run_that_is_too_large_has_no_room_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.core.fallback.STEPS_MAX", 4)
    story = Story(flow(each("a", fallback="f"), fallback("f")))
    for line in ("begin", "a items x y", "a[x] fails"):
        story.tell(line)
    assert story.state.status[2].name == "FAILED"


def test_instances_name_their_own() -> None:
    assert [part.fallback for part in grown(each("a", fallback="f"), ["x"])] == ["f[x]"]


def test_a_fallback_is_followed_by_what_follows_its_step() -> None:
    """So it starts before what nothing waits for, and so does the fallback of a fallback."""
    check(
        flow(
            step("a", fallback="f"),
            step("x"),
            step("y"),
            fallback("f", fallback="g"),
            fallback("g"),
            step("b", "a"),
            max_parallel=1,
        ),
        """
        begin   → start a
        a fails → try f for a, start f
        f fails → try g for f, start g
        g ok    → done f, done a, start x
        x ok    → start y
        y ok    → start b
        b ok    → succeeded
        """,
        "a succeeded, x succeeded, y succeeded, f succeeded, g succeeded, b succeeded",
        limits=Limits(total=1),
    )


def test_the_copy_of_a_fallback_ranks_in_its_place() -> None:
    """It comes before what stands later in the file, though it joins the run last, and is followed by what follows its step."""
    steps = (each("a", fallback="f"), step("n"), fallback("f"), step("x"), step("b", "a"))
    story = Story(flow(*steps))
    for line in ("begin", "a items 0", "a[0] fails"):
        story.tell(line)
    ranks, index = story.state.demands.rank, story.state.graph.index
    assert sorted(["x", "f[0]", "n", "f"], key=lambda id_: ranks[index[id_]]) == ["f", "f[0]", "n", "x"]


def test_who_says_no_inside_of_what_has_a_fallback() -> None:
    """The step around it has failed and was helped: nothing is left that anybody refused."""
    asks = sub("a", of=inner(step("q", approve=Approve(message="")), step("x")), fallback="f")
    check(
        flow(asks, fallback("f")),
        """
        begin       → ask items a
        a items     → expand a (), start a/x, open a/q
        a/q opened, reject a/q → cancel a/q (rejected)
        a/x fails   → fail a/x (error), try f for a, start f
        f ok        → done a, succeeded
        """,
        "a succeeded, f succeeded, a/q cancelled, a/x failed",
    )


# ---- why ----


def test_why() -> None:
    story = Story(flow(*CHAIN.steps, each("e", fallback="h"), fallback("h")))
    story.tell("begin")
    assert why(story.state, 1).reason == "it is the fallback of `a`, which has not failed"
    story.tell("a fails")
    assert why(story.state, 0).reason == "it failed (told so), and its fallback `f` is tried"
    story.tell("f ok, e items")
    assert why(story.state, 0).reason == "its fallback `f` succeeded, after it had failed (told so)"
    assert why(story.state, 2).reason == "`f` did not need its fallback"
    assert why(story.state, 5).reason == "instances of `e` have fallbacks of their own"


# ---- the graph ----


def test_layers() -> None:
    graph = Graph(flow(step("a"), step("b", fallback="f"), fallback("f", "a", fallback="g"), fallback("g"), step("c", "b")).steps)
    assert graph.layer == [0, 1, 1, 1, 2]


def test_a_fallback_may_not_need_what_needs_its_step() -> None:
    with pytest.raises(ValueError, match="whose fallback it is"):
        Graph(flow(step("a", fallback="f"), fallback("f", "b"), step("b", "a")).steps)
