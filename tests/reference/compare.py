"""The core against the model: one workflow under one set of givens."""

from given import Given
from hands import Hands
from reference_model import Model

from weft.model.workflow import Workflow


def differences(workflow: Workflow, given: Given) -> list[str]:
    """What the two do not agree on; empty when all is well."""
    model, hands = Model(workflow, given), Hands(workflow, given)
    told, done = model.run(), hands.run()
    found = [f"the run: model {told}, core {done}"] if told != done else []
    said = {(try_.start, id_, n) for id_, node in model.nodes.items() for n, try_ in enumerate(node.tries, 1)}
    starts = sorted(said ^ set(hands.starts))
    if starts:
        found.append(f"first start: {starts[0]}, by the {'model' if starts[0] in said else 'core'} alone")
    theirs = hands.steps()
    ours = {id_: (node.status, node.reason) for id_, node in model.nodes.items()}
    return found + [
        f"{id_}: model {ours.get(id_)}, core {theirs.get(id_)}" for id_ in ours | theirs if ours.get(id_) != theirs.get(id_)
    ]
