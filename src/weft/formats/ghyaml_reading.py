"""Values of a YAML workflow file, read by type: each getter reports what does not fit, in the words of that format.

Of a template, `{{parameters.x}}` outside of what a step is given stands for a constant, which `constant` puts there.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from weft.formats.document import Findings, Path, Where
from weft.formats.ghyaml_expression import Node, Part, parse, parts_of
from weft.formats.shapes import described, quoted
from weft.model.tokens import ExpressionError, shown
from weft.model.workflow import Value

UNITS_S: Final = {"ms": 0.001, "s": 1.0}
LIKELY_SECONDS_MAX: Final = 3600
"""A timeout up to this number was probably meant in seconds: an hour is one, and hardly anybody writes one of 3.6 seconds."""
NEED_KEYS: Final = ("dependsOn", "depends_on", "dependencies", "needs")


class Reading:
    """Of one file. `timeout_unit`: what a bare number stands for. `parameters`: those of a template."""

    def __init__(self, findings: Findings, timeout_unit: str, parameters: Mapping[str, Value] | None = None) -> None:
        self.findings = findings
        self.timeout_unit = timeout_unit
        self.parameters = parameters

    def wrong(self, message: str, path: Path, hint: str = "", code: str = "W903", **more: Any) -> None:
        self.findings.add(code, message, Where(path), hint=hint, **more)

    def warn(self, code: str, message: str, where: Where, hint: str = "") -> None:
        self.findings.add(code, message, where, hint=hint, severity="warning")

    # ---- mappings ----

    def mapping(self, value: Value, path: Path, hint: str = "") -> dict[str, Value]:
        """The mapping, or an empty one."""
        if value is None or isinstance(value, dict):
            return value or {}
        self.wrong(f"`{shown(str(path[-1]))}` is {described(value)}, where a mapping must be", path, hint)
        return {}

    def check_keys(self, given: Mapping[str, Value], known: Iterable[str], path: Path, of: str) -> set[str]:
        """Report keys that mean nothing: as an error if another was meant, else as a warning. The keys that were meant."""
        known, meant = tuple(known), set[str]()
        for key in given:
            if key in known:
                continue
            near = self.findings.meant(key, known)
            where = Where((*path, key), "key")
            if near:
                meant.add(near)
                self.findings.add("W902", f"{of} has no `{shown(key)}`", where, hint=f"did you mean `{near}`?")
            else:
                self.warn("W902", f"{of} has no `{shown(key)}`: it is not read", where, f"it has {quoted(known, 12)}")
        return meant

    # ---- values ----

    def constant(self, value: Value, path: Path) -> Value:
        """The value, with parameters of the template put into it."""
        if self.parameters is None or not isinstance(value, str) or "{{" not in value:
            return value
        parts = self.parts(value, path) or [Part("", None, 0)]
        made = [part.text if part.node is None else self._parameter(part.node) for part in parts]
        if any(each is NotImplemented for each in made):
            return value
        return made[0] if len(made) == 1 else "".join("" if each is None else str(each) for each in made)

    def _parameter(self, node: Node) -> Any:
        assert self.parameters is not None
        known = node[0] == "path" and node[1] == "parameters" and len(node[2]) == 1
        return self.parameters.get(node[2][0]) if known else NotImplemented

    def text(self, fields: Mapping[str, Value], key: str, path: Path, otherwise: str = "") -> str:
        value = self.constant(fields.get(key), (*path, key))
        if value is None and key not in fields:
            return otherwise
        if not isinstance(value, str):
            word = str(value).lower() if isinstance(value, bool) else shown(str(value))
            hint = f'put quotes around it: `{key}: "{word}"`' if isinstance(value, int | float) else ""
            self.wrong(f"`{key}` is {described(value)}, where a text must be", (*path, key), hint)
            return otherwise
        if "\0" in value:
            self.wrong(f"`{key}` holds a NUL character", (*path, key), "remove it")
            return otherwise
        return value

    def flag(self, fields: Mapping[str, Value], key: str, path: Path) -> bool | None:
        """None if it is not there."""
        value = self.constant(fields.get(key), (*path, key))
        if value is None or isinstance(value, bool):
            return value
        self.wrong(f"`{key}` is {described(value)}, where `true` or `false` must be", (*path, key), f"{key}: true")
        return None

    def count(self, fields: Mapping[str, Value], key: str, path: Path) -> int | None:
        """A whole number from 1; None if it is not there."""
        value = self.constant(fields.get(key), (*path, key))
        if value is None and key not in fields:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.wrong(f"`{shown(key)}` is {described(value)}, where a whole number must be", (*path, key), f"{shown(key)}: 2")
        elif not isinstance(value, int) or not 1 <= value <= 1_000_000:
            message = f"`{shown(key)}` cannot be {shown(str(value))}: it is a whole number from 1"
            self.wrong(message, (*path, key), f"{shown(key)}: 2")
        else:
            return value
        return None

    def texts(self, value: Value, path: Path, what: str) -> list[tuple[str, Path]]:
        """A list of texts, each with its path; one text alone is taken too."""
        value = self.constant(value, path)
        if isinstance(value, str):
            return [(value, path)]
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(f"`{path[-1]}` is {described(value)}, where a list must be", path, f'{path[-1]}: ["…"]')
            return []
        found = []
        for n, item in enumerate(value):
            if isinstance(item := self.constant(item, (*path, n)), str):
                found.append((item, (*path, n)))
            else:
                self.wrong(f"item {n + 1} of `{path[-1]}` is {described(item)}, where {what} must be", (*path, n))
        return found

    def timeout_s(self, fields: Mapping[str, Value], path: Path, otherwise: float | None = None) -> float | None:
        """Seconds. A number that looks as if it was in seconds already gets a warning."""
        at = (*path, "timeout")
        value = self.constant(fields.get("timeout"), at)
        if value is None:
            return otherwise
        if isinstance(value, bool) or not isinstance(value, int | float):
            hint = "write a number, as in `timeout: 60000`"
            self.wrong(f"`timeout` is {described(value)}, where milliseconds must be", at, hint)
            return otherwise
        if not 0 < value * UNITS_S[self.timeout_unit] < 1e9:
            self.wrong(f"`timeout` cannot be {shown(str(value))}", at, "it is a number of milliseconds, or is not given")
            return otherwise
        if self.timeout_unit == "ms" and value <= LIKELY_SECONDS_MAX:
            hint = f"write `{value * 1000:.12g}`, or read the file with `--timeout-unit s`, if these are seconds"
            message = f"`timeout: {value:g}` is in milliseconds: it ends after {value / 1000:g} seconds"
            self.warn("W910", message, Where(at), hint)
        return value * UNITS_S[self.timeout_unit]

    # ---- expressions ----

    def parts(self, text: str, path: Path) -> list[Part] | None:
        """A text with `{{ }}` in pieces; None if it cannot be read, which is reported."""
        try:
            return parts_of(text)
        except ExpressionError as error:
            self.bad(error, path)
            return None

    def expression(self, text: str, path: Path) -> Node | None:
        try:
            return parse(text)
        except ExpressionError as error:
            self.bad(error, path)
            return None

    def bad(self, error: ExpressionError, path: Path) -> None:
        self.findings.add("W907", error.message, Where(path, "value", error.offset, error.length), hint=error.hint)
