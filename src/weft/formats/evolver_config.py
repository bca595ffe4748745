"""The configuration of Code Evolver: `chat.workflow_mode` of config.yaml in the current folder.

`enabled` says whether steps run in parallel. `detect_keywords`, `min_steps` and `max_steps` tell when a request in words becomes
a workflow: they are read and checked, and wait for the planner.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from weft.model.problem import Place, Problem
from weft.model.suggest import did_you_mean

FILES: Final = ("config.yaml", "config.yml")
KEYS: Final = ("enabled", "detect_keywords", "min_steps", "max_steps")


class WorkflowMode(msgspec.Struct, frozen=True, kw_only=True):
    """What the section says, and what is wrong with it, a sentence each; such a value does not count."""

    enabled: bool = True
    detect_keywords: tuple[str, ...] = ()
    min_steps: int = 2
    max_steps: int = 10
    problems: tuple[str, ...] = ()

    def warnings(self, name: str) -> Iterator[Problem]:
        """What whoever runs the file of this name must know."""
        for problem in self.problems:
            hint = "`weft doctor --config config.yaml` shows what counts"
            yield Problem(code="W814", severity="warning", message=problem, place=Place(name), hint=hint)


def recognises_config(data: bytes) -> bool:
    """Whether this is a configuration of Code Evolver: others have files of the same name."""
    return re.search(rb"^chat[ \t]*:", data, re.M) is not None


def read_mode(files: Mapping[str, bytes]) -> WorkflowMode:
    """`files` holds the content of those of FILES that are there; the first one counts."""
    name = next((name for name in FILES if name in files), None)
    if name is None:
        return WorkflowMode()
    from weft.formats.yaml_source import read_yaml

    document, problems = read_yaml(files[name], name, 64, 10_000)
    if document is None and not recognises_config(files[name]):
        return WorkflowMode()  # that of another program
    if document is None:
        return WorkflowMode(problems=(f"{name}: it cannot be read: {problems[0].message}",))
    content: Any = document.value
    for key in ("chat", "workflow_mode"):
        content = content.get(key) if isinstance(content, dict) else None
    if content is None:
        return WorkflowMode()
    if not isinstance(content, dict):
        return WorkflowMode(problems=(f"{name}: `chat.workflow_mode` is no mapping",))
    return _checked(name, content)


def _checked(name: str, content: Mapping[str, Any]) -> WorkflowMode:
    problems: list[str] = []
    found: dict[str, Any] = {}
    for key, value in content.items():
        if key not in KEYS:
            near = did_you_mean(str(key), KEYS)
            problems.append(f"{name}: `workflow_mode` has no `{key}`" + (f"; did you mean `{near}`?" if near else ""))
        elif key == "enabled" and not isinstance(value, bool):
            problems.append(f"{name}: `enabled` is `{value}`, where true or false must be")
        elif key == "detect_keywords":
            if isinstance(value, list) and all(isinstance(word, str) for word in value):
                found[key] = tuple(value)
            else:
                problems.append(f"{name}: `detect_keywords` is no list of texts")
        elif key in ("min_steps", "max_steps") and (type(value) is not int or value < 1):
            problems.append(f"{name}: `{key}` is `{value}`, where a number from 1 must be")
        else:
            found[key] = value
    return WorkflowMode(**found, problems=tuple(problems))
