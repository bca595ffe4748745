"""A workflow as a file in the native format, with a word on where each key comes from. What `weft import` prints."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from weft.formats import Loaded, load
from weft.formats.spelled import comparable, needless, ordered, renamed, spelled, with_programs
from weft.model.errors import UsageError
from weft.model.tokens import shown
from weft.model.workflow import MACHINE_POOLS, Value, Workflow

WIDTH: Final = 110
"""Lists and mappings that fit into a line of this length stand in one."""
_NUMBER: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|0[ox][0-9a-fA-F]+")
"""What may be a number for one version of YAML, if not for the other."""
_BREAKS: Final = re.compile("[\x85\u2028\u2029\ufeff]")
"""What ends lines for some, and is lost unless it is escaped."""
_STEPS: Final = ("steps", "finally")


def imported(loaded: Loaded, source: str) -> str:
    """The text of a file that loads as the same workflow as the file `source` did, in which nothing was wrong.

    Raises UsageError if it holds what the native format cannot, such as an empty key.
    """
    from weft.formats import evolver, ghyaml, hwfe, native, pml, wfformat

    modules = {"native": native, "wfformat": wfformat, "hwfe": hwfe, "pml": pml, "evolver": evolver, "ghyaml": ghyaml}
    module: Any = modules[loaded.format]
    assert loaded.workflow is not None, "only files without problems are imported"
    workflow = with_programs(loaded.workflow)
    text = emit(workflow, module.WORDS, source, module.SYSTEM)
    wrong = differs(workflow, text)
    if wrong and wrong.problems:
        raise UsageError(f"`{shown(source)}` cannot be written in the native format: {wrong.problems[0].message}")
    assert wrong is None, f"the text does not say what the workflow is:\n{text}"
    return text


def emit(workflow: Workflow, words: Mapping[str, str], source: str, system: str) -> str:
    """The text of a file. `words`: for a key of ours, what it was made from there; said where the key stands first.

    `source` and `system`: the file that it was, and what that is, for the head.
    """
    plain, names = renamed(workflow)
    lines = [f"# From {shown(source)}, {system}."]
    if workflow.first_layer:
        lines.append(f"# Layers are counted from 0 here, from {workflow.first_layer} there.")
    lines += [f"# `{shown(old)}` is called `{new}` here: {_why(old)}." for old, new in names.items()]
    bare = _read(_text_of(spelled(needless(plain)), {})).workflow
    return "\n".join([*lines, _text_of(spelled(plain, bare), dict(words))])


def _text_of(fields: Mapping[str, Value], left: dict[str, str]) -> str:
    lines: list[str] = []
    for key, value in fields.items():
        if key in _STEPS:
            lines += [*_said(left, key, ""), f"{key}:"]
            for id_, step in value.items():
                lines.append(f"  {_dump(id_)}:")
                lines += _mapping(step, left, "    ")
        else:
            lines += _mapping({key: value}, left, "")
    return "\n".join(lines) + "\n"


def _why(old: str) -> str:
    return "that is a pool of the machine" if old in MACHINE_POOLS else "names have letters, digits, `_` and `-`"


def differs(workflow: Workflow, text: str) -> Loaded | None:
    """What comes of the text, if that is not the workflow."""
    loaded = _read(text)
    if loaded.workflow is None:
        return loaded
    was, now = comparable(renamed(workflow)[0]), comparable(loaded.workflow)
    return None if was == now or ordered(was) == ordered(now) else loaded


def _read(text: str) -> Loaded:
    return load(text.encode(), "imported.weft.yaml", format="native")


def _mapping(fields: Mapping[str, Value], words: dict[str, str], indent: str) -> Iterator[str]:
    for key, value in fields.items():
        yield from _said(words, key, indent)
        for line in _dump({key: value}).split("\n"):
            yield indent + line if line else line


def _said(words: dict[str, str], key: str, indent: str) -> Iterator[str]:
    if key in words:
        yield f"{indent}# {key}: {words.pop(key)}"


class _Dumper(yaml.SafeDumper):
    """Writes as a person would: texts of several lines as blocks, short lists and mappings in a line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    lines = text.split("\n")
    block = len(lines) > 1 and lines[-2:] != ["", ""] and not any(line.endswith((" ", "\t")) for line in lines)
    quoted = _NUMBER.fullmatch(text) or ("'" in text and '"' not in text and "\\" not in text)
    if _BREAKS.search(text):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, '"')
    style = "|" if block else '"' if quoted else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _text)


def _dump(value: Value) -> str:
    flow = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**9, default_flow_style=True).strip()
    if isinstance(value, dict):
        key, inner = next(iter(value.items()))
        short = isinstance(inner, dict | list) and len(flow) <= WIDTH and "\n" not in flow
        if short or inner in ({}, []):
            return f"{_dump(key)}: {_dump_flow(inner)}"
        return yaml.dump(
            value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**9, default_flow_style=False
        ).rstrip("\n")
    return flow.removesuffix("\n...")


def _dump_flow(value: Value) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**9, default_flow_style=True).strip()
