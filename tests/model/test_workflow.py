"""What can be asked of a workflow, and made of it."""

import pytest

from weft.model.workflow import Approve, Flow, Shell, Step, Workflow, asks_people, fail_fast


def test_fail_fast_stops_where_failures_would_be_isolated_and_nowhere_else() -> None:
    inner = Workflow(name="inner", steps=(Step(id="x", action=Shell(script="true")),))
    steps = (
        Step(id="a", action=Shell(script="true")),
        Step(id="b", action=Shell(script="true"), on_error="continue"),
        Step(id="c", action=Flow(inner), on_error="stop_layer"),
    )
    strict = fail_fast(Workflow(name="w", steps=steps))
    assert [step.on_error for step in strict.steps] == ["stop", "continue", "stop_layer"]
    flow = strict.steps[2].action
    assert isinstance(flow, Flow)
    assert flow.workflow.steps[0].on_error == "stop"


@pytest.mark.parametrize(
    ("step", "gates", "asks"),
    [
        (Step(id="a", action=Shell(script="true")), None, False),
        (Step(id="a", action=Shell(script="true")), Approve(), True),
        (Step(id="a", action=Shell(script="true"), gate=Approve()), None, True),
        (Step(id="a", action=Flow(Workflow(name="i", steps=(Step(id="b", action=Approve()),)))), None, True),
    ],
)
def test_who_asks_people(step: Step, gates: Approve | None, asks: bool) -> None:
    assert asks_people(Workflow(name="w", steps=(step,), gates=gates)) is asks
