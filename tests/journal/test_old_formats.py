"""Journals written by every version so far still open. The files were made by the make_fixture.py of their time."""

import shutil
from pathlib import Path
from typing import get_args

import pytest
from journal_facts import plain
from make_fixture import LARGE, facts

from weft.core.facts import AttemptEnded, Fact
from weft.journal.codec import FORMAT
from weft.journal.reader import read_facts
from weft.journal.sqlite import MIGRATIONS, SqliteJournal
from weft.journal.store import Store
from weft.model.output import Output

FIXTURES = Path(__file__).parent / "fixtures"


def expected() -> list[Fact]:
    blob = Output(form="text", blob="ead7727e25196a848aa3cce81daf1bf583b63a407e1237efdc3db7352900dcd9", size=len(LARGE))
    return facts(blob)


def test_every_format_has_a_fixture_and_a_migration() -> None:
    assert sorted(path.name for path in FIXTURES.iterdir()) == [f"v{number}" for number in range(1, FORMAT + 1)]
    assert len(MIGRATIONS) == FORMAT


def test_the_fixture_holds_every_kind_of_fact_of_its_time() -> None:
    """Kinds and fields are only ever added; those that came later are tested with the codec."""
    kinds = {type(fact) for fact in expected()}
    assert len(kinds) == 20
    assert kinds <= set(get_args(Fact))


@pytest.mark.parametrize("state", ["closed", "crashed"])
def test_the_first_format_opens_and_goes_on(tmp_path: Path, state: str) -> None:
    folder = tmp_path / "bold-otter"
    shutil.copytree(FIXTURES / "v1" / state / "bold-otter", folder)
    found = list(read_facts(folder))
    assert plain(found) == plain(expected())
    journal = SqliteJournal(folder, durability="power", create=False)
    assert plain(list(journal.read())) == plain(expected())
    assert journal.append(found[-1:]) == len(found) + 1
    journal.close()
    assert plain(list(read_facts(folder))) == plain([*expected(), expected()[-1]])
    output = next(fact.output for fact in found if isinstance(fact, AttemptEnded) and fact.output)
    assert Store(folder).load(output) == LARGE.decode().removesuffix("\n")
