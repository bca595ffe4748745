"""Files to workflows. `load` is the one door; which format a file is in, its content tells.

- Loading runs nothing. It reads the bytes it is given, and the files of sub-workflows through the `read` it is given. What is
  wrong comes back as problems, all of them at once.
- Formats do not know each other. A new one is a module with `recognises`, `load`, `step_path`, `SYSTEM` and `WORDS` (what
  `weft import` says), and a line in FORMATS.
"""

import gc
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import msgspec

from weft.model.problem import Place, Problem
from weft.model.workflow import Workflow

if TYPE_CHECKING:
    from weft.formats.document import Document
    from weft.formats.flows import Beside, Read, Sources

FORMATS = ("native", "wfformat", "hwfe", "pml", "evolver", "ghyaml")

PROBLEMS_MAX = 1000
"""More than a person reads; a generated file with one mistake in each step must not cost gigabytes."""


class Budgets(msgspec.Struct, frozen=True, kw_only=True):
    """What a file may cost; it is refused before more than that is built."""

    yaml_bytes_max: int = 10_000_000
    """YAML takes a second for each 6 MB; what is larger was made by a program, and programs can write JSON."""
    json_bytes_max: int = 512_000_000
    depth_max: int = 64
    """More than anybody nests by hand, and far below the depth at which recursive code dies."""
    alias_nodes_max: int = 500_000
    """Values that the aliases of a YAML file stand for: 20 for each step of a file with 25,000."""


class Outside(msgspec.Struct, frozen=True, kw_only=True):
    """What a format may need that is not in the file itself: somebody to evaluate a file that is a program, those of the named
    files of its system that are in the current folder, the files of a folder (YAML, JSON, Python), the environment, the unit of
    a bare timeout, and what the command line gives to a run (None: it is none)."""

    evaluate_lua: Callable[[str], Mapping[str, Any]] | None = None
    files: Callable[[Sequence[str]], Mapping[str, bytes]] = lambda names: {}
    folder: Callable[[str], Mapping[str, bytes]] | None = None
    variables: Mapping[str, str] = {}
    timeout_unit: str = "ms"
    given: Mapping[str, str] | None = None


class Loaded(msgspec.Struct, frozen=True):
    """What came of a file. `workflow` is None if a problem is an error. `places` tells where a step stands, by its id.
    `contents`: what the files of sub-workflows hold that have problems, by name; `digests`: the SHA-256 of all of them."""

    workflow: Workflow | None
    problems: tuple[Problem, ...]
    format: str
    places: Callable[[str], Place]
    contents: Mapping[str, bytes] = {}
    digests: Mapping[str, str] = {}


def load(
    data: bytes,
    name: str,
    *,
    format: str | None = None,  # noqa: A002
    budgets: Budgets = Budgets(),  # noqa: B008
    time_scale: float = 1.0,
    read: "Read | None" = None,
    outside: "Outside | None" = None,
    beside: "Beside | None" = None,
) -> Loaded:
    """The workflow in `data`, or what is wrong with it. `name` is the file's, for messages; its ending tells YAML from JSON.

    `format`: one of FORMATS, when the content shall not decide. `time_scale` multiplies the times of a recorded trace.
    `read`: gives the content of the file of a sub-workflow, by its name relative to where `name` is; or problems. Without it
    such a file is refused. `beside`: a run that its steps shall join. `outside` does what loading does not do by itself.
    Raises MachineError if PyYAML lacks its parser.
    """
    collecting = gc.isenabled()
    gc.disable()  # all that is built here stays: looking for garbage meanwhile nearly doubles the time of a large file
    from weft.formats.flows import Sources

    def load_part(data: bytes, name: str) -> Loaded:
        return _load(data, name, None, budgets, time_scale, sources, outside or Outside())

    def parse(data: bytes, name: str) -> "tuple[Document | None, list[Problem]]":
        return _read(data, name, budgets, outside or Outside())

    sources = Sources(name, read, load_part, parse, max(budgets.yaml_bytes_max, budgets.json_bytes_max))
    sources.beside = beside
    try:
        loaded = _load(data, name, format, budgets, time_scale, sources, outside or Outside())
        if not sources.problems:
            return msgspec.structs.replace(loaded, digests=sources.digests)
        problems = [*loaded.problems, *sources.problems]
        return _loaded(loaded.workflow, problems, loaded.format, loaded.places, contents=sources.contents)
    finally:
        if collecting:
            gc.enable()


def _load(
    data: bytes, name: str, form: str | None, budgets: Budgets, time_scale: float, sources: "Sources", outside: "Outside"
) -> Loaded:
    document, problems = _read(data, name, budgets, outside)
    if document is None:
        return _loaded(None, problems, "", lambda step: Place(name))

    from weft.formats.document import Findings, Where
    from weft.formats.lua_source import recognises_text

    findings = Findings()
    form = form or ("hwfe" if recognises_text(data, name) else _recognise(document.value, findings))
    workflow = None
    module: Any = None
    if form == "native":
        from weft.formats import native as module

        workflow = module.load(document, findings, name, sources)
    elif form == "wfformat":
        from weft.formats import wfformat as module

        workflow = module.load(document, findings, name, time_scale)
    elif form == "hwfe":
        from weft.formats import hwfe as module
        from weft.formats.hwfe_config import READ, read_config

        config = read_config(outside.files(READ), outside.variables)
        problems += config.warnings(name)
        workflow = module.load(document, findings, name, config.execution)
    elif form == "evolver":
        from weft.formats import evolver as module
        from weft.formats.evolver_config import FILES, read_mode

        mode = read_mode(outside.files(FILES))
        if not sources.inside:
            problems += mode.warnings(name)
        workflow = module.load(document, findings, name, sources, outside.folder, mode)
    elif form == "pml":
        from weft.formats import pml as module

        workflow = module.load(document, findings, name, outside.files(module.FILES), sources.beside)
    elif form == "ghyaml":
        from weft.formats import ghyaml as module

        asked = module.Asked(timeout_unit=outside.timeout_unit, given=outside.given, variables=outside.variables)
        workflow = module.load(document, findings, name, sources, asked)
    problems += findings.problems(document)

    def places(step: str) -> Place:
        document, _ = _read(data, name, budgets, outside)  # again: to keep the first one would double what a large workflow takes
        known = document is not None and workflow is not None
        return document.places([Where(module.step_path(document, step))])[0] if document and known else Place(name)

    return _loaded(workflow, problems, form, places, findings.left_out)


