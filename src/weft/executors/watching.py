"""Which files Python code opens: loaded into a worker only when somebody wants to know.

Like the worker it stands alone, and imports a little of the standard library.
"""

from __future__ import annotations

import json
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

WATCHED_MAX = 100_000
"""Files of one call that are noted while it is watched."""

CHANGES = {
    "os.rename": ((0, 2, "w"), (1, 3, "w")),
    "os.remove": ((0, 1, "w"),),
    "os.truncate": ((0, None, "w"),),
    "os.link": ((0, 2, "r"), (1, 3, "w")),
    "os.symlink": ((1, 2, "w"),),
    "sqlite3.connect": ((0, None, "w"),),
}
"""Audit events about a change: which of their arguments are a path, and the descriptor of the folder that it starts from."""
STARTS = ("subprocess.Popen", "os.posix_spawn", "os.exec", "os.system")


class Watch:
    """Notes, in a file, the files that Python code opens, renames and removes, from the interpreter's audit events; and that it
    starts other programs, whose files are not seen."""

    def __init__(self) -> None:
        self._fd = -1
        self._noted: set[bytes] = set()
        self._hooked = False

    def begin(self, path: str) -> None:
        """Note what happens from now on."""
        self._noted.clear()
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if not self._hooked:
            self._hooked = True  # a hook cannot be taken away again
            sys.addaudithook(self._heard)

    def end(self) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)

    def _heard(self, event: str, args: tuple[Any, ...]) -> None:
        if self._fd < 0:
            return
        try:
            if event == "open":
                self._opened(args[0], args[2] if isinstance(args[2], int) else 0)
            elif event in CHANGES:
                for number, folder, how in CHANGES[event]:
                    self._note(how, self._absolute(args[number], -1 if folder is None else args[folder]))
            elif event in STARTS:
                self._note("c", os.fsdecode(args[0] or "sh"))
        except Exception:  # a path that is none: the call itself will say so, and not we in its place
            return

    def _opened(self, path: Any, flags: int) -> None:
        if isinstance(path, int) or flags & (os.O_DIRECTORY | os.O_PATH):
            return
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        file = os.path.realpath(os.fsdecode(path))
        if not flags & os.O_WRONLY and not os.path.isdir(file):  # the event comes before the call, which may fail
            self._note("r" if os.path.exists(file) else "m", file)
        if writes and os.path.isdir(os.path.dirname(file)):
            self._note("w", file)

    def _absolute(self, path: Any, folder: int) -> str:
        """A path of which the last part is meant as it is, be it a link."""
        base = os.getcwd() if folder < 0 else os.readlink(f"/proc/self/fd/{folder}")
        head, name = os.path.split(os.path.join(base, os.fsdecode(path)))
        return os.path.join(os.path.realpath(head), name)

    def _note(self, how: str, text: str) -> None:
        line = json.dumps([how, text]).encode() + b"\n"
        if line not in self._noted and len(self._noted) < WATCHED_MAX and not text.endswith("/:memory:"):
            self._noted.add(line)
            os.write(self._fd, line)


WATCH = Watch()
"""One for a process: the interpreter's hooks stay for ever."""
