"""What the values of PML tasks refer to: results of other tasks, in each of its spellings, as expressions of ours.

- `$OUTPUT[id].a.b`, `$id.result.a` and template literals (`` `${n1.path}/x` ``) as a whole text; `{type: reference, expression}`
  with one of these paths or literals, `{type: literal, value}` and `{type: parameter, parameterName}`.
- Everything else is literal, whatever it looks like. A text that only contains such a reference is told, as it is not replaced.
- The result of a tool that answers with text may hold JSON: a path reads into it.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Final, TypeAlias

from weft.formats.document import Findings, Path, Where
from weft.formats.shapes import described, quoted
from weft.model.expression import ExpressionError, parse
from weft.model.tokens import shown
from weft.model.workflow import Value

Part: TypeAlias = str | int

_SEGMENT: Final = r"""(?:\??\.[A-Za-z_$][\w$-]*|\[(?:\d{1,9}|"[^"\\\]]*"|'[^'\\\]]*')\])"""
_OUTPUT: Final = re.compile(rf"\$OUTPUT\[([^\]\n]+)\]({_SEGMENT}*)")
_RESULT: Final = re.compile(rf"\$([\w-]+)\.(?:result|output)(?![\w$-])({_SEGMENT}*)")
_PATH: Final = re.compile(rf"([A-Za-z_$][\w$-]*)({_SEGMENT}*)")
_PART: Final = re.compile(r"""\.([A-Za-z_$][\w$-]*)|\[(\d+)\]|\["([^"]*)"\]|\['([^']*)'\]""")
_HOLE: Final = re.compile(r"\$\{([^{}`]*)\}")
_QUOTED: Final = re.compile(r"\{([A-Za-z_][\w-]*(?:\.[A-Za-z_][\w-]*)*)\}")
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LEXEME: Final = re.compile(
    rf"""(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<output>\$OUTPUT\[[^\]]+\]{_SEGMENT}*)"""
    rf"""|(?P<result>\$[\w-]+\.(?:result|output){_SEGMENT}*)|(?P<path>[A-Za-z_][\w-]*{_SEGMENT}*)|(?P<strict>[=!]==)|(?P<other>.)""",
    re.S,
)
_CONSTANTS: Final = {"true": "true", "false": "false", "null": "null", "undefined": "null", "in": "in"}
_TYPED: Final = {"reference": {"type", "expression"}, "literal": {"type", "value"}, "parameter": {"type", "parameterName"}}
_TYPED_HINT: Final = (
    '{"type": "reference", "expression": "n1.path"}, or `literal` with `value`, or `parameter` with `parameterName`'
)


def literal(text: str) -> str:
    """A text as data of ours that stands for itself."""
    return text.replace("${{", "$${{")


def output_of(task: str, path: str = "", *, parse: bool = False) -> str:
    """The result of a task, or a part of it, as an expression. `parse`: text of JSON counts as what it stands for."""
    whole = f"steps['{task}'].output"
    return f"parsed({whole}){''.join(_ours(path))}" if path or parse else whole


def result_of(task: str, path: str = "", *, parse: bool = False) -> str:
    """`$id.result`: what a tool answered under that name, as servers do with values that are no mapping; else all of it."""
    whole = f"default(steps['{task}'].output.result?, steps['{task}'].output)"
    return f"parsed({whole}){''.join(_ours(path))}" if path or parse else whole


def _ours(path: str) -> Iterator[str]:
    for found in _PART.finditer(path):
        name = found[1] or found[3] or found[4]
        if found[2]:
            yield f"[{int(found[2])}]"
        else:
            yield f".{name}" if _WORD.fullmatch(name or "") else f"[{json.dumps(name or '')}]"


class References:
    """Of one task. `tasks` are all that there are, `bindings` its `variableBindings`, `literals` its `literalBindings`.

    `needs` and `parameters` collect what is referred to.
    """

    def __init__(
        self,
        task: str,
        tasks: Collection[str],
        findings: Findings,
        bindings: Mapping[str, Value],
        literals: Mapping[str, Value],
    ) -> None:
        self._task, self._tasks, self._findings = task, tasks, findings
        self._bindings, self._literals = bindings, literals
        self.needs: list[str] = []
        self.parameters: list[str] = []

    # ---- values ----

    def value(self, value: Value, path: Path) -> Value:
        """The value with references turned into templates, deep in lists and mappings."""
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, list):
            return [self.value(item, (*path, n)) for n, item in enumerate(value)]
        if isinstance(value, dict):
            kind = value.get("type")
            if isinstance(kind, str) and _TYPED.get(kind) == value.keys():
                return self.typed(value, path)
            return {key: self.value(item, (*path, key)) for key, item in value.items()}
        return value

    def typed(self, value: Value, path: Path) -> Value:
        """`{type, …}`: a reference, a literal or a parameter."""
        kind = value.get("type") if isinstance(value, dict) else None
        if not isinstance(kind, str) or kind not in _TYPED or _TYPED[kind] != value.keys():
            what = f"of the type `{shown(kind)}` cannot be read" if isinstance(kind, str) else f"is {described(value)}"
            self._wrong(f"a typed argument {what}", path, _TYPED_HINT)
            return None
        if kind == "literal":
            return _literal_value(value["value"])
        name = value[key := "expression" if kind == "reference" else "parameterName"]
        if not isinstance(name, str) or not name.strip():
            self._wrong(f"`{key}` is {described(name)}, where a text must be", (*path, key))
            return None
        return self._expression(name.strip(), (*path, key)) if kind == "reference" else self._parameter(name, (*path, key))

    def _text(self, text: str, path: Path) -> Value:
        if "$" not in text:
            return text
        for pattern in (_OUTPUT, _RESULT):
            if found := pattern.fullmatch(text.strip()):
                if pattern is _RESULT and found[1] not in self._tasks and not self._is_near(found[1]):
                    return literal(text)
                return self._reference(found[1], found[2], path, output_of if pattern is _OUTPUT else result_of)
        holes = (_PATH.fullmatch(hole[1].strip()) for hole in _HOLE.finditer(text))
        named = any(found and (found[1] in self._literals or self._node(found[1]) in self._tasks) for found in holes)
        if named and text[0] == text[-1] == "`":
            return self._template(text[1:-1], path)
        if text.lstrip().startswith("$OUTPUT"):
            self._wrong(f"the reference `{shown(text)}` cannot be read", path, "$OUTPUT[task].field.field")
        elif named or _OUTPUT.search(text) or any(found[1] in self._tasks for found in _RESULT.finditer(text)):
            message = "a reference inside a longer text is not replaced"
            hint = "write a template literal, in backticks: `text ${task.field} text`"
            self._findings.add("W709", message, Where(path), hint=hint, severity="warning")
        return literal(text)

    def _is_near(self, name: str) -> bool:
        """Whether somebody who writes this name most likely means a task."""
        return self._findings.meant(name, self._tasks) is not None

    def _reference(self, task: str, rest: str, path: Path, read: Callable[[str, str], str]) -> Value:
        task = task.strip()
        return f"${{{{ {read(task, rest)} }}}}" if self._refers(task, path) else None

    def _refers(self, task: str, path: Path) -> bool:
        """Note that a task is needed, if there is one of this name that is another one."""
        if task not in self._tasks:
            hint = self._findings.suggest(task, self._tasks) or f"there is {quoted(self._tasks)}"
            self._wrong(f"there is no task `{shown(task)}`, to whose result `{shown(self._task)}` refers", path, hint)
        elif task == self._task:
            self._wrong(f"the task `{shown(task)}` refers to its own result", path, "refer to a task before it")
        else:
            self.needs.append(task)
            return True
        return False

    def _wrong(self, message: str, path: Path, hint: str = "") -> None:
        self._findings.add("W704", message, Where(path), hint=hint)

    # ---- expressions ----

    def _expression(self, text: str, path: Path) -> Value:
        if text[:1] == text[-1:] == "`" and len(text) > 1:
            return self._template(text[1:-1], path)
        found = self._path(text, path)
        return None if found is None else f"${{{{ {found} }}}}"

    def _template(self, text: str, path: Path) -> Value:
        """A template literal: texts, and `${…}` between them."""
        parts, done = [], 0
        for hole in _HOLE.finditer(text):
            expression = self._path(hole[1].strip(), path)
            if expression is None:
                return None
            parts += [literal(text[done : hole.start()]), f"${{{{ {expression} }}}}"]
            done = hole.end()
        rest = text[done:]
        if "${" in rest or "`" in text:
            self._wrong(f"the template literal `{shown(text)}` cannot be read", path, "`${n1.path}/x`: only paths stand in `${}`")
            return None
        return "".join([*parts, literal(rest)])

    def _path(self, text: str, path: Path, *, parse: bool = False) -> str | None:
        """`n1.items[0].x` as an expression: the root is a task, the node that a task was made for, or a bound name."""
        found = _PATH.fullmatch(text)
        if not found:
            self._wrong(f"the expression `{shown(text)}` cannot be read", path, "a path, as in `n1.items[0].x`")
            return None
        root, rest = found[1], found[2]
        if root in self._literals:
            return f"parsed({_constant(self._literals[root])}){''.join(_ours(rest))}"
        task = self._node(root)
        return output_of(task, rest, parse=parse) if self._refers(task, path) else None

    def _node(self, root: str) -> str:
        """The task that a name of an expression stands for."""
        bound = self._bindings.get(root, root)
        name = bound if isinstance(bound, str) else root
        return f"task_{name}" if name not in self._tasks and f"task_{name}" in self._tasks else name

    def _parameter(self, name: str, path: Path) -> Value:
        if not _WORD.fullmatch(name):
            self._wrong(f"`{shown(name)}` cannot be the name of a parameter", path, "letters, digits and `_`")
            return None
        self.parameters.append(name)
        return f"${{{{ inputs.{name} }}}}"

    # ---- conditions and questions ----

    def condition(self, text: str, path: Path) -> str:
        """A condition as an expression of ours; empty if it cannot be read, which is reported."""
        pieces = [self._lexeme(found, path) for found in _LEXEME.finditer(text)]
        if any(piece is None for piece in pieces):
            return ""
        expression = "".join(map(str, pieces)).strip()
        try:
            return parse(expression).text
        except ExpressionError as error:
            hint = error.hint or "paths, comparisons, `&&`, `||`, `!`: `$count.result.rows > 0`"
            self._wrong(f"the condition `{shown(text)}` cannot be read: {error.message}", path, hint)
            return ""

    def _lexeme(self, found: "re.Match[str]", path: Path) -> str | None:
        text = found[0]
        match found.lastgroup:
            case "strict":
                return text[:2]
            case "text" | "other":
                return text
            case "path" if text in _CONSTANTS:
                return _CONSTANTS[text]
        measured = text.endswith(".length")
        text = text.removesuffix(".length")
        if found.lastgroup == "path":
            inner = self._path(text, path, parse=True)
        else:
            pattern = _OUTPUT if found.lastgroup == "output" else _RESULT
            at = pattern.fullmatch(text)
            read = output_of if pattern is _OUTPUT else result_of
            inner = read(at[1], at[2], parse=True) if at and self._refers(at[1], path) else None
        return inner if inner is None or not measured else f"length({inner})"

    def question(self, text: str, arguments: Mapping[str, Value], needs: Collection[str], path: Path) -> str:
        """A message in which `{name}` is an argument of the task, a field of a result that it depends on, or `{task.field}`. What
        is none of these stays as it is."""

        def put(found: "re.Match[str]") -> str:
            name, _, rest = found[1].partition(".")
            if not rest and name in arguments:
                value = arguments[name]
                return value if isinstance(value, str) else literal(json.dumps(value, ensure_ascii=False))
            if name in self._tasks and name != self._task:
                self.needs.append(name)
                return f"${{{{ {output_of(name, f'.{rest}' if rest else '')}{'?' if rest else ''} }}}}"
            expression = json.dumps(found[0])
            for need in reversed(list(needs)):
                expression = f"default({output_of(need, f'.{found[1]}')}?, {expression})"
            return f"${{{{ {expression} }}}}" if needs else found[0]

        return _replaced(text, put)


def _replaced(text: str, put: "Callable[[re.Match[str]], str]") -> str:
    parts, done = [], 0
    for found in _QUOTED.finditer(text):
        parts += [literal(text[done : found.start()]), put(found)]
        done = found.end()
    return "".join([*parts, literal(text[done:])])


def _literal_value(value: Value) -> Value:
    """A value in which nothing is evaluated."""
    if isinstance(value, str):
        return literal(value)
    if isinstance(value, list):
        return [_literal_value(item) for item in value]
    return {key: _literal_value(item) for key, item in value.items()} if isinstance(value, dict) else value


def _constant(value: Value) -> str:
    """A value as an expression: JSON is one, but for a brace that would end the template."""
    return f"from_json({json.dumps(json.dumps(value)).replace('}', chr(92) + 'u007d')})"
