"""How the end of a process reads as an error: exit status, signal, and the last lines it wrote."""

import os
import signal

from weft.model.output import ErrorRecord

TAIL_LINES_MAX = 20
TAIL_BYTES_MAX = 16 << 10
"""What a person reads on one screen, kept in the journal with the failure; the whole is in the log file."""

HINTS = {
    126: "126: a command was found but could not be executed (permission, or not a program)",
    127: "127: a command was not found (is it installed, is it on PATH?)",
}


def tail(*paths: str) -> str:
    """The last lines of the first of these files that holds any, decoded as far as they can be."""
    for path in paths:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            size = os.fstat(fd).st_size
            data = os.pread(fd, TAIL_BYTES_MAX, max(0, size - TAIL_BYTES_MAX))
        finally:
            os.close(fd)
        if lines := last_lines(data.decode("utf-8", "replace")):
            return lines
    return ""


def last_lines(text: str) -> str:
    """At most TAIL_LINES_MAX lines and about TAIL_BYTES_MAX from the end, without blank lines around them."""
    return "\n".join(text.strip().splitlines()[-TAIL_LINES_MAX:])[-TAIL_BYTES_MAX:]


def failure(code: int, last: str) -> ErrorRecord:
    """The error of a process that ended by itself with this code: an exit status, or minus a signal."""
    if code < 0:
        name, meaning = signal_name(-code), signal.strsignal(-code)
        return ErrorRecord(kind="killed", message=f"killed by {name} ({meaning})", signal=name, tail=last)
    hint = HINTS.get(code, "")
    if code - 128 in signal.valid_signals():
        hint = f"{code} = 128 + {code - 128}: a shell says so when a command of its was killed by {signal_name(code - 128)}"
    return ErrorRecord(kind="exit", message=f"exit {code}", exit_code=code, hint=hint, tail=last)


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
