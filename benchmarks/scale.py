"""What weft costs as workflows grow, and how near recorded workflows come to the shortest time that is possible.

Each figure is that of a whole process, from exec to its end: wall time and peak memory as the kernel counted them (wait4). The
first column is Python with asyncio and nothing else, started just before: the machine's pace at that moment.

    python benchmarks/scale.py                                # 1,000, 10,000 and 100,000 steps
    python benchmarks/scale.py 1000000                        # other sizes
    python benchmarks/scale.py --trace FILE...                # recorded workflows, a thousand times as fast, 16 steps at once
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

SIZES = (1_000, 10_000, 100_000)
WIDTH, NEEDS = 100, 3
"""Layers of this many steps, each with this many needs in the layer before."""
WEFT = str(Path(sys.executable).with_name("weft"))
LOAD = """
import sys
from pathlib import Path
from weft.formats import load
assert load(Path(sys.argv[1]).read_bytes(), sys.argv[1]).workflow
"""
TRACE = ("--time-scale", "0.001", "-j", "16")


class Cost(NamedTuple):
    wall_s: float
    rss_mib: float


def write_layered(file: Path, steps: int) -> None:
    """A workflow of steps that do nothing, whose graph is neither a chain nor a fan.

    Piece by piece: what this process holds in memory the kernel counts for its children too, until their exec.
    """

    def needs(i: int) -> list[str]:
        above = i - i % WIDTH - WIDTH
        return [f"s{above + (i * 7 + k * 31) % WIDTH}" for k in range(NEEDS)] if above >= 0 else []

    with file.open("w") as text:
        text.write('{"steps": {')
        for i in range(steps):
            text.write(f'{"," * bool(i)}\n"s{i}": {{"sleep": 0, "needs": {json.dumps(needs(i))}}}')
        text.write("}}")


def cost(*command: str) -> Cost:
    """Run a command to its end. Raises CalledProcessError."""
    begin = time.perf_counter()
    quiet = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=quiet)
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), command)
    return Cost(time.perf_counter() - begin, usage.ru_maxrss / 1024)


def scale(folder: Path, sizes: list[int]) -> None:
    print("| steps | Python + asyncio | check | load | plan | run, durable | µs a step |\n|---:|---:|---:|---:|---:|---:|---:|")
    for steps in sizes:
        file = folder / "scale.json"
        write_layered(file, steps)
        costs = [
            cost(sys.executable, "-c", "import asyncio"),
            cost(WEFT, "check", str(file)),
            cost(sys.executable, "-c", LOAD, str(file)),
            cost(WEFT, "plan", str(file)),
            cost(WEFT, "run", "-q", str(file)),
        ]
        cells = " | ".join(f"{wall_s:.2f} s, {rss_mib:.0f} MiB" for wall_s, rss_mib in costs)
        print(f"| {steps:,} | {cells} | {(costs[-1].wall_s - costs[0].wall_s) / steps * 1e6:.0f} |", flush=True)


def traces(files: list[str]) -> None:
    print(
        "| trace | steps | work | critical path | lower bound | makespan | over the bound |\n|---|---:|---:|---:|---:|---:|---:|"
    )
    for file in files:
        plan = asked("plan", file, *TRACE)
        work_s, span_s = plan["estimated_work_s"], plan["estimated_span_s"]
        bound_s = max(span_s, work_s / plan["limits"]["total"])
        cost(WEFT, "run", "-q", file, *TRACE)
        makespan_s = asked("show", "@")["numbers"]["makespan_s"]
        name = Path(file).name.partition(".")[0]
        seconds = " | ".join(f"{value:.3f} s" for value in (work_s, span_s, bound_s, makespan_s))
        print(f"| {name} | {len(plan['steps']):,} | {seconds} | {makespan_s / bound_s:.2f}× |", flush=True)


def asked(*words: str) -> Any:
    return json.loads(subprocess.check_output([WEFT, *words, "--json"]))


def main() -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each process would compile all of weft again
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name).resolve()
        os.environ["WEFT_STATE"] = str(folder / "state")
        if sys.argv[1:2] == ["--trace"]:
            traces(sys.argv[2:])
        else:
            scale(folder, [int(size) for size in sys.argv[1:]] or list(SIZES))


if __name__ == "__main__":
    main()
