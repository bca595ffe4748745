"""What the steps of a run really touched: which pairs race though nobody said so, and what was said that is not so.

Paths are as people write them: relative to the project's folder where they are below it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from weft.core.state import State
from weft.model.globs import Pattern, meet, pattern
from weft.model.paths import definition
from weft.model.races import cure
from weft.model.workflow import Step, definitions

PAIRS_MAX: Final = 200
"""Pairs that are told one by one: more have one cause, which shows in the first few."""
FILES_MAX: Final = 5
"""Files of one pair that are named."""

SYSTEM: Final = ("/usr/", "/lib/", "/lib32/", "/lib64/", "/bin/", "/sbin/", "/etc/", "/opt/", "/nix/", "/snap/", "/var/lib/")
"""What is only read there is the machine's, not the workflow's."""
NEVER: Final = ("/proc/", "/dev/", "/sys/")


class Seen(msgspec.Struct, frozen=True):
    """What one step touched, in all its attempts."""

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()

    @property
    def all(self) -> frozenset[str]:
        return self.reads | self.writes


class Clash(NamedTuple):
    """A file that both steps of a pair touched. `first` and `second`: `reads`, `writes`, or `reads and writes`."""

    path: str
    first: str
    second: str


class SeenRace(NamedTuple):
    """Two steps that no path orders; `first` started first. `files` names some of `files_count`. `needs` is the line that would
    order them, of the step `change`, so that who writes goes before who only reads; both are empty if no such line can: they are
    instances of one step."""

    first: str
    second: str
    files: tuple[Clash, ...]
    files_count: int
    change: str
    needs: str


class Said(NamedTuple):
    """What a step declares and what it did: declared and never touched, touched and not declared."""

    step: str
    never_read: tuple[str, ...]
    never_written: tuple[str, ...]
    read: tuple[str, ...]
    written: tuple[str, ...]


class Filter:
    """Which files count. `project` and `state` are absolute folders, `machine` more folders of programs. With `include` only
    files that one of its globs means count, and all of these; none that `exclude` means does."""

    def __init__(
        self, project: str, state: str, machine: Iterable[str] = (), include: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> None:
        self._project = project.rstrip("/") + "/"
        self._never = (*NEVER, state.rstrip("/") + "/")
        self._system = (*SYSTEM, *(folder.rstrip("/") + "/" for folder in machine if folder.rstrip("/")))
        self._include, self._exclude = [pattern(text) for text in include], [pattern(text) for text in exclude]

    def shown(self, path: str) -> str:
        """The path as people write it."""
        return path.removeprefix(self._project)

    def counts(self, path: str, *, writes: bool) -> bool:
        """Whether a file that was opened, at an absolute path, is one that steps may race for."""
        if path.startswith(self._never) or "/__pycache__/" in path:
            return False
        own = as_pattern(self.shown(path))
        if any(meet(each, own) for each in self._exclude):
            return False
        if self._include:
            return any(meet(each, own) for each in self._include)
        return writes or not path.startswith(self._system) or path.startswith(self._project)


def as_pattern(path: str) -> Pattern:
    """The pattern that means just this path."""
    if not any(sign in path for sign in "*?[{"):
        return pattern(path)
    return pattern("".join(f"[{char}]" if char in "*?[{" else char for char in path))


def find_seen(state: State, seen: Mapping[str, Seen], started: Sequence[str]) -> tuple[list[SeenRace], int]:
    """The pairs that touched one file, one of them writing, with no path between them; PAIRS_MAX of them, and how many there
    are. `started` has all steps in the order of their starts."""
    writers, users = defaultdict[str, int](int), defaultdict[str, int](int)
    ids = [step for step in started if step in seen]
    for n, step in enumerate(ids):
        for path in seen[step].all:
            users[path] |= 1 << n
        for path in seen[step].writes:
            writers[path] |= 1 << n
    number = {step: n for n, step in enumerate(ids)}
    before = _before(state, number)
    races: list[SeenRace] = []
    count = 0
    for n, step in enumerate(ids):
        mask = 0
        for path in seen[step].all:
            mask |= users[path] if path in seen[step].writes else writers[path]
        mask &= ((1 << n) - 1) & ~before[n]
        count += mask.bit_count()
        while mask and len(races) < PAIRS_MAX:
            low = mask & -mask
            mask ^= low
            races.append(_race(state, ids[low.bit_length() - 1], step, seen))
    return races, count


def _before(state: State, number: Mapping[str, int]) -> dict[int, int]:
    """For each of the numbered steps, those that a path leads from, as bits."""
    graph, early = state.graph, 0
    before, found = [0] * len(graph), dict[int, int]()
    late = {i for i in range(len(graph)) if any(state.steps[j].role == "finally" for j in (i, *graph.above(i)))}
    for i in sorted(graph.order, key=late.__contains__) if late else graph.order:
        mask, before[i] = before[i] | (early if i in late else 0), 0  # masks of all steps at once would be large
        n = number.get(graph.ids[i])
        if n is not None:
            found[n] = mask
            mask |= 1 << n
            early |= 0 if i in late else 1 << n
        for j in graph.links[i]:
            before[j] |= mask
    for user, fallback in [(step.id, step.fallback) for step in state.steps if step.fallback]:
        if user in number and fallback in number:  # it started when the step had failed that names it
            found[number[fallback]] |= found[number[user]] | 1 << number[user]
    return found


def _race(state: State, first: str, second: str, seen: Mapping[str, Seen]) -> SeenRace:
    one, two = seen[first], seen[second]
    paths = sorted((one.writes & two.all) | (one.all & two.writes))
    files = tuple(Clash(path, _does(one, path), _does(two, path)) for path in paths[:FILES_MAX])
    change, needs = "", ""
    if definition(first) != definition(second):
        only_reads = one.writes.isdisjoint(paths)  # who writes shall go first
        order = (second, first) if only_reads else (first, second)
        change, needs = cure(state.workflow, *map(definition, order))
    return SeenRace(first, second, files, len(paths), change, needs)


def _does(seen: Seen, path: str) -> str:
    if path in seen.reads and path in seen.writes:
        return "reads and writes"
    return "writes" if path in seen.writes else "reads"


def compare(state: State, seen: Mapping[str, Seen], project: str) -> list[Said]:
    """What steps declare against what they touched, for those that declare something and ran; only where the two differ."""
    found = defaultdict[str, list[Seen]](list)
    for step, own in seen.items():
        found[definition(step)].append(own)
    told = [
        _compare(path, step, found[path], project.rstrip("/") + "/")
        for path, step in definitions(state.workflow)
        if path in found and (step.reads or step.writes)
    ]
    return [said for said in told if any(said[1:])]


def _compare(path: str, step: Step, own: list[Seen], project: str) -> Said:
    reads = frozenset[str]().union(*(each.reads for each in own))
    writes = frozenset[str]().union(*(each.writes for each in own))
    may_read = [pattern(text.removeprefix(project)) for text in (*step.reads, *step.writes)]
    may_write = [pattern(text.removeprefix(project)) for text in step.writes]
    return Said(
        path,
        tuple(text for text in step.reads if _is_file(text) and not _met(pattern(text.removeprefix(project)), reads | writes)),
        tuple(text for text in step.writes if _is_file(text) and not _met(pattern(text.removeprefix(project)), writes)),
        tuple(sorted(at for at in reads - writes if not at.startswith("/") and not _means(may_read, at))),
        tuple(sorted(at for at in writes if not _means(may_write, at))),
    )


def _is_file(text: str) -> bool:
    """Whether it can be nothing but a path: a single word may be anything."""
    return any(sign in text for sign in "/.*")


def _met(declared: Pattern, paths: Iterable[str]) -> bool:
    return any(meet(declared, as_pattern(path)) for path in paths)


def _means(declared: Iterable[Pattern], path: str) -> bool:
    return any(meet(each, as_pattern(path)) for each in declared)
