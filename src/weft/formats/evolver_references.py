"""References of Code Evolver, in all their spellings, to our templates.

`inputs.topic` and `steps.a.outline` as a whole text; `${inputs.x}` and `${steps.a.output || inputs.b}` anywhere; `{tool_id}` and
`{dependencies.file_list}` for inputs and for what steps call their output. `.output` is all that a step gives, whatever that is
called.
In a text that is JSON a value is written as JSON: whatever it holds, the text stays what its author wrote.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple, TypeAlias

from weft.formats.document import Findings, Path, Where
from weft.formats.evolver_fields import plain
from weft.formats.shapes import quoted
from weft.model.tokens import shown
from weft.model.workflow import Value

_NAME = r"[A-Za-z_][\w-]*"
_TAIL = r"(?:\.[\w-]+|\[\d+\])*"
PATH: Final = re.compile(rf"{_NAME}{_TAIL}")
_WHOLE = re.compile(r"(?:inputs|steps|tasks)(?:\.[\w-]+|\[\d+\])+")
_DOLLAR = re.compile(r"\$\{([^{}\n]*)\}")
_BRACE = re.compile(rf"(?<![{{$])\{{\s*({_NAME}{_TAIL}(?:\s+or\s+{_NAME}{_TAIL})*)\s*\}}")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.S)
_LITERAL = re.compile(r"""'([^']*)'|"([^"]*)"|(-?\d+(?:\.\d+)?)|(true|false|null)""")


class Hole(NamedTuple):
    """An expression in a text."""

    expression: str


Parts: TypeAlias = list[str | Hole]


class Target(NamedTuple):
    """A step that can be referred to: what it calls its output, and whether that is a text, in which nothing can be looked up."""

    output_name: str
    is_text: bool


def brackets(names: Iterable[str]) -> str:
    """The end of a path: `["a"][0]`."""
    return "".join(f"[{name}]" if name.isdigit() else f"[{json.dumps(name)}]" for name in names)


def keys_of(text: str) -> list[str]:
    """`a.b[0].c` in parts."""
    return [part for part in re.split(r"[.\[\]]+", text) if part]


class References:
    """Of one workflow. What `found` holds afterwards are the steps that were referred to, with the place."""

    def __init__(self, findings: Findings, inputs: Mapping[str, Value], steps: Mapping[str, Target]) -> None:
        self.findings, self.inputs, self.steps = findings, inputs, steps
        self.aliases = {target.output_name: id_ for id_, target in steps.items() if target.output_name != "output"}
        """What steps call their output: of several the last one before the step that is being read, else the last of all."""
        self.found: list[tuple[str, Path]] = []

    def passed(self, id_: str) -> None:
        """This step has been read: what follows it in the file comes next."""
        if self.steps[id_].output_name in self.aliases:
            self.aliases[self.steps[id_].output_name] = id_

    # ---- whole values ----

    def value(self, value: Value, path: Path) -> Value:
        """A value of an `input_mapping` as data of ours, with templates."""
        if isinstance(value, str):
            return template(self.parts(value, path))
        if isinstance(value, dict):
            return {name: self.value(item, (*path, name)) for name, item in value.items()}
        return [self.value(item, (*path, n)) for n, item in enumerate(value)] if isinstance(value, list) else value

    def parts(self, text: str, path: Path, names: Mapping[str, Parts] | None = None) -> Parts:
        """A text in which references are holes. `names`: what `{name}` stands for first."""
        if names is None and _WHOLE.fullmatch(text) and (whole := self.dotted(text, path, whole=True)):
            return [Hole(first_of(whole))]

        def fill(text: str) -> Parts:
            return self._filled(text, path, names or {})

        return _in_json(text, fill) if _is_json(text) else fill(text)

    def quietly(self, text: str, path: Path) -> Parts:
        """The same for the JSON of a value in which what is wrong has been told at its own place."""
        kept, self.findings = self.findings, Findings()
        parts = self.parts(text, path, {})
        self.findings = kept
        return parts

    def _filled(self, text: str, path: Path, names: Mapping[str, Parts]) -> Parts:
        """A text in pieces, of which those that are references become holes."""
        result: Parts = []
        done = 0
        both = sorted([*_DOLLAR.finditer(text), *_BRACE.finditer(text)], key=lambda found: found.start())
        for found in both:
            if found.start() < done:
                continue
            hole = self._dollar(found[1], path) if found[0][0] == "$" else self._brace(found[1], path, names)
            if hole:
                result += [text[done : found.start()], *hole]
                done = found.end()
        return [*result, text[done:]]

    # ---- one reference ----

    def dotted(self, text: str, path: Path, *, whole: bool = False) -> list[str]:
        """What `inputs.x`, `steps.a.output` or `name.x` stands for: the first of these paths that is there. None, if it is no
        reference, which is reported where it must be one. `whole`: this is all of a text, which could be the name of a file."""
        head, *rest = keys_of(text)
        if head == "inputs" and rest:
            return self._input(rest, path, lenient=whole and not self.inputs)
        if head in ("steps", "tasks") and rest:
            return self._step(rest, path, lenient=whole and len(rest) < 2)
        return self._named([head, *rest], path)

    def _input(self, rest: list[str], path: Path, *, lenient: bool) -> list[str]:
        if rest[0] in self.inputs:
            return ["inputs" + brackets(rest)]
        if not lenient:
            known = f"the workflow has {quoted(self.inputs)}" if self.inputs else "the workflow has no `inputs`"
            hint = self.findings.suggest(rest[0], self.inputs) or known
            self.findings.add("W806", f"there is no input `{shown(rest[0])}`", Where(path), hint=hint)
        return []

    def _step(self, rest: list[str], path: Path, *, lenient: bool = False) -> list[str]:
        id_, *keys = rest
        target = self.steps.get(id_)
        if target is None:
            if not lenient:
                hint = self.findings.suggest(id_, self.steps) or f"there is {quoted(self.steps)}"
                self.findings.add("W805", f"there is no step `{shown(id_)}`", Where(path), hint=hint)
            return []
        self.found.append((id_, path))
        whole = f"steps[{json.dumps(id_)}].output"
        if not keys or keys[0] == "output":
            return [whole + brackets(keys[1:])]
        if keys[0] != target.output_name:
            return [whole + brackets(keys)]
        alias = whole + brackets(keys[1:])
        return [alias] if target.is_text else [whole + brackets(keys), alias]

    def _named(self, keys: list[str], path: Path) -> list[str]:
        """A name without a scope: an input, what a step calls its output, or a step."""
        if keys[0] in self.inputs:
            return ["inputs" + brackets(keys)]
        if keys[0] in self.steps:
            return self._step(keys, path)
        id_ = self.aliases.get(keys[0])
        return self._step([id_, "output", *keys[1:]], path) if id_ else []

    def _dollar(self, inside: str, path: Path) -> Parts:
        """The hole for what stands in `${…}`; nothing for what is left as it is, which is told."""
        found: list[str] = []
        for each in inside.split("||"):
            text = each.strip()
            before = self.findings.count
            if literal := _LITERAL.fullmatch(text):
                found.append(json.dumps(text[1:-1], ensure_ascii=False) if literal[0][0] in "'\"" else text)
            elif PATH.fullmatch(text) and (paths := self.dotted(text, path)):
                found += paths
            elif self.findings.count == before:
                return self._left("${" + inside + "}", text, {}, path)
        return [Hole(first_of(found))] if found else []

    def _brace(self, inside: str, path: Path, names: Mapping[str, Parts]) -> Parts:
        if inside in names:
            return names[inside]
        found: list[str] = []
        for text in re.split(r"\s+or\s+", inside):
            if text in names:
                found.append(expression(names[text]))
            elif paths := self.dotted(text, path):
                found += paths
            else:
                return self._left("{" + inside + "}", text, names, path)
        return [Hole(first_of(found))]

    def _left(self, written: str, name: str, names: Iterable[str], path: Path) -> Parts:
        known = [*names, *self.inputs, *self.aliases, *self.steps]
        hint = self.findings.suggest(name, known) or f"there is {quoted(known) or 'nothing that it could stand for'}"
        message = f"`{shown(written)}` is no input and no output: it stays as it is"
        self.findings.add("W812", message, Where(path), hint=hint, severity="warning")
        return []


