"""`sleep`: a timer of the loop and nothing else. Its data out is null."""

import asyncio

from weft.model.output import ErrorRecord
from weft.model.workflow import Sleep
from weft.ports import Ended, Job, JobKey, Report


class SleepRunner:
    """Runs Sleep actions; their seconds are already scaled."""

    def __init__(self) -> None:
        self._alive: dict[JobKey, tuple[asyncio.TimerHandle, Report]] = {}

    def start(self, job: Job, report: Report) -> None:
        assert isinstance(job.action, Sleep)
        timer = asyncio.get_running_loop().call_later(job.action.seconds, self._wake, job.key)
        self._alive[job.key] = timer, report

    def stop(self, key: JobKey, grace_s: float) -> None:
        if alive := self._alive.pop(key, None):
            timer, report = alive
            timer.cancel()
            error = ErrorRecord(kind="cancelled", message="it was stopped")
            asyncio.get_running_loop().call_soon(report, Ended(key=key, outcome="cancelled", error=error))

    async def close(self) -> None:
        for key in list(self._alive):
            self.stop(key, 0)
        await asyncio.sleep(0)  # The reports that are due are made before this returns.

    def _wake(self, key: JobKey) -> None:
        _, report = self._alive.pop(key)
        report(Ended(key=key, outcome="ok", payload=b"null", form="json"))
