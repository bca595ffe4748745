"""The tree of an expression. Every node knows its place in the text and evaluates itself in a frame.

- Depth is bounded by the parser, and there are no loops, so an evaluation visits each node at most once.
- A condition is a boolean: nothing is taken for true or false that is not.
"""

import operator
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from weft.model.frame import PLAIN, Frame, described, pick, type_name
from weft.model.functions import Function
from weft.model.suggest import did_you_mean
from weft.model.tokens import SHOWN_CHARS_MAX, MissingPath, shown
from weft.model.workflow import Value


class Node(msgspec.Struct, frozen=True):
    """`offset` and `length` are in characters of the expression's text."""

    offset: int
    length: int

    def value(self, frame: Frame) -> Value:
        """The value in this frame. Raises ExpressionError."""

    def truth(self, frame: Frame, user: str) -> bool:
        """The value, which must be a boolean because `user` (an operator) takes nothing else."""
        value = self.value(frame)
        if value is not True and value is not False:
            frame.offset, frame.length = self.offset, self.length
            hint = "compare it with something, as in `a != null` or `length(a) > 0`"
            frame.fail(f"{user} needs a boolean, not {described(value)}", hint)
        return value is True


class Literal(Node, frozen=True):
    constant: str | int | float | bool | None

    def value(self, frame: Frame) -> Value:
        return self.constant


class ListOf(Node, frozen=True):
    items: tuple[Node, ...]

    def value(self, frame: Frame) -> Value:
        return [item.value(frame) for item in self.items]


class MappingOf(Node, frozen=True):
    items: dict[str, Node]

    def value(self, frame: Frame) -> Value:
        return {key: item.value(frame) for key, item in self.items.items()}


class Path(Node, frozen=True):
    """`keys` are names, numbers, or nodes that compute one; `places` are their places. An optional path is null when missing.

    The root is a name in the scope, or a node (a call, or something in parentheses).
    """

    root: str | Node
    keys: tuple[str | int | Node, ...]
    places: tuple[tuple[int, int], ...]
    optional: bool
    constant: bool
    """Whether root and keys are all constant: then plain lookups do, and if they fail the slow way says why."""

    def value(self, frame: Frame) -> Value:
        if not self.constant:
            return self._walk(frame)
        try:
            value = frame.scope[self.root]  # type: ignore[index]
            for key in self.keys:
                if type(value) is str:  # which Python would index
                    return self._walk(frame)
                value = value[key]
        except (LookupError, TypeError):
            return self._walk(frame)
        if type(value) not in PLAIN:
            frame.lazy = True
        return value

    def _walk(self, frame: Frame) -> Value:
        if isinstance(self.root, Node):
            value = self.root.value(frame)
        elif self.root in frame.scope:
            value = frame.scope[self.root]
        else:
            frame.offset, frame.length = self.offset, len(self.root)
            raise _missing(frame, f"there is no `{shown(self.root)}` here", self.root, list(frame.scope))
        walked: list[str | int] = []
        for key, place in zip(self.keys, self.places, strict=True):
            found = key.value(frame) if isinstance(key, Node) else key
            frame.offset, frame.length = place
            if type(found) not in (str, int):
                frame.fail(f"an index is a string or a whole number, not {described(found)}")
            try:
                value = pick(value, found)
            except LookupError:
                if self.optional:
                    return None
                raise _lost(frame, _path_text(_root_text(self.root), walked), value, found) from None
            walked.append(found)
        if type(value) not in PLAIN:
            frame.lazy = True
        return value


def _root_text(node: str | Node) -> str:
    """What a path begins with, as it would be written, as far as that tells where a value comes from."""
    if isinstance(node, str):
        return node
    if isinstance(node, Call):
        return f"{node.function.name}({', '.join(map(_root_text, node.arguments))})"
    return _path_text(_root_text(node.root), node.keys) if isinstance(node, Path) and node.constant else "…"  # type: ignore[arg-type]


def _path_text(root: str, keys: Iterable[str | int]) -> str:
    """A path as it would be written, or the end of it."""
    text = root
    for key in keys:
        if isinstance(key, str) and key.replace("-", "_").isidentifier():
            text += f".{shown(key)}"
        else:
            text += f"[{key}]" if isinstance(key, int) else f'["{shown(key)}"]'
    return text if len(text) <= SHOWN_CHARS_MAX else "…" + text[-SHOWN_CHARS_MAX:]


