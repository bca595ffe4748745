"""Where the files of one run are: `.weft/runs/ID/`."""

import os
from hashlib import blake2b
from pathlib import Path
from typing import Final

NAME_BYTES_MAX: Final = 200
"""File systems take 255 bytes, and what follows the step's id needs some."""


def file_name(step: str) -> str:
    """The id of a step as one name: `+`, which stands nowhere else outside brackets, for `/`; cut, with a digest, if long."""
    name = step.replace("/", "+") if "/" in step else step
    if len(name) * 4 <= NAME_BYTES_MAX or len(data := name.encode()) <= NAME_BYTES_MAX:
        return name
    digest = blake2b(data, digest_size=8).hexdigest()
    return f"{data[: NAME_BYTES_MAX - len(digest) - 2].decode(errors='ignore')}%~{digest}"


class RunFolder:
    """Paths only; `create` makes the folders, readable by their owner alone.

    Those of an attempt are text: three Path objects would take as long to make as all the rest of a job.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs = str(path / "logs")
        self.scratch = str(path / "work")

    def create(self) -> None:
        for folder in (self.path, self.logs, self.scratch):
            os.makedirs(folder, mode=0o700, exist_ok=True)

    def stdout(self, step: str, attempt: int) -> str:
        return f"{self.logs}/{file_name(step)}.{attempt}.out"

    def stderr(self, step: str, attempt: int) -> str:
        return f"{self.logs}/{file_name(step)}.{attempt}.err"

    def scratch_of(self, step: str, attempt: int) -> str:
        return f"{self.scratch}/{file_name(step)}.{attempt}"
