"""The census: which processes carry which mark, kept up to date at about 1 µs for each process the machine creates.

- Pids are handed out in ascending order, and /proc/loadavg ends with the newest: what came since the last look is a short
  range of numbers. Each is asked for its mark once. So "nothing is left of this attempt" costs a few µs, however many run.
- A look proves something only when no pid was handed out during it; `survivors` looks again until that is so.
- Where a number may have been missed (pids may have wrapped around, the kernel's counter is not believable) /proc is listed.
"""

import os
import signal
import time

from weft.host import marks, procfs
from weft.host.procfs import Stat

SPAN_MAX = 2000
"""New pids to try one by one; beyond this, listing /proc is cheaper on an ordinary machine."""
LOOKS_MAX = 8
"""Looks for one answer. A process must fork and exit once within each look, a few µs, to stay unseen through all of them."""
PID_CREATION_S = 5e-6
"""No machine creates processes faster than this, so pids do not wrap around within pid_max times it."""
SNAPSHOT_AGE_S_MAX = 0.01
"""How old a process table may be for choosing whom to signal: many attempts that end together share one."""
COUNTER_LEAD_MAX = 1000
"""How far the kernel's newest pid may be ahead of a child that was just spawned, to be believed."""


class Census:
    """One for an engine. A mark is enrolled with its leader, the child that was spawned, before its processes can be counted."""

    def __init__(self) -> None:
        self._loadavg = os.open("/proc/loadavg", os.O_RDONLY | os.O_CLOEXEC)
        self._pid_max = int(procfs.read("/proc/sys/kernel/pid_max", 32) or 32768)
        self._carriers: dict[int, set[int]] = {}
        self._leaders: set[int] = set()
        self._seen = self._newest()
        self._seen_at = time.monotonic()
        self._counts: bool | None = None
        self._snapshot: dict[int, Stat] = {}
        self._snapshot_at = 0.0
        self.marks_hold = True
        """Whether children can be told by their mark. If not (a finite hard limit, a sandbox) only whole scans find them."""

    def enroll(self, mark: int, leader: int) -> None:
        self._carriers[mark] = set()
        self._leaders.add(leader)
        if self._counts is None:
            lead = (self._newest() - leader) % self._pid_max
            self._counts = lead < COUNTER_LEAD_MAX
            self.marks_hold = marks.mark_of(leader) == mark

    def forget(self, mark: int, leader: int) -> None:
        self._carriers.pop(mark, None)
        self._leaders.discard(leader)

    def survivors(self, mark: int) -> set[int]:
        """Living processes with this mark, other than its leader."""
        left = self._carriers[mark]
        checked = not left
        for _ in range(LOOKS_MAX if self._counts else 2):
            if not self._look() and checked:
                break  # No process was created between the last look and this one, and the check lies between them.
            left &= {pid for pid in left if marks.mark_of(pid) == mark and _lives(pid)}
            checked = True
        return left

    def family(self, mark: int, leader: int, kin: dict[int, int], fresh: bool = False) -> dict[int, Stat]:
        """All living processes of an attempt, by mark, by session or group of `leader` (0: none), or below one of those.

        `kin` (pid → start ticks) are members found before, whose other ties may be gone. A scan of the whole machine, which
        may be SNAPSHOT_AGE_S_MAX old unless it must be `fresh`.
        """
        known = self._table(0.0 if fresh else SNAPSHOT_AGE_S_MAX)
        roots = {
            pid
            for pid, found in known.items()
            if (leader and leader in (found.session, found.group)) or kin.get(pid) == found.started or marks.mark_of(pid) == mark
        }
        family = procfs.descendants(roots, known) - {os.getpid()}
        return {pid: known[pid] for pid in family if not known[pid].dead}

    def close(self) -> None:
        if self._loadavg >= 0:
            os.close(self._loadavg)
            self._loadavg = -1

    def _newest(self) -> int:
        return int(os.pread(self._loadavg, 128, 0).rpartition(b" ")[2])

    def _look(self) -> bool:
        """Ask every process created since the last look for its mark; returns whether there was any."""
        newest, now = self._newest(), time.monotonic()
        span = newest - self._seen
        sure = self._counts and now - self._seen_at < self._pid_max * PID_CREATION_S
        numbers = range(self._seen + 1, newest + 1) if sure and 0 <= span <= SPAN_MAX else procfs.pids()
        for pid in numbers:
            if pid not in self._leaders:
                carriers = self._carriers.get(marks.mark_of(pid))
                if carriers is not None and marks.is_process(pid):
                    carriers.add(pid)
        self._seen, self._seen_at = newest, now
        return not sure or span != 0

    def _table(self, age_s_max: float) -> dict[int, Stat]:
        now = time.monotonic()
        if now - self._snapshot_at > age_s_max:
            self._snapshot, self._snapshot_at = procfs.table(), now
        return self._snapshot


def _lives(pid: int) -> bool:
    found = procfs.stat(pid)
    return found is not None and not found.dead


def send(signum: int, member: Stat) -> None:
    """Signal exactly this process: never another that has been given its number since. What is gone or not ours is let be."""
    try:
        fd = os.pidfd_open(member.pid)
    except OSError:
        return  # gone; or no descriptor is free, and the next round tries again
    try:
        if procfs.process_start_ticks(member.pid) == member.started:
            signal.pidfd_send_signal(fd, signum)
    except (ProcessLookupError, PermissionError):
        pass
    finally:
        os.close(fd)
