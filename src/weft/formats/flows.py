"""Sub-workflows of the native format: reading their files, each once and within bounds, and what they share with the file.

The defaults and names of a sub-workflow are its own. Pools are shared by name: the file that is run says how large a pool is.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from weft.formats.document import Findings, Path, Where
from weft.formats.shapes import Fields, quoted
from weft.model.inputs import fits
from weft.model.problem import Problem
from weft.model.template import has_template
from weft.model.tokens import shown
from weft.model.workflow import Flow, Pool, Step, Workflow, definitions

if TYPE_CHECKING:
    from weft.formats import Loaded
    from weft.formats.document import Document

Read: TypeAlias = Callable[[str], tuple[bytes | None, list[Problem]]]
"""The content of a file, or what is wrong with it."""

Parse: TypeAlias = "Callable[[bytes, str], tuple[Document | None, list[Problem]]]"
"""The value in the content of a file with this name, or what is wrong with it."""

DEPTH_MAX = 16
"""Files inside files. People rarely go beyond three; each level of the run's paths is a name to read."""

STEPS_MAX = 100_000
"""Steps of all sub-workflows together. Each level may multiply them, and all are part of the run's first fact."""

OF_RUNS = ("schedule", "timeout", "finally", "deadline", "budget", "gates")
"""Keys of a workflow that speak of a whole run."""


class Beside(msgspec.Struct, frozen=True, kw_only=True):
    """A run that the steps of a file shall join: what they may refer to, and whose names are taken."""

    steps: frozenset[str]
    workflow: Workflow


class Sources:
    """The files of sub-workflows. `problems` are theirs, `contents` what they hold, `digests` the SHA-256 of each by its name.
    `bytes_max`: of all files together."""

    def __init__(
        self, name: str, read: Read | None, load: "Callable[[bytes, str], Loaded]", parse: "Parse", bytes_max: int
    ) -> None:
        self._read, self._load, self._parse = read, load, parse
        self._known: dict[str, Workflow | None] = {}
        self._chain = [normpath(name)]
        self._bytes_left = bytes_max
        self.beside: Beside | None = None
        self.problems: list[Problem] = []
        self.contents: dict[str, bytes] = {}
        self.digests: dict[str, str] = {}

    @property
    def inside(self) -> bool:
        """Whether the file that is being loaded is that of a sub-workflow."""
        return len(self._chain) > 1

    def workflow(self, path: str, where: Where, findings: Findings) -> Workflow | None:
        """The workflow in the file at `path`, relative to the one that is being loaded; None if something is wrong."""
        name = normpath(join(dirname(self._chain[-1]), path))
        if name in self._chain:
            chain = " → ".join([*self._chain[self._chain.index(name) :], name])
            hint = "a workflow cannot contain itself: move what repeats into a step, or use `for_each`"
            findings.add("W321", f"these files contain each other: `{chain}`", where, hint=hint)
            return None
        if name not in self._known:
            self._known[name] = self._enter(name, where, findings)
        findings.count += self._known[name] is None
        return self._known[name]

    def _enter(self, name: str, where: Where, findings: Findings) -> Workflow | None:
        if len(self._chain) > DEPTH_MAX:
            message = f"sub-workflows are nested deeper than {DEPTH_MAX} files"
            findings.add("W322", message, where, hint="let one of them do the work of several")
            return None
        data, problems = self._read(name) if self._read else (None, [])
        if data is None:
            told = problems[0] if problems else None
            code, message = (told.code, told.message) if told else ("W103", f"`{name}` cannot be read from here")
            findings.add(code, message, where, hint=told.hint if told else "write the sub-workflow out under `flow`")
            return None
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            message = "all files of this workflow together are too large"
            findings.add("W104", message, where, hint="raise the limit with --size-max")
            return None
        self.digests[name] = sha256(data).hexdigest()
        self._chain.append(name)
        loaded = self._load(data, name)
        self._chain.pop()
        self.problems += loaded.problems
        if loaded.problems:
            self.contents[name] = data
        return loaded.workflow

    # ---- files that are no workflows of their own ----

    def document(self, paths: Sequence[str]) -> "tuple[Document, str] | None":
        """What the first of these files that there is holds, and its name; relative to the file that is being loaded. None if
        there is none, or it cannot be read as YAML or JSON, which is among the problems then."""
        for path in paths:
            data = self.content(path, self._chain[-1])
            if data is None:
                continue
            name = normpath(join(dirname(self._chain[-1]), path))
            document, problems = self._parse(data, name)
            self.contents[name] = data
            self.problems += problems
            return (document, name) if document else None
        return None

    def content(self, path: str, beside: str) -> bytes | None:
        """The bytes of a file, by its name relative to another one; None if it cannot be read."""
        data = self._read(normpath(join(dirname(beside), path)))[0] if self._read else None
        self._bytes_left -= len(data or b"")
        return data if self._bytes_left >= 0 else None


