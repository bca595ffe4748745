"""Holding a child process to what it asked for: memory and processor time. And telling from its end that memory was the cause.

- Where a control group can be made, the attempt's whole tree runs in one: the kernel counts and bounds all of it together.
- Elsewhere memory is bounded for each process alone by RLIMIT_DATA, which since Linux 4.7 counts private writable memory. Not by
  RLIMIT_AS: that counts addresses, of which Go, Java, V8 and CUDA reserve far more than they use. Processor time is then not
  bounded, only counted.
- The child enters by itself, in a few lines of shell before its program, so that nothing of it runs outside. If it cannot enter
  its group, it is bounded as if there were none.
"""

import re
import shlex
from typing import Final, NamedTuple

from weft.host.cgroups import Group, Groups
from weft.model.output import ErrorRecord
from weft.model.units import format_size

SHELL: Final = "/bin/sh"
EXIT_KILLED: Final = 128 + 9
"""What a shell says when a command of its was killed."""
REFUSED: Final = re.compile(r"MemoryError|bad_alloc|cannot allocate memory|out of memory|memory exhausted", re.IGNORECASE)
"""How programs say that they got no memory. It is believed only of a step that RLIMIT_DATA bounds."""


class Bounds(NamedTuple):
    """What an attempt asked for. `cpu` in thousandths of a processor. None: nothing, so it is not bounded."""

    mem_bytes: int | None = None
    cpu: int | None = None


UNBOUNDED: Final = Bounds()


class Bounded:
    """The bounds of one child. `group`: the control group that holds it, if there is one."""

    def __init__(self, bounds: Bounds, groups: Groups) -> None:
        self.bounds = bounds
        self.group: Group | None = groups.make(bounds.mem_bytes, bounds.cpu)
        self._groups = groups
        self._kills = 0

    def renew(self) -> None:
        """What was killed so far is no affair of the attempt that begins now."""
        self._kills = self.group.kills() if self.group else 0

    @property
    def by_group(self) -> bool:
        """Whether the memory of the whole tree is bounded."""
        return self.group is not None and self.group.bounds_memory

    def command(self, program: str, argv: list[str]) -> tuple[str, list[str]]:
        """What to start instead of this program, so that it runs within the bounds."""
        alone = "false" if self.bounds.mem_bytes is None else f"ulimit -d {max(1, self.bounds.mem_bytes >> 10)}"
        lines = [f"echo 0 > {shlex.quote(door)} || {alone}" for door in (self.group.doors if self.group else ())]
        if self.bounds.mem_bytes is not None and not self.by_group:
            lines.append(alone)
        if not lines:
            return program, argv
        script = "; ".join([f"{{ {line}; }} 2>/dev/null" for line in lines] + ['exec "$@"'])
        return SHELL, [SHELL, "-c", script, "weft", program, *argv[1:]]

    def verdict(self, error: ErrorRecord, rss_bytes: int | None) -> ErrorRecord:
        """The error of an attempt that failed, which is of the kind `out_of_memory` if that is why."""
        if self.bounds.mem_bytes is None or error.kind not in ("exit", "killed", "error", "out_of_memory"):
            return error
        if error.kind == "out_of_memory":  # a Python step was refused memory, and said so
            return out_of_memory(error, self.bounds.mem_bytes, rss_bytes)
        if self.group is not None and self.by_group:
            out = self.group.kills() > self._kills
        else:
            out = REFUSED.search(error.tail) is not None
        return out_of_memory(error, self.bounds.mem_bytes, self.peak_bytes() or rss_bytes) if out else error

    def peak_bytes(self) -> int | None:
        """The most memory that the whole tree had, where it was counted."""
        return self.group.peak_bytes() if self.group else None

    def cpu_s(self) -> float | None:
        """The processor time of the whole tree, where it was counted."""
        return self.group.cpu_s() if self.group else None

    def close(self) -> None:
        """The tree is dead. Idempotent."""
        if self.group:
            self._groups.give_back(self.group)
            self.group = None


class Killings:
    """Notices that the kernel killed something because the whole machine, or the group of the engine, had no memory left."""

    def __init__(self) -> None:
        self._seen = _kernel_kills()

    def verdict(self, error: ErrorRecord) -> ErrorRecord:
        """The error of an attempt that nobody bounded and that was killed, which may be why."""
        if error.signal != "SIGKILL" and error.exit_code != EXIT_KILLED:
            return error
        before, self._seen = self._seen, _kernel_kills()
        if self._seen == before:
            return error
        return ErrorRecord(
            kind="out_of_memory",
            message=f"{error.message}: the kernel killed a process because there was no memory left",
            exit_code=error.exit_code,
            signal=error.signal,
            hint="let the step ask for what it needs: declare `resources: { mem: auto }`, and `mem: 2GiB` on the step",
            tail=error.tail,
        )


def _kernel_kills() -> int:
    from weft.host import procfs

    for line in procfs.read("/proc/vmstat", 64 << 10).splitlines():
        if line.startswith(b"oom_kill "):
            return int(line.split()[1])
    return 0


def out_of_memory(error: ErrorRecord, mem_bytes: int | None, reached_bytes: int | None) -> ErrorRecord:
    """The same failure, told as one of memory: what was asked for, and what was reached."""
    asked = f"it asked for {format_size(mem_bytes)} of `mem`" if mem_bytes is not None else "it asked for no `mem`"
    reached = f" and reached {format_size(reached_bytes)}" if reached_bytes else ""
    return ErrorRecord(
        kind="out_of_memory",
        message=f"{asked}{reached} ({error.message})",
        exit_code=error.exit_code,
        signal=error.signal,
        exception=error.exception,
        hint="ask for more `mem`, or let the step use less" if mem_bytes is not None else error.hint,
        tail=error.tail,
    )
