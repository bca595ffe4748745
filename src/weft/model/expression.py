"""The expression language: text → a checked tree, with every path in it. `evaluate` gives it values.

- Small, typed, total: no arithmetic, attributes, method calls, loops or names of the author's own.
- What can be known without data is an error here, at the place, with a hint for what other languages write.
- A row of operators is one node and nesting is bounded, so nothing in here or after can recurse deeply.
"""

from functools import lru_cache
from itertools import takewhile
from typing import NoReturn

import msgspec

from weft.model.functions import ALIASES, FUNCTIONS, STATUS_FUNCTIONS
from weft.model.nodes import AllOf, AnyOf, Call, Choice, Compare, ListOf, Literal, MappingOf, Node, Not, Path
from weft.model.suggest import did_you_mean
from weft.model.tokens import DEPTH_MAX, BudgetExceeded, ExpressionError, MissingPath, Token, shown, tokenize

__all__ = ["BudgetExceeded", "Expression", "ExpressionError", "MissingPath", "Reference", "parse"]

CACHE_MAX = 4_096
"""Parsed expressions kept: a large workflow repeats few texts, and a step's are parsed at check and again at its start."""

CACHED_CHARS_MAX = 256
"""Longer texts are parsed each time, so that the cache stays below a hundred megabytes whatever the file."""


class Reference(msgspec.Struct, frozen=True):
    """One path of an expression, up to its first computed index. `optional`: null when missing (`a.b?`, `default(a.b, v)`).

    `offset` (from 0) and `length` are the place of the path in the text, in characters.
    """

    root: str
    path: tuple[str | int, ...]
    offset: int
    length: int
    optional: bool


class Expression(msgspec.Struct, frozen=True):
    """A parsed expression. `references` is in the order of the text.

    `uses_status`: it calls `success()`, `failed()` or `always()`, or reads `steps.X.status`.
    """

    text: str
    node: Node
    references: tuple[Reference, ...]
    uses_status: bool


def parse(text: str) -> Expression:
    """Parse the text between `${{` and `}}`, or that of an `if`. Raises ExpressionError."""
    return _parse_cached(text) if len(text) <= CACHED_CHARS_MAX else _parse(text)


def _parse(text: str) -> Expression:
    parser = _Parser(tokenize(text))
    node = parser.parse()
    references = tuple(_reference(path) for path in sorted(parser.paths, key=lambda path: path.offset))
    uses_status = parser.uses_status or any(r.root == "steps" and r.path[1:2] == ("status",) for r in references)
    return Expression(text, node, references, uses_status)


_parse_cached = lru_cache(CACHE_MAX)(_parse)


def _reference(path: Path) -> Reference:
    keys = tuple(takewhile(lambda key: not isinstance(key, Node), path.keys))
    return Reference(str(path.root), keys, path.offset, path.length, path.optional)  # type: ignore[arg-type]


