"""What weft does, once more: slow, short, and written from the definition of the semantics alone.

At each instant everything is worked out from scratch: rules look for one thing to do, and begin anew when they have done one. Nothing
here is shared with `weft.core`, so that a mistake would have to be made twice to pass. Times are seconds from the start of the run.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from weft.model.workflow import WAITING_ACTIONS, Step, Workflow

AUTO_WAITING = 256


@dataclass
class World:
    """What happens to the steps: `outcomes[step, attempt]` = (seconds, "ok" or the kind of failure), else one second and ok."""

    outcomes: dict[tuple[str, int], tuple[float, str]] = field(default_factory=dict)
    stop_s: float = 0.25
    cpus: int = 2
    cancel_at_s: float | None = None
    learned_s: dict[str, float] = field(default_factory=dict)


@dataclass
class Attempt:
    start: float
    end: float
    outcome: str
    told: bool = False


@dataclass
class Result:
    """`starts`: (time, step, attempt) in order; `steps`: id → (status, class of the reason), in file order."""

    starts: list[tuple[float, str, int]]
    steps: dict[str, tuple[str, str]]
    outcome: str
    end: float


class Model:
    def __init__(self, workflow: Workflow, world: World) -> None:
        self.workflow, self.world, self.now = workflow, world, 0.0
        self.steps = {step.id: step for step in workflow.steps}
        self.attempts: dict[str, list[Attempt]] = {id_: [] for id_ in self.steps}
        self.settled: dict[str, tuple[str, str]] = {}
        self.starts: list[tuple[float, str, int]] = []

    def run(self) -> Result:
        while True:
            while any(rule(step) for rule in (self.settle, self.stop, self.skip) for step in self.open()) or self.start():
                pass
            if not self.open():
                break
            self.now = min(point for point in self.points() if point > self.now)
        return Result(self.starts, {id_: self.settled[id_] for id_ in self.steps}, self.outcome(), self.now)

    def points(self) -> Iterator[float]:
        """Every instant at which something may change."""
        yield from (limit for limit in (self.world.cancel_at_s, self.workflow.timeout_s) if limit is not None)
        for step in self.open():
            for n, attempt in enumerate(self.attempts[step.id], 1):
                yield attempt.end
                yield attempt.end + self.delay(step, n)
                yield attempt.start + (step.timeout_s or 0)
                yield attempt.start + (step.deadline_s or 0)

    # What is so at this instant

    def open(self) -> list[Step]:
        return [step for step in self.steps.values() if step.id not in self.settled]

    def alive(self, step: Step) -> bool:
        return bool(self.attempts[step.id]) and self.attempts[step.id][-1].end > self.now

    def layer(self, step: Step) -> int:
        return max((self.layer(self.steps[need]) + 1 for need in step.needs), default=0)

    def path(self, step: Step) -> float:
        weight = self.world.learned_s.get(step.id, 1 if step.expect_s is None else step.expect_s)
        return weight + max((self.path(other) for other in self.steps.values() if step.id in other.needs), default=0)

    def order(self, step: Step) -> tuple[float, ...]:
        file_order = list(self.steps).index(step.id)
        return (file_order,) if self.workflow.schedule == "sequential" else (-step.priority, -self.path(step), file_order)

    def delay(self, step: Step, attempt: int) -> float:
        return min(step.retry.max_delay_s, step.retry.delay_s * step.retry.factor ** (attempt - 1))

    def counts_as(self, id_: str) -> str:
        status, reason = self.settled[id_]
        if status == "failed" and self.steps[id_].on_error == "continue":
            return "succeeded"
        return "failed" if status == "cancelled" or (status == "skipped" and reason != "condition") else status

    def ready(self, step: Step) -> bool:
        """All needs have settled; with layers: every step of the layers before."""
        if self.workflow.schedule == "layers":
            return all(other.id in self.settled for other in self.steps.values() if self.layer(other) < self.layer(step))
        return all(need in self.settled for need in step.needs)

    def halted(self, step: Step) -> tuple[str, bool]:
        """What keeps this step from going on, or nothing; and whether what runs may end."""
        if self.world.cancel_at_s is not None and self.world.cancel_at_s <= self.now:
            return "cancel", False
        if self.workflow.timeout_s is not None and self.workflow.timeout_s <= self.now:
            return "run timeout", False
        failed = [self.steps[id_] for id_, (status, _) in self.settled.items() if status == "failed"]
        stops = [other.drain for other in failed if other.on_error == "stop"]
        if stops:
            return "stop", all(stops)
        same_layer = [other for other in failed if other.on_error == "stop_layer" and self.layer(other) == self.layer(step)]
        return ("stop_layer" if same_layer else ""), False

    def holds(self, step: Step) -> bool:
        """Whether its condition does."""
        needs = [self.counts_as(need) for need in step.needs]
        failed = "failed" in needs
        success = not failed and ("succeeded" in needs or not needs)
        if not step.condition:
            return success
        own = re.search(r"always\(\)|failed\(\)|success\(\)|\.status", step.condition)
        text = re.sub(r"steps\.(\w+)\.status", r"status('\1')", step.condition.replace("&&", " and ").replace("||", " or "))
        names = {"always": lambda: True, "failed": lambda: failed, "success": lambda: success, "true": True, "false": False}
        verdict = eval(text, names | {"status": lambda id_: self.settled[id_][0]})  # noqa: S307
        return bool(verdict if own else success and verdict)

    def fits(self, step: Step) -> bool:
        running = [other for other in self.open() if self.alive(other)]
        if self.workflow.schedule == "sequential" and running:
            return False
        limit = self.workflow.max_parallel
        if limit in ("auto", 0):
            waits = isinstance(step.action, WAITING_ACTIONS)
            rivals = sum(isinstance(other.action, WAITING_ACTIONS) == waits for other in running)
            if rivals >= (AUTO_WAITING if waits else self.world.cpus):
                return False
        elif limit != "unlimited" and len(running) >= int(limit):
            return False
        held = {pool: sum(other.resources.get(pool, 0) for other in running) for pool in step.resources}
        return all(held[pool] + weight <= self.workflow.resources[pool].slots for pool, weight in step.resources.items())

    def outcome(self) -> str:
        reasons = {reason for _, reason in self.settled.values()}
        if "cancel" in reasons:
            return "cancelled"
        failed = [self.steps[id_].on_error for id_, (status, _) in self.settled.items() if status == "failed"]
        if "run timeout" in reasons or any(policy != "continue" for policy in failed):
            return "failed"
        return "succeeded_with_errors" if failed else "succeeded"

    # The rules: each does one thing and says so, or does nothing

    def stop(self, step: Step) -> bool:
        """End what may not go on: an attempt is told to stop and keeps what it holds until it is dead."""
        halt, drain = self.halted(step)
        first, last = (self.attempts[step.id] or [None])[0], (self.attempts[step.id] or [None])[-1]
        if halt and not self.alive(step):
            return self.end(step, *(("cancelled", halt) if last and last.outcome != "ok" else ("skipped", halt)))
        if not first or not last or last.told or not self.alive(step):
            return False
        late = step.timeout_s is not None and last.start + step.timeout_s <= self.now
        late |= step.deadline_s is not None and first.start + step.deadline_s <= self.now
        if late or (halt and not drain):
            last.told, last.outcome, last.end = True, halt or "timeout", self.now + self.world.stop_s
        return last.told

    def settle(self, step: Step) -> bool:
        """What an ended attempt means for its step."""
        if not self.attempts[step.id] or self.alive(step):
            return False
        first, last, n = self.attempts[step.id][0], self.attempts[step.id][-1], len(self.attempts[step.id])
        if last.outcome in ("ok", "cancel", "run timeout", "stop", "stop_layer"):
            return self.end(step, *(("succeeded", "") if last.outcome == "ok" else ("cancelled", last.outcome)))
        late = step.deadline_s is not None and first.start + step.deadline_s <= self.now
        again = last.end + self.delay(step, n) - first.start
        too_long = step.retry.max_elapsed_s is not None and again > step.retry.max_elapsed_s
        wanted = not step.retry.when or last.outcome in step.retry.when
        return (late or too_long or n > step.retry.times or not wanted) and self.end(step, "failed", last.outcome)

    def skip(self, step: Step) -> bool:
        """`if` is evaluated when all needs have settled."""
        if self.attempts[step.id] or not all(need in self.settled for need in step.needs) or self.holds(step):
            return False
        failed = any(self.counts_as(need) == "failed" for need in step.needs)
        return self.end(step, "skipped", "failure" if failed and not step.condition else "condition")

    def end(self, step: Step, status: str, reason: str) -> bool:
        self.settled[step.id] = status, reason
        return True

    def start(self) -> bool:
        """The first in order among the ready that fits."""
        for step in sorted(filter(self.ready, self.open()), key=self.order):
            tries = self.attempts[step.id]
            rested = not tries or (not self.alive(step) and tries[-1].end + self.delay(step, len(tries)) <= self.now)
            if rested and self.fits(step):
                seconds, outcome = self.world.outcomes.get((step.id, len(tries) + 1), (1.0, "ok"))
                tries.append(Attempt(self.now, self.now + seconds, outcome))
                self.starts.append((self.now, step.id, len(tries)))
                return True
        return False
