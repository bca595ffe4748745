"""Slots of pools that all runs of a state folder share, as locks on files: a lease ends when nobody has its descriptor any more.

- `POOL/RUN` is a run's file. Each lease is an open file description of its own with a write lock on as many bytes as it has
  units, so counting the locked bytes of all files gives what is taken. The kernel drops a lock when its last descriptor is
  closed, and the processes of a step inherit it: what a killed engine held is free when its children are dead, and not before.
- Whoever looks or takes holds the lock of the folder for some µs, so a lease over several pools is taken whole or not at all.
- Where files declare different sizes, the smallest of those that living engines declare counts for all.
- Who waits longest is first: nobody takes what an earlier one waits for. Waiting is noted in the run's file and renewed with each
  try; a note that is not renewed is void after WAIT_STALE_S, so a stopped engine keeps nobody waiting for ever.
"""

import fcntl
import os
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from weft.model.errors import MachineError

ALIVE: Final = 1 << 62
"""The byte that a living engine locks in the file of its run: beyond all units."""
FOLDER_LOCK: Final = ".lock"
DESCRIPTOR_MIN: Final = 100
"""Leases get descriptors from here on: scripts use the low numbers for themselves."""
WAIT_STALE_S: Final = 5.0
"""A hundred tries of a living engine. One that has not tried for so long is stopped or hangs."""
CONTENT_BYTES_MAX: Final = 64 << 10
RUNS_MAX: Final = 10_000
"""Files of a pool that are looked at: those of dead runs are removed when they are seen."""

_RANGE = struct.Struct("hhqqi")
"""struct flock of <fcntl.h>: type, whence, start, length, pid (0 for locks of an open file description)."""


class Note(msgspec.Struct, omit_defaults=True):
    """What a run's file says: how many slots its workflow declares, and for how much it waits, since when. `renewed` and `since`
    are in seconds on the monotonic clock of the machine."""

    slots: int = 0
    waits: int = 0
    since: float = 0.0
    renewed: float = 0.0


class Lease:
    """Units of one or more pools. `descriptors` are for the processes that use them."""

    def __init__(self, descriptors: tuple[int, ...]) -> None:
        self.descriptors = descriptors

    def release(self) -> None:
        """Close the descriptors: the units are free as soon as no process has a copy. Idempotent."""
        for fd in self.descriptors:
            os.close(fd)
        self.descriptors = ()


