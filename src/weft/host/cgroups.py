"""Control groups: what bounds this process, and groups of our own for attempts that ask for memory or processor time.

- Both versions are read: one tree for each controller (v1), or one for all (v2). `root` is `/`, or a folder that stands for it.
- A group of ours is a folder below the group of this process. It can be made where that folder may be written: as root, in a
  container that was given its group, or in a group that was delegated to the user.
- The name of a group says whose it is, so that what a killed engine left is removed by the next one.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from weft.host import procfs

UNBOUNDED_BYTES: Final = 1 << 60
"""v1 says "no limit" by the largest number of pages; nobody has an EiB."""
PERIOD_US: Final = 100_000
"""The kernel's own default for the period in which a quota of processor time is counted."""
QUOTA_US_MIN: Final = 1_000
"""The kernel refuses less."""
PREFIX: Final = "weft-"


class Place(NamedTuple):
    """Where the group of this process lies: its `folder`, and the `top` of the tree as far as it can be seen from here."""

    version: int
    folder: Path
    top: Path

    def up(self) -> Iterator[Path]:
        """The folder and those above it: each bounds all below."""
        yield self.folder
        yield from (above for above in self.folder.parents if above.is_relative_to(self.top))


def place_of(controller: str, root: Path = Path("/")) -> Place | None:
    """The group of this process in the tree of a controller; None if there is no such tree."""
    paths = dict(_own_groups(root))
    for line in _lines(root / "proc/self/mountinfo"):
        left, _, right = line.partition(" - ")
        mount, kind = left.split(), right.split()
        if len(mount) < 5 or len(kind) < 3:
            continue
        if kind[0] == "cgroup" and controller in kind[2].split(","):
            found = _place(1, root, mount, paths.get(controller, "/"))
        elif kind[0] == "cgroup2":
            found = _place(2, root, mount, paths.get("", "/"))
            if controller not in _read(found.folder / "cgroup.controllers").split() and found.folder != found.top:
                continue
            if controller != "cpuset" and controller not in _read(found.top / "cgroup.controllers").split():
                continue
        else:
            continue
        if found.folder.is_dir():
            return found
    return None


def _own_groups(root: Path) -> Iterator[tuple[str, str]]:
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _place(version: int, root: Path, mount: list[str], path: str) -> Place:
    """The folder of a group, whose path is told from the root of its tree, of which only a part may be mounted."""
    shown, top = mount[3], root / mount[4].lstrip("/")
    inner = path.removeprefix(shown) if path.startswith(shown) else ""
    if ".." in inner:
        inner = ""
    return Place(version, top / inner.lstrip("/"), top)


# ---- what bounds this process ----


def cpu_quota(root: Path = Path("/")) -> int | None:
    """Thousandths of a processor that this process may use; None: all that it can run on."""
    place = place_of("cpu", root)
    found = [quota for folder in place.up() if (quota := _quota(place.version, folder))] if place else []
    return min(found, default=None)


