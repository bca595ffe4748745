"""The graph of a workflow as parallel arrays over step numbers (positions in file order).

Nothing here is recursive, and everything is linear in steps and needs: a million steps are an ordinary size.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property

from weft.model.workflow import Step


class Graph:
    """`needs[i]` and `dependents[i]` are step numbers, `layer[i]` is the longest distance from a root. Steps can be added: then
    `parent[i]` is the step that they belong to, and `children` those of a step, in order. `stands_for`: the step in whose place
    a fallback runs."""

    def __init__(self, steps: Iterable[Step]) -> None:
        """Raises ValueError if a need is unknown or the needs form a cycle: loaders refuse such files with places."""
        self.ids: list[str] = []
        self.index: dict[str, int] = {}
        self.needs: list[tuple[int, ...]] = []
        self.dependents: list[list[int]] = []
        self.layer: list[int] = []
        self.parent: dict[int, int] = {}
        self.children: dict[int, list[int]] = {}
        self.stands_for: dict[int, int] = {}
        steps = tuple(steps)
        self._append(steps)
        self._lay_out(steps)

    def _lay_out(self, steps: Sequence[Step]) -> None:
        """A fallback is in the layer of the step that names it, which comes after what either needs; `finally` comes last."""
        layer = self.layer
        users = {self.index[step.fallback]: i for i, step in enumerate(steps) if step.fallback}
        order = self._order_with(users) if users else self.order
        for i in order:
            for j in self.dependents[i]:
                layer[j] = max(layer[j], layer[i] + 1)
            if i in users:
                layer[users[i]] = max(layer[users[i]], layer[i])
        last = {i for i, step in enumerate(steps) if step.role == "finally"}
        for i in reversed(order) if users else ():
            if i in users:
                layer[i] = layer[users[i]]
                last |= {i} if users[i] in last else set()
        first = max([number for i, number in enumerate(layer) if i not in last], default=-1) + 1 if last else 0
        for i in last:
            layer[i] += first

    def _order_with(self, users: dict[int, int]) -> list[int]:
        """All steps, each fallback before its user. Raises ValueError if that is a cycle."""
        after = [[*below, users[i]] if i in users else below for i, below in enumerate(self.dependents)]
        left = list(map(len, self.needs))
        for user in users.values():
            left[user] += 1
        order = walk(left, after, 0)
        if len(order) != len(self.ids):
            raise ValueError("a step needs, by others, the step whose fallback it is")
        return order

    def stand_in(self, fallback: int, i: int) -> None:
        """From now on step `fallback` runs in place of step i."""
        self.stands_for[fallback] = i
        self._changed()

    def stand_down(self, fallback: int) -> None:
        """It does not any more."""
        del self.stands_for[fallback]
        self._changed()

    def _changed(self) -> None:
        self.__dict__.pop("links", None)
        self.__dict__.pop("order", None)

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, steps: Sequence[Step], parent: int | None, layer: int) -> None:
        """Take in further steps, all in one layer; `parent` settles after them. Raises ValueError as above, and for an id that
        is taken: then the graph is spoiled."""
        first = len(self.ids)
        self._append(steps)
        self.layer[first:] = [layer] * len(steps)
        if parent is not None:
            self.children.setdefault(parent, []).extend(range(first, len(self.ids)))
            self.parent.update(dict.fromkeys(range(first, len(self.ids)), parent))

    def _append(self, steps: Sequence[Step]) -> None:
        first = len(self.ids)
        self.ids += [step.id for step in steps]
        self.index.update({id_: i for i, id_ in enumerate(self.ids[first:], first)})
        if len(self.index) != len(self.ids):
            raise ValueError("two steps have one id")
        try:
            self.needs += [tuple(map(self.index.__getitem__, step.needs)) for step in steps]
        except KeyError as unknown:
            raise ValueError(f"need {unknown} is not a step") from None
        self.dependents += [[] for _ in steps]
        self.layer += [0] * len(steps)
        for i, needs in enumerate(self.needs[first:], first):
            for need in needs:
                self.dependents[need].append(i)
        self._latest = first, self._sorted(first)
        self._changed()

    @cached_property
    def links(self) -> list[list[int]]:
        """What follows a step: its dependents, its parent, the step it stands in for. A child without needs follows what its
        parent needs."""
        if not self.children and not self.stands_for:
            return self.dependents
        links: list[list[int]] = [[] for _ in self.ids]
        for i in range(len(links)):
            for need in self.before(i):
                links[need].append(i)
            if i in self.parent:
                links[i].append(self.parent[i])
            if i in self.stands_for:
                links[i].append(self.stands_for[i])
        return links

    def above(self, i: int) -> Iterator[int]:
        """What step i is a part of, from the inside out."""
        while i in self.parent:
            i = self.parent[i]
            yield i

    def before(self, i: int) -> tuple[int, ...]:
        """The needs of step i, or what it waited for as a part of its parent."""
        while not self.needs[i] and i in self.parent:
            i = self.parent[i]
        return self.needs[i]

    @cached_property
    def order(self) -> list[int]:
        """All step numbers, needs before dependents and children before their parents."""
        if not self._latest[0] and not self.stands_for:
            return self._latest[1]
        left = [0] * len(self.ids)
        for after in self.links:
            for j in after:
                left[j] += 1
        return walk(left, self.links, 0)

    def _sorted(self, first: int) -> list[int]:
        """The steps from number `first` on, in topological order. Raises ValueError if they form a cycle."""
        left = [sum([need >= first for need in needs]) for needs in self.needs[first:]] if first else list(map(len, self.needs))
        order = walk(left, self.dependents, first)
        if len(order) != len(left):
            raise ValueError("the needs form a cycle")
        return order

    def layers(self) -> list[list[int]]:
        """Step numbers by layer, each in file order."""
        layers: list[list[int]] = [[] for _ in range(max(self.layer, default=-1) + 1)]
        for i, layer in enumerate(self.layer):
            layers[layer].append(i)
        return layers

    def remaining(self, weights: Sequence[float], rootless: Collection[int] = ()) -> list[float]:
        """For each step, the weight of the heaviest path that begins with it, its own weight included."""
        remaining = list(weights)
        for i in reversed(self.order):
            below = [j for j in self.links[i] if j not in rootless] if rootless else self.links[i]
            if below:
                remaining[i] += max([remaining[j] for j in below])
        return remaining

    def remaining_among_latest(self, weights: Sequence[float]) -> list[float]:
        """The same for the steps that were added last, as if there were no others; `weights` are theirs."""
        remaining = list(weights)
        first, order = self._latest
        for i in reversed(order):
            below = self.dependents[i]
            if below:
                remaining[i - first] += max([remaining[j - first] for j in below])
        return remaining

    def critical_path(self, weights: Sequence[float], rootless: Collection[int] = ()) -> list[int]:
        """The heaviest path from a root to a leaf; the earlier in the file wins a tie. Empty for an empty graph.

        `rootless`: steps that waited for nothing, whatever they need.
        """
        remaining = self.remaining(weights, rootless)
        path: list[int] = []
        candidates: Sequence[int] = [i for i in range(len(self.ids)) if not self.before(i) or i in rootless]
        while candidates:
            path.append(max(candidates, key=lambda i: (remaining[i], -i)))
            candidates = [j for j in self.links[path[-1]] if j not in rootless]
        return path


def walk(left: list[int], after: Sequence[Sequence[int]], first: int) -> list[int]:
    """Numbers from `first` on in topological order, without those on a cycle. `left`: how many stand before each; spent here."""
    order = [i for i, count in enumerate(left, first) if not count]
    for i in order:  # grows while it is walked
        for j in after[i]:
            left[j - first] -= 1
            if not left[j - first]:
                order.append(j)
    return order
