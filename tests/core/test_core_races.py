"""Steps that race exclude each other; of those that are ready the earlier in the file goes first; nobody waits for the others."""

import pytest
from story import Story, check, flow, step

from weft.core.measure import Measure
from weft.core.races import RacePools
from weft.core.why import why
from weft.model.workflow import Flow, Sleep, Step, Workflow


def held(story: Story, id_: str) -> str:
    said = why(story.state, story.state.graph.index[id_])
    assert said.status == "held"
    return said.reason


def begun(*steps: Step, then: str = "", **settings: object) -> Story:
    story = Story(flow(*steps, **settings))  # type: ignore[arg-type]
    for line in ("begin", *filter(None, then.split("\n"))):
        story.tell(line)
    return story


def running(story: Story) -> list[str]:
    return [story.state.graph.ids[i] for i in sorted(story.state.alive)]


def test_a_writer_excludes_everybody_and_readers_only_writers() -> None:
    check(
        flow(step("w", writes=("x",)), step("r", reads=("x",)), step("q", reads=("x",)), step("v", writes=("x",)), step("o")),
        """
        begin → start w, start o
        w ok  → start r, start q
        r ok
        q ok  → start v
        v ok
        o ok  → succeeded
        """,
        "w succeeded, r succeeded, q succeeded, v succeeded, o succeeded",
    )


def test_the_earlier_in_the_file_goes_first_however_urgent_the_later_one_is() -> None:
    story = begun(step("a", writes=("x",)), step("b", reads=("x",), priority=9), step("c", priority=5), max_parallel=1)
    assert running(story) == ["a", "c"]
    story = begun(
        step("a", writes=("x",)),
        step("b", writes=("x",), expect_s=100.0),
        step("c", "b", expect_s=100.0),
        step("d", expect_s=150.0),
    )
    assert "b" not in running(story)
    assert "a" in running(story)


def test_nobody_waits_for_a_step_that_is_not_ready() -> None:
    story = begun(step("first"), step("a", "first", writes=("x",)), step("b", writes=("x",)))
    assert running(story) == ["first", "b"]
    story.tell("first ok")
    assert running(story) == ["b"]
    assert held(story, "a") == "it writes `x`, which `b` is writing"


def test_a_race_without_a_path_only() -> None:
    pools = RacePools(flow(step("a", writes=("x",)), step("b", "a", reads=("x",))))
    assert (pools.texts, pools.taken) == ([], {})
    story = begun(step("f", writes=("${{ item }}",), for_each="${{ list }}"), then="f items 1 2 3")
    assert running(story) == ["f[1]", "f[2]", "f[3]"]
    story = begun(step("a", writes=("x",)), step("b", writes=("x",), races="allow"))
    assert running(story) == ["a", "b"]


def test_instances_of_one_step() -> None:
    story = begun(step("f", writes=("log",), for_each="${{ list }}"), then="f items 1 2 3")
    assert running(story) == ["f[1]"]
    story.tell("f[1] ok")
    assert running(story) == ["f[2]"]
    assert held(story, "f[3]") == "it writes `log`, which `f[2]` is writing"


def test_parts_of_a_sub_workflow_are_as_urgent_as_what_races_with_them() -> None:
    inner = Workflow(name="inner", steps=(step("u", writes=("x",)), step("v", "u", priority=3)))
    story = begun(
        Step(id="s", action=Flow(inner)), step("t", reads=("x",), priority=7), step("block", writes=("x",)), then="s items"
    )
    assert running(story) == ["t"]
    story.tell("t ok")
    assert running(story) == ["s/u"]
    assert held(story, "block") == "it writes `x`, which `s/u` is writing"


def test_sequential_runs_take_them_in_the_order_of_the_file() -> None:
    story = begun(step("a", reads=("x",)), step("b", writes=("x",), priority=4), schedule="sequential")
    assert running(story) == ["a"]


def test_patterns_that_differ() -> None:
    story = begun(step("w", writes=("out/",)), step("r", reads=("out/*.csv",)), step("z", reads=("out/a.txt",)))
    assert held(story, "r") == "it reads `out/*.csv`, and `w` is writing `out/`"
    story = begun(step("r", reads=("x",)), step("q", reads=("x",)), step("w", writes=("x",)))
    assert running(story) == ["r", "q"]
    assert held(story, "w") == "it writes `x`, which `r` is reading (and `q` as well)"


def test_patterns_with_the_same_users_are_one_pool() -> None:
    pools = RacePools(flow(step("a", writes=("x", "y")), step("b", writes=("x", "y")), step("c", reads=("x",))))
    assert pools.texts == ["x", "y"]
    pools = RacePools(flow(step("a", writes=("x", "y")), step("b", writes=("x", "y"))))
    assert pools.texts == ["x"]


def test_too_many_globs_to_compare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("weft.model.globs.COMPARED_MAX", 0)
    story = begun(*(step(f"s{n}", writes=(f"{n}*",)) for n in range(4)), step("r", reads=("r*",)))
    assert running(story) == ["s0"]
    assert held(story, "r") == "it races with `s0`"


def test_the_time_that_races_take_is_told() -> None:
    story = begun(step("a", writes=("x",)), step("b", reads=("x",)), then="+3,a ok\n+2,b ok")
    measure = Measure()
    for fact in story.facts:
        measure.see(fact)
    assert measure.numbers().held_s == {"races": 3.0}
    assert measure.numbers().pools == []


def test_a_writer_that_is_overtaken_gets_its_turn() -> None:
    """Readers that come and go would keep it out for ever: in the end none is let in before it."""
    readers = [step(f"r{n}", f"p{n}", reads=("x",)) for n in range(40)]
    story = begun(step("r", reads=("x",)), step("w", writes=("x",), priority=9), *(step(f"p{n}") for n in range(40)), *readers)
    told = []
    for n in range(40):
        story.tell(f"p{n} ok")
        if f"r{n}" not in running(story):
            told.append(held(story, f"r{n}"))
            break
    assert told == ["it reads `x`, which `w` is to write first"]


def test_in_a_fan_out_the_part_of_an_earlier_instance_goes_before_a_more_urgent_part_of_a_later_one() -> None:
    inner = (
        Step(id="a", action=Sleep(seconds=1), writes=("x",), priority=9),
        Step(id="b", action=Sleep(seconds=1), reads=("x",), writes=("y",)),
        Step(id="c", action=Sleep(seconds=1), reads=("y",), priority=3),
    )
    each = Step(id="each", action=Flow(workflow=Workflow(name="in", steps=inner)), for_each=[1, 2])
    after = Step(id="after", action=Sleep(seconds=1), reads=("x",))
    pools = RacePools(Workflow(name="w", steps=(each, after)))
    own = {"each": (0, 0.0), "each/a": (-9, -1.0), "each/b": (0, -1.0), "each/c": (-3, -1.0), "after": (0, -5.0)}
    assert pools.ranked(own) == {"each/a": (-9, -1.0), "each/b": (-9, -1.0), "each/c": (-9, -1.0), "after": (0, -5.0)}
    alone = RacePools(Workflow(name="w", steps=(*inner, after)))
    own = {path.removeprefix("each/"): urgency for path, urgency in own.items()}
    assert alone.ranked(own) == {"a": (-9, -1.0), "b": (-3, -1.0), "c": (-3, -1.0), "after": (0, -5.0)}
