"""Which files a process tree opens, from the outside: the command that lets strace watch it, and what strace writes, read.

Not seen: what another program does on behalf of the process (a daemon, a database), files that were open before it started, and
io_uring. Programs with the set-user-id bit run without it.
"""

import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from shutil import which
from typing import Final, NamedTuple

CALLS: Final = (
    "open,openat,openat2,creat,rename,renameat,renameat2,unlink,unlinkat,truncate,link,linkat,symlink,symlinkat,mknod,mknodat,"
    "chdir,fchdir,clone,clone3,fork,vfork,execve,execveat"
)
OPTIONS: Final = ("-D", "-f", "-qq", "-y", "-e", "signal=none", "-e", f"trace={CALLS}")
"""-D: the traced program is the child, and strace its grandchild. As its parent strace would not end before the last daemon that
the program leaves behind, and its end would not be that of the program."""
FASTER: Final = ("--seccomp-bpf",)
"""Stop the process at these calls only; older versions cannot."""
TRIAL_S_MAX: Final = 10.0
"""A trial takes milliseconds; a machine that takes longer is not one to trace on."""

_LINE: Final = re.compile(r"(\d+) +(\w+)\((.*)\) += (-?\d+|\?)(?:<((?:[^>\\]|\\.)*)>)?")
_RESUMED: Final = re.compile(r"(\d+) +<\.\.\. \w+ resumed>(.*)")
_AT: Final = re.compile(r"AT_FDCWD<((?:[^>\\]|\\.)*)>")
_MAKES: Final = re.compile(r"\d+ +(?:clone3?|v?fork)\(")
_UNFINISHED: Final = " <unfinished ...>"
_TOKEN: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|(?:AT_FDCWD|-?\d+)<((?:[^>\\]|\\.)*)>|(\w[\w|]*)')
_ESCAPE: Final = re.compile(rb"\\([0-7]{1,3}|x[0-9a-f]{2}|.)", re.S)
_ESCAPED: Final = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"v": b"\v", b"f": b"\f", b"e": b"\x1b"}


class Opened(NamedTuple):
    """A file that was opened, renamed or removed; the path is absolute. `missed`: it was to be read, and was not there."""

    path: str
    writes: bool
    missed: bool = False


def find_strace() -> tuple[str, ...] | None:
    """The beginning of a command that traces here, up to the file that it writes; None if there is none or it may not."""
    program = which("strace")
    for options in ((*FASTER, *OPTIONS), OPTIONS) if program else ():
        command = [str(program), *options, "-o", "/dev/null", "--", "/bin/sh", "-c", ":"]
        try:
            if subprocess.run(command, capture_output=True, timeout=TRIAL_S_MAX, check=False).returncode == 0:
                return (str(program), *options, "-o")
        except (OSError, subprocess.TimeoutExpired):
            continue
    return None


def read_trace(file: Path, cwd: str) -> Iterator[Opened]:
    """What a trace tells, in its order. `cwd`: where the process began. A line that makes no sense is left out."""
    try:
        with file.open(encoding="utf-8", errors="surrogateescape") as lines:
            yield from parse(lines, cwd)
    except FileNotFoundError:
        return


def parse(lines: Iterable[str], cwd: str) -> Iterator[Opened]:
    """The same, from the lines of the trace."""
    folders: dict[str, str] = {}
    owner: dict[str, str] = {}
    """Threads have one folder with the process that they are part of."""
    begun: dict[str, str] = {}
    for written in lines:
        line = written.rstrip("\n")
        pid = line.partition(" ")[0]
        if line.endswith(_UNFINISHED):
            begun[pid] = line.removesuffix(_UNFINISHED)
            continue
        if resumed := _RESUMED.match(line):
            line = begun.pop(pid, "") + resumed[2]
        found = _LINE.match(line)
        if not found or found[4] == "?":
            continue
        name, arguments, result, opened = found.group(2, 3, 4, 5)
        failed = result.startswith("-")
        if failed and (name not in _READING or " ENOENT " not in line[found.end() :]):
            continue
        of = owner.get(pid, pid)
        if at := _AT.search(arguments):
            folders[of] = _plain(at[1])
        here = folders.setdefault(of, _parents_folder(folders, owner, begun, cwd) if of not in folders else cwd)
        if name in ("clone", "clone3", "fork", "vfork"):
            if "CLONE_FS" in arguments:
                owner[result] = of
            else:
                folders.setdefault(result, here)
        elif name in ("chdir", "fchdir"):
            folders[of] = next(iter(_paths(arguments, here)), here)
        elif name in _HOW:
            told = _HOW[name](arguments, here, opened)
            yield from (Opened(each.path, False, missed=True) for each in told if not each.writes) if failed else told