# ---- parts to templates ----


def first_of(expressions: list[str]) -> str:
    """The first of several that is there and not null. Only a path can be asked for; what follows anything else never counts."""
    result = ""
    for each in reversed(expressions):
        result = f"default({each}, {result})" if result and each.startswith(("inputs[", "steps[")) else each
    return result


def expression(parts: Parts) -> str:
    """One expression for a text with holes."""
    kept = [part for part in parts if part != ""]
    if len(kept) == 1 and isinstance(kept[0], Hole):
        return kept[0].expression
    written = [part.expression if isinstance(part, Hole) else json.dumps(part, ensure_ascii=False) for part in kept]
    return f'join([{", ".join(written)}], "")'


def template(parts: Parts) -> str:
    """One data field for a text with holes. A `$` before a hole would turn it into text, and is put into one of its own."""
    result = ""
    for part in parts:
        if isinstance(part, Hole):
            kept = result.rstrip("$")
            if kept != result:
                result = f'{kept}${{{{ "{result[len(kept) :]}" }}}}'
            result += f"${{{{ {part.expression} }}}}"
        else:
            result += plain(part)
    return result


def _is_json(text: str) -> bool:
    """Whether a text with holes is JSON: an author's way of giving several values in one."""
    without = _BRACE.sub("0", _DOLLAR.sub("0", text))
    if without.lstrip()[:1] not in ("{", "["):
        return False
    try:
        json.loads(without)
    except (ValueError, RecursionError):
        return False
    return True


def _in_json(text: str, fill: Callable[[str], Parts]) -> Parts:
    """The text with its holes, each written so that it is a value there, or a part of a string."""
    result: Parts = []
    done = 0
    for found in _STRING.finditer(text):
        inside = fill(found[0][1:-1])
        result += _values(fill(text[done : found.start()]))
        done = found.end()
        if any(isinstance(part, Hole) for part in inside):
            plain_parts = [_unescaped(part) if isinstance(part, str) else part for part in inside]
            result.append(Hole(f"to_json(to_text({expression(plain_parts)}))"))
        else:
            result.append(found[0])
    return [*result, *_values(fill(text[done:]))]


def _values(parts: Parts) -> Parts:
    return [Hole(f"to_json({part.expression})") if isinstance(part, Hole) else part for part in parts]


def _unescaped(text: str) -> str:
    found: str = json.loads(f'"{text}"')
    return found
