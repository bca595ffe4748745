"""Words for limits and skips that several views say."""

from collections.abc import Iterable
from typing import Final

from weft.core import facts as f
from weft.core.facts import Limits
from weft.model.workflow import WAITING_ACTIONS, Step
from weft.views.text import visible


def at_once(limits: Limits, steps: Iterable[Step]) -> str:
    """What `max_parallel` allows to these steps, as words."""
    if limits.total is not None:
        return f"at most {limits.total} at once"
    waiting = {isinstance(step.action, WAITING_ACTIONS) for step in steps}
    limited = [(limits.waiting, "waiting") if waits else (limits.computing, "computing") for waits in sorted(waiting)]
    bounds = [f"{count} {kind}" if len(limited) > 1 else str(count) for count, kind in limited if count is not None]
    return f"at most {' and '.join(bounds)} at once" if bounds else "no limit on how many at once"


def skip_reason(fact: f.StepsSkipped) -> str:
    return _SKIPPED[fact.reason].format(by=visible(fact.because))


_SKIPPED: Final = {
    "condition": "`if` is false",
    "not_selected": "not selected",
    "needs_skipped": "all that it needs was skipped",
    "need_failed": "because of `{by}`",
    "cancel": "the run was cancelled",
    "not_needed": "`{by}` itself did not need it",
    "run_timeout": "the run took too long",
    "budget": "the budget is spent",
    "stop": "`{by}` stopped the run",
    "stop_layer": "`{by}` stopped the layer",
    "gate": "skipped at the gate `{by}`",
}
