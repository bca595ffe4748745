"""Warm worker processes: each runs one call at a time and can be killed with all that came of it.

- A worker is used again only when it is proved clean: no process, no thread, no timer left. Otherwise it is ended, and the
  call counts as ended when the worker's whole tree is dead.
- Losing a worker costs the call that ran in it, never another.
- There are at most as many workers as calls were asked for at once; the last to become idle is the first to be used.
- No call is reported as Spawned: it has no process of its own, and its worker dies with the engine.
"""

import asyncio
import errno
import fcntl
import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from weft.host.bounds import UNBOUNDED, Bounded, Bounds, Killings
from weft.host.cgroups import Groups
from weft.host.children import Children
from weft.host.marks import new_mark
from weft.host.outcome import failure, tail
from weft.host.process import LEFTOVER_GRACE_S, SHORTAGES, Exit, ProcessTree, Streams, children_max, spawn
from weft.host.slots import Slot, Slots
from weft.host.usage import reported
from weft.model.output import ErrorRecord
from weft.ports import Ended, Job, JobKey, Payload, Report

PACKET_BYTES_MAX = 128 << 10
"""As in the worker: what fits a socket's buffer in one packet."""
CLOSE_GRACE_S = 0.2
"""Idle workers have nothing to finish."""
DESCRIPTORS_A_WORKER = 2
"""Its channel and the watch for its end."""
CHANNEL, LIFELINE = 3, 4
"""Numbers of a worker's descriptors, as in the worker."""
READY = b"+"
"""What a worker says first, as in the worker."""
WORKER = str(Path(__file__).with_name("worker.py"))
BOOT = """
import sys
from importlib.machinery import SourceFileLoader
__file__ = sys.argv.pop()
exec(SourceFileLoader("__main__", __file__).get_code("__main__"))
"""
"""Runs a file like `python FILE`, but from its bytecode if that is there: to compile the worker is a third of its start."""


class Call(msgspec.Struct):
    """What a worker is told. `request` comes from the runner: `code` or `target`, and `inputs`.

    `logs`: the files to write to from now on, where they are not those of the call before. `output`: the file for a large result.
    `watch`: the file in which to note which files the call opens; empty: none.
    `leases`: so many descriptors follow in a packet of their own.
    """

    step: str
    env: dict[str, str]
    cwd: str
    output: str
    logs: tuple[str, ...]
    watch: str
    request: msgspec.Raw
    leases: int


class Reply(msgspec.Struct):
    cpu_s: float
    rss_bytes: int | None
    unclean: bool
    wrote: bool
    littered: bool
    result: msgspec.Raw
    file: bool = False
    error: ErrorRecord | None = None


class _Worker:
    """One process, the slot that its output goes to, the bounds that hold it, and the call it is busy with."""

    def __init__(self, channel: socket.socket, slot: Slot, bounds: Bounds, bounded: Bounded | None) -> None:
        self.channel = channel
        self.slot = slot
        self.bounds = bounds
        self.bounded = bounded
        self.tree: ProcessTree
        self.job: Job | None = None
        self.report: Report
        self.cwd = ""
        self.ended: Ended | None = None
        """What the call came to, while what it left behind is being ended."""
        self.stopped = False


