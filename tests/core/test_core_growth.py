"""Steps that stand for others: fan-outs, wired fan-outs, sub-workflows, and both in each other."""

from typing import Any

import pytest
from growing import each, inner, sub, wired
from story import Story, check, flow, step

from weft.core import facts as f
from weft.core import groups
from weft.core.measure import Measure
from weft.core.why import why


def test_an_instance_for_each_key_and_the_whole_after_the_last() -> None:
    check(
        flow(step("a"), each("b", "a"), step("c", "b")),
        """
        begin          → start a
        a ok           → ask items b
        b items x y    → expand b (x y), start b[x], start b[y]
        b[y] ok        →
        b[x] ok        → done b, start c
        c ok           → succeeded
        """,
        "a succeeded, b succeeded, c succeeded, b[x] succeeded, b[y] succeeded",
    )


def test_no_items_are_a_success() -> None:
    check(
        flow(each("a"), step("b", "a")),
        """
        begin   → ask items a
        a items → expand a (), done a, start b
        b ok    → succeeded
        """,
        "a succeeded, b succeeded",
    )


def test_items_that_cannot_be_evaluated() -> None:
    check(
        flow(each("a"), step("b", "a"), step("c", "a", condition="always()")),
        """
        begin          → ask items a
        a items broken → fail a (input), skip b (need_failed a), ask c
        c true         → start c
        c ok           → failed
        """,
        "a failed, b skipped, c succeeded",
    )


def test_answers_that_nobody_waits_for_are_dropped() -> None:
    check(
        flow(each("a"), step("b")),
        """
        begin     → start b, ask items a
        b items x → dropped
        a output  → dropped
        a items x → expand a (x), start a[x]
        a items y → dropped
        a output  → dropped
        cancel    → stop b (cancel), stop a[x] (cancel)
        b ok      → cancel b (cancel)
        a[x] ok   → cancel a[x] (cancel), cancel a (cancel), cancelled
        a items z → dropped
        """,
        "a cancelled, b cancelled, a[x] cancelled",
    )


def test_no_barrier_between_wired_fan_outs() -> None:
    check(
        flow(each("a"), wired("b", "a"), step("c", "b")),
        """
        begin       → ask items a
        a items x y → expand a (x y), expand b (x y), start a[x], start a[y]
        a[x] ok     → start b[x]
        b[x] ok     →
        a[y] ok     → done a, start b[y]
        b[y] ok     → done b, start c
        c ok        → succeeded
        """,
        "a succeeded, b succeeded, c succeeded, a[x] succeeded, a[y] succeeded, b[x] succeeded, b[y] succeeded",
    )


def test_layers_are_a_barrier_between_wired_fan_outs() -> None:
    check(
        flow(each("a"), wired("b", "a"), schedule="layers"),
        """
        begin       → ask items a
        a items x y → expand a (x y), start a[x], start a[y]
        a[x] ok     →
        a[y] ok     → done a, ask items b
        b items x y → expand b (x y), start b[x], start b[y]
        b[x] ok     →
        b[y] ok     → done b, succeeded
        """,
        "a succeeded, b succeeded, a[x] succeeded, a[y] succeeded, b[x] succeeded, b[y] succeeded",
    )


def test_wired_instances_wait_for_other_needs_too() -> None:
    check(
        flow(each("a"), step("z"), wired("b", "a", "z")),
        """
        begin     → start z, ask items a
        a items x → expand a (x), expand b (x), start a[x]
        a[x] ok   → done a
        z fails   → fail z (error), skip b[x] (need_failed z), skip b (need_failed z), failed
        """,
        "a succeeded, z failed, b skipped, a[x] succeeded, b[x] skipped",
    )