_POWERS = {"?": 1, "||": 2, "&&": 3, **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in"), 4)}
_UNARY = 5
"""How strongly operators bind, as in C; comparisons do not chain."""

_CONSTANTS = {"true": True, "false": False, "null": None}
_MEANT_CONSTANTS = {"True": "true", "False": "false", "None": "null", "nil": "null", "undefined": "null", "NULL": "null"}
_OPERAND_SIGNS = frozenset(("(", "[", "{", "!"))

_WORD_HINTS = {
    "and": "write `&&` for and",
    "or": "write `||` for or",
    "not": "write `!` for not: `!(a in b)`",
    "is": "write `==` to compare: `a == null`",
    "if": "a choice is written `test ? yes : no`",
    "for": "there are no loops; use `for_each` or compute it in a step",
    **dict.fromkeys(("eq", "equals"), "write `==` to compare"),
}
_NO_JOIN = "text and values are mixed outside: `day ${{ inputs.day }}`"


class _Parser:
    """`token` is the next one, `before` the one taken last; `paths` gathers those that begin in the scope."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0
        self.token = self.before = tokens[0]
        self.depth = 0
        self.paths: list[Path] = []
        self.uses_status = False

    def parse(self) -> Node:
        node = self.expression()
        if self.token.kind != "end":
            self.unexpected("an operator or the end")
        return node

    def take(self) -> Token:
        """Take the next token. The last, of kind `end`, is never taken."""
        self.before = self.token
        self.at += 1
        self.token = self.tokens[self.at]
        return self.before

    def taken(self, sign: str) -> bool:
        """Take the next token if it is this sign."""
        if self.token.text == sign:
            self.take()
            return True
        return False

    def expect(self, sign: str, hint: str = "") -> int:
        """Take this sign; returns the offset of its end."""
        if not self.taken(sign):
            self.unexpected(f"`{sign}`", hint)
        return self.before.end

    def unexpected(self, wanted: str, hint: str = "") -> NoReturn:
        token, before = self.token, self.before
        if token.kind == "string" and before.kind == "name":
            hint = _NO_JOIN
        elif token.kind in ("string", "number") and before.kind in ("string", "number"):
            hint = "there is no arithmetic, and a quote inside a string is written `\\'` or `\\\"`"
        elif before.text == "not" and before.kind == "name":
            hint = _WORD_HINTS["not"]
        elif token.kind == "name":
            hint = _WORD_HINTS.get(token.text, hint)
        found = "the end" if token.kind == "end" else f"`{shown(token.text)}`"
        raise ExpressionError(f"expected {wanted}, found {found}", token.offset, max(1, len(token.text)), hint)

    # ---- operators ----

    def expression(self, power: int = 0) -> Node:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            message = f"the expression is nested deeper than {DEPTH_MAX} levels"
            raise BudgetExceeded(message, self.token.offset, hint="compute a part of it in a step")
        left = self.operand()
        while self.power() > power:
            left = self.infix(left)
        self.depth -= 1
        return left

    def power(self) -> int:
        """How strongly the next token binds as an infix operator; 0 if it is none."""
        return _POWERS.get(self.token.text, 0)

    def infix(self, left: Node) -> Node:
        power = self.power()
        sign = self.take().text
        if sign == "?":
            yes = self.expression()
            self.expect(":", "a choice is `test ? yes : no`; a path that may be missing ends with `?`: `a.b?`")
            no = self.expression()
            return Choice(left.offset, _until(no) - left.offset, left, yes, no)
        right = self.expression(power)
        if sign in ("&&", "||"):
            operands = [left, right]
            while self.taken(sign):
                operands.append(self.expression(power))
            kind = AllOf if sign == "&&" else AnyOf
            return kind(left.offset, _until(operands[-1]) - left.offset, tuple(operands))
        if self.power() == power:
            self.unexpected("an operator or the end", "comparisons do not chain: write `a < b && b < c`")
        return Compare(left.offset, _until(right) - left.offset, sign, left, right)

    # ---- operands ----

    def starts_operand(self, token: Token) -> bool:
        return token.text in _OPERAND_SIGNS if token.kind == "operator" else token.kind != "end" and token.text != "in"

    def operand(self) -> Node:
        if not self.starts_operand(self.token):
            self.unexpected("a value")
        token = self.take()
        start = token.offset
        if token.kind == "name":
            return self.name(token)
        if token.kind != "operator":
            return Literal(start, len(token.text), token.value)
        if token.text == "!":
            operand = self.expression(_UNARY)
            return Not(start, _until(operand) - start, operand)
        if token.text == "[":
            items, end = self.items("]")
            return ListOf(start, end - start, tuple(items))
        if token.text == "{":
            return self.mapping(start)
        inner = self.expression()
        end = self.expect(")")
        return self.path(inner, start, end)

    def name(self, token: Token) -> Node:
        if self.token.text == "(":
            return self.call(token)
        if token.text in _CONSTANTS:
            return Literal(token.offset, len(token.text), _CONSTANTS[token.text])
        if token.text in _MEANT_CONSTANTS:
            hint = f"write `{_MEANT_CONSTANTS[token.text]}`"
            raise ExpressionError(f"there is no `{token.text}`", token.offset, len(token.text), hint)
        return self.path(token.text, token.offset, token.end)

    def items(self, closing: str) -> tuple[list[Node], int]:
        """Expressions up to the closing sign, and the offset of its end."""
        items: list[Node] = []
        if not self.taken(closing):
            items.append(self.expression())
            while self.taken(","):
                items.append(self.expression())
            self.expect(closing)
        return items, self.before.end

    def mapping(self, start: int) -> Node:
        items: dict[str, Node] = {}
        while not self.taken("}"):
            if items:
                self.expect(",")
            token = self.token
            if token.kind not in ("name", "string"):
                self.unexpected("a name or a string")
            key = token.text if token.kind == "name" else str(token.value)
            if key in items:
                raise ExpressionError("this name stands twice in the mapping", token.offset, len(token.text))
            self.take()
            self.expect(":")
            items[key] = self.expression()
        return MappingOf(start, self.before.end - start, items)

    def call(self, name: Token) -> Node:
        function = FUNCTIONS.get(name.text)
        if not function:
            meant = ALIASES.get(name.text.lower()) or did_you_mean(name.text, FUNCTIONS)
            hint = _WORD_HINTS.get(name.text) or (f"did you mean `{FUNCTIONS[meant].signature}`?" if meant else _all_functions())
            raise ExpressionError(f"there is no function `{shown(name.text)}`", name.offset, len(name.text), hint)
        self.take()
        arguments, end = self.items(")")
        if len(arguments) != len(function.parameters):
            count = len(function.parameters)
            takes = "no argument" if not count else "1 argument" if count == 1 else f"{count} arguments"
            message = f"`{function.signature}` takes {takes}, not {len(arguments)}"
            raise ExpressionError(message, name.offset, end - name.offset, f"for example `{function.example}`")
        if function.name == "default" and isinstance(arguments[0], Path):
            path = arguments[0]
            arguments[0] = optional = msgspec.structs.replace(path, optional=True)
            self.paths = [optional if other is path else other for other in self.paths]
        self.uses_status |= function.name in STATUS_FUNCTIONS
        node = Call(name.offset, end - name.offset, function, tuple(arguments))
        return self.path(node, name.offset, end)

    def path(self, root: str | Node, start: int, end: int) -> Node:
        """What follows a root: `.name`, `[index]`, and at last `?`."""
        keys: list[str | int | Node] = []
        places: list[tuple[int, int]] = []
        while True:
            at = self.token.offset
            if self.taken("."):
                if self.token.kind != "name":
                    self.unexpected("a name", 'an item is written `a[0]`, and a name with other signs `a["b c"]`')
                key: str | int | Node = self.take().text
                at = self.before.offset
            elif self.taken("["):
                key = self.index()
                self.expect("]", "an index is one string or whole number; there are no slices")
            else:
                break
            end = self.before.end
            keys.append(key)
            places.append((at, end - at))
        if not keys and isinstance(root, Node):
            return root
        if keys and self.token.text == "(":
            self.method(keys[-1], places[-1])
        optional = bool(keys) and self.optional(end)
        constant = not any(isinstance(key, Node) for key in (root, *keys))
        path = Path(start, end + optional - start, root, tuple(keys), tuple(places), optional, constant)
        if isinstance(root, str):
            self.paths.append(path)
        return path

    def index(self) -> str | int | Node:
        node = self.expression()
        if not isinstance(node, Literal):
            return node
        if isinstance(node.constant, bool) or not isinstance(node.constant, str | int):
            raise ExpressionError("an index is a string or a whole number", node.offset, node.length)
        return node.constant

    def optional(self, end: int) -> bool:
        """Whether the path that ends here has a `?` of its own: it touches the path, and no choice can begin behind it."""
        if self.token.text != "?" or self.token.offset != end or self.starts_operand(self.tokens[self.at + 1]):
            return False
        self.take()
        if self.token.text == ".":
            self.unexpected("an operator or the end", "one `?` at the end of a path is for all of it: `a.b.c?`")
        return True

    def method(self, key: str | int | Node, place: tuple[int, int]) -> NoReturn:
        meant = ALIASES.get(key) or did_you_mean(key, FUNCTIONS) if isinstance(key, str) and key not in FUNCTIONS else key
        hint = f"write it as a function: `{FUNCTIONS[str(meant)].signature}`" if meant in FUNCTIONS else _all_functions()
        raise ExpressionError("there are no method calls", *place, hint)


def _until(node: Node) -> int:
    return node.offset + node.length


def _all_functions() -> str:
    return f"the functions are {', '.join(FUNCTIONS)}"
