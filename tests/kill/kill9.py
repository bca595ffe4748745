"""The kill -9 proof: kill the engine at random moments of a real run, resume it, and look at it from outside.

The steps append a line to a file when they start; that file, and not the journal, says what ran. Run as a script with a number of
moments (and a first seed): `python tests/kill/kill9.py 1000`.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from weft.core.apply import apply
from weft.core.audit import audit
from weft.core.facts import OutputsEvaluated, RunEnded
from weft.core.state import State
from weft.journal.reader import read_facts

STEPS = 60
KILLS_MAX = 4
"""A run is killed up to this often, resumes included, before it may end."""
WEFT = (sys.executable, "-m", "weft.cli.main")
RUN_TIMEOUT_S = 90


def workflow() -> dict[str, Any]:
    """60 steps in a random graph: shell and Python, pools with weights, attempts that fail at first, outputs that add up."""
    random = Random(60)
    steps: dict[str, Any] = {}
    for n in range(STEPS):
        needs = sorted(random.sample(range(max(0, n - 12), n), min(n, random.choice((0, 1, 2, 3)))))
        values = {f"v{need}": f"${{{{ steps.s{need}.output }}}}" for need in needs}
        total = " + ".join([str(n), *values])
        fails = random.random() < 0.2
        if n % 6 == 5:
            code = "import os\ndef run(**v):\n    with open('ran', 'a') as f: f.write(os.environ['WEFT_STEP'] + '\\n')\n"
            steps[f"s{n}"] = {"python": code + f"    return {n} + sum(v.values())\n"}
        else:
            flaky = '[ "$WEFT_ATTEMPT" -gt 1 ] || exit 3; ' if fails else ""
            script = f'echo "$WEFT_STEP" >> ran; sleep 0.0{random.randint(1, 5)}; {flaky}echo $(( {total} ))'
            steps[f"s{n}"] = {"run": script, "retry": {"times": 2, "delay": "5ms"}, "output": "json"}
        steps[f"s{n}"] |= {
            "with": values,
            "resources": random.choice(({}, {"red": 1}, {"red": 2}, {"blue": 1})),
        }
    outputs = {f"s{n}": f"${{{{ steps.s{n}.output }}}}" for n in range(STEPS)}
    return {"name": "kill9", "resources": {"red": 2, "blue": 3}, "steps": steps, "outputs": outputs}


class Trial:
    """One run in a folder of its own, killed and resumed until it ends."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.random = Random(seed)
        self.moments = 0
        self.run = ""
        self.ended_ok: dict[str, int] = {}
        self.outputs: dict[str, Any] | None = None
        self.over_before_its_engine = False
        """The kill came between the end of the run and that of its engine: nobody resumes it, and nobody sweeps."""
        (folder / "kill9.weft.json").write_text(json.dumps(workflow()))

    def play(self) -> None:
        """Raises AssertionError if a promise is broken."""
        arguments = ["run", "kill9.weft.json"]
        while not self._live(arguments, kill=self.moments < KILLS_MAX):
            self.moments += 1
            before = self._ran()
            done = {step: count or before[step] for step, count in self.ended_ok.items()}
            if not self._has_begun():
                return
            if self._has_ended():
                break
            arguments = ["resume", self.run]
            assert all(count > 0 for count in done.values())
            self.ended_ok = done
        after = self._ran()
        again = {step: after[step] for step, count in self.ended_ok.items() if count and after[step] != count}
        assert not again, f"complete, and ran again: {again}"
        assert set(after) == {f"s{n}" for n in range(STEPS)}, "not every step ran"
        assert self.outputs == expected(), "the outputs are others"
        assert self.over_before_its_engine or not survivors(self.run), "processes survive"
        state = State()
        for fact in read_facts(self._run_folder()):
            apply(state, fact)
        assert not audit(state)
        assert not any(state.holders)

    def _live(self, arguments: list[str], *, kill: bool) -> bool:
        """Start an engine and read what it shows; kill it after a random number of facts. Returns whether it came to its end."""
        with (self.folder / "stderr").open("ab") as stderr:
            engine = subprocess.Popen(
                [*WEFT, *arguments, "--output", "json", "-j", "8"],
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        assert engine.stdout is not None
        facts_until_kill = self.random.randrange(260) if kill else None
        killed = False
        for number, line in enumerate(engine.stdout):
            self._see(line)
            if number == facts_until_kill:
                engine.send_signal(signal.SIGKILL)  # and go on reading what it had shown by then
                killed = True
        engine.stdout.close()
        code = engine.wait(RUN_TIMEOUT_S)
        if killed and code == -signal.SIGKILL:
            return False
        assert code == 0, f"exit code {code}: {(self.folder / 'stderr').read_text()[-2000:]}"
        return True

    def _see(self, line: bytes) -> None:
        if not line.endswith(b"\n"):
            return  # cut by the kill
        shown = json.loads(line)
        if shown.get("fact") == "run_created":
            self.run = shown["run"]
        if shown.get("fact") == "attempt_ended" and shown["outcome"] == "ok":
            self.ended_ok.setdefault(shown["step"], 0)
        if "outputs" in shown and "fact" not in shown:
            self.outputs = shown["outputs"]

    def _has_begun(self) -> bool:
        """Whether there is a run to resume: if the kill came before the first fact was shown, the folder tells."""
        runs = [path.name for path in (self.folder / ".weft" / "runs").glob("*")]
        if not self.run and runs:
            first = next(iter(read_facts(self.folder / ".weft" / "runs" / runs[0])), None)
            self.run = runs[0] if first else ""
        return bool(self.run)

    def _has_ended(self) -> bool:
        """Whether the run had ended on disk when its engine was killed; its outputs are then only there."""
        facts = list(read_facts(self._run_folder()))
        self.over_before_its_engine = isinstance(facts[-1], RunEnded)
        if self.over_before_its_engine:
            self.outputs = next(fact.outputs for fact in facts if isinstance(fact, OutputsEvaluated))
        return self.over_before_its_engine

    def _run_folder(self) -> Path:
        return self.folder / ".weft" / "runs" / self.run

    def _ran(self) -> Counter[str]:
        ran = self.folder / "ran"
        return Counter(ran.read_text().split() if ran.exists() else ())


def expected() -> dict[str, int]:
    """What the steps add up to, computed without weft."""
    values: dict[str, int] = {}
    for n, step in enumerate(workflow()["steps"].values()):
        values[f"s{n}"] = n + sum(values["s" + name[1:]] for name in step["with"])
    return values


def survivors(run: str) -> list[int]:
    """Processes that carry the marker of this run."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue
            if f"WEFT_RUN={run}".encode() in environment.split(b"\0"):
                found.append(int(entry.name))
    return found


def moments(seed: int, wanted: int) -> int:
    """Play trials until `wanted` kills have happened; returns their number."""
    count = 0
    while count < wanted:
        with tempfile.TemporaryDirectory(prefix="weft-kill9-") as folder:
            trial = Trial(Path(folder), seed)
            try:
                trial.play()
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}") from error
            count += max(1, trial.moments)
        seed += 1
    return count


if __name__ == "__main__":
    first_seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    print(f"{moments(first_seed, int(sys.argv[1]))} kills, no promise broken")
