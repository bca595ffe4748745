"""One evaluation: what it may see, what it has spent, and how JSON values are told apart, compared and written.

- Values are JSON and are compared as JSON: `true` is not 1, `1` is `1.0`.
- Mappings and lists of the scope may be lazy (any Mapping or Sequence); nothing is loaded that is not asked for.
- All work that depends on the size of the data is paid for before it is done.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NoReturn, TypeAlias

import msgspec

from weft.model.tokens import DEPTH_MAX, BudgetExceeded, ExpressionError
from weft.model.workflow import Value

STEPS_MAX = 4_000_000
"""Items that one evaluation looks at or makes: forty times the largest fan-out, and about a second at the very worst."""

CHARS_PER_STEP = 64
"""Text is worked through at C speed: so many characters count as one step."""

CHARS_MAX = 16 * 1024 * 1024
"""Characters of one text that an expression makes. What is larger belongs into a file."""

KEY_STEPS = 8
"""What it costs, in steps, to make a list or a mapping fit for a set."""

Map: TypeAlias = Mapping[str, Value]
List: TypeAlias = Sequence[Value]
Scope: TypeAlias = Mapping[str, Value]
Status: TypeAlias = Mapping[str, Callable[[], bool]]

_TYPES = {type(None): "null", bool: "boolean", int: "number", float: "number", str: "string", list: "list", dict: "mapping"}
_SCALARS = frozenset((type(None), bool, int, float, str))
PLAIN = frozenset(_TYPES)
"""The types that JSON text is read into; anything else in a scope is a lazy mapping or list."""


def type_name(value: Value) -> str:
    """`null`, `boolean`, `number`, `string`, `list` or `mapping`."""
    return _TYPES.get(type(value)) or ("mapping" if isinstance(value, Mapping) else "list")


def described(value: Value) -> str:
    """The type of a value, as it stands in a sentence."""
    name = type_name(value)
    return name if name == "null" else f"a {name}"


class Frame:
    """The state of one evaluation. `offset` and `length` are the place that is being worked on, for errors."""

    offset = 0
    length = 1
    steps = 0
    lazy = False
    """Whether a lazy value has been taken out of the scope whole, so that the result may hold it."""

    def __init__(self, scope: Scope, status: Status) -> None:
        self.scope = scope
        self.status = status

    def fail(self, message: str, hint: str = "") -> NoReturn:
        raise ExpressionError(message, self.offset, self.length, hint)

    def exceed(self, message: str) -> NoReturn:
        hint = "compute it in a step and refer to its output"
        raise BudgetExceeded(message, self.offset, self.length, hint)

    def spend(self, steps: int) -> None:
        """Pay for looking at or making so many items. Raises BudgetExceeded."""
        self.steps += steps
        if self.steps > STEPS_MAX:
            self.exceed(f"this looks at more than {STEPS_MAX:,} items")

    def read(self, chars: int) -> None:
        """Pay for working through so much text. Raises BudgetExceeded."""
        self.spend(chars // CHARS_PER_STEP + 1)

    def fit(self, chars: int) -> None:
        """Allow a text of this size to be made. Raises BudgetExceeded."""
        if chars > CHARS_MAX:
            self.exceed(f"this makes a text of more than {CHARS_MAX:,} characters")

    def write(self, chars: int) -> None:
        """Pay for making a text of this size. Raises BudgetExceeded."""
        self.fit(chars)
        self.read(chars)

    def enter(self, value: Map | List, depth: int) -> None:
        """Pay for going through a mapping or list at this depth. Raises BudgetExceeded."""
        if depth >= DEPTH_MAX:
            self.exceed(f"the value is nested deeper than {DEPTH_MAX} levels")
        self.spend(len(value) + 1)

    def weigh(self, value: Value) -> int:
        """About the characters in a value, after paying for all its items. Raises BudgetExceeded if it is large or deep."""
        chars, depth, level = 0, 0, [value]
        while level:
            below: list[Value] = []
            for item in level:
                kind = type(item)
                if kind is str:
                    chars += len(item)
                elif kind not in _SCALARS:
                    self.enter(item, depth)
                    if isinstance(item, Mapping):
                        chars += sum(map(len, item))
                        below.extend(item.values())
                    else:
                        below.extend(item)
            chars += 4 * len(level)
            level, depth = below, depth + 1
        return chars

    def plain(self, value: Value, depth: int = 0) -> Value:
        """The value with nothing lazy left in it."""
        if type(value) in _SCALARS:
            return value
        self.enter(value, depth)
        if isinstance(value, Mapping):
            return {key: self.plain(item, depth + 1) for key, item in value.items()}
        return [self.plain(item, depth + 1) for item in value]

    def json(self, value: Value) -> str:
        """Compact JSON text, within the budgets."""
        self.write(self.weigh(value))
        text = msgspec.json.encode(self.plain(value) if self.lazy else value).decode()
        self.fit(len(text))
        return text

    def text(self, value: Value) -> str:
        """A value as text, as a template inserts it: strings as they are, null as nothing, the rest as JSON."""
        if type(value) is str:
            return value
        return "" if value is None else self.json(value)

    def equal(self, a: Value, b: Value, depth: int = 0) -> bool:
        """Equality of JSON values: `true` is not 1, 1 is 1.0, names in a mapping have no order."""
        kind, other = type(a), type(b)
        if kind in _SCALARS or other in _SCALARS:
            if kind is str and len(a) > CHARS_PER_STEP:
                self.read(len(a))
            return bool(a == b) and (kind is bool) == (other is bool)
        self.enter(a, depth)
        named = isinstance(a, Mapping)
        if len(a) != len(b) or named != isinstance(b, Mapping):
            return False
        if named:
            return all(key in b and self.equal(item, b[key], depth + 1) for key, item in a.items())
        return all(self.equal(x, y, depth + 1) for x, y in zip(a, b, strict=True))

    def key(self, value: Value, depth: int = 0) -> Hashable:
        """A stand-in that is equal and hashes alike exactly for equal JSON values."""
        kind = type(value)
        if kind is bool:
            return (bool, value)
        if kind in _SCALARS:
            if kind is str:
                self.read(len(value))
            return value  # type: ignore[no-any-return]
        self.enter(value, depth)
        self.spend(KEY_STEPS)
        if isinstance(value, Mapping):
            return frozenset((name, self.key(item, depth + 1)) for name, item in value.items())
        return (list, *(self.key(item, depth + 1) for item in value))

    def member(self, needle: Value, haystack: Value) -> bool:
        """Whether a list has this item, a mapping this key, a text this part."""
        if isinstance(haystack, str | Mapping):
            if not isinstance(needle, str):
                self.fail(f"only a string can be in a {type_name(haystack)}, not {described(needle)}")
            if isinstance(haystack, str):
                self.read(len(haystack))
            return needle in haystack
        if type_name(haystack) != "list":
            self.fail(f"{described(haystack)} holds nothing; a list, a mapping or a string does")
        self.spend(len(haystack))
        return any(self.equal(needle, item) for item in haystack)


def pick(value: Value, key: str | int) -> Value:
    """The item of a mapping by name, or of a list by number (negative: from the end). Raises LookupError."""
    if type(key) is str:
        if type(value) is dict or isinstance(value, Mapping):
            return value[key]
    elif type(value) is list or (isinstance(value, Sequence) and not isinstance(value, str)):
        return value[key]  # type: ignore[index]
    raise LookupError
