"""Pools of the machine, GPUs, and pools that runs share, told as stories."""

import msgspec
from story import Story, check, decided, flow, step

from weft.core import facts as f
from weft.core.audit import audit
from weft.core.capacity import beyond
from weft.core.facts import Limits
from weft.core.state import Attempt
from weft.core.why import why
from weft.model.workflow import FRACTIONS, Pool, Rate, Workflow

CPU = Pool(auto=True, unit=FRACTIONS)
GPU = Pool(auto=True, unit=FRACTIONS)
MEM = Pool(auto=True, is_bytes=True)
SHARED = Pool(slots=2, scope="engine")
TWO_GPUS = Limits(pools={"gpu": 2 * FRACTIONS}, gpus=("0", "1"))


def using(workflow: Workflow, **pools: Pool) -> Workflow:
    return msgspec.structs.replace(workflow, resources=pools)


def said(story: Story, id_: str) -> str:
    return why(story.state, story.state.graph.index[id_]).reason


def test_parts_of_a_processor() -> None:
    """1.5 processors: three halves, and no fourth."""
    steps = [step(id_, resources={"cpu": 500}) for id_ in "abcd"]
    story = check(
        using(flow(*steps), cpu=CPU),
        """
        begin → start a, start b, start c
        a ok → start d
        """,
        "a succeeded, b running, c running, d running",
        limits=Limits(pools={"cpu": 1500}),
    )
    story.finish()


def test_what_a_machine_is_too_small_for_fails() -> None:
    """And nothing else does. On a machine that is larger it runs."""
    workflow = using(
        flow(step("a", resources={"mem": 3 << 30}, retry=3), step("b", "a"), step("c", resources={"mem": 1 << 30})), mem=MEM
    )
    small = Limits(pools={"mem": 2 << 30})
    story = check(workflow, "begin → fail a (error), skip b (need_failed a), start c", "a failed, b skipped, c running", small)
    assert said(story, "a") == "error: it asks for 3GiB of `mem`, of which this machine has 2GiB"
    assert list(beyond(workflow, small)) == [("a", "it asks for 3GiB of `mem`, of which this machine has 2GiB")]
    check(workflow, "begin → start a, start c", "a running, b waiting, c running", Limits(pools={"mem": 4 << 30}))


def test_what_a_machine_is_too_small_for_has_a_fallback() -> None:
    workflow = using(flow(step("a", resources={"mem": 3}, fallback="f"), step("f", role="fallback"), step("b", "a")), mem=MEM)
    script = """
    begin → try f for a, start f
    f ok  → done a, start b
    b ok  → succeeded
    """
    check(workflow, script, "a succeeded, f succeeded, b succeeded", Limits(pools={"mem": 2}))


def test_no_gpu() -> None:
    workflow = using(flow(step("a", resources={"gpu": 1000})), gpu=GPU)
    story = check(workflow, "begin → fail a (error), failed", "a failed")
    assert said(story, "a") == "error: it asks for 1 of `gpu`, of which this machine has none"


def test_a_pool_may_be_called_like_one_of_the_machine() -> None:
    """As in files of other systems: two slots are two slots, and no device."""
    steps = [step(id_, resources={"gpu": 1}) for id_ in "abc"]
    story = check(
        using(flow(*steps), gpu=Pool(slots=2)), "begin → start a, start b\na ok → start c", "a succeeded, b running, c running"
    )
    assert all(not attempt.gpus for attempt in story.state.alive.values())
    story.finish()


def test_a_resume_on_a_smaller_machine() -> None:
    """What waits there asks for too much; what was held at the first machine is told so at the second."""
    workflow = using(flow(step("a", resources={"cpu": 2000}), step("b", resources={"cpu": 2000}, retry=1)), cpu=CPU)
    story = Story(workflow, Limits(pools={"cpu": 2000}))
    story.tell("begin")
    story.limits = Limits(pools={"cpu": 1000})
    story.tell("crash")
    assert [story.state.status[i].name for i in range(2)] == ["FAILED", "FAILED"]


def test_a_suspended_run_fails_nothing() -> None:
    workflow = using(flow(step("a"), step("b", resources={"gpu": 1000})), gpu=GPU)
    story = Story(workflow, TWO_GPUS)
    story.tell("begin")
    story.limits = Limits()
    story.tell("crash, drain")
    assert said(story, "b").startswith("it asks for 1 of pool `gpu`") or said(story, "b").startswith("the run is suspended")


