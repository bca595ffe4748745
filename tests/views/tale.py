"""Facts for views: the real core, told what happens and when."""

from collections.abc import Callable
from typing import Any

import msgspec

from weft.core import facts as f
from weft.core.apply import apply
from weft.core.commands import EvaluateCondition, EvaluateOutputs
from weft.core.decide import receive
from weft.core.facts import Fact, Limits
from weft.core.state import State
from weft.model.output import ErrorRecord, Output
from weft.model.workflow import Pool, Retry, Shell, Sleep, Step, Workflow

Golden = Callable[[str, str], None]

BEGIN = 1_760_000_000.0
"""2025-10-09 08:53:20 UTC."""


def step(id_: str, *needs: str, **fields: Any) -> Step:
    return Step(id=id_, needs=needs, **{"action": Shell(script=f"./{id_}.sh\n"), **fields})


class Tale:
    """A run as it goes. Each method lets something happen `after` so many seconds more; `facts` is what the journal would hold.

    `verdicts` maps steps to what their `if` gives (else true); `outputs` is what the outputs of the run give.
    """

    def __init__(
        self, workflow: Workflow, *, limits: Limits | None = None, verdicts: dict[str, bool] | None = None, outputs: Any = None
    ) -> None:
        self.state = State()
        self.facts: list[Fact] = []
        self.now = BEGIN
        self._verdicts = verdicts or {}
        self._outputs = outputs if outputs is not None else {}
        created = f.RunCreated(at=0.0, run="mupid-takol", workflow=workflow, inputs={"day": "monday"}, seed=0)
        self._turn(created, self._attached(limits or Limits(computing=2, waiting=256)))

    def _attached(self, limits: Limits) -> f.EngineAttached:
        return f.EngineAttached(at=0.0, pid=100, host="here", limits=limits)

    def _turn(self, *observed: f.Observed) -> None:
        turn = receive(self.state, observed, self.now)
        self.facts += turn.facts
        for command in turn.commands:
            match command:
                case EvaluateCondition(step=step):
                    self._turn(f.ConditionEvaluated(at=0.0, step=step, verdict=self._verdicts.get(step, True)))
                case EvaluateOutputs() if isinstance(self._outputs, ErrorRecord):
                    self._turn(f.OutputsEvaluated(at=0.0, outputs={}, error=self._outputs))
                case EvaluateOutputs():
                    self._turn(f.OutputsEvaluated(at=0.0, outputs=self._outputs))

    def wait(self, after: float) -> "Tale":
        """Let time pass; timers fire at its end."""
        self.now += after
        self._turn()
        return self

    def spawn(self, step: str, pid: int) -> "Tale":
        self._turn(f.AttemptSpawned(at=0.0, step=step, attempt=self._attempt(step), pid=pid))
        return self

    def ok(self, step: str, after: float = 0.0, output: Output | None = None, **numbers: Any) -> "Tale":
        self.now += after
        ended = {
            "at": 0.0,
            "step": step,
            "attempt": self._attempt(step),
            "outcome": "ok",
            "output": output or Output(),
            **numbers,
        }
        self._turn(msgspec.convert(ended, f.AttemptEnded))
        return self

    def fail(self, step: str, after: float = 0.0, message: str = "exit 1", *, cpu_s: float | None = None, **error: Any) -> "Tale":
        self.now += after
        record = ErrorRecord(**{"kind": "exit", "message": message, **error})
        ended = f.AttemptEnded(at=0.0, step=step, attempt=self._attempt(step), outcome="failed", error=record, cpu_s=cpu_s)
        self._turn(ended)
        return self

    def stopped(self, step: str, after: float = 0.0) -> "Tale":
        """The process tree of an attempt that was being ended is dead."""
        self.now += after
        self._turn(f.AttemptEnded(at=0.0, step=step, attempt=self._attempt(step), outcome="cancelled"))
        return self

    def suspend(self, how: Any = "drain", after: float = 0.0) -> "Tale":
        self.now += after
        self._turn(f.SuspendRequested(at=0.0, how=how, by="SIGINT"))
        return self

    def cancel(self, after: float = 0.0, reason: str = "") -> "Tale":
        self.now += after
        self._turn(f.CancelRequested(at=0.0, by="ann", reason=reason))
        return self

    def resume(self, after: float = 0.0, limits: Limits | None = None) -> "Tale":
        """A new engine takes the run, whatever became of the last one."""
        self.now += after
        self.state = State()
        for fact in self.facts:
            apply(self.state, fact)
        self._turn(self._attached(limits or self.state.limits))
        return self

    def _attempt(self, step: str) -> int:
        return self.state.alive[self.state.graph.index[step]].number


def nightly() -> Workflow:
    """A small workflow with a pool, a retry, a condition, and a step that may fail."""
    return Workflow(
        name="nightly",
        resources={"database": Pool(slots=1)},
        steps=(
            step("fetch", title="fetch the day", expect_s=4.0),
            step("lint", on_error="continue"),
            step("load", "fetch", resources={"database": 1}, retry=Retry(times=2, delay_s=2.0, jitter=False)),
            step("index", "fetch", resources={"database": 1}, timeout_s=60.0),
            step("publish", "load", "index", condition="inputs.day == 'friday'"),
            step("mail", "publish"),
            step("report", "load", "lint", expect_s=3.0),
            Step(id="cool_down", action=Sleep(seconds=5.0), needs=("report",)),
        ),
    )


def whole_night() -> Tale:
    """`nightly` to its end: one retry, one tolerated failure, two skips."""
    tale = Tale(nightly(), verdicts={"publish": False})
    tale.spawn("fetch", 4001).spawn("lint", 4002)
    tale.fail("lint", 0.5, "exit 3", exit_code=3, tail="a.py:1: too long\n", hint="wrap the line")
    tale.ok("fetch", 3.5, Output(inline=msgspec.Raw(b'{"rows": 12}'), size=12), cpu_s=1.25, rss_bytes=64 << 20)
    tale.fail("load", 1.0, "exit 1", exit_code=1, tail="locked\n", cpu_s=0.1)
    tale.ok("index", 3.0, cpu_s=2.0).ok("load", 6.0).ok("report", 2.5).ok("cool_down", 5.0)
    return tale


class Time:
    """A clock and a `later` that are moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.calls: list[tuple[float, Callable[[], None]]] = []

    def clock(self) -> float:
        return self.now

    def later(self, delay_s: float, call: Callable[[], None]) -> "Time":
        self.calls = [(self.now + delay_s, call)]
        return self

    def cancel(self) -> None:
        self.calls = []

    def move(self, seconds: float) -> None:
        """Let time pass and ring what is due."""
        end = self.now + seconds
        while self.calls and self.calls[0][0] <= end:
            self.now, call = self.calls.pop()
            call()
        self.now = end
