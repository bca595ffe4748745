"""Template files of PML: `workflows: [{name, steps: […] xor edges: [[a, b]]}]`, names of tools in an order, without arguments.

A file with one is that workflow; of several each is a sub-workflow with its name. They are made to be looked at and imported.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from weft.formats.document import Findings, Path, Where
from weft.formats.pml_servers import Servers
from weft.formats.pml_settings import TASK_TIMEOUT_S
from weft.formats.shapes import described
from weft.model.cycle import find_cycle
from weft.model.shape import NAME
from weft.model.tokens import shown
from weft.model.workflow import Flow, Step, Value, Workflow

_KEYS: Final = ("name", "steps", "edges", "description", "intent", "tags")
_HINT: Final = '- { name: report, steps: ["files:read_file", "mail:send"] }, or `edges: [["files:read_file", "mail:send"]]`'


def load_templates(value: Mapping[str, Value], findings: Findings, title: str, servers: Servers) -> Workflow | None:
    """The workflow, if there is no error."""
    found: dict[str, Workflow] = {}
    for n, item in enumerate(value["workflows"]):
        path: Path = ("workflows", n)
        if not isinstance(item, dict):
            findings.add("W701", f"template {n + 1} is {described(item)}, where a mapping must be", Where(path), hint=_HINT)
            continue
        name = item.get("name")
        if not isinstance(name, str) or not name.strip():
            findings.add("W701", f"template {n + 1} has no `name`", Where(path), hint=_HINT)
            continue
        for key in item:
            if key not in _KEYS:
                where, hint = Where((*path, key), "key"), findings.suggest(key, _KEYS)
                findings.add("W702", f"a template has no `{shown(key)}`", where, hint=hint, severity="warning")
        id_ = _id(name, "t_")
        if id_ in found:
            findings.add(
                "W701", f"the template `{shown(name)}` is given twice", Where((*path, "name")), hint="rename one of them"
            )
        steps = _steps(item, path, findings, servers)
        text = item.get("description", "")
        found[id_] = Workflow(name=name, steps=tuple(steps), description=text if isinstance(text, str) else "")
    if findings:
        return None
    if len(found) == 1:
        [only] = found.values()
        return msgspec.structs.replace(_with_shared(only, servers), report="pml")
    flows = [Step(id=id_, action=Flow(_with_shared(workflow, servers)), output="json") for id_, workflow in found.items()]
    return Workflow(
        name=title,
        steps=tuple(flows),
        resources=servers.pools,
        servers=servers.used,
        secrets=tuple(servers.secrets),
        max_parallel="unlimited",
        report="pml",
    )


def _with_shared(workflow: Workflow, servers: Servers) -> Workflow:
    """The workflow with the pools and servers that its steps name."""
    used = {pool for step in workflow.steps for pool in step.resources}
    names = {pool.partition("/")[0] for pool in used}
    return msgspec.structs.replace(
        workflow,
        resources={name: pool for name, pool in servers.pools.items() if name in used},
        servers={name: server for name, server in servers.used.items() if name in names},
        secrets=tuple(servers.secrets),
    )


def _steps(item: Mapping[str, Value], path: Path, findings: Findings, servers: Servers) -> list[Step]:
    has = [key for key in ("steps", "edges") if key in item]
    if len(has) != 1:
        told = "both `steps` and `edges`" if has else "neither `steps` nor `edges`"
        findings.add("W701", f"a template has {told}", Where(path), hint=_HINT)
        return []
    given, at = item[has[0]], (*path, has[0])
    if not isinstance(given, list):
        findings.add("W701", f"`{has[0]}` is {described(given)}, where a list must be", Where(at), hint=_HINT)
        return []
    if has[0] == "steps":
        tools = [(tool, (*at, n)) for n, tool in enumerate(given)]
        names = _numbered([tool for tool, _ in tools if isinstance(tool, str)])
        if len(names) < len(tools) or len(names) < 2:
            findings.add("W701", "`steps` of a template are the names of two tools or more", Where(at), hint=_HINT)
            return []
        needs = {name: [names[n - 1]] if n else [] for n, name in enumerate(names)}
        places = {name: place for name, (_, place) in zip(names, tools, strict=True)}
    else:
        edges = [
            edge for edge in given if isinstance(edge, list) and len(edge) == 2 and all(isinstance(end, str) for end in edge)
        ]
        if len(edges) < len(given) or not edges:
            findings.add("W701", "`edges` of a template are pairs of names of tools", Where(at), hint=_HINT)
            return []
        needs = {end: [] for edge in edges for end in edge}
        for first, second in edges:
            needs[second].append(first)
        places = dict.fromkeys(needs, at)
        _report_cycle(needs, at, findings)
    found = [_step(name, wanted, places[name], findings, servers) for name, wanted in needs.items()]
    return [step for step in found if step]


def _numbered(names: list[str]) -> list[str]:
    """Each name once: the second of a kind has `#2` after it."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return result


def _report_cycle(needs: Mapping[str, list[str]], at: Path, findings: Findings) -> None:
    names = list(needs)
    cycle = find_cycle([[names.index(need) for need in wanted] for wanted in needs.values()])
    if cycle is not None:
        ids = [names[n] for n in cycle]
        path = " → ".join(map(shown, [*ids, ids[0]]))
        message = f"Circular dependency detected in DAG. Remaining tasks: {', '.join(map(shown, ids))}; the circle is `{path}`"
        findings.add("W705", message, Where(at), hint="remove one of these edges")


def _step(name: str, needs: list[str], path: Path, findings: Findings, servers: Servers) -> Step | None:
    server, colon, tool = name.partition("#")[0].partition(":")
    if not colon or not server or not tool:
        hint = f'"files:{shown(name)}"'
        findings.add("W701", f"the tool `{shown(name)}` does not say which server has it", Where(path), hint=hint)
        return None
    found = servers.tool(server, tool, path)
    if found is None:
        return None
    return Step(
        id=_id(name),
        action=found,
        needs=tuple(dict.fromkeys(map(_id, needs))),
        output="json",
        resources={f"{found.server}/{found.name}": 1},
        timeout_s=TASK_TIMEOUT_S,
    )


def _id(name: str, prefix: str = "s_") -> str:
    """A name that steps of native files can have."""
    return (
        name
        if re.fullmatch(NAME, name)
        else re.sub(r"[^A-Za-z0-9_-]+", "_", f"{'' if name[:1].isalpha() else prefix}{name}")[:100]
    )
