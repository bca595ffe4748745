"""Races: pairs of steps of which one writes what the other reads or writes, and which no path orders.

- A pair is a pair of definitions: the instances of a fan-out are one, and may race with each other.
- Instances do not race by a path that refers to their item, nor do those of two fan-outs of which one is wired to the other.
- What declares nothing costs nothing. Paths are looked for with one bit for each step that shares something: near linear in
  the steps, as long as some thousands of them do.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from weft.model.expression import Expression
from weft.model.globs import Pattern, meet, meetings, pattern
from weft.model.graph import Graph, walk
from weft.model.template import parse_template, strings
from weft.model.tokens import ExpressionError
from weft.model.workflow import Flow, Step, Value, Workflow

BITS_MAX: Final = 8_192
"""Steps whose paths are looked for in one pass: a kilobyte for each step of the workflow that others wait for."""

NEAR_MAX: Final = 32
"""Others that share something with a step and are looked at one by one, before all are at once."""

Does: TypeAlias = Literal["reads", "writes"]


class Touch(NamedTuple):
    """One item of `reads` or `writes`. `own`: it refers to the items of all fan-outs that the step is part of, so that no two
    instances mean the same."""

    does: Does
    text: str
    own: bool

    @property
    def pattern(self) -> Pattern:
        return pattern(self.text)


class Sharer(msgspec.Struct, frozen=True):
    """A definition that declares something. `repeated`: it is part of a fan-out, so it may run several times at once."""

    path: str
    touches: tuple[Touch, ...]
    repeated: bool

    def clash(self, other: "Sharer", *, apart: bool) -> tuple[Touch, Touch] | None:
        """The first two items by which the steps race. `apart`: only by what no item tells apart."""
        for mine in self.touches:
            for theirs in other.touches:
                writes = "writes" in (mine.does, theirs.does)
                if writes and not (apart and mine.own and theirs.own) and meet(mine.pattern, theirs.pattern):
                    return mine, theirs
        return None


class Race(NamedTuple):
    """`first` comes before `second` in an order that all needs allow. `by`: what the one and the other declare. `apart`: within
    one instance a path orders them, or they are the same step; but one instance races with another."""

    first: Sharer
    second: Sharer
    by: tuple[Touch, Touch]
    apart: bool


class Races(msgspec.Struct, frozen=True):
    """`pairs`: the first of them; `count`: how many there are. `racing`: who is part of any. `exact` is false if there were too
    many patterns to compare: then nothing is known, and everybody may race."""

    pairs: list[Race]
    count: int
    racing: list[Sharer]
    exact: bool = True


NONE: Final = Races([], 0, [])


def shares(workflow: Workflow) -> bool:
    """Whether any step of a workflow or its sub-workflows declares that it writes something."""
    return any(step.writes or (isinstance(step.action, Flow) and shares(step.action.workflow)) for step in workflow.steps)


def find_races(workflow: Workflow, pairs_max: int = 0) -> Races:
    """The races of a workflow, `pairs_max` of them told one by one."""
    if not shares(workflow):
        return NONE
    plan = _Plan()
    top = plan.level(workflow, "", (), "")
    met = meetings(plan.patterns, plan.written)
    if met is None:
        return Races([], 0, plan.sharers, exact=False)
    search = _Search(plan, met, pairs_max)
    for first in range(0, len(search.sharers), BITS_MAX):
        search.look(top, first)
    racing = [sharer for n, sharer in enumerate(search.sharers) if search.racing >> n & 1]
    return Races(search.pairs, search.count, racing)


def cure(workflow: Workflow, first: str, second: str) -> tuple[str, str]:
    """The step that must be changed so that the step at path `first` settles before the one at path `second` starts, and the
    line that does it. Of steps in different sub-workflows, those are ordered that they are part of."""
    one, two, steps = first.split("/"), second.split("/"), workflow.steps
    at = next(n for n, (a, b) in enumerate(zip(one, two, strict=False)) if a != b)
    for name in two[:at]:
        action = next(step.action for step in steps if step.id == name)
        assert isinstance(action, Flow)
        steps = action.workflow.steps
    needs = next(step.needs for step in steps if step.id == two[at])
    return "/".join(two[: at + 1]), f"needs: [{', '.join((*needs, one[at]))}]"


# ---- who shares what ----

_Names: TypeAlias = frozenset[tuple[str, str]]
"""What refers to the item of a fan-out: (root, ""), or (root, first word of the path)."""


class _Level:
    """The steps of one workflow, in an `order` in which they may settle: for each what it `needs`, its sharer, if it is one, and
    the level below it, if it has one. `beside`: fallbacks of what it needs, which have settled too if they ran. `late` ones start
    when all others have settled."""

    def __init__(self, steps: Sequence[Step]) -> None:
        graph = Graph(steps)
        self.steps = steps
        self.sharers: list[Sharer | None] = [None] * len(steps)
        self.below: list[_Level | None] = [None] * len(steps)
        self.needs = list(graph.needs)
        self.beside: dict[int, list[int]] = {}
        self.stands_for: dict[int, int] = {}
        self.late = {i for i, step in enumerate(steps) if step.role == "finally"}
        self.order = graph.order
        fallbacks = {i: graph.index[step.fallback] for i, step in enumerate(steps) if step.fallback}
        if fallbacks:
            self._fall_back(graph, fallbacks)
        if self.late:
            self.order = sorted(self.order, key=self.late.__contains__)

    def follows(self, user: int, fallback: int) -> bool:
        """Whether one is the fallback of a fan-out, or of its fallback, so that it follows one instance only."""
        of = self.stands_for.get(fallback)
        return of is not None and self.steps[of].for_each is not None and of in (user, self.stands_for.get(user))

    def _fall_back(self, graph: Graph, fallbacks: dict[int, int]) -> None:
        """A fallback starts after the step that names it, and who needs that step starts after both."""
        standing = {i: [i] for i in range(len(self.steps))}
        for i in fallbacks:
            at = i
            while at in fallbacks:
                at = fallbacks[at]
                standing[i].append(at)
        for i, step in enumerate(self.steps):
            if step.role != "fallback":
                self.stands_for.update(dict.fromkeys(standing[i][1:], i))
        for user, fallback in fallbacks.items():
            self.needs[fallback] = (*self.needs[fallback], user)
            if user in self.late:
                self.late.update(standing[user])
        ahead: list[list[int]] = []
        for i, needs in enumerate(self.needs):
            beside = self.beside[i] = [each for need in graph.needs[i] for each in standing[need][1:]]
            ahead.append([*needs, *beside, *(early for each in standing[i][1:] for early in graph.needs[each])])
        after: list[list[int]] = [[] for _ in ahead]
        for i, those in enumerate(ahead):
            for before in those:
                after[before].append(i)
        self.order = walk(list(map(len, ahead)), after, 0)


class _Plan:
    """All that is declared. `flow_of`: for a sharer inside a fan-out of sub-workflows, the path of the outermost of these.
    `needs_of`: what a sharer needs at first hand."""

    def __init__(self) -> None:
        self.sharers: list[Sharer] = []
        self.flow_of: dict[str, str] = {}
        self.needs_of: dict[str, set[str]] = {}
        self.numbers: dict[str, int] = {}
        self.patterns: list[Pattern] = []
        self.written: set[int] = set()

    def level(self, workflow: Workflow, path: str, items: tuple[_Names, ...], flow: str) -> _Level:
        """Take in the steps of a workflow. `items`: what refers to those of the fan-outs around it, the outermost first."""
        steps = workflow.steps
        level = _Level(steps)
        wide = {i: steps[of] for i, of in level.stands_for.items() if steps[of].for_each is not None}
        for i, step in enumerate(steps):
            each = wide.get(i, step)  # a fallback of a fan-out is for one instance of it
            own = (*items, frozenset({(each.item, ""), ("key", "")})) if each.for_each is not None else items
            if isinstance(step.action, Flow):
                inner = tuple(
                    frozenset(("inputs", name) for name, value in step.inputs.items() if _refers(value, names)) for names in own
                )
                around = flow or (path + step.id if own else "")
                level.below[i] = self.level(step.action.workflow, f"{path}{step.id}/", inner, around)
            elif (step.reads or step.writes) and step.races != "allow":
                level.sharers[i] = self._sharer(step, path + step.id, own, flow)
        return level

    def _sharer(self, step: Step, path: str, items: tuple[_Names, ...], flow: str) -> Sharer:
        both: tuple[tuple[Does, tuple[str, ...]], ...] = (("writes", step.writes), ("reads", step.reads))
        touches = tuple(
            Touch(does, text, bool(items) and all(_refers(text, names) for names in items))
            for does, texts in both
            for text in texts
        )
        sharer = Sharer(path, touches, bool(items))
        self.sharers.append(sharer)
        self.needs_of[path] = {path.removesuffix(step.id) + need for need in step.needs}
        if flow:
            self.flow_of[path] = flow
        for touch in touches:
            number = self.numbers.setdefault(touch.text, len(self.patterns))
            if number == len(self.patterns):
                self.patterns.append(touch.pattern)
            if touch.does == "writes":
                self.written.add(number)
        return sharer


def _refers(value: Value, names: _Names) -> bool:
    """Whether an expression in a value refers to one of the names."""
    for _, text in strings(value):
        try:
            parts = parse_template(text).parts
        except ExpressionError:  # it has been reported
            continue
        for part in parts:
            for reference in part.references if isinstance(part, Expression) else ():
                if (reference.root, "") in names or (reference.root, *map(str, reference.path[:1])) in names:
                    return True
    return False


# ---- who comes before whom ----


class _Search:
    """Goes over the steps in an order that all needs allow, and asks of each who has come before that it shares something with,
    and is not reached by a path. Bit n of a mask stands for sharer `first + n`."""

    def __init__(self, plan: _Plan, met: list[list[int]], pairs_max: int) -> None:
        self.plan, self.met, self.pairs_max = plan, met, pairs_max
        users: list[list[Sharer]] = [[] for _ in plan.patterns]
        for sharer in plan.sharers:
            for number in set(self._numbers(sharer)):
                users[number].append(sharer)
        self.sharers = [sharer for sharer in plan.sharers if sharer.repeated or self._may_race(sharer, users)]
        self.number = {sharer.path: n for n, sharer in enumerate(self.sharers)}
        flows = defaultdict[str, list[int]](list)
        for n, sharer in enumerate(self.sharers):
            if flow := plan.flow_of.get(sharer.path):
                flows[flow].append(n)
        self.flows = {flow: (members[0], members[-1] + 1) for flow, members in flows.items()}
        self.pairs: list[Race] = []
        self.count = 0
        self.racing = 0

    def _may_race(self, sharer: Sharer, users: list[list[Sharer]]) -> bool:
        """Whether the sharer has others to share with, not all of which it needs or is needed by: a sieve that spares most steps
        of large files the rest."""
        near, needs = 0, self.plan.needs_of
        for number in self._numbers(sharer):
            for n in self.met[number]:
                near += len(users[n])
                if near > NEAR_MAX:
                    return True
                for other in users[n]:
                    if other is not sharer and other.path not in needs[sharer.path] and sharer.path not in needs[other.path]:
                        return True
        return False

    def _numbers(self, sharer: Sharer) -> list[int]:
        return [self.plan.numbers[touch.text] for touch in sharer.touches]

    def look(self, top: _Level, first: int) -> None:
        """Find the pairs of which the one that comes first is among BITS_MAX sharers from number `first` on."""
        self.first, self.seen = first, 0
        self.masks = defaultdict[tuple[bool, bool, int], int](int)
        self.wide: dict[tuple[bool, bool, int], int] = {}
        for n in range(first, min(first + BITS_MAX, len(self.sharers))):
            for touch, p in zip(self.sharers[n].touches, self._numbers(self.sharers[n]), strict=True):
                for writing in {False, touch.does == "writes"}:
                    for shared in {False, not touch.own}:
                        self.masks[writing, shared, p] |= 1 << n - first
        self._visit(top, 0, 0)

    def _visit(self, level: _Level, before: int, firm: int) -> int:
        """Go over a level. `before`: who has settled before any step of it starts; `firm`: not only as seen from one instance.
        Returns all of the level."""
        everybody = early = 0
        left = [0] * len(level.steps)
        for needs in level.needs:
            for need in needs:
                left[need] += 1
        done: dict[int, int] = {}
        firmly: dict[int, int] = {}
        alone: dict[int, int] = {}
        for i in level.order:
            step, others = level.steps[i], early if i in level.late else 0
            for fallback in level.beside.get(i, ()):
                others |= alone[fallback]
            mine, mine_firm = before | others, firm | others
            for need in level.needs[i]:
                mine |= done[need]
                apart = level.steps[need].id == step.wired or level.follows(need, i)
                mine_firm |= firmly[need] if apart else done[need]
                left[need] -= 1
                if not left[need]:
                    del done[need], firmly[need]  # masks of all steps at once would be large
            sharer, below, own = level.sharers[i], level.below[i], 0
            if sharer is not None and sharer.path in self.number:
                own = self._meet(sharer, mine, mine_firm)
            elif below is not None:
                own = self._visit(below, mine, mine_firm)
            everybody |= own
            early |= 0 if i in level.late else own
            if step.role == "fallback":
                alone[i] = own
            if left[i]:
                done[i], firmly[i] = mine | own, mine_firm
        return everybody

    def _meet(self, sharer: Sharer, before: int, firm: int) -> int:
        """Note whom the sharer races with, of those who have come before it. Returns its bit, if it has one."""
        n = self.number[sharer.path] - self.first
        loose = before & ~(firm & ~self._family(sharer))
        races = self._sharing(sharer, apart=False) & self.seen & ~before
        apart = self._sharing(sharer, apart=True) & self.seen & loose
        for mask, told in ((races, False), (apart, True)):
            self._note(mask, sharer, apart=told)
        if not 0 <= n < BITS_MAX:
            return 0
        if sharer.repeated and sharer.clash(sharer, apart=True):
            self._note(1 << n, sharer, apart=True)
        self.seen |= 1 << n
        return 1 << n

    def _note(self, mask: int, sharer: Sharer, *, apart: bool) -> None:
        if mask:
            self.count += mask.bit_count()
            self.racing |= mask << self.first | 1 << self.number[sharer.path]
        while mask and len(self.pairs) < self.pairs_max:
            bit = mask & -mask
            mask ^= bit
            other = self.sharers[self.first + bit.bit_length() - 1]
            by = other.clash(sharer, apart=apart)
            assert by
            self.pairs.append(Race(other, sharer, by, apart))

    def _sharing(self, sharer: Sharer, *, apart: bool) -> int:
        """Who shares something with the sharer, one of the two writing it; `apart`: what no item tells apart."""
        mask = 0
        for touch, p in zip(sharer.touches, self._numbers(sharer), strict=True):
            mask |= self._touching(touch.does == "reads", apart and touch.own, p)
        return mask

    def _touching(self, writing: bool, shared: bool, p: int) -> int:
        """Who touches something that pattern p may mean too."""
        key = writing, shared, p
        if key not in self.wide:
            mask = 0
            for q in self.met[p]:
                mask |= self.masks[writing, shared, q]
            self.wide[key] = mask
        return self.wide[key]

    def _family(self, sharer: Sharer) -> int:
        """Who is repeated together with the sharer: a path between the two orders only those of one instance."""
        low, high = self.flows.get(self.plan.flow_of.get(sharer.path, ""), (0, 0))
        low, high = max(low - self.first, 0), min(max(high - self.first, 0), BITS_MAX)
        return (1 << high) - (1 << low) if high > low else 0
