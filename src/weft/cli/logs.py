"""`weft logs`: what steps wrote, while they write it if wanted."""

import os
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from select import select
from typing import BinaryIO, Final, Literal

import click

from weft.cli.common import find_run, settings_options, take_settings
from weft.core import facts as f
from weft.core.apply import apply
from weft.core.state import State
from weft.engine.folder import RunFolder
from weft.journal.reader import Reader
from weft.model.errors import UsageError
from weft.model.masking import mask
from weft.model.suggest import did_you_mean
from weft.views.text import visible

POLL_S: Final = 0.2
"""How often a followed run is looked at: often enough to feel alive."""
LINE_BYTES_MAX: Final = 1 << 20
"""Longer lines are printed in pieces, so that a line of 100 MB needs no memory."""

Stream = Literal["out", "err"]


@click.command("logs")
@click.argument("name", metavar="RUN", default="@")
@click.argument("steps", metavar="[STEP]...", nargs=-1)
@click.option("--attempt", "-a", type=click.IntRange(1), help="Only this attempt (else the last one of each step).")
@click.option("--stdout", "only_out", is_flag=True, help="Only standard output.")
@click.option("--stderr", "only_err", is_flag=True, help="Only standard error.")
@click.option("--follow", "-f", is_flag=True, help="Go on printing until the run, or the steps named, have ended.")
@settings_options("state")
def logs(
    name: str, steps: tuple[str, ...], attempt: int | None, only_out: bool, only_err: bool, follow: bool, **options: str
) -> None:
    """Print what the steps of a RUN wrote. `@` is the last run; without a STEP all that ran are printed, in order.

    On a terminal, control characters are made visible; into a pipe the bytes go as they are. Secrets are masked in both.
    """
    folder = find_run(name, take_settings(dict(options)))
    streams: tuple[Stream, ...] = ("out",) if only_out else ("err",) if only_err else ("out", "err")
    printer = Printer(folder, steps, attempt, streams)
    printer.read_journal()
    unknown = [step for step in steps if step not in printer.known]
    if unknown:
        near = did_you_mean(unknown[0], printer.known)
        raise UsageError(f"run `{folder.name}` has no step `{unknown[0]}`" + (f"; did you mean `{near}`?" if near else ""))
    printer.print_new()
    while follow and not printer.over():
        select([], [], [], POLL_S)
        printer.read_journal()
        printer.print_new()


class Printer:
    """Prints log files as they grow. Who asks for a fan-out or a sub-workflow asks for all that belongs to it."""

    def __init__(self, folder: Path, steps: tuple[str, ...], attempt: int | None, streams: tuple[Stream, ...]) -> None:
        self._paths = RunFolder(folder)
        self._reader = Reader(folder)
        self._wanted = tuple(dict.fromkeys(steps))
        self._parts = tuple(step + sign for step in steps for sign in "[/")
        self._state = State()
        self._attempt = attempt
        self._streams = streams
        self._secrets: list[str] = []
        self._attempts: dict[str, int] = {}
        self._left = False
        self._read: dict[Path, int] = {}
        self._headed: Path | None = None

    @property
    def known(self) -> Collection[str]:
        """The steps of the run, as far as they have been added."""
        return self._state.graph.index

    def over(self) -> bool:
        """Whether nothing more will be written: every wanted step has settled, or the engine has left."""
        state = self._state
        wanted = [state.graph.index[step] for step in self._wanted if step in state.graph.index]
        return self._left or (all(state.status[i].settled for i in wanted) if wanted else not state.open)

    def read_journal(self) -> None:
        while facts := self._reader.poll():
            for fact in facts:
                self._see(fact)

    def _see(self, fact: f.Fact) -> None:
        apply(self._state, fact)
        match fact:
            case f.RunCreated(workflow=workflow):
                self._secrets = [os.environ[name] for name in workflow.secrets if name in os.environ]
            case f.EngineAttached():
                self._left = False
            case f.AttemptStarted(step=step, attempt=attempt):
                self._attempts.pop(step, None)  # the order of printing is that of the last starts
                self._attempts[step] = attempt
            case f.RunEnded() | f.RunSuspended():
                self._left = True

    def print_new(self) -> None:
        """Print what has been written since the last time."""
        one = len(self._wanted) == 1 and self._state.graph.index.get(self._wanted[0]) not in self._state.graph.children
        several = not one or len(self._streams) > 1
        for step, attempt in list(self._attempts.items()):
            if self._wanted and step not in self._wanted and not step.startswith(self._parts):
                continue
            number = self._attempt or attempt
            for stream in self._streams:
                path = self._paths.stdout(step, number) if stream == "out" else self._paths.stderr(step, number)
                self._print_file(Path(path), f"{step} (attempt {number}, std{stream})" if several else "")
        sys.stdout.buffer.flush()

    def _print_file(self, path: Path, heading: str) -> None:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self._read.get(path, 0))
            for line in _lines(file):
                if heading and self._headed != path:
                    sys.stdout.buffer.write(f"{'' if self._headed is None else chr(10)}==> {heading}\n".encode())
                    self._headed = path
                sys.stdout.buffer.write(self._shown(line))
            self._read[path] = file.tell()

    def _shown(self, line: bytes) -> bytes:
        if sys.stdout.isatty():
            text = mask(line.decode(errors="replace").removesuffix("\n"), self._secrets)
            return (visible(text) + "\n").encode()
        if not self._secrets:
            return line
        return mask(line.decode(errors="surrogateescape"), self._secrets).encode(errors="surrogateescape")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(LINE_BYTES_MAX):
        yield line