def _quota(version: int, folder: Path) -> int | None:
    if version == 2:
        words = _read(folder / "cpu.max").split()
    else:
        words = [*_read(folder / "cpu.cfs_quota_us").split(), *_read(folder / "cpu.cfs_period_us").split()]
    if len(words) != 2 or not words[0].isdecimal() or not words[1].isdecimal() or words[1] == "0":
        return None  # `max`, or -1, or no such file
    return max(1, int(words[0]) * 1000 // int(words[1]))


def memory_bound(root: Path = Path("/")) -> int | None:
    """Bytes that this process and its children may use together; None: no limit."""
    place = place_of("memory", root)
    if place is None:
        return None
    name = "memory.max" if place.version == 2 else "memory.limit_in_bytes"
    texts = [_read(folder / name).strip() for folder in place.up()]
    return min((int(text) for text in texts if text.isdecimal() and int(text) < UNBOUNDED_BYTES), default=None)


# ---- groups of our own ----


class Group:
    """The group of one attempt. `doors`: files to which a process writes 0 to enter."""

    def __init__(self, memory: tuple[int, Path] | None, cpu: tuple[int, Path] | None) -> None:
        self._memory = memory
        self._folders = tuple(dict.fromkeys(path for _, path in filter(None, (memory, cpu))))
        self._cpu_stat = next((path / "cpu.stat" for version, path in filter(None, (cpu, memory)) if version == 2), None)
        self.doors = tuple(str(folder / "cgroup.procs") for folder in self._folders)

    @property
    def bounds_memory(self) -> bool:
        return self._memory is not None

    def peak_bytes(self) -> int | None:
        """The most memory that all processes of the group had together, the files included that the kernel keeps for them."""
        if self._memory is None:
            return None
        version, folder = self._memory
        text = _read(folder / ("memory.peak" if version == 2 else "memory.max_usage_in_bytes")).strip()
        return int(text) if text.isdecimal() else None

    def cpu_s(self) -> float | None:
        """Processor time of all processes that were ever in the group, where the kernel counts it."""
        if self._cpu_stat is None:
            return None
        used = _count(self._cpu_stat, "usage_usec")
        return used / 1e6 if used else None

    def kills(self) -> int:
        """How many processes of the group the kernel killed because it was at its limit."""
        if self._memory is None:
            return 0
        version, folder = self._memory
        return _count(folder / ("memory.events" if version == 2 else "memory.oom_control"), "oom_kill")

    def remove(self) -> bool:
        """Whether it is gone. It cannot be removed while a process is in it."""
        for folder in self._folders:
            with suppress(OSError):
                folder.rmdir()
        return not any(folder.exists() for folder in self._folders)


class Groups:
    """Makes groups, for one engine. `bounds_memory`, `bounds_cpu`: whether this machine lets it."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._memory = _writable("memory", root)
        self._cpu = _writable("cpu", root)
        self._count = 0
        self._old: list[Group] = []
        self._mine = f"{PREFIX}{os.getpid()}-{procfs.process_start_ticks(os.getpid())}-"
        for place in filter(None, (self._memory, self._cpu)):
            _remove_orphans(place.folder)

    @property
    def bounds_memory(self) -> bool:
        return self._memory is not None

    @property
    def bounds_cpu(self) -> bool:
        return self._cpu is not None

    def make(self, mem_bytes: int | None, cpu: int | None) -> Group | None:
        """A group with these limits (`cpu` in thousandths of a processor), or with those that can be set; None if none can."""
        self._count += 1
        memory = self._make(self._memory, _memory_files(mem_bytes, self._memory)) if mem_bytes is not None else None
        quota = self._make(self._cpu, _cpu_files(cpu, self._cpu)) if cpu is not None else None
        return Group(memory, quota) if memory or quota else None

    def _make(self, place: Place | None, files: list[tuple[str, str]]) -> tuple[int, Path] | None:
        """The first file must take its value; where the others are missing, the kernel is older."""
        if place is None:
            return None
        folder = place.folder / f"{self._mine}{self._count}"
        try:
            folder.mkdir(exist_ok=True)
            (folder / files[0][0]).write_text(files[0][1])
        except OSError:
            with suppress(OSError):
                folder.rmdir()
            return None
        for name, value in files[1:]:
            with suppress(OSError):
                (folder / name).write_text(value)
        return place.version, folder

    def give_back(self, group: Group) -> None:
        """No process is in it any more (or only one that is dying: it is then removed with a later one)."""
        self._old = [old for old in (*self._old, group) if not old.remove()]

    def close(self) -> None:
        for group in self._old:
            group.remove()


def _memory_files(mem_bytes: int | None, place: Place | None) -> list[tuple[str, str]]:
    if place and place.version == 2:  # a step that may swap is slow and not bounded; its processes make sense only together
        return [("memory.max", str(mem_bytes)), ("memory.swap.max", "0"), ("memory.oom.group", "1")]
    return [("memory.limit_in_bytes", str(mem_bytes)), ("memory.memsw.limit_in_bytes", str(mem_bytes))]


def _cpu_files(cpu: int | None, place: Place | None) -> list[tuple[str, str]]:
    quota = max(QUOTA_US_MIN, (cpu or 0) * PERIOD_US // 1000)
    if place and place.version == 2:
        return [("cpu.max", f"{quota} {PERIOD_US}")]
    return [("cpu.cfs_quota_us", str(quota)), ("cpu.cfs_period_us", str(PERIOD_US))]


def _writable(controller: str, root: Path) -> Place | None:
    """The place in which groups can be made that have this controller."""
    place = place_of(controller, root)
    if place is None or not os.access(place.folder, os.W_OK):
        return None
    if place.version == 2 and controller not in _read(place.folder / "cgroup.subtree_control").split():
        try:
            (place.folder / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError:  # Processes are in it, or it is not ours to divide.
            return None
    return place


def _remove_orphans(folder: Path) -> None:
    """Groups of engines that are dead."""
    for path in folder.glob(f"{PREFIX}*-*-*"):
        pid, _, rest = path.name.removeprefix(PREFIX).partition("-")
        if pid.isdecimal() and str(procfs.process_start_ticks(int(pid))) != rest.partition("-")[0]:
            with suppress(OSError):
                path.rmdir()


def _count(path: Path, name: str) -> int:
    """A number of a file with a name and a number in each line; 0 if it is not there."""
    for line in _lines(path):
        words = line.split()
        if len(words) == 2 and words[0] == name and words[1].isdecimal():
            return int(words[1])
    return 0


def _lines(path: Path) -> list[str]:
    return _read(path).splitlines()


def _read(path: Path) -> str:
    """All of a small file of the kernel; empty if it is not there, or not ours to read."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
