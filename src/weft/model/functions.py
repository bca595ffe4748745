"""The functions of the expression language. Each one's Python signature, docstring and example are its documentation.

- Pure and total: JSON in, JSON out, or an ExpressionError through `frame.fail`.
- Work and results that grow with the data are paid for (`frame.spend`, `read`, `write`) before they are made.
- The annotation of a parameter is the type that is checked before the call; `Lazy` arguments are evaluated by the function.
"""

import math
from collections.abc import Callable, Hashable
from typing import Protocol, TypeAlias

import msgspec

from weft.model.frame import Frame, List, Map, type_name
from weft.model.tokens import DEPTH_MAX, NUMBER_HINT, BudgetExceeded, ExpressionError, read_number, shown
from weft.model.units import INTEGER_MAX, INTEGER_MIN
from weft.model.workflow import Value

RANGE_MAX = 100_000
"""The default bound of a fan-out."""


class Lazy(Protocol):
    """An argument that has not been evaluated yet."""

    def value(self, frame: Frame) -> Value: ...


Sized: TypeAlias = str | List | Map
Number: TypeAlias = int | float
Numeric: TypeAlias = str | int | float

_ACCEPTS: dict[object, tuple[str, ...]] = {
    Value: (),
    Lazy: (),
    str: ("string",),
    Number: ("number",),
    Numeric: ("string", "number"),
    List: ("list",),
    Map: ("mapping",),
    Sized: ("string", "list", "mapping"),
}


class Function(msgspec.Struct, frozen=True):
    """`accepts` holds the allowed types of each parameter; empty: any. A `lazy` function gets its arguments unevaluated."""

    name: str
    parameters: tuple[str, ...]
    accepts: tuple[tuple[str, ...], ...]
    lazy: bool
    summary: str
    example: str
    apply: Callable[..., Value]

    @property
    def signature(self) -> str:
        return f"{self.name}({', '.join(self.parameters)})"


FUNCTIONS: dict[str, Function] = {}
STATUS_FUNCTIONS = ("success", "failed", "always")

ALIASES = {
    alias: name
    for name, aliases in {
        "length": "len size count",
        "to_text": "str string",
        "to_json": "json",
        "to_number": "int float number",
        "default": "get coalesce",
        "contains": "has includes",
        "trim": "strip",
        "unique": "set distinct",
        "sort": "sorted",
        "upper": "upcase",
        "lower": "downcase",
        "failed": "failure",
    }.items()
    for alias in aliases.split()
}
"""What functions are called elsewhere, for hints."""


def _function(example: str) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    def register(apply: Callable[..., Value]) -> Callable[..., Value]:
        name = apply.__name__.rstrip("_")
        types = [kind for key, kind in apply.__annotations__.items() if key not in ("frame", "return")]
        parameters = apply.__code__.co_varnames[1 : apply.__code__.co_argcount]
        accepts = tuple(_ACCEPTS[kind] for kind in types)
        FUNCTIONS[name] = Function(name, parameters, accepts, Lazy in types, apply.__doc__ or "", example, apply)
        return apply

    return register


@_function('default(inputs.day, "today")')
def default(frame: Frame, path: Lazy, otherwise: Lazy) -> Value:
    """the value of a path, or another one where it is missing or null"""
    value = path.value(frame)
    return otherwise.value(frame) if value is None else value


# ---- collections ----


@_function('length(["a", "b"])')
def length(frame: Frame, value: Sized) -> Value:
    """how many items a list or mapping has, or characters a string"""
    return len(value)


@_function("keys({a: 1, b: 2})")
def keys(frame: Frame, mapping: Map) -> Value:
    """the names in a mapping, in its order"""
    frame.spend(len(mapping))
    return list(mapping)


@_function("values({a: 1, b: 2})")
def values(frame: Frame, mapping: Map) -> Value:
    """the items of a mapping, in its order; of a fan-out's output, the list of outputs"""
    frame.spend(len(mapping))
    return list(mapping.values())


@_function('contains("weft.yaml", ".")')
def contains(frame: Frame, whole: Sized, part: Value) -> Value:
    """whether a list has this item, a mapping this key, a string this part; the same as `part in whole`"""
    return frame.member(part, whole)


@_function("first([3, 1, 2])")
def first(frame: Frame, items: List) -> Value:
    """the first item; null if there is none"""
    return items[0] if items else None


@_function("last([3, 1, 2])")
def last(frame: Frame, items: List) -> Value:
    """the last item; null if there is none"""
    return items[-1] if items else None


def _ordered(frame: Frame, items: List) -> List:
    """The items, once it is certain that they can be put in order, and paid for."""
    frame.spend(len(items))
    kinds = {type_name(item) for item in items}
    if not (kinds <= {"number"} or kinds <= {"string"}):
        frame.fail(f"only numbers, or only strings, can be put in order; here are {' and '.join(sorted(kinds))}")
    if kinds == {"string"}:
        frame.read(sum(map(len, items)))
    return items


@_function("min([3, 1, 2])")
def min_(frame: Frame, items: List) -> Value:
    """the smallest of numbers or strings; null if there is none"""
    return min(_ordered(frame, items), default=None)


@_function("max([3, 1, 2])")
def max_(frame: Frame, items: List) -> Value:
    """the largest of numbers or strings; null if there is none"""
    return max(_ordered(frame, items), default=None)


@_function("sum([3, 1, 2])")
def sum_(frame: Frame, items: List) -> Value:
    """the sum of a list of numbers"""
    frame.spend(len(items))
    if wrong := {type_name(item) for item in items} - {"number"}:
        frame.fail(f"only numbers have a sum; here is {' and '.join(sorted(wrong))}")
    try:
        total: Number = sum(items)
    except OverflowError:
        total = math.inf
    if not (INTEGER_MIN <= total <= INTEGER_MAX if isinstance(total, int) else math.isfinite(total)):
        frame.fail("the sum is too large for a number", NUMBER_HINT)
    return total


