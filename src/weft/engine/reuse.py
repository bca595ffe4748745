"""Steps with `reuse`: their fingerprints are taken before they start, and looked up among the successes of earlier runs.

- Whatever is wrong with a stored success, a step that cannot be reused for sure is run: nothing here fails a step.
- Values are resolved on the loop, files are read in a thread beside it. A success is stored only if the files that it declares
  to read are after it what they were before: what it read in between is not known.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from weft.core import facts as f
from weft.core.state import State
from weft.engine.fingerprint import changed, key_of, parts_of
from weft.engine.jobs import Jobs
from weft.engine.values import Values
from weft.host.contents import Unreadable, digests
from weft.model.errors import MachineError
from weft.model.template import resolve
from weft.ports import OutputStore, Success, Successes

CANDIDATES_MAX: Final = 4
"""Stored successes with the same fingerprint that are tried, the newest first: if the files of these are gone, so are others'."""

READS: Final = "reads "


class Reuse:
    """For one run. `project` is the folder that paths are relative to."""

    def __init__(self, state: State, values: Values, jobs: Jobs, store: OutputStore, successes: Successes, project: str) -> None:
        self._state = state
        self._values = values
        self._jobs = jobs
        self._store = store
        self._successes = successes
        self._project = project
        self._asked: set[asyncio.Task[None]] = set()
        self._closed = False

    def take(self, step: str, post: Callable[[f.FingerprintTaken], None]) -> None:
        """Take the fingerprint of a step, look for a success with the same one, and post what was found."""
        task = asyncio.get_running_loop().create_task(self._take(step, post))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)

    def close(self) -> None:
        """Nobody waits any more for what is being read."""
        self._closed = True

    async def _take(self, id_: str, post: Callable[[f.FingerprintTaken], None]) -> None:
        state = self._state
        step = state.steps[state.graph.index[id_]]
        try:
            job = self._jobs.make(step, 1)
            scope = self._values.scope_of(id_)
            versions = resolve(step.versions, scope)
            reads, writes = self._patterns(id_)
        except (ValueError, MachineError):
            post(f.FingerprintTaken(at=0.0, step=id_, note="its data could not be resolved"))  # to run it says why
            return
        env = self._values.environment(id_)
        looks = state.created is None or state.created.reuse

        def work() -> f.FingerprintTaken:
            return self._look_up(id_, parts_of(step, job.action, job.inputs, env, versions, job.cwd), reads, writes, looks)

        post(await asyncio.to_thread(work))

    def _patterns(self, id_: str) -> tuple[list[str], list[str]]:
        """What a step declares to read and to write. Raises ValueError."""
        step = self._state.steps[self._state.graph.index[id_]]
        scope = self._values.scope_of(id_)
        return [str(path) for path in resolve(list(step.reads), scope)], [str(path) for path in resolve(list(step.writes), scope)]

    # ---- in a thread ----

    def _look_up(self, id_: str, parts: dict[str, str], reads: list[str], writes: list[str], looks: bool) -> f.FingerprintTaken:
        try:
            files = digests(reads, self._project, self._goes_on)
        except Unreadable as problem:
            return f.FingerprintTaken(at=0.0, step=id_, note=str(problem))
        parts |= {READS + path: digest for path, digest in files.items()}
        taken = f.FingerprintTaken(at=0.0, step=id_, parts=parts)
        if not looks:
            return msgspec.structs.replace(taken, note="the run was started so that it runs in any case")
        note = ""
        for success in self._successes.find(id_, key_of(parts), CANDIDATES_MAX):
            refused, given = self._take_over(success, writes)
            if given:
                return msgspec.structs.replace(taken, found=given)
            note = note or f"it succeeded with the same fingerprint in run {success.run}, but {refused}"
        last = self._successes.last(id_)
        if note or last is None:
            return msgspec.structs.replace(taken, note=note)
        return msgspec.structs.replace(taken, last=last.run, changed=changed(last.parts, parts))

    def _take_over(self, success: Success, writes: list[str]) -> tuple[str, f.Given | None]:
        """The output of a stored success as one of this run, if it and the files that it wrote are as they were; or why not."""
        try:
            there = digests(writes, self._project, self._goes_on)
        except Unreadable as problem:
            return str(problem), None
        for path, digest in success.wrote.items():
            if there.get(path) != digest:
                return f"`{path}`, which it wrote, {'has changed' if path in there else 'is gone'} since", None
        try:
            output = self._store.take_over(success.output, success.blob) if success.blob else success.output
        except (MachineError, ValueError) as problem:
            return str(problem), None
        return "", f.Given(run=success.run, output=output)

    def _goes_on(self) -> bool:
        return not self._closed

    # ---- after a success ----

    def wanted(self, step: str) -> bool:
        """Whether a success of this step is to be stored."""
        i = self._state.graph.index[step]
        taken = self._state.prints.get(i)
        return taken is not None and bool(taken.parts)

    def stored(self, id_: str) -> f.Stored:
        """Under what a success that has just come may be reused. Reads files: to be called in a thread."""
        parts = self._state.prints[self._state.graph.index[id_]].parts
        try:
            reads, writes = self._patterns(id_)
            wrote = digests(writes, self._project, self._goes_on) if writes else {}
            after = digests(reads, self._project, self._goes_on) if reads else {}
        except (Unreadable, ValueError, MachineError) as problem:
            return f.Stored(refused=str(problem))
        before = {name.removeprefix(READS): digest for name, digest in parts.items() if name.startswith(READS)}
        other = [path for path in changed(before, after) if path not in wrote]
        if other:
            return f.Stored(refused=f"`{other[0]}` changed while it ran")
        return f.Stored(key=key_of(parts), wrote=wrote)
