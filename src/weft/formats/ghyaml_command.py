"""Commands of YAML workflows: one text with `{{ }}` in it → the words of a program, or a script for a shell with variables.

A value is one argument, whatever is in it. Where a shell must run, its script is what the author wrote, and each `{{ }}` is the
name of a variable in quotes. Where that would be no argument (in arithmetic, in a here-document), it is refused.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from weft.formats.ghyaml_expression import Node, Part
from weft.model.tokens import ExpressionError

Word: TypeAlias = list[str | dict[str, Node]]

_SHELL: Final = re.compile(r"[|&;<>()$`*?\[\]{}~#!\n]|^\s*\w+=")
"""What only a shell understands."""
VARIABLE: Final = "WEFT_VALUE_{}"
_HINT: Final = 'give it to the step as `env`, and write "$NAME" in the command'


def needs_shell(parts: Sequence[Part]) -> bool:
    return any(part.node is None and _SHELL.search(part.text) for part in parts)


def words_of(parts: Sequence[Part]) -> list[Word]:
    """The words, split as a shell would. Raises ExpressionError for a quote that is never closed."""
    words: list[Word] = []
    word: Word | None = None
    quote = ""
    for part in parts:
        if part.node is not None:
            word = [*(word or []), {"e": part.node}]
            continue
        signs = iter(part.text)
        for sign in signs:
            if sign == quote:
                quote = ""
            elif not quote and sign.isspace():
                words += [word] if word is not None else []
                word = None
            elif not quote and sign in "'\"":
                quote, word = sign, word or [""]
            else:
                sign = next(signs, sign) if sign == "\\" and quote != "'" else sign  # noqa: PLW2901
                word = [*(word or []), sign]
    if quote:
        raise ExpressionError(f"this {'quote' if quote == chr(39) else 'double quote'} is never closed", 0, 1)
    return words + ([word] if word is not None else [])


def script_of(parts: Sequence[Part]) -> tuple[str, dict[str, Node]]:
    """The script, and what each of its variables is. Raises ExpressionError for a place where no value can stand."""
    scan, script = _Scan(), ""
    values: dict[str, Node] = {}
    for part in parts:
        if part.node is None:
            scan.read(part.text)
            script += part.text
            continue
        name = VARIABLE.format(len(values) + 1)
        values[name] = part.node
        if wrong := scan.forbids():
            hint = "write it without the `$`" if wrong == "after `$`" else _HINT
            raise ExpressionError(
                f"a value cannot stand {wrong}: it would not stay one argument", part.offset, len(part.text) + 4, hint
            )
        script += {"'": f"'\"${{{name}}}\"'", '"': f"${{{name}}}", "#": f"${{{name}}}"}.get(scan.state, f'"${{{name}}}"')
        scan.last = "x"
    return script, values


class _Scan:
    """Where in a script the reader is: inside of which quotes, of which brackets, at the innermost place last."""

    _FORBIDDEN: Final = {
        "`": "in backquotes",
        "((": "in arithmetic",
        "[[": "in `[[ ]]`",
        "${": "in `${ }`",
        "$'": "in `$'…'`",
        "<<": "after a here-document",
    }

    def __init__(self) -> None:
        self.stack = ["("]
        self.last = "\n"

    @property
    def state(self) -> str:
        return self.stack[-1]

    def forbids(self) -> str:
        """Why no value can stand here; empty if one can."""
        if self.last == "\\" and self.state != "'":
            return "after a backslash"
        if self.last == "$" and self.state not in ("'", "#"):
            return "after `$`"
        return next((self._FORBIDDEN[each] for each in self.stack if each in self._FORBIDDEN), "")

    def read(self, text: str) -> None:
        at = 0
        while at < len(text):
            at += self._step(text, at)

    def _step(self, text: str, at: int) -> int:
        """Read what stands at a place; how many signs that was."""
        sign, state, before = text[at], self.state, self.last
        self.last = sign
        if state == "'" or state == "$'":
            if sign == "\\" and state == "$'":
                return 2
            if sign == "'":
                self.stack.pop()
            return 1
        if state == "#":
            if sign == "\n":
                self.stack.pop()
            return 1
        if sign == "\\":
            escapes = at + 1 < len(text)
            self.last = "x" if escapes else sign
            return 2
        return self._opened(text, at, before) or self._closed(text, at)

    def _opened(self, text: str, at: int, before: str) -> int:
        state = self.state
        for mark, inside in (("$((", "(("), ("$(", "("), ("${", "${")):
            if text.startswith(mark, at):
                self.stack.append(inside)
                return len(mark)
        if text[at] == "`":
            if state == "`":
                self.stack.pop()
            else:
                self.stack.append("`")
            return 1
        if state == '"':
            return 0
        for mark, inside in (("((", "(("), ("[[", "[["), ("$'", "$'"), ("<<", "<<"), ("'", "'"), ('"', '"'), ("(", "(")):
            if text.startswith(mark, at):
                self.stack.append(inside)
                return len(mark)
        if text[at] == "#" and before in " \t\n;&|(":
            self.stack.append("#")
            return 1
        return 0

    def _closed(self, text: str, at: int) -> int:
        for mark, inside in (("))", "(("), ("]]", "[["), ("}", "${"), (")", "("), ('"', '"')):
            if self.state == inside and text.startswith(mark, at):
                if len(self.stack) > 1:
                    self.stack.pop()
                return len(mark)
        return 1


def tree_of(parts: Sequence[Part]) -> Any:
    """A text in pieces as the tree that a worker fills in."""
    if all(part.node is None for part in parts):
        return "".join(part.text for part in parts)
    return {"t": [part.text if part.node is None else {"e": part.node} for part in parts]}


def tree_of_word(word: Word) -> Any:
    """The same of a word of a command."""
    if all(isinstance(piece, str) for piece in word):
        return "".join(map(str, word))
    joined: list[Any] = []
    for piece in word:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        else:
            joined.append(piece)
    return {"t": joined}
