"""Plain values checked against the shapes of model.spec, every problem noted.

What comes out can be trusted: what did not fit is left out of it (in a list of scalars it is None, so that the others keep
their numbers), and the rest can be checked in the same go.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache
from itertools import islice
from typing import Any

from weft.formats.document import Findings, Path, Where
from weft.model import spec
from weft.model.keys import Keys
from weft.model.shape import (
    ADDRESS,
    ENV_NAME,
    INTEGER_MAX,
    INTEGER_MIN,
    NAME,
    PLUGIN,
    TOOL,
    Amount,
    Anything,
    Boolean,
    Choice,
    Duration,
    Either,
    Frequency,
    Integer,
    ListOf,
    MapOf,
    Number,
    Record,
    Shape,
    Size,
    Text,
)
from weft.model.template import find, literal
from weft.model.tokens import shown
from weft.model.units import SIZE_MAX_BYTES, parse_duration, parse_rate, parse_size
from weft.model.workflow import MACHINE_POOLS, Value

BAD: Any = object()
"""Stands for a value that did not fit and has been reported."""


class Fields(dict[str, Any]):
    """The good values of a mapping with fixed keys, by canonical name. `written` has the key as the author spelled it, and
    `refused` the keys that were wrong, which has been reported."""

    __slots__ = ("path", "refused", "written")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written: dict[str, str] = {}
        self.refused: set[str] = set()

    def at(self, name: str, *inside: str | int) -> Path:
        """The path of a field, or of something inside it, in the document."""
        return (*self.path, self.written.get(name, name), *inside)


_ACCEPTS: dict[type, tuple[tuple[type, ...], str]] = {
    Text: ((str,), "text"),
    Integer: ((int, float), "a whole number"),
    Number: ((int, float), "a number"),
    Boolean: ((bool,), ""),
    Choice: ((str,), ""),
    Duration: ((int, float, str), "a duration"),
    Size: ((str,), "a size"),
    Amount: ((int, float, str), "a number or a size"),
    Frequency: ((str,), "a rate like `60/min`"),
    ListOf: ((list,), "a list"),
    MapOf: ((dict,), "a mapping"),
    Record: ((dict,), "a mapping"),
}
"""Which kinds of values a shape may accept, and its name."""

_PARSERS: dict[type, Callable[[Any], Any]] = {Duration: parse_duration, Size: parse_size, Frequency: parse_rate}
_TABLES = {name: {s: key for key in record.keys for s in (key.name, *key.spellings)} for name, record in spec.RECORDS.items()}
_YES, _NO = ("true", "yes", "on", "y", "1"), ("false", "no", "off", "n", "0")


@cache
def matcher(pattern: str) -> Callable[[str], object]:
    """Whether a pattern matches all of a text. (`re` has a cache too, but asking it costs as much as a match.)"""
    return re.compile(pattern).fullmatch


def described(value: Value) -> str:
    """What a value is, for a sentence: `is a list`."""
    if value is None:
        return "empty"
    if value is True or value is False:
        return f"`{str(value).lower()}`"
    return {str: "text", int: "a number", float: "a number", list: "a list", dict: "a mapping"}[type(value)]


def quoted(names: Iterable[str], most: int = 8) -> str:
    """Some names, for a hint."""
    some = [f"`{shown(name)}`" for name in islice(names, most + 1)]
    return ", ".join(some[:most]) + (", …" if len(some) > most else "")


def named(path: Path) -> str:
    """What to call the value at this path."""
    if not path:
        return "the file"
    if isinstance(path[-1], int):
        return f"item {path[-1] + 1} of {named(path[:-1])}"
    return f"`{shown(path[-1])}`"


class Reader:
    """Reads values by shape. Every method returns the value as weft takes it, or BAD."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self._by_shape: dict[type, Callable[[Any, Any, Path], Any]] = {
            Text: self._text,
            Integer: self._number,
            Number: self._number,
            Boolean: self._boolean,
            Choice: self._choice,
            Duration: self._quantity,
            Size: self._quantity,
            Amount: self._amount,
            Frequency: self._quantity,
            ListOf: self._list,
            MapOf: self._map,
            Record: self._record,
            Anything: self._anything,
            Either: self._either,
        }

    def read(self, value: Value, shape: Shape, path: Path) -> Any:
        return self._by_shape[shape.__class__](value, shape, path)

    def refuse(self, code: str, message: str, path: Path, hint: str = "") -> Any:
        self.findings.add(code, message, Where(path), hint=hint)
        return BAD

    def _wrong(self, value: Value, shape: Shape, path: Path) -> Any:
        options = shape.options if isinstance(shape, Either) else (shape,)
        if value.__class__ is str and find(value) >= 0:
            return self._not_evaluated(value, path)
        *most, last = dict.fromkeys(word for option in options for word in _wanted(option))
        wanted = f"{', '.join(most)} or {last}" if most else last
        if value is None:
            return self.refuse("W202", f"{named(path)} has no value", path, f"give it {wanted}, or remove it")
        return self.refuse(
            "W202", f"{named(path)} must be {wanted}, but is {described(value)}", path, _cure(value, options, path)
        )

    # ---- scalars ----

    def _text(self, value: Value, shape: Text, path: Path) -> Any:
        if value.__class__ is not str:
            return self._wrong(value, shape, path)
        if "\0" in value:
            return self.refuse("W205", f"{named(path)} holds a NUL character", path, "no program can be given one: remove it")
        if shape.field == "data" and not shape.filled:
            return value
        if not value.strip():
            return self.refuse("W205", f"{named(path)} is empty", path, f"give it {shape.what}, or remove it")
        if shape.field == "plain" and "${{" in value:
            if find(value) >= 0:
                return self._not_evaluated(value, path)
            value = literal(value)
        if shape.pattern and not matcher(shape.pattern)(value):
            return self.refuse("W206", f"`{shown(value)}` cannot be {shape.what}", path, _valid_name(value, shape.pattern))
        return value

    def _not_evaluated(self, value: str, path: Path) -> Any:
        hint = "write the value out; `${{ }}` belongs into `with`, `env`, `if`, `run` as a list, and `outputs`"
        where = Where(path, "value", find(value), 3)
        self.findings.add("W209", f"`${{{{ }}}}` is not evaluated in {named(path)}", where, hint=hint)
        return BAD

    def _number(self, value: Value, shape: Integer | Number, path: Path) -> Any:
        whole = isinstance(shape, Integer)
        if value.__class__ is float and whole and value.is_integer():
            value = int(value)
        if value.__class__ is not int and (whole or value.__class__ is not float):
            return self._wrong(value, shape, path)
        if not shape.minimum <= value <= shape.maximum:
            most = f" and at most {shape.maximum:,}" if shape.maximum < INTEGER_MAX else ""
            return self.refuse(
                "W205", f"{named(path)} cannot be {shown(str(value))}", path, f"it is at least {shape.minimum:,}{most}"
            )
        return value

    def _boolean(self, value: Value, shape: Boolean, path: Path) -> Any:
        return value if value.__class__ is bool else self._wrong(value, shape, path)

    def _choice(self, value: Value, shape: Choice, path: Path) -> Any:
        if value.__class__ is not str:
            return self._wrong(value, shape, path)
        if value in shape.values:
            return value
        if value in shape.later:
            return self._later(f"{path[-1]}: {value}", Where(path))
        if find(value) >= 0:
            return self._not_evaluated(value, path)
        hint = self.findings.suggest(value, shape.values) or f"it is one of {quoted(shape.values)}"
        return self.refuse("W205", f"{named(path)} cannot be `{shown(value)}`", path, hint)

    def _quantity(self, value: Any, shape: Duration | Size | Frequency, path: Path) -> Any:
        """Seconds, bytes, or (starts, seconds of their window)."""
        kinds = _ACCEPTS[shape.__class__][0]
        if type(value) not in kinds:
            return self._wrong(value, shape, path)
        try:
            amount = _PARSERS[shape.__class__](value)
        except ValueError as error:
            if value.__class__ is str and find(value) >= 0:
                return self._not_evaluated(value, path)
            message, _, hint = str(error).partition(": ")
            return self.refuse("W205", message, path, hint)
        if not amount and not (isinstance(shape, Duration) and not shape.positive):
            return self.refuse("W205", f"{named(path)} cannot be zero", path, "remove it, or give it more")
        return amount

    def _amount(self, value: Value, shape: Amount, path: Path) -> Any:
        """Units of the pool that the path names, as weft counts them; or the word `auto`."""
        pool = str(path[-2] if path[-1] == "slots" else path[-1])
        if value == "auto" and shape.auto:
            if pool in MACHINE_POOLS:
                return value
            hint = f"write how many it has: `{shown(pool)}: 8`; `auto` is for {quoted(MACHINE_POOLS)}"
            return self.refuse("W205", f"the machine does not say what a pool called `{shown(pool)}` has", path, hint)
        if value.__class__ is str:
            if MACHINE_POOLS.get(pool, 1) != 1:
                return self.refuse("W205", f"`{pool}` is a number, not a size", path, f"write `{pool}: 1` or `{pool}: 0.5`")
            return self._quantity(value, Size(), path)
        if value.__class__ not in (int, float):
            return self._wrong(value, shape, path)
        unit = MACHINE_POOLS.get(pool, 1)
        amount = value * unit
        if not 1 <= amount <= SIZE_MAX_BYTES:
            return self.refuse("W205", f"{named(path)} cannot be {shown(str(value))}", path, f"it is at least {1 / unit:g}")
        if amount != int(amount) and unit == 1:
            hint = "write a whole number; only `cpu` and `gpu` can be shared by fractions"
            return self.refuse("W205", f"{named(path)} cannot be {shown(str(value))}", path, hint)
        return round(amount)

    def _anything(self, value: Value, shape: Anything, path: Path) -> Any:
        """The value as it is; numbers that JSON, and so the journal, cannot carry are refused."""
        if value.__class__ in (str, bool, None.__class__):
            return value
        todo: list[tuple[Value, Path]] = [(value, path)]
        good = True
        while todo:
            item, at = todo.pop()
            if item.__class__ is dict:
                todo += [(inner, (*at, key)) for key, inner in item.items()]
            elif item.__class__ is list:
                todo += [(inner, (*at, index)) for index, inner in enumerate(item)]
            elif (item.__class__ is int and not INTEGER_MIN <= item <= INTEGER_MAX) or (
                item.__class__ is float and not float("-inf") < item < float("inf")
            ):
                self.refuse("W121", f"{named(at)} is a number that JSON cannot carry", at, "put it in quotes to make it a text")
                good = False
        return value if good else BAD

    # ---- collections ----

    def _either(self, value: Value, shape: Either, path: Path) -> Any:
        kind = value.__class__
        for option in shape.options:
            if kind in _ACCEPTS[option.__class__][0]:
                if option.__class__ is Choice and value.isdigit():
                    break  # a number in quotes was meant as a number
                return self.read(value, option, path)
        return self._wrong(value, shape, path)

    def _list(self, value: Value, shape: ListOf, path: Path) -> Any:
        if value.__class__ is not list:
            return self._wrong(value, shape, path)
        if shape.filled and not value:
            return self.refuse("W205", f"{named(path)} is empty", path, "give it an item, or remove it")
        items = [self.read(item, shape.item, (*path, index)) for index, item in enumerate(value)]
        if BAD not in items:
            return items
        if isinstance(shape.item, Record):
            return [item for item in items if item is not BAD]  # records know their paths
        return [None if item is BAD else item for item in items]

    def _map(self, value: Value, shape: MapOf, path: Path) -> Any:
        if value.__class__ is not dict:
            return self._wrong(value, shape, path)
        if shape.filled and not value:
            return self.refuse("W205", f"{named(path)} is empty", path, f"add {shape.what}")
        result = {}
        match = matcher(shape.key)
        for key, item in value.items():
            at = (*path, key)
            if not match(key):
                hint = _valid_name(key, shape.key)
                self.findings.add("W206", f"`{shown(key)}` cannot name {shape.what}", Where(at, "key"), hint=hint)
            good = self.read(item, shape.item, at)
            if good is not BAD:
                result[key] = good
        return result

    def _record(self, value: Value, shape: Record, path: Path) -> Any:
        if value.__class__ is not dict:
            return self._wrong(value, shape, path)
        record, table = spec.RECORDS[shape.name], _TABLES[shape.name]
        fields = Fields(path)
        told = False
        for written, item in value.items():
            key = table.get(written)
            if key is None:
                told |= self._unknown(written, record, path)
                fields.refused.add(written)
                continue
            if key.name in fields.written or (written != key.name and key.name in value):
                self._two(written, fields.written.get(key.name, key.name), path, "one key, written in two ways")
                continue
            if written != key.name:
                fields.written[key.name] = written
            good = self.read(item, key.shape, (*path, written))
            if good is BAD:
                fields.refused.add(key.name)
            else:
                fields[key.name] = good
        for key in record.keys:
            if key.required and key.name not in value:
                self.findings.add(
                    "W203", f"{named(path)} has no `{key.name}`", Where(path, "key"), hint=f"add `{key.name}: {key.example}`"
                )
        if record.one_of:
            self._one_of(value, record, path, told)
        return fields

    def _unknown(self, written: str, record: Keys, path: Path) -> bool:
        """Report a key that is not in the table. Whether it stands for what the mapping does."""
        where = Where((*path, written), "key")
        if written in record.later:
            self._later(written, where)
            return True
        names = [key.name for key in record.keys]
        meant = record.meant.get(written)
        if meant:
            hint = f"it is called `{meant}` here"
        elif meant := self.findings.meant(written, names):
            hint = f"did you mean `{meant}`?"
        else:
            hint = f"the keys are {quoted(names, len(names))}"
        self.findings.add("W201", f"there is no key `{shown(written)}` in {record.what}", where, hint=hint)
        return meant in record.one_of

    def _later(self, what: str, where: Where) -> Any:
        self.findings.add(
            "W204", f"`{what}` is not supported by this version of weft", where, hint="remove it, or use a newer version"
        )
        return BAD

    def _two(self, second: str, first: str, path: Path, label: str) -> None:
        self.findings.add(
            "W207",
            f"{named(path)} has both `{first}` and `{second}`",
            Where((*path, second), "key"),
            label=label,
            seconds=[(Where((*path, first), "key"), "the other one")],
            hint="keep one of them",
        )

    def _one_of(self, value: dict[str, Value], record: Keys, path: Path, told: bool) -> None:
        """Exactly one of these keys must be there, unless it has been told that one is misspelled or not supported yet."""
        found = [key for key in value if key in record.one_of]
        if len(found) > 1:
            self._two(found[1], found[0], path, "a step does one thing" if "run" in record.one_of else "one or the other")
        elif not found and not told:
            step = "run" in record.one_of
            hint = f"give it one of {quoted(record.one_of)}: `{record.one_of[0]}: {'echo hello' if step else '…'}`"
            message = f"the step {named(path)} does nothing" if step else f"{named(path)} has none of {quoted(record.one_of)}"
            self.findings.add("W203", message, Where(path, "key"), hint=hint)


