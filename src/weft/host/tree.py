"""The sweep: after an engine died, whatever still runs of its run is killed before any step may start again.

- A process belongs to the run by its mark, by WEFT_RUN in the environment it was started with, by being a process that the
  journal knows (pid and start time), or by descent from one of these.
- Never touched: this process, its ancestors, and its session (a step always leads a session of its own).
"""

import os
import select
import signal
import time
from collections.abc import Iterable

from weft.host import marks, procfs
from weft.host.census import send
from weft.host.procfs import Stat
from weft.model.errors import MachineError

SWEEP_S_MAX = 10.0
"""SIGKILL takes effect in milliseconds; what is not dead by then hangs in the kernel (a dead network disk) or is not ours."""
LOOK_S_MAX = 0.1
"""How long one round waits for the killed before it looks again."""
PIDS_SHOWN_MAX = 10


def sweep(run: str, known: Iterable[tuple[int, int]] = ()) -> int:
    """Kill all processes of this run, and wait until they are dead; returns how many there were.

    `known`: (pid, start in ticks since boot) of attempts that the journal has as running. Raises MachineError if some survive.
    """
    family = dict(known)
    killed: set[int] = set()
    end = time.monotonic() + SWEEP_S_MAX
    while left := _remains(run, family):
        if time.monotonic() > end:
            shown = ", ".join(map(str, sorted(left)[:PIDS_SHOWN_MAX]))
            raise MachineError(f"{len(left)} processes of run `{run}` cannot be killed: {shown}; end them, then resume")
        killed |= left.keys()
        family |= {pid: member.started for pid, member in left.items()}
        _kill(left)
    return len(killed)


def _remains(run: str, family: dict[int, int]) -> dict[int, Stat]:
    table = procfs.table()
    prefix, variable = marks.run_prefix(run), f"WEFT_RUN={run}".encode()
    roots = {
        pid
        for pid, found in table.items()
        if family.get(pid) == found.started or marks.has_prefix(marks.mark_of(pid), prefix) or variable in procfs.environ(pid)
    }
    spared = _ancestors(table) | {pid for pid, found in table.items() if found.session == os.getsid(0)}
    return {pid: table[pid] for pid in procfs.descendants(roots - spared, table) - spared if not table[pid].dead}


def _ancestors(table: dict[int, Stat]) -> set[int]:
    """This process and all above it."""
    found, pid = set(), os.getpid()
    while pid in table and pid not in found:
        found.add(pid)
        pid = table[pid].parent
    return found


def _kill(members: dict[int, Stat]) -> None:
    """SIGKILL to each; returns when they are dead, or soon."""
    poll, opened = select.poll(), []
    try:
        for pid, member in members.items():
            send(signal.SIGKILL, member)
            try:
                opened.append(os.pidfd_open(pid))
            except OSError:  # It is dead already, or no descriptor is free: the next look tells.
                continue
            poll.register(opened[-1], select.POLLIN)
        end = time.monotonic() + LOOK_S_MAX
        waiting = len(opened)
        while waiting and (rest_s := end - time.monotonic()) > 0:
            for pidfd, _ in poll.poll(rest_s * 1000):
                poll.unregister(pidfd)
                waiting -= 1
    finally:
        for pidfd in opened:
            os.close(pidfd)
