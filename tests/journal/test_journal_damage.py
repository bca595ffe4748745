"""Files that were cut, flipped, removed or exchanged: a clear error after the good facts, or all facts. Never fewer without a word."""

import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from journal_facts import created, plain, story

from weft.core.facts import Fact
from weft.journal.reader import NAME, read_facts
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