def _valid_name(text: str, pattern: str) -> str:
    """What names are made of, and one that is close to this text, as a hint."""
    if pattern == PLUGIN:
        return "write the name of a package and that of a kind of step, as in `acme-words/count`"
    if pattern == ADDRESS:
        return "an address begins with `https://`, or `http://`"
    if pattern == TOOL:
        return "write the name of a server and that of its tool, as in `files/read_file`"
    if pattern not in (NAME, ENV_NAME):
        return "give it a name in one line"
    signs, rule = (r"\w-", "letters, digits, `_` and `-`") if pattern == NAME else (r"\w", "letters, digits and `_`")
    name = re.sub(f"[^{signs}]+", "_", text, flags=re.ASCII).strip("_-")[:100]
    name = f"_{name}" if name[:1].isdigit() else name
    return f"a name has {rule}, and does not begin with a digit" + (f": `{name}`" if name else "")


def _wanted(shape: Shape) -> tuple[str, ...]:
    """What values of this shape are called, for a sentence."""
    if isinstance(shape, Boolean | Choice):
        return tuple(f"`{word}`" for word in (("true", "false") if isinstance(shape, Boolean) else shape.values))
    return (_ACCEPTS[shape.__class__][1],)


def _cure(value: Value, options: tuple[Shape, ...], path: Path) -> str:
    """What to write instead of a value of the wrong kind."""
    kinds = {option.__class__ for option in options}
    if value.__class__ is str:
        text = value.strip().lower()
        if Boolean in kinds and text in _YES + _NO:
            return f"write `{str(text in _YES).lower()}`, without quotes"
        if kinds & {Integer, Number} and re.fullmatch(r"-?[0-9]+", text):
            return f"write `{text}`, without quotes"
        if ListOf in kinds:
            return f"write a list: `[{shown(value)}]`"
        if Record in kinds and len(path) == 2 and path[0] == "steps":
            return f"write `{{ {'' if isinstance(path[-1], str) else 'id: a_name, '}run: {shown(value)} }}`"
    elif value.__class__ in (int, float, bool):
        if value.__class__ is bool and kinds & {Integer, Number}:
            return "`true` and `false` are not numbers"
        if Text in kinds:
            return "put quotes around it"
    return ""
