"""What the run has of pools that runs share: the part of the state that `shared` decides by."""

from weft.core.demand import Demand


class Leases:
    """By what a lease is for (pools and weights, taken as one): `granted`, leases that no attempt has used yet; `busy`, the runs
    that were last seen to be in the way.

    For the deciders: `asked`, how many more the engine was told to get. A new engine knows of none.
    """

    def __init__(self) -> None:
        self.granted: dict[Demand, int] = {}
        self.busy: dict[Demand, tuple[str, ...]] = {}
        self.asked: dict[Demand, int] = {}

    # ---- what apply writes ----

    def note_engine(self) -> None:
        """What an earlier engine had is gone with it."""
        self.granted.clear()
        self.busy.clear()
        self.asked.clear()

    def note_leased(self, share: Demand) -> None:
        self.granted[share] = self.granted.get(share, 0) + 1
        self.asked[share] = max(0, self.asked.get(share, 0) - 1)
        self.busy.pop(share, None)

    def note_busy(self, share: Demand, runs: tuple[str, ...]) -> None:
        self.busy[share] = runs

    def note_gone(self, share: Demand, count: int = 1) -> None:
        """Used by an attempt, or given back."""
        left = self.granted.get(share, 0) - count
        if left > 0:
            self.granted[share] = left
        else:
            self.granted.pop(share, None)
