"""Expressions of YAML workflows: what stands in `{{ }}`, and the text of a `condition`. Text → a tree of plain data.

- One grammar for both, a small part of JavaScript: paths, calls, literals, comparisons, arithmetic, `&& || ?? !`, `?:`, methods.
- The tree is a list: its kind, and what it is made of (`weft.guests.ghccli` evaluates it, `ghyaml_lowering` lowers it).
- A hyphen belongs to a name, as the ids of steps have them: a minus sign after a name has a space before it.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias

from weft.model.suggest import did_you_mean
from weft.model.tokens import ExpressionError, shown

Node: TypeAlias = list[Any]

CHARS_MAX: Final = 16_384
DEPTH_MAX: Final = 32
"""Far more than anybody writes, far less than where recursion ends."""
LINKS_MAX: Final = 100
"""Operators, dots and brackets of one expression: each is a level of its tree, and what walks through that recurses."""
HOLES_MAX: Final = 1_000
"""Expressions in one text."""

_ANY = 99
FUNCTIONS: Final[dict[str, tuple[int, int]]] = {
    **dict.fromkeys(("now", "date", "time", "timestamp"), (0, 0)),
    **dict.fromkeys(
        ("env", "hasEnv", "fileExists", "readFile", "readJson", "fileSize", "fileName", "fileExt", "filePath"), (1, 1)
    ),
    **dict.fromkeys(("upper", "lower", "trim", "length", "first", "last", "floor", "ceil", "empty", "notEmpty"), (1, 1)),
    **dict.fromkeys(("toNumber", "toString", "toBoolean", "toJson", "fromJson"), (1, 1)),
    **dict.fromkeys(("addDays", "addHours", "addMinutes", "startsWith", "endsWith", "contains", "at", "map", "equals"), (2, 2)),
    **dict.fromkeys(("subtract", "divide"), (2, 2)),
    **dict.fromkeys(("formatDate", "envDefault", "split", "join", "round", "default"), (1, 2)),
    **dict.fromkeys(("replace", "substring", "if"), (2, 3)),
    **dict.fromkeys(("slice", "filter"), (1, 3)),
    **dict.fromkeys(("joinPath", "add", "multiply"), (1, _ANY)),
    "random": (0, 2),
}
"""How many arguments each takes. `if` is a choice: only one of its arguments is evaluated."""

_METHODS: Final = {
    "includes": "contains",
    "startsWith": "startsWith",
    "endsWith": "endsWith",
    "toLowerCase": "lower",
    "toUpperCase": "upper",
    "trim": "trim",
    "toString": "toString",
    "replace": "replace",
    "split": "split",
    "join": "join",
    "slice": "slice",
    "substring": "substring",
    "at": "at",
    "charAt": "at",
}
_JS_FUNCTIONS: Final = {"Number": "toNumber", "parseFloat": "toNumber", "String": "toString"}
_MEANT: Final = {**_METHODS, "parseInt": "floor", "concat": "join", "Boolean": "toBoolean"}
"""For hints."""
SCOPES: Final = ("variables", "steps", "env", "workflow", "parameters")
_CONSTANTS: Final = {"true": True, "false": False, "null": None, "undefined": None}

_TOKEN = re.compile(
    r"""\s*+(?:
      (?P<number>\d+(?:\.\d+)?(?!\w|-[^\W\d]))
    | (?P<name>[\w$][\w$-]*+)
    | (?P<string>'(?:[^'\\]|\\.)*+'|"(?:[^"\\]|\\.)*+")
    | (?P<sign>\?\.(?!\d)|\?\?|===|!==|==|!=|<=|>=|&&|\|\||[<>!?:,.()\[\]+*/%-])
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_HINTS: Final = {
    "=": "write `===` to compare",
    "&": "write `&&` for and",
    "|": "write `||` for or; a filter `a | upper` is written `upper(a)`",
    **dict.fromkeys("'\"`", "the string is not closed; strings stand in single or double quotes"),
    "{": "a value is `{{variables.x}}`, and inside of that nothing stands in braces",
}
_POWERS: Final = {
    "?": 1,
    "&&": 3,
    **dict.fromkeys(("||", "??"), 2),
    **dict.fromkeys(("===", "!==", "==", "!=", "<", "<=", ">", ">="), 4),
    **dict.fromkeys("+-", 5),
    **dict.fromkeys("*/%", 6),
}
_UNARY: Final = 7
_WORDS: Final = {
    "and": "write `&&` for and",
    "or": "write `||` for or",
    "not": "write `!` for not",
    "is": "write `===` to compare",
    "in": "write `list.includes(item)`",
    "typeof": "compare with `undefined`",
}
"""What other languages write, for hints."""


class _Token(NamedTuple):
    kind: str
    text: str
    offset: int


