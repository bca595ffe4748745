"""Where in the arguments of a program the text of another program stands: `sh -c TEXT`, `python -c TEXT`, `node -e TEXT`."""

import re
from collections.abc import Sequence
from typing import Any, Final

from weft.formats.document import Findings, Path, Where
from weft.formats.references import has_expressions
from weft.model.tokens import shown

_SHELLS: Final = ("sh", "bash", "dash", "zsh", "ksh", "ash")
_CODE_OPTIONS: Final = {
    **dict.fromkeys((*_SHELLS, "su"), r"-[a-zA-Z]*c[a-zA-Z]*"),
    **dict.fromkeys(("python", "pypy"), r"-[a-zA-Z]*c"),
    **dict.fromkeys(("perl", "ruby", "lua"), r"-[a-zA-Z]*[eE]"),
    "node": r"-p?e|-p|--eval|--print",
    "php": r"-r",
}
"""For a program: the option after which the text of another program stands."""


def code_at(words: Sequence[str]) -> tuple[int, bool]:
    """Which word is the text of another program (0: none is), and whether for a shell that is the program of this command."""
    for first, word in enumerate(words):
        name = word.rpartition("/")[2].rstrip("0123456789.")
        for n in range(first + 1, len(words) - 1) if name in _CODE_OPTIONS else ():
            if re.fullmatch(_CODE_OPTIONS[name], words[n]):
                return n + 1, first == 0 and name in _SHELLS
            if not words[n].startswith(("-", "+")) and not words[n - 1].endswith("o"):  # `-o pipefail` has a word of its own
                break
    return 0, False


def warn_of_values(argv: Sequence[Any], path: Path, findings: Findings) -> None:
    """An argument is data, but for some programs an argument is a program. What is wrong otherwise in the list is no text."""
    at, _ = code_at([item if isinstance(item, str) else "" for item in argv])
    if at and has_expressions(argv[at]):
        message = f"`{shown(argv[0])}` runs this as a program, and a value in it can be any program text"
        hint = "write `$NAME` there and give the value as `env: { NAME: … }`, or as one argument more: `$1`, `sys.argv[1]`"
        findings.add("W216", message, Where((*path, at)), hint=hint, severity="warning")
