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

import msgspec

from weft.host.children import Children
from weft.host.marks import new_mark
from weft.host.outcome import failure, tail
from weft.host.process import SHORTAGES, Exit, ProcessTree, Streams, children_max, spawn
from weft.host.slots import Slot, Slots
from weft.model.output import ErrorRecord
from weft.ports import Ended, Job, JobKey, Payload, Report, Spawned
from weft.runners.launch import BASH, SH, Refused, arguments, environment, find_program, start_failure
from weft.runners.scratch import ScratchFolders

INPUT_SUFFIX, SCRIPT_SUFFIX, OUTPUT_SUFFIX = ".input.json", ".script", ".output"
"""Files beside the scratch folder (which belongs to the step alone) and, for the output, beside the log of stdout."""
PROGRAMS_MAX = 1000
"""Programs whose place is remembered: more than a workflow names, less than a MiB."""


class ShellRunner:
    """Runs Shell and Argv actions.

    `base_env` is the environment of every step before its own is added. `folder` is for files of the runner's own, on the
    file system of the logs. `say` is told, once, what a person should know about this machine.
    """

    def __init__(self, base_env: Mapping[str, str], folder: Path, say: Callable[[str], None] | None = None) -> None:
        self._base_env = dict(base_env)
        self._no_input = str(folder / "no-input.json")
        self._say = say or (lambda text: None)
        self._children = Children()
        self._slots = Slots(folder, "shell")
        self._scratch = ScratchFolders()
        self._alive: dict[JobKey, ProcessTree] = {}
        self._put_off: deque[tuple[Job, Report]] = deque()
        self._alive_max = children_max()
        self._programs: dict[tuple[str, str, str], str] = {}
        self._bash_missing = False
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
                error = ErrorRecord(kind="cancelled", message="stopped before it started")
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
        self._scratch.close()
        self._slots.close()
        self._children.close()

    def _begin(self, job: Job, report: Report) -> None:
        program = ""
        try:
            scratch = str(job.scratch)
            self._scratch.take(scratch)
            stdin = self._input_file(job, scratch)
            env = environment(
                job, self._base_env, {"WEFT_DIR": scratch, "WEFT_INPUT": stdin, "WEFT_OUTPUT": f"{job.stdout}{OUTPUT_SUFFIX}"}
            )
            argv, script = arguments(job, f"{scratch}{SCRIPT_SUFFIX}")
            if script:
                _write(f"{scratch}{SCRIPT_SUFFIX}", script.encode())
            program = argv[0]
            file, argv = self._located(argv, env, str(job.cwd))
            slot = self._slots.take(job)
            streams = Streams(stdin, slot.stdout, slot.stderr)
            mark = new_mark(job.run)
            pid, started = self._spawn(file, argv, env, streams, mark, str(job.cwd))
        except Refused as refused:
            _later(report, Ended(key=job.key, outcome="failed", error=refused.record))
        except OSError as error:
            if error.errno in SHORTAGES and self._alive:
                self._put_off.append((job, report))
            else:
                _later(report, Ended(key=job.key, outcome="failed", error=start_failure(error, job, program)))
        except ValueError as error:  # text that UTF-8 cannot carry
            record = ErrorRecord(kind="input", message=f"the inputs cannot be passed on: {error}")
            _later(report, Ended(key=job.key, outcome="failed", error=record))
        else:
            tree = ProcessTree(pid, started, mark, self._children, partial(self._gone, job, report, slot, bool(script)))
            self._alive[job.key] = tree
            _later(report, Spawned(key=job.key, pid=pid, started=started))

    def _spawn(
        self, program: str, argv: list[str], env: dict[str, str], streams: Streams, mark: int, cwd: str
    ) -> tuple[int, int]:
        other_folder = None if cwd == os.getcwd() else cwd
        try:
            return spawn(program, argv, env, streams, mark, other_folder)
        except FileNotFoundError:
            self._programs.clear()  # It was there a moment ago.
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

    def _input_file(self, job: Job, scratch: str) -> str:
        """The inputs as JSON, beside the scratch folder; one file for all that have none."""
        if job.inputs:
            _write(path := f"{scratch}{INPUT_SUFFIX}", msgspec.json.encode(job.inputs))
            return path
        if not os.path.exists(self._no_input):
            _write(self._no_input, b"{}")
        return self._no_input

    def _gone(self, job: Job, report: Report, slot: Slot, script: bool, end: Exit) -> None:
        del self._alive[job.key]
        ended = _ended(job, slot, end)
        self._slots.give_back(slot)
        if ended.outcome == "ok":
            self._scratch.give_back(str(job.scratch))
            for suffix in (INPUT_SUFFIX,) * bool(job.inputs) + (SCRIPT_SUFFIX,) * script:
                os.unlink(f"{job.scratch}{suffix}")
        while self._put_off and len(self._alive) < self._alive_max:
            waiting = len(self._put_off)
            self._begin(*self._put_off.popleft())
            if len(self._put_off) == waiting:
                break  # Put off again: the shortage lasts.
        if self._emptied and not self._alive:
            self._emptied.set()
        report(ended)


def _ended(job: Job, slot: Slot, end: Exit) -> Ended:
    slot.publish()
    if end.stopped:
        error = ErrorRecord(kind="cancelled", message="it was stopped", tail=tail(job.stderr, job.stdout))
        return Ended(key=job.key, outcome="cancelled", error=error, cpu_s=end.cpu_s, rss_bytes=end.rss_bytes)
    if end.code:
        error = failure(end.code, tail(job.stderr, job.stdout))
        return Ended(key=job.key, outcome="failed", error=error, cpu_s=end.cpu_s, rss_bytes=end.rss_bytes)
    written = f"{job.stdout}{OUTPUT_SUFFIX}"
    payload: Payload = b""
    if os.path.exists(written):
        payload = Path(written)
    elif slot.is_public(job.stdout):
        payload = job.stdout
    return Ended(key=job.key, outcome="ok", payload=payload, form=job.form, cpu_s=end.cpu_s, rss_bytes=end.rss_bytes)


def _write(path: str, data: bytes) -> None:
    with open(path, "wb", opener=_private) as file:
        file.write(data)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _later(report: Report, message: Spawned | Ended) -> None:
    asyncio.get_running_loop().call_soon(report, message)
