"""Where the files of one run are: `.weft/runs/ID/`."""

import os
from pathlib import Path


class RunFolder:
    """Paths only; `create` makes the folders, readable by their owner alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = path.name
        self.logs = path / "logs"
        self.scratch = path / "work"
        self.socket = path / "engine.sock"

    def create(self) -> None:
        for folder in (self.path, self.logs, self.scratch):
            os.makedirs(folder, mode=0o700, exist_ok=True)

    def stdout(self, step: str, attempt: int) -> Path:
        return self.logs / f"{step}.{attempt}.out"

    def stderr(self, step: str, attempt: int) -> Path:
        return self.logs / f"{step}.{attempt}.err"

    def scratch_of(self, step: str, attempt: int) -> Path:
        return self.scratch / f"{step}.{attempt}"
