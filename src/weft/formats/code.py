"""Checks of the code in a step, without running it: no `${{ }}` in it, and Python that can be read and defines `run`."""

import re

from weft.formats.document import Findings, Path, Where
from weft.model.expression import ExpressionError
from weft.model.template import find, has_template, parse_template
from weft.model.tokens import find_end, shown

TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
"""`module:function`."""

TOLD_MAX = 20
"""Expressions told in one piece of code. The first few say it all, and finding the end of each may take a look at all of it."""


def refuse_expressions(code: str, path: Path, findings: Findings, *, python: bool) -> bool:
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
        findings.add("W208", message, Where(path, "value", start, end - start), hint=_rewrite(template, python))
        at = end
    return at > 0


def _rewrite(template: str, python: bool) -> str:
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
        return f"{give}read it from the environment: " + (f'`os.environ["{name}"]`' if python else f'`"${name}"`')
    take = f"take it as an argument: `def run({name}):`" if python else f'write `"${name}"` here'
    return f'pass it as data: add `with: {{ {name}: "{shown(template)}" }}`, and {take}'


class PythonCheck:
    """Parses Python code to find its mistakes early. Equal texts are parsed once."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self._good: set[str] = set()

    def check(self, code: str, path: Path) -> None:
        if code in self._good:
            return
        import ast
        import warnings

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(code)
        except SyntaxError as error:
            lines = code.split("\n")
            row = min(max(error.lineno or 1, 1), len(lines)) - 1
            offset = sum(len(line) + 1 for line in lines[:row]) + max(0, (error.offset or 1) - 1)
            message = f"the Python code cannot be read: {error.msg}"
            self.findings.add("W211", message, Where(path, "value", min(offset, len(code) - 1)), hint="correct the code")
            return
        except (RecursionError, MemoryError, ValueError):
            message = "the Python code cannot be read: it is nested too deeply"
            self.findings.add("W211", message, Where(path), hint="move it into a module: `python: module:function`")
            return
        if not any(_binds_run(node) for statement in tree.body for node in ast.walk(statement)):
            hint = "define `def run(…):`, whose arguments are the keys of `with`, and return the output from it"
            self.findings.add("W212", "the Python code does not define `run`", Where(path), hint=hint)
            return
        self._good.add(code)


def _binds_run(node: object) -> bool:
    """Whether a part of the code gives something the name `run`: a definition, an assignment or an import."""
    import ast

    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name == "run"
    if isinstance(node, ast.Name):
        return node.id == "run" and isinstance(node.ctx, ast.Store)
    return isinstance(node, ast.alias) and (node.asname or node.name) in ("run", "*")
