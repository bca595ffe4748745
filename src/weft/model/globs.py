"""Paths and globs as names of shared state: whether some path could be meant by two of them.

- `*` and `?` stay within one part of a path, `[…]` is one character, `**` any number of parts, none included. A leading dot is a
  character like any other. `${{ … }}` is text that is not known: anything. A path that ends with `/` is a folder with all in it.
- `./x`, `a/../x` and `a//x` are put into one form before they are compared. A word is a path of one part.
"""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import Final, NamedTuple, TypeAlias

from weft.model.template import find
from weft.model.tokens import ExpressionError, find_end

RANGE_CHARS_MAX: Final = 4_096
"""Characters of one range in `[…]`; a longer one, which nobody writes, counts as any character."""
COMPARED_MAX: Final = 2_000_000
"""Pairs of patterns that are looked at, some seconds. Patterns that differ in how they begin or end are not looked at."""
CACHE_MAX: Final = 50_000
"""Patterns that are kept as they were read."""

_LAST: Final = "\U0010ffff"


class Sign(NamedTuple):
    """A set of characters: these, or with `but` all others."""

    chars: frozenset[str]
    but: bool = False

    def meets(self, other: "Sign") -> bool:
        """Whether some character is in both sets."""
        if self.but:
            return other.but or bool(other.chars - self.chars)
        return bool(self.chars - other.chars if other.but else self.chars & other.chars)


Atom: TypeAlias = str | Sign
"""One character, a set of them, or one of the next two."""
_RUN: Final = "*"
"""Any text without `/`. (A star as a character is a set.)"""
_HOLE: Final = "${{"
"""Any text."""
_DEEP: Final = ("**",)
"""A part of a path that stands for any number of parts."""
_ANY: Final = Sign(frozenset(), but=True)
_INNER: Final = Sign(frozenset("/"), but=True)

_PLAIN: Final = re.compile(r"(?!.*(?:^|/)\.{0,2}(?:/|$))[^*?\[$\n]+")
"""A path below the project's folder that is in its one form: most are, and need not be read sign by sign."""
_TOKEN: Final = re.compile(r"\[[!^]?\]?[^\]/]*\]|\*+|.", re.S)


def _atoms(text: str) -> Iterator[Atom]:
    while text:
        at = find(text)
        for token in _TOKEN.findall(text if at < 0 else text[:at]):
            if len(token) > 1 and token[0] == "[":
                yield _sign(token[1:-1])
            else:
                yield _INNER if token == "?" else token
        if at < 0:
            return
        yield _HOLE
        try:
            text = text[find_end(text, at + 3) + 2 :]
        except ExpressionError:  # it has been reported; the rest is taken for a part of it
            return


def _sign(inside: str) -> Sign:
    """What stands in brackets. A slash is in no such set."""
    but = inside[0] in "!^" and len(inside) > 1
    rest, chars = inside[but:], set[str]()
    while rest:
        if len(rest) > 2 and rest[1] == "-":
            first, last = ord(rest[0]), ord(rest[2])
            if last - first >= RANGE_CHARS_MAX:
                return _INNER
            chars.update(map(chr, range(first, last + 1)))
            rest = rest[3:]
        else:
            chars.add(rest[0])
            rest = rest[1:]
    return Sign(frozenset(chars | {"/"}), but=True) if but else Sign(frozenset(chars - {"/"}))


def _parts(text: str) -> tuple[bool, list[tuple[Atom, ...]]]:
    """Whether the path is absolute, and its parts in their one form."""
    parts: list[tuple[Atom, ...]] = []
    written: list[list[Atom]] = [[]]
    for atom in _atoms(text):
        if atom == "/":
            written.append([])
        else:
            written[-1].append(atom)
    absolute = text.startswith("/")
    for part in written:
        stars = all(isinstance(atom, str) and atom[0] == "*" for atom in part)
        if part == ["."] or not part:
            continue
        if part == [".", "."] and (absolute or parts) and _one_step(parts):
            del parts[-1:]
        elif all(atom == _HOLE for atom in part) or (stars and part[0] != _RUN):
            parts.append(_DEEP)
        elif stars:
            parts.append((_INNER, _RUN))  # a part is never empty
        else:
            parts.append(tuple(_RUN if isinstance(atom, str) and atom[0] == "*" else atom for atom in part))
    return absolute, [*parts, _DEEP] if not written[-1] and text else parts


def _one_step(parts: list[tuple[Atom, ...]]) -> bool:
    """Whether `..` takes back just the last of these: it is one part, and no `..` itself."""
    return not parts or not (parts[-1] is _DEEP or _HOLE in parts[-1] or parts[-1] == (".", "."))


class Pattern:
    """One path or glob, read. `literal`: it means one path, which is `prefix`. Else what it means begins with `prefix` and ends
    with `suffix`, as far as these are known."""

    def __init__(self, text: str) -> None:
        self.parts: list[tuple[Atom, ...]] = []
        if _PLAIN.fullmatch(text):
            self.absolute, self.parts, self.literal = False, list(map(tuple, text.split("/"))), True
            self.prefix = self.suffix = text
            return
        self.absolute, self.parts = _parts(text)
        known = [all(isinstance(atom, str) and len(atom) == 1 and atom != _RUN for atom in part) for part in self.parts]
        self.literal = all(known)
        start = known.index(False) if False in known else len(known)
        end = len(known) - known[::-1].index(False) if False in known else 0
        head = "/" * self.absolute + "/".join(_text(part) for part in self.parts[:start])
        tail = "/".join(_text(part) for part in self.parts[end:])
        self.prefix, self.suffix = head, tail
        if not self.literal:
            first, last = self.parts[start], self.parts[end - 1]
            if first is not _DEEP:
                self.prefix += "/" * bool(start) + _text(first)
            if last is not _DEEP:
                self.suffix = _text(last[::-1])[::-1] + "/" * (end < len(known)) + tail

    @cached_property
    def automaton(self) -> "_Automaton":
        """Accepts the paths that are meant."""
        return _Automaton(self.absolute, self.parts)


