"""What holds for every small graph and for every order of events: not examples, but all of them, or very many."""

from collections.abc import Iterator
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from story import Story, cut_everywhere, flow, step

from weft.core.facts import Limits
from weft.core.status import Status
from weft.model.workflow import OnError, Schedule, Workflow
from weft.testing.strategies import limits, workflows

POLICIES: tuple[OnError, ...] = ("isolate", "continue", "stop", "stop_layer")


def graphs(steps: int) -> Iterator[list[list[int]]]:
    """Every acyclic graph: for each step, its needs among the steps before it."""
    yield from (
        [list(needs) for needs in chosen]
        for chosen in product(*([needs for n in range(i + 1) for needs in combinations(range(i), n)] for i in range(steps)))
    )


def play(workflow: Workflow, failing: set[str]) -> Story:
    """One attempt ends in each turn, the first in file order; these steps fail, and no `if` but `inputs.no` is false."""
    story = Story(workflow)
    story.tell("begin")
    while not story.state.ended:
        asked = [f"{id_} {'false' if id_ in failing else 'true'}" for id_ in story.asked()]
        id_ = story.state.graph.ids[min(story.state.alive)] if story.state.alive else ""
        story.tell(asked[0] if asked else f"{id_} {'fails' if id_ in failing else 'ok'}")
    return story


@pytest.mark.parametrize("schedule", ["dataflow", "layers", "sequential"])
def test_every_graph_of_three_steps_goes_on_after_every_fact(schedule: Schedule) -> None:
    for needs in graphs(3):
        for failing in (None, 0, 1, 2):
            for on_error in POLICIES if failing is not None else ["isolate"]:
                steps = [
                    step(f"s{i}", " ".join(f"s{need}" for need in needs[i]), on_error=on_error if i == failing else "isolate")
                    for i in range(3)
                ]
                cut_everywhere(play(flow(*steps, schedule=schedule), {f"s{failing}"}))


@pytest.mark.parametrize("what", ["cancel", "kill", "drain", "kill, cancel", "crash", "crash, cancel"])
@pytest.mark.parametrize("with_an_end", [False, True])
def test_every_graph_of_three_steps_can_be_ended_at_every_moment(what: str, with_an_end: bool) -> None:
    for needs in graphs(3):
        steps = [step(f"s{i}", " ".join(f"s{need}" for need in needs[i]), retry=1, timeout_s=9.0) for i in range(3)]
        for moment in range(7):
            story = Story(flow(*steps), Limits(total=2))
            story.tell("begin")
            for _ in range(moment):
                alive = [*story.state.alive, -1][0]
                first = story.state.attempts[alive] == 1
                story.tell(f"s{alive} {'fails' if first and alive == 0 else 'ok'}" if alive >= 0 else "+1")
            over = story.state.ended is not None
            last = list(story.state.alive)[-1:] if with_an_end else []
            story.tell(", ".join([*[f"s{i} ok" for i in last], what]))
            story.finish()
            assert story.state.ended is not None
            assert story.state.ended.status == ("cancelled" if "cancel" in what and not over else "succeeded")


BEHAVIOUR = ("ok", "fails", "fails softly", "is not wanted")


def expected(needs: list[list[int]], behaviour: tuple[str, ...]) -> list[Status]:
    """What becomes of each step by the words of the semantics: nothing here is shared with the core."""
    found: list[Status] = []
    bad, unwanted = set[int](), set[int]()
    for i, does in enumerate(behaviour):
        if not bad.isdisjoint(needs[i]):
            bad.add(i)
            found.append(Status.SKIPPED)
        elif does == "is not wanted" or (needs[i] and unwanted.issuperset(needs[i])):
            unwanted.add(i)
            found.append(Status.SKIPPED)
        elif does == "ok":
            found.append(Status.SUCCEEDED)
        else:
            bad |= {i} if does == "fails" else set()
            found.append(Status.FAILED)
    return found


def test_every_graph_of_four_steps_ends_as_the_semantics_say() -> None:
    for needs in graphs(4):
        for behaviour in product(BEHAVIOUR[:3], BEHAVIOUR, BEHAVIOUR[::3], BEHAVIOUR[:2]):
            steps = [
                step(
                    f"s{i}",
                    " ".join(f"s{need}" for need in needs[i]),
                    on_error="continue" if does == "fails softly" else "isolate",
                    condition="inputs.no" if does == "is not wanted" else "",
                )
                for i, does in enumerate(behaviour)
            ]
            story = play(flow(*steps), {f"s{i}" for i, does in enumerate(behaviour) if does != "ok"})
            assert story.state.status == expected(needs, behaviour), (needs, behaviour)


ENDS = ["ok", "fails", "fails exit 3", "cancelled", "lost", "spawned 7", "#1 ok"]


@settings(max_examples=150, deadline=None)
@given(workflow=workflows(), limit=limits(), data=st.data())
def test_whatever_happens_in_whatever_order(workflow: Workflow, limit: Limits, data: st.DataObject) -> None:
    """All events are drawn, many at once, in any order, some of attempts that are over. Story checks what holds after a turn."""
    story = Story(workflow, limit)
    story.tell("begin")
    for _ in range(data.draw(st.integers(0, 12))):
        if story.state.suspended or story.state.ended:
            break
        attempted = [id_ for i, id_ in enumerate(story.state.graph.ids) if story.state.attempts[i]]
        events = [f"{id_}{end}" if end.startswith("#") else f"{id_} {end}" for id_ in attempted for end in ENDS]
        events += [f"{id_} {verdict}" for id_ in story.asked() for verdict in ("true", "false", "broken")]
        rare = data.draw(st.sampled_from([*[""] * 12, "cancel", "drain", "kill", "crash"]))
        batch = data.draw(st.lists(st.sampled_from(events), max_size=4)) if events else []
        story.tell(", ".join([*batch, *[rare] * bool(rare), data.draw(st.sampled_from(["+0", "+1", "+5"]))]))
    story.finish()


@settings(max_examples=60, deadline=None)
@given(workflow=workflows(conditions=False), data=st.data())
def test_the_order_within_a_turn_does_not_matter_for_who_runs(workflow: Workflow, data: st.DataObject) -> None:
    """Without limits and policies that stop, the same ends in another order lead to the same states."""
    calm = flow(*[step(s.id, " ".join(s.needs), on_error="continue" if s.priority > 0 else "isolate") for s in workflow.steps])
    first, second = Story(calm), Story(calm)
    first.tell("begin")
    second.tell("begin")
    while not first.state.ended:
        ends = [f"{first.state.graph.ids[i]} {data.draw(st.sampled_from(['ok', 'fails']))}" for i in first.state.alive]
        first.tell(", ".join(ends))
        second.tell(", ".join(data.draw(st.permutations(ends))))
        assert first.state.status == second.state.status
    assert second.state.ended is not None
    assert first.state.ended.status == second.state.ended.status
