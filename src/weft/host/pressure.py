"""How hard the machine works: pressure stall information where the kernel has it, else the load average; and free memory.

`some` of /proc/pressure/cpu counts the time in which at least one task had to wait for a processor, that of /proc/pressure/memory
the time in which one had to wait for memory (Documentation/accounting/psi.rst of the Linux kernel).
"""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

SCARCE: Final = 0.1
"""Below this share of memory available, pressure on it rises from 0 to 1: the kernel throws out what it will need again."""

_TOTAL: Final = re.compile(r"^some .*total=([0-9]+)", re.M)
_MEMORY: Final = re.compile(r"^(MemTotal|MemAvailable): +([0-9]+) kB", re.M)


class MachineGauge:
    """A `ports.Gauge` for this machine. What cannot be read counts as no pressure."""

    def __init__(self, cpus: int, *, proc: Path = Path("/proc"), clock: Callable[[], float] = time.monotonic) -> None:
        self._cpus = cpus
        self._proc = proc
        self._clock = clock
        self._last: dict[str, tuple[float, float]] = {}
        for kind in ("cpu", "memory"):
            self._stalled(kind)

    def read(self) -> tuple[float, float]:
        """Pressure on CPU and on memory since the last call, each between 0 and 1."""
        stalled = self._stalled("cpu")
        cpu = self._load() if stalled is None else stalled
        return cpu, max(self._stalled("memory") or 0.0, self._scarcity())

    def _stalled(self, kind: str) -> float | None:
        """Share of the time since the last call in which somebody had to wait; None: the kernel does not tell."""
        found = _TOTAL.search(self._text(f"pressure/{kind}"))
        if found is None:
            return None
        now, total_s = self._clock(), int(found[1]) / 1e6
        before, total_before_s = self._last.get(kind, (now, total_s))
        self._last[kind] = (now, total_s)
        return _share((total_s - total_before_s) / (now - before)) if now > before else 0.0

    def _load(self) -> float:
        """By how much there are more tasks that want to run than processors, as a share of these."""
        first = self._text("loadavg").partition(" ")[0]
        try:
            return _share(float(first) / self._cpus - 1)
        except ValueError:
            return 0.0

    def _scarcity(self) -> float:
        kib = {name: int(size) for name, size in _MEMORY.findall(self._text("meminfo"))}
        total = kib.get("MemTotal", 0)
        return _share(1 - kib.get("MemAvailable", total) / total / SCARCE) if total else 0.0

    def _text(self, name: str) -> str:
        try:
            return (self._proc / name).read_text(encoding="ascii")
        except (OSError, ValueError):
            return ""


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))
