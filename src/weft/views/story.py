"""Facts → lines for people: what happened, when, to which step. Shared by all views that tell a run as it goes.

- A fact costs the same whatever the size of the graph, and so does what is remembered: the attempts that are alive, and counts.
- A small run is told in full. In a large one only failures are; other lines are bounded per second, counts stand for the rest.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any, Final

from weft.core import facts as f
from weft.core.facts import Fact
from weft.core.growth import grown
from weft.model.output import ErrorRecord, Usage
from weft.model.units import format_duration, format_size
from weft.model.workflow import Step
from weft.views.asked import answer_words, opened_words
from weft.views.text import STYLES, Paint, fit, last_lines, names, pad, plural, visible, words
from weft.views.words import at_once, skip_reason

FREE_STEPS_MAX: Final = 2_000
"""Runs of up to so many steps are told in full: a file of their lines can still be read."""

FREE_STEPS_LIVE_MAX: Final = 200
"""The same on a terminal, where the rows below tell the rest."""

LINES_PER_S_MAX: Final = 10
"""Lines per second about the steps of a larger run. More run past the eye, and fill the log of whoever keeps it."""

FAILURES_MAX: Final = 200
"""Failures that are told one by one in a larger run; when so many steps fail, they fail for few reasons."""

TAIL_LINES_MAX: Final = 20
"""Lines of what a failed step said last."""

TAILS_MAX: Final = 20
"""Failures that are told with these lines."""

MESSAGE_WIDTH_MAX: Final = 300
NAME_WIDTH_MAX: Final = 32
NAMES_WIDTH: Final = 100
RUNNING_NAMED_MAX: Final = 3
"""Steps that a heartbeat names: those that have run longest."""


class Story:
    """`tell` takes facts and gives lines. `as_log`: for a log that is read alone, which also says what a
    live view and a summary show: starts, counts, the end. `tail_lines`: of a failed step."""

    def __init__(
        self,
        paint: Paint,
        clock: Callable[[], float],
        *,
        verbose: int = 0,
        as_log: bool = True,
        tail_lines: int = TAIL_LINES_MAX,
    ) -> None:
        self.verbose = verbose
        self.as_log = as_log
        self.tail_lines = tail_lines
        self.run = self.name = self.together = self.schedule = ""
        self.steps: dict[str, Step] = {}
        self.alive: dict[str, tuple[int, float]] = {}
        """Attempts that are alive, by step: number and start, the oldest first."""
        self.counts: Counter[str] = Counter()
        self.last_done = 0
        self.errors: dict[str, ErrorRecord] = {}
        self.attached = False
        self.given = ""
        """What is still to be said of outputs that were taken from another run."""
        self._paint = paint
        self._clock = clock
        self._offset = float("-inf")
        self._at = 0.0
        self._elapsed_s = 0.0
        self._name_width = 0
        self._second = 0
        self._told_in_second = 0
        self._untold = False
        self._lines: list[str] = []
        self.started: set[str] = set()

    @property
    def total(self) -> int:
        return len(self.steps)

    @property
    def done(self) -> int:
        return self.counts.total()

    def now(self) -> float:
        """The time on the engine's clock, as nearly as its facts tell."""
        return max(self._at, self._offset + self._clock())

    def elapsed_s(self, now: float) -> float:
        """How long engines have worked on the run."""
        return self._elapsed_s + max(0.0, now - self._at)

    def tell(self, facts: Iterable[Fact]) -> list[str]:
        self.started.clear()
        for fact in facts:
            self._pass_time(fact)
            if tell := _TELL.get(type(fact)):
                tell(self, fact)
        self._say_together()
        lines, self._lines = self._lines, []
        return lines

    def recall(self, facts: Iterable[Fact]) -> None:
        """Take facts of earlier engines in, and tell nothing of them."""
        for fact in facts:
            self.tell((fact,))
        self._untold = False

    def heartbeat(self) -> list[str]:
        """A line that says that the run is alive, and what it is doing."""
        now = self.now()
        oldest = islice(self.alive.items(), RUNNING_NAMED_MAX)
        running = [f"{visible(step)} {format_duration(now - at)}" for step, (_, at) in oldest]
        named = f": {names(running, NAMES_WIDTH, total=len(self.alive))}" if running else ""
        return [self._format("running", self._progress() + named, self.elapsed_s(now))]

    # ---- for the tellers below ----

    def say(self, word: str, detail: str) -> None:
        """A line about the run as a whole."""
        self._lines.append(self._format(word, detail, self._elapsed_s))

    def say_step(self, word: str, step: str, detail: str = "", *, freely: bool = False) -> None:
        """A line about a step, unless there are too many of them."""
        if not freely and self.total > (FREE_STEPS_MAX if self.as_log else FREE_STEPS_LIVE_MAX):
            self._told_in_second += 1
            if self._told_in_second > LINES_PER_S_MAX:
                self._untold = True
                return
        self.say(word, f"{pad(visible(step), self._name_width)}  {detail}".rstrip())

    def say_tail(self, lines: Sequence[str]) -> None:
        margin = " " * (_STAMP_WIDTH + 2) + self._paint("│ ", "dim")
        self._lines += [margin + line for line in lines]

    def lay_out(self, created: f.RunCreated) -> None:
        self.run, self.name = visible(created.run), visible(created.workflow.name)
        self.together, self.schedule = created.workflow.together, created.workflow.schedule
        self.steps = {step.id: step for step in created.workflow.steps}
        self._name_width = min(max(map(len, self.steps), default=0), NAME_WIDTH_MAX)

    def took(self, step: str, at: float) -> str:
        """How long the attempt of a step took that ends now."""
        return format_duration(at - self.alive.pop(step)[1])

    def count_success(self, step: str) -> None:
        self.counts["succeeded"] += 1
        self.last_done += self.steps[step].role == "finally"

    def _say_together(self) -> None:
        """That steps have started at once, in the words of the system that the file was written for."""
        if self.together and len(self.started) > 1 and self.total <= FREE_STEPS_LIVE_MAX:
            titles = [step.title or id_ for id_, step in self.steps.items() if id_ in self.started]
            self.say_tail([self.together.format(count=len(titles)), *(f"  - {visible(title)}" for title in titles)])

    def _pass_time(self, fact: Fact) -> None:
        if self.attached and not isinstance(fact, f.EngineAttached | f.RetryRequested):
            self._elapsed_s += fact.at - self._at
        self._at = fact.at
        self._offset = max(self._offset, fact.at - self._clock())
        if int(fact.at) != self._second:
            self._second = int(fact.at)
            self._told_in_second = 0
            if self._untold and self.as_log:
                self.say("progress", self._progress())
            self._untold = False

    def _progress(self) -> str:
        parts = [f"{self.done:,} of {plural(self.total, 'step')} done"]
        parts += [f"{self.counts[word]:,} {word}" for word in ("failed", "cancelled", "skipped", "reused") if self.counts[word]]
        return ", ".join([*parts, f"{len(self.alive):,} running"])

    def _format(self, word: str, detail: str, elapsed_s: float) -> str:
        when = self._paint(stamp(elapsed_s).rjust(_STAMP_WIDTH), "dim")
        return f"{when}  {self._paint(word.ljust(9), _STYLES.get(word, ''))}  {detail}"