def parse(text: str) -> Node:
    """The tree of an expression. Raises ExpressionError with the place in the text."""
    if len(text) > CHARS_MAX:
        raise ExpressionError(f"the expression has more than {CHARS_MAX:,} characters", CHARS_MAX)
    return _Parser(text).parse()


class Part(NamedTuple):
    """A piece of a text: `node` is None for one that stands for itself. `offset`: where it begins."""

    text: str
    node: Node | None
    offset: int


_STRING_OR_END = re.compile(r"""'(?:[^'\\\n]|\\.)*+'|"(?:[^"\\\n]|\\.)*+"|\}\}""")


def parts_of(text: str) -> list[Part]:
    """A text with `{{ }}` in pieces. Raises ExpressionError with the place in the text."""
    parts: list[Part] = []
    done = 0
    while (start := text.find("{{", done)) >= 0:
        if start > done:
            parts.append(Part(text[done:start], None, done))
        end = next((f.start() for f in _STRING_OR_END.finditer(text, start + 2) if f[0] == "}}"), text.find("}}", start))
        if end < 0:
            raise ExpressionError("this `{{` is never closed", start, 2, "close it with `}}`")
        inner = text[start + 2 : end]
        if not inner.strip():
            raise ExpressionError("there is nothing in `{{ }}`", start, end + 2 - start, "write a path: `{{variables.name}}`")
        try:
            parts.append(Part(inner, parse(inner), start))
        except ExpressionError as error:
            error.offset += start + 2
            raise
        if len(parts) > 2 * HOLES_MAX:
            raise ExpressionError(f"the text has more than {HOLES_MAX:,} expressions", start, 2, "let a script make it")
        done = end + 2
    if done < len(text) or not parts:
        parts.append(Part(text[done:], None, done))
    return parts


def joined(parts: Sequence[Part]) -> str:
    """A text with `{{ }}` as one expression, in which these are values: in quotes, as a part of that text."""
    made, quote = "", ""
    for part in parts:
        if part.node is not None:
            made += f"{quote} + ({part.text}) + {quote}" if quote else f"({part.text})"
            continue
        for found in _IN_QUOTES.finditer(part.text):
            sign = found[0]
            if sign == quote:
                made, quote = f"{made}{sign})", ""
            elif not quote and sign in "'\"":
                made, quote = f"{made}({sign}", sign
            else:
                made += sign
    return made


_IN_QUOTES = re.compile(r"\\.|.", re.DOTALL)