def check_given(fields: Fields, workflow: Workflow, findings: Findings) -> None:
    """Whether `with` gives a sub-workflow what it takes."""
    given = fields.get("with", {})
    for name, value in given.items():
        where = Where(fields.at("with", name))
        declared = workflow.inputs.get(name)
        if declared is None:
            known = f"it has {quoted(workflow.inputs)}" if workflow.inputs else "it has no inputs"
            hint = findings.suggest(name, workflow.inputs) or known
            message = f"the workflow `{shown(workflow.name)}` has no input `{shown(name)}`"
            findings.add("W305", message, where.key(), hint=hint)
        elif not (isinstance(value, str) and has_template(value)) and not fits(declared.type, value):
            message = f"this does not fit the type of the input `{name}` of `{shown(workflow.name)}`, which is {declared.type}"
            findings.add("W311", message, where, hint="give it a value of that type")
    for name, declared in workflow.inputs.items():
        if declared.required and name not in given:
            message = f"the input `{name}` of the workflow `{shown(workflow.name)}` is not given"
            findings.add("W203", message, Where(fields.at("flow"), "key"), hint=f"add it to `with`: `{name}: …`")


def refuse_of_runs(fields: Fields, findings: Findings) -> None:
    """Report what a sub-workflow says about the run, which is not its own."""
    for key in OF_RUNS:
        if key in fields and (key, fields[key]) != ("schedule", "dataflow"):
            message = f"`{key}` says nothing about a sub-workflow: it is a part of the run"
            findings.add("W214", message, Where(fields.at(key), "key"), hint="move it to the file that is run, or remove it")


def refuse_taken(ids: Mapping[str, Path], beside: Beside, findings: Findings) -> None:
    """Report steps that a run has already, which these shall join."""
    for id_ in beside.steps.intersection(ids):
        message, hint = f"the run has a step `{shown(id_)}` already", "give the new one another id"
        findings.add("W119", message, Where(ids[id_], "key"), hint=hint)


def check_size(steps: Sequence[Step], where: Callable[[str], Where], findings: Findings) -> None:
    """Whether the steps of all sub-workflows together are within bounds."""
    total = 0
    for step in steps:
        if isinstance(step.action, Flow):
            total += _size(step.action.workflow)
            if total > STEPS_MAX:
                message = f"the sub-workflows have more than {STEPS_MAX:,} steps together"
                findings.add("W322", message, where(step.id), hint="let a step do more of the work, or make several runs")
                return


def _size(workflow: Workflow) -> int:
    """Of a workflow that has been checked itself: counting it takes no longer than that did."""
    return sum(1 + (_size(step.action.workflow) if isinstance(step.action, Flow) else 0) for step in workflow.steps)


def shared_secrets(steps: Sequence[Step]) -> list[str]:
    """What sub-workflows declare: the run must have them all."""
    return [name for step in steps if isinstance(step.action, Flow) for name in step.action.workflow.secrets]


def shared_pools(
    own: Mapping[str, Pool], steps: Sequence[Step], where: Callable[[str], Where], findings: Findings
) -> dict[str, Pool]:
    """The pools of a file and of its sub-workflows. Two of these that differ are reported, unless the file itself decides."""
    pools, owner = dict(own), dict[str, str]()
    for step in steps:
        if not isinstance(step.action, Flow):
            continue
        for name, pool in step.action.workflow.resources.items():
            if name not in pools:
                pools[name], owner[name] = pool, step.id
            elif name in owner and pool != pools[name]:
                seconds = [(where(owner[name]), "the other one")]
                message = f"two sub-workflows disagree on the pool `{name}`"
                hint = f"say how large it is in this file: `resources: {{ {name}: {pool.slots or '{ rate: 60/min }'} }}`"
                findings.add("W323", message, where(step.id), seconds=seconds, hint=hint)
        for path, inner in definitions(step.action.workflow, f"{step.id}/"):
            for name, weight in inner.resources.items():
                slots = own[name].slots if name in own else None
                if slots is not None and weight > slots:
                    message = f"the step `{path}` asks for {weight:,} of the pool `{name}`, which has {slots:,}"
                    findings.add("W308", message, where(step.id), hint="make the pool larger: the step could never start")
    return pools