_STAMP_WIDTH: Final = 8
_STYLES: Final = STYLES | {"retry": "yellow", "breaker": "yellow", "started": "", "running": "dim", "progress": "dim"}


def stamp(seconds: float) -> str:
    """A point of time in a run: `0:07.3`, `12:07.3`, `3:12:07`."""
    tenths = int(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    if minutes < 60:
        return f"{minutes}:{rest // 10:02}.{rest % 10}"
    return f"{minutes // 60}:{minutes % 60:02}:{rest // 10:02}"


def attempt_words(number: int, step: Step) -> str:
    """`attempt 2 of 3`; lost attempts do not count, so there may be more than `retry` allows."""
    allowed = step.retry.times + 1
    return f"attempt {number} of {allowed}" if number <= allowed else f"attempt {number}"


STOPPED: Final[dict[f.CancelCause, str]] = {
    "cancel": "the run was cancelled",
    "run_timeout": "the run took too long",
    "budget": "the budget is spent",
    "stop": "a failure stopped the run",
    "stop_layer": "a failure stopped its layer",
    "timeout": "it took too long",
    "suspend": "the run is suspended",
    "rejected": "it was rejected",
}
"""Why an attempt is, or a step was, brought to an end."""


# ---- one teller for each kind of fact ----


def _created(story: Story, fact: f.RunCreated) -> None:
    story.lay_out(fact)
    story.say_tail([visible(line) for line in fact.workflow.banner])
    taken = [step for step, given in fact.given.items() if given.output]
    for step, given in fact.given.items():
        if given.output is None:  # it stands for others, which are there at once
            story.steps |= {part.id: part for part in grown(story.steps[step], given.keys)}
    if taken:
        story.counts["reused"] += len(taken)
        story.given = f"outputs of {plural(len(taken), 'step')} taken from run {visible(fact.origin)}"


def _attached(story: Story, fact: f.EngineAttached) -> None:
    done = f"goes on, {story.done:,} of {plural(story.total, 'step')} done" if story.attached else plural(story.total, "step")
    story.attached = True
    bound = "one at a time" if story.schedule == "sequential" else at_once(fact.limits, story.steps.values())
    story.say("run", f"{story.run}: {story.name}, {done}, {bound}")
    if story.given:
        story.say("reused", story.given)
        story.given = ""


def _added(story: Story, fact: f.StepsAdded) -> None:
    steps = fact.steps or (grown(story.steps[fact.parent], fact.keys) if fact.parent else [])
    story.steps |= {step.id: step for step in steps}
    if any(step.role == "fallback" for step in fact.steps):
        return  # what it is for is said next
    if fact.parent:
        story.say_step("expanded", fact.parent, f"into {plural(len(steps), 'step')}")
    else:
        story.say("added", plural(len(steps), "step"))


def _succeeded(story: Story, fact: f.StepSucceeded) -> None:
    story.count_success(fact.step)
    story.say_step("succeeded", fact.step)


def _reused(story: Story, fact: f.StepReused) -> None:
    story.counts["reused"] += 1
    story.say_step("reused", fact.step, f"as in run {visible(fact.run)}")


def _fingerprint(story: Story, fact: f.FingerprintTaken) -> None:
    if fact.changed:
        story.say_step("changed", fact.step, names(fact.changed, NAMES_WIDTH))
    elif fact.note:
        story.say_step("anew", fact.step, visible(fact.note))


def _started(story: Story, fact: f.AttemptStarted) -> None:
    story.alive[fact.step] = (fact.attempt, fact.at)
    story.started |= {fact.step} if fact.attempt == 1 else set()
    if story.as_log:
        step = story.steps[fact.step]
        parts = [attempt_words(fact.attempt, step)] if fact.attempt > 1 else []
        parts += [f"GPU {visible(', '.join(fact.gpus))}"] if fact.gpus else []
        story.say_step("started", fact.step, "  ".join([*parts, visible(step.title)]))


def _spawned(story: Story, fact: f.AttemptSpawned) -> None:
    if story.verbose:
        story.say_step("process", fact.step, str(fact.pid))


def _ended(story: Story, fact: f.AttemptEnded) -> None:
    took = story.took(fact.step, fact.at)
    if fact.outcome == "ok":
        story.count_success(fact.step)
        parts = [took, f"attempt {fact.attempt}" if fact.attempt > 1 else ""]
        if story.verbose:
            parts.append(f"cpu {format_duration(fact.cpu_s)}" if fact.cpu_s is not None else "")
            parts.append(f"peak {format_size(fact.rss_bytes)}" if fact.rss_bytes else "")
        parts.append(spent(fact.usage) if fact.usage else "")
        story.say_step("succeeded", fact.step, ", ".join(filter(None, parts)))
    elif fact.error:
        story.errors[fact.step] = fact.error


def _lost(story: Story, fact: f.AttemptLost) -> None:
    story.alive.pop(fact.step, None)
    if fact.reason == "crash":
        again = "; it runs again" if story.steps[fact.step].rerun == "always" else ""
        story.say_step("lost", fact.step, f"its engine died{again}")
    elif story.steps[fact.step].rerun == "always":
        story.say_step("stopped", fact.step, "it runs again when the run is resumed")


def _stopping(story: Story, fact: f.AttemptStopping) -> None:
    story.say_step("stopping", fact.step, STOPPED[fact.cause])


def _backoff(story: Story, fact: f.BackoffStarted) -> None:
    error = story.errors.pop(fact.step, None)
    step = story.steps[fact.step]
    story.say_step(
        "retry",
        fact.step,
        f"{message(error)}; {attempt_words(fact.attempt + 1, step)} in {format_duration(max(0.0, fact.until - fact.at))}",
    )


def _fallback(story: Story, fact: f.FallbackStarted) -> None:
    story.errors.pop(fact.step, None)
    story.say_step("fallback", fact.step, f"{message(fact.error)}; `{visible(fact.fallback)}` is tried in its place")


def _interrupted(story: Story, fact: f.StepInterrupted) -> None:
    how = (
        "somebody must say whether it runs again" if story.steps[fact.step].rerun == "ask" else "it does not run again by itself"
    )
    story.say_step("interrupted", fact.step, how, freely=True)


def _answered(story: Story, fact: f.InterruptAnswered) -> None:
    said = {"again": "it runs again", "done": "its work is done", "give_up": "it is given up"}[fact.answer]
    reason = f": {visible(fact.reason)}" if fact.reason else ""
    story.say_step("answered", fact.step, f"{visible(fact.by)} says that {said}{reason}", freely=True)


def _budget_spent(story: Story, fact: f.BudgetSpent) -> None:
    story.say("budget", f"{spent(fact.usage)}: the budget is spent; {plural(len(story.alive), 'running step')} may end")


def _ending(story: Story, fact: f.RunEnding) -> None:
    story.say("finally", f"the run has {words(fact.status)}" if fact.status != "cancelled" else "the run was cancelled")


def spent(usage: Usage) -> str:
    """What was used, in words: `3 calls, 1,204 tokens, cost 0.35`."""
    parts = [plural(usage.calls, "call") if usage.calls else "", plural(usage.tokens, "token") if usage.tokens else ""]
    parts += [f"cost {usage.cost:,.6g}" if usage.cost else ""]
    return ", ".join(filter(None, parts)) or "nothing used"


def _failed(story: Story, fact: f.StepFailed) -> None:
    story.errors.pop(fact.step, None)
    story.counts["failed"] += 1
    number = story.counts["failed"]
    goes_on = "  (on_error: continue)" if story.steps[fact.step].on_error == "continue" else ""
    story.say_step("failed", fact.step, message(fact.error) + goes_on, freely=number <= FAILURES_MAX)
    if number <= TAILS_MAX:
        story.say_tail(last_lines(fact.error.tail, story.tail_lines))
        story.say_tail([f"= hint: {visible(fact.error.hint)}"] if fact.error.hint else [])


def message(error: ErrorRecord | None) -> str:
    """What went wrong, on one line."""
    return fit(visible(error.message), MESSAGE_WIDTH_MAX) if error else "failed"


def _cancelled(story: Story, fact: f.StepCancelled) -> None:
    story.errors.pop(fact.step, None)
    story.counts["cancelled"] += 1
    story.say_step("cancelled", fact.step, STOPPED[fact.cause])


def _skipped(story: Story, fact: f.StepsSkipped) -> None:
    story.counts["skipped"] += len(fact.steps)
    if len(fact.steps) == 1:
        story.say_step("skipped", fact.steps[0], skip_reason(fact))
    else:
        story.say_step("skipped", plural(len(fact.steps), "step"), f"{skip_reason(fact)}: {names(fact.steps, NAMES_WIDTH)}")


def _cancel_requested(story: Story, fact: f.CancelRequested) -> None:
    reason = f": {visible(fact.reason)}" if fact.reason else ""
    story.say("cancel", f"asked for by {visible(fact.by)}{reason}")


def _suspend_requested(story: Story, fact: f.SuspendRequested) -> None:
    by = f"asked for by {visible(fact.by)}; " if fact.by else ""
    running = plural(len(story.alive), "running step")
    story.say("suspend", f"{by}nothing new starts, {running} may end" if fact.how == "drain" else f"{by}ending {running}")


def _pool_resized(story: Story, fact: f.PoolResized) -> None:
    story.say("resized", f"{_pool(fact.pool, fact.key)} to {plural(fact.slots, 'slot')}: {fact.reason}")


def _breaker_opened(story: Story, fact: f.BreakerOpened) -> None:
    wait = format_duration(max(0.0, fact.until - fact.at))
    failed = plural(fact.failures, "failure")
    story.say("breaker", f"{_pool(fact.pool, fact.key)} is open after {failed} in a row: nothing that takes it starts for {wait}")


def _breaker_closed(story: Story, fact: f.BreakerClosed) -> None:
    story.say("breaker", f"{_pool(fact.pool, fact.key)} is closed again")


def _reserved(story: Story, fact: f.UnitsReserved) -> None:
    if story.verbose:
        pools = ", ".join(_pool(of.pool, of.key) for of in fact.pools)
        story.say_step("reserved", fact.step, f"it was overtaken too often: what becomes free of {pools} is kept for it")


def _busy(story: Story, fact: f.PoolBusy) -> None:
    others = [run for run in fact.runs if run != story.run]
    if others:
        story.say("waiting", f"for {visible(', '.join(fact.units))}, held by {visible(names(others, NAMES_WIDTH))}")


def _pool(name: str, key: str) -> str:
    return visible(f"{name}[{key}]" if key else name)


def _retry_requested(story: Story, fact: f.RetryRequested) -> None:
    for word in ("failed", "cancelled", "skipped"):
        del story.counts[word]
    story.counts["succeeded"] -= story.last_done  # `finally` runs again
    story.last_done = 0
    story.say("retry", f"asked for by {visible(fact.by)}; what did not succeed waits again")


def _timed_out(story: Story, fact: f.RunTimedOut) -> None:
    story.say("timeout", f"the run has taken longer than its `timeout`; ending {plural(len(story.alive), 'running step')}")


def _outputs(story: Story, fact: f.OutputsEvaluated) -> None:
    if fact.error:
        story.say("failed", f"the outputs of the run: {message(fact.error)}")


def _gate(story: Story, fact: f.GateOpened | f.GateAnswered) -> None:
    word, detail = ("gate", opened_words(fact)) if isinstance(fact, f.GateOpened) else ("answer", answer_words(fact))
    story.say(word, fit(f"{visible(fact.gate)}  {detail}", MESSAGE_WIDTH_MAX))


def _waiting(story: Story, fact: f.RunWaiting) -> None:
    if story.as_log:
        story.say("waiting", f"for {plural(len(fact.gates), 'answer')}: {names(fact.gates, NAMES_WIDTH)}")


def _suspended(story: Story, fact: f.RunSuspended) -> None:
    if story.as_log:
        story.say("suspended", f"{story.done:,} of {plural(story.total, 'step')} done")


def _run_ended(story: Story, fact: f.RunEnded) -> None:
    if story.as_log:
        story.say("ended", words(fact.status))


_TELL: Final[dict[type, Callable[[Story, Any], None]]] = {
    f.RunCreated: _created,
    f.EngineAttached: _attached,
    f.StepsAdded: _added,
    f.StepSucceeded: _succeeded,
    f.StepReused: _reused,
    f.FingerprintTaken: _fingerprint,
    f.AttemptStarted: _started,
    f.AttemptSpawned: _spawned,
    f.AttemptEnded: _ended,
    f.AttemptLost: _lost,
    f.AttemptStopping: _stopping,
    f.BackoffStarted: _backoff,
    f.FallbackStarted: _fallback,
    f.BudgetSpent: _budget_spent,
    f.StepInterrupted: _interrupted,
    f.InterruptAnswered: _answered,
    f.RunEnding: _ending,
    f.StepFailed: _failed,
    f.StepCancelled: _cancelled,
    f.StepsSkipped: _skipped,
    f.CancelRequested: _cancel_requested,
    f.SuspendRequested: _suspend_requested,
    f.PoolResized: _pool_resized,
    f.BreakerOpened: _breaker_opened,
    f.BreakerClosed: _breaker_closed,
    f.UnitsReserved: _reserved,
    f.PoolBusy: _busy,
    f.RetryRequested: _retry_requested,
    f.RunTimedOut: _timed_out,
    f.OutputsEvaluated: _outputs,
    f.GateOpened: _gate,
    f.GateAnswered: _gate,
    f.RunWaiting: _waiting,
    f.RunSuspended: _suspended,
    f.RunEnded: _run_ended,
}
