"""Commands of YAML workflows: one text with `{{ }}` in it → the words of a program, or a script for a shell with variables.

A value is one argument, whatever is in it. Where a shell must run, its script is what the author wrote, and each `{{ }}` is the
name of a variable in quotes. Where that would be no argument (in arithmetic, in a here-document), it is refused.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from weft.formats.ghyaml_expression import Node, Part
from weft.formats.program_text import code_at
from weft.model.tokens import ExpressionError

Word: TypeAlias = list[str | dict[str, Node]]

_SHELL: Final = re.compile(r"[|&;<>()$`*?\[\]{}~#!\n]")
_ASSIGNS: Final = re.compile(r"\s*\w+=")
"""What only a shell understands."""
VARIABLE: Final = "WEFT_VALUE_{}"
IN_CODE: Final = "in the text of another program"
HINT: Final = 'give it to the step as `env`, and write "$NAME" in the command'


def needs_shell(parts: Sequence[Part]) -> bool:
    """Whether something outside of quotes is for a shell, or within double ones is not what it seems."""
    if parts[0].node is None and _ASSIGNS.match(parts[0].text):
        return True
    quote = ""
    for part in parts:
        signs = iter("" if part.node is not None else part.text)
        for sign in signs:
            if sign == "\\" and quote != "'":
                next(signs, "")
            elif sign == quote:
                quote = ""
            elif not quote and sign in "'\"":
                quote = sign
            elif (not quote and _SHELL.match(sign)) or (quote == '"' and sign in "$`"):
                return True
    return False


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
                if sign == "\\" and quote != "'":
                    after = next(signs, "")
                    if after == "\n":  # the line goes on
                        continue
                    stands = not after or (quote and after not in '$`"\\')  # for itself
                    sign = sign + after if stands else after  # noqa: PLW2901
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
            hint = "write it without the `$`" if wrong == "after `$`" else HINT
            raise ExpressionError(
                f"a value cannot stand {wrong}: it would not stay one argument", part.offset, len(part.text) + 4, hint
            )
        script += {"'": f"'\"${{{name}}}\"'", '"': f"${{{name}}}", "#": f"${{{name}}}"}.get(scan.state, f'"${{{name}}}"')
        scan.last = "x"
        scan.word = (scan.word or "") + "x"
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
        self.words: list[str] = []
        self.word: str | None = None
        """Of the command that is being read: the words before the place, and the one that it stands in."""
        self.outer: list[tuple[list[str], str]] = []
        """The same of the commands in which that one stands in brackets."""

    @property
    def state(self) -> str:
        return self.stack[-1]

    def forbids(self) -> str:
        """Why no value can stand here; empty if one can."""
        if self.last == "\\" and self.state != "'":
            return "after a backslash"
        if self.last == "$" and self.state not in ("'", "#"):
            return "after `$`"
        if any("eval" in words for words in (self.words, *(words for words, _ in self.outer))):
            return IN_CODE
        if code_at([*self.words, self.word or ""])[0] == len(self.words) > 0:
            return IN_CODE
        return next((self._FORBIDDEN[each] for each in self.stack if each in self._FORBIDDEN), "")

    def read(self, text: str) -> None:
        at = 0
        while at < len(text):
            state, begins = self.state, at
            at += self._step(text, at)
            self._note(state, text[begins:at])

    def _note(self, state: str, signs: str) -> None:
        """Keep what has just been read as a part of the command."""
        if signs in ("$(", "(") and self.state == "(":
            self.outer.append((self.words, self.word or ""))
            self.words, self.word = [], None
        elif state == "(" and signs == ")" and self.outer:
            self.words, self.word = self.outer.pop()
        elif state in ("(", "#") and signs in (";", "|", "&", "\n"):
            self.words, self.word = [], None
        elif state == "(" and signs.isspace():
            self.words += [] if self.word is None else [self.word]
            self.word = None
        elif state != "#":
            self.word = (self.word or "") + ("" if signs in ("'", '"') else signs.removeprefix("\\"))

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
