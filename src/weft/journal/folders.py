"""Folders whose names are as durable as the files in them: an entry is on the disk only when its folder was synced."""

import os
from pathlib import Path


def make(folder: Path, *, sync: bool) -> None:
    """Make the folder and what is missing above it, for this user only. Raises OSError."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(new):
        path.mkdir(mode=0o700, exist_ok=True)
        if sync:
            sync_entries(path.parent)


def sync_entries(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
