"""Writes the fixture of the present format, fixtures/vN/{closed,crashed}/bold-otter. Run it once, when FORMAT goes up.

The fixtures of older formats are never written again: they are the proof that a journal written then still opens.
"""

import shutil
import sys
from pathlib import Path

import msgspec

from weft.core import facts as f
from weft.journal.codec import FORMAT
from weft.journal.sqlite import SqliteJournal
from weft.journal.store import Store
from weft.model.output import ErrorRecord, Output
from weft.model.workflow import Argv, Input, Pool, Python, Retry, Shell, Sleep, Step, Workflow

ERROR = ErrorRecord(kind="exit", message="exit status 22", exit_code=22, hint="look at stderr", tail="not found\n")
LARGE = b"large output\n" * 5100

WORKFLOW = Workflow(
    name="sample",
    description="One of each kind.",
    inputs={"day": Input(type="string", default="2026-01-31", choices=("2026-01-31", "2026-02-28"))},
    outputs={"rows": "${{ steps.count.output }}"},
    secrets=("TOKEN",),
    env={"LANG": "C.UTF-8"},
    resources={"database": Pool(slots=2)},
    max_parallel=4,
    schedule="layers",
    timeout_s=3600.0,
    steps=(
        Step(id="fetch", action=Shell(script="curl -f $url", shell=("bash", "-c")), inputs={"url": "x"}, secrets=("TOKEN",)),
        Step(id="list", action=Argv(argv=("ls", "-l")), needs=("fetch",), resources={"database": 1}, output="lines"),
        Step(id="count", action=Python(code="def run(i): return 1"), needs=("list",), retry=Retry(times=2, when=("timeout",))),
        Step(id="rest", action=Sleep(seconds=0.5), condition="always()", on_error="continue", timeout_s=60.0, expect_s=0.5),
        Step(id="last", action=Sleep(seconds=0.0), on_error="stop", drain=True, deadline_s=3.5),
    ),
)


def facts(blob: Output) -> list[f.Fact]:
    """One or more of each kind, with every field set somewhere."""
    small = Output(form="json", inline=msgspec.Raw(b'{"rows": [1, 2.5, "\xc3\xa9", 123456789012345678901234567890]}'), size=58)
    return [
        f.RunCreated(
            at=1764000000.25,
            run="bold-otter",
            workflow=WORKFLOW,
            inputs={"day": "2026-02-28", "big": 2**80, "deep": [{"a": None}]},
            seed=7,
            source="sample.weft.yaml",
            digest="ab" * 32,
            project="project",
            time_scale=0.5,
            estimates={"fetch": 0.25},
            durability="power",
            version="0.1.0",
        ),
        f.EngineAttached(
            at=1764000000.5, pid=4321, host="host", limits=f.Limits(total=4, computing=2, waiting=256), version="0.1.0"
        ),
        f.StepsReady(at=1764000000.5, steps=["fetch", "rest"]),
        f.AttemptStarted(at=1764000000.5, step="fetch", attempt=1),
        f.AttemptSpawned(at=1764000000.6, step="fetch", attempt=1, pid=4322, started=123456),
        f.AttemptStopping(at=1764000001.0, step="fetch", attempt=1, cause="timeout"),
        f.AttemptEnded(at=1764000001.1, step="fetch", attempt=1, outcome="failed", error=ERROR, cpu_s=0.01, rss_bytes=4096),
        f.BackoffStarted(at=1764000001.1, step="fetch", attempt=1, until=1764000002.1),
        f.AttemptEnded(at=1764000003.0, step="fetch", attempt=2, outcome="ok", output=blob),
        f.AttemptEnded(at=1764000003.0, step="list", attempt=1, outcome="ok", output=small),
        f.AttemptLost(at=1764000004.0, step="rest", attempt=1, reason="suspend"),
        f.SuspendRequested(at=1764000004.0, how="drain", by="signal"),
        f.RunSuspended(at=1764000004.0),
        f.ConditionEvaluated(at=1764000005.0, step="rest", verdict=False, error=ERROR),
        f.StepFailed(at=1764000005.0, step="rest", error=ERROR),
        f.StepsSkipped(at=1764000005.0, steps=["count"], reason="need_failed", because="rest"),
        f.CancelRequested(at=1764000006.0, by="somebody", reason="enough"),
        f.StepCancelled(at=1764000006.0, step="count", cause="cancel"),
        f.OutputsEvaluated(at=1764000007.0, outputs={"rows": 2**70}, error=ERROR),
        f.RunEnded(at=1764000007.0, status="cancelled"),
        f.RetryRequested(at=1764000008.0, by="somebody"),
        f.RunTimedOut(at=1764000009.0),
        f.RunEnded(at=1764000010.0, status="failed"),
    ]


def main(root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    folder = root / "closed" / "bold-otter"
    journal = SqliteJournal(folder, durability="power", create=True)
    story = facts(Store(folder).keep(LARGE, "text"))
    journal.append(story[:12])
    journal.close()
    journal = SqliteJournal(folder, durability="power", create=False)
    last = journal.append(story[12:])
    while journal.durable < last:
        pass
    shutil.copytree(folder, root / "crashed" / "bold-otter")
    journal.close()
    for name in ("lock", "journal.db-shm"):
        for path in root.rglob(name):
            path.unlink()


if __name__ == "__main__":
    main(Path(__file__).parent / "fixtures" / f"v{FORMAT}")
    sys.stdout.write(f"format {FORMAT}\n")
