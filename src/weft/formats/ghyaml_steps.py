"""What the steps of YAML workflows do, by type: from `config` to an action, with the values that it needs as inputs.

Scripts, conditions and what has to be computed are done by constant code of ours in a worker (`weft.guests.ghccli`), which gets
the configuration as a tree. Agents and requests are actions of weft; where their texts hold what only that code can evaluate,
they are the second of two steps of a sub-workflow.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from weft.formats.document import Path, Where
from weft.formats.ghyaml_command import HINT, IN_CODE, needs_shell, script_of, tree_of, tree_of_word, words_of
from weft.formats.ghyaml_expression import SCOPES, Node, Part, joined, parse, paths_in
from weft.formats.ghyaml_reading import Reading
from weft.formats.program_text import code_at
from weft.formats.shapes import described, quoted
from weft.model.tokens import ExpressionError, shown
from weft.model.workflow import Value

TYPES: Final = {
    **{name: name for name in ("script", "agent", "condition", "http")},
    **dict.fromkeys(("delay", "wait", "sleep"), "delay"),
}
CONFIG_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "script": ("command", "args", "workingDirectory", "env", "timeout"),
    "agent": ("agent", "prompt", "parameters", "timeout"),
    "condition": ("expression", "onTrue", "onFalse", "continueOnError", "timeout"),
    "delay": ("duration", "unit", "message", "timeout"),
    "http": ("url", "method", "headers", "body", "timeout", "retries", "followRedirects", "validateStatus"),
}
AGENT_TIMEOUT_S: Final = 60.0
"""What is documented where none is given."""
DELAY_UNITS_S: Final = {
    **dict.fromkeys(("ms", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
}
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_ROWS: Final = ("and", "or", "not")
_COMPARISONS: Final = (
    *("equals", "not_equals", "contains", "not_contains", "exists", "not_exists", "matches", "not_matches"),
    *("greater_than", "greater_than_or_equal", "less_than", "less_than_or_equal"),
)


class Config(msgspec.Struct, kw_only=True):
    """The `config` of a step once it has been read. `tree`: what the worker gets. `nodes`: every expression in it, with its path.
    `plain`: the values of an action of weft as the file has them, and their paths are those of their keys."""

    type: str
    tree: dict[str, Any] = {}
    plain: dict[str, Value] = {}
    nodes: list[tuple[Node, Path]] = []
    timeout_s: float | None = None
    retries: int | None = None
    """Of a request, if it says so."""
    seconds: float | None = None
    """Of a delay that is known now."""
    triggers: dict[bool, list[tuple[str, Path]]] = {}
    """Of a condition: the steps of `onTrue` and `onFalse`."""


class ConfigReader:
    """Reads the `config` of one step at `path`."""

    def __init__(self, reading: Reading, type_: str, fields: Mapping[str, Value], path: Path) -> None:
        self.reading, self.fields, self.path = reading, fields, path
        self.config = Config(type=type_, tree={}, plain={}, nodes=[], triggers={})
        self.meant: set[str] = set()

    def read(self) -> Config:
        kind = self.config.type
        if kind != "agent":  # what else an agent is given is up to it
            of = f"the `config` of a {kind} step"
            self.meant = self.reading.check_keys(self.fields, CONFIG_KEYS[kind], self.path, of)
        otherwise = AGENT_TIMEOUT_S if kind == "agent" else None
        self.config.timeout_s = self.reading.timeout_s(self.fields, self.path, otherwise)
        readers: dict[str, Callable[[], None]] = {
            "script": self._script,
            "agent": self._agent,
            "condition": self._condition,
            "delay": self._delay,
            "http": self._http,
        }
        readers[kind]()
        return self.config

    def _wrong(self, message: str, *keys: str | int, hint: str = "") -> None:
        self.reading.wrong(message, (*self.path, *keys), hint)

    def _required(self, key: str, example: str) -> Any:
        value = self.fields.get(key)
        if (value is None or value == "") and key not in self.meant:
            self.reading.findings.add(
                "W903",
                f"the `config` of this {self.config.type} step has no `{key}`",
                Where(self.path, "key"),
                hint=f"add `{key}: {example}`",
            )
        return value

    def _text(self, key: str, otherwise: str = "") -> str:
        value = self.fields.get(key)
        if value is None:
            return otherwise
        if isinstance(value, str) and "\0" not in value:
            return value
        what = f"is {described(value)}, where a text must be" if not isinstance(value, str) else "holds a NUL character"
        self._wrong(f"`{key}` {what}", key)
        return otherwise

    def tree(self, value: Value, *keys: str | int) -> Any:
        """A value of the file as a tree with holes; its expressions are noted."""
        if isinstance(value, str):
            path = (*self.path, *keys)
            parts = self.reading.parts(value, path) or []
            self.config.nodes += [(part.node, path) for part in parts if part.node is not None]
            return tree_of(parts)
        if isinstance(value, list):
            return [self.tree(item, *keys, n) for n, item in enumerate(value)]
        if isinstance(value, dict):
            return {"m": {key: self.tree(item, *keys, key) for key, item in value.items()}}
        return value

    # ---- types ----

    def _script(self) -> None:
        tree = self.config.tree
        command, args = self._required("command", "npm"), self.fields.get("args")
        if not isinstance(args, list | None):
            self._wrong(f"`args` is {described(args)}, where a list must be", "args", hint='args: ["run", "build"]')
            args = []
        for n, item in enumerate(args or []):
            if not isinstance(item, str | int | float):
                hint = "each item is one argument: a text, or a number"
                self._wrong(f"item {n + 1} of `args` is {described(item)}, where a text must be", "args", n, hint=hint)
            elif isinstance(item, str) and "\0" in item:
                self._wrong(f"item {n + 1} of `args` holds a NUL character", "args", n, hint="no program can be given one")
        if command is not None and (command := self._text("command")):
            self._command(command, bool(args))
        own = len(tree.setdefault("words", []))
        tree["words"].extend(self.tree(item, "args", n) for n, item in enumerate(args or []))
        if "shell" in tree:
            del tree["words"]
        else:
            self._check_code(tree["words"], own)
        tree["workingDirectory"] = self.tree(self._text("workingDirectory"), "workingDirectory")
        tree["env"] = environment(self, self.fields.get("env"), "env")

    def _command(self, command: str, has_args: bool) -> None:
        """Without `args`, a command with spaces is a line of a shell; one that needs no shell gets none."""
        path, tree = (*self.path, "command"), self.config.tree
        parts = self.reading.parts(command, path)
        if parts is None:
            return
        self.config.nodes += [(part.node, path) for part in parts if part.node is not None]
        has_spaces = any(part.node is None and part.text.split() != [part.text] for part in parts if part.text)
        try:
            if not has_spaces:
                tree["words"] = [tree_of(parts)]
            elif not has_args and needs_shell(parts):
                tree["shell"], values = script_of(parts)
                tree["values"] = {name: {"t": [{"e": node}]} for name, node in values.items()}
            else:
                tree["words"] = list(map(tree_of_word, words_of(parts)))
        except ExpressionError as error:
            where = Where(path, "value", error.offset, error.length)
            self.reading.findings.add("W911", error.message, where, hint=error.hint)

    def _check_code(self, words: list[Any], own: int) -> None:
        """Keep values out of the text of another program. A shell that is started gets them as variables. `own`: so many of the
        words are those of `command`."""
        pieces = [word.get("t", []) if isinstance(word, dict) else [str(word)] for word in words]
        at, is_shell = code_at(["".join(piece if isinstance(piece, str) else "x" for piece in word) for word in pieces])
        if not any(isinstance(piece, dict) for piece in pieces[at]) if at else True:
            return
        path = (*self.path, "args", at - own) if at >= own else (*self.path, "command")
        parts = [Part(piece, None, 0) if isinstance(piece, str) else Part("", piece["e"], 0) for piece in pieces[at]]
        try:
            if not is_shell:
                raise ExpressionError(f"a value cannot stand {IN_CODE}: it would not stay one argument", 0, 1, HINT)
            words[at], values = script_of(parts)
        except ExpressionError as error:
            self.reading.findings.add("W911", error.message, Where(path), hint=error.hint)
            return
        self.config.tree["values"] = {name: {"t": [{"e": node}]} for name, node in values.items()}

    def _agent(self) -> None:
        self._required("agent", "reviewer")
        name = self.reading.text(self.fields, "agent", self.path)
        prompt = self._text("prompt")
        extra = {key: value for key, value in self.fields.items() if key not in CONFIG_KEYS["agent"]}
        parameters = {**self.reading.mapping(self.fields.get("parameters"), (*self.path, "parameters")), **extra}
        self.config.plain = {"agent": name, "prompt": prompt, "parameters": parameters}
        inside = {key: self.tree(value, *((key,) if key in extra else ("parameters", key))) for key, value in parameters.items()}
        self.config.tree = {"m": {"prompt": self.tree(prompt, "prompt"), "parameters": {"m": inside}}}

    def _http(self) -> None:
        self._required("url", "https://example.com/hook")
        method = self._text("method", "GET").upper()
        if method not in METHODS:
            hint = self.reading.findings.suggest(method, METHODS) or f"it is one of {quoted(METHODS)}"
            self._wrong(f"there is no method `{shown(method)}`", "method", hint=hint)
        headers = self.reading.mapping(self.fields.get("headers"), (*self.path, "headers"))
        self.config.plain = {"url": self._text("url"), "headers": headers, "body": self.fields.get("body")}
        self.config.tree = {"m": {key: self.tree(value, key) for key, value in self.config.plain.items()}}
        self.config.plain |= {"method": method, "redirects": self.reading.flag(self.fields, "followRedirects", self.path)}
        self.config.plain["expect"] = self._statuses()
        if (retries := self.fields.get("retries")) is not None:
            self.config.retries = 0 if retries == 0 else self.reading.count(self.fields, "retries", self.path)

    def _statuses(self) -> tuple[int, ...]:
        given = self.fields.get("validateStatus")
        if given is None or given is True:
            return ()
        if given is False:
            return tuple(range(100, 600))
        found = [
            status for status in (given if isinstance(given, list) else [given]) if type(status) is int and 99 < status < 600
        ]
        if not isinstance(given, list | int) or len(found) != len(given if isinstance(given, list) else [given]):
            hint = "name the statuses that are a success, as in `[200, 404]`, or `false` for any"
            self._wrong("`validateStatus` is no list of statuses", "validateStatus", hint=hint)
        return tuple(found)

    def _delay(self) -> None:
        duration = self.reading.constant(self._required("duration", "5"), (*self.path, "duration"))
        unit = self._text("unit", "ms")
        if unit not in DELAY_UNITS_S:
            hint = self.reading.findings.suggest(unit, DELAY_UNITS_S) or "it is one of `ms`, `seconds`, `minutes` and `hours`"
            self._wrong(f"there is no unit `{shown(unit)}`", "unit", hint=hint)
        tree = {"duration": self.tree(duration, "duration"), "message": self.tree(self.fields.get("message"), "message")}
        self.config.tree = {"m": {**tree, "seconds": DELAY_UNITS_S.get(unit, 1.0)}}
        if isinstance(duration, bool) or not isinstance(duration, int | float | str | None):
            self._wrong(f"`duration` is {described(duration)}, where a number must be", "duration", hint="duration: 5")
        elif isinstance(duration, int | float) and not 0 <= duration * DELAY_UNITS_S.get(unit, 1.0) <= 366 * 86400:
            self._wrong(f"`duration` cannot be {shown(str(duration))}", "duration", hint="it is a number from 0, up to a year")
        elif isinstance(duration, str) and "{{" not in duration:
            self._wrong(
                f"`duration` is `{shown(duration)}`, where a number must be",
                "duration",
                hint="write `duration: 5` and `unit: seconds`",
            )
        elif isinstance(duration, int | float) and self.fields.get("message") is None:
            self.config.seconds = duration * DELAY_UNITS_S.get(unit, 1.0)

    # ---- conditions ----

    def _condition(self) -> None:
        given = self._required("expression", '{ equals: { left: "{{variables.stage}}", right: live } }')
        triggers = {
            yes: self.reading.texts(self.fields.get(key), (*self.path, key), "the id of a step") for yes, key in _BRANCHES
        }
        self.config.triggers = triggers
        test = self._test(given, "expression") if given is not None else {}
        self.config.tree = {"expression": test, **{key: [id_ for id_, _ in triggers[yes]] for yes, key in _BRANCHES}}

    def _test(self, given: Value, *keys: str | int) -> dict[str, Any]:
        """One test: a text, `{operator: {left, right}}`, or the same with the operator under `type`."""
        path = (*self.path, *keys)
        if isinstance(given, bool):
            return {"e": ["lit", given]}
        if isinstance(given, str):
            node = condition_node(self.reading, given, path)
            self.config.nodes += [(node, path)] if node else []
            return {"e": node or ["lit", False]}
        if not isinstance(given, dict) or not given:
            self._wrong(f"`{keys[-1]}` is {described(given)}, where a condition must be", *keys, hint=_EXAMPLE)
            return {"e": ["lit", False]}
        named = next((key for key in ("operator", "type", "op") if isinstance(given.get(key), str)), "")
        if not named and len(given) > 1:
            self._wrong(f"a test has one operator, and this has {quoted(given)}", *keys, hint="and: { conditions: [ … ] }")
        operator, inside, at = (given[named], given, keys) if named else next((k, v, (*keys, k)) for k, v in given.items())
        if operator not in (*_ROWS, *_COMPARISONS):
            hint = self.reading.findings.suggest(operator, (*_ROWS, *_COMPARISONS)) or _EXAMPLE
            self._wrong(f"there is no operator `{shown(operator)}`", *keys, *([named] if named else [operator]), hint=hint)
            return {"e": ["lit", False]}
        if operator in _ROWS:
            return self._row(operator, inside, *at)
        if not isinstance(inside, dict):
            self._wrong(f"`{operator}` is {described(inside)}, where `left` and `right` must be", *at, hint=_EXAMPLE)
            return {"e": ["lit", False]}
        self.reading.check_keys(inside, ("left", "right", *[named] * bool(named)), (*self.path, *at), f"`{operator}`")
        if operator.endswith("matches"):
            self._check_pattern(inside.get("right"), *at, "right")
        for side in ("left", "right")[: 1 if operator.endswith("exists") else 2]:
            if side not in inside:
                self._wrong(f"`{operator}` has no `{side}`", *at, hint=_EXAMPLE)
        return {"operator": operator, **{side: self._side(inside.get(side), *at, side) for side in ("left", "right")}}

    def _side(self, value: Value, *keys: str | int) -> Any:
        """A text that is a path and nothing else stands for what is there, with braces around it or not."""
        if isinstance(value, str) and "{{" not in value and value.partition(".")[0] in (*SCOPES, "variable") and "." in value:
            try:
                node = parse(value)
            except ExpressionError:
                return value
            if node[0] == "path":
                self.config.nodes.append((node, (*self.path, *keys)))
                return {"t": [{"e": node}]}
        return self.tree(value, *keys)

    def _check_pattern(self, pattern: Value, *keys: str | int) -> None:
        if isinstance(pattern, str) and "{{" not in pattern:
            try:
                re.compile(pattern)
            except re.error as error:
                self._wrong(
                    f"`{shown(pattern)}` is no pattern: {error}", *keys, hint="a sign that stands for itself has `\\` before it"
                )

    def _row(self, operator: str, inside: Value, *keys: str | int) -> dict[str, Any]:
        within = isinstance(inside, dict) and "conditions" in inside
        rows, at = (inside["conditions"], (*keys, "conditions")) if within else (inside, keys)
        if isinstance(rows, dict | str) and operator == "not":
            return {"operator": operator, "conditions": [self._test(rows, *at)]}
        if not isinstance(rows, list) or not rows:
            self._wrong(f"`{operator}` has no list of `conditions`", *keys, hint=f"{operator}: {{ conditions: [ … ] }}")
            return {"e": ["lit", False]}
        return {"operator": operator, "conditions": [self._test(row, *at, n) for n, row in enumerate(rows)]}


_BRANCHES: Final = ((True, "onTrue"), (False, "onFalse"))
_EXAMPLE: Final = '{ equals: { left: "{{variables.stage}}", right: live } }'


def environment(reader: ConfigReader, given: Value, key: str) -> dict[str, Any]:
    """Variables for programs as trees."""
    variables = reader.reading.mapping(given, (*reader.path, key))
    for name, value in variables.items():
        path = (*reader.path, key, name)
        if not name or "=" in name or "\0" in name:
            reader.reading.wrong(f"no variable can be called `{shown(name)}`", path)
        elif not isinstance(value, str | int | float | None):
            reader.reading.wrong(f"`{shown(name)}` is {described(value)}, where a text must be", path)
        elif isinstance(value, str) and "\0" in value:
            reader.reading.wrong(f"`{shown(name)}` holds a NUL character", path, "no variable can hold one")
    return {name: reader.tree(value, key, name) for name, value in variables.items()}


def condition_node(reading: Reading, text: str, path: Path) -> Node | None:
    """The expression of a condition, with or without `{{ }}` around it, or around its parts."""
    parts = reading.parts(text, path)
    if parts is None:
        return None
    if len(parts) == 1 and parts[0].node is not None:
        return parts[0].node
    if all(part.node is None for part in parts):
        return reading.expression(text, path)
    return reading.expression(joined(parts), path)


def references(nodes: Sequence[tuple[Node, Path]]) -> list[tuple[str, list[str | int], Path]]:
    """Every path in expressions: its root, its keys, and where the expression stands."""
    return [(root, keys, path) for node, path in nodes for root, keys in paths_in(node)]
