"""For tests of and with runners: one without processes whose attempts end when and how a test says, and jobs for real ones."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from weft.model.output import ErrorRecord, OutputForm
from weft.model.workflow import Action, Value
from weft.ports import Ended, Job, JobKey, Report, Spawned

T = TypeVar("T", Spawned, Ended)
Script = Callable[[Job], Ended | None]
"""What becomes of a job: its end, or None for one that runs until `finish` or `stop`."""


def success(job: Job) -> Ended | None:
    """The script in which every attempt succeeds at once with null."""
    return Ended(key=job.key, outcome="ok", payload=b"null")


class FakeRunner:
    """Keeps the rules of the port, runs nothing. `started` holds all jobs in order, `alive` those that have not ended.

    A `stubborn` runner ignores `stop` until `finish` (or `close`) ends the attempt: its tree refuses to die.
    """

    def __init__(self, script: Script = success, *, stubborn: bool = False) -> None:
        self.started: list[Job] = []
        self.stopped: list[JobKey] = []
        self.alive: dict[JobKey, Report] = {}
        self._script = script
        self._stubborn = stubborn

    def start(self, job: Job, report: Report) -> None:
        self.started.append(job)
        self.alive[job.key] = report
        loop = asyncio.get_running_loop()
        loop.call_soon(report, Spawned(key=job.key, pid=len(self.started)))
        if end := self._script(job):
            loop.call_soon(self.finish, end)

    def finish(self, end: Ended) -> None:
        """End a living attempt; one that has ended is left alone."""
        if report := self.alive.pop(end.key, None):
            report(end)

    def stop(self, key: JobKey, grace_s: float) -> None:
        if key in self.alive and key not in self.stopped:
            self.stopped.append(key)
            if not self._stubborn:
                asyncio.get_running_loop().call_soon(self.finish, _cancelled(key))

    async def close(self) -> None:
        for key in list(self.alive):
            self.finish(_cancelled(key))


def _cancelled(key: JobKey) -> Ended:
    return Ended(key=key, outcome="cancelled", error=ErrorRecord(kind="cancelled", message="it was stopped"))


class Reports:
    """A report callback that remembers what was reported and lets a test wait for it, on the running loop."""

    def __init__(self) -> None:
        self.all: list[Spawned | Ended] = []
        self._changed = asyncio.Event()

    def __call__(self, message: Spawned | Ended) -> None:
        self.all.append(message)
        self._changed.set()

    def of(self, key: JobKey) -> list[Spawned | Ended]:
        """What was reported of one attempt, in order."""
        return [message for message in self.all if message.key == key]

    async def ended(self, key: JobKey, within_s: float = 30) -> Ended:
        """The end of an attempt. Raises TimeoutError."""
        return await self._first(key, Ended, within_s)

    async def spawned(self, key: JobKey, within_s: float = 30) -> Spawned:
        """The process of an attempt. Raises TimeoutError."""
        return await self._first(key, Spawned, within_s)

    async def _first(self, key: JobKey, kind: type[T], within_s: float) -> T:
        async with asyncio.timeout(within_s):
            while True:
                for message in self.of(key):
                    if isinstance(message, kind):
                        return message
                self._changed.clear()
                await self._changed.wait()


def make_job(
    folder: Path,
    action: Action,
    step: str = "step",
    *,
    attempt: int = 1,
    inputs: dict[str, Value] | None = None,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    form: OutputForm = "text",
    secrets: tuple[str, ...] = (),
) -> Job:
    """A job of the run `test-run` whose files lie in `folder`."""
    return Job(
        run="test-run",
        step=step,
        attempt=attempt,
        action=action,
        inputs=inputs or {},
        env=env or {},
        form=form,
        stdout=str(folder / "logs" / f"{step}.{attempt}.out"),
        stderr=str(folder / "logs" / f"{step}.{attempt}.err"),
        scratch=str(folder / "work" / f"{step}.{attempt}"),
        cwd=str(cwd or Path.cwd()),
        secrets=secrets,
    )
