"""One child process and everything that comes of it: spawning, watching, ending.

- A child leads a session of its own, carries a mark (see marks), and writes to files: nothing of it can hold the engine up.
- Its end is told once, when the last process of its tree is dead, whoever left the session or closed whatever.
- Nothing is signalled by a number that may have been given to another: the unreaped child by its group, all others by pidfd.
"""

import asyncio
import errno
import os
import resource
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from weft.host import procfs
from weft.host.census import send
from weft.host.children import Children

LEFTOVER_GRACE_S = 0.5
"""What a child leaves running when it exits by itself is told to end, and killed after this long."""
POLL_S_MIN, POLL_S_MAX = 0.001, 0.05
"""How often a tree that is being ended is looked at: at first soon, since most end at once."""
DESCRIPTORS_SPARE = 64
"""Descriptors that children's watches leave to everything else (journal, sockets, outputs) under a small `ulimit -n`."""

SHORTAGES = (errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Reasons for a failed spawn that pass when another child has ended."""
STATUS_LOST = 255
"""The exit status of a child that is known to have ended and nothing more."""

IGNORED_SIGNALS = [s for s in signal.valid_signals() if signal.getsignal(s) is signal.SIG_IGN]
"""Given their meaning again in the child: Python ignores SIGPIPE and SIGXFSZ, and a shell in the background SIGINT for us."""

LOG_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
LOG_MODE = 0o600


def children_max() -> int:
    """How many children may be watched at once under the descriptor limit of this process."""
    return max(8, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - DESCRIPTORS_SPARE)


class Streams(NamedTuple):
    """Paths of files for descriptors 0, 1 and 2; the last two are created."""

    stdin: str
    stdout: str
    stderr: str


def spawn(
    program: str,
    argv: list[str],
    env: Mapping[str, str],
    streams: Streams,
    mark: int,
    cwd: str | None = None,
    keep: Sequence[tuple[int, int]] = (),
) -> tuple[int, int]:
    """Start a program as the leader of a new session; returns its pid and its start in clock ticks since boot.

    `program` is the file, `argv[0]` only its name. `cwd` None: that of this process. `keep`: pairs (descriptor here, number
    in the child); with a `cwd` both are the same.
    Raises OSError, and ValueError for a NUL in an argument.
    """
    before = resource.getrlimit(resource.RLIMIT_RTTIME)
    with suppress(OSError, ValueError):  # A finite hard limit forbids the mark: Census.marks_hold will say so.
        resource.setrlimit(resource.RLIMIT_RTTIME, (mark, before[1]))
    earliest = procfs.ticks_now()
    try:
        pid = _popen(program, argv, env, streams, cwd, keep) if cwd else _posix_spawn(program, argv, env, streams, keep)
    finally:
        resource.setrlimit(resource.RLIMIT_RTTIME, before)
    # The kernel's answer waits for the lock of a process that is busy starting; the clock's does not.
    return pid, earliest if earliest == procfs.ticks_now() else procfs.process_start_ticks(pid)


def _posix_spawn(program: str, argv: list[str], env: Mapping[str, str], streams: Streams, keep: Sequence[tuple[int, int]]) -> int:
    actions: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, streams.stdin, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, streams.stdout, LOG_FLAGS, LOG_MODE),
        (os.POSIX_SPAWN_OPEN, 2, streams.stderr, LOG_FLAGS, LOG_MODE),
        *((os.POSIX_SPAWN_DUP2, here, there) for here, there in keep),
    ]
    return os.posix_spawn(program, argv, env, file_actions=actions, setsid=True, setsigmask=(), setsigdef=IGNORED_SIGNALS)


def _popen(
    program: str, argv: list[str], env: Mapping[str, str], streams: Streams, cwd: str, keep: Sequence[tuple[int, int]]
) -> int:
    """posix_spawn cannot change the folder; Popen can, for 40 µs more and three descriptors for a moment."""
    import subprocess

    opened: list[int] = []
    try:
        opened.append(os.open(streams.stdin, os.O_RDONLY | os.O_CLOEXEC))
        opened.extend(os.open(path, LOG_FLAGS | os.O_CLOEXEC, LOG_MODE) for path in streams[1:])
        stdin, stdout, stderr = opened
        child = subprocess.Popen(
            argv,
            executable=program,
            env=env,
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
            pass_fds=[here for here, _ in keep],
        )
        child.returncode = 0  # Reaped by us: this keeps Popen from waiting for it, and from a warning that nobody did.
        return child.pid
    finally:
        for fd in opened:
            os.close(fd)


class Exit(NamedTuple):
    """How a child ended. `code` ≥ 0: exit status; < 0: minus the signal. CPU and peak memory count children it waited for."""

    code: int
    cpu_s: float
    rss_bytes: int | None
    """None when it is not above the engine's own peak: until its exec a child is counted with the memory of its parent."""
    stopped: bool
    """Whether `stop` was called while the child still ran."""


class ProcessTree:
    """Watches a child that was just spawned with `mark`; calls `gone` once, from the loop, when its whole tree is dead."""

    def __init__(self, pid: int, started: int, mark: int, children: Children, gone: Callable[[Exit], None]) -> None:
        self.pid = pid
        self.started = started
        self._mark = mark
        self._census = children.census
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._exit: Exit | None = None
        self._kill_at: float | None = None
        self._told = False
        self._stopped = False
        self._over = False
        self._kin: dict[int, int] = {}
        self._leader = pid
        self._poll_s = POLL_S_MIN
        self._timer: asyncio.TimerHandle | None = None
        self._census.enroll(mark, pid)
        children.watch(pid, self._ended)

    @property
    def stopping(self) -> bool:
        return self._stopped

    def stop(self, grace_s: float) -> None:
        """Tell the whole tree to end, kill it after `grace_s`. A later call may shorten the grace."""
        if self._over:
            return
        self._stopped = self._stopped or self._exit is None
        kill_at = self._loop.time() + grace_s
        if self._kill_at is None or kill_at < self._kill_at:
            self._kill_at = kill_at
            self._advance()

    def left_behind(self) -> bool:
        """Whether there are processes of the tree besides the living child. A few µs when there are none."""
        if self._census.marks_hold:
            return bool(self._census.survivors(self._mark))
        return bool(self._census.family(self._mark, self._leader, self._kin, fresh=True).keys() - {self.pid})

    def _ended(self) -> bool:
        try:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        except ChildProcessError:  # Somebody else in this process waits for any child, and has taken ours.
            self._exit = Exit(STATUS_LOST, 0.0, None, self._stopped)
        else:
            if not pid:
                return False
            own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            rss_bytes = usage.ru_maxrss * 1024 if usage.ru_maxrss > own else None
            cpu_s = usage.ru_utime + usage.ru_stime
            self._exit = Exit(os.waitstatus_to_exitcode(status), cpu_s, rss_bytes, self._stopped)
        if not self._group_exists():
            self._leader = 0
        self._advance()
        return True

    def _group_exists(self) -> bool:
        """Whether the child's group outlives it. Its number is not given away before that is so, and not at once after."""
        try:
            os.killpg(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass
        return True

    def _is_over(self) -> bool:
        if self._exit is None or self.left_behind():
            return False
        if not self._leader and not self._kin:
            return True
        return not self._census.family(self._mark, self._leader, self._kin, fresh=True)

    def _advance(self) -> None:
        """Signal what is left, or tell that nothing is. Runs after the child's end, after `stop`, and then again and again."""
        if self._timer:
            self._timer.cancel()
        if self._is_over():
            assert self._exit is not None
            self._over = True
            self._census.forget(self._mark, self.pid)
            self._gone(self._exit)
            return
        now = self._loop.time()
        if self._kill_at is None:
            self._kill_at = now + LEFTOVER_GRACE_S
        if now >= self._kill_at:
            self._signal_all(signal.SIGKILL)
        elif not self._told:
            self._told = True
            self._signal_all(signal.SIGTERM, signal.SIGCONT)  # What is stopped cannot end.
        # While the child lives its descriptor speaks first; otherwise polling must find out.
        wait_s = self._poll_s if self._exit or now >= self._kill_at else self._kill_at - now
        self._poll_s = min(2 * self._poll_s, POLL_S_MAX)
        self._timer = self._loop.call_later(wait_s, self._advance)

    def _signal_all(self, *signals: int) -> None:
        """The group in one call that no fork escapes; then, one by one, whoever left it."""
        child_lives = self._exit is None
        family = self._census.family(self._mark, self._leader, self._kin, fresh=not child_lives)
        self._kin = {pid: member.started for pid, member in family.items() if pid != self.pid}
        if not child_lives and not any(self._leader in (member.session, member.group) for member in family.values()):
            self._leader = 0  # The session is empty, so its number may be given to another.
        for signum in signals:
            if child_lives:
                os.killpg(self.pid, signum)
            for member in family.values():
                if not (child_lives and member.group == self.pid):
                    send(signum, member)
