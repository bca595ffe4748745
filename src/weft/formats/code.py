"""`${{ }}` in code is refused, with the rewrite: a value that became program text could do anything."""

import re
from typing import Literal, TypeAlias

from weft.formats.document import Findings, Path, Where
from weft.model.expression import ExpressionError
from weft.model.template import find, has_template, parse_template
from weft.model.tokens import find_end, shown

TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
"""`module:function`."""

Language: TypeAlias = Literal["shell", "python", "lua", "js"]

TOLD_MAX = 20
"""Expressions told in one piece of code. The first few say it all, and finding the end of each may take a look at all of it."""


def refuse_expressions(code: str, path: Path, findings: Findings, language: Language) -> bool:
    """Report the `${{ }}` in code, with the rewrite as a hint. Whether there was one."""
    if not has_template(code):
        return False
    at = 0
    for _ in range(TOLD_MAX):
        found = find(code[at:])
        if found < 0:
            break
        start = at + found
        try:
            end = find_end(code, start + 3) + 2
        except ExpressionError:
            end = start + 3
        template = code[start:end] if end > start + 3 else "${{ … }}"
        message = "code is never templated: `${{ }}` cannot stand in it"
        findings.add("W208", message, Where(path, "value", start, end - start), hint=_rewrite(template, language))
        at = end
    return at > 0


def _rewrite(template: str, language: Language) -> str:
    """How to get the value of an expression into code."""
    try:
        expression = parse_template(template).whole
    except ExpressionError:
        expression = None
    reference = expression.references[0] if expression and expression.references else None
    words = [word for word in (reference.path if reference else ()) if isinstance(word, str)]
    # The last word of what it refers to is a good name: `steps.fetch.output.rows` is `rows`, `steps.fetch.output` is `fetch`.
    words = [word for word in words if word not in ("output", "error", "status")] or words or ["value"]
    name = re.sub(r"\W", "_", words[-1], flags=re.ASCII)
    name = f"_{name}" if name[:1].isdigit() else name
    if reference and reference.root in ("secrets", "env"):
        give = f"add `secrets: [{name}]` to the step, and " if reference.root == "secrets" else ""
        if language in ("lua", "js"):
            return "it cannot be had here: code in this language sees its `with` and nothing else"
        return f"{give}read it from the environment: " + (f'`os.environ["{name}"]`' if language == "python" else f'`"${name}"`')
    take = {
        "python": f"take it as an argument: `def run({name}):`",
        "lua": f"read `inputs.{name}` in `function run(inputs)`",
        "js": f"read `inputs.{name}` in `function run(inputs)`",
        "shell": f'write `"${name}"` here',
    }[language]
    return f'pass it as data: add `with: {{ {name}: "{shown(template)}" }}`, and {take}'
