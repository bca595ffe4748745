"""The functions of `{{ }}` in YAML workflows. They take and give what JSON can say; None stands for undefined.

Files are read within the folder of the project only: a path may come from data.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

FILE_BYTES_MAX = 64 << 20
"""What is larger is no text to put into a sentence."""

FUNCTIONS: dict[str, Callable[..., Any]] = {}


class FunctionError(Exception):
    """A function got what it cannot use: the author's mistake, or the data's."""


def _function(function: Callable[..., Any]) -> Callable[..., Any]:
    FUNCTIONS[function.__name__.rstrip("_")] = function
    return function


# ---- what values are ----


def text(value: Any) -> str:
    """A value as it stands in a text: nothing for undefined, JSON for what is no text."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def number(value: Any) -> int | float:
    """A number, or the number that a text holds. Raises FunctionError."""
    if isinstance(value, str):
        try:
            value = json.loads(value.strip())
        except ValueError:
            value = float(value) if value.strip().lstrip("+-")[:1].isdigit() and _is_float(value) else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise FunctionError(f"{shown(value)} is not a number")
    return _plain(value)


def _is_float(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _plain(value: int | float) -> int | float:
    """Whole numbers without `.0`."""
    return int(value) if isinstance(value, float) and math.isfinite(value) and value.is_integer() else value


def shown(value: Any) -> str:
    """A value, for a message."""
    if value is None:
        return "nothing"
    words = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"`{ascii(words[:60])[1:-1]}{'…' if len(words) > 60 else ''}`"


def truthy(value: Any) -> bool:
    """As in JavaScript: an empty list is something."""
    return value not in (None, False, 0, "")


def same(a: Any, b: Any) -> bool:
    """Equal, and of one type: `true` is not 1, and `"1"` is not 1."""
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def _items(value: Any, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise FunctionError(f"`{name}` takes a list, not {shown(value)}")
    return value


# ---- time ----


def _instant(value: Any) -> datetime:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(value / 1000, UTC)
    try:
        found = datetime.fromisoformat(str(value).strip())
    except ValueError:
        raise FunctionError(f"{shown(value)} is not a date: write it as `2026-01-31` or `2026-01-31T12:00:00Z`") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _iso(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@_function
def now() -> str:
    return _iso(datetime.now(UTC))


@_function
def date() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


@_function
def time_() -> str:
    return datetime.now(UTC).strftime("%H:%M:%S")


@_function
def timestamp() -> int:
    return time.time_ns() // 1_000_000


_FIELDS = {"YYYY": "%Y", "MM": "%m", "DD": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}


@_function
def formatDate(value: Any, form: Any = "YYYY-MM-DD") -> str:
    instant, made = _instant(value), text(form)
    made = made.replace("SSS", f"{instant.microsecond // 1000:03}")
    for field, code in _FIELDS.items():
        made = made.replace(field, instant.strftime(code))
    return made


def _later(value: Any, **span: float) -> str:
    try:
        return _iso(_instant(value) + timedelta(**span))
    except OverflowError:
        raise FunctionError("the date is out of range") from None


@_function
def addDays(value: Any, days: Any) -> str:
    return _later(value, days=number(days))


@_function
def addHours(value: Any, hours: Any) -> str:
    return _later(value, hours=number(hours))


@_function
def addMinutes(value: Any, minutes: Any) -> str:
    return _later(value, minutes=number(minutes))


# ---- environment ----


ENVIRONMENT: dict[str, str] = {}
"""What `env` sees. Whoever evaluates puts it here."""


@_function
def env(name: Any) -> str | None:
    return ENVIRONMENT.get(text(name))


@_function
def hasEnv(name: Any) -> bool:
    return text(name) in ENVIRONMENT


@_function
def envDefault(name: Any, otherwise: Any = "") -> Any:
    return ENVIRONMENT.get(text(name)) or otherwise


# ---- files, of the project only ----


def _inside(name: Any) -> str:
    folder = os.path.realpath(os.getcwd())
    if "\0" in text(name):
        raise FunctionError("the name of a file holds a NUL character")
    path = os.path.realpath(os.path.join(folder, text(name)))
    if path != folder and not path.startswith(folder.rstrip("/") + "/"):
        raise FunctionError(f"the file {shown(name)} is outside of the project's folder")
    return path


@_function
def fileExists(name: Any) -> bool:
    return os.path.exists(_inside(name))


@_function
def fileSize(name: Any) -> int:
    try:
        return os.path.getsize(_inside(name))
    except OSError as error:
        raise FunctionError(f"the file {shown(name)} cannot be read: {error.strerror}") from None


@_function
def readFile(name: Any) -> str:
    path = _inside(name)
    if fileSize(name) > FILE_BYTES_MAX or not (os.path.isfile(path) or not os.path.exists(path)):
        raise FunctionError(f"{shown(name)} is no file of at most {FILE_BYTES_MAX >> 20} MiB")
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise FunctionError(f"the file {shown(name)} cannot be read: {error}") from None


@_function
def readJson(name: Any) -> Any:
    return fromJson(readFile(name))


@_function
def fileName(path: Any) -> str:
    return os.path.basename(text(path))


@_function
def fileExt(path: Any) -> str:
    return os.path.splitext(text(path))[1]


@_function
def filePath(path: Any) -> str:
    return os.path.dirname(text(path))


@_function
def joinPath(*parts: Any) -> str:
    return os.path.normpath("/".join(filter(None, map(text, parts))))


# ---- texts ----


@_function
def upper(value: Any) -> str:
    return text(value).upper()


@_function
def lower(value: Any) -> str:
    return text(value).lower()


@_function
def trim(value: Any) -> str:
    return text(value).strip()


@_function
def replace(value: Any, old: Any, new: Any = "") -> str:
    return text(value).replace(text(old), text(new)) if text(old) else text(value)


def _bound(value: Any, length: int) -> int:
    """An index as in JavaScript: below 0 it counts from the end."""
    at = math.trunc(number(value))
    return max(0, at + length) if at < 0 else min(at, length)


@_function
def substring(value: Any, start: Any, end: Any = None) -> str:
    word = text(value)
    ends = [min(max(0, math.trunc(number(at))), len(word)) for at in (start, len(word) if end is None else end)]
    return word[min(ends) : max(ends)]


@_function
def length(value: Any) -> int:
    return len(value) if isinstance(value, list | dict) else len(text(value))


@_function
def split(value: Any, separator: Any = ",") -> list[str]:
    return text(value).split(text(separator)) if text(separator) else list(text(value))


@_function
def join(items: Any, separator: Any = ",") -> str:
    return text(separator).join(map(text, _items(items, "join")))


@_function
def startsWith(value: Any, part: Any) -> bool:
    return text(value).startswith(text(part))


@_function
def endsWith(value: Any, part: Any) -> bool:
    return text(value).endswith(text(part))


@_function
def contains(whole: Any, part: Any) -> bool:
    if isinstance(whole, list):
        return any(same(item, part) for item in whole)
    return part in whole if isinstance(whole, dict) and isinstance(part, str) else text(part) in text(whole)


# ---- lists ----


@_function
def first(items: Any) -> Any:
    return _nth(items, 0, "first")


@_function
def last(items: Any) -> Any:
    return _nth(items, -1, "last")


@_function
def at(items: Any, index: Any) -> Any:
    return _nth(items, math.trunc(number(index)), "at")


def _nth(items: Any, n: int, name: str) -> Any:
    of = items if isinstance(items, str) else _items(items, name)
    return of[n] if -len(of) <= n < len(of) else None


@_function
def slice_(items: Any, start: Any = 0, end: Any = None) -> Any:
    of = items if isinstance(items, str) else _items(items, "slice")
    return of[_bound(start, len(of)) : _bound(len(of) if end is None else end, len(of))]


def look(value: Any, key: Any) -> Any:
    """The item of a mapping by name, or of a list by number; None where there is none."""
    if isinstance(value, dict):
        return value.get(key if isinstance(key, str) else text(key))
    if isinstance(value, list | str) and (isinstance(key, int) or (isinstance(key, str) and key.isdecimal())):
        return value[int(key)] if -len(value) <= int(key) < len(value) else None
    return len(value) if key == "length" and isinstance(value, list | str) else None


def _walk(value: Any, path: Any) -> Any:
    for key in text(path).split("."):
        value = look(value, key)
    return value


@_function
def filter_(items: Any, path: Any = None, wanted: Any = None) -> list[Any]:
    """Items that are something; items whose field is something; items whose field has this value."""
    of = _items(items, "filter")
    if path is None:
        return [item for item in of if truthy(item)]
    if wanted is None:
        return [item for item in of if truthy(_walk(item, path)) or same(item, path)]
    return [item for item in of if same(_walk(item, path), wanted)]


@_function
def map_(items: Any, path: Any) -> list[Any]:
    """A field of each item, or what a function of one argument makes of it."""
    function = FUNCTIONS.get(text(path))
    if function and function in _OF_ONE:
        return [function(item) for item in _items(items, "map")]
    return [_walk(item, path) for item in _items(items, "map")]


# ---- numbers ----


def _finite(value: int | float, name: str) -> int | float:
    if not math.isfinite(value) or abs(value) >= 1 << 63:
        raise FunctionError(f"what `{name}` gives is too large for a number")
    return _plain(value)


@_function
def add(*values: Any) -> int | float:
    return _finite(sum(map(number, values)), "add")


@_function
def subtract(a: Any, b: Any) -> int | float:
    return _finite(number(a) - number(b), "subtract")


@_function
def multiply(*values: Any) -> int | float:
    return _finite(math.prod(map(float, map(number, values))), "multiply")


@_function
def divide(a: Any, b: Any) -> int | float:
    if not number(b):
        raise FunctionError(f"{shown(a)} cannot be divided by zero")
    return _finite(number(a) / number(b), "divide")


@_function
def round_(value: Any, digits: Any = 0) -> int | float:
    """Halves go up, as in JavaScript."""
    scale = 10.0 ** min(max(math.trunc(number(digits)), 0), 15)
    return _finite(math.floor(number(value) * scale + 0.5) / scale, "round")


@_function
def floor(value: Any) -> int:
    return math.floor(number(value))


@_function
def ceil(value: Any) -> int:
    return math.ceil(number(value))


@_function
def random_(least: Any = None, most: Any = None) -> int | float:
    """Between 0 and 1; of two numbers a whole one from the first to the second, of one from 0 to that."""
    import random  # late: it costs more than all else here

    if least is None:
        return random.random()
    ends = sorted((math.floor(number(least)), math.floor(number(0 if most is None else most))))
    return random.randint(*ends)


# ---- choices and types ----


@_function
def default(value: Any, otherwise: Any = "") -> Any:
    return otherwise if value in (None, "") else value


@_function
def empty(value: Any) -> bool:
    return value in (None, "", [], {})


@_function
def notEmpty(value: Any) -> bool:
    return not empty(value)


@_function
def equals(a: Any, b: Any) -> bool:
    return same(a, b)


@_function
def toNumber(value: Any) -> int | float:
    return number(value)


@_function
def toString(value: Any) -> str:
    return text(value)


@_function
def toBoolean(value: Any) -> bool:
    return value.strip().lower() in ("true", "1", "yes", "on") if isinstance(value, str) else truthy(value)


@_function
def toJson(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@_function
def fromJson(value: Any) -> Any:
    try:
        return json.loads(text(value))
    except (ValueError, RecursionError) as error:
        raise FunctionError(f"the text is not JSON: {error}") from None


_OF_ONE = (upper, lower, trim, length, first, last, toNumber, toString, toBoolean, toJson, fromJson, floor, ceil, fileName)
