"""Slots: the log files and the scratch folder that one attempt at a time uses, and the next again if nothing was written.

- Making two files and a folder costs as much as starting a small program, and most steps are silent on one stream or both. So
  an attempt writes to a slot, and only what holds something gets the attempt's own name, by rename.
- Logs are renamed when the attempt ends, and after half a second while it runs, so that they can be followed. A scratch folder
  is renamed when the attempt did not succeed, and emptied when it did.
"""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from weft.ports import Job

PUBLISH_S = 0.5
"""How long a line may wait until somebody who follows the log can see it."""


class Slot:
    """Paths. `stdout`, `stderr`: to open for writing, creating them. `scratch`: an empty folder. `input`, `script`: for what the
    process shall read. `output`: what it may write instead of its stdout. `usage`: what it may report of itself."""

    def __init__(self, stem: str) -> None:
        self.stdout = f"{stem}.out"
        self.stderr = f"{stem}.err"
        self.scratch = f"{stem}.dir"
        self.input = f"{stem}.input.json"
        self.script = f"{stem}.script"
        self.output = f"{stem}.output"
        self.usage = f"{stem}.usage"
        self._logs: dict[str, str] = {}
        """Where to put what is written, for those files in which nothing has been found yet."""

    def lend(self, job: Job) -> None:
        self._logs = {self.stdout: job.stdout, self.stderr: job.stderr}

    @property
    def wrote(self) -> bool:
        """Whether something was written and published: then the next process has to create its files."""
        return len(self._logs) < 2

    def publish(self) -> None:
        """Give what was written the name of the job's log. Raises OSError."""
        for here, there in list(self._logs.items()):
            if _size(here):
                _move(here, there)
                del self._logs[here]

    @property
    def has_stdout(self) -> bool:
        """Whether the log of stdout exists."""
        return self.stdout not in self._logs


class Slots:
    """The slots of one runner, below a `folder` on the file system of the logs; as many as attempts were alive at once."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder / "slots"
        self._name = name
        self._count = 0
        self._trashed = 0
        self._spare: list[Slot] = []
        self._lent: set[Slot] = set()
        self._spoilt: set[Slot] = set()
        self._timer: asyncio.TimerHandle | None = None

    def take(self) -> Slot:
        """A slot that nobody has. Raises OSError if it cannot be made."""
        if self._spare:
            return self._spare.pop()
        self._count += 1
        slot = Slot(str(self._folder / f"{self._name}.{self._count}"))
        os.makedirs(slot.scratch, 0o700, exist_ok=True)
        # An engine that was killed may have left a slot in use. Its logs are truncated when they are opened.
        if not _is_empty(slot.scratch):
            self._trash(slot.scratch)
            os.mkdir(slot.scratch, 0o700)
        for path in (slot.output, slot.usage):
            with suppress(FileNotFoundError):
                os.unlink(path)
        return slot

    def lend(self, slot: Slot, job: Job) -> None:
        """What is written to the slot from now on belongs to this job."""
        slot.lend(job)
        self._lent.add(slot)
        if not self._timer:
            self._timer = asyncio.get_running_loop().call_later(PUBLISH_S, self._publish)

    def settle(self, slot: Slot, job: Job, succeeded: bool) -> Path | None:
        """The job is over: publish its logs, clear the scratch folder. Returns the file of its `output`, if it wrote one.

        Raises OSError; the slot is then of no more use.
        """
        self._lent.discard(slot)
        self._spoilt.add(slot)
        slot.publish()
        if not _is_empty(slot.scratch):
            if succeeded:
                self._trash(slot.scratch)
            elif os.path.lexists(slot.scratch):
                _move(slot.scratch, job.scratch)
            os.mkdir(slot.scratch, 0o700)
        output = None
        if os.path.lexists(slot.output):
            if succeeded:
                output = Path(f"{job.stdout}.output")
                _move(slot.output, output)
            else:
                os.unlink(slot.output)
        self._spoilt.discard(slot)
        return output

    def give_back(self, slot: Slot) -> None:
        """No process uses the slot any more."""
        self._lent.discard(slot)
        if slot not in self._spoilt:
            self._spare.append(slot)

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        for slot in self._spare:
            for path in (slot.stdout, slot.stderr, slot.input, slot.script, slot.output, slot.usage):
                with suppress(OSError):
                    os.unlink(path)
            with suppress(OSError):
                os.rmdir(slot.scratch)
        self._spare.clear()

    def _trash(self, path: str) -> None:
        """Remove a folder without waiting: it may hold a million files."""
        import shutil

        self._trashed += 1
        away = f"{path}.{self._trashed}"
        with suppress(FileNotFoundError):  # The step has removed it.
            os.rename(path, away)
        asyncio.get_running_loop().run_in_executor(None, shutil.rmtree, away, True)

    def _publish(self) -> None:
        for slot in self._lent:
            with suppress(OSError):  # Told when the attempt ends, if it lasts.
                slot.publish()
        self._timer = asyncio.get_running_loop().call_later(PUBLISH_S, self._publish) if self._lent else None


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:  # The process has not begun.
        return 0


def _is_empty(folder: str) -> bool:
    try:
        return not os.listdir(folder)
    except OSError:  # The step removed it, made it unreadable, or made something else of it.
        return False


def _move(here: str, there: str | Path) -> None:
    try:
        os.rename(here, there)
    except FileNotFoundError:  # The folder of an id with a slash.
        os.makedirs(os.path.dirname(there), mode=0o700, exist_ok=True)
        os.rename(here, there)
