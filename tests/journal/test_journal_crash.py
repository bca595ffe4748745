"""kill -9 while facts are appended: what was reported durable is there, and no unit is there in part."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from weft.journal.reader import read_facts
from weft.journal.sqlite import SqliteJournal

HERE = Path(__file__).parent


def killed(folder: Path, durability: str, after: int) -> int:
    """Let a process append, kill it once it has reported `after` commits, and return the last number that it reported."""
    env = {**os.environ, "PYTHONPATH": str(HERE)}
    command = [sys.executable, str(HERE / "writer.py"), str(folder), durability, "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout
        told = 0
        for _ in range(after):
            told = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split(b"\n")[:-1]  # the last may be cut, and counts as not told
    assert process.returncode == -signal.SIGKILL
    return max([told, *map(int, rest)])


@pytest.mark.parametrize("durability", ["power", "process"])
def test_what_was_reported_survives_sigkill(tmp_path: Path, durability: str) -> None:
    folder = tmp_path / "runs" / "bold-otter"
    dice = random.Random(f"{durability} 1")
    for _ in range(8):
        told = killed(folder, durability, dice.randint(1, 40))
        units = [int(fact.at) for fact in read_facts(folder)]
        assert len(units) >= told
        assert units == [number // 3 + 1 for number in range(len(units))]
        assert len(units) % 3 == 0


def test_a_survivor_goes_on_where_the_dead_one_stopped(tmp_path: Path) -> None:
    folder = tmp_path / "bold-otter"
    killed(folder, "power", 5)
    count = sum(1 for _ in read_facts(folder))
    journal = SqliteJournal(folder, durability="power", create=False)
    facts = list(journal.read())
    assert journal.append(facts[:1]) == count + 1
    journal.close()
    assert sorted(path.name for path in folder.iterdir()) == ["durable", "journal.db", "lock"]
    assert list(read_facts(folder)) == facts + facts[:1]
