"""Where a view writes: a stream that may be closed, full, or a terminal that somebody has stopped with Ctrl-S.

- Nothing here raises, whatever becomes of the stream: a run does not end because nobody watches it.
- A patient outlet (for programs) waits for a slow reader: no line is lost, and the run goes at the reader's pace.
- Any other (for people) never waits: what is not read in time is counted and left out.
"""

import os
import select
from typing import IO, Final

BACKLOG_BYTES_MAX: Final = 256 << 10
"""What waits for a reader who pauses: some thousand lines, more than anybody scrolls back through."""

CLOSE_WAIT_MS: Final = 2_000
"""How long a reader may pause once the run is over, before what it has not read is dropped."""

_PIECE_BYTES: Final = select.PIPE_BUF
"""A pipe that can be written to takes this much without blocking."""

_PLAIN: Final = str.maketrans("…━─→·×✓✗│␤", "~=->.x+x|/")
"""For streams that cannot say it: one character for one, so that columns stay."""


SMALLEST: Final = (80, 24)
"""Columns and lines of a terminal that does not know its size."""

LONG_LINES: Final = (100, 24)
"""What is put into a file or a pipe, where nothing limits it, should still look well in a window."""


def screen_size(stream: IO[str]) -> tuple[int, int]:
    """Columns and lines for what is printed to a stream."""
    return _size(_fileno(stream), LONG_LINES)


def _size(fd: int, otherwise: tuple[int, int]) -> tuple[int, int]:
    try:
        width, height = os.get_terminal_size(fd)
    except OSError:
        return otherwise
    return (width, height) if width and height else SMALLEST  # some terminals say 0


class Outlet:
    """`write` takes text; `dead` is set once the stream is gone for good."""

    def __init__(self, stream: IO[str], *, patient: bool = False) -> None:
        self.dead = False
        self._stream = stream
        self._patient = patient
        self._encoding = (not patient and getattr(stream, "encoding", None)) or "utf-8"
        self._fd = _fileno(stream)
        self._poll = select.poll()
        if self._fd >= 0:
            self._poll.register(self._fd, select.POLLOUT)
        self._backlog = bytearray()
        self._left_out = 0

    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal as it is now."""
        return _size(self._fd, SMALLEST)

    def ready(self, wait_ms: int = 0) -> bool:
        """Whether somebody takes what is written now. True once nobody ever will: then `write` finds out."""
        return self._fd < 0 or bool(self._poll.poll(wait_ms))

    def write(self, text: str) -> None:
        if self.dead:
            return
        if self._fd < 0:
            self._write_stream(text)
            return
        data = self._encode(text)
        if self._backlog and len(self._backlog) + len(data) > BACKLOG_BYTES_MAX:
            self._left_out += text.count("\n")
        else:
            self._backlog += data
        self._drain()

    def close(self) -> None:
        """Give the reader what is left."""
        if not self.dead and self._fd >= 0:
            self._drain(CLOSE_WAIT_MS)

    def _encode(self, text: str) -> bytes:
        try:
            return text.encode(self._encoding)
        except UnicodeEncodeError:
            return text.translate(_PLAIN).encode(self._encoding, "backslashreplace")

    def _drain(self, wait_ms: int = 0) -> None:
        try:
            while self._backlog and (self._patient or self.ready(wait_ms)):
                del self._backlog[: self._write_piece()]
                if not self._backlog and self._left_out:
                    self._backlog += self._encode(f"… {self._left_out:,} lines were left out: nobody read them in time\n")
                    self._left_out = 0
        except BlockingIOError:  # a terminal that is non-blocking for somebody else's sake, and has no room: the next write tries
            pass
        except OSError:
            self.dead = True

    def _write_piece(self) -> int:
        """Returns how many bytes of the backlog were taken."""
        if self._patient:
            self._poll.poll()
            return os.write(self._fd, self._backlog)
        return os.write(self._fd, self._backlog[:_PIECE_BYTES])

    def _write_stream(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            self.dead = True


def _fileno(stream: IO[str]) -> int:
    """The descriptor below a stream, or -1. What the stream holds is written first."""
    try:
        stream.flush()
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return -1
