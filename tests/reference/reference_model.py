"""What weft does, once more: slow, short, written from the definition of the semantics, sharing nothing with `weft.core`."""

import re
from dataclasses import dataclass, field
from math import inf
from types import SimpleNamespace as Try

from given import Given, or_never
from msgspec.structs import replace

from weft.model.workflow import WAITING_ACTIONS, Flow, Step, Workflow


@dataclass(eq=False)
class Node:  # a step as it stands: `status` is empty until it has settled, `parts` are what it has been expanded into
    step: Step
    place: tuple[int, ...]
    parent: "Node | None" = None
    tries: list[Try] = field(default_factory=list)
    parts: "list[Node] | None" = None
    asked: bool = False
    failed: str = ""  # why it has failed, while its fallback is tried
    deadline: float = inf
    status: str = ""
    reason: str = ""

    def end(self, status: str, reason: str = "") -> bool:
        self.status, self.reason = status, reason
        return True

    def counts_as(self) -> str:
        bad = self.status == "cancelled" or (self.status == "skipped" and self.reason != "condition")
        soft = self.status == "failed" and self.step.on_error == "continue"
        return "failed" if bad else "succeeded" if soft else self.status


class Model:  # at each instant from scratch: rules look for one thing to do, and begin anew when they have done one
    def __init__(self, workflow: Workflow, given: Given) -> None:
        self.workflow, self.given, self.now, self.ended = workflow, given, 0.0, inf
        self.times = {given.cancel_at_s, or_never(workflow.timeout_s)}
        self.nodes = {step.id: Node(step, (n,)) for n, step in enumerate(workflow.steps)}

    def run(self) -> str:
        rules = (self.judge, self.halt, self.skip)
        while self.open():
            while any(rule(node) for rule in rules for node in self.open()) or self.start() or self.ask():
                pass
            self.now = min(time for time in self.times if time > self.now) if self.open() else self.now
        failed = [node for node in self.nodes.values() if node.status == "failed" and node.step.role != "fallback"]
        if self.given.cancel_at_s <= self.now:
            return "cancelled"
        places = [node.place for node in self.nodes.values() if node.step.on_error == "continue"]
        hard = [node for node in failed if not any(node.place[: len(of)] == of for of in places)]
        late = or_never(self.workflow.timeout_s) <= self.ended
        return "failed" if hard or late else "succeeded_with_errors" if failed else "succeeded"

    def open(self) -> list[Node]:
        main = [node for node in self.nodes.values() if not node.status and node.step.role != "finally"]
        self.ended = self.ended if main else min(self.ended, self.now)
        return main or [node for node in self.nodes.values() if not node.status]

    def alive(self, node: Node) -> bool:
        return bool(node.tries) and node.tries[-1].end > self.now

    def whole(self, node: Node) -> Node | None:  # the step that it is a part of, or a fallback for
        return next((user for user in self.nodes.values() if user.step.fallback == node.step.id), node.parent)

    def layer(self, node: Node) -> int:
        of = self.whole(node)
        return self.layer(of) if of else max((self.layer(self.nodes[need]) + 1 for need in node.step.needs), default=0)

    def waiting(self) -> list[Node]:
        unused = {node.step.fallback for node in self.nodes.values() if node.status or not node.failed}
        open_ = [node for node in self.open() if not node.tries and node.parts is None and node.step.id not in unused]
        fresh = [node for node in open_ if all(self.nodes[need].status for need in node.step.needs)]
        return [n for n in fresh if self.workflow.schedule != "layers" or self.layer(n) == min(map(self.layer, self.open()))]

    def length(self, step: Step, among: tuple[Step, ...]) -> float:  # of the longest path from here on
        seconds = self.given.learned_s.get(re.sub(r"\[.*?\]", "", step.id), step.expect_s)
        inner = step.action.workflow.steps if isinstance(step.action, Flow) else ()
        seconds = max((self.length(each, inner) for each in inner), default=1) if seconds is None else seconds
        return seconds + max((self.length(other, among) for other in among if step.id in other.needs), default=0)

    def path(self, node: Node) -> float:
        after = self.path(of) - self.length(of.step, ()) if (of := self.whole(node)) else 0
        return after + self.length(node.step, tuple(other.step for other in self.nodes.values() if other.parent is node.parent))

    def order(self, node: Node) -> tuple[object, ...]:
        return node.place if self.workflow.schedule == "sequential" else (-node.step.priority, -self.path(node), node.place)

    def halted(self, node: Node) -> tuple[str, bool]:  # what keeps it from going on, and whether what runs may end
        if node.step.role == "finally":
            return "cancel" if self.ended < self.given.cancel_at_s <= self.now else "", False
        if min(self.given.cancel_at_s, or_never(self.workflow.timeout_s)) <= self.now:
            return "cancel" if self.given.cancel_at_s <= self.now else "run_timeout", False
        failed = [other for other in self.nodes.values() if other.status == "failed"]
        drains = [other.step.drain for other in failed if other.step.on_error == "stop"]
        layered = any(other.step.on_error == "stop_layer" and self.layer(other) == self.layer(node) for other in failed)
        stop = drains and not (layered and all(drains) and self.alive(node))
        return ("stop", all(drains)) if stop else ("stop_layer" if layered else "", False)

    def wanted(self, node: Node) -> tuple[bool, bool, bool]:  # by its `if`; must it be asked; did a need fail
        needs, text = [self.nodes[need].counts_as() for need in node.step.needs], node.step.condition
        failed, prefix = "failed" in needs, node.step.id[: node.step.id.rfind("/") + 1]
        success = not failed and ("succeeded" in needs or not needs)
        own = re.search(r"always\(\)|failed\(\)|success\(\)|\.status", text)
        if not text or not (own or success) or (node.step.each_if and node.step.for_each is not None):
            return bool(success or own), False, failed
        text = re.sub(r"steps\.(\w+)\.status", r"status('\1')", text.replace("&&", " and ").replace("||", " or "))
        names = {"always": lambda: True, "failed": lambda: failed, "success": lambda: success, "true": True, "false": False}
        return bool(eval(text, names | {"status": lambda id_: self.nodes[prefix + id_].status})), True, failed

    def demand(self, step: Step) -> dict[str, int]:
        return {"all": 1, "waiting" if isinstance(step.action, WAITING_ACTIONS) else "computing": 1, **step.resources}

    def fits(self, node: Node) -> bool:
        limit = 1 if self.workflow.schedule == "sequential" else self.workflow.max_parallel
        every = {"all": inf if limit == "unlimited" else float(limit)} if limit not in ("auto", 0) else {}
        slots = every or {"waiting": 256, "computing": self.given.cpus}
        slots |= {name: pool.slots or inf for name, pool in self.workflow.resources.items()}
        held = [self.demand(other.step) for other in self.open() if self.alive(other)]
        return all(sum(of.get(pool, 0) for of in held) + n <= slots.get(pool, inf) for pool, n in self.demand(node.step).items())

    def judge(self, node: Node) -> bool:  # What an ended attempt means for its step: it is over, or there will be another attempt
        if not node.tries or self.alive(node):
            return False
        last, retry, n = node.tries[-1], node.step.retry, len(node.tries)
        if node.failed:
            good = self.nodes[node.step.fallback].counts_as()
            return bool(good) and node.end(*(("succeeded", "") if good == "succeeded" else ("failed", node.failed)))
        if last.again < node.deadline > self.now:
            return False
        last.outcome = "timeout" if last.again < inf else last.outcome
        if last.outcome in ("ok", "cancelled"):
            return node.end("succeeded") if last.outcome == "ok" else node.end("cancelled", last.told)
        last.again = self.now + min(retry.max_delay_s, retry.delay_s * retry.factor ** (n - 1))
        self.times.add(last.again)
        too_late = last.again >= node.deadline or last.again > node.tries[0].start + or_never(retry.max_elapsed_s)
        over = n > retry.times or (retry.when and last.outcome not in retry.when) or too_late or self.halted(node)[0]
        if over and (not node.step.fallback or self.halted(node)[0]):
            return node.end("failed", last.outcome)
        node.failed, last.again = (last.outcome, inf) if over else ("", last.again)
        return True

    def halt(self, node: Node) -> bool:  # who is told to stop keeps what it holds until it is dead
        cause, drain = self.halted(node)
        if not self.alive(node):
            waits = node.parts is not None or (node.failed and drain and self.alive(self.nodes[node.step.fallback]))
            return bool(cause) and not waits and node.end("cancelled" if node.tries else "skipped", cause)
        last = node.tries[-1]
        late = min(node.deadline, last.start + or_never(node.step.timeout_s)) <= self.now
        if last.told or not (late or (cause and not drain)):
            return False
        last.told, last.outcome, last.end = cause or "timeout", "timeout" if late else "cancelled", self.now + self.given.stop_s
        self.times.add(last.end)
        return True

    def skip(self, node: Node) -> bool:  # a step that others stand for settles when they have, like the worst of them
        if node.parts is not None and all(part.status for part in node.parts):
            bad = [part for part in node.parts if part.counts_as() == "failed"]
            worst = min(bad, key=lambda part: ("failed", "cancelled", "skipped").index(part.status), default=None)
            return node.end("succeeded") if worst is None else node.end(worst.status, worst.reason)
        unneeded = node.step.role == "fallback" and not node.tries and (of := self.whole(node)) and of.status
        run, asks, failed = self.wanted(node) if node in self.waiting() else (True, False, False)
        unwanted = unneeded or (not run and asks <= node.asked)
        return bool(unwanted) and node.end("skipped", "failure" if failed else "condition")

    def start(self) -> bool:
        rested = [node for node in self.open() if node.tries and node.tries[-1].again <= self.now]
        fresh = [node for node in self.waiting() if not node.step.grows and self.wanted(node)[1] <= node.asked]
        for node in filter(self.fits, sorted(rested + fresh, key=self.order)):
            seconds, outcome = self.given.attempt(node.step.id, len(node.tries) + 1)
            node.deadline = node.deadline if node.tries else self.now + or_never(node.step.deadline_s)
            node.tries.append(Try(start=self.now, end=self.now + seconds, outcome=outcome, told="", again=inf))
            self.times |= {self.now + seconds, self.now + or_never(node.step.timeout_s), node.deadline}
            return True
        return False

    def ask(self) -> bool:
        pending = [node for node in self.waiting() if node.step.grows or self.wanted(node)[1] > node.asked]
        for node in pending:
            if self.wanted(node)[1] > node.asked:
                node.asked = True
            elif node.parts is None:
                self.expand(node, [f"[{n}]" for n in range(len(node.step.for_each or ()))])
        return bool(pending)

    def expand(self, node: Node, keys: list[str]) -> None:
        step, each, path = node.step, node.step.each_if, f"{node.step.id}/"
        if isinstance(step.action, Flow) and step.for_each is None:
            news = [replace(new, id=path + new.id, needs=[path + n for n in new.needs]) for new in step.action.workflow.steps]
        else:
            bare = replace(step, for_each=None, wired="", condition=step.condition * each, needs=step.needs * each)
            news = [replace(bare, id=step.id + k, needs=[n + k * (n == step.wired) for n in bare.needs]) for k in keys]
        node.parts = [Node(new, (*node.place, n), node) for n, new in enumerate(news)]
        self.nodes |= {part.step.id: part for part in node.parts}
        for other in self.open():
            if keys and other.parts is None and other.step.wired == step.id and self.workflow.schedule != "layers":
                self.expand(other, keys)
