"""Which files a step's Lua, JavaScript or WebAssembly may open: those that it declares to read or to write, and no others.

What counts is where a file really is, all links followed: a link that leads elsewhere opens nothing. A path without `*`, `?` and
`[` stands for a file, or for a folder with all in it; a folder and a glob that end with `/` for all below.
"""

from __future__ import annotations

import os
import re

_MAGIC = re.compile(r"[*?[]")


class Reach:
    """`reads` and `writes` are absolute paths or globs. What may be written may be read too."""

    def __init__(self, reads: list[str], writes: list[str]) -> None:
        self._writes = [_pattern(text) for text in writes]
        self._reads = [*self._writes, *map(_pattern, reads)]
        self._folders = {**dict.fromkeys(filter(_is_folder, reads), False), **dict.fromkeys(filter(_is_folder, writes), True)}

    def refusal(self, path: str, mode: str = "r") -> str:
        """Why the path may not be opened so; empty if it may. `mode`: as for `open`. A path begins in the step's folder."""
        try:
            real = os.path.realpath(path)
        except (OSError, ValueError) as error:  # a NUL, or links in a ring
            return f"{path!r} is no path: {error}"
        writes = any(sign in mode for sign in "wax+")
        if any(pattern.fullmatch(real) for pattern in (self._writes if writes else self._reads)):
            return ""
        key = "writes" if writes else "reads"
        return f"{path}: the step does not declare that it {key} this: add it to `{key}`"

    def folders(self) -> dict[str, bool]:
        """The folders that are declared, with whether they may be written to; one that may and is not there is made."""
        for path, writable in self._folders.items():
            if writable:
                os.makedirs(path, exist_ok=True)
        return {path: writable for path, writable in self._folders.items() if os.path.isdir(path)}


def _is_folder(path: str) -> bool:
    return not _MAGIC.search(path) and (path.endswith("/") or os.path.isdir(path))


def _pattern(text: str) -> re.Pattern[str]:
    """What a path or glob means, as an expression for real paths. Up to its first sign it is followed to where it really is."""
    found = _MAGIC.search(text)
    cut = text.rfind("/", 0, found.start()) + 1 if found else len(text)
    start = re.escape(os.path.realpath(text[:cut]))
    if not found:
        return re.compile(f"{start}(?:/.*)?", re.S)
    return re.compile(start.rstrip("/") + "/" + _glob(text[cut:]) + (".*" if text.endswith("/") else ""), re.S)


def _glob(text: str) -> str:
    """`*` and `?` stay within a part of a path, `**/` is any number of parts, `[…]` one character."""
    out, i = "", 0
    while i < len(text):
        if text.startswith("**/", i):
            out, i = out + "(?:.*/)?", i + 3
        elif text.startswith("**", i):
            out, i = out + ".*", i + 2
        elif text[i] == "[" and (end := text.find("]", i + 2)) > 0:
            inside = text[i + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out, i = out + "(?!/)[" + ("^" + inside[1:] if inside[0] in "!^" else inside) + "]", end + 1
        else:
            out, i = out + {"*": "[^/]*", "?": "[^/]"}.get(text[i], re.escape(text[i])), i + 1
    return out
