"""Steps that race exclude each other at run time: by pools that nobody declares.

For each pattern that a racing step writes there is a pool: who writes the pattern takes all of it, who touches what it may mean
takes one unit. So a writer excludes everybody, and readers exclude only writers. Who races with nobody takes nothing: an order
of needs, or an item that tells instances apart, does more.
"""

from itertools import groupby
from typing import Final, TypeAlias

from weft.core.growth import STEPS_MAX
from weft.model.globs import meetings, pattern
from weft.model.paths import definition
from weft.model.races import Races, Touch, find_races
from weft.model.workflow import Step, Workflow, definitions

RACES: Final = "races"
"""The cause for which a step is held that races with another."""
RACE_SLOTS: Final = STEPS_MAX
"""So many that readers never run out of them: no run has more steps."""

Urgency: TypeAlias = tuple[int, float]
"""The part of a rank before the place in the file."""


class RacePools:
    """`texts[n]`: a pattern that pool n is for. `taken` maps the path of a definition to its (n, weight) pairs."""

    def __init__(self, workflow: Workflow) -> None:
        races = find_races(workflow)
        self.texts: list[str] = []
        self.taken: dict[str, tuple[tuple[int, int], ...]] = {}
        self._fans = [f"{path}/" for path, step in definitions(workflow) if step.for_each is not None] if races.racing else []
        self._sharers = {sharer.path: sharer for sharer in races.racing}
        same: dict[tuple[tuple[str, int], ...], int] = {}
        for text, users in _users(races):
            if tuple(users.items()) not in same:  # patterns with the same users are one pool
                n = same[tuple(users.items())] = len(self.texts)
                self.texts.append(text)
                for path, weight in users.items():
                    self.taken[path] = (*self.taken.get(path, ()), (n, weight))

    def of(self, step: Step) -> tuple[tuple[int, int], ...]:
        """What a step, or an instance of one, takes."""
        return self.taken.get(definition(step.id), ()) if self.taken else ()

    def ranked(self, own: dict[str, Urgency]) -> dict[str, Urgency]:
        """For each racing definition, the urgency that lets it go before those that stand later in the file and race with it: the
        best of its own and theirs. `own` is in the order of the file.

        In the body of a fan-out each stands before the others of later instances too: those that race there are equally urgent.
        """
        best = {path: own[path] for path in reversed(own) if path in self.taken}
        of_any: dict[int, Urgency] = {}
        of_writers: dict[int, Urgency] = {}
        for fan, body in groupby(best, self._fan_of):
            paths, changed = list(body), True
            while changed:
                before = [best[path] for path in paths]
                for path in paths:
                    self._take_best(path, best, of_any, of_writers)
                changed = bool(fan) and before != [best[path] for path in paths]
        return best

    def _fan_of(self, path: str) -> str:
        """The outermost fan-out whose body a definition is in; empty if there is none."""
        return next((fan for fan in self._fans if path.startswith(fan)), "")

    def _take_best(self, path: str, best: dict[str, Urgency], of_any: dict[int, Urgency], of_writers: dict[int, Urgency]) -> None:
        """Be as urgent as those seen before with whom this one races, and be seen."""
        urgency = best[path]
        for n, weight in self.taken[path]:
            urgency = min(urgency, (of_any if weight > 1 else of_writers).get(n, urgency))
        best[path] = urgency
        for n, weight in self.taken[path]:
            of_any[n] = min(urgency, of_any.get(n, urgency))
            if weight > 1:
                of_writers[n] = min(urgency, of_writers.get(n, urgency))

    def clash(self, one: str, other: str) -> tuple[Touch, Touch] | None:
        """By what two steps race; None if they only take units of the same pool."""
        return self._sharers[definition(one)].clash(self._sharers[definition(other)], apart=False)


def _users(races: Races) -> list[tuple[str, dict[str, int]]]:
    """For each pattern that is written, who takes how much of its pool."""
    texts = list(dict.fromkeys(touch.text for sharer in races.racing for touch in sharer.touches))
    number = {text: n for n, text in enumerate(texts)}
    written = {number[touch.text] for sharer in races.racing for touch in sharer.touches if touch.does == "writes"}
    met = meetings([pattern(text) for text in texts], written) if races.exact else None
    users: dict[int, dict[str, int]] = {}
    for sharer in races.racing:
        for touch in sharer.touches:
            n = number[touch.text]
            for m in [0] if met is None else [m for m in met[n] if m in written]:
                of = users.setdefault(m, {})
                alone = touch.does == "writes" and (met is None or m == n)
                of[sharer.path] = RACE_SLOTS if alone else of.get(sharer.path, 1)
    return [(texts[m] if met else "**", of) for m, of in users.items()]
