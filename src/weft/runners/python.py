"""`python`: source text that defines `run`, or `module:function`; `uses`: a kind of step that another package brings.

What to call is data; an executor makes the call.
"""

import asyncio
from pathlib import Path
from typing import Final

import msgspec

from weft import guests
from weft.model.output import ErrorRecord
from weft.model.workflow import Plugin, Python, Value
from weft.ports import Ended, Executor, Job, JobKey, Report

FOLDER: Final = Path(guests.__file__).parent
PLUGIN: Final = FOLDER / "plugin.py"
OURS: Final = {f"weft.guests.{name}:run": str(FOLDER / f"{name}.py") for name in ("node_runtime", "ghccli")}
"""Targets that a worker finds by their path: the user's interpreter, in which it runs, need not have weft."""


class Request(msgspec.Struct, omit_defaults=True):
    """What weft.executors.worker understands: exactly one of `code`, `target` and `guest`, and the arguments."""

    inputs: dict[str, Value]
    code: str = ""
    target: str = ""
    plugin: tuple[str, str] = ("", "")
    """A package and the kind of step that it brings: the guest finds what is called."""
    guest: str = ""
    """Path of the module of weft.guests whose `run` is called."""
    beside: str = ""
    """Path of another such module, which that one has as `beside`."""


class PythonRunner:
    """Runs Python and Plugin actions on an executor, which it owns."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def start(self, job: Job, report: Report) -> None:
        try:
            request = msgspec.json.encode(self.request(job))
        except ValueError as error:  # text that UTF-8 cannot carry
            record = ErrorRecord(kind="input", message=f"the inputs cannot be passed on: {error}")
            ended = Ended(key=job.key, outcome="failed", error=record)
            asyncio.get_running_loop().call_soon(report, ended)
        else:
            self._executor.start(job, request, report)

    def request(self, job: Job) -> Request:
        """What the worker is asked to call."""
        if isinstance(job.action, Plugin):
            return Request(job.inputs, plugin=(job.action.package, job.action.name), guest=str(PLUGIN))
        assert isinstance(job.action, Python)
        if guest := OURS.get(job.action.target):
            return Request(job.inputs, guest=guest)
        return Request(job.inputs, job.action.code, job.action.target)

    def stop(self, key: JobKey, grace_s: float) -> None:
        self._executor.stop(key, grace_s)

    async def close(self) -> None:
        await self._executor.close()