def test_a_failed_instance_skips_what_is_wired_to_it_and_what_needs_the_whole() -> None:
    told = check(
        flow(each("a"), wired("b", "a"), step("c", "a"), step("d", "b")),
        """
        begin       → ask items a
        a items x y → expand a (x y), expand b (x y), start a[x], start a[y]
        a[x] fails  → fail a[x] (error), skip b[x] (need_failed a[x])
        a[y] ok     → fail a (error), skip c (need_failed a), start b[y]
        b[y] ok     → skip b (need_failed a[x]), skip d (need_failed a[x]), failed
        """,
        "a failed, b skipped, c skipped, d skipped, a[x] failed, a[y] succeeded, b[x] skipped, b[y] succeeded",
    )
    assert told.state.errors[0].message == "1 of 2 instances failed: `a[x]`; the first one: told so"


def test_under_continue_they_run() -> None:
    check(
        flow(each("a", on_error="continue"), wired("b", "a"), step("c", "a")),
        """
        begin       → ask items a
        a items x y → expand a (x y), expand b (x y), start a[x], start a[y]
        a[x] fails  → fail a[x] (error), start b[x]
        a[y] ok     → done a, start b[y], start c
        b[x] ok     →
        b[y] ok     → done b
        c ok        → succeeded_with_errors
        """,
        "a succeeded, b succeeded, c succeeded, a[x] failed, a[y] succeeded, b[x] succeeded, b[y] succeeded",
    )


def test_the_error_names_no_more_than_helps() -> None:
    told = Story(flow(each("a")))
    for line in ("begin", "a items 1 2 3 4 5", "a[1] ok, " + ", ".join(f"a[{n}] fails" for n in (2, 3, 4, 5))):
        told.tell(line)
    assert told.state.errors[0].message.startswith("4 of 5 instances failed: `a[2]`, `a[3]`, `a[4]` and 1 more; the first")


def test_an_if_about_the_item_is_asked_for_each_instance_and_one_about_the_whole_once() -> None:
    check(
        flow(each("a", condition="item.go", each_if=True), each("b", condition="inputs.go"), step("c", "a")),
        """
        begin               → ask items a, ask b
        a items x y, b true → expand a (x y), ask a[x], ask a[y], ask items b
        a[x] true           → start a[x]
        a[y] false          → skip a[y] (condition)
        b items             → expand b (), done b
        a[x] ok             → done a, start c
        c ok                → succeeded
        """,
        "a succeeded, b succeeded, c succeeded, a[x] succeeded, a[y] skipped",
    )


def test_an_if_about_the_item_is_asked_for_each_sub_workflow_too() -> None:
    check(
        flow(sub("a", of=inner(step("x")), for_each="${{ inputs.list }}", condition="item.go", each_if=True)),
        """
        begin             → ask items a
        a items p q       → expand a (p q), ask a[p], ask a[q]
        a[p] true         → ask items a[p]
        a[q] false        → skip a[q] (condition)
        a[p] items        → expand a[p] (), start a[p]/x
        a[p]/x ok         → done a[p], done a, succeeded
        """,
        "a succeeded, a[p] succeeded, a[q] skipped, a[p]/x succeeded",
    )


def test_a_fan_out_whose_instances_are_all_skipped_has_succeeded_with_nothing() -> None:
    check(
        flow(each("a", condition="item", each_if=True), step("b", "a")),
        """
        begin     → ask items a
        a items x → expand a (x), ask a[x]
        a[x] false → skip a[x] (condition), done a, start b
        b ok      → succeeded
        """,
        "a succeeded, b succeeded, a[x] skipped",
    )


def test_a_whole_fan_out_is_skipped_before_anything_is_evaluated() -> None:
    check(
        flow(step("z"), each("a", "z"), wired("b", "a"), each("c", condition="inputs.go")),
        """
        begin   → start z, ask c
        c false → skip c (condition)
        z fails → fail z (error), skip a (need_failed z), skip b (need_failed z), failed
        """,
        "z failed, a skipped, b skipped, c skipped",
    )


def test_a_retry_runs_the_failed_keys_only() -> None:
    check(
        flow(each("a"), step("b", "a")),
        """
        begin       → ask items a
        a items x y → expand a (x y), start a[x], start a[y]
        a[x] fails  → fail a[x] (error)
        a[y] ok     → fail a (error), skip b (need_failed a), failed
        retry       → start a[x]#2
        a[x] ok     → done a, start b
        b ok        → succeeded
        """,
        "a succeeded, b succeeded, a[x] succeeded, a[y] succeeded",
    )


