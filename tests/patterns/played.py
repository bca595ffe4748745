"""Running an example as a user does, and looking at what happened when."""

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "examples"
PATTERNS = EXAMPLES / "patterns"
WEFT = str(Path(sys.executable).with_name("weft"))
ALONE = {"WEFT_MODEL": "", "OPENAI_BASE_URL": "", "OPENAI_API_KEY": "", "OLLAMA_BASE_URL": "http://127.0.0.1:9"}
"""Nothing outside is asked, whatever the environment of the tests says."""


def weft(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    surroundings = {**os.environ, **ALONE, "NO_COLOR": "1", **(env or {})}
    return subprocess.run(
        [WEFT, *arguments], cwd=folder, env=surroundings, capture_output=True, text=True, timeout=100, check=False
    )


class Played:
    """A run that has ended: its exit code, its facts in order, and its outputs."""

    def __init__(self, done: "subprocess.CompletedProcess[str]") -> None:
        self.code, self.err = done.returncode, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        self.facts = [line for line in lines if "fact" in line]
        assert self.facts, done.stderr
        self.outputs: Any = lines[-1]["outputs"]

    def of(self, fact: str, step: str = "") -> list[dict[str, Any]]:
        """The facts of a sort, of all steps whose id begins so."""
        return [found for found in self.facts if found["fact"] == fact and found.get("step", "").startswith(step)]

    @property
    def status(self) -> str:
        return str(self.of("run_ended")[0]["status"])

    def starts(self, step: str = "") -> list[float]:
        return [fact["at"] for fact in self.of("attempt_started", step)]

    def order(self, fact: str, step: str = "") -> list[str]:
        return [found["step"] for found in self.of(fact, step)]

    def at_once(self, step: str = "") -> int:
        """The largest number of attempts that were alive together."""
        alive = most = 0
        for fact in self.facts:
            if fact.get("step", "").startswith(step):
                alive += {"attempt_started": 1, "attempt_ended": -1}.get(fact["fact"], 0)
                most = max(most, alive)
        return most

    def busiest(self, window_s: float, step: str = "") -> int:
        """The largest number of starts in any stretch of time of this length."""
        starts = self.starts(step)
        return max(sum(begin <= at < begin + window_s for at in starts) for begin in starts)

    def gaps_s(self, step: str = "") -> list[float]:
        return [after - before for before, after in pairwise(self.starts(step))]


def play(folder: Path, workflow: str | Path, *arguments: str, env: dict[str, str] | None = None) -> Played:
    """Run a pattern by its name, or the text of a workflow."""
    if isinstance(workflow, str) and "\n" in workflow:
        (folder / "w.weft.yaml").write_text(workflow)
        workflow = folder / "w.weft.yaml"
    path = workflow if isinstance(workflow, Path) else PATTERNS / f"{workflow}.weft.yaml"
    return Played(weft(folder, "run", str(path), *arguments, "--output", "json", env=env))