def test_gpus_are_handed_out() -> None:
    """Whole ones are distinct, halves share one; who needs more waits for devices, not for units."""
    steps = [
        step("whole", resources={"gpu": 1000}),
        step("half", resources={"gpu": 500}),
        step("other", resources={"gpu": 500}),
        step("last", resources={"gpu": 1000}),
    ]
    story = check(
        using(flow(*steps), gpu=GPU),
        """
        begin → start whole on 0, start half on 1, start other on 1
        whole ok → start last on 0
        """,
        "whole succeeded, half running, other running, last running",
        TWO_GPUS,
    )
    assert said(story, "last") == "attempt 1 runs on GPU 0"


def test_parts_do_not_make_a_whole() -> None:
    """Two devices are half free, so there is one free unit, and no free device."""
    steps = [
        step("a", resources={"gpu": 600}),
        step("b", resources={"gpu": 600}),
        step("whole", resources={"gpu": 1000}),
        step("both", resources={"gpu": 2000}),
    ]
    pool = Pool(slots=3 * FRACTIONS, unit=FRACTIONS)
    limits = Limits(gpus=("GPU-x",))
    story = Story(using(flow(*steps), gpu=pool), limits)
    story.tell("begin")
    assert story.state.alive[0].gpus == ("GPU-x",)
    assert [story.state.alive[i].gpus for i in (1, 2)] == [("1",), ("2",)]
    story.tell("whole ok")
    assert said(story, "both") == "it asks for 2 of pool `gpu`, 1.8 free; held by `a`, `b`"
    story.tell("a ok")
    assert story.state.alive[3].gpus == ("GPU-x", "2")


def test_free_units_that_are_no_device() -> None:
    steps = [step(id_, resources={"gpu": 600}) for id_ in "ab"] + [step("c"), step("d", "c", resources={"gpu": 700})]
    story = Story(using(flow(*steps), gpu=Pool(slots=2 * FRACTIONS, unit=FRACTIONS)))
    story.tell("begin")
    story.tell("c ok")
    held = "the 0.8 free are parts of devices in use; held by `a`, `b`"
    assert said(story, "d") == f"it asks for 0.7 of pool `gpu`; {held}"
    story.tell("b ok")
    assert story.state.alive[3].gpus == ("1",)


def test_a_whole_gpu_is_kept_for_who_was_overtaken() -> None:
    """Halves come and go in an endless stream; the whole one starts all the same."""
    halves = [step(f"h{n}", resources={"gpu": 600}) for n in range(40)]
    workflow = using(flow(step("x"), step("whole", "x", resources={"gpu": 1000}, priority=9), *halves), gpu=GPU)
    story = Story(workflow, TWO_GPUS)
    story.tell("begin")
    story.tell("x ok")
    ended = 0
    while 1 not in story.state.alive:
        first = min(story.state.alive)
        story.tell(f"{story.state.graph.ids[first]} ok")
        ended += 1
    assert ended <= 3  # a device is free when its only part ends


def test_audit_of_devices() -> None:
    steps = [step("a", resources={"gpu": 1000}), step("b", resources={"gpu": 500}), step("c")]
    story = Story(using(flow(*steps), gpu=GPU), TWO_GPUS)
    story.tell("begin")
    state = story.state
    state.alive[0].gpus = ("1",)
    assert audit(state) == ["GPU 1 is given away 1.5 times"]
    state.alive[0].gpus = ("7",)
    assert audit(state) == ["there is no GPU 7, only ['0', '1']"]
    state.alive[0].gpus = ()
    assert audit(state) == ["step `a` asks for 1 GPUs and has []"]
    assert isinstance(state.alive[2], Attempt)


# ---- pools that runs share ----


def test_a_step_starts_with_a_lease() -> None:
    """It serves one attempt: the next step asks again."""
    steps = [step("a", resources={"db": 1}), step("b", "a", resources={"db": 1}), step("c")]
    check(
        using(flow(*steps), db=SHARED),
        """
        begin → start c, lease db=1 ×1
        leased db=1 → start a
        a ok → lease db=1 ×1
        leased db=1 → start b
        """,
        "a succeeded, b running, c running",
    )


def test_as_many_leases_as_can_be_used() -> None:
    """Two fit under the pool's own size; of the third nothing is asked before."""
    steps = [step(id_, resources={"db": 1}) for id_ in "abc"]
    check(
        using(flow(*steps), db=SHARED),
        """
        begin → lease db=1 ×2
        leased db=1 → start a
        leased db=1 → start b
        a ok → lease db=1 ×1
        cancel → stop b (cancel), skip c (cancel), lease db=1 ×0
        """,
        "a succeeded, b stopping, c skipped",
    )


