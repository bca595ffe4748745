"""How long steps will take: what earlier runs of the workflow teach, and a guess for what they do not.

- Of a run only attempts that succeeded teach anything, and only how long they took.
- Nothing here decides: `demand` weighs paths by what a run's first fact says, so all engines of one run agree.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias
from zlib import crc32

import msgspec

from weft.model.paths import definition
from weft.model.workflow import Action, Flow, Sleep, Step, Workflow, definitions

Source: TypeAlias = Literal["learned", "same action", "expect", "sleep", "same kind", "assumed"]
"""Where an estimate comes from: earlier runs of the step itself, of steps with the same action; what the file says in `expect`,
or as the length of a sleep; earlier runs of steps of the same kind (shell, python …); or nothing at all."""

LEARNED: tuple[Source, ...] = ("learned", "same action", "same kind")

STEPS_MAX = 200_000
"""A run of more steps teaches nothing: what there is to remember of it would have megabytes."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What one run teaches, in seconds: medians by the path of a step in its file, by fingerprint of its action, by its kind."""

    steps: dict[str, float] = {}
    actions: dict[str, float] = {}
    kinds: dict[str, float] = {}


class Estimate(msgspec.Struct, frozen=True):
    """`runs`: from how many runs it was learned."""

    seconds: float
    source: Source
    runs: int = 0


def kind_of(action: Action) -> str:
    """`shell`, `python` …"""
    return str(type(action).__struct_config__.tag)


def _print_of(action: Action) -> str:
    """Equal for equal actions. Another action with the same print, one in four billion, would spoil a guess and nothing else."""
    return f"{crc32(msgspec.json.encode(action)):08x}"


def sample_of(workflow: Workflow, took_s: Mapping[str, float]) -> Sample:
    """What a run teaches in which these steps succeeded after so many seconds."""
    if len(took_s) > STEPS_MAX:
        return Sample()
    steps, actions, kinds = dict[str, list[float]](), dict[str, list[float]](), dict[str, list[float]]()
    defined = dict(definitions(workflow))
    for id_, seconds in took_s.items():
        path = definition(id_)
        steps.setdefault(path, []).append(seconds)
        if step := defined.get(path):
            actions.setdefault(_print_of(step.action), []).append(seconds)
            kinds.setdefault(kind_of(step.action), []).append(seconds)
    return Sample(steps=_medians(steps), actions=_medians(actions), kinds=_medians(kinds))


def _medians(groups: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: round(median(seconds), 6) for name, seconds in groups.items()}


def median(numbers: Sequence[float]) -> float:
    """The middle one, or the mean of the two in the middle. Raises IndexError if there is none."""
    ordered, half = sorted(numbers), len(numbers) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def estimates(workflow: Workflow, samples: Sequence[Sample]) -> list[Estimate]:
    """An estimate for each step, in file order: the median of its own earlier runs, else of those of the same action, else its
    `expect` or the length of its sleep, else the median of its kind, else 1."""
    return _estimates([(step.id, step) for step in workflow.steps], samples)


def estimates_by_path(workflow: Workflow, samples: Sequence[Sample]) -> dict[str, Estimate]:
    """The same for the steps of sub-workflows too, by path, without those that stand for others."""
    steps = [(path, step) for path, step in definitions(workflow) if not isinstance(step.action, Flow)]
    return {path: estimate for (path, _), estimate in zip(steps, _estimates(steps, samples), strict=True)}


def _estimates(steps: Sequence[tuple[str, Step]], samples: Sequence[Sample]) -> list[Estimate]:
    own = _gathered([sample.steps for sample in samples])
    by_action = _gathered([sample.actions for sample in samples])
    by_kind = _gathered([sample.kinds for sample in samples])
    found = []
    for path, step in steps:
        if path in own:
            found.append(_learned(own[path], "learned"))
        elif by_action and (like := by_action.get(_print_of(step.action))):
            found.append(_learned(like, "same action"))
        elif step.expect_s is not None:
            found.append(Estimate(step.expect_s, "expect"))
        elif isinstance(step.action, Sleep):
            found.append(Estimate(step.action.seconds, "sleep"))
        elif alike := by_kind.get(kind_of(step.action)):
            found.append(_learned(alike, "same kind"))
        else:
            found.append(Estimate(1.0, "assumed"))
    return found


def _gathered(runs: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    gathered: dict[str, list[float]] = {}
    for run in runs:
        for name, seconds in run.items():
            gathered.setdefault(name, []).append(seconds)
    return gathered


def _learned(seconds: list[float], source: Source) -> Estimate:
    return Estimate(median(seconds), source, len(seconds))


def learned(workflow: Workflow, samples: Sequence[Sample]) -> dict[str, float]:
    """The estimates that earlier runs taught, in seconds by step; for the first fact of a run."""
    if not samples:
        return {}
    found = estimates_by_path(workflow, samples)
    return {path: estimate.seconds for path, estimate in found.items() if estimate.source in LEARNED}
