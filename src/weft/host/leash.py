"""Becomes another program, which the kernel kills with its process group when the engine that started it dies.

Runs as a script in an interpreter of its own: `leash.py FOLDER PROGRAM ARGV…`. Imports nothing of weft.
"""

import fcntl
import os
import signal
import sys

LIFELINE = 3
"""The read end of a pipe whose other end lives as long as the engine does."""


def hold() -> None:
    """Have the kernel send SIGKILL to our process group when the pipe closes (F_SETOWN and F_SETSIG in fcntl(2)). The signal
    belongs to an open file, so we have our own, which the program inherits."""
    fd = os.open(f"/proc/self/fd/{LIFELINE}", os.O_RDONLY | os.O_CLOEXEC)
    fcntl.fcntl(fd, fcntl.F_SETOWN, -os.getpgrp())
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(fd, fcntl.F_SETFL, os.O_ASYNC)
    os.dup2(fd, LIFELINE)
    os.close(fd)
    os.set_blocking(LIFELINE, False)
    try:
        os.read(LIFELINE, 1)
    except BlockingIOError:
        return
    os._exit(0)  # It was closed before all this was set up.


def main() -> None:
    hold()
    folder, program, *argv = sys.argv[1:]
    try:
        os.chdir(folder)
        os.execv(program, argv)
    except OSError as error:
        sys.exit(f"{argv[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