def test_a_retry_of_what_went_on_without_a_part() -> None:
    """What had succeeded although a part had not gets that part again; what came after it is complete and stays so."""
    check(
        flow(each("a", on_error="continue"), step("b", "a")),
        """
        begin      → ask items a
        a items x  → expand a (x), start a[x]
        a[x] fails → fail a[x] (error), done a, start b
        b ok       → succeeded_with_errors
        retry      → start a[x]#2
        a[x] ok    → done a, succeeded
        """,
        "a succeeded, b succeeded, a[x] succeeded",
    )


def test_what_was_expanded_before_a_crash_is_not_expanded_again() -> None:
    check(
        flow(each("a")),
        """
        begin       → ask items a
        crash       → ask items a
        a items x   → expand a (x), start a[x]
        crash       → lose a[x] (crash), start a[x]#2
        drain       →
        a items x y → dropped
        a[x] ok     → done a, succeeded
        """,
        "a succeeded, a[x] succeeded",
    )


def test_a_suspended_run_asks_again_for_items_that_came_too_late() -> None:
    check(
        flow(each("a"), step("b")),
        """
        begin     → start b, ask items a
        drain     →
        a items x → dropped
        b ok      → suspended
        crash     → ask items a
        a items   → expand a (), done a, succeeded
        """,
        "a succeeded, b succeeded",
    )


def test_the_steps_of_a_sub_workflow_join_the_graph() -> None:
    check(
        flow(step("a"), sub("b", "a", of=inner(step("x"), step("y", "x"))), step("c", "b")),
        """
        begin   → start a
        a ok    → ask items b
        b items → expand b (), start b/x
        b/x ok  → start b/y
        b/y ok  → done b, start c
        c ok    → succeeded
        """,
        "a succeeded, b succeeded, c succeeded, b/x succeeded, b/y succeeded",
    )


def test_the_output_of_a_sub_workflow_is_evaluated_before_it_counts() -> None:
    workflow = flow(sub("a", of=inner(step("x"), outputs={"n": 1})), step("b", "a"))
    check(
        workflow,
        """
        begin    → ask items a
        a items  → expand a (), start a/x
        a output → dropped
        a/x ok   → ask output a
        crash    → ask output a
        a output → done a, start b
        b ok     → succeeded
        """,
        "a succeeded, b succeeded, a/x succeeded",
    )
    check(
        workflow,
        """
        begin           → ask items a
        a items         → expand a (), start a/x
        a/x ok          → ask output a
        a output broken → fail a (input), skip b (need_failed a), failed
        """,
        "a failed, b skipped, a/x succeeded",
    )


def test_what_was_not_selected_gets_no_instances_of_what_it_is_wired_to() -> None:
    given = {"a": f.Given(run="old", keys=("x",))}
    story = Story(flow(each("a"), wired("b", "a"), wired("c", "b")), given=given, left_out=("c",))
    story.tell("begin")
    assert story.state.graph.ids == ["a", "b", "c", "a[x]", "b[x]"]
    assert story.state.status[2].name == "SKIPPED"


def test_a_failure_inside_is_forgiven_by_on_error_of_the_sub_workflow() -> None:
    told = check(
        flow(sub("a", of=inner(step("x"), step("y", "x")), on_error="continue"), step("b", "a")),
        """
        begin     → ask items a
        a items   → expand a (), start a/x
        a/x fails → fail a/x (error), skip a/y (need_failed a/x), fail a (error), start b
        b ok      → succeeded_with_errors
        """,
        "a failed, b succeeded, a/x failed, a/y skipped",
    )
    assert told.state.errors[0].message == "1 of 2 steps failed: `a/x`; the first one: told so"


