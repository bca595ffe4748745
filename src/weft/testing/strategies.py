"""Hypothesis strategies for workflows. They shrink to few steps without needs, pools or policies.

Needs hypothesis, which weft itself does not.
"""

from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from weft.core.facts import Limits
from weft.model.workflow import Action, Pool, Retry, Shell, Sleep, Step, Workflow
from weft.sim.random_workflow import CONDITIONS

POOLS: Final = ("red", "blue")
ACTIONS: Final[tuple[Action, ...]] = (Shell(script="true"), Sleep(seconds=1.0))


@st.composite
def workflows(draw: st.DrawFn, steps_max: int = 6, conditions: bool = True) -> Workflow:
    """Workflows of 1 to `steps_max` steps with every feature of scheduling."""
    pools = draw(st.dictionaries(st.sampled_from(POOLS), st.builds(Pool, slots=st.integers(1, 3))))
    ids = [f"s{n}" for n in range(draw(st.integers(1, steps_max)))]
    steps = [draw(_steps(ids[n], ids[:n], pools, CONDITIONS if conditions else ())) for n in range(len(ids))]
    return Workflow(
        name="drawn",
        steps=tuple(steps),
        outputs=draw(st.sampled_from([{}, {"all": "done"}])),
        resources=pools,
        schedule=draw(st.sampled_from(["dataflow", "layers", "sequential"])),
    )


@st.composite
def _steps(draw: st.DrawFn, id_: str, before: list[str], pools: dict[str, Pool], conditions: tuple[str, ...]) -> Step:
    needs = draw(st.lists(st.sampled_from(before), unique=True, max_size=3)) if before else []
    condition = draw(st.sampled_from(("", "", *conditions)))
    if "{" in condition:
        condition = condition.format(need=needs[0]) if needs else ""
    names = draw(st.sets(st.sampled_from(sorted(pools)))) if pools else set()
    return Step(
        id=id_,
        action=draw(st.sampled_from(ACTIONS)),
        needs=tuple(needs),
        condition=condition,
        resources={name: draw(st.integers(0, pools[name].slots)) for name in sorted(names)},
        priority=draw(st.integers(-1, 1)),
        on_error=draw(st.sampled_from(["isolate", "continue", "stop", "stop_layer"])),
        retry=draw(retries()),
        timeout_s=draw(st.none() | st.sampled_from([1.0, 5.0])),
    )


def retries() -> SearchStrategy[Retry]:
    return st.builds(
        Retry,
        times=st.integers(0, 2),
        delay_s=st.sampled_from([0.0, 1.0]),
        jitter=st.booleans(),
        when=st.sampled_from([(), ("timeout", "exit 3")]),
        max_elapsed_s=st.none() | st.just(5.0),
    )


def limits() -> SearchStrategy[Limits]:
    return st.builds(
        Limits,
        total=st.none() | st.integers(1, 3),
        computing=st.none() | st.integers(1, 2),
        waiting=st.none() | st.integers(1, 2),
    )
