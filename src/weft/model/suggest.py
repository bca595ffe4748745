"""Did you mean …? Wherever a name is looked up and not found.

A suggestion is a guess made while an error is told, so it must be quick whatever the input: candidates are sifted at C speed
before any is compared letter by letter, and the letters compared are bounded.
"""

from collections.abc import Iterable
from itertools import islice

NAME_CHARS_MAX = 64
"""Longer names are compared only as a whole: nobody types them, and comparing letters costs the square of the length."""

CANDIDATES_MAX = 200_000
"""Twice the largest workflow that is planned for; more are not looked at."""

ROWS_MAX = 50_000
"""Rows of letter comparison in all, near a tenth of a second: a hundred thousand ids of one family may not make an error slow."""


def did_you_mean(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was most likely meant, or None. Case, hyphens, underscores and spaces are not told apart at first."""
    known = list(islice(candidates, CANDIDATES_MAX))
    folded = _fold(name)
    for candidate in known:
        if candidate != name and _fold(candidate) == folded:
            return candidate
    if len(name) > NAME_CHARS_MAX:
        return None
    best, slips = None, min(3, (len(name) + 1) // 3)
    letters, rows_left = frozenset(name), ROWS_MAX
    for candidate in known:
        # each slip takes at most one letter away, and changes the length by at most one
        if abs(len(candidate) - len(name)) > slips or len(letters.difference(candidate)) > slips or candidate == name:
            continue
        if slips < 1 or rows_left <= 0:
            break
        rows_left -= len(name)
        distance = _distance(name, candidate, slips)
        if distance <= slips:
            best, slips = candidate, distance - 1
    return best


def _fold(name: str) -> str:
    return name.casefold().replace("-", "").replace("_", "").replace(" ", "")


def _distance(a: str, b: str, limit: int) -> int:
    """Slips between two names: letters added, lost, changed, or swapped with a neighbour. Above `limit`, any number above it."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, last, row = row, before, [i]
        for j, y in enumerate(b, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and y == a[i - 2]:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
    return row[-1]
