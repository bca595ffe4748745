"""The journal fake whose disk obeys a test."""

import pytest
from journal_facts import created, ended, started

from weft.model.errors import MachineError
from weft.testing.journals import CrashingJournal


def test_nothing_is_durable_before_it_is_saved() -> None:
    journal = CrashingJournal([created()])
    told: list[int] = []
    journal.listen(told.append, lambda _: None)
    assert journal.append([started(1)]) == 2
    assert journal.append([started(2), ended(2)]) == 4
    assert (journal.durable, journal.waiting, told) == (1, 2, [])
    journal.save(1)
    assert (journal.durable, journal.waiting, told) == (2, 1, [2])
    assert list(journal.read(2)) == [started(1)]


def test_a_crash_keeps_whole_units_and_nothing_else() -> None:
    journal = CrashingJournal()
    journal.append([created()])
    journal.save()
    journal.append([started(1), started(2)])
    journal.append([started(3)])
    after = journal.crash(units_saved=1)
    assert list(after.read()) == [created(), started(1), started(2)]
    assert after.append([ended(1)]) == 4
    with pytest.raises(MachineError):
        journal.append([ended(1)])


def test_a_failure_is_told_once_and_for_ever() -> None:
    journal = CrashingJournal()
    failures: list[BaseException] = []
    journal.listen(lambda _: None, failures.append)
    journal.append([created()])
    error = MachineError("disk full")
    journal.fail(error)
    assert failures == [error]
    with pytest.raises(MachineError, match="disk full"):
        journal.append([started(1)])
    journal.close()
    assert list(journal.read()) == []
