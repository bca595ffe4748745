"""The whole scheduling truth of one run. `apply` alone writes it; everybody else reads.

- No counter of free slots exists: `holders` lists the living steps by what they hold, and what is free is computed from it.
- `agenda`, `parked`, `timers`, `queues`, `posted`, `lacking`, `heads`, `stirred`, `line`, `halt_due`, `outputs_due`, `gate_due`
  and `plan` are worklists that apply fills and the deciders empty. They hold candidates, not truth: an entry that no longer
  applies is dropped by whoever takes it out, so a replay may leave as many as it likes.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from heapq import heappop

from weft.core import facts as f
from weft.core.curbs import Curbs
from weft.core.demand import LAST, TOTAL, Demands, Rank
from weft.core.facts import Limits
from weft.core.leases import Leases
from weft.core.status import Status
from weft.model.expression import parse
from weft.model.graph import Graph
from weft.model.output import ErrorRecord, Usage
from weft.model.workflow import Step, Workflow

UNWANTED = ("condition", "needs_skipped", "not_selected", "not_needed", "gate")
"""Reasons to skip a step that are no failure."""


class Attempt:
    """An attempt that is alive: its number, when it started, the GPUs that it has, its process if it has one, and why it is being
    stopped, if it is."""

    __slots__ = ("cause", "gpus", "number", "pid", "pid_started", "started")

    def __init__(self, number: int, started: float, gpus: tuple[str, ...] = ()) -> None:
        self.number = number
        self.started = started
        self.gpus = gpus
        self.cause: f.StopCause | None = None
        self.pid = 0
        self.pid_started = 0


class State:
    """Lists over step numbers, and for what concerns few steps, mappings keyed by step number.

    `seq`, `now`: number and time of the last fact. `unsettled`: needs that have not settled. `attempts`: number of the last
    attempt. `failures`: attempts that count against `retry`. `unblocked_seq`, `ended_seq`: number of the fact that let the step
    start, that ended its last attempt. `unsettled_children`: the same as `unsettled` for the parts of an expanded step. `keys`:
    what names an instance of a fan-out; `wired`: fan-outs that get the same instances as this one. `took_s`: how long the
    attempt took that succeeded. `pending`: the end of an attempt that awaits its verdict. `open`: steps that have not settled,
    `layer_open` the same by layer, `front` the first layer that has any, since fact `front_seq`. `stop_causes`: why an attempt
    of the step was stopped. `users`: id of a fallback → the step that names it; `stand_ins`: a failed step → the fallback that
    runs in its place, `first_errors`: and why it failed. `interrupted`: steps that wait for a person, with the attempt that was
    lost; `told`: what was said of the last time. `last`: the steps of `finally` and their parts, of which `last_open` have not
    settled; `ending`: they run now, `cut_short`: and are not wanted. `used`: what attempts have reported as used.
    `stopped_layers`: layer → the step whose failure stopped it. `holders`: for each pool, weight → the steps that hold so much
    of it. `reused`: the run that the output of a step was taken from. `not_stored`: why a success will not be reused.

    `curbs`: what bounds pools beside their holders. `leases`: what the run has of pools that runs share. `line`: ranks of ready
    steps, of which the first that is still ready counts.
    `gates`: those that were opened, by name; `answers` to them; `asking`: those that are open, in order. `passed`: the
    last layer whose gate has been passed (none stands before layer 0). `rejected`: steps that somebody did not approve. `stays`:
    the engine stays while all waits for people. `waiting`: it has left for that. `left`: for that, or suspended.

    For the dispatcher: `queues` holds the ranks of ready steps by kind; `posted` the rank of the one that stands for its kind
    among the `heads`, which are sorted by what was `lacking`: a pool, and so much of it. The heads of `stirred` pools are to be
    looked at.
    """

    def __init__(self, workflow: Workflow | None = None) -> None:
        self.seq = 0
        self.now = 0.0
        self.created: f.RunCreated | None = None
        self.limits = Limits()
        self.ended: f.RunEnded | None = None
        self.cancelled: f.CancelRequested | None = None
        self.suspending: f.SuspendRequested | None = None
        self.suspended = False
        self.waiting: f.RunWaiting | None = None
        self.left = False
        self.stays = False
        self.deadline: float | None = None
        self.timed_out: f.RunTimedOut | None = None
        self.stopped_by: int | None = None
        self.stopped_layers: dict[int, int] = {}
        self.outputs: f.OutputsEvaluated | None = None
        self.ending: f.RunEnding | None = None
        self.cut_short = False
        self.used = Usage()
        self.broke: f.BudgetSpent | None = None
        self.failed_hard = 0
        self.failed_soft = 0
        self.rejected = 0
        self.gates: dict[str, f.GateOpened] = {}
        self.answers: dict[str, f.GateAnswered] = {}
        self.asking: dict[str, None] = {}
        self.passed = 0
        self.alive: dict[int, Attempt] = {}
        self.pending: dict[int, f.AttemptEnded | f.AttemptLost] = {}
        self.verdicts: dict[int, f.ConditionEvaluated] = {}
        self.prints: dict[int, f.FingerprintTaken] = {}
        self.reused: dict[int, str] = {}
        self.not_stored: dict[int, str] = {}
        self.left_out: frozenset[str] = frozenset()
        self.errors: dict[int, ErrorRecord] = {}
        self.skips: dict[int, f.StepsSkipped] = {}
        self.stop_causes: dict[int, f.CancelCause] = {}
        self.backoff_until: dict[int, float] = {}
        self.first_started: dict[int, float] = {}
        self.ended_seq: dict[int, int] = {}
        self.unsettled_children: dict[int, int] = {}
        self.keys: dict[int, str] = {}
        self.took_s: dict[int, float] = {}
        self.agenda: deque[int] = deque()
        self.parked: dict[int, list[int]] = {}
        self.timers: list[tuple[float, int, int]] = []
        self.halt_due = False
        self.outputs_due = False
        self.gate_due = False
        self.plan: f.GateAnswered | None = None
        self.load(workflow or Workflow(name="", steps=()), {})

    def load(self, workflow: Workflow, estimates: Mapping[str, float]) -> None:
        """Lay out the lists for a workflow of which nothing has happened. `estimates`: see RunCreated."""
        self.workflow = workflow
        self.estimates = estimates
        self.steps: list[Step] = []
        self.graph = Graph(workflow.steps)
        self.status: list[Status] = []
        self.attempts: list[int] = []
        self.failures: list[int] = []
        self.unsettled: list[int] = []
        self.unblocked_seq: list[int] = []
        self.open = 0
        self.layers = self.graph.layers()
        self.layer_open = [0] * len(self.layers)
        self.front = self.front_seq = 0
        self.demands = Demands(workflow)
        self.curbs = Curbs(self.demands)
        self.leases = Leases()
        self.line: list[Rank] = []
        self.holders: list[dict[int, set[int]]] = []
        self.ready: list[set[int]] = []
        self.queues: list[list[Rank]] = []
        self.posted: list[Rank] = []
        self.lacking: list[tuple[int, int]] = []
        self.heads: list[dict[int, list[tuple[Rank, int]]]] = []
        self.stirred: set[int] = set()
        self.wired: dict[int, list[int]] = {}
        self.users: dict[str, int] = {}
        self.stand_ins: dict[int, int] = {}
        self.interrupted: dict[int, int] = {}
        self.told: dict[int, f.InterruptAnswered] = {}
        self.first_errors: dict[int, ErrorRecord] = {}
        self.last: set[int] = set()
        self.last_open = 0
        self._lengthen(workflow.steps, None)

    def grow(self, steps: Sequence[Step], parent: int | None, layer: int) -> range:
        """Take in further steps, which wait; their numbers. Raises ValueError like Graph."""
        first = len(self.steps)
        self.graph.add(steps, parent, layer)
        if layer == len(self.layers):
            self.layers.append([])
            self.layer_open.append(0)
        self.layers[layer] += range(first, first + len(steps))
        self._lengthen(steps, parent)
        if parent is not None:
            self.unsettled_children[parent] = self.unsettled_children.get(parent, 0) + len(steps)
        return range(first, len(self.steps))

    def _lengthen(self, steps: Sequence[Step], parent: int | None) -> None:
        """One more place in every list for each of these steps, which the graph has already."""
        first, n, status = len(self.steps), len(steps), self.status
        self.steps += steps
        status += [Status.WAITING] * n
        self.attempts += [0] * n
        self.failures += [0] * n
        if first:
            self.unsettled += [sum([not status[need].settled for need in needs]) for needs in self.graph.needs[first:]]
        else:
            self.unsettled = list(map(len, self.graph.needs))
        self.unblocked_seq += [self.seq] * n
        self.open += n
        for layer in self.graph.layer[first:]:
            self.layer_open[layer] += 1
        self._note_roles(steps, parent in self.last)
        if not self.workflow.layered:
            for i, step in enumerate(steps, first):
                if step.wired and step.gate is None:  # nobody is asked about some of its instances
                    self.wired.setdefault(self.graph.index[step.wired], []).append(i)
        self.demands.add(steps, self.graph, self.estimates, parent)
        self.make_room()

    def _note_roles(self, steps: Sequence[Step], last: bool) -> None:
        """Who falls back on whom, and which of these steps, the last in the lists, belong to `finally`; all if `last`."""
        first = len(self.steps) - len(steps)
        for i, step in enumerate(steps, first):
            if step.fallback:
                self.users[step.fallback] = i
        for i in range(first, len(self.steps)):
            user: int | None = i
            while user is not None and self.steps[user].role == "fallback":
                user = self.users.get(self.steps[user].id)
            if last or (user is not None and (self.steps[user].role == "finally" or user in self.last)):
                self.last.add(i)
                self.last_open += 1

    def make_room(self) -> None:
        """Lists for the pools and kinds of demand that have come up."""
        for _ in range(len(self.holders), len(self.demands.pools)):
            self.holders.append({})
            self.heads.append({})
        for _ in range(len(self.ready), len(self.demands.kinds)):
            self.ready.append(set())
            self.queues.append([])
            self.posted.append(LAST)
            self.lacking.append((TOTAL, 1))

    def deadline_of(self, i: int) -> float | None:
        """When step i will have taken too long over all its attempts; None before the first, and without a `deadline`."""
        deadline_s = self.steps[i].deadline_s
        first = None if deadline_s is None else self.first_started.get(i)
        return None if first is None or deadline_s is None else first + deadline_s

    def due(self, i: int) -> float | None:
        """When the living attempt of step i will have taken too long, by its `timeout` or by the `deadline` of the step."""
        timeout_s, deadline = self.steps[i].timeout_s, self.deadline_of(i)
        if timeout_s is None:
            return deadline
        end = self.alive[i].started + timeout_s
        return end if deadline is None else min(end, deadline)

    def reopen(self, at: float) -> None:
        """Forget how the run ended, and count again what is open: settled steps have been made to wait."""
        self.ended = self.cancelled = self.stopped_by = self.outputs = self.timed_out = self.ending = self.broke = None
        self.cut_short, self.used = False, Usage()
        self.deadline = None if self.workflow.timeout_s is None else at + self.workflow.timeout_s
        self.stopped_layers.clear()
        self.failed_hard = self.failed_soft = self.rejected = 0
        settled = [status.settled for status in self.status]
        self.unsettled = [sum([not settled[need] for need in needs]) for needs in self.graph.needs]
        for group, members in self.graph.children.items():
            self.unsettled_children[group] = sum([not settled[i] for i in members])
        self.open = settled.count(False)
        self.last_open = sum([not settled[i] for i in self.last])
        self.layer_open = [sum([not settled[i] for i in members]) for members in self.layers]
        self.front = next((layer for layer, count in enumerate(self.layer_open) if count), len(self.layer_open))
        self.front_seq = self.seq
        self.parked.clear()
        self.outputs_due = self.open == self.last_open
        self.passed = min(self.passed, self.front)
        self.gate_due = at_gate(self)

    @property
    def halted(self) -> f.HaltCause | None:
        """Why nothing may start any more, if so."""
        if self.ending:  # the steps of `finally` run whatever the others came to
            return "cancel" if self.cut_short else "suspend" if self.suspending else None
        if self.cancelled:
            return "cancel"
        if self.timed_out:
            return "run_timeout"
        if self.stopped_by is not None:
            return "stop"
        if self.broke:
            return "budget"
        return "suspend" if self.suspending else None

    def free(self, pool: int) -> float:
        """Units of a pool that no living attempt holds; infinite without a limit, and negative after the pool has shrunk."""
        slots = self.curbs.slots(pool, self.limits)
        return float("inf") if slots is None else slots - sum([weight * len(of) for weight, of in self.holders[pool].items()])

    def holding(self, pool: int) -> list[int]:
        """The steps whose attempts hold units of a pool, in file order."""
        return sorted([i for of in self.holders[pool].values() for i in of])

    def first_ready(self) -> int | None:
        """The first ready step in the order of dispatch."""
        while self.line and self.status[self.line[0][-1]] is not Status.READY:
            heappop(self.line)
        return self.line[0][-1] if self.line else None

    def asks(self, i: int) -> bool:
        """Whether the engine has to evaluate something before step i is ready: its `if`, or keys of pools."""
        step = self.steps[i]
        return bool(step.condition and not (step.grows and step.each_if)) or self.demands.keyed(step)

    def depends_on(self, i: int) -> int:
        """Number of the last fact without which no attempt of step i may start."""
        front_seq = self.front_seq if self.workflow.layered else 0
        return max(self.unblocked_seq[i], self.ended_seq.get(i, 0), front_seq)

    def counts_as_failed(self, i: int) -> bool:
        """Whether dependents of the settled step `i` see a failure (`on_error: continue` turns it into a success)."""
        status = self.status[i]
        if status is Status.FAILED:
            return self.steps[i].on_error != "continue"
        if status is Status.SKIPPED:
            return self.skips[i].reason not in UNWANTED
        return status is Status.CANCELLED

    def forgiven(self, i: int) -> bool:
        """Whether the run can succeed although step i failed: by its own `on_error: continue`, or that of what it is part of."""
        return any(self.steps[j].on_error == "continue" for j in (i, *self.graph.above(i)))

    def answered_for(self, i: int) -> bool:
        """Whether what becomes of step i does not count by itself, as it counts with another: that whose fallback it is, or is
        part of, or one around it that has a fallback of its own."""
        if any(self.steps[j].role == "fallback" for j in (i, *self.graph.above(i))):
            return True
        return any(self.steps[j].fallback and self.steps[j].for_each is None for j in self.graph.above(i))

    def uses_status(self, i: int) -> bool:
        """Whether the `if` of a step replaces the default `success()`."""
        condition = self.steps[i].condition
        return bool(condition) and parse(condition).uses_status


def layer_gate(state: State) -> str:
    """Name of the gate in front of the first layer that has not settled."""
    return f"layer#{state.front - 1}"


def at_gate(state: State) -> bool:
    """Whether a gate stands before the first layer that has not settled; none does before the layers of `finally`."""
    return state.workflow.gates is not None and state.passed < state.front and state.open > state.last_open


def behind(state: State, i: int) -> bool:
    """Whether step i is in a layer that may not start yet."""
    layer = state.graph.layer[i]
    return state.workflow.layered and (layer > state.front or (layer == state.front and at_gate(state)))