class FileLeases:
    """The leases of one run. `sizes`: slots of each shared pool. Raises MachineError if the folder cannot be used."""

    def __init__(self, folder: Path, run: str, sizes: Mapping[str, int]) -> None:
        self._folder = folder
        self._run = run
        self._sizes = dict(sizes)
        self._blockers: list[str] = []
        self._alive: list[int] = []
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked(wait=True):
                for pool, slots in self._sizes.items():
                    (folder / pool).mkdir(mode=0o700, exist_ok=True)
                    fd = os.open(self._file(pool), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                    self._alive.append(fd)
                    _lock(fd, ALIVE, 1)
                    _write(fd, Note(slots=slots))
        except OSError as error:
            self.close()
            raise MachineError(f"the shared pools in `{folder}` cannot be used: {error.strerror}") from error

    def take(self, units: Mapping[str, int], waiting_since: float) -> Lease | None:
        """Units of each of these pools together, or None. Never waits; `waiting_since` (monotonic) says whose turn it is.

        Until a further call succeeds, or `stop_waiting`, the run counts as waiting for them.
        """
        try:
            with self._locked(wait=False) as mine:
                if not mine:
                    return None
                self._blockers = sorted(
                    {run for pool, weight in units.items() for run in self._against(pool, weight, waiting_since)}
                )
                if self._blockers:
                    self._note(units, waiting_since)
                    return None
                lease = Lease(tuple(self._lock_units(pool, weight) for pool, weight in units.items()))
                self._note(dict.fromkeys(units, 0), 0.0)
                return lease
        except OSError as error:
            raise MachineError(f"the shared pools in `{self._folder}` cannot be used: {error.strerror}") from error

    def blockers(self) -> list[str]:
        """The runs that kept the last `take` from its units: they hold them, or have waited longer. It may be this run itself."""
        return self._blockers

    def stop_waiting(self) -> None:
        with suppress(OSError), self._locked(wait=True):
            self._note(dict.fromkeys(self._sizes, 0), 0.0)

    def sizes(self) -> dict[str, int]:
        """What counts as the size of each pool: the smallest that a living engine declares."""
        return {pool: min(note.slots for _, note in self._living(pool)) for pool in self._sizes}

    def close(self) -> None:
        """The run has no engine any more. What its processes still hold they hold."""
        with suppress(OSError), self._locked(wait=True):
            for fd in self._alive:
                os.close(fd)
            self._alive.clear()
            for pool in self._sizes:
                if not _taken(self._file(pool)):
                    with suppress(FileNotFoundError):
                        self._file(pool).unlink()

    # ---- all of this with the lock of the folder ----

    def _file(self, pool: str) -> Path:
        return self._folder / pool / self._run

    @contextmanager
    def _locked(self, *, wait: bool) -> Iterator[bool]:
        """Hold the lock of the folder; False if somebody else does and we shall not wait."""
        fd = os.open(self._folder / FOLDER_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                _lock(fd, 0, 1, wait=wait)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(fd)

    def _against(self, pool: str, weight: int, since: float) -> list[str]:
        """The runs that leave too little of a pool; empty: there is enough."""
        now, size, taken, ahead = time.monotonic(), self._sizes[pool], 0, 0
        found = []
        for path in runs_of(self._folder / pool):
            held, note = _taken(path), note_of(path)
            if note is None and not held:
                with suppress(FileNotFoundError):
                    path.unlink()
                continue
            taken += held
            waits = note.waits if note and path.name != self._run and note.since < since else 0
            if waits and note and now - note.renewed < WAIT_STALE_S:
                ahead += waits
            else:
                waits = 0
            if note:
                size = min(size, note.slots)
            if held or waits:
                found.append(path.name)
        return found if taken + ahead + weight > size else []

    def _living(self, pool: str) -> list[tuple[str, Note]]:
        """The runs that have an engine, and what they say."""
        return [(path.name, note) for path in runs_of(self._folder / pool) if (note := note_of(path))]

    def _lock_units(self, pool: str, weight: int) -> int:
        """Lock so many bytes that nobody has locked in our own file; returns the descriptor that they belong to."""
        path = self._file(pool)
        opened = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            fd = fcntl.fcntl(opened, fcntl.F_DUPFD_CLOEXEC, DESCRIPTOR_MIN)
        finally:
            os.close(opened)
        start = 0
        while (blocking := _first(fd, start, weight)) is not None:
            start = sum(blocking)
        _lock(fd, start, weight)
        return fd

    def _note(self, waits: Mapping[str, int], since: float) -> None:
        for pool, fd in zip(self._sizes, self._alive, strict=True):
            if pool in waits:
                _write(fd, Note(slots=self._sizes[pool], waits=waits[pool], since=since, renewed=time.monotonic()))


# ---- looking, for everybody ----


def runs_of(folder: Path) -> list[Path]:
    """The files of a pool, one for each run that has used it lately."""
    try:
        return [Path(entry.path) for entry in os.scandir(folder)][:RUNS_MAX]
    except OSError:
        return []


def note_of(path: Path) -> Note | None:
    """What a run says about itself; None if it has no engine."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if _first(fd, ALIVE, 1) is None:
            return None
        return msgspec.json.decode(os.pread(fd, CONTENT_BYTES_MAX, 0), type=Note)
    except (OSError, msgspec.MsgspecError):
        return None
    finally:
        os.close(fd)


def _taken(path: Path) -> int:
    """Units that are locked in the file of a run."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        count, gaps = 0, [(0, ALIVE)]
        while gaps:  # the kernel names any lock in a range, not the first
            start, end = gaps.pop()
            found = _first(fd, start, end - start) if end > start else None
            if found is not None:
                count += found[1]
                gaps += [(start, found[0]), (sum(found), end)]
        return count
    finally:
        os.close(fd)


def taken(folder: Path) -> dict[str, int]:
    """For each run that holds units of the pool with this folder: how many."""
    return {path.name: held for path in runs_of(folder) if (held := _taken(path))}


def _first(fd: int, start: int, length: int) -> tuple[int, int] | None:
    """Start and length of a lock that somebody has in a range; None: nobody."""
    asked = _RANGE.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
    kind, _, begin, size, _ = _RANGE.unpack(fcntl.fcntl(fd, fcntl.F_OFD_GETLK, asked))
    return None if kind == fcntl.F_UNLCK else (begin, size)


def _lock(fd: int, start: int, length: int, *, wait: bool = False) -> None:
    how = fcntl.F_OFD_SETLKW if wait else fcntl.F_OFD_SETLK
    fcntl.fcntl(fd, how, _RANGE.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0))


def _write(fd: int, note: Note) -> None:
    data = msgspec.json.encode(note)
    os.pwrite(fd, data, 0)
    os.ftruncate(fd, len(data))
