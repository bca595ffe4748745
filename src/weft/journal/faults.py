"""What went wrong with a journal, in words: whose fault, where, what to do. Every error of SQLite is turned into one of these."""

import sqlite3
from pathlib import Path

from weft.model.errors import JournalDamaged, MachineError

_NOT_A_JOURNAL = (
    "SQLITE_NOTADB",
    "SQLITE_CORRUPT",
    "SQLITE_ERROR",
    "SQLITE_SCHEMA",
    "SQLITE_TOOBIG",
    "SQLITE_NOMEM",
    "SQLITE_FORMAT",
)
"""How SQLite calls a file that is none of its own, or whose bytes were changed. `SQLITE_ERROR`: our table is not in it."""

_CAUSES = {
    "SQLITE_FULL": "the disk is full; free some space",
    "SQLITE_IOERR": "the disk does not take it (over a quota or a size limit, or failing); make room for it",
    "SQLITE_READONLY": "it may not be written; make it and its folder writable for this user",
    "SQLITE_CANTOPEN": "it cannot be opened; look at the permissions of the file and its folder",
    "SQLITE_PERM": "it may not be opened by this user",
    "SQLITE_BUSY": "another program holds it locked; close that program",
    "SQLITE_LOCKED": "another program holds it locked; close that program",
}

SQLITE_ERRORS = (sqlite3.Error, MemoryError, UnicodeDecodeError)
"""What reading a file can raise. A flipped length makes it ask for terabytes; a flipped name makes its messages undecodable."""


def explain(error: BaseException, folder: Path) -> MachineError:
    """What an error of SQLite or of the system means for the journal of the run in `folder`."""
    name = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
    for cause, text in _CAUSES.items():
        if name.startswith(cause):
            return MachineError(f"journal of run `{folder.name}`: {text}, then `weft resume {folder.name}` ({folder}: {error})")
    if isinstance(error, OSError):
        return MachineError(f"journal of run `{folder.name}`: {error.strerror or error} ({error.filename or folder})")
    if isinstance(error, SQLITE_ERRORS) and name.startswith(_NOT_A_JOURNAL):
        return damaged(folder, f"SQLite cannot read it ({error})")
    return MachineError(f"journal of run `{folder.name}`: {error} ({folder})")


def damaged(folder: Path, what: str) -> JournalDamaged:
    return JournalDamaged(
        f"journal of run `{folder.name}` is damaged: {what}; `weft show {folder.name}` shows what is before it; "
        f"put {folder} back from a copy, or start a new run"
    )


def lost(folder: Path, first: int, last: int, witness: Path) -> JournalDamaged:
    return JournalDamaged(
        f"journal of run `{folder.name}` is damaged: facts {first} to {last} were saved and are gone (a file was cut, replaced "
        f"or removed); put {folder} back from a copy, or delete {witness} to go on without them"
    )
