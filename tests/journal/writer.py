"""A process that appends facts for ever and says which are durable, to be killed by test_journal_crash.py.

Arguments: folder, durability. Appends units of three facts each (their `at` is the number of the unit) and writes the number of
each durable fact to stdout, in decimal, one a line.
"""

import os
import sys
from pathlib import Path

from journal_facts import ended, started

from weft.journal.sqlite import SqliteJournal


def main(folder: Path, durability: str) -> None:
    journal = SqliteJournal(folder, durability="process" if durability == "process" else "power", create=not folder.exists())
    journal.listen(say, lambda error: os._exit(9))
    unit = journal.durable // 3
    while True:
        unit += 1
        last = journal.append([started(unit), ended(unit), started(unit)])
        while last - journal.durable > 300:
            os.sched_yield()


def say(number: int) -> None:
    os.write(1, b"%d\n" % number)


main(Path(sys.argv[1]), sys.argv[2])