def _loaded(
    workflow: Workflow | None,
    problems: list[Problem],
    form: str,
    places: Callable[[str], Place],
    left_out: int = 0,
    contents: Mapping[str, bytes] = {},
) -> Loaded:
    """The result, its problems in the order of the file and no more than anybody will read."""
    problems = sorted(dict.fromkeys(problems), key=lambda problem: problem.place)  # what an alias repeats is wrong once
    left_out += max(0, len(problems) - PROBLEMS_MAX)
    if left_out:
        message, hint = f"{left_out:,} more problems are not listed", "fix those that are and check again"
        place = Place(problems[0].place.file)
        problems[PROBLEMS_MAX:] = [Problem(code="W199", message=message, place=place, hint=hint)]
    wrong = any(problem.severity == "error" for problem in problems)
    return Loaded(None if wrong else workflow, tuple(problems), form, places, contents)


def _read(data: bytes, name: str, budgets: Budgets, outside: "Outside") -> "tuple[Document | None, list[Problem]]":
    from weft.formats.json_source import read_json
    from weft.formats.lua_source import read_lua, recognises_text

    if name.lower().endswith((".py", ".pyw")):
        return None, [_python(name)]
    if recognises_text(data, name):
        return read_lua(data[: budgets.yaml_bytes_max + 1], name, outside.evaluate_lua)
    if b'"step_id"' in data or b'"candidates"' in data:
        from weft.formats.evolver_source import plan_within

        if plan := plan_within(data, name):
            return read_json(plan, name, budgets.depth_max)
    json = is_json(data, name)
    bytes_max = budgets.json_bytes_max if json else budgets.yaml_bytes_max
    if len(data) > bytes_max:
        kind = "JSON" if json else "YAML"
        message = f"the file has {len(data):,} bytes; {kind} may have {bytes_max:,}"
        hint = "raise the limit with --size-max" + ("" if json else ", or write it as JSON, which is read much faster")
        return None, [Problem(code="W104", message=message, place=Place(name), hint=hint)]
    if json:
        return read_json(data, name, budgets.depth_max)
    from weft.formats.yaml_source import read_yaml

    return read_yaml(data, name, budgets.depth_max, budgets.alias_nodes_max)


def _python(name: str) -> Problem:
    """What is said of a file of Python, which is no workflow, but whose functions steps can call."""
    module = PurePath(name).stem
    known = module if module.isidentifier() else "module"
    hint = f"let the steps of a workflow file call its functions: `steps: {{ first: {{ python: {known}:FUNCTION }} }}`"
    return Problem(code="W122", message="this is a file of Python, and no workflow", place=Place(name), hint=hint)


def is_json(data: bytes, name: str) -> bool:
    """By the ending of the name; without a known one, by what the text begins with."""
    name = name.lower().removesuffix(".xz")
    if name.endswith((".json", ".yaml", ".yml")):
        return name.endswith(".json")
    start = data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()
    return start[:1] == b"{" and start[1:].lstrip()[:1] in (b'"', b"}")


def _recognise(value: Any, findings: Any) -> str:
    """The format that the content is in; empty if it is none, which is reported."""
    if isinstance(value, dict) and isinstance(value.get("steps"), dict) and not {"version", "workflow_id"} & value.keys():
        return "native"  # elsewhere steps are a list; most files end here, and nothing has been imported for the others
    from weft.formats import evolver, ghyaml, native, pml, wfformat
    from weft.formats.document import Where
    from weft.formats.shapes import quoted
    from weft.model.spec import RECORDS

    if pml.recognises(value):
        return "pml"
    if wfformat.recognises(value):
        return "wfformat"
    if evolver.recognises(value):
        return "evolver"
    if ghyaml.recognises(value):
        return "ghyaml"
    if native.recognises(value):
        return "native"
    hint = "the smallest workflow is `steps: { hello: { run: echo hello } }`"
    if not isinstance(value, dict):
        findings.add("W122", "this is no workflow: the file must hold a mapping with `steps`", Where(()), hint=hint)
        return ""
    keys = f"but {quoted(value)}" if value else "and no other key"
    if "mcpServers" in value:
        hint = "these are servers of tools: as `mcp-servers.json` beside a PML file its tasks find them"
    for key in value:
        if RECORDS["workflow"].meant.get(key) == "steps" or findings.meant(key, ("steps",)):
            hint = f"`{key}` is called `steps` here; {hint}"
    findings.add("W122", f"this is no workflow: it has no `steps`, {keys}", Where(()), hint=hint)
    return ""
