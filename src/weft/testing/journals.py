"""A journal whose disk obeys a test: nothing is durable until the test says so, and it can fail or vanish at any fact."""

from collections.abc import Callable, Iterator, Sequence

from weft.core.facts import Fact
from weft.model.errors import Bug, MachineError


class CrashingJournal:
    """Units wait until `save` lets them through. It passes the contract suite of the real journals.

    `initial` are the facts of an earlier life. All methods are called from one thread, and the listener from inside `save`
    and `fail`.
    """

    def __init__(self, initial: Sequence[Fact] = ()) -> None:
        self._durable: list[Fact] = list(initial)
        self._waiting: list[list[Fact]] = []
        self._last = len(self._durable)
        self._failure: BaseException | None = None
        self._closed = False
        self._listeners: list[tuple[Callable[[int], None], Callable[[BaseException], None]]] = []

    def append(self, facts: Sequence[Fact], *, urgent: bool = True) -> int:
        if self._failure is not None:
            raise MachineError(str(self._failure)) from self._failure
        if self._closed:
            raise Bug("append to a journal that was closed")
        if facts:
            self._waiting.append(list(facts))
            self._last += len(facts)
        return self._last

    @property
    def durable(self) -> int:
        return len(self._durable)

    def listen(self, saved: Callable[[int], None], failed: Callable[[BaseException], None]) -> None:
        self._listeners = [(saved, failed)]

    def read(self, start: int = 1) -> Iterator[Fact]:
        return iter(self._durable[start - 1 :])

    def close(self) -> None:
        self.save()
        self._closed = True

    # ---- what only a test does ----

    @property
    def waiting(self) -> int:
        """How many units wait to be saved."""
        return len(self._waiting)

    def save(self, units: int | None = None) -> None:
        """Make the next units durable, as one commit; all of them by default."""
        count = len(self._waiting) if units is None else units
        for unit in self._waiting[:count]:
            self._durable += unit
        if self._waiting[:count]:
            del self._waiting[:count]
            for saved, _ in self._listeners:
                saved(len(self._durable))

    def fail(self, error: BaseException) -> None:
        """The disk fails: what waits is lost, and nothing is taken any more."""
        self._failure = error
        self._waiting.clear()
        for _, failed in self._listeners:
            failed(error)

    def crash(self, *, units_saved: int = 0) -> "CrashingJournal":
        """What the next engine finds after this one died: what was durable, and perhaps units of which nobody was told."""
        after = self._durable + [fact for unit in self._waiting[:units_saved] for fact in unit]
        self._waiting.clear()
        self._failure = MachineError("the process is gone")
        self._listeners.clear()
        return CrashingJournal(after)
