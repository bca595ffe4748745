"""The reply about a run in the words of the system that its file was written for, from its facts and its store."""

from collections.abc import Iterable
from typing import Any

from weft.core.facts import Fact
from weft.core.measure import Measure
from weft.earlier import taken_in
from weft.model.errors import MachineError
from weft.model.output import Output
from weft.model.workflow import Value
from weft.ports import OutputStore
from weft.views.reply import reply


def reply_of(run: str, facts: Iterable[Fact], store: OutputStore) -> dict[str, Any] | None:
    """None if its workflow wants none, or while it goes on. Outputs that hold a secret are not shown."""
    measure, outputs = Measure(), dict[str, Output]()
    for fact in facts:
        measure.see(fact)
        outputs |= taken_in(fact)

    def output(step: str) -> Value:
        found = outputs.get(step)
        if found is None:
            return None
        if found.secret:
            return "(secret)"
        try:
            return store.load(found)
        except (MachineError, ValueError):
            return None

    return reply(measure.numbers(), measure.state, run=run, output=output)