class _Parser:
    def __init__(self, text: str) -> None:
        self.text, self.at, self.depth, self.links = text, 0, 0, 0
        self.token = self.before = self._next()

    def parse(self) -> Node:
        node = self.expression()
        if self.token.kind != "end":
            self.unexpected("an operator or the end")
        return node

    # ---- tokens ----

    def _next(self) -> _Token:
        found = _TOKEN.match(self.text, self.at)
        if not found:
            at = len(self.text) - len(self.text[self.at :].lstrip())
            sign = self.text[at]
            raise ExpressionError(
                f"unexpected `{shown(sign)}`" if sign != "`" else "unexpected backquote", at, 1, _HINTS.get(sign, "")
            )
        self.at = found.end()
        kind = str(found.lastgroup)
        return _Token(kind, found[kind], found.start(kind))

    def take(self) -> _Token:
        self.before, self.token = self.token, self._next()
        return self.before

    def link(self) -> None:
        """Count one more level of the tree that no nesting makes."""
        self.links += 1
        if self.links > LINKS_MAX:
            hint = "let a script, or a step of type `condition`, find out a part of it"
            raise ExpressionError(f"the expression has more than {LINKS_MAX} operators and dots", self.token.offset, 1, hint)

    def taken(self, sign: str) -> bool:
        if self.token.kind == "sign" and self.token.text == sign:
            self.take()
            return True
        return False

    def expect(self, sign: str) -> None:
        if not self.taken(sign):
            self.unexpected(f"`{sign}`")

    def unexpected(self, wanted: str) -> NoReturn:
        token = self.token
        found = "the end" if token.kind == "end" else f"`{shown(token.text)}`"
        hint = next((_WORDS[each.text] for each in (token, self.before) if each.kind == "name" and each.text in _WORDS), "")
        raise ExpressionError(f"expected {wanted}, found {found}", token.offset, max(1, len(token.text)), hint)

    # ---- operators ----

    def expression(self, power: int = 0) -> Node:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise ExpressionError(f"the expression is nested deeper than {DEPTH_MAX} levels", self.token.offset)
        left = self.operand()
        while self.token.kind == "sign" and _POWERS.get(self.token.text, 0) > power:
            sign = self.take().text
            self.link()
            if sign == "?":
                yes = self.expression()
                self.expect(":")
                left = ["if", left, yes, self.expression()]
            else:
                sign = {"===": "==", "!==": "!="}.get(sign, sign)
                left = ["op", sign, left, self.expression(_POWERS[sign])]
        self.depth -= 1
        return left

    def operand(self) -> Node:
        token = self.token
        if token.kind == "sign" and token.text == "!":
            self.take()
            return ["not", self.expression(_UNARY)]
        if token.kind == "sign" and token.text in ("-", "+"):
            self.take()
            value = self.expression(_UNARY)
            if token.text == "+":
                return ["call", "toNumber", [value]]
            known = value[0] == "lit" and isinstance(value[1], int | float)
            return ["lit", -value[1]] if known else ["op", "-", ["lit", 0], value]
        if token.kind == "sign" and token.text == "(":
            self.take()
            node = self.expression()
            self.expect(")")
            return self.path(node)
        if token.kind == "sign" and token.text == "[":
            self.take()
            return self.path(["list", self.items("]")])
        if token.kind in ("sign", "end"):
            self.unexpected("a value")
        self.take()
        if token.kind == "number":
            return ["lit", float(token.text) if "." in token.text else int(token.text)]
        if token.kind == "string":
            return self.path(["lit", _unescaped(token.text[1:-1])])
        if self.token.text == "(" and self.token.kind == "sign":
            return self.path(self.call(token))
        if token.text in _CONSTANTS:
            return ["lit", _CONSTANTS[token.text]]
        return self.path(self.root(token.text))

    def root(self, name: str) -> Node:
        name = {"variable": "variables", "vars": "variables"}.get(name, name)
        return ["path", name, []] if name in SCOPES else ["path", "variables", [name]]

    def items(self, closing: str) -> list[Node]:
        found: list[Node] = []
        if not self.taken(closing):
            found.append(self.expression())
            while self.taken(","):
                found.append(self.expression())
            self.expect(closing)
        return found

    def call(self, name: _Token) -> Node:
        if name.text in _JS_FUNCTIONS:
            name = name._replace(text=_JS_FUNCTIONS[name.text])
        if name.text not in FUNCTIONS:
            near = _MEANT.get(name.text) or did_you_mean(name.text, FUNCTIONS)
            hint = f"did you mean `{near}`?" if near else "the page on YAML workflows in the documentation lists them all"
            raise ExpressionError(f"there is no function `{shown(name.text)}`", name.offset, len(name.text), hint)
        self.take()
        return self.called(name, self.items(")"))

    def called(self, name: _Token, arguments: list[Node]) -> Node:
        function = _METHODS.get(name.text, name.text)
        least, most = FUNCTIONS[function]
        if not least <= len(arguments) <= most:
            count = f"{least}" if least == most else f"at least {least}" if most == _ANY else f"{least} to {most}"
            message = f"`{function}` takes {count} argument{'' if count[-1] == '1' else 's'}, not {len(arguments)}"
            raise ExpressionError(message, name.offset, len(name.text))
        if function == "if":
            return ["if", *arguments, *[["lit", ""]] * (3 - len(arguments))]
        return ["call", function, arguments]

    def path(self, node: Node) -> Node:
        while self.token.kind == "sign":
            self.link()
            if self.taken(".") or self.taken("?."):  # what is not there is nothing here, and has nothing inside
                if self.token.kind not in ("name", "number"):
                    self.unexpected("a name")
                key = self.take()
                if self.token.text == "(" and self.token.kind == "sign":
                    node = self.method(node, key)
                else:
                    node = _with_key(node, key.text)
            elif self.taken("["):
                index = self.expression()
                self.expect("]")
                constant = index[0] == "lit" and isinstance(index[1], str | int)
                node = _with_key(node, index[1]) if constant else ["index", node, index]
            else:
                break
        return node

    def method(self, of: Node, name: _Token) -> Node:
        if name.text not in _METHODS:
            near = did_you_mean(name.text, _METHODS)
            hint = f"did you mean `{near}`?" if near else f"there is {', '.join(_METHODS)}"
            raise ExpressionError(f"there is no method `{shown(name.text)}`", name.offset, len(name.text), hint)
        self.take()
        return self.called(name, [of, *self.items(")")])


def _with_key(node: Node, key: str | int) -> Node:
    return ["path", node[1], [*node[2], key]] if node[0] == "path" else ["index", node, ["lit", key]]


def _unescaped(text: str) -> str:
    escapes = {"n": "\n", "t": "\t", "r": "\r"}
    return re.sub(r"\\(.)", lambda found: escapes.get(found[1], found[1]), text, flags=re.DOTALL)


def paths_in(node: Any) -> Iterator[tuple[str, list[str | int]]]:
    """Every path in a tree: its root and keys."""
    if isinstance(node, list) and node:
        if node[0] == "path":
            yield node[1], node[2]
        elif node[0] != "lit":
            for part in node[1:]:
                for inner in part if isinstance(part, list) and part and isinstance(part[0], list) else [part]:
                    yield from paths_in(inner)