def test_several_pools_are_one_lease() -> None:
    story = Story(using(flow(step("a", resources={"net": 1, "db": 2})), db=SHARED, net=SHARED))
    turn = story.tell("begin")
    assert [command.units for command in turn.commands if hasattr(command, "units")] == [{"db": 2, "net": 1}]
    story.tell("leased net=1 db=2")
    assert list(story.state.alive) == [0]


def test_a_lease_that_nobody_can_use_goes_back() -> None:
    """Both steps ask, for there is one place and nobody knows who is first; then the place is taken."""
    steps = [step("a", resources={"db": 1}), step("b", resources={"net": 1})]
    check(
        using(flow(*steps), db=SHARED, net=SHARED),
        """
        begin → lease db=1 ×1, lease net=1 ×1
        leased net=1 → start b, lease db=1 ×0
        leased db=1 → return db=1 ×1
        b ok → lease db=1 ×1
        """,
        "a ready, b succeeded",
        Limits(total=1),
    )


def test_other_runs_are_named() -> None:
    story = Story(using(flow(step("a", resources={"db": 1})), db=SHARED))
    story.tell("begin")
    assert said(story, "a") == "it asks for 1 of pool `db`, which all runs here share"
    story.tell("busy r db=1")
    story.tell("busy bold-otter db=1")
    assert said(story, "a") == (
        "it asks for 1 of pool `db`, which all runs here share; held, or waited for longer, by run `bold-otter`"
    )
    story.tell("busy r db=1")
    assert said(story, "a").endswith("by run `r` (this one)")
    story.tell("drain")
    assert said(story, "a") == "the run is suspended: `weft resume` goes on"


def test_a_new_engine_has_no_leases() -> None:
    story = Story(using(flow(step("a", resources={"db": 1})), db=SHARED))
    story.tell("begin, leased db=1")
    assert list(story.state.alive) == [0]
    turn = story.tell("crash")
    assert not story.state.alive
    assert [type(command).__name__ for command in turn.commands] == ["LeaseUnits"]
    story.tell("leased db=1")
    assert list(story.state.alive) == [0]


def test_a_lease_waits_for_no_token() -> None:
    """Another step takes the last token while the lease is asked for: then it is the instant that is waited for."""
    api = Pool(rate=Rate(1, 10.0))
    steps = [step("a", resources={"db": 1, "api": 1}, priority=1), step("b", resources={"api": 1}), step("c", sleep=True)]
    story = Story(using(flow(*steps), db=SHARED, api=api))
    assert decided(story.tell("begin")) == "start b, start c"
    assert said(story, "a") == "pool `api` lets 1/10s start, and has no token left"
    assert decided(story.tell("+1, c ok")) == ""
    assert decided(story.tell("+9")) == "lease db=1 ×1"
    assert decided(story.tell("leased db=1")) == "start a"

    beside = Story(using(flow(*steps, step("d", resources={"db": 1})), db=SHARED, api=api))
    assert decided(beside.tell("begin")) == "start b, start c, lease db=1 ×1"
    assert decided(beside.tell("leased db=1")) == "start d"


def test_audit_of_leases() -> None:
    story = Story(using(flow(step("a", resources={"db": 1})), db=SHARED))
    story.tell("begin")
    share = next(iter(story.state.leases.asked))
    story.state.leases.asked.clear()
    assert audit(story.state) == ["step `a` lacks nothing but a lease, and nobody asks for it"]
    story.state.leases.asked[share] = 1
    story.state.leases.note_leased(share)
    story.state.leases.note_leased(share)
    story.state.leases.note_gone(share)
    assert audit(story.state) == [
        "1 leases for ((3, 1),) are unused",
        "step `a` lacks nothing but a lease, and nobody asks for it",
    ]


def test_audit_of_what_is_too_large() -> None:
    steps = [step(id_, resources={"cpu": 2000}) for id_ in "ab"]
    story = Story(using(flow(*steps), cpu=CPU), Limits(pools={"cpu": 2000}))
    story.tell("begin")
    story.state.limits = Limits(pools={"cpu": 1000})
    assert "step `b` is ready, though there is never so much of pool `cpu`" in audit(story.state)


def test_time_held_by_others_is_theirs() -> None:
    from weft.core.measure import Measure

    story = Story(using(flow(step("a", resources={"db": 1})), db=SHARED))
    story.tell("begin")
    story.tell("busy other db=1")
    story.tell("+5, leased db=1")
    story.tell("+1, a ok")
    measure = Measure()
    for fact in story.facts:
        measure.see(fact)
    assert measure.numbers().held_s == {"db": 5.0}
    assert isinstance(story.facts[-1], f.RunEnded)
