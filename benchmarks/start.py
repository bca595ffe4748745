"""How long weft takes to start: whole processes, from exec to end, in turns with Python that imports asyncio and does nothing.

python benchmarks/start.py [ROUNDS]
"""

import os
import statistics
import sys
import tempfile
from pathlib import Path

from scale import WEFT, cost

HELLO = "steps: {a: {run: echo hi}, b: {run: echo ho, needs: [a]}}\n"


def main() -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each process would compile all of weft again
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    with tempfile.TemporaryDirectory(dir=".") as name:
        hello = Path(name) / "hello.weft.yaml"
        hello.write_text(HELLO)
        os.environ["WEFT_STATE"] = str(Path(name).resolve() / "state")
        commands = {
            "python -c 'import asyncio'": (sys.executable, "-c", "import asyncio"),
            "weft --version": (WEFT, "--version"),
            "weft check hello": (WEFT, "check", str(hello)),
            "weft run hello": (WEFT, "run", "-q", str(hello)),
            "weft run hello, in memory": (WEFT, "run", "-q", "--durability", "none", str(hello)),
        }
        walls_s: dict[str, list[float]] = {what: [] for what in commands}
        for _ in range(rounds + 1):  # the first round only fills the caches
            for what, command in commands.items():
                walls_s[what].append(cost(*command).wall_s)
    control_s = statistics.median(next(iter(walls_s.values()))[1:])
    print("| command | median | of Python with asyncio |\n|---|---:|---:|")
    for what, all_s in walls_s.items():
        median_s = statistics.median(all_s[1:])
        print(f"| `{what}` | {median_s * 1e3:.0f} ms | {median_s / control_s:.2f}× |")


if __name__ == "__main__":
    main()
