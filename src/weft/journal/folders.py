"""Folders whose names are as durable as the files in them: an entry is on the disk only when its folder was synced."""

import os
from pathlib import Path


def make(folder: Path, *, durable: bool) -> None:
    """Make the folder and what is missing above it, for this user only. Raises OSError."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(new):
        path.mkdir(mode=0o700, exist_ok=True)
        if durable:
            sync(path.parent)


def sync(path: Path) -> None:
    """A file, or the entries of a folder. Not for a file of SQLite's that is open: closing it here would drop SQLite's locks."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
