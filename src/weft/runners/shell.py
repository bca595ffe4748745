"""`run`: a script for a shell, or a program with its arguments.

- Output goes to files only, whatever its size; no pipe, no thread, no descriptor of ours for it.
- The happy path is a handful of system calls: the engine's share of a step is a fraction of what the process itself costs.
- A shortage of processes or descriptors puts a start off until an attempt ends; it never fails a step while others run.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec

from weft.host.bounds import UNBOUNDED, Bounded, Bounds, Killings
from weft.host.cgroups import Groups
from weft.host.children import Children
from weft.host.marks import new_mark
from weft.host.outcome import failure, tail
from weft.host.process import SHORTAGES, Exit, ProcessTree, Streams, children_max, spawn
from weft.host.slots import Slot, Slots
from weft.host.usage import reported
from weft.model.output import ErrorRecord
from weft.ports import Ended, Job, JobKey, Payload, Report, Spawned
from weft.runners.launch import BASH, SH, Refused, arguments, environment, find_program, start_failure

PROGRAMS_MAX = 1000
"""Programs whose place is remembered: more than a workflow names, less than a MiB."""


class ShellRunner:
    """Runs Shell and Argv actions.

    `base_env` is the environment of every step before its own is added. `folder` is for files of the runner's own, on the
    file system of the logs. `say` is told, once, what a person should know about this machine. `groups` bounds attempts that ask
    for memory or processors.
    """

    def __init__(
        self,
        base_env: Mapping[str, str],
        folder: Path,
        say: Callable[[str], None] | None = None,
        groups: Callable[[], Groups] = Groups,
    ) -> None:
        self.wrap: Callable[[Job, str, list[str]], tuple[str, list[str]]] | None = None
        """Makes of a program and its arguments those of another that runs it."""
        self._base_env = dict(base_env)
        self._no_input = str(folder / "slots" / "no-input.json")
        self._no_input_exists = False
        self._say = say or (lambda text: None)
        self._children = Children()
        self._slots = Slots(folder, "shell")
        self._alive: dict[JobKey, ProcessTree] = {}
        self._put_off: deque[tuple[Job, Report]] = deque()
        self._alive_max = children_max()
        self._programs: dict[tuple[str, str, str], str] = {}
        self._bash_missing = False
        self._new_groups = groups
        self._groups: Groups | None = None
        self._killings = Killings()
        self._emptied: asyncio.Event | None = None

    def start(self, job: Job, report: Report) -> None:
        if len(self._alive) >= self._alive_max:
            self._put_off.append((job, report))
        else:
            self._begin(job, report)

    def stop(self, key: JobKey, grace_s: float) -> None:
        if tree := self._alive.get(key):
            tree.stop(grace_s)
            return
        for waiting in self._put_off:
            if waiting[0].key == key:
                self._put_off.remove(waiting)
                error = ErrorRecord(kind="cancelled", message="it was stopped before it started")
                _later(waiting[1], Ended(key=key, outcome="cancelled", error=error))
                return

    async def close(self) -> None:
        for job, _ in list(self._put_off):
            self.stop(job.key, 0)
        for tree in self._alive.values():
            tree.stop(0)
        if self._alive:
            self._emptied = asyncio.Event()
            await self._emptied.wait()
        self._slots.close()
        self._children.close()
        if self._groups:
            self._groups.close()

    def _begin(self, job: Job, report: Report) -> None:
        slot = None
        bounded = self._bounded(job)
        try:
            slot = self._slots.take()
            pid, started, mark = self._launch(job, slot, bounded)
        except Refused as refused:
            error = refused.record
        except OSError as failed:
            if failed.errno in SHORTAGES and self._alive:
                self._put_off.append((job, report))
                error = None
            else:
                error = start_failure(failed, job)
        except ValueError as failed:  # text that UTF-8 cannot carry
            error = ErrorRecord(kind="input", message=f"the inputs cannot be passed on: {failed}")
        else:
            self._slots.lend(slot, job)
            gone = partial(self._gone, job, report, slot, bounded)
            self._alive[job.key] = ProcessTree(pid, started, mark, self._children, gone)
            _later(report, Spawned(key=job.key, pid=pid, started=started))
            return
        if bounded:
            bounded.close()
        if slot:
            self._slots.give_back(slot)
        if error:
            _later(report, Ended(key=job.key, outcome="failed", error=error))

    def _bounded(self, job: Job) -> Bounded | None:
        bounds = Bounds(job.mem_bytes, job.cpu)
        if bounds == UNBOUNDED:
            return None
        if self._groups is None:
            self._groups = self._new_groups()
        return Bounded(bounds, self._groups)

    def _launch(self, job: Job, slot: Slot, bounded: Bounded | None) -> tuple[int, int, int]:
        """Spawn the process: its pid, its start in ticks, its mark. Raises Refused, OSError, ValueError."""
        stdin = slot.input if job.inputs else self._no_input
        if job.inputs:
            _write(stdin, msgspec.json.encode(job.inputs))
        elif not self._no_input_exists:
            _write(stdin, b"{}")
            self._no_input_exists = True
        paths = {"WEFT_DIR": slot.scratch, "WEFT_INPUT": stdin, "WEFT_OUTPUT": slot.output, "WEFT_USAGE": slot.usage}
        env = environment(job, self._base_env, paths)
        argv, script = arguments(job, slot.script)
        if script:
            _write(slot.script, script.encode())
        program, argv = self._located(argv, env, job.cwd)
        if self.wrap:
            program, argv = self.wrap(job, program, argv)
        if bounded:
            program, argv = bounded.command(program, argv)
        keep = [(fd, fd) for fd in job.leases]
        mark = new_mark(job.run)
        cwd = None if job.cwd == os.getcwd() else job.cwd
        try:
            return *spawn(program, argv, env, Streams(stdin, slot.stdout, slot.stderr), mark, cwd, keep), mark
        except FileNotFoundError:  # What was there a moment ago is not: look again the next time.
            self._programs.clear()
            self._no_input_exists = False
            raise

    def _located(self, argv: list[str], env: Mapping[str, str], cwd: str) -> tuple[str, list[str]]:
        """The program's file, and `argv`: with `sh` in it for a bash that is missing."""
        if self._bash_missing and argv[: len(BASH) - 1] == list(BASH[:-1]):
            argv = [*SH[:-1], *argv[len(BASH) - 1 :]]
        key = (argv[0], env.get("PATH", ""), cwd)
        if (found := self._programs.get(key)) is None:
            try:
                found = find_program(argv[0], env, cwd)
            except Refused:
                if self._bash_missing or argv[: len(BASH) - 1] != list(BASH[:-1]):
                    raise
                self._bash_missing = True
                self._say("bash is not installed: scripts run in `sh -eu`, which has no pipefail")
                return self._located(argv, env, cwd)
            if len(self._programs) >= PROGRAMS_MAX:
                self._programs.clear()
            self._programs[key] = found
        return found, argv

    def _gone(self, job: Job, report: Report, slot: Slot, bounded: Bounded | None, end: Exit) -> None:
        del self._alive[job.key]
        if bounded:  # what the kernel counted for the whole tree, rather than what its parents waited for
            end = end._replace(cpu_s=bounded.cpu_s() or end.cpu_s, rss_bytes=bounded.peak_bytes() or end.rss_bytes)
        succeeded = end.code == 0 and not end.stopped
        try:
            output = self._slots.settle(slot, job, succeeded)
        except OSError as failed:
            error = ErrorRecord(kind="error", message=f"its output could not be kept: {failed}")
            ended = Ended(key=job.key, outcome="failed", error=error)
        else:
            ended = _success(job, slot, end, output) if succeeded else self._failed(_failure(job, end), bounded)
        if bounded:
            bounded.close()
        ended = reported(ended, slot.usage)
        self._slots.give_back(slot)
        while self._put_off and len(self._alive) < self._alive_max:
            waiting = len(self._put_off)
            self._begin(*self._put_off.popleft())
            if len(self._put_off) == waiting:
                break  # Put off again: the shortage lasts.
        if self._emptied and not self._alive:
            self._emptied.set()
        report(ended)

    def _failed(self, ended: Ended, bounded: Bounded | None) -> Ended:
        """The same end, told as one of memory if that was the cause."""
        if ended.outcome != "failed" or ended.error is None:
            return ended
        error = bounded.verdict(ended.error, ended.rss_bytes) if bounded else ended.error
        if error is ended.error:
            error = self._killings.verdict(error)
        return msgspec.structs.replace(ended, error=error)


def _success(job: Job, slot: Slot, end: Exit, output: Path | None) -> Ended:
    payload: Payload = output or (Path(job.stdout) if slot.has_stdout else b"")
    return Ended(key=job.key, outcome="ok", payload=payload, form=job.form, cpu_s=end.cpu_s, rss_bytes=end.rss_bytes)


def _failure(job: Job, end: Exit) -> Ended:
    last = tail(job.stderr, job.stdout)
    error = ErrorRecord(kind="cancelled", message="it was stopped", tail=last) if end.stopped else failure(end.code, last)
    outcome: Literal["cancelled", "failed"] = "cancelled" if end.stopped else "failed"
    return Ended(key=job.key, outcome=outcome, error=error, cpu_s=end.cpu_s, rss_bytes=end.rss_bytes)


def _write(path: str, data: bytes) -> None:
    with open(path, "wb", opener=_private) as file:
        file.write(data)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _later(report: Report, message: Spawned | Ended) -> None:
    asyncio.get_running_loop().call_soon(report, message)
