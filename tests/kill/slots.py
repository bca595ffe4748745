"""The proof of slots: many runs whose steps, engines and workers are killed at random; nobody ever sees more holders than slots.

The steps themselves count: each holds a lock on a file while it works, and notes how many others do. What they noted, and not the
journal, says whether a limit held. At the end nothing is held, in any journal and in no lock. Run as a script with a number
of runs (and a first seed): `python tests/kill/slots.py 1000`.
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
from weft.core.state import State
from weft.host.leases import taken
from weft.journal.lock import holder
from weft.journal.reader import read_facts

AT_ONCE = 4
"""Runs of one state folder that go on at the same time."""
STEPS = 10
SLOTS = {"own": 2, "shared": 3}
KILLS_MAX = 3
"""A run's engine is killed up to this often before it may end."""
WEFT = (sys.executable, "-m", "weft.cli.main")
RUN_TIMEOUT_S = 120

COUNT = """
import fcntl, os, sys, time
folder, pool, slots, weight, wait_s = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
os.makedirs(folder, exist_ok=True)
held = []
for n in range(64):
    fd = os.open(f"{folder}/{n}", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        continue
    held.append(fd)
    if len(held) == weight:
        break
others = 0
for n in range(64):
    try:
        fd = os.open(f"{folder}/{n}", os.O_RDWR)
    except FileNotFoundError:
        break
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        others += 1
    os.close(fd)
with open(f"{folder}.seen", "a") as seen:
    seen.write(f"{others}\\n")
if others > slots:
    with open(f"{folder}.broken", "a") as broken:
        broken.write(f"{others} of {slots} {pool}\\n")
time.sleep(wait_s)
"""
"""Holds `weight` lock files, counts all that are held, its own included, and works for a while."""


def workflow(random: Random, folder: Path) -> dict[str, Any]:
    """Shell and Python steps in a pool of the run and in one that all runs share; some kill themselves, or their parent."""
    steps: dict[str, Any] = {}
    for n in range(STEPS):
        pool = random.choice(("own", "shared", "shared"))
        weight = random.randint(1, 2)
        where = "$WEFT_RUN" if pool == "own" else "all"
        wait_s = random.choice((0.0, 0.01, 0.05))
        kill = random.choice(("", "", "", "kill -9 $$", "kill -9 $PPID; sleep 5"))
        kill = kill if "PPID" not in kill or random.random() < 0.15 else ""
        kill = f'[ "$WEFT_ATTEMPT" -gt 1 ] || {{ {kill}; }}' if kill else ""
        count = f"{sys.executable} {folder / 'count.py'} {folder}/{where} {pool} {SLOTS[pool]} {weight} {wait_s}"
        step: dict[str, Any] = {"run": f"{count}\n{kill}".strip()}
        if n % 4 == 3:
            code = f"import os, subprocess\ndef run():\n    subprocess.run(os.path.expandvars({count!r}).split(), check=True)\n"
            ends = "    if os.environ['WEFT_ATTEMPT'] == '1': os.kill(os.getpid(), 9)\n" if random.random() < 0.3 else ""
            step = {"python": code + ends}
        steps[f"s{n}"] = {
            **step,
            "resources": {pool: weight},
            "retry": {"times": 3, "delay": "1ms"},
            "needs": [f"s{n - 3}"] if n >= 3 and random.random() < 0.5 else [],
        }
    return {
        "name": "slots",
        "durability": "process",
        "resources": {"own": SLOTS["own"], "shared": {"slots": SLOTS["shared"], "scope": "engine"}},
        "steps": steps,
    }


class Run:
    """One run among others in a folder: it is killed, and resumed, until it ends."""

    def __init__(self, folder: Path, number: int, seed: int) -> None:
        self.folder, self.number, self.random = folder, number, Random(seed)
        self.kills = 0
        self.id = ""
        self.engine: subprocess.Popen[bytes] | None = None
        (folder / f"{number}.weft.json").write_text(json.dumps(workflow(self.random, folder)))

    def begin(self) -> None:
        arguments = ["resume", self.id] if self.id else ["run", f"{self.number}.weft.json"]
        self.stderr = (self.folder / f"{self.number}.stderr").open("ab")
        self.engine = subprocess.Popen(
            [*WEFT, *arguments, "--output", "json", "-j", "4"],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=self.stderr,
            start_new_session=True,
        )

    def live(self) -> bool:
        """Read what the engine shows, and kill it at some moment; whether it came to its end."""
        assert self.engine is not None
        assert self.engine.stdout is not None
        until = self.random.randrange(90) if self.kills < KILLS_MAX else None
        killed = False
        for number, line in enumerate(self.engine.stdout):
            if not self.id and line.endswith(b"\n"):
                self.id = json.loads(line).get("run", "")
            if number == until and not killed:
                self.engine.send_signal(signal.SIGKILL)
                killed = True
        self.engine.stdout.close()
        code = self.engine.wait(RUN_TIMEOUT_S)
        self.stderr.close()
        self.kills += code == -signal.SIGKILL
        assert code in (0, 1, -signal.SIGKILL), (self.folder / f"{self.number}.stderr").read_text()[-2000:]
        return code != -signal.SIGKILL or self._is_over()

    def _is_over(self) -> bool:
        if not self.id:
            return False
        return any(fact.__class__.__name__ == "RunEnded" for fact in read_facts(self.folder / ".weft" / "runs" / self.id))

    def play(self) -> None:
        self.begin()
        while not self.live():
            self.begin()


def play(folder: Path, seed: int, runs: int) -> Counter[str]:
    """So many runs at once in one state folder. Raises AssertionError if a limit was exceeded or something is held at the end."""
    from threading import Thread

    (folder / "count.py").write_text(COUNT)
    all_ = [Run(folder, number, 1000 * seed + number) for number in range(runs)]
    failed: list[BaseException] = []

    def guarded(run: Run) -> None:
        try:
            run.play()
        except BaseException as error:
            failed.append(error)

    threads = [Thread(target=guarded, args=(run,)) for run in all_]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    broken = [path.read_text() for path in folder.glob("*.broken")]
    assert not broken, f"a limit was exceeded: {broken}"
    found = Counter(kills=sum(run.kills for run in all_), runs=len(all_))
    for path in folder.glob("*.seen"):
        most = max(map(int, path.read_text().split()))
        found[f"{'all' if path.stem == 'all' else 'own'} full"] += most == SLOTS["shared" if path.stem == "all" else "own"]
    for run in all_:
        state = State()
        for fact in read_facts(folder / ".weft" / "runs" / run.id):
            apply(state, fact)
        assert audit(state) == []
        assert not any(state.holders), f"run {run.id} holds {state.holders}"
        assert holder(folder / ".weft" / "runs" / run.id) is None
    assert taken(folder / ".weft" / "pools" / "shared") == {}, "shared slots are taken"
    return found


def many(seed: int, wanted: int) -> Counter[str]:
    """Play until so many runs have ended."""
    total: Counter[str] = Counter()
    while total["runs"] < wanted:
        with tempfile.TemporaryDirectory(prefix="weft-slots-") as name:
            try:
                total += play(Path(name), seed, min(AT_ONCE, wanted - total["runs"]))
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}") from error
        seed += 1
    return total


if __name__ == "__main__":
    first_seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    counts = many(first_seed, int(sys.argv[1]))
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    print(f"{told}; no limit was exceeded, nothing is held (pid {os.getpid()})")
