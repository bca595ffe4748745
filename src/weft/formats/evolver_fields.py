"""Reading the mappings of a Code Evolver file: a value of a wrong type is reported, and then counts as absent."""

from collections.abc import Iterable, Mapping
from typing import Any

from weft.formats.document import Findings, Path, Where
from weft.formats.shapes import described, quoted
from weft.model.tokens import shown
from weft.model.workflow import Value


class Given:
    """A mapping that stands at `path`. A field may have several spellings: the first one that is there counts."""

    def __init__(self, fields: Mapping[str, Value], path: Path, findings: Findings) -> None:
        self.fields, self.path, self.findings = fields, path, findings

    def key(self, *names: str) -> str:
        """The spelling that is there, with a value; else the first."""
        return next((name for name in names if self.fields.get(name) is not None), names[0])

    def at(self, *names: str) -> Path:
        """The path of a field."""
        return (*self.path, self.key(*names))

    def has(self, *names: str) -> bool:
        return self.fields.get(self.key(*names)) is not None

    def text(self, *names: str, default: str = "") -> str:
        value: str = self._typed(names, (str,), "a text", default)
        if "\0" in value:
            self.wrong(f"`{self.key(*names)}` holds a NUL character", self.at(*names), "remove it", "W810")
            return default
        return value

    def flag(self, *names: str, default: bool = False) -> bool:
        found: bool = self._typed(names, (bool,), "true or false", default)
        return found

    def mapping(self, *names: str) -> dict[str, Value]:
        found: dict[str, Value] = self._typed(names, (dict,), "a mapping", {})
        return found

    def items(self, *names: str) -> list[Value]:
        found: list[Value] = self._typed(names, (list,), "a list", [])
        return found

    def texts(self, *names: str) -> list[str]:
        """A list of texts; one that is no text is reported."""
        found = []
        for n, item in enumerate(self.items(*names)):
            if isinstance(item, str):
                found.append(item)
            else:
                key = self.key(*names)
                self.wrong(f"item {n + 1} of `{key}` is {described(item)}, where a text must be", (*self.path, key, n))
        return found

    def number(self, *names: str, default: float, least: float, most: float, whole: bool = False) -> Any:
        kinds = (int,) if whole else (int, float)
        value = self._typed(names, kinds, "a whole number" if whole else "a number", default)
        if self.has(*names) and not least <= value <= most:
            bound = f"at most {most:,.10g} may be" if value > most else f"at least {least:g} must be"
            self.wrong(f"`{self.key(*names)}` is {value:,}, where {bound}", self.at(*names))
            return default
        return value

    def _typed(self, names: tuple[str, ...], kinds: tuple[type, ...], what: str, default: Any) -> Any:
        value = self.fields.get(self.key(*names))
        if value is None:
            return default
        if type(value) not in kinds:
            key = self.key(*names)
            self.wrong(f"`{shown(key)}` is {described(value)}, where {what} must be", self.at(*names))
            return default
        return value

    def inner(self, *names: str) -> "Given":
        """The mapping in a field."""
        return Given(self.mapping(*names), self.at(*names), self.findings)

    def wrong(self, message: str, path: Path, hint: str = "", code: str = "W802") -> None:
        self.findings.add(code, message, Where(path), hint=hint)

    def warn(self, code: str, message: str, path: Path, hint: str, *, key: bool = False) -> None:
        where = Where(path, "key") if key else Where(path)
        self.findings.add(code, message, where, hint=hint, severity="warning")

    def check_keys(self, known: Iterable[str], what: str) -> None:
        """Report keys that nothing is known of."""
        known = tuple(known)
        for name in self.fields:
            if name not in known:
                hint = self.findings.suggest(name, known) or f"{what} has {quoted(known, 12)}"
                self.warn("W803", f"{what} has no `{shown(name)}`", (*self.path, name), hint, key=True)


def plain(value: Value) -> Value:
    """A value of the file that is data as it stands: nothing in it is a template."""
    if isinstance(value, str):
        return value.replace("${{", "$${{")
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
