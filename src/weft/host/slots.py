"""Slots: the files that an attempt writes its stdout and stderr to, used again as long as nothing was written.

- Making two files costs as much as starting a small program, and most steps are silent on at least one of them. So an attempt
  writes to the files of a slot, and only what holds something gets the name of the attempt's log, by rename.
- That happens when the attempt ends, and after half a second for those that take longer: so a log can be followed.
"""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from weft.ports import Job

PUBLISH_S = 0.5
"""How long a line may wait until somebody who follows the log can see it."""


class Slot:
    """`stdout` and `stderr` are the paths to open for writing, creating them."""

    def __init__(self, stem: str) -> None:
        self.stdout = f"{stem}.out"
        self.stderr = f"{stem}.err"
        self._hidden: list[tuple[str, Path]] = []

    def lend(self, job: Job) -> None:
        self._hidden = [(self.stdout, job.stdout), (self.stderr, job.stderr)]

    def publish(self) -> bool:
        """Give what was written the name of the job's log; returns whether anything has been. Raises OSError."""
        for entry in list(self._hidden):
            here, there = entry
            try:
                if not os.stat(here).st_size:
                    continue
            except FileNotFoundError:  # The process has not begun.
                continue
            try:
                os.rename(here, there)
            except FileNotFoundError:  # The folder of an id with a slash.
                there.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.rename(here, there)
            self._hidden.remove(entry)
        return len(self._hidden) < 2

    def is_public(self, path: Path) -> bool:
        return all(there != path for _, there in self._hidden)


class Slots:
    """The slots of one runner, in a `folder` on the file system of the logs. Never more than attempts were alive at once."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._count = 0
        self._spare: list[Slot] = []
        self._lent: set[Slot] = set()
        self._timer: asyncio.TimerHandle | None = None

    def take(self, job: Job) -> Slot:
        """A slot for this job. Raises OSError if the folder cannot be made."""
        slot = self._spare.pop() if self._spare else self.new()
        self.lend(slot, job)
        return slot

    def new(self) -> Slot:
        if not self._count:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._count += 1
        return Slot(str(self._folder / f"{self._name}.{self._count}"))

    def lend(self, slot: Slot, job: Job) -> None:
        slot.lend(job)
        self._lent.add(slot)
        if not self._timer:
            self._timer = asyncio.get_running_loop().call_later(PUBLISH_S, self._publish)

    def give_back(self, slot: Slot, spare: bool = True) -> None:
        """The job is over and its logs are published. `spare`: whether another may have the slot."""
        self._lent.discard(slot)
        if spare:
            self._spare.append(slot)

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()
        for slot in self._spare:
            for path in (slot.stdout, slot.stderr):
                with suppress(OSError):
                    os.unlink(path)
        self._spare.clear()

    def _publish(self) -> None:
        for slot in self._lent:
            with suppress(OSError):  # Told when the attempt ends, if it lasts.
                slot.publish()
        self._timer = asyncio.get_running_loop().call_later(PUBLISH_S, self._publish) if self._lent else None