def _missing(frame: Frame, message: str, name: str, known: list[str]) -> MissingPath:
    meant = did_you_mean(name, known)
    some = ", ".join(f"`{shown(key)}`" for key in known[:8]) + (", …" if len(known) > 8 else "")
    hint = f"did you mean `{shown(meant)}`?" if meant else f"there is {some}" if known else ""
    return MissingPath(message, frame.offset, frame.length, hint)


def _lost(frame: Frame, walked: str, value: Value, key: str | int) -> MissingPath:
    """Why `value`, which stands at the path `walked`, has no such item."""
    kind = type_name(value)
    if kind == "mapping" and isinstance(key, str):
        return _missing(frame, f"`{walked}` has no `{shown(key)}`", key, list(value))
    hint = ""
    if kind == "mapping":
        message, hint = f"`{walked}` is a mapping, its items have names, not numbers", f'write `["{key}"]` for the name'
    elif kind == "list" and isinstance(key, int):
        message = f"`{walked}` has no item {key}, its length is {len(value)}"
    else:
        message = f"`{walked}` is {described(value)} and has no " + (f"`{shown(key)}`" if isinstance(key, str) else "items")
        if key in ("length", "size", "count"):
            hint = f"write `length({walked})`"
        elif kind == "list":
            hint = f"items of a list have numbers: `{walked}[0]`"
        elif kind == "null":
            hint = "add `?` to the path, or write `default(path, value)`, if it may be missing"
    return MissingPath(message, frame.offset, frame.length, hint)


class Not(Node, frozen=True):
    operand: Node

    def value(self, frame: Frame) -> Value:
        return not self.operand.truth(frame, "`!`")


class AllOf(Node, frozen=True):
    """`a && b && …`: as many operands as stand in a row, so that a long row is not deep."""

    operands: tuple[Node, ...]

    def value(self, frame: Frame) -> Value:
        return all(operand.truth(frame, "`&&`") for operand in self.operands)


class AnyOf(Node, frozen=True):
    operands: tuple[Node, ...]

    def value(self, frame: Frame) -> Value:
        return any(operand.truth(frame, "`||`") for operand in self.operands)


class Choice(Node, frozen=True):
    test: Node
    yes: Node
    no: Node

    def value(self, frame: Frame) -> Value:
        return (self.yes if self.test.truth(frame, "`?`") else self.no).value(frame)


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class Compare(Node, frozen=True):
    sign: str
    left: Node
    right: Node

    def value(self, frame: Frame) -> Value:
        a, b = self.left.value(frame), self.right.value(frame)
        frame.offset, frame.length = self.offset, self.length
        if self.sign == "==":
            return frame.equal(a, b)
        if self.sign == "!=":
            return not frame.equal(a, b)
        if self.sign == "in":
            return frame.member(a, b)
        kinds = {type_name(a), type_name(b)}
        if kinds != {"number"} and kinds != {"string"}:
            hint = "write `to_number(…)` around a string that holds one" if kinds == {"number", "string"} else ""
            frame.fail(f"`{self.sign}` compares two numbers or two strings, not {described(a)} with {described(b)}", hint)
        if kinds == {"string"}:
            frame.read(min(len(a), len(b)))
        return _ORDERS[self.sign](a, b)


class Call(Node, frozen=True):
    function: Function
    arguments: tuple[Node, ...]

    def value(self, frame: Frame) -> Value:
        if self.function.lazy:
            return self.function.apply(frame, *self.arguments)
        values = [argument.value(frame) for argument in self.arguments]
        for value, accepted, name, argument in zip(
            values, self.function.accepts, self.function.parameters, self.arguments, strict=True
        ):
            if accepted and type_name(value) not in accepted:
                frame.offset, frame.length = argument.offset, argument.length
                wanted = " or ".join(f"a {kind}" for kind in accepted)
                frame.fail(f"`{self.function.signature}` takes {wanted} as `{name}`, not {described(value)}")
        frame.offset, frame.length = self.offset, self.length
        return self.function.apply(frame, *values)