@_function("sort([3, 1, 2])")
def sort(frame: Frame, items: List) -> Value:
    """numbers or strings, smallest first (strings by code point)"""
    return sorted(_ordered(frame, items))


@_function("unique([1, 2, 1])")
def unique(frame: Frame, items: List) -> Value:
    """the list without repeats, the first of each kept"""
    frame.spend(len(items))
    kept: dict[Hashable, Value] = {}
    for item in items:
        kept.setdefault(frame.key(item), item)
    return list(kept.values())


@_function("flatten([[1], [2, 3]])")
def flatten(frame: Frame, items: List) -> Value:
    """one list out of a list of lists; items that are no lists stay as they are"""
    flat: list[Value] = []
    for item in items:
        part = item if type_name(item) == "list" else (item,)
        frame.spend(len(part) + 1)
        flat.extend(part)
    return flat


@_function("range(3)")
def range_(frame: Frame, count: Number) -> Value:
    """the whole numbers from 0, so many of them (at most 100,000)"""
    if not isinstance(count, int) or not 0 <= count <= RANGE_MAX:
        frame.fail(f"`range` takes a whole number from 0 to {RANGE_MAX:,}, not {shown(str(count))}")
    frame.spend(count)
    return list(range(count))


# ---- text ----


@_function('starts_with("weft.yaml", "weft")')
def starts_with(frame: Frame, text: str, prefix: str) -> Value:
    """whether a string begins so"""
    frame.read(len(prefix))
    return text.startswith(prefix)


@_function('ends_with("weft.yaml", ".json")')
def ends_with(frame: Frame, text: str, suffix: str) -> Value:
    """whether a string ends so"""
    frame.read(len(suffix))
    return text.endswith(suffix)


@_function('lower("Weft")')
def lower(frame: Frame, text: str) -> Value:
    """the string in lower case"""
    frame.write(len(text))
    return text.lower()


@_function('upper("Weft")')
def upper(frame: Frame, text: str) -> Value:
    """the string in upper case"""
    frame.write(len(text))
    return text.upper()


@_function('trim("  weft ")')
def trim(frame: Frame, text: str) -> Value:
    """the string without white space at both ends"""
    frame.write(len(text))
    return text.strip()


@_function('replace("a-b-c", "-", "/")')
def replace(frame: Frame, text: str, old: str, new: str) -> Value:
    """the string with every `old` replaced by `new`"""
    if not old:
        frame.fail("`replace` needs something to look for; `old` is empty")
    frame.read(len(text))
    frame.write(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


@_function('split("a,b,c", ",")')
def split(frame: Frame, text: str, separator: str) -> Value:
    """the parts of a string between the separators"""
    if not separator:
        frame.fail("`split` needs a separator; it is empty")
    frame.read(len(text))
    frame.spend(text.count(separator) + 1)
    return text.split(separator)


@_function('join(["a", "b"], "-")')
def join(frame: Frame, items: List, separator: str) -> Value:
    """one string out of a list, as `to_text` would write each item"""
    frame.spend(len(items))
    chars = 0
    texts = []
    for item in items:
        texts.append(frame.text(item))
        chars += len(texts[-1]) + len(separator)
        frame.fit(chars)
    frame.read(chars)
    return separator.join(texts)


@_function("to_text([1, true])")
def to_text(frame: Frame, value: Value) -> Value:
    """a string as it is, null as the empty string, anything else as JSON"""
    return frame.text(value)


@_function('to_number("6.5")')
def to_number(frame: Frame, value: Numeric) -> Value:
    """the number that a string holds, written as in JSON; white space around it is no harm"""
    if not isinstance(value, str):
        return value
    frame.read(len(value))
    number = read_number(value.strip())
    if number is None:
        frame.fail(f"`{shown(value)}` is not a number", NUMBER_HINT)
    return number


@_function("to_json({a: [1, null]})")
def to_json(frame: Frame, value: Value) -> Value:
    """the value as compact JSON"""
    return frame.json(value)


@_function("from_json('{\"a\": 1}')")
def from_json(frame: Frame, text: str) -> Value:
    """the value that a string of JSON stands for"""
    frame.read(len(text))
    opened = text.count("[") + text.count("{")
    frame.spend(opened + text.count(","))
    try:
        value = msgspec.json.decode(text)
    except RecursionError:
        frame.exceed(f"the JSON is nested deeper than {DEPTH_MAX} levels")
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        frame.fail(f"the string is not JSON: {shown(str(error))}")
    if opened > DEPTH_MAX:
        frame.weigh(value)
    return value


@_function('parsed("[1, 2]")')
def parsed(frame: Frame, value: Value) -> Value:
    """the value that a string of JSON stands for; any other value, and a string that is no JSON, as it is"""
    if not isinstance(value, str):
        return value
    try:
        return from_json(frame, value)
    except BudgetExceeded:
        raise
    except ExpressionError:
        return value


# ---- status: only where the caller gives them, which is in `if` ----


def _status(frame: Frame, name: str) -> bool:
    if name not in frame.status:
        frame.fail(f"`{name}()` has a meaning only in `if`")
    return frame.status[name]()


@_function("success()")
def success(frame: Frame) -> Value:
    """in `if`: whether no need failed or was cancelled, and at least one succeeded (or there are none)"""
    return _status(frame, "success")


@_function("failed()")
def failed(frame: Frame) -> Value:
    """in `if`: whether a need failed"""
    return _status(frame, "failed")


@_function("always()")
def always(frame: Frame) -> Value:
    """in `if`: true, whatever became of the needs"""
    return _status(frame, "always")
