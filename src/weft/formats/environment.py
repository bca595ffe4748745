"""The names of what a step of the native format puts into its environment."""

import re
from typing import Any

from weft.formats.document import Findings, Path, Where
from weft.formats.shapes import Fields, matcher
from weft.model.shape import ENV_NAME
from weft.model.spec import RESERVED_ENV
from weft.model.tokens import shown
from weft.model.workflow import Action, Argv, Shell


def check_variables(fields: Fields, kind: type[Action], findings: Findings) -> None:
    """What a step puts into its environment: each name once, none of weft's own, and none that a shell cannot say."""
    taken: dict[str, Where] = {}
    match = matcher(ENV_NAME)
    for key in ("env", "with", "secrets"):
        if key not in fields or (key == "with" and kind not in (Shell, Argv)):
            continue
        for position, name in enumerate(fields[key]):
            if name is None:
                continue  # it was wrong, and has been reported
            where = Where(fields.at(key, position)) if key == "secrets" else Where(fields.at(key, name), "key")
            if name in taken:
                seconds = [(taken[name], "the other one")]
                message = f"the variable `{name}` is set twice for this step"
                findings.add("W213", message, where, seconds=seconds, hint="rename or remove one of them")
            elif key == "with" and kind is Shell and not match(name):
                hint = f"letters, digits and `_`: `{re.sub(r'[^A-Za-z0-9_]', '_', name)}`"
                findings.add("W213", f"a script cannot read a variable called `{shown(name)}`", where, hint=hint)
            taken[name] = where
        if key != "secrets":
            refuse_reserved(fields[key], fields.at(key), findings)


def refuse_reserved(names: dict[str, Any], path: Path, findings: Findings) -> None:
    """Report variables that weft sets itself."""
    for name in filter(RESERVED_ENV.__contains__, names):
        message = f"weft sets `{name}` itself"
        findings.add("W213", message, Where((*path, name), "key"), hint="choose another name")
