"""`make bench`: weft against its controls, in a harness that lives outside this repository and knows twenty other engines.

The harness wants a folder of virtual environments, one for each peer; here all of them are the one this script runs in, since the
controls (asyncio, xargs, bare SQLite, bare posix_spawn) need nothing but Python. Results go to `.bench/out/table.md`.

    make bench                                                    # everything, a few minutes
    make bench BENCH_ARGS='--workloads W4,W6 --scale 0.1'         # a part; the arguments of the harness's run.py
"""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOME = HERE.parent / ".bench"
HARNESS = Path(os.environ.get("BENCH_PEERS") or HERE.parents[1] / "shared" / "bench" / "peers").resolve()
CONTROLS = "loop,asyncio,asyncio-dyn,threadpool,posix_spawn-py,xargs,sqlite-wal-normal,sqlite-wal-full,log-fdatasync"
PEERS = f"weft-mem,weft,weft-shell,{CONTROLS}"


def main() -> int:
    if not (HARNESS / "run.py").is_file():
        print("no harness at BENCH_PEERS (a folder with run.py and adapters/): set it and try again", file=sys.stderr)
        return 2
    for name in ("base", "weft"):
        link = HOME / "venvs" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.exists():
            link.symlink_to(sys.prefix)
    out = HOME / "out"
    out.mkdir(exist_ok=True)
    env = {**os.environ, "BENCH_HOME": str(HOME), "BENCH_EXTRA": str(HERE / "peer_weft.py")}
    run = [sys.executable, str(HARNESS / "run.py"), "--peers", PEERS, "--out", str(out / "results.json"), *sys.argv[1:]]
    done = subprocess.run(run, env=env, check=False)
    if done.returncode == 0:
        with (out / "table.md").open("w") as table:
            done = subprocess.run([sys.executable, str(HARNESS / "report.py"), str(out)], stdout=table, env=env, check=False)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
