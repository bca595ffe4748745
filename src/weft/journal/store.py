"""The output store: small outputs travel in their fact, large ones are files named by the SHA-256 of their bytes.

- A blob is written under a temporary name, synced, then renamed and its folder synced, all before `keep` returns: the fact that
  names it is appended afterwards. Equal outputs share a blob; whoever writes it last replaces it by the same bytes.
- The bytes of a blob are those that the step left. How they are read (`text`, `json`, `lines`) is applied when they are loaded.
- Files of any size pass through in pieces; only JSON, and values that somebody refers to, have to fit into memory.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import IO, Final

from weft.journal import folders, values
from weft.journal.values import INLINE_BYTES_MAX, OUTPUT_BYTES_MAX, VALUE_BYTES_MAX
from weft.model.errors import MachineError
from weft.model.output import Output, OutputForm
from weft.model.workflow import Durability, Value
from weft.ports import Payload

NAME: Final = "outputs"

_UNFINISHED = ".part"
_counter = count()

_PIECE_BYTES = 1 << 20
"""Copied and hashed at a time; larger pieces are no faster."""

_KEPT_MAX = 8
_KEPT_BYTES_MAX = 8 << 20
"""How many blobs, and of which size at most, stay decoded: the instances of a step tend to refer to the same one."""


def blob_path(folder: Path, output: Output) -> Path:
    """Where the bytes of a large output of the run in `folder` are."""
    return folder / NAME / output.blob


class Store:
    """The outputs of the run in `folder`. Its methods may be called from any thread."""

    def __init__(self, folder: Path, durability: Durability = "power") -> None:
        self._folder = folder / NAME
        self._sync = durability == "power"
        self._ready = False
        self._kept: dict[tuple[str, OutputForm], Value] = {}

    def keep(self, payload: Payload, form: OutputForm) -> Output:
        """See OutputStore. Raises MachineError where the disk does not take it."""
        if isinstance(payload, bytes) and len(payload) <= INLINE_BYTES_MAX:
            return values.inline(payload, form)
        try:
            with BytesIO(payload) if isinstance(payload, bytes) else open(payload, "rb") as source:
                head = source.read(INLINE_BYTES_MAX + 1)
                if len(head) <= INLINE_BYTES_MAX:
                    return values.inline(head, form)
                source.seek(0)
                if form != "json":
                    return self._keep(source, form)
                text = source.read(VALUE_BYTES_MAX + 1)
                values.check_size(len(text), VALUE_BYTES_MAX, "an output of JSON")
                values.check_json(text)
                return self._keep(BytesIO(text), form)
        except OSError as error:
            where = error.filename or self._folder
            raise MachineError(f"cannot save an output: {error.strerror} ({where}); then `weft resume`") from error

    def load(self, output: Output) -> Value:
        """See OutputStore. The value may be shared with other callers and must not be changed."""
        if not output.blob:
            return values.decode(output.inline)
        key = (output.blob, output.form)
        with suppress(KeyError):
            return self._kept[key]
        values.check_size(output.size, VALUE_BYTES_MAX, "an output that is referred to")
        with self._open(output.blob) as file:
            data = file.read()
        if sha256(data).hexdigest() != output.blob:
            raise MachineError(f"output {self._folder / output.blob} is damaged: these are not the bytes that were saved")
        value = values.value(data, output.form)
        if output.size <= _KEPT_BYTES_MAX:
            self._kept[key] = value
            while len(self._kept) > _KEPT_MAX:
                self._kept.pop(next(iter(self._kept)), None)
        return value

    def take_over(self, output: Output, blob: Path) -> Output:
        """See OutputStore. The file is linked where the file system allows it, else copied."""
        try:
            with open(blob, "rb") as source:
                digest = sha256()
                while piece := source.read(_PIECE_BYTES):
                    digest.update(piece)
                if digest.hexdigest() != output.blob:
                    raise MachineError(f"its output {blob} is damaged")
                if not self._link(blob, output.blob):
                    source.seek(0)
                    self._keep(source, output.form)
        except OSError as error:
            raise MachineError(f"its output {blob} cannot be read: {error.strerror}") from error
        return output

    def _link(self, path: Path, blob: str) -> bool:
        """Whether the file could be given a second name here. Raises OSError."""
        if not self._ready:
            self._prepare()
        part = self._folder / f"{os.getpid()}-{next(_counter)}{_UNFINISHED}"
        try:
            os.link(path, part)
        except OSError:
            return False
        try:
            part.replace(self._folder / blob)
        finally:
            part.unlink(missing_ok=True)  # it is still there if both were one file already
        if self._sync:
            folders.sync(self._folder)
        return True

    def open_raw(self, output: Output) -> IO[bytes]:
        """The bytes of an output, to be shown: those that the step left, or for small ones its value as text or JSON."""
        return self._open(output.blob) if output.blob else BytesIO(values.raw(output))

    def _open(self, blob: str) -> IO[bytes]:
        try:
            return open(self._folder / blob, "rb")
        except OSError as error:
            raise MachineError(f"output {self._folder / blob} cannot be read: {error.strerror}") from error

    def _keep(self, source: IO[bytes], form: OutputForm) -> Output:
        digest = sha256()
        size = 0
        with self._new_file() as (path, file):
            while piece := source.read(_PIECE_BYTES):
                size += len(piece)
                values.check_size(size, OUTPUT_BYTES_MAX, "an output")
                digest.update(piece)
                file.write(piece)
            file.flush()
            if self._sync:
                os.fsync(file.fileno())
            blob = digest.hexdigest()
            path.replace(self._folder / blob)
            if self._sync:
                folders.sync(self._folder)
        return Output(form=form, blob=blob, size=size)

    @contextmanager
    def _new_file(self) -> Iterator[tuple[Path, IO[bytes]]]:
        """A file under a temporary name, which is gone afterwards unless it was renamed."""
        if not self._ready:
            self._prepare()
        path = self._folder / f"{os.getpid()}-{next(_counter)}{_UNFINISHED}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with open(fd, "wb") as file:
                yield path, file
        finally:
            path.unlink(missing_ok=True)

    def _prepare(self) -> None:
        """Make the folder; remove what processes that are gone left unfinished."""
        folders.make(self._folder, durable=self._sync)
        for path in self._folder.glob(f"*{_UNFINISHED}"):
            if not Path("/proc", path.name.partition("-")[0]).exists():
                path.unlink(missing_ok=True)
        self._ready = True
