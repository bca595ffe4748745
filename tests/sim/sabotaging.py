"""How a rule of the core is broken, so that the simulator must notice: shared by the tests that do so."""

from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from weft.core import apply as applying
from weft.core import why
from weft.core.state import State
from weft.core.status import Status
from weft.core.turn import Turn
from weft.model.errors import Bug
from weft.sim.world import Violation
from weft.testing import Simulator

SEEDS_MAX = 2_000
"""Most sabotages are noticed by the first ten; one that needs more than these is not watched."""

Patch = pytest.MonkeyPatch
Sabotage = Callable[[Patch], None]


def noticed(seeds: int = SEEDS_MAX, first: int = 0) -> str:
    """What the first seed that notices anything says. `first`: where to begin, which only saves time."""
    for seed in range(seeds):
        try:
            Simulator((first + seed) % seeds).play()
        except (Violation, Bug) as error:
            return str(error).splitlines()[0]
    return ""


def orders(change: Callable[[Any], Any]) -> Sabotage:
    """Every command is changed on its way out; None loses it."""

    def sabotage(patch: Patch) -> None:
        order = Turn.order

        def bad(turn: Turn, command: Any) -> None:
            if (changed := change(command)) is not None:
                order(turn, changed)

        patch.setattr(Turn, "order", bad)

    return sabotage


def at_once(command: Any) -> Any:
    return replace(command, after=0)


def applies(kind: type, change: Callable[[State, Any], Any]) -> Sabotage:
    """After a fact of this kind was applied, the state is changed."""

    def sabotage(patch: Patch) -> None:
        good = applying._APPLY[kind]

        def bad(state: State, fact: Any) -> None:
            good(state, fact)
            change(state, fact)

        patch.setitem(applying._APPLY, kind, bad)

    return sabotage


def swaps(module: Any, name: str, bad: Callable[..., Any]) -> Sabotage:
    """A function of the core is another one, which gets the good one first."""

    def sabotage(patch: Patch) -> None:
        good = getattr(module, name)
        patch.setattr(module, name, lambda *args, **kwargs: bad(good, *args, **kwargs))

    return sabotage


def index(state: State, fact: Any) -> int:
    return state.graph.index[fact.step]


def says(status: Status, change: Callable[[State, int, Any], Any]) -> Sabotage:
    """`why` says something else."""

    def sabotage(patch: Patch) -> None:
        good = why._WAITING[status]
        patch.setitem(why._WAITING, status, lambda state, i: change(state, i, good(state, i)))

    return sabotage


def lose(kind: type, step: str | None = None) -> Sabotage:
    return orders(lambda c: None if isinstance(c, kind) and step in (None, getattr(c, "step", None)) else c)
