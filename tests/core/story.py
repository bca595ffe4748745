"""Stories: tell the core what happens, line by line, and read what it decides.

    check(
        flow(step("a", on_error="stop"), step("b"), step("c", "b")),
        '''
        begin   → start a, start b
        a fails → fail a (error), stop b (stop), skip c (stop a)
        b ok    → cancel b (stop), failed
        ''',
        "a failed, b cancelled, c skipped",
    )

Left of the arrow stands what happens in one turn, separated by commas; right of it what the core decides, in order: nothing if
what happened is only noted, `dropped` if not even that. A line without an arrow may lead to anything.

    begin, begin staying                   the run is created, an engine attached
    crash                                  that engine died, another one resumes from the facts
    +3                                     seconds pass
    a ok, a fails, a fails exit 22, a fails silently, a raises OSError, a throttled 30, a cancelled, a lost, a spawned 77
                                           what the last attempt of a did; `a#1 ok`: attempt 1
    a ok uses 5, a fails uses 5            and what it reported: 5 tokens, a cost of 0.5
    a again, a done, a give_up             what somebody says of an interrupted step
    a true, a false, a broken              the verdict of its `if`
    a keys red=x                           the keys of its pools
    pressure 0.9 0                         that on CPU and memory
    a same, a new                          an earlier run has succeeded with its fingerprint, or has not
    a items x y, a items, a items broken   the keys of a fan-out; none for a sub-workflow
    a output, a output broken              that of a sub-workflow was evaluated
    a opened, layer#0 opened, a opened broken
                                           what is asked at a gate was evaluated
    a opened approve skip c, a opened without
                                           so was the answer that it has by itself, or there is none
    approve a, reject a, approve a form n=1 with day=x, approve layer#0 skip c inject n:b replan
                                           an answer to a gate; `n:b` is a new step that needs b
    outputs, outputs broken                those of the run were evaluated
    cancel, drain, kill                    what a person asks for
    retry, retry staying                   what a person asks of a run that has ended, of an engine of its own

Whatever is told, after each turn the audit and the reasons must be clean, the state must be what its facts make of it, and
commands must match facts. At the end, the story is cut after every single fact and must go on from there to an end.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from weft.core import facts as f
from weft.core.apply import apply
from weft.core.audit import audit
from weft.core.commands import (
    EvaluateCondition,
    EvaluateGroup,
    EvaluateItems,
    EvaluateOutputs,
    LeaseUnits,
    Leave,
    OpenGate,
    StartAttempt,
    StopAttempt,
    TakeFingerprint,
)
from weft.core.decide import receive
from weft.core.facts import Fact, Limits, Observed
from weft.core.fallback import blocked
from weft.core.shared import named
from weft.core.state import State, at_gate, behind, layer_gate
from weft.core.turn import Turn
from weft.model.output import ErrorRecord, Output, Usage
from weft.model.workflow import Approve, Pool, Retry, Shell, Sleep, Step, Workflow
from weft.sim.outside import doubts, truth


def step(
    id_: str, needs: str = "", *, retry: int | Retry = 0, sleep: bool = False, approve: Approve | None = None, **settings: Any
) -> Step:
    """A step. `retry` as a number: so many, without jitter; `sleep`: it waits rather than computes; `approve`: it asks."""
    if isinstance(retry, int):
        retry = Retry(times=retry, jitter=False)
    action = approve or (Sleep(seconds=1.0) if sleep else Shell(script="true"))
    return Step(id=id_, action=action, needs=tuple(needs.split()), retry=retry, **settings)


def flow(*steps: Step, pools: dict[str, Any] | None = None, **settings: Any) -> Workflow:
    """`pools`: slots, or a Pool."""
    resources = {name: of if isinstance(of, Pool) else Pool(slots=of) for name, of in (pools or {}).items()}
    return Workflow(name="story", steps=steps, resources=resources, **settings)


def replay(facts: Sequence[Fact]) -> State:
    state = State()
    for fact in facts:
        apply(state, fact)
    return state


class Story:
    """A run that is told what happens. `facts` holds all facts so far."""

    def __init__(self, workflow: Workflow, limits: Limits | None = None, seed: int = 0, **options: Any) -> None:
        self.workflow = workflow
        self.limits = limits or Limits()
        self.seed = seed
        self.options = options
        self.state = State()
        self.facts: list[Fact] = []
        self.wake_at: float | None = None
        self.now = 0.0

    def tell(self, line: str) -> Turn:
        """Make one turn out of what happens."""
        observed: list[Observed] = []
        for event in line.split(","):
            if event.strip().startswith("+"):
                self.now += float(event)
            else:
                observed += self._observed(event.split())
        return self.turn(observed)

    def turn(self, observed: Sequence[Observed]) -> Turn:
        turn = receive(self.state, observed, self.now)
        self.facts += turn.facts
        self.wake_at = turn.wake_at
        assert audit(self.state) == []
        assert list(doubts(turn)) == []
        assert truth(replay(self.facts)) == truth(self.state)
        assert_commands_match(turn)
        return turn

    def _observed(self, words: list[str]) -> Iterator[Observed]:
        match words:
            case ["begin", *stays]:
                yield f.RunCreated(at=0.0, run="r", workflow=self.workflow, inputs={}, seed=self.seed, **self.options)
                yield f.EngineAttached(at=0.0, pid=1, host="h", limits=self.limits, stays=bool(stays))
            case ["approve" | "reject" as said, gate, *more]:
                yield _answered(said, gate, more)
            case [gate, "opened", "without"]:
                yield f.GateOpened(at=0.0, gate=gate, message="Yes?", by="judge", unsaid="there is no answer")
            case [gate, "opened", "approve" | "reject" as said, *more]:
                yield f.GateOpened(
                    at=0.0, gate=gate, message="Yes?", by="judge", said=_answered(said, gate, [*more, "by", "judge"])
                )
            case [gate, "opened", *broken]:
                yield f.GateOpened(at=0.0, gate=gate, message="Yes?", error=_error("input") if broken else None)
            case ["crash"]:
                self.state = replay(self.facts)
                yield f.EngineAttached(at=0.0, pid=2, host="h", limits=self.limits)
            case ["retry", *stays]:
                self.state = replay(self.facts)
                yield f.RetryRequested(at=0.0, by="somebody")
                yield f.EngineAttached(at=0.0, pid=3, host="h", limits=self.limits, stays=bool(stays))
            case [id_, "again" | "done" | "give_up" as answer]:
                yield f.InterruptAnswered(at=0.0, step=id_, answer=answer, by="somebody")
            case ["cancel"]:
                yield f.CancelRequested(at=0.0, by="somebody")
            case ["drain" | "kill" as how]:
                yield f.SuspendRequested(at=0.0, how="kill" if how == "kill" else "drain")
            case ["leased", *units]:
                yield f.PoolLeased(at=0.0, units=_units(units))
            case ["busy", run, *units]:
                yield f.PoolBusy(at=0.0, units=_units(units), runs=[run])
            case [id_, "same" | "new" as found]:
                given = f.Given(run="old", output=Output()) if found == "same" else None
                yield f.FingerprintTaken(at=0.0, step=id_, parts={"run": "7"}, found=given, changed=["run"], last="old")
            case [id_, "items", "broken"]:
                yield f.ItemsEvaluated(at=0.0, step=id_, error=_error("input"))
            case [id_, "items", *keys]:
                yield f.ItemsEvaluated(at=0.0, step=id_, keys=keys)
            case [id_, "output", *broken]:
                yield f.GroupEvaluated(at=0.0, step=id_, error=_error("input") if broken else None)
            case ["outputs", *broken]:
                yield f.OutputsEvaluated(at=0.0, outputs={}, error=_error("input") if broken else None)
            case ["pressure", cpu, memory]:
                yield f.PressureObserved(at=0.0, cpu=float(cpu), memory=float(memory))
            case [id_, "keys", *keys]:
                yield f.ConditionEvaluated(at=0.0, step=id_, verdict=True, keys=dict(key.split("=") for key in keys))
            case [id_, "true" | "false" | "broken" as verdict]:
                error = _error("input") if verdict == "broken" else None
                yield f.ConditionEvaluated(at=0.0, step=id_, verdict=verdict == "true", error=error)
            case [name, *end]:
                id_, _, number = name.partition("#")
                yield _happened(id_, int(number or self.state.attempts[self.state.graph.index[id_]]), end)

    def finish(self) -> None:
        """Go on to the end of the run: all that is asked for succeeds at once."""
        if not self.facts:
            self.tell("begin")
        for _ in range(100):
            if self.state.ended:
                return
            if self.state.left:
                said = [f"approve {gate}" for gate in self.state.asking]
                said += [f"{self.state.graph.ids[i]} done" for i in self.state.interrupted]
                self.tell(", ".join(["crash", *said]))
                continue
            ids, todo = self.state.graph.ids, list[str]()
            todo += [f"{ids[i]} ok" for i in self.state.alive]
            todo += [f"leased {_told(units)}" for units in self.leases_asked()]
            todo += [f"{id_} true" for id_ in self.asked()]
            todo += [f"{id_} new" for id_ in self.fingerprinted()]
            todo += [f"{id_} items {self._keys(id_)}" for id_ in self.growing()]
            todo += [f"{gate} opened" for gate in self.opening()]
            todo += [f"approve {gate}" for gate in self.state.asking]
            todo += [f"{ids[i]} output" for i, s in enumerate(self.state.status) if s.name == "EXPANDED" and not todo]
            if not todo and self.wake_at is not None and (self.state.backoff_until or any(self.state.ready)):
                self.now = self.wake_at
                todo = ["+0"]
            self.tell(", ".join(todo or ["outputs"]))
        raise AssertionError("the story does not end")

    def leases_asked(self) -> Iterator[dict[str, int]]:
        """What leases are wanted for, each as often as it is."""
        for share, count in self.state.leases.asked.items():
            yield from [named(self.state.demands, share)] * count

    def fingerprinted(self) -> Iterator[str]:
        """Steps that wait for their fingerprint."""
        for i, status in enumerate(self.state.status):
            step, asks = self.state.steps[i], i not in self.state.verdicts
            if self._at_the_door(i, status) and step.reuse and i not in self.state.prints and not (step.condition and asks):
                yield step.id

    def asked(self) -> Iterator[str]:
        """Steps that wait for the verdict of their `if`."""
        for i, status in enumerate(self.state.status):
            step = self.state.steps[i]
            if (
                self._at_the_door(i, status)
                and (step.condition or (not step.grows and any(self.workflow.resources[pool].per for pool in step.resources)))
                and i not in self.state.verdicts
                and not (step.grows and step.each_if)
            ):
                yield step.id

    def growing(self) -> Iterator[str]:
        """Steps that wait for what they stand for."""
        asked = set(self.asked())
        for i, status in enumerate(self.state.status):
            step = self.state.steps[i]
            if self._at_the_door(i, status) and step.grows and step.id not in asked and not self._unanswered(step):
                yield step.id

    def opening(self) -> Iterator[str]:
        """Gates of which it is being evaluated what they ask."""
        state, asked = self.state, set(self.asked())
        for i, status in enumerate(state.status):
            id_ = state.graph.ids[i]
            if self._at_the_door(i, status) and self._unanswered(state.steps[i]) and id_ not in asked:
                yield id_
        if at_gate(state) and layer_gate(state) not in state.gates and not state.halted:
            yield layer_gate(state)

    def _unanswered(self, step: Step) -> bool:
        return step.question is not None and step.id not in self.state.answers

    def _keys(self, id_: str) -> str:
        """One item, or those of the other one for what is wired; none for a sub-workflow."""
        graph = self.state.graph
        of = self.state.steps[graph.index[id_]]
        if of.wired:
            return " ".join(self.state.keys[i] for i in graph.children.get(graph.index[of.wired], ()))
        return "0" if of.for_each is not None else ""

    def _at_the_door(self, i: int, status: int) -> bool:
        waits = status == 0 and not self.state.unsettled[i] and not blocked(self.state, i)
        return waits and not behind(self.state, i) and not self.state.halted


def _answered(said: str, gate: str, more: list[str]) -> f.GateAnswered:
    """`more`: words that say what the next ones are."""
    said_more: dict[str, list[str]] = {}
    for word in more:
        if word in ("form", "with", "skip", "inject", "replan", "by"):
            found = said_more.setdefault(word, [])
        else:
            found.append(word)
    new = [word.partition(":") for word in said_more.get("inject", [])]
    return f.GateAnswered(
        at=0.0,
        gate=gate,
        answer="approve" if said == "approve" else "reject",
        by="".join(said_more.get("by", ["anna"])),
        form={name: int(value) for name, _, value in (pair.partition("=") for pair in said_more.get("form", []))},
        inputs=dict(pair.split("=") for pair in said_more.get("with", [])),
        skip=said_more.get("skip", []),
        replan="replan" in said_more,
        inject=[step(id_, needs.replace("+", " ")) for id_, _, needs in new],
    )


def _error(kind: Any, **more: Any) -> ErrorRecord:
    return ErrorRecord(kind=kind, message="told so", **more)


def _happened(id_: str, number: int, end: list[str]) -> Observed:
    failed = f.AttemptEnded(at=0.0, step=id_, attempt=number, outcome="failed", error=_error("error"))
    match end:
        case ["ok"]:
            return f.AttemptEnded(at=0.0, step=id_, attempt=number, outcome="ok", output=Output())
        case ["ok" | "fails" as how, "uses", tokens]:
            used = Usage(tokens_in=int(tokens), cost=float(tokens) / 10)
            return msgspec.structs.replace(_happened(id_, number, [how]), usage=used)
        case ["fails"]:
            return failed
        case ["fails", "silently"]:
            return msgspec.structs.replace(failed, error=None)
        case ["fails", "exit", code]:
            return msgspec.structs.replace(failed, error=_error("exit", exit_code=int(code)))
        case ["raises", *names]:
            return msgspec.structs.replace(failed, error=_error("error", exception=" ".join(names)))
        case ["throttled", seconds]:
            return msgspec.structs.replace(failed, error=_error("error", retry_after_s=float(seconds)))
        case ["cancelled"]:
            return msgspec.structs.replace(failed, outcome="cancelled", error=None)
        case ["lost"]:
            return f.AttemptLost(at=0.0, step=id_, attempt=number)
        case ["spawned", pid]:
            return f.AttemptSpawned(at=0.0, step=id_, attempt=number, pid=int(pid))
    raise ValueError(f"a story cannot tell {end}")


def assert_commands_match(turn: Turn) -> None:
    """Each start, stop and end among the facts has its command, which waits for facts that exist."""
    facts, commands = turn.facts, turn.commands
    assert [(c.step, c.attempt) for c in commands if isinstance(c, StartAttempt)] == [
        (x.step, x.attempt) for x in facts if isinstance(x, f.AttemptStarted)
    ]
    assert [(c.step, c.attempt, c.cause) for c in commands if isinstance(c, StopAttempt)] == [
        (x.step, x.attempt, x.cause) for x in facts if isinstance(x, f.AttemptStopping)
    ]
    left = [x for x in facts if isinstance(x, f.RunEnded | f.RunSuspended | f.RunWaiting)]
    assert sum(isinstance(c, Leave) for c in commands) == len(left)
    assert all(0 <= c.after <= turn.state.seq for c in commands)


def decided(turn: Turn) -> str:
    """What a turn decided, in the words of a story."""
    words = [words for fact in turn.facts if (words := _words(fact))]
    for command in turn.commands:
        if isinstance(command, EvaluateCondition):
            words.append(f"ask {command.step}")
        elif isinstance(command, TakeFingerprint):
            words.append(f"fingerprint {command.step}")
        elif isinstance(command, EvaluateItems):
            words.append(f"ask items {command.step}")
        elif isinstance(command, EvaluateGroup):
            words.append(f"ask output {command.step}")
        elif isinstance(command, OpenGate):
            words.append(f"open {command.gate}")
        elif isinstance(command, LeaseUnits):
            words.append(f"lease {_told(command.units)} ×{command.count}")
        elif isinstance(command, EvaluateOutputs):
            words.append("ask outputs")
    return ", ".join(words) if turn.facts or words else "dropped"


def _units(words: list[str]) -> dict[str, int]:
    """`db=1 net=2`"""
    return {name: int(weight) for name, _, weight in (word.partition("=") for word in words)}


def _told(units: dict[str, int]) -> str:
    return " ".join(f"{name}={weight}" for name, weight in units.items())


def _words(fact: Fact) -> str:
    match fact:
        case f.AttemptStarted(step=step, attempt=attempt, gpus=gpus):
            return f"start {step}{f'#{attempt}' if attempt > 1 else ''}{f' on {chr(43).join(gpus)}' if gpus else ''}"
        case f.LeasesReturned(units=units, count=count):
            return f"return {_told(units)} ×{count}"
        case f.AttemptStopping(step=step, cause=cause):
            return f"stop {step} ({cause})"
        case f.AttemptLost(step=step, reason=reason):
            return f"lose {step} ({reason})"
        case f.BackoffStarted(step=step, until=until):
            return f"retry {step} at {until:g}"
        case f.StepsAdded(parent=parent, keys=keys, steps=steps):
            return f"expand {parent} ({' '.join(keys)})" if parent else f"add {' '.join(step.id for step in steps)}"
        case f.StepInterrupted(step=step):
            return f"interrupt {step}"
        case f.FallbackStarted(step=step, fallback=fallback):
            return f"try {fallback} for {step}"
        case f.BudgetSpent(usage=usage):
            return f"spent {usage.tokens}"
        case f.RunEnding(status=status):
            return f"ending ({status})"
        case f.StepSucceeded(step=step):
            return f"done {step}"
        case f.StepReused(step=step, run=run):
            return f"reuse {step} ({run})"
        case f.StepFailed(step=step, error=error):
            return f"fail {step} ({error.kind})"
        case f.StepCancelled(step=step, cause=cause):
            return f"cancel {step} ({cause})"
        case f.StepsSkipped(steps=steps, reason=reason, because=because):
            return f"skip {' '.join(steps)} ({reason}{because and ' ' + because})"
        case f.UnitsReserved(step=step, pools=pools):
            return f"reserve {' '.join(_pool(of.pool, of.key) for of in pools)} for {step}"
        case f.PoolResized(pool=pool, key=key, slots=slots):
            return f"resize {_pool(pool, key)} to {slots}"
        case f.BreakerOpened(pool=pool, key=key, until=until):
            return f"open {_pool(pool, key)} until {until:g}"
        case f.BreakerClosed(pool=pool, key=key):
            return f"close {_pool(pool, key)}"
        case f.GateAnswered(gate=gate, answer=answer, by=""):
            return f"silence {gate} ({answer})"
        case f.RunWaiting(gates=gates):
            return f"waits for {' '.join(gates)}"
        case f.RunSuspended():
            return "suspended"
        case f.RunEnded(status=status):
            return status
    return ""


def _pool(name: str, key: str) -> str:
    return f"{name}[{key}]" if key else name


def check(workflow: Workflow, script: str, expected: str, limits: Limits | None = None, **options: Any) -> Story:
    """Tell a story; compare what is decided in each turn, and the status of each step at the end, in file order."""
    story = Story(workflow, limits, **options)
    lines = [line.strip() for line in script.strip().splitlines()]
    heard = []
    for line in lines:
        what, arrow, _ = line.partition("→")
        turn = story.tell(what)
        heard.append(f"{what}→ {decided(turn)}".rstrip() if arrow else line)
    end = ", ".join(f"{id_} {story.state.status[i].name.lower()}" for i, id_ in enumerate(story.state.graph.ids))
    if [*heard, end] != [*lines, expected]:
        raise AssertionError("\n".join(["this is what happened:", *heard, end]))
    cut_everywhere(story)
    return story


def cut_everywhere(told: Story) -> None:
    """Whatever the fact after which the engine dies: the run can be resumed, comes to an end, and repeats nothing."""
    for length in range(1, len(told.facts) + 1):
        story = Story(told.workflow, told.limits, told.seed, **told.options)
        story.facts, story.now = told.facts[:length], told.now
        if isinstance(story.facts[-1], f.RunEnded):
            continue
        since = max((n for n, fact in enumerate(story.facts) if isinstance(fact, f.RetryRequested)), default=0)
        last = {step.id for step in told.workflow.steps if step.role == "finally"}
        done = {
            fact.step
            for n, fact in enumerate(story.facts)
            if isinstance(fact, f.AttemptEnded) and fact.outcome == "ok" and (n > since or fact.step not in last)
        }
        story.tell("crash")
        story.finish()
        again = {fact.step for fact in story.facts[length:] if isinstance(fact, f.AttemptStarted)}
        assert not done & again, f"cut after fact {length}"
