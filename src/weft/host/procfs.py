"""What the kernel says about processes: `/proc/PID/stat`, the environment a process was started with, the newest pid.

A process may vanish between any two reads: every function here then answers "nothing" and never raises.
"""

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

STAT_BYTES_MAX = 4096
"""More than any line of /proc/PID/stat: some 52 numbers and a name of at most 64 characters."""
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
ENVIRON_BYTES_MAX = 4 << 20
"""More than an environment can hold under the default stack limit (2 MiB for arguments and environment together)."""


class Stat(NamedTuple):
    """One line of /proc/PID/stat (man 5 proc): `started` is field 22, in clock ticks since boot."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    started: int

    @property
    def dead(self) -> bool:
        """A zombie holds nothing but its number: it waits for its parent to ask."""
        return self.state in "ZX"


def read(path: str, bytes_max: int) -> bytes:
    """The start of a small file of /proc; empty if it is gone or not ours to read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(fd, bytes_max)
    except OSError:
        return b""
    finally:
        os.close(fd)


def stat(pid: int) -> Stat | None:
    line = read(f"/proc/{pid}/stat", STAT_BYTES_MAX)
    # The name, in parentheses, may itself hold spaces and parentheses: count from the last one.
    fields = line[line.rfind(b")") + 2 :].split()
    if len(fields) < 20:
        return None
    return Stat(pid, fields[0].decode("ascii"), int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def process_start_ticks(pid: int) -> int:
    """When the process started, in clock ticks since boot: with the pid it names a process for good. 0: there is none."""
    found = stat(pid)
    return found.started if found else 0


def ticks_now() -> int:
    """The present, in the unit and from the origin of `process_start_ticks`: two that are equal date what was started between."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) * TICKS_PER_S // 1_000_000_000


def pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdecimal())


def table() -> dict[int, Stat]:
    """Every process of this pid namespace. Costs some 7 µs a process: not for a hot path."""
    return {pid: found for pid in pids() if (found := stat(pid))}


def environ(pid: int) -> list[bytes]:
    """The environment the process was started with, as NAME=VALUE items; empty if it may not be read."""
    return read(f"/proc/{pid}/environ", ENVIRON_BYTES_MAX).split(b"\0")


def descendants(roots: set[int], known: dict[int, Stat]) -> set[int]:
    """`roots` and everything below them in `known`."""
    children: dict[int, list[int]] = {}
    for found in known.values():
        children.setdefault(found.parent, []).append(found.pid)
    family, open_ends = set(roots), list(roots)
    while open_ends:
        for child in children.get(open_ends.pop(), ()):
            if child not in family:
                family.add(child)
                open_ends.append(child)
    return family
