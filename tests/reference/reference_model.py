"""What weft does, once more: slow, short, written from the definition of the semantics, sharing nothing with `weft.core`."""

import re
from math import inf

from given import Given, or_never
from msgspec.structs import replace

from weft.model.workflow import WAITING_ACTIONS, Budget, Flow, Step, Workflow


class Node:  # a step as it stands: `status` is empty until it has settled, `parts` are what it has been expanded into
    status = reason = outcome = told = failed = said = ""  # `failed`: why, while its fallback is tried; `said`: at its gate
    asked, until, late, again, deadline = False, 0.0, inf, inf, inf  # `until`: when its last attempt ends
    parts: "list[Node] | None" = None

    def __init__(self, step: Step, place: tuple[int, ...], parent: "Node | None" = None) -> None:
        self.step, self.place, self.parent, self.tries = step, place, parent, list[float]()
        self.above: list[Node] = [parent, *parent.above] if parent else []
        self.answered = inf if step.question else 0.0

    def end(self, status: str, reason: str = "") -> bool:
        self.status, self.reason = status, reason
        return True

    def counts_as(self) -> str:
        bad = self.status == "cancelled" or (self.status == "skipped" and self.reason != "condition")
        return "failed" if bad else "succeeded" if (self.status, self.step.on_error) == ("failed", "continue") else self.status


