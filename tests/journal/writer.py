"""A process that appends facts for ever and says which are durable, to be killed or starved by the tests.

Arguments: folder, durability, bytes that a file may have (0: any). Appends units of three facts each (their `at` is the number of
the unit) and writes the number of each durable fact to stdout, one a line; when the journal fails, why, and then ends with 0.
"""

import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

from journal_facts import ended, started

from weft.journal.sqlite import SqliteJournal
from weft.model.errors import MachineError


def main(folder: Path, durability: str, file_bytes_max: int) -> None:
    journal = SqliteJournal(folder, durability="process" if durability == "process" else "power", create=not folder.exists())
    failures: list[BaseException] = []
    journal.listen(lambda number: say(str(number)), failures.append)
    if file_bytes_max:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes_max, file_bytes_max))
    unit = journal.durable // 3
    while not failures:
        unit += 1
        with suppress(MachineError):
            last = journal.append([started(unit), ended(unit), started(unit)])
        while last - journal.durable > 300 and not failures:
            os.sched_yield()
    journal.close()
    journal.close()
    assert len(failures) == 1
    say(str(failures[0]))


def say(text: str) -> None:
    os.write(1, text.encode() + b"\n")


main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
