"""Python code in a step, looked at without running it: it can be read, defines `run`, and `run` takes what `with` gives."""

import ast
import warnings
from collections.abc import Collection
from typing import NamedTuple

from weft.formats.document import Findings, Path, Where
from weft.model.tokens import shown


class _Parameters(NamedTuple):
    """Of `run`: names that may be given, names that must be, and whether any other may."""

    known: list[str]
    required: list[str]
    any_more: bool


class PythonCheck:
    """Parses Python code to find its mistakes early. Equal texts are parsed once."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self._parameters: dict[str, _Parameters | None] = {}

    def check(self, code: str, path: Path, given: Collection[str], given_path: Path) -> None:
        """Whether the code can be read, defines `run`, and `run` takes what `with` gives."""
        if code not in self._parameters:
            tree = self._parse(code, path)
            if tree is None:
                return
            found = [node for node in ast.walk(tree) if _binds_run(node)]
            if not found:
                hint = "define `def run(…):`, whose arguments are the keys of `with`, and return the output from it"
                self.findings.add("W212", "the Python code does not define `run`", Where(path), hint=hint)
                return
            plain = len(found) == 1 and found[0] in tree.body  # otherwise only running it can tell which one is called
            self._parameters[code] = _parameters(found[0]) if plain else None
        parameters = self._parameters[code]
        if parameters is not None:
            self._check_call(parameters, path, given, given_path)

    def _parse(self, code: str, path: Path) -> ast.Module | None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return ast.parse(code)
        except SyntaxError as error:
            lines = code.split("\n")
            row = min(max(error.lineno or 1, 1), len(lines)) - 1
            offset = sum(len(line) + 1 for line in lines[:row]) + max(0, (error.offset or 1) - 1)
            message = f"the Python code cannot be read: {error.msg}"
            self.findings.add("W211", message, Where(path, "value", min(offset, len(code) - 1)), hint="correct the code")
        except (RecursionError, MemoryError, ValueError):
            message = "the Python code cannot be read: it is nested too deeply"
            self.findings.add("W211", message, Where(path), hint="move it into a module: `python: module:function`")
        return None

    def _check_call(self, parameters: _Parameters, path: Path, given: Collection[str], given_path: Path) -> None:
        if parameters.known == ["inputs"] and not parameters.any_more and "inputs" not in given:
            return  # it takes all of them as one mapping
        for name in parameters.required:
            if name not in given:
                hint = f"add it to `with`, or give it a default: `{name}=None`"
                self.findings.add("W215", f"`run` takes `{name}`, which `with` does not give", Where(path), hint=hint)
        for name in given if not parameters.any_more else ():
            if name not in parameters.known:
                hint = "remove it, or add it to the parameters of `run`"
                message = f"`with` gives `{shown(name)}`, which `run` does not take"
                self.findings.add("W215", message, Where((*given_path, name), "key"), hint=hint)


def _parameters(node: ast.AST) -> _Parameters | None:
    """None: it is not a plain function."""
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.decorator_list or node.args.posonlyargs:
        return None
    positional = [argument.arg for argument in node.args.args]
    required = positional[: len(positional) - len(node.args.defaults)]
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        positional.append(argument.arg)
        required += [argument.arg] if default is None else []
    return _Parameters(positional, required, node.args.kwarg is not None)


def _binds_run(node: ast.AST) -> bool:
    """Whether a part of the code gives something the name `run`: a definition, an assignment or an import."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return node.name == "run"
    if isinstance(node, ast.Name):
        return node.id == "run" and isinstance(node.ctx, ast.Store)
    return isinstance(node, ast.alias) and (node.asname or node.name) in ("run", "*")


def python_error(code: str) -> str:
    """Why the code is no Python, or nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except SyntaxError as error:
        return f"{error.msg} (line {error.lineno} of it)"
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error) or "it is nested too deeply"
    return ""


def defines_run(code: str) -> bool:
    """Whether code that can be read gives something the name `run`."""
    return any(map(_binds_run, ast.walk(ast.parse(code))))
