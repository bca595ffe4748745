"""How many workers are started before a step asks for one."""

import pytest

from weft.hands import LAYERS_STEPS_MAX, at_once
from weft.model.workflow import Flow, Lua, Python, Shell, Step, Workflow

CHAIN = (Step(id="a", action=Lua(code="")), Step(id="b", action=Lua(code=""), needs=("a",)))
SIDE_BY_SIDE = tuple(Step(id=id_, action=Python(code=""), needs=("a",)) for id_ in "cde")


@pytest.mark.parametrize(
    ("steps", "kinds", "count"),
    [
        ((Step(id="a", action=Shell(script="")),), (Lua,), 0),
        (CHAIN, (Lua,), 1),
        ((*CHAIN, *SIDE_BY_SIDE), (Python,), 3),
        ((*CHAIN, *SIDE_BY_SIDE), (Lua,), 1),
        ((Step(id="a", action=Flow(Workflow(name="in", steps=CHAIN))),), (Lua,), 2),
        (tuple(Step(id=f"s{n}", action=Lua(code="")) for n in range(LAYERS_STEPS_MAX + 1)), (Lua,), LAYERS_STEPS_MAX + 1),
    ],
    ids=["none", "a chain", "side by side", "of another kind", "inside", "too many to lay out"],
)
def test_as_many_workers_as_steps_that_run_at_once(steps: tuple[Step, ...], kinds: tuple[type, ...], count: int) -> None:
    assert at_once(Workflow(name="w", steps=steps), kinds) == count
