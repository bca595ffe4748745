"""The witness: a small file beside the journal with the number of a fact that is known to be on disk.

SQLite takes a write-ahead log that was cut or flipped for one whose end was never written, and says nothing. The witness says
otherwise: it is written after a commit has been synced, so a journal that holds fewer facts than that has lost some.

- It is never ahead of the disk, and may lag behind: it is not synced itself, and under load not every commit renews it.
- One that is missing or unreadable proves nothing and stops nobody.
- Its name sorts before `journal.db`: a plain copy of a live run's folder gets a witness no newer than its journal.
"""

import os
from contextlib import suppress
from pathlib import Path
from zlib import crc32

NAME = "durable"


class Witness:
    """The one writer of a run's witness. Failing to write is of no consequence and is not reported."""

    def __init__(self, folder: Path) -> None:
        self._fd = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, number: int) -> None:
        digits = b"%020d" % number
        with suppress(OSError):
            os.pwrite(self._fd, b"%b %08x\n" % (digits, crc32(digits)), 0)

    def close(self) -> None:
        os.close(self._fd)


def read(folder: Path) -> int:
    """Number of a fact that the journal in this folder must hold; 0 if nothing is known."""
    with suppress(OSError, ValueError):
        digits, sum_ = (folder / NAME).read_bytes().split()
        if crc32(digits) == int(sum_, 16):
            return int(digits)
    return 0
