"""`agent`: questions to language models. All of them wait in one thread beside the engine, which has a loop of its own.

The library takes a second to import and works through answers in pure Python; the engine's loop does neither. The thread is
started with the runner, so that the import is done, or well under way, when the first step wants to ask.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from weft.model.endpoint import TEST, Endpoint, Unusable, endpoint_of
from weft.model.output import ErrorRecord, Usage
from weft.model.workflow import Agent, Budget
from weft.ports import Ended, Job, JobKey, Report

if TYPE_CHECKING:
    from pydantic_ai.usage import RunUsage

    from weft.runners.asking import Desk


class AgentRunner:
    """Runs Agent actions. `base`: the environment without secrets. `budget`: what depends on the tokens and costs of answers."""

    def __init__(
        self, base: Mapping[str, str], say: Callable[[str], None] = lambda text: None, *, budget: Budget | None = None
    ) -> None:
        self._base, self._say, self._budget = base, say, budget
        self._alive: dict[JobKey, asyncio.Future[None]] = {}
        self._told: set[str] = set()
        self._desk: Desk | None = None
        self._broken = ""
        self._tasks: dict[JobKey, asyncio.Task[Ended]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="agents", daemon=True)
        self._thread.start()
        self._loop.call_soon_threadsafe(self._set_up)

    def start(self, job: Job, report: Report) -> None:
        here = self._here = asyncio.get_running_loop()
        self._alive[job.key] = here.create_future()

        def ended(task: "asyncio.Task[Ended]") -> None:
            del self._tasks[job.key]
            end = _cancelled(job.key) if task.cancelled() else task.result()  # one that has not begun cannot catch it
            here.call_soon_threadsafe(self._done, end, report)

        def begin() -> None:
            task = self._tasks[job.key] = self._loop.create_task(self._work(job))
            task.add_done_callback(ended)

        self._loop.call_soon_threadsafe(begin)

    def stop(self, key: JobKey, grace_s: float) -> None:
        if key in self._alive:
            self._loop.call_soon_threadsafe(self._cancel, key)

    async def close(self) -> None:
        for key in self._alive:
            self.stop(key, 0)
        await asyncio.gather(*self._alive.values())
        if self._thread.is_alive():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._tidy(), self._loop))
            self._loop.call_soon_threadsafe(self._loop.stop)
            await asyncio.to_thread(self._thread.join)
            self._loop.close()

    def _done(self, ended: Ended, report: Report) -> None:
        """On the engine's loop."""
        self._alive.pop(ended.key).set_result(None)
        report(ended)

    # ---- in the thread ----

    def _set_up(self) -> None:
        try:
            from weft.runners.asking import Desk

            self._desk = Desk()
        except Exception as problem:  # a broken library may raise anything; each step tells it
            self._broken = str(problem) or type(problem).__name__

    async def _tidy(self) -> None:
        if self._desk:
            await self._desk.close()

    def _cancel(self, key: JobKey) -> None:
        if task := self._tasks.get(key):
            task.cancel()

    async def _work(self, job: Job) -> Ended:
        """The end of an attempt, whatever happens; what was used until then is counted."""
        action = job.action
        assert isinstance(action, Agent)
        try:
            endpoint = endpoint_of(action.model, {**self._base, **job.env})
        except Unusable as wrong:
            return Ended(key=job.key, outcome="failed", error=ErrorRecord(kind="input", message=wrong.message, hint=wrong.hint))
        if self._desk is None:
            message, hint = f"a library is missing or broken: {self._broken}", "pip install 'weft[llm]'"
            return Ended(key=job.key, outcome="failed", error=ErrorRecord(kind="error", message=message, hint=hint))
        from pydantic_ai.usage import RunUsage

        from weft.runners.asking import error_of

        usage = RunUsage()
        try:
            payload = await self._desk.ask(action, job.inputs, endpoint, usage)
            ended = Ended(key=job.key, outcome="ok", payload=payload)
        except asyncio.CancelledError:
            ended = _cancelled(job.key)
        except Exception as error:  # whatever it is, the attempt has ended with it
            ended = Ended(key=job.key, outcome="failed", error=error_of(error, endpoint))
        return self._reported(ended, endpoint, usage, job)

    def _reported(self, ended: Ended, endpoint: Endpoint, used: "RunUsage", job: Job) -> Ended:
        """With the tokens and the cost, which are told in the log of the step too."""
        usage = Usage(tokens_in=used.input_tokens, tokens_out=used.output_tokens, cost=float(used.cost or 0))
        priced = used.cost is not None or endpoint.provider == TEST
        if usage.tokens:
            price = f"cost {usage.cost:,.6g}" if priced else "no price is known, so that it counts as free"
            _note(job.stderr, f"{endpoint.model}: {usage.tokens_in:,} tokens in, {usage.tokens_out:,} out, {price}\n")
        elif ended.outcome == "ok":
            _note(job.stderr, f"{endpoint.model}: the server does not tell how many tokens it used\n")
        if ended.outcome == "ok":
            self._warn(endpoint.model, counted=bool(usage.tokens), priced=priced)
        if not usage.tokens:
            return ended
        return Ended(key=ended.key, outcome=ended.outcome, payload=ended.payload, form=ended.form, error=ended.error, usage=usage)

    def _warn(self, model: str, *, counted: bool, priced: bool) -> None:
        """Say once of each model that the budget does not bound what it costs."""
        budget = self._budget
        told = ""
        if budget and not counted:
            told = f"the server does not tell how many tokens `{model}` uses: its answers do not count towards the budget"
        elif budget and budget.cost is not None and not priced:
            told = f"no price is known for `{model}`: its answers do not count towards the budget of `cost`"
        if told and model not in self._told:
            self._told.add(model)
            self._here.call_soon_threadsafe(self._say, told)


def _cancelled(key: JobKey) -> Ended:
    return Ended(key=key, outcome="cancelled", error=ErrorRecord(kind="cancelled", message="it was stopped"))


def _note(path: str, text: str) -> None:
    """Write the log of an attempt; without it the run goes on."""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    except OSError:
        return