def _parents_folder(folders: dict[str, str], owner: dict[str, str], begun: dict[str, str], cwd: str) -> str:
    """Where a process is that speaks before the call that made it has returned: where the caller of such a call is."""
    callers = [pid for pid, line in begun.items() if _MAKES.search(line)]
    return folders.get(owner.get(callers[0], callers[0]), cwd) if callers else cwd


def _paths(arguments: str, here: str) -> list[str]:
    """The paths among the arguments of a call, each from the folder that stands before it, else from here."""
    found, base, last = [], here, None
    for text, folder, word in _TOKEN.findall(arguments):
        if folder:
            base = last = _plain(folder)
        elif not word:
            found.append(os.path.normpath(os.path.join(base, _plain(text))))
            base, last = here, None
    return found if last is None else [*found, last]


def _plain(text: str) -> str:
    """A text of the trace without its escapes."""
    if "\\" not in text:
        return text

    def char(found: re.Match[bytes]) -> bytes:
        code = found[1]
        if code[:1] in b"01234567":
            return bytes([int(code, 8) % 256])
        return bytes([int(code[1:], 16)]) if len(code) == 3 else _ESCAPED.get(code, code)

    return os.fsdecode(_ESCAPE.sub(char, os.fsencode(text)))


def _open(arguments: str, here: str, opened: str | None) -> Iterator[Opened]:
    flags = set(re.findall(r"\bO_\w+", re.sub(r'"(?:[^"\\]|\\.)*"', "", arguments)))
    if flags & {"O_DIRECTORY", "O_PATH", "O_TMPFILE"}:
        return
    path = _plain(opened) if opened else next(iter(_paths(arguments, here)), "")
    if not path.startswith("/"):
        return  # a pipe, a socket
    writes = bool(flags & {"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"})
    if "O_WRONLY" not in flags:
        yield Opened(path, False)
    if writes:
        yield Opened(path, True)


def _creat(arguments: str, here: str, opened: str | None) -> Iterator[Opened]:
    path = _plain(opened) if opened else next(iter(_paths(arguments, here)), "")
    yield Opened(path, True)


def _all_written(arguments: str, here: str, opened: str | None) -> Iterator[Opened]:
    if "AT_REMOVEDIR" not in arguments:
        yield from (Opened(path, True) for path in _paths(arguments, here))


def _last_written(arguments: str, here: str, opened: str | None) -> Iterator[Opened]:
    yield from (Opened(path, True) for path in _paths(arguments, here)[-1:])


def _link(arguments: str, here: str, opened: str | None) -> Iterator[Opened]:
    paths = _paths(arguments, here)
    yield from (Opened(path, n > 0) for n, path in enumerate(paths))


def _execve(arguments: str, here: str, opened: str | None) -> Iterator[Opened]:
    yield from (Opened(path, False) for path in _paths(arguments, here)[:1])


_READING: Final = ("open", "openat", "openat2", "execve", "execveat")
_HOW: Final[dict[str, Callable[[str, str, str | None], Iterator[Opened]]]] = {
    **dict.fromkeys(("open", "openat", "openat2"), _open),
    "creat": _creat,
    **dict.fromkeys(("rename", "renameat", "renameat2", "unlink", "unlinkat", "truncate", "mknod", "mknodat"), _all_written),
    **dict.fromkeys(("symlink", "symlinkat"), _last_written),
    **dict.fromkeys(("link", "linkat"), _link),
    **dict.fromkeys(("execve", "execveat"), _execve),
}
