"""What runs the steps: a runner for each kind of action that a workflow has, and the libraries that they stand on.

Nothing heavy is imported at the top, as in `app`: a run of shell steps needs no Python worker.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from weft.core.facts import Limits
from weft.here import cpu_count, unasked
from weft.model.errors import MachineError, UsageError
from weft.model.graph import Graph
from weft.model.workflow import Agent, Argv, Http, Js, Lua, Plugin, Python, Shell, Sleep, Tool, Wasm, Workflow, definitions
from weft.ports import Gauge, Runner

if TYPE_CHECKING:
    from weft.host.recording import Recorder

GUESTS: Final = {Lua: ("lua", "lupa", "Lua"), Js: ("js", "quickjs", "JavaScript"), Wasm: ("wasm", "wasmtime", "WebAssembly")}
CALLS: Final = (Python, Plugin, *GUESTS)
"""What workers run, each of them any of these: a worker takes longer to start than most calls."""
EXTRAS: Final = {
    **GUESTS,
    Http: ("http", "httpx", "an HTTP request"),
    Agent: ("llm", "pydantic_ai", "an agent"),
    Tool: ("mcp", "mcp", "a call of a tool"),
}
"""For an action: the extra that runs it, the module that comes with it, and what the language is called."""
LAYERS_STEPS_MAX: Final = 1_000
"""A larger workflow is not laid out only to guess how many workers it will want."""


def require_extras(workflow: Workflow) -> None:
    """Raise MachineError if a step needs a library or a plugin that is not installed, UsageError if a model cannot be asked."""
    from importlib.util import find_spec

    for path, step in definitions(workflow):
        extra, module, language = EXTRAS.get(type(step.action), ("", "", ""))
        if extra and find_spec(module) is None:
            raise MachineError(f"step `{path}` is {language}, for which a library is missing: pip install 'weft[{extra}]'")
        if isinstance(step.action, Plugin):
            from weft.host.plugins import missing

            if wrong := missing(step.action.package, step.action.name):
                raise MachineError(f"step `{path}`: {': '.join(wrong)}")
    for path, unusable in unasked(workflow):
        raise UsageError(f"step `{path}`: {unusable.message}; {unusable.hint}")


def require_allowed(workflow: Workflow, project: Path) -> None:
    """Raise UsageError if a server of tools is a program that the user of this machine has not allowed."""
    if not workflow.servers:
        return
    from weft.host.allowed import missing, refusal

    for name, server in workflow.servers.items():
        if not server.command and not server.url:
            raise UsageError(f"nothing says what the server `{name}` is, whose tools the workflow calls: declare it, then run")

    if wanted := missing(workflow.servers, project, os.environ):
        raise UsageError(refusal(wanted))


def make_runners(
    workflow: Workflow, folder: Path, limits: Limits, say: Callable[[str], None], recorder: "Recorder | None"
) -> dict[type, Runner]:
    """One runner for each kind of action that the workflow has; what it does not use is not imported.
    Workers are started before a step asks for them.
    """
    actions = [step.action for _, step in definitions(workflow)]
    kinds = set(map(type, actions))
    base = {name: value for name, value in os.environ.items() if name not in workflow.secrets}
    runners: dict[type, Runner] = {}
    if kinds & {Shell, Argv}:
        from weft.runners.shell import ShellRunner

        shell = ShellRunner(base, folder, say=say)
        runners[Shell] = runners[Argv] = shell
        if recorder:
            shell.wrap = recorder.wrap
            runners[Shell] = runners[Argv] = recorder.sampled(shell)
    if kinds & set(CALLS):
        from weft.executors.processes import ProcessExecutor
        from weft.runners.guests import GuestRunner
        from weft.runners.python import PythonRunner

        executor = ProcessExecutor(base, folder, folder.name)
        executor.watch = recorder.file if recorder else None
        executor.prewarm(min(limits.total or cpu_count(), at_once(workflow, CALLS)), abreast=cpu_count())
        runner = GuestRunner(executor) if kinds & GUESTS.keys() else PythonRunner(executor)
        runners |= dict.fromkeys(CALLS if kinds & GUESTS.keys() else (Python, Plugin), runner)
    if Http in kinds:
        from weft.runners.http import HttpRunner

        runners[Http] = HttpRunner()
    if Agent in kinds:
        from weft.runners.agent import AgentRunner

        runners[Agent] = AgentRunner(base, say, budget=workflow.budget)
    if Tool in kinds:
        from weft.runners.mcp_tool import ToolRunner

        secrets = {name: os.environ[name] for name in workflow.secrets}
        runners[Tool] = ToolRunner(workflow.servers, secrets, base, folder, folder.name)
    if Sleep in kinds:
        from weft.runners.sleep import SleepRunner

        runners[Sleep] = SleepRunner()
    return runners


def at_once(workflow: Workflow, kinds: tuple[type, ...]) -> int:
    """About how many steps with such actions may run at once: those of the widest layer; of a large workflow, all of them."""
    found = [step for _, step in definitions(workflow) if isinstance(step.action, kinds)]
    if len(found) < 2 or len(workflow.steps) > LAYERS_STEPS_MAX:
        return len(found)
    layers = Graph(workflow.steps).layers()
    return max(sum(isinstance(workflow.steps[i].action, kinds) for i in layer) for layer in layers) or len(found)


def make_gauge(limits: Limits) -> Gauge | None:
    """What tells how hard the machine works, if anything depends on it."""
    if not limits.adaptive:
        return None
    from weft.host.pressure import MachineGauge

    return MachineGauge(cpu_count())
