"""What parallelism saves on the demonstration of the Hybrid Workflow Engine, whose document claims 1.93, and with four sleeps.

python benchmarks/hwfe.py [ROUNDS]

Modes take turns. What weft itself takes is the parallel run without the second of its critical path, and without the control:
Python that imports asyncio, and then one Lua and one Python worker that start one after the other.
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path

from scale import WEFT, cost

SEEDS = Path(__file__).parents[1] / "tests" / "formats" / "seeds" / "hwfe"
CRITICAL_PATH_S = 1.0
CONTROL = (
    "import asyncio, subprocess, sys\n"
    "for code in ('import lupa.lua54', 'import json'):\n"
    "    subprocess.run([sys.executable, '-c', code], check=True)\n"
)


def main() -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each process would compile all of weft again
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print("| file | sequential | parallel | ratio | beyond the critical path | control |\n|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory(dir=".") as name:
        os.environ["WEFT_STATE"] = str(Path(name).resolve() / "state")
        os.environ["HWFE_MAX_PARALLEL_STEPS"] = "4"
        for file in ("parallel_demo.lua", "four_sleeps.lua"):
            walls_s: dict[str, list[float]] = {"sequential": [], "parallel": [], "control": []}
            for _ in range(rounds + 1):  # the first round only fills the caches
                for mode in ("sequential", "parallel"):
                    os.environ["HWFE_EXECUTION_MODE"] = mode
                    walls_s[mode].append(cost(WEFT, "run", "-q", str(SEEDS / file)).wall_s)
                walls_s["control"].append(cost(sys.executable, "-c", CONTROL).wall_s)
            one, many, control = (statistics.median(walls_s[what][1:]) for what in ("sequential", "parallel", "control"))
            over_ms = (many - CRITICAL_PATH_S) * 1e3
            print(f"| {file} | {one:.2f} s | {many:.2f} s | {one / many:.2f}× | {over_ms:.0f} ms | {control * 1e3:.0f} ms |")


if __name__ == "__main__":
    main()
