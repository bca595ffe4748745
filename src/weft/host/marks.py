"""Marks: a number that every process of an attempt carries, and cannot lose by fork, exec, setsid, daemonising or `env -i`.

- The mark is the soft RLIMIT_RTTIME, a limit in µs that counts for real-time schedulers only. Every mark is over 2**61 µs
  (73,000 years), so it limits nothing; but children inherit it, and prlimit(2) reads it in one call.
- A mark begins with a hash of the run, so that a later engine finds what an earlier one left behind.
- An ordinary process has no mark: its limit is unlimited, or far smaller.
"""

import errno
import os
import resource
import zlib
from itertools import count

MARKED = 1 << 62
ENGINE_BITS, SERIAL_BITS = 16, 16
"""Below the hash of the run: the pid of the engine, and a serial number that repeats long after its last carrier is gone."""
RUN_SHIFT = ENGINE_BITS + SERIAL_BITS

_serials = count(1)


def run_prefix(run: str) -> int:
    """What all marks of a run have in common. (Another run has the same by a chance of 1 in 2**30.)"""
    return (MARKED >> RUN_SHIFT | zlib.crc32(run.encode()) >> 2) << RUN_SHIFT


def new_mark(run: str) -> int:
    """A mark that no living process has."""
    engine, serial = os.getpid() % (1 << ENGINE_BITS), next(_serials) % (1 << SERIAL_BITS)
    return run_prefix(run) | engine << SERIAL_BITS | serial


def mark_of(pid: int) -> int:
    """The mark of a living process (or of a thread, by its number); 0 if it has none, is gone, or belongs to somebody else."""
    try:
        soft = resource.prlimit(pid, resource.RLIMIT_RTTIME)[0]
    except OSError:
        return 0
    return soft if soft > 0 and soft & MARKED else 0


def has_prefix(mark: int, prefix: int) -> bool:
    return mark >> RUN_SHIFT == prefix >> RUN_SHIFT


def is_process(pid: int) -> bool:
    """Whether the number names a process; threads have numbers too, but no pidfd."""
    try:
        os.close(os.pidfd_open(pid))
    except ProcessLookupError:
        return False
    except OSError as error:
        # A thread is EINVAL, in newer kernels ENOENT. Out of descriptors: better believe in one too many.
        return error.errno not in (errno.EINVAL, errno.ENOENT)
    return True
