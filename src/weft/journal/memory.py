"""A journal and an output store without a disk: `durability: none`, tests and simulations.

They pass the contract suite of the real ones (tests/journal/contract). All that is appended counts as durable at once.
"""

from collections.abc import Callable, Iterator, Sequence

from weft.core.facts import Fact
from weft.model.errors import Bug


class MemoryJournal:
    """Facts in a list. `initial` are those of an earlier life, as if read from a disk."""

    def __init__(self, initial: Sequence[Fact] = ()) -> None:
        self._facts: list[Fact] = list(initial)
        self._closed = False

    def append(self, facts: Sequence[Fact]) -> int:
        if self._closed:
            raise Bug("append to a journal that was closed")
        self._facts += facts
        return len(self._facts)

    @property
    def durable(self) -> int:
        return len(self._facts)

    def listen(self, saved: Callable[[int], None], failed: Callable[[BaseException], None]) -> None:
        """Nobody is ever called: `durable` says it all when `append` returns."""

    def read(self, start: int = 1) -> Iterator[Fact]:
        return iter(self._facts[start - 1 :])

    def close(self) -> None:
        self._closed = True