def test_a_sub_workflow_for_each_item_with_wired_fan_outs_in_it() -> None:
    check(
        flow(sub("a", of=inner(each("x"), wired("y", "x")), for_each="${{ inputs.list }}")),
        """
        begin             → ask items a
        a items k         → expand a (k), ask items a[k]
        a[k] items        → expand a[k] (), ask items a[k]/x
        a[k]/x items p    → expand a[k]/x (p), expand a[k]/y (p), start a[k]/x[p]
        a[k]/x[p] ok      → done a[k]/x, start a[k]/y[p]
        a[k]/y[p] ok      → done a[k]/y, done a[k], done a, succeeded
        """,
        "a succeeded, a[k] succeeded, a[k]/x succeeded, a[k]/y succeeded, a[k]/x[p] succeeded, a[k]/y[p] succeeded",
    )


def test_stop_in_an_instance_stops_the_run() -> None:
    check(
        flow(each("a", on_error="stop"), step("b")),
        """
        begin       → start b, ask items a
        a items x y → expand a (x y), start a[x], start a[y]
        a[x] fails  → fail a[x] (error), stop b (stop), stop a[y] (stop)
        b ok        → cancel b (stop)
        a[y] ok     → cancel a[y] (stop), fail a (error), failed
        """,
        "a failed, b cancelled, a[x] failed, a[y] cancelled",
    )


def test_instances_that_were_not_begun_are_skipped_and_so_is_the_whole() -> None:
    told = check(
        flow(step("z", on_error="stop", priority=1), each("a"), max_parallel=1, schedule="sequential"),
        """
        begin       → start z, ask items a
        a items x y → expand a (x y)
        z fails     → fail z (error), skip a[x] a[y] (stop z), skip a (stop z), failed
        """,
        "z failed, a skipped, a[x] skipped, a[y] skipped",
    )
    assert "stop" in why(told.state, 1).reason


def test_the_order_of_dispatch_within_a_group() -> None:
    """Instances stand where their fan-out does: before what comes later in the file, after what has a longer path."""
    p: dict[str, Any] = {"resources": {"p": 1}}
    check(
        flow(each("a", **p), step("b", **p), step("long", **p, expect_s=9.0), pools={"p": 1}),
        """
        begin       → start long, ask items a
        a items x y → expand a (x y)
        long ok     → start a[x]
        a[x] ok     → start a[y]
        a[y] ok     → done a, start b
        b ok        → succeeded
        """,
        "a succeeded, b succeeded, long succeeded, a[x] succeeded, a[y] succeeded",
    )


def test_a_run_has_a_bounded_number_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "STEPS_MAX", 4)
    check(
        flow(each("a"), sub("b", of=inner(step("x"), step("y"), step("z")))),
        """
        begin         → ask items a, ask items b
        a items x y z → fail a (input)
        b items       → fail b (input), failed
        """,
        "a failed, b failed",
    )


def test_why_says_what_a_group_waits_for() -> None:
    told = Story(flow(each("a", condition="inputs.go"), sub("b", of=inner(step("x"), outputs={"n": 1}))))
    told.tell("begin")
    assert why(told.state, 0).reason == "its `if` is being evaluated"
    assert why(told.state, 1).reason == "what it stands for is being evaluated"
    told.tell("a true, b items")
    assert why(told.state, 0).reason == "what it stands for is being evaluated"
    assert why(told.state, 1).reason == "1 of its 1 steps have not settled: `b/x`"
    told.tell("a items, b/x ok")
    assert (why(told.state, 0).status, why(told.state, 1).status) == ("succeeded", "running")
    assert why(told.state, 0).reason == "there was nothing to do: it stands for no steps"
    assert why(told.state, 1).reason == "its outputs are being evaluated"
    told.tell("b output")
    assert why(told.state, 1).reason == "none of its 1 steps failed"


def test_the_critical_path_goes_through_the_parts() -> None:
    told, measure = Story(flow(step("a"), each("b", "a"), step("c", "b"))), Measure()
    for line in ("begin", "+1", "a ok", "b items x y", "+2", "b[x] ok", "+3", "b[y] ok", "+1", "c ok"):
        told.tell(line)
    for fact in told.facts:
        measure.see(fact)
    found = measure.numbers()
    assert found.critical_path == [("a", 1.0), ("b[y]", 5.0), ("c", 1.0)]
    assert (found.work_s, found.span_s, found.parallel_max) == (9.0, 7.0, 2)
