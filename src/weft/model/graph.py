"""The graph of a workflow as parallel arrays over step numbers (positions in file order).

Nothing here is recursive, and everything is linear in steps and needs: a million steps are an ordinary size.
"""

from collections.abc import Iterable, Sequence

from weft.model.workflow import Step


class Graph:
    """`needs[i]` and `dependents[i]` are step numbers, `layer[i]` is the longest distance from a root, `order` is topological."""

    def __init__(self, steps: Iterable[Step]) -> None:
        """Raises ValueError if a need is unknown or the needs form a cycle: loaders refuse such files with places."""
        steps = tuple(steps)
        self.ids = [step.id for step in steps]
        self.index = {id_: i for i, id_ in enumerate(self.ids)}
        try:
            self.needs = [tuple(map(self.index.__getitem__, step.needs)) for step in steps]
        except KeyError as unknown:
            raise ValueError(f"need {unknown} is not a step") from None
        self.dependents: list[list[int]] = [[] for _ in steps]
        for i, needs in enumerate(self.needs):
            for need in needs:
                self.dependents[need].append(i)
        self.layer = [0] * len(steps)
        self.order = self._order()

    def __len__(self) -> int:
        return len(self.ids)

    def _order(self) -> list[int]:
        left = [len(needs) for needs in self.needs]
        order = [i for i, count in enumerate(left) if not count]
        layer = self.layer
        for i in order:  # grows while it is walked
            below = layer[i] + 1
            for j in self.dependents[i]:
                if below > layer[j]:
                    layer[j] = below
                left[j] -= 1
                if not left[j]:
                    order.append(j)
        if len(order) != len(left):
            raise ValueError("the needs form a cycle")
        return order

    def layers(self) -> list[list[int]]:
        """Step numbers by layer, each in file order."""
        layers: list[list[int]] = [[] for _ in range(max(self.layer, default=-1) + 1)]
        for i, layer in enumerate(self.layer):
            layers[layer].append(i)
        return layers

    def remaining(self, weights: Sequence[float]) -> list[float]:
        """For each step, the weight of the heaviest path that begins with it, its own weight included."""
        remaining = list(weights)
        for i in reversed(self.order):
            below = self.dependents[i]
            if below:
                remaining[i] += max([remaining[j] for j in below])
        return remaining

    def critical_path(self, weights: Sequence[float]) -> list[int]:
        """The heaviest path from a root to a leaf; the earlier in the file wins a tie. Empty for an empty graph."""
        remaining = self.remaining(weights)
        path: list[int] = []
        candidates: Sequence[int] = [i for i, needs in enumerate(self.needs) if not needs]
        while candidates:
            path.append(max(candidates, key=lambda i: (remaining[i], -i)))
            candidates = self.dependents[path[-1]]
        return path
