"""What every journal does, whatever it keeps its facts in."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from journal_facts import created, ended, plain, started, story

from weft.core.facts import Fact
from weft.journal.memory import MemoryJournal
from weft.journal.sqlite import SqliteJournal
from weft.model.errors import Bug
from weft.ports import Journal
from weft.testing.journals import CrashingJournal

WAIT_S = 20


class Bench:
    """One journal, and what the suite needs to know of its kind."""

    def __init__(self, kind: str, folder: Path) -> None:
        self._kind = kind
        self._folder = folder
        self._changed = threading.Condition()
        self.told: list[int] = []
        self.failures: list[BaseException] = []
        self.journal = self._open([])

    def _open(self, before: list[Fact]) -> Journal:
        journal: Journal
        if self._kind == "memory":
            journal = MemoryJournal(before)
        elif self._kind == "crashing":
            journal = CrashingJournal(before)
        elif self._kind == "process":
            journal = SqliteJournal(self._folder, durability="process", create=not before)
        else:
            journal = SqliteJournal(self._folder, durability="power", create=not before)
        journal.listen(self._saved, self.failures.append)
        return journal

    def _saved(self, number: int) -> None:
        with self._changed:
            self.told.append(number)
            self._changed.notify_all()

    def settle(self, number: int) -> None:
        """Wait until fact `number` is durable."""
        if isinstance(self.journal, CrashingJournal):
            self.journal.save()
        with self._changed:
            assert self._changed.wait_for(lambda: self.journal.durable >= number, WAIT_S)

    def again(self) -> None:
        """Close, and open what is left."""
        self.journal.close()
        self.journal = self._open(list(self.journal.read()))


@pytest.fixture(params=["memory", "crashing", "process", "power"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(request.param, tmp_path / "runs" / "bold-otter")
    yield made
    made.journal.close()
    assert made.failures == []


def flat(units: list[list[Fact]]) -> list[Fact]:
    return [fact for unit in units for fact in unit]


def test_a_new_journal_is_empty(bench: Bench) -> None:
    assert bench.journal.durable == 0
    assert list(bench.journal.read()) == []


def test_facts_are_numbered_from_one_without_gaps(bench: Bench) -> None:
    assert bench.journal.append([created()]) == 1
    assert bench.journal.append([started(1), ended(1)]) == 3
    assert bench.journal.append([]) == 3
    assert bench.journal.append([started(2)]) == 4


def test_facts_read_back_as_they_were_appended(bench: Bench) -> None:
    units = story(40)
    for unit in units:
        last = bench.journal.append(unit)
    bench.settle(last)
    assert plain(list(bench.journal.read())) == plain(flat(units))


def test_reading_starts_anywhere(bench: Bench) -> None:
    facts = flat(story(20))
    bench.settle(bench.journal.append(facts[:17]))
    bench.settle(bench.journal.append(facts[17:]))
    for start in (1, 2, 17, 18, 19, len(facts), len(facts) + 1, len(facts) + 50):
        assert plain(list(bench.journal.read(start))) == plain(facts[start - 1 :])


def test_the_listener_hears_of_the_last_durable_fact(bench: Bench) -> None:
    for unit in story(30):
        last = bench.journal.append(unit)
        silent = bench.journal.durable == last
    bench.settle(last)
    assert bench.told == sorted(set(bench.told))
    assert silent or bench.told[-1] == last
    assert bench.journal.durable == last


def test_close_saves_what_was_appended(bench: Bench) -> None:
    units = story(50)
    for unit in units:
        last = bench.journal.append(unit)
    bench.journal.close()
    bench.journal.close()
    assert bench.journal.durable == last
    assert plain(list(bench.journal.read())) == plain(flat(units))


def test_nothing_is_appended_after_close(bench: Bench) -> None:
    bench.journal.append([created()])
    bench.journal.close()
    with pytest.raises(Bug, match="closed"):
        bench.journal.append([started(1)])


def test_numbers_go_on_after_opening_again(bench: Bench) -> None:
    units = story(10)
    for number, unit in enumerate(units):
        if number % 3 == 2:
            before = bench.journal.append([])
            bench.again()
            assert bench.journal.durable == before
        last = bench.journal.append(unit)
    assert last == len(flat(units))
    bench.settle(last)
    assert plain(list(bench.journal.read())) == plain(flat(units))


def test_a_reader_of_the_past_is_not_disturbed_by_appends(bench: Bench) -> None:
    facts = flat(story(5))
    bench.settle(bench.journal.append(facts))
    reading = bench.journal.read()
    first = next(reading)
    bench.settle(bench.journal.append([started(99)]))
    assert plain([first, *reading][: len(facts)]) == plain(facts)


def test_a_large_fact_goes_through(bench: Bench) -> None:
    large: Callable[[], Fact] = lambda: created(steps=20_000)  # noqa: E731
    bench.settle(bench.journal.append([large(), started(1)]))
    assert plain(list(bench.journal.read())) == plain([large(), started(1)])