class ProcessExecutor:
    """Runs Python calls in workers of this machine.

    `base_env` is the environment that workers start with, `run` marks them, `folder` is for files of the executor's own, on the
    file system of the logs. `python` is the interpreter, `name` tells its files from those of another executor. `groups` bounds
    calls that ask for memory or processors: they get workers of their own.
    """

    def __init__(
        self,
        base_env: Mapping[str, str],
        folder: Path,
        run: str = "",
        python: str = sys.executable,
        name: str = "python",
        groups: Callable[[], Groups] = Groups,
    ) -> None:
        self.watch: Callable[[Job], str] | None = None
        """Names the file in which a call's files are noted, if they shall be."""
        self._env = {**base_env, "WEFT_RUN": run}
        self._run = run
        self._python = python
        self._children = Children()
        self._slots = Slots(folder, name)
        self._workers: set[_Worker] = set()
        self._idle: list[_Worker] = []
        self._busy: dict[JobKey, _Worker] = {}
        self._put_off: deque[tuple[Job, bytes, Report]] = deque()
        self._workers_max = children_max() // DESCRIPTORS_A_WORKER
        self._wanted = self._abreast = 0
        self._starting: set[_Worker] = set()
        self._lifeline: tuple[int, int] | None = None
        self._buffer = bytearray(PACKET_BYTES_MAX)
        self._new_groups = groups
        self._groups: Groups | None = None
        self._killings = Killings()
        self._emptied: asyncio.Event | None = None

    def prewarm(self, count: int, abreast: int) -> None:
        """Have `count` workers, or as many as the machine allows. So many start at a time: each takes a processor meanwhile."""
        self._wanted = min(count, self._workers_max)
        self._abreast = abreast
        self._warm()

    def _warm(self) -> None:
        with suppress(OSError):  # The first call that needs one says why.
            while len(self._workers) < self._wanted and len(self._starting) < self._abreast and not self._emptied:
                self._idle.append(self._hire(UNBOUNDED))

    def start(self, job: Job, request: bytes, report: Report) -> None:
        try:
            while not self._send(worker := self._find(job.cwd, Bounds(job.mem_bytes, job.cpu)), job, request):
                pass  # It has died meanwhile; the next one.
        except OSError as error:
            if error.errno in SHORTAGES and self._busy:
                self._put_off.append((job, request, report))
            else:
                record = ErrorRecord(kind="error", message=f"no Python worker could be given the call: {error}")
                _later(report, Ended(key=job.key, outcome="failed", error=record))
        else:
            worker.job, worker.report = job, report
            self._busy[job.key] = worker
            self._slots.lend(worker.slot, job)

    def stop(self, key: JobKey, grace_s: float) -> None:
        if worker := self._busy.get(key):
            worker.stopped = True
            worker.tree.stop(grace_s)
            return
        for waiting in self._put_off:
            job, _, report = waiting
            if job.key == key:
                self._put_off.remove(waiting)
                error = ErrorRecord(kind="cancelled", message="it was stopped before it started")
                _later(report, Ended(key=key, outcome="cancelled", error=error))
                return

    async def close(self) -> None:
        for job, _, _ in list(self._put_off):
            self.stop(job.key, 0)
        for key in self._busy:
            self.stop(key, 0)
        for worker in self._workers:
            worker.tree.stop(CLOSE_GRACE_S)
        if self._workers:
            self._emptied = asyncio.Event()
            await self._emptied.wait()
        if self._lifeline:
            for fd in self._lifeline:
                os.close(fd)
            self._lifeline = None
        self._slots.close()
        self._children.close()
        if self._groups:
            self._groups.close()

    def _find(self, cwd: str, bounds: Bounds) -> _Worker:
        """An idle worker, the last one first, else a new one. Raises OSError.

        A worker stays in one folder: modules of the project that it has imported come from there. And within its bounds.
        """
        for worker in reversed(self._idle):
            if worker.cwd in ("", cwd) and worker.bounds == bounds:
                self._idle.remove(worker)
                return worker
        if self._idle:
            self._idle.pop(0).tree.stop(CLOSE_GRACE_S)
        elif len(self._workers) >= self._workers_max:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return self._hire(bounds)

    def _bounded(self, bounds: Bounds) -> Bounded | None:
        if bounds == UNBOUNDED:
            return None
        if self._groups is None:
            self._groups = self._new_groups()
        return Bounded(bounds, self._groups)

    def _hire(self, bounds: Bounds) -> _Worker:
        if self._lifeline is None:
            reading, writing = os.pipe()
            self._lifeline = _above_the_standard(reading), writing
        slot = self._slots.take()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        there = _above_the_standard(theirs.detach())
        mark = new_mark(self._run)
        bounded = self._bounded(bounds)
        program, argv = self._python, [self._python, "-P", "-c", BOOT, WORKER]
        if bounded:
            program, argv = bounded.command(program, argv)
        try:
            pid, started = spawn(
                program,
                argv,
                self._env,
                Streams(os.devnull, slot.stdout, slot.stderr),
                mark,
                keep=((there, CHANNEL), (self._lifeline[0], LIFELINE)),
            )
        except OSError:
            ours.close()
            self._slots.give_back(slot)
            if bounded:
                bounded.close()
            raise
        finally:
            os.close(there)
        ours.setblocking(False)
        worker = _Worker(ours, slot, bounds, bounded)
        worker.tree = ProcessTree(pid, started, mark, self._children, partial(self._gone, worker))
        self._workers.add(worker)
        self._starting.add(worker)
        asyncio.get_running_loop().add_reader(ours.fileno(), self._heard, worker)
        return worker

    def _send(self, worker: _Worker, job: Job, request: bytes) -> bool:
        """Give the job to an idle worker; False if it turns out to be dead. Raises OSError."""
        slot = worker.slot
        call = Call(
            step=job.step,
            env={
                **job.env,
                "WEFT_RUN": job.run,
                "WEFT_STEP": job.step,
                "WEFT_ATTEMPT": str(job.attempt),
                "WEFT_DIR": slot.scratch,
                "WEFT_USAGE": slot.usage,
            },
            cwd=job.cwd,
            output=slot.output,
            logs=(slot.stdout, slot.stderr) if slot.wrote else (),
            watch=self.watch(job) if self.watch else "",
            request=msgspec.Raw(request),
            leases=len(job.leases),
        )
        packet = msgspec.json.encode(call)
        if len(packet) > PACKET_BYTES_MAX // 2:
            try:
                with open(slot.input, "wb", opener=_private) as file:
                    file.write(packet)
            except OSError:
                self._idle.append(worker)
                raise
            packet = msgspec.json.encode({"message_file": slot.input})
        try:
            worker.channel.send(packet)
            if job.leases:
                socket.send_fds(worker.channel, [b"+"], job.leases)
        except (BrokenPipeError, ConnectionResetError):
            return False
        worker.cwd = call.cwd
        if worker.bounded:
            worker.bounded.renew()
        return True

    def _heard(self, worker: _Worker) -> None:
        """The reply, or the end of the channel."""
        try:
            size = worker.channel.recv_into(self._buffer)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if not size:
            loop = asyncio.get_running_loop()
            loop.remove_reader(worker.channel.fileno())
            # A worker that is ending says so itself; one whose code closed the channel is of no use.
            loop.call_later(CLOSE_GRACE_S, worker.tree.stop, 0)
            return
        if self._buffer[:size] == READY:
            self._starting.discard(worker)
            self._warm()
            return
        if worker.tree.stopping or worker.job is None:
            return  # Whatever it says now, it was told to end.
        try:
            reply = msgspec.json.decode(memoryview(self._buffer)[:size], type=Reply)
        except (msgspec.MsgspecError, UnicodeDecodeError):  # The step wrote to the channel.
            worker.tree.stop(0)
            return
        self._finish(worker, worker.job, reply)

    def _finish(self, worker: _Worker, job: Job, reply: Reply) -> None:
        ended = reported(self._settled(worker, job, reply), worker.slot.usage)
        if reply.unclean or worker.tree.left_behind():
            worker.ended = ended
            worker.tree.stop(LEFTOVER_GRACE_S)
        else:
            del self._busy[job.key]
            worker.job = None
            self._idle.append(worker)
            self._report(worker.report, ended)

    def _settled(self, worker: _Worker, job: Job, reply: Reply) -> Ended:
        try:
            used = reply.wrote or reply.littered or reply.file
            output = self._slots.settle(worker.slot, job, reply.error is None) if used else None
        except OSError as failed:
            reply.unclean = True  # Its slot is not as the next call must find it.
            error = ErrorRecord(kind="error", message=f"its output could not be kept: {failed}")
            return Ended(key=job.key, outcome="failed", error=error)
        if reply.error:
            error = worker.bounded.verdict(reply.error, reply.rss_bytes) if worker.bounded else reply.error
            return Ended(key=job.key, outcome="failed", error=error, cpu_s=reply.cpu_s, rss_bytes=reply.rss_bytes)
        payload: Payload = output if output and reply.file else bytes(reply.result)
        return Ended(key=job.key, outcome="ok", payload=payload, cpu_s=reply.cpu_s, rss_bytes=reply.rss_bytes)

    def _gone(self, worker: _Worker, end: Exit) -> None:
        """A worker is dead with all its tree: asked for, or not."""
        self._workers.discard(worker)
        self._starting.discard(worker)
        if worker in self._idle:
            self._idle.remove(worker)
        asyncio.get_running_loop().remove_reader(worker.channel.fileno())
        worker.channel.close()
        if job := worker.job:
            del self._busy[job.key]
            with suppress(OSError):  # The call has failed anyway.
                self._slots.settle(worker.slot, job, False)
            ended = reported(worker.ended or _lost(job, worker.stopped, end), worker.slot.usage)
            self._slots.give_back(worker.slot)
            if ended.error and ended.outcome == "failed" and not worker.ended:
                ended = msgspec.structs.replace(ended, error=self._verdict(worker, ended.error, end))
            self._report(worker.report, ended)
        else:
            self._slots.give_back(worker.slot)
        if worker.bounded:
            worker.bounded.close()
        if self._emptied and not self._workers:
            self._emptied.set()

    def _verdict(self, worker: _Worker, error: ErrorRecord, end: Exit) -> ErrorRecord:
        """The error of a call whose worker died, told as one of memory if that was the cause."""
        judged = worker.bounded.verdict(error, end.rss_bytes) if worker.bounded else error
        return self._killings.verdict(error) if judged is error else judged

    def _report(self, report: Report, ended: Ended) -> None:
        report(ended)
        for _ in range(len(self._put_off)):
            waiting = len(self._put_off)
            self.start(*self._put_off.popleft())
            if len(self._put_off) == waiting:
                break  # Put off again: the shortage lasts.


def _lost(job: Job, stopped: bool, end: Exit) -> Ended:
    """The end of a call that did not reply."""
    last = tail(job.stderr, job.stdout)
    if stopped:
        error = ErrorRecord(kind="cancelled", message="it was stopped", tail=last)
        return Ended(key=job.key, outcome="cancelled", error=error)
    if end.stopped or end.code == 0:
        error = ErrorRecord(kind="lost", message="its worker process was lost before `run` returned", tail=last)
    else:
        error = failure(end.code, last)
    return Ended(key=job.key, outcome="failed", error=error)


def _above_the_standard(fd: int) -> int:
    """The same open file under a number that no descriptor of a worker is moved to."""
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(fd)
    return moved


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _later(report: Report, message: Ended) -> None:
    asyncio.get_running_loop().call_soon(report, message)
