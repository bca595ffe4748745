"""The core against the model: one workflow under one set of givens."""

from given import Given
from hands import Hands
from reference_model import Model

from weft.model.workflow import Step, Workflow


def differences(workflow: Workflow, given: Given, *, exact: bool = True, model_of: type[Model] = Model) -> list[str]:
    """What the two do not agree on; empty when all is well.

    Why a fallback was skipped is not asked: that it was not needed any more and that the run ended early come at one instant. Not
    `exact`: where a failure and an early end come at the same instant, either may be why a step is skipped.
    """
    model, hands = model_of(workflow, given), Hands(workflow, given)
    told, done = model.run(), hands.run()
    found = [f"the run: model {told}, core {done}"] if told != done else []
    said = {(start, id_, n) for id_, node in model.nodes.items() for n, start in enumerate(node.tries, 1)}
    starts = sorted(said ^ set(hands.starts))
    if starts:
        found.append(f"first start: {starts[0]}, by the {'model' if starts[0] in said else 'core'} alone")
    ours = {id_: _told(node.step, node.status, node.reason, exact) for id_, node in model.nodes.items()}
    steps = hands.state.steps
    theirs = {id_: _told(step, *was, exact) for step, (id_, was) in zip(steps, hands.steps().items(), strict=True)}
    return found + [
        f"{id_}: model {ours.get(id_)}, core {theirs.get(id_)}" for id_ in ours | theirs if ours.get(id_) != theirs.get(id_)
    ]


def _told(step: Step, status: str, reason: str, exact: bool) -> tuple[str, str]:
    if status == "skipped" and step.role == "fallback":
        return status, ""
    return status, reason if exact or status != "skipped" or reason == "condition" else "not wanted"
