"""Runners of steps that only wait: each attempt is a task on the engine's own loop, and costs no process."""

import asyncio
from functools import partial

from weft.model.output import ErrorRecord
from weft.ports import Ended, Job, JobKey, Report


class TaskRunner:
    """Runs each job as a task. What differs is `_do`, and perhaps `_error_of`."""

    def __init__(self) -> None:
        self._alive: dict[JobKey, asyncio.Task[Ended]] = {}

    async def _do(self, job: Job) -> Ended:
        """What an attempt comes to. What it raises is a failure."""
        raise NotImplementedError

    def _error_of(self, error: BaseException) -> ErrorRecord:
        return error_of(error)

    def start(self, job: Job, report: Report) -> None:
        task = self._alive[job.key] = asyncio.get_running_loop().create_task(self._do(job))
        task.add_done_callback(partial(self._done, job.key, report))

    def stop(self, key: JobKey, grace_s: float) -> None:
        if task := self._alive.get(key):
            task.cancel()

    async def close(self) -> None:
        for task in self._alive.values():
            task.cancel()
        await asyncio.gather(*self._alive.values(), return_exceptions=True)
        await asyncio.sleep(0)  # the reports that are due are made before this returns

    def _done(self, key: JobKey, report: Report, task: asyncio.Task[Ended]) -> None:
        """Reports here and not at the end of the task: one that is cancelled before its first step never begins."""
        del self._alive[key]
        if task.cancelled():
            error = ErrorRecord(kind="cancelled", message="it was stopped")
            report(Ended(key=key, outcome="cancelled", error=error))
        elif failure := task.exception():
            report(Ended(key=key, outcome="failed", error=self._error_of(failure)))
        else:
            report(task.result())


def error_of(error: BaseException) -> ErrorRecord:
    """An exception as the error of an attempt. Names of its classes are those that `retry.when` knows."""
    names = " ".join(base.__name__ for base in type(error).__mro__ if base is not object)
    text = str(error) or type(error).__name__
    hint = "is the server up, and the address right?" if "ConnectError" in names.split() else ""
    return ErrorRecord(kind="error", message=text.partition("\n")[0][:500], exception=names, hint=hint)
