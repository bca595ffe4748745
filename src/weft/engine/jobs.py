"""From a step to a job: every `${{ }}` resolved, the environment laid out, the files named."""

import os.path
from collections.abc import Mapping, Sequence
from glob import escape
from hashlib import blake2b
from pathlib import Path

import msgspec

from weft.core.facts import RunCreated
from weft.engine.folder import RunFolder
from weft.engine.values import Values
from weft.model.frame import Scope, type_name
from weft.model.template import resolve
from weft.model.workflow import FRACTIONS, Action, Agent, Argv, Http, Js, Lua, Step, Wasm
from weft.ports import Job


class Jobs:
    """Makes the jobs of one run. `secrets` maps names to values; `folder` is the run's."""

    def __init__(self, created: RunCreated, values: Values, folder: RunFolder, secrets: Mapping[str, str]) -> None:
        self._created = created
        self._values = values
        self._folder = folder
        self._secrets = secrets
        self._project = created.project or "."

    def make(self, step: Step, attempt: int, gpus: Sequence[str] = (), leases: tuple[int, ...] = ()) -> Job:
        """The job of one attempt, with its GPUs and the descriptors of its lease. Raises ExpressionError if a value that it
        refers to does not exist."""
        return Job(
            run=self._created.run,
            step=step.id,
            attempt=attempt,
            action=self._action(step),
            inputs=self._values.inputs(step.id),
            env={
                **self._values.environment(step.id),
                **{name: self._secrets[name] for name in step.secrets},
                "WEFT_IDEMPOTENCY_KEY": idempotency_key(self._created.run, step.id),
                **({"CUDA_VISIBLE_DEVICES": ",".join(gpus)} if gpus else {}),
            },
            form=step.output,
            stdout=self._folder.stdout(step.id, attempt),
            stderr=self._folder.stderr(step.id, attempt),
            scratch=self._folder.scratch_of(step.id, attempt),
            cwd=str(Path(self._project, step.cwd)) if step.cwd else self._project,
            secrets=tuple(self._secrets.values()),
            mem_bytes=self._asked(step, "mem", 1),
            cpu=self._asked(step, "cpu", FRACTIONS),
            leases=leases,
            reads=self._within_reach(step.reads, step),
            writes=self._within_reach(step.writes, step),
        )

    def _within_reach(self, declared: tuple[str, ...], step: Step) -> tuple[str, ...]:
        """The files that a confined step declares, from the project's folder."""
        if not declared or not isinstance(step.action, Lua | Js | Wasm):
            return ()
        project = escape(str(Path(self._project).absolute()))
        return tuple(os.path.join(project, str(path)) for path in resolve(list(declared), self._values.scope_of(step.id)))

    def _asked(self, step: Step, name: str, units: int) -> int | None:
        """What a step asks for of a pool of the machine, with so many units to one."""
        weight = step.resources.get(name)
        pool = None if weight is None else self._created.workflow.resources.get(name)
        return None if weight is None or pool is None or not pool.of_machine else weight * units // pool.unit

    def _action(self, step: Step) -> Action:
        if not isinstance(step.action, Http | Agent | Argv):
            return step.action
        scope = self._values.scope_of(step.id)
        if isinstance(step.action, Http):
            return _resolved(step.action, scope)
        if isinstance(step.action, Agent):
            return _asked_with(step.action, scope)
        return Argv(argv=tuple(_argument(item) for item in resolve(list(step.action.argv), scope)))


def _resolved(action: Http, scope: Scope) -> Http:
    url = resolve(action.url, scope)
    if not isinstance(url, str):
        raise ValueError(f"`url` is {type_name(url)}, where a text must be")
    return msgspec.structs.replace(
        action,
        url=url,
        headers=resolve(action.headers, scope),
        query=resolve(action.query, scope),
        body=resolve(action.body, scope),
    )


def _asked_with(action: Agent, scope: Scope) -> Agent:
    """A value in a prompt that is no text stands there as JSON; but the model is named by a text."""
    model = resolve(action.model, scope)
    if not isinstance(model, str):
        raise ValueError(f"`model` is {type_name(model)}, where a text must be")
    prompt, system = (_argument(resolve(text, scope)) for text in (action.prompt, action.system))
    return msgspec.structs.replace(action, prompt=prompt, model=model, system=system)


def _argument(value: object) -> str:
    """One item of an argument list is one argument: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def idempotency_key(run: str, step: str) -> str:
    """Equal over the attempts of a step, different for every other step and run."""
    return blake2b(f"{run}/{step}".encode(), digest_size=16).hexdigest()
