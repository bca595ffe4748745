"""Digests of the files that a step declares to read or to write.

- A pattern is a path or a glob below the project's folder; a folder stands for all files in it. What begins with a dot is left
  out unless it is named. A word that is no file stands for nothing, like a path that does not exist yet: both are `absent`.
- Only what is in a file counts: not its time, not its mode.
"""

import glob
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from typing import Final

FILES_MAX: Final = 100_000
"""Files of one step: more take longer to look through than most steps run."""

FILES_NAMED_MAX: Final = 256
"""Files of one pattern that are told apart by name; more are one digest, or they would fill the journal."""

ABSENT: Final = "absent"
DIGEST_BYTES: Final = 16
"""No two contents will ever have the same; 32 signs in the journal."""

_PIECE_BYTES = 1 << 20


class Unreadable(Exception):
    """Why the files of a step cannot be told from others, in a few words."""


def digests(patterns: Iterable[str], folder: str, goes_on: Callable[[], bool]) -> dict[str, str]:
    """The digest of each file, by its path from `folder`; of too many of one pattern, one by the pattern.

    Raises Unreadable, also when `goes_on` says that nobody waits any more. May take as long as it takes to read them all.
    """
    found: dict[str, str] = {}
    count = 0
    for pattern in patterns:
        of_pattern: dict[str, str] = {}
        for path in _files(pattern, folder):
            count += 1
            if count > FILES_MAX:
                raise Unreadable(f"it names more than {FILES_MAX:,} files")
            of_pattern[path] = _digest(path, folder, goes_on)
        if len(of_pattern) > FILES_NAMED_MAX:
            whole = blake2b(digest_size=DIGEST_BYTES)
            for path, digest in sorted(of_pattern.items()):
                whole.update(f"{path}\0{digest}\0".encode("utf-8", "surrogateescape"))
            of_pattern = {pattern: whole.hexdigest()}
        found |= of_pattern or {pattern: ABSENT}
    return found


def _files(pattern: str, folder: str) -> Iterator[str]:
    """The paths of the files that a pattern stands for, sorted."""
    if glob.has_magic(pattern) and not os.path.lexists(os.path.join(folder, pattern)):
        paths = sorted(set(glob.iglob(pattern, root_dir=folder, recursive=True)))
    else:
        paths = [pattern]
    for path in paths:
        if os.path.isdir(os.path.join(folder, path)):
            if path == pattern or not glob.has_magic(pattern):
                yield from _below(path, folder)
        elif os.path.lexists(os.path.join(folder, path)):
            yield path


def _below(path: str, folder: str) -> Iterator[str]:
    for parent, folders, files in os.walk(os.path.join(folder, path)):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield os.path.relpath(os.path.join(parent, name), folder)


def _digest(path: str, folder: str, goes_on: Callable[[], bool]) -> str:
    digest = blake2b(digest_size=DIGEST_BYTES)
    try:
        with open(os.path.join(folder, path), "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unreadable(f"`{path}` is no regular file")
            while piece := file.read(_PIECE_BYTES):
                if not goes_on():
                    raise Unreadable("the engine leaves")
                digest.update(piece)
    except OSError as error:
        raise Unreadable(f"`{path}` cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def _without_waiting(path: str, flags: int) -> int:
    """A pipe that nobody writes to must not be waited for."""
    return os.open(path, flags | os.O_NONBLOCK)
