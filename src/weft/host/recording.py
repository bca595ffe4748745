"""What each attempt of a run opened: who watches it, and what was seen when the run is over.

Shell steps are watched by strace, or, where that may not be used, by looking at their open files now and then; Python steps by
audit events of the interpreter. Attempts run as they always do.
"""

import itertools
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias

import msgspec

from weft.host import procfs, strace
from weft.host.strace import Opened
from weft.ports import Ended, Job, JobKey, Report, Runner, Spawned

Means: TypeAlias = Literal["strace", "audit events", "samples", "nothing"]

BLIND: Final[dict[Means, str]] = {
    "strace": "what daemons do for it, and listings of folders",
    "audit events": "files that programs it starts open, or C code by itself, and listings of folders",
    "samples": "files that are open for less than some milliseconds, renamed or removed",
    "nothing": "all of it",
}
"""What each of them cannot see."""
SAMPLE_S: Final = 0.004
"""How often open files are looked at: a look takes about half of that on a machine with some hundred processes."""


class Attempt(msgspec.Struct):
    """One attempt that was watched. `file`: what was noted. `started`: other programs that its Python code ran."""

    step: str
    means: Means
    file: Path
    cwd: str
    opened: set[Opened] = msgspec.field(default_factory=set)
    started: set[str] = msgspec.field(default_factory=set)


class Recorder:
    """Watches the attempts of one run. `by`: `auto` takes the best that there is. `folder` is for files of its own."""

    def __init__(self, folder: Path, by: Literal["auto", "strace", "samples"] = "auto") -> None:
        self._folder = folder
        self._numbers = itertools.count(1)
        self._strace = strace.find_strace() if by != "samples" else None
        self.attempts: dict[JobKey, Attempt] = {}
        self._sampler = None if self._strace else Sampler()

    @property
    def has_strace(self) -> bool:
        return self._strace is not None

    def wrap(self, job: Job, program: str, argv: list[str]) -> tuple[str, list[str]]:
        """The command that traces a command; the command itself if it is sampled."""
        if self._strace is None:
            self._attempt(job, "samples")
            return program, argv
        file = self._attempt(job, "strace").file
        return self._strace[0], [*self._strace, str(file), "--", program, *argv[1:]]

    def file(self, job: Job) -> str:
        """Where a worker shall note what a call opens."""
        return str(self._attempt(job, "audit events").file)

    def _attempt(self, job: Job, means: Means) -> Attempt:
        os.makedirs(self._folder, 0o700, exist_ok=True)
        attempt = Attempt(job.step, means, self._folder / f"{next(self._numbers)}", job.cwd)
        self.attempts[job.key] = attempt
        return attempt

    def sampled(self, runner: Runner) -> Runner:
        """The runner, with its processes being looked at if nothing better can be had."""
        return runner if self._sampler is None else Sampled(runner, self._sampler, self.attempts)

    def close(self) -> None:
        """The run is over: read what was noted."""
        if self._sampler:
            self._sampler.close()
        for attempt in self.attempts.values():
            if attempt.means == "strace":
                attempt.opened.update(strace.read_trace(attempt.file, attempt.cwd))
            elif attempt.means == "audit events":
                for how, text in _noted(attempt.file):
                    if how == "c":
                        attempt.started.add(text)
                    else:
                        attempt.opened.add(Opened(text, how == "w", how == "m"))
            with suppress(OSError):
                attempt.file.unlink()
        with suppress(OSError):
            self._folder.rmdir()
        written = {opened.path for attempt in self.attempts.values() for opened in attempt.opened if opened.writes}
        for attempt in self.attempts.values():  # who looks for a file that another makes, races with it; other misses say nothing
            attempt.opened = {opened for opened in attempt.opened if not opened.missed or opened.path in written}


def _noted(file: Path) -> Iterator[tuple[str, str]]:
    """The lines of a worker's notes; what the step itself may have written between them is left out."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            yield msgspec.json.decode(line, type=tuple[str, str])


# ---- looking now and then ----


class Sampler:
    """A thread that looks at the open files of process trees again and again. The last resort: it misses what is quick."""

    def __init__(self) -> None:
        self._trees: dict[int, set[Opened]] = {}
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def add(self, pid: int, into: set[Opened]) -> None:
        with self._lock:
            self._trees[pid] = into
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="weft-sampler", daemon=True)
            self._thread.start()

    def remove(self, pid: int) -> None:
        with self._lock:
            self._trees.pop(pid, None)

    def close(self) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(SAMPLE_S):
            with self._lock:
                trees = dict(self._trees)
            if trees:
                known = procfs.table()
                for pid, into in trees.items():
                    for member in procfs.descendants({pid}, known):
                        into.update(open_files(member))


def open_files(pid: int) -> Iterator[Opened]:
    """The files that a process has open now; none if it is gone or somebody else's."""
    folder = f"/proc/{pid}/fd"
    try:
        numbers = os.listdir(folder)
    except OSError:
        return
    for number in numbers:
        with suppress(OSError, ValueError):
            path = os.readlink(f"{folder}/{number}").removesuffix(" (deleted)")
            text = Path(f"/proc/{pid}/fdinfo/{number}").read_text()
            flags = int(next(line for line in text.splitlines() if line.startswith("flags:")).split()[1], 8)
            if path.startswith("/") and not flags & (os.O_DIRECTORY | os.O_PATH):
                if flags & os.O_ACCMODE != os.O_WRONLY:
                    yield Opened(path, False)
                if flags & os.O_ACCMODE != os.O_RDONLY:
                    yield Opened(path, True)


class Sampled:
    """A Runner whose processes are looked at while they live."""

    def __init__(self, runner: Runner, sampler: Sampler, attempts: defaultdict[JobKey, Attempt] | dict[JobKey, Attempt]) -> None:
        self._runner, self._sampler, self._attempts = runner, sampler, attempts
        self._pids: dict[JobKey, int] = {}

    def start(self, job: Job, report: Report) -> None:
        def heard(told: Spawned | Ended) -> None:
            if isinstance(told, Spawned):
                self._pids[told.key] = told.pid
                self._sampler.add(told.pid, self._attempts[told.key].opened)
            elif told.key in self._pids:
                self._sampler.remove(self._pids.pop(told.key))
            report(told)

        self._runner.start(job, heard)

    def stop(self, key: JobKey, grace_s: float) -> None:
        self._runner.stop(key, grace_s)

    async def close(self) -> None:
        await self._runner.close()