class Model:  # at each instant from scratch: rules look for one thing to do, and begin anew when they have done one
    def __init__(self, workflow: Workflow, given: Given) -> None:
        self.workflow, self.given, self.now, self.ended, self.broke = workflow, given, 0.0, inf, False
        self.full = dict.fromkeys(workflow.resources, 0.0)  # when buckets of tokens are full
        self.gap = {
            name: pool.rate.interval_s if pool.rate else 0 for name, pool in workflow.resources.items()
        }  # to the next token
        self.nodes = {step.id: Node(step, (n,)) for n, step in enumerate(workflow.steps)}

    def run(self) -> str:
        rules, cancel, late = (self.judge, self.halt, self.skip), self.given.cancel_at_s, or_never(self.workflow.timeout_s)
        while self.open():
            while any(rule(node) for rule in rules for node in self.open()) or self.act():
                pass
            times = [time for n in self.nodes.values() for time in (n.until, n.late, n.again, n.deadline, n.answered)]
            times += [cancel, late, *map(self.opens, self.full)]
            self.now = min(time for time in times if time > self.now) if self.open() else self.now
        failed = [node for node in self.nodes.values() if node.status == "failed" and node.step.role != "fallback"]
        hard = [node for node in failed if all(of.step.on_error != "continue" for of in (node, *node.above))]
        no = any(node.reason == "rejected" for node in self.nodes.values())
        told = {"succeeded_with_errors": failed, "cancelled": no, "failed": hard or self.broke or late <= self.ended}
        return "cancelled" if cancel <= self.now else next((name for name in reversed(told) if told[name]), "succeeded")

    def open(self) -> list[Node]:
        main = [node for node in self.nodes.values() if not node.status and node.step.role != "finally"]
        self.ended = self.ended if main else min(self.ended, self.now)
        return main or [node for node in self.nodes.values() if not node.status]

    def whole(self, node: Node) -> Node | None:  # the step that it is a part of, or a fallback for
        return next((user for user in self.nodes.values() if user.step.fallback == node.step.id), node.parent)

    def layer(self, node: Node) -> int:
        of, needs = self.whole(node), [self.layer(self.nodes[need]) for need in node.step.needs]
        return self.layer(of) if of else max(needs, default=-1) + 1

    def idle(self) -> list[Node]:
        unused = {node.step.fallback for node in self.nodes.values() if node.status or not node.failed}
        return [n for n in self.open() if n.until <= self.now and n.parts is None and not n.failed and n.step.id not in unused]

    def waiting(self) -> list[Node]:
        fresh = [node for node in self.idle() if not node.tries and all(self.nodes[need].status for need in node.step.needs)]
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
        stop = drains and not (layered and all(drains) and node.until > self.now)
        return ("stop", all(drains)) if stop else ("stop_layer", False) if layered else ("budget" * self.broke, True)

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

    def takes(self, node: Node) -> dict[str, tuple[int, float]]:  # what an attempt takes of each limit, and how much there is
        limit = 1 if self.workflow.schedule == "sequential" else self.workflow.max_parallel
        waits, auto = isinstance(node.step.action, WAITING_ACTIONS), limit in ("auto", 0)
        found = {"all": (1, inf if auto or limit == "unlimited" else float(limit))}
        found |= {"waiting": (1, 256 if auto else inf)} if waits else {"computing": (1, self.given.cpus if auto else inf)}
        found |= {name: (n, self.workflow.resources[name].slots or inf) for name, n in node.step.resources.items()}
        return found | {f"of {of.step.id}": (1, or_never(of.step.max_parallel)) for of in node.above}

    def opens(self, name: str) -> float:  # when a pool with a rate has a token
        return self.full[name] - (self.workflow.resources[name].burst - 1) * self.gap[name]

    def fits(self, node: Node) -> bool:
        held = [self.takes(other) for other in self.open() if other.until > self.now]
        free = all(sum(of.get(name, (0,))[0] for of in held) + n <= most for name, (n, most) in self.takes(node).items())
        return free and all(self.opens(name) <= self.now for name in node.step.resources)

    def judge(self, node: Node) -> bool:  # What an ended attempt means for its step: it is over, or there will be another attempt
        if not node.tries or node.until > self.now or node.again < node.deadline > self.now:
            return False
        retry, n = node.step.retry, len(node.tries)
        if node.failed:
            good = self.nodes[node.step.fallback].counts_as()
            return bool(good) and node.end(*(("succeeded", "") if good == "succeeded" else ("failed", node.failed)))
        node.outcome = "timeout" if node.again < inf else node.outcome
        if node.outcome in ("ok", "cancelled"):
            return node.end("succeeded") if node.outcome == "ok" else node.end("cancelled", node.told)
        node.again = self.now + min(retry.max_delay_s, retry.delay_s * retry.factor ** (n - 1))
        too_late = node.again >= node.deadline or node.again > node.tries[0] + or_never(retry.max_elapsed_s)
        over = n > retry.times or (retry.when and node.outcome not in retry.when) or too_late or self.halted(node)[0]
        if over and (not node.step.fallback or self.halted(node)[0]):
            return node.end("failed", node.outcome)
        node.failed, node.again = (node.outcome, inf) if over else ("", node.again)
        return True

    def halt(self, node: Node) -> bool:  # who is told to stop keeps what it holds until it is dead
        cause, drain = self.halted(node)
        if node.until <= self.now:
            waits = node.parts is not None or (node.failed and drain and self.nodes[node.step.fallback].until > self.now)
            return bool(cause) and not waits and node.end("cancelled" if node.tries else "skipped", cause)
        late = min(node.deadline, node.late) <= self.now
        if node.told or not (late or (cause and not drain)):
            return False
        node.told, node.outcome, node.until = cause or "timeout", "timeout" if late else "cancelled", self.now + self.given.stop_s
        return True

    def skip(self, node: Node) -> bool:  # a step that others stand for settles when they have, like the worst of them
        if node.parts is not None and all(part.status for part in node.parts):
            bad = sorted([p for p in node.parts if p.counts_as() == "failed"], key=lambda p: (p.status != "failed", p.status))
            return node.end(bad[0].status, bad[0].reason) if bad else node.end("succeeded")
        if node.said and node.answered <= self.now and not node.tries and (node.said == "reject" or not node.step.gate):
            return node.end(*(("cancelled", "rejected") if node.said == "reject" else ("succeeded",)))
        unneeded = node.step.role == "fallback" and not node.tries and (of := self.whole(node)) and of.status
        run, asks, failed = self.wanted(node) if node in self.waiting() else (True, False, False)
        return bool(unneeded or (not run and asks <= node.asked)) and node.end("skipped", "failure" if failed else "condition")

    def act(self) -> bool:  # start one attempt, else find out what steps wait for; each attempt uses one token of the budget
        used, most = sum(len(n.tries) - (n.until > self.now) for n in self.nodes.values()), self.workflow.budget or Budget()
        if used >= or_never(most.tokens) and self.idle() and self.ended == inf and not self.broke:
            self.broke = True
            return True
        fresh = [n for n in self.waiting() if not n.step.grows and n.answered <= self.now and self.wanted(n)[1] <= n.asked]
        rested = [node for node in self.idle() if node.tries and node.again <= self.now]
        for node in filter(self.fits, sorted(rested + fresh, key=self.order)):
            seconds, node.outcome = self.given.attempt(node.step.id, len(node.tries) + 1)
            node.until, node.late, node.again = self.now + seconds, self.now + or_never(node.step.timeout_s), inf
            node.deadline, node.told = min(node.deadline, self.now + or_never(node.step.deadline_s)), ""
            node.tries.append(self.now)
            self.full |= {name: max(self.now, self.full[name]) + self.gap[name] for name in node.step.resources}
            return True
        pending = [node for node in self.waiting() if node not in fresh and not self.now < node.answered < inf]
        for node in pending:
            if self.wanted(node)[1] > node.asked:
                node.asked = True
            elif node.answered == inf and (question := node.step.question):
                seconds, node.said = min(self.given.answer(node.step.id), (or_never(question.timeout_s), question.on_timeout))
                node.answered = self.now + seconds
            elif node.parts is None:
                self.expand(node, [f"[{n}]" for n in range(len(node.step.for_each or ()))])
        return bool(pending)

    def expand(self, node: Node, keys: list[str]) -> None:
        step, each, path = node.step, node.step.each_if, f"{node.step.id}/"
        if isinstance(step.action, Flow) and step.for_each is None:
            news = [replace(new, id=path + new.id, needs=[path + n for n in new.needs]) for new in step.action.workflow.steps]
        else:
            bare = replace(step, for_each=None, wired="", condition=step.condition * each, gate=None, max_parallel=None)
            news = [replace(bare, id=step.id + k, needs=[n + k * (n == step.wired) for n in step.needs * each]) for k in keys]
        node.parts = [Node(new, (*node.place, n), node) for n, new in enumerate(news)]
        self.nodes |= {part.step.id: part for part in node.parts}
        for other in self.open():
            if keys and other.parts is None and other.step.wired == step.id and self.workflow.schedule != "layers":
                self.expand(other, keys)
