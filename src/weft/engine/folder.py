"""Where the files of one run are: `.weft/runs/ID/`."""

import os
from pathlib import Path


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
        return f"{self.logs}/{step}.{attempt}.out"

    def stderr(self, step: str, attempt: int) -> str:
        return f"{self.logs}/{step}.{attempt}.err"

    def scratch_of(self, step: str, attempt: int) -> str:
        return f"{self.scratch}/{step}.{attempt}"
