"""What a step of Code Evolver waits for: what it names, what it refers to, and else the step before it.

A step without a group that depends on nothing runs after the one before it in the file, and after all of that one's group: files
are written so that such steps follow each other. One with a group, or with dependencies, waits for these alone.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any


def with_order(needs: Mapping[str, Sequence[str]], groups: Mapping[str, Any]) -> dict[str, list[str]]:
    """The needs of all steps, in file order. `groups`: the group of each step, None if it has none."""
    ids = list(needs)
    number = {id_: n for n, id_ in enumerate(ids)}
    result = {id_: list(dict.fromkeys(needs[id_])) for id_ in ids}
    looks_ahead = any(number[need] >= number[id_] for id_, own in result.items() for need in own)
    members: dict[Hashable, list[str]] = {}
    for n, id_ in enumerate(ids):
        group = groups[id_]
        if group is None and not needs[id_] and n:
            before = ids[n - 1]
            unit = members.get(groups[before], [before]) if groups[before] is not None else [before]
            # a step that itself waits for this one cannot come first: the file is not in the order of its needs
            result[id_] = [each for each in unit if not (looks_ahead and _reaches(result, each, id_))]
        if group is not None:
            members.setdefault(group, []).append(id_)
    return result


def _reaches(needs: Mapping[str, Sequence[str]], start: str, wanted: str) -> bool:
    """Whether a step waits for another, directly or not."""
    seen, waiting = {start}, [start]
    while waiting:
        for need in needs.get(waiting.pop(), ()):
            if need == wanted:
                return True
            if need not in seen:
                seen.add(need)
                waiting.append(need)
    return False
