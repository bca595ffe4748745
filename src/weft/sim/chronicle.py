"""Promises that can be judged by the journal alone, fact by fact, with books of its own: what people answered, what was given up,
what the budget allowed, what was tried in whose place.
"""

from collections.abc import Iterator

from weft.core import facts as f
from weft.core.facts import Fact
from weft.core.gates import question_at
from weft.core.state import State
from weft.core.status import Status
from weft.model.output import Usage


class Chronicle:
    """`saved` takes every fact of the journal, with the state that it makes, and yields the rules that are broken.

    `reusable`: steps of which an earlier success with the same fingerprint was found.
    """

    def __init__(self) -> None:
        self.reusable: set[str] = set()
        self.ending = False
        self.status: f.Outcome | None = None
        """What the run had come to when `finally` began."""
        self._begin()

    def _begin(self) -> None:
        self.used = Usage()
        self.halted = False
        """Nothing may be tried any more."""
        self.stopped_layers: set[int] = set()
        self.left_out: set[str] = set()
        self.added: set[str] = set()
        self.told: dict[str, f.InterruptAnswered] = {}
        self.tried: set[str] = set()
        """Steps whose fallback was tried."""
        self.spent = False

    def saved(self, fact: Fact, state: State) -> Iterator[str]:
        match fact:
            case f.AttemptStarted():
                yield from self._start(fact, state)
            case f.AttemptEnded(usage=Usage() as usage):
                self.used = self.used.plus(usage)
            case f.AttemptStopping():
                yield from self._stop(fact, state)
            case f.GateAnswered():
                yield from self._answer(fact, state)
            case f.InterruptAnswered():
                if fact.answer == "again" and state.steps[state.graph.index[fact.step]].rerun == "never":
                    yield f"step `{fact.step}` says `rerun: never`, and somebody let it run again"
                self.told[fact.step] = fact
            case f.FallbackStarted():
                if self._over(state, fact.step):
                    yield f"a fallback of step `{fact.step}` is tried, though nothing may be tried any more"
                self.tried.add(fact.step)
            case f.StepFailed():
                yield from self._fail(fact, state)
            case f.StepSucceeded():
                if self._said(fact.step) == "give_up" and fact.step not in self.tried:
                    yield f"step `{fact.step}` has succeeded, and somebody gave it up"
            case f.StepReused():
                if fact.step not in self.reusable:
                    yield f"step `{fact.step}` is reused, and no success like it was found"
            case f.RunEnded():
                yield from self._end(fact, state)
            case _:
                self._note(fact)

    def _note(self, fact: Fact) -> None:
        """Facts that break no rule of themselves."""
        match fact:
            case f.CancelRequested() | f.RunTimedOut():
                self.halted = True
            case f.BudgetSpent():
                self.halted = self.spent = True
            case f.RunEnding():
                self.ending, self.halted, self.status = True, False, fact.status
            case f.RetryRequested():
                self.ending, self.status = False, None
                self._begin()

    def _over(self, state: State, step: str) -> bool:
        return self.halted or state.graph.layer[state.graph.index[step]] in self.stopped_layers

    def _said(self, step: str) -> str:
        return self.told[step].answer if step in self.told else ""

    def _start(self, fact: f.AttemptStarted, state: State) -> Iterator[str]:
        self.told.pop(fact.step, None)
        if fact.step in self.left_out:
            yield f"step `{fact.step}` starts, and was left out at a gate"
        budget = state.workflow.budget
        if budget is None or self.ending:
            return
        tokens = budget.tokens is not None and self.used.tokens_in + self.used.tokens_out >= budget.tokens
        if tokens or (budget.cost is not None and self.used.cost >= budget.cost):
            yield f"step `{fact.step}` starts, and the budget is spent: {self.used}"

    def _stop(self, fact: f.AttemptStopping, state: State) -> Iterator[str]:
        """With `drain`, and when the budget is spent, what runs may end."""
        stoppers = [step for i, step in enumerate(state.steps) if step.on_error == "stop" and state.status[i] is Status.FAILED]
        if fact.cause == "budget" or (fact.cause == "stop" and all(step.drain for step in stoppers)):
            yield f"step `{fact.step}` is stopped ({fact.cause}), and may end"

    def _answer(self, fact: f.GateAnswered, state: State) -> Iterator[str]:
        opened, question = state.gates[fact.gate], question_at(state, fact.gate)
        until = float("inf") if opened.until is None else opened.until
        if fact.by and fact.at >= until:
            yield f"the gate `{fact.gate}` is answered at {fact.at}, which was possible until {until}"
        if not fact.by and (fact.at < until or question is None or fact.answer != question.on_timeout):
            yield f"silence at the gate `{fact.gate}` is taken for `{fact.answer}` at {fact.at}, until {until}"
        self.left_out.update(fact.skip)
        self.added.update(step.id for step in fact.inject)

    def _fail(self, fact: f.StepFailed, state: State) -> Iterator[str]:
        step, over = state.steps[state.graph.index[fact.step]], self._over(state, fact.step)
        if self._said(fact.step) == "done":
            yield f"step `{fact.step}` has failed, and somebody said that its work is done"
        if step.fallback and step.for_each is None and fact.step not in self.tried and not over:
            j = state.graph.index.get(step.fallback)
            if j is None or not state.status[j].settled:
                yield f"step `{fact.step}` has failed, and its fallback was not tried"
        if step.role == "fallback" or step.on_error == "continue" or state.graph.index[fact.step] in state.last:
            return
        self.halted = self.halted or step.on_error == "stop"
        if step.on_error == "stop_layer":
            self.stopped_layers.add(state.graph.layer[state.graph.index[fact.step]])

    def _end(self, fact: f.RunEnded, state: State) -> Iterator[str]:
        missing = self.added.difference(state.graph.index)
        if missing:
            yield f"the steps {sorted(missing)} were added at a gate, and never joined the run"
        if fact.status != (should := self._outcome(state)):
            yield f"the run has ended as {fact.status}, it should be {should}"

    def _outcome(self, state: State) -> f.Outcome:
        """What the run has come to, by what its steps have."""
        failed = [i for i, status in enumerate(state.status) if status is Status.FAILED and self._matters(state, i)]
        soft = [i for i in failed if any(state.steps[j].on_error == "continue" for j in (i, *state.graph.above(i)))]
        if state.cancelled:
            return "cancelled"
        if len(soft) < len(failed) or state.timed_out or self.spent:
            return "failed"
        cancelled = [i for i, status in enumerate(state.status) if status is Status.CANCELLED and self._matters(state, i)]
        rejected = any(state.stop_causes[i] == "rejected" for i in cancelled)
        return "cancelled" if rejected else "succeeded_with_errors" if soft else "succeeded"

    def _matters(self, state: State, i: int) -> bool:
        """Whether no other step answers for this one: a fallback, or what has one."""
        above = [state.steps[j] for j in state.graph.above(i)]
        among = any(step.role == "fallback" for step in (state.steps[i], *above))
        return not among and not any(step.fallback and step.for_each is None for step in above)