def _text(part: Sequence[Atom]) -> str:
    """The characters up to the first atom that is none."""
    text = ""
    for atom in part:
        if isinstance(atom, Sign) or len(atom) > 1 or atom == _RUN:
            break
        text += atom
    return text


class _Automaton:
    """`moves[s]`: sets of characters and the states they lead to; `skips[s]`: states reached without one. `end` accepts."""

    def __init__(self, absolute: bool, parts: list[tuple[Atom, ...]]) -> None:
        self.moves: list[list[tuple[Sign, int]]] = [[]]
        self.skips: list[list[int]] = [[]]
        self._at = 0
        if absolute:
            self._step(Sign(frozenset("/")))
        begun = False
        for number, part in enumerate(parts):
            if part is _DEEP:
                self._deep(begun, number == len(parts) - 1)
                continue
            if begun:
                self._step(Sign(frozenset("/")))
            begun = True
            for atom in part:
                if atom in (_RUN, _HOLE):
                    self._run(_INNER if atom == _RUN else _ANY)
                else:
                    self._step(atom if isinstance(atom, Sign) else Sign(frozenset(atom)))
        self.end = self._at

    def _new(self) -> int:
        self.moves.append([])
        self.skips.append([])
        return len(self.moves) - 1

    def _step(self, sign: Sign) -> None:
        before, self._at = self._at, self._new()
        self.moves[before].append((sign, self._at))

    def _run(self, sign: Sign) -> None:
        before, self._at = self._at, self._new()
        self.skips[before].append(self._at)
        self.moves[self._at].append((sign, self._at))

    def _deep(self, begun: bool, last: bool) -> None:
        """Any number of parts: after others each has its slash before it, at the beginning behind it."""
        before, slash = self._at, Sign(frozenset("/"))
        if begun:
            self._step(slash)
        self._run(_ANY)
        inside, self._at = self._at, self._new()
        self.skips[before].append(self._at)
        if begun or last:
            self.skips[inside].append(self._at)
        else:
            self.moves[inside].append((slash, self._at))


@lru_cache(CACHE_MAX)
def pattern(text: str) -> Pattern:
    """Read what stands in `reads` or `writes`. Any text is a pattern."""
    return Pattern(text)


def meet(a: Pattern, b: Pattern) -> bool:
    """Whether some path is meant by both."""
    if a.literal and b.literal:
        return a.prefix == b.prefix
    if not (_one_ends_other(a.suffix, b.suffix) and (a.prefix.startswith(b.prefix) or b.prefix.startswith(a.prefix))):
        return False
    one, two = a.automaton, b.automaton
    todo = [(0, 0)]
    seen = set(todo)
    for s, t in todo:  # grows while it is walked
        if (s, t) == (one.end, two.end):
            return True
        after = [(u, t) for u in one.skips[s]] + [(s, v) for v in two.skips[t]]
        after += [(u, v) for sign, u in one.moves[s] for other, v in two.moves[t] if sign.meets(other)]
        new = [pair for pair in after if pair not in seen]
        todo += new
        seen.update(new)
    return False


def _one_ends_other(a: str, b: str) -> bool:
    return a.endswith(b) or b.endswith(a)


class _Ends:
    """Texts, to find those that begin with a text or that begin it, without a look at the rest."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self._sorted = sorted(range(len(keys)), key=keys.__getitem__)
        self._texts = [keys[n] for n in self._sorted]

    def extent(self, key: str) -> tuple[int, int]:
        """Where those stand that begin with the key."""
        return bisect_left(self._texts, key), bisect_right(self._texts, key + _LAST)

    def near(self, key: str) -> list[int]:
        first, last = self.extent(key)
        found = self._sorted[first:last]
        for length in range(len(key)):
            shorter = key[:length]
            found += self._sorted[bisect_left(self._texts, shorter) : bisect_right(self._texts, shorter)]
        return found


def meetings(patterns: Sequence[Pattern], written: Collection[int]) -> list[list[int]] | None:
    """For each pattern the numbers of those that it meets, itself included, if it or the other is among the `written` ones.

    None if that would take too long: more than COMPARED_MAX pairs would have to be looked at.
    """
    met: list[set[int]] = [{n} if n in written else set() for n in range(len(patterns))]
    same = defaultdict[str, list[int]](list)
    for n, each in enumerate(patterns):
        if each.literal:
            same[each.prefix].append(n)
    for group in same.values():
        for n in group:
            met[n].update(m for m in group if n in written or m in written)
    if all(each.literal for each in patterns):
        return [sorted(of) for of in met]
    begin, end = _Ends([each.prefix for each in patterns]), _Ends([each.suffix[::-1] for each in patterns])
    compared = 0
    for n, each in enumerate(patterns):
        if each.literal:
            continue
        near = min(begin.near(each.prefix), end.near(each.suffix[::-1]), key=len)
        compared += len(near)
        if compared > COMPARED_MAX:
            return None
        for m in near:
            if (n in written or m in written) and m not in met[n] and meet(each, patterns[m]):
                met[n].add(m)
                met[m].add(n)
    return [sorted(of) for of in met]
