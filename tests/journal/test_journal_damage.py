"""Files that were cut, flipped, removed or exchanged: all facts are read, or the good ones and then a clear error."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from journal_facts import created, plain, story

from weft.core.facts import Fact
from weft.journal.reader import NAME, Reader, read_facts
from weft.journal.sqlite import SqliteJournal
from weft.model.errors import JournalDamaged, MachineError

FACTS: list[Fact] = [created(steps=60), *(fact for unit in story(12) for fact in unit)]  # the first one needs overflow pages
LOG = NAME + "-wal"


def settled(folder: Path) -> SqliteJournal:
    """A journal with two lives: the facts of the first are in the file, those of the second in the log. Still open."""
    half = len(FACTS) // 2
    journal = SqliteJournal(folder, durability="power", create=True)
    journal.append(FACTS[:half])
    journal.close()
    journal = SqliteJournal(folder, durability="power", create=False)
    for start in range(half, len(FACTS), 3):
        number = journal.append(FACTS[start : start + 3])
        while journal.durable < number:
            os.sched_yield()
    return journal


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that ended in order: one file."""
    folder = tmp_path_factory.mktemp("closed") / "bold-otter"
    settled(folder).close()
    return folder


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run whose engine died: what came last is still in the write-ahead log."""
    folder = tmp_path_factory.mktemp("crashed") / "bold-otter"
    live = tmp_path_factory.mktemp("live") / "bold-otter"
    journal = settled(live)
    shutil.copytree(live, folder)
    journal.close()
    (folder / "journal.db-shm").unlink()
    return folder


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in ("lock", "journal.db-shm")}


def look(folder: Path) -> str:
    """Read and open the journal there; what was said about it. Fails if anything was lost silently or changed."""
    before = snapshot(folder)
    found: list[Fact] = []
    said = ""
    try:
        found.extend(read_facts(folder))
    except MachineError as error:
        said = str(error)
        assert "bold-otter" in said
    assert plain(found) == plain(FACTS[: len(found)])
    assert said or len(found) == len(FACTS)
    try:
        journal = SqliteJournal(folder, durability="power", create=False)
    except MachineError as error:
        said = said or str(error)
    else:
        assert journal.durable == len(FACTS)
        journal.close()
    after = snapshot(folder)
    assert {name: after[name] for name in before} == before
    return said


def damage(source: Path, target: Path, name: str, change: Callable[[bytes], bytes]) -> str:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    path = target / name
    path.write_bytes(change(path.read_bytes()))
    return look(target)


def places(data: bytes, step: int) -> Iterator[int]:
    """Every `step`th byte, and all around the starts of pages and frames, where the headers are."""
    frames = {32 + n * (4096 + 24) for n in range(50)} | {n * 4096 for n in range(50)}
    for place in range(len(data)):
        if place % step == 0 or any(place + near in frames for near in range(-24, 9, 4)):
            yield place


def test_undamaged(closed: Path, crashed: Path, tmp_path: Path) -> None:
    for number, source in enumerate((closed, crashed)):
        assert damage(source, tmp_path / str(number) / "bold-otter", NAME, lambda data: data) == ""
    assert (crashed / LOG).stat().st_size > 3 * 4096


@pytest.mark.parametrize(("state", "name"), [("closed", NAME), ("crashed", NAME), ("crashed", LOG)])
def test_cut_anywhere(request: pytest.FixtureRequest, tmp_path: Path, state: str, name: str) -> None:
    source: Path = request.getfixturevalue(state)
    data = (source / name).read_bytes()
    for place in places(data, 199):
        said = damage(source, tmp_path / "bold-otter", name, lambda data, cut=place: data[:cut])  # type: ignore[misc]
        assert said, f"cut at {place} went unnoticed"


@pytest.mark.parametrize(("state", "name"), [("closed", NAME), ("crashed", NAME), ("crashed", LOG)])
def test_flipped_anywhere(request: pytest.FixtureRequest, tmp_path: Path, state: str, name: str) -> None:
    source: Path = request.getfixturevalue(state)
    dice = random.Random(7)
    noticed = 0
    for place in places((source / name).read_bytes(), 97):
        bit = 1 << dice.randrange(8)
        flip = lambda data, at=place, bit=bit: data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]  # noqa: E731
        noticed += bool(damage(source, tmp_path / "bold-otter", name, flip))
    assert noticed > 10


def test_the_log_is_gone(crashed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bold-otter"
    shutil.copytree(crashed, folder)
    (folder / LOG).unlink()
    half = len(FACTS) // 2
    assert f"facts {half + 1} to {len(FACTS)} were saved and are gone" in look(folder)


def test_the_owner_may_accept_what_was_lost(crashed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bold-otter"
    shutil.copytree(crashed, folder)
    (folder / LOG).unlink()
    (folder / "durable").unlink()
    half = len(FACTS) // 2
    assert plain(list(read_facts(folder))) == plain(FACTS[:half])
    journal = SqliteJournal(folder, durability="power", create=False)
    assert journal.append(FACTS[half:]) == len(FACTS)
    journal.close()
    assert look(folder) == ""


@pytest.mark.parametrize("content", [b"", b"\x00" * 30, b"00000000000000009999 00000000\n", b"\xff one two"])
def test_a_witness_that_cannot_be_read_is_no_witness(closed: Path, tmp_path: Path, content: bytes) -> None:
    assert damage(closed, tmp_path / "bold-otter", "durable", lambda _: content) == ""


def test_everything_before_the_first_bad_fact_is_given(closed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bold-otter"
    shutil.copytree(closed, folder)
    place = (folder / NAME).read_bytes().rindex(b'"step":"step7"')
    said = damage(closed, folder, NAME, lambda data: data[:place] + b'"step":"step8"' + data[place + 14 :])
    bad = max(number for number, fact in enumerate(FACTS, 1) if getattr(fact, "step", "") == "step7")
    assert f"fact {bad}: its checksum is wrong" in said
    reader = Reader(folder)
    assert plain(reader.poll()) == plain(FACTS[: bad - 1])
    for _ in range(2):
        with pytest.raises(JournalDamaged, match=f"fact {bad}"):
            reader.poll()
    reader.close()


def edited(folder: Path, source: Path, *statements: str) -> None:
    shutil.copytree(source, folder)
    connection = sqlite3.connect(folder / NAME, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DELETE FROM saved WHERE last = (SELECT max(last) FROM saved)", "saved and are gone"),
        ("DELETE FROM saved WHERE last = (SELECT min(last) FROM saved)", "fact 1: "),
        ("UPDATE saved SET last = last + 1 WHERE last = (SELECT max(last) FROM saved)", "it is missing"),
        ("UPDATE saved SET facts = 5", "fact 1: its checksum"),
        ("UPDATE saved SET sums = x'00'", "cut in the middle|cannot be read"),
        ("UPDATE saved SET sums = x''", "missing|cannot be read"),
        ("DROP TABLE saved", "no such table"),
        ("PRAGMA user_version = 99", "written by a newer weft"),
        ("PRAGMA user_version = 0", "format 0"),
        ("PRAGMA application_id = 7", "no journal of weft"),
    ],
)
def test_a_journal_that_somebody_edited(closed: Path, tmp_path: Path, statement: str, says: str) -> None:
    folder = tmp_path / "bold-otter"
    edited(folder, closed, statement)
    before = (folder / NAME).read_bytes()
    for _ in range(2):
        with pytest.raises(MachineError, match=says):
            list(read_facts(folder))
        with pytest.raises(MachineError, match="bold-otter"):
            resume(folder)
    assert (folder / NAME).read_bytes() == before


def resume(folder: Path) -> None:
    """What an engine does first. Opening looks at the end of the journal only, reading at everything."""
    journal = SqliteJournal(folder, durability="power", create=False)
    try:
        list(journal.read())
    finally:
        journal.close()


@pytest.mark.parametrize(
    "content", [b"", b"x", b"not a database, but long enough to have a header of its own" * 9, b"\x00" * 8192]
)
def test_a_file_that_is_no_journal(tmp_path: Path, content: bytes) -> None:
    folder = tmp_path / "bold-otter"
    folder.mkdir()
    (folder / NAME).write_bytes(content)
    with pytest.raises(JournalDamaged, match="bold-otter"):
        list(read_facts(folder))
    with pytest.raises(JournalDamaged, match="bold-otter"):
        SqliteJournal(folder, durability="power", create=False)


def test_a_folder_without_a_journal(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no readable journal"):
        list(read_facts(tmp_path))
    with pytest.raises(MachineError, match="no readable journal"):
        SqliteJournal(tmp_path, durability="power", create=False)


def test_an_existing_run_is_not_created_again(closed: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bold-otter"
    shutil.copytree(closed, folder)
    with pytest.raises(MachineError, match="exists"):
        SqliteJournal(folder, durability="power", create=True)
    assert look(folder) == ""
