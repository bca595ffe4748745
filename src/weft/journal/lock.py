"""The lock of a run: whoever holds it is the one process that may write the run's journal.

- It is a lock on an open file description: the kernel drops it when its process dies, whatever the file says afterwards.
- The descriptor is closed on exec, so no child of the holder keeps it alive.
- The file's content only names the holder for people; what a dead holder left in it is no obstacle.
"""

import fcntl
import os
import socket
import struct
import sys
import time
from pathlib import Path

import msgspec

from weft.model.errors import MachineError, RunLocked

NAME = "lock"

_CONTENT_BYTES_MAX = 4096
"""A command line longer than this is cut: it is there to be recognised, not to be run."""

_RANGE = struct.Struct("hhqqi")
"""struct flock of <fcntl.h>: type, whence, start, length (0: to the end), pid (0 for locks of an open file description)."""


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a run. `since` is in seconds since the epoch; pid 0: it holds the lock but has not yet said who it is."""

    pid: int = 0
    host: str = ""
    since: float = 0.0
    command: str = ""

    def __str__(self) -> str:
        if not self.pid:
            return "another process"
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        where = "" if self.host == socket.gethostname() else f" on {self.host}"
        return f"process {self.pid}{where}, since {since} (`{self.command}`)"


class RunLock:
    """Held from construction to `close`, or to the death of this process. Raises RunLocked naming the holder."""

    def __init__(self, folder: Path) -> None:
        try:
            self._fd = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise MachineError(f"cannot open the lock of the run, `{folder / NAME}`: {error.strerror}") from error
        try:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _RANGE.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
            self._sign()
        except BlockingIOError:
            holder_ = _parse(os.pread(self._fd, _CONTENT_BYTES_MAX, 0))
            os.close(self._fd)
            raise RunLocked(_refusal(folder.name, holder_)) from None
        except OSError as error:
            os.close(self._fd)
            raise MachineError(f"cannot lock the run by `{folder / NAME}`: {error.strerror}") from error

    def _sign(self) -> None:
        command = " ".join([os.path.basename(sys.argv[0]), *sys.argv[1:]])[: _CONTENT_BYTES_MAX // 8]
        me = Holder(pid=os.getpid(), host=socket.gethostname(), since=time.time(), command=command)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, msgspec.json.encode(me), 0)

    def close(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def holder(folder: Path) -> Holder | None:
    """The process that holds the run in this folder, found without taking the lock; None if nobody does."""
    try:
        fd = os.open(folder / NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, _RANGE.pack(fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0))
        if _RANGE.unpack(found)[0] == fcntl.F_UNLCK:
            return None
        return _parse(os.pread(fd, _CONTENT_BYTES_MAX, 0))
    finally:
        os.close(fd)


def _parse(content: bytes) -> Holder:
    try:
        return msgspec.json.decode(content, type=Holder)
    except (ValueError, RecursionError):
        return Holder()


def _refusal(run: str, holder_: Holder) -> str:
    stop = f", or `kill {holder_.pid}` suspends it" if holder_.pid else ""
    return f"run `{run}` is held by {holder_}; `weft watch {run}` shows it, `weft cancel {run}` ends it for good{stop}"
