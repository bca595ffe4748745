"""The runners that must keep the contract, each with an action that ends soon, one that lasts, and one that fails."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from http_server import address
from model_server import models_at
from tools import tool_runner

from weft.executors.processes import ProcessExecutor
from weft.model.output import ErrorRecord
from weft.model.workflow import Action, Agent, Argv, Http, Js, Lua, Python, Shell, Sleep, Tool
from weft.ports import Ended, Job, Runner
from weft.runners.agent import AgentRunner
from weft.runners.guests import GuestRunner
from weft.runners.http import HttpRunner
from weft.runners.python import PythonRunner
from weft.runners.shell import ShellRunner
from weft.runners.sleep import SleepRunner
from weft.testing.runners import FakeRunner

LONG_S = 1000


@dataclass(frozen=True)
class Kit:
    name: str
    make: Callable[[Path], Runner]
    quick: Action
    long: Action
    failing: Action | None
    has_process: bool = False
    """Whether each attempt has a process of its own, which is reported."""

    def __str__(self) -> str:
        return self.name


def shell_runner(folder: Path) -> ShellRunner:
    return ShellRunner(dict(os.environ), folder)


def python_runner(folder: Path) -> PythonRunner:
    return PythonRunner(ProcessExecutor(dict(os.environ), folder, "test-run"))


def guest_runner(folder: Path) -> GuestRunner:
    return GuestRunner(ProcessExecutor(dict(os.environ), folder, "test-run"))


def _script(job: Job) -> Ended | None:
    assert isinstance(job.action, Sleep)
    if job.action.seconds == LONG_S:
        return None
    if job.action.seconds < 0:
        return Ended(key=job.key, outcome="failed", error=ErrorRecord(kind="error", message="as told"))
    return Ended(key=job.key, outcome="ok", payload=b"null")


KITS = [
    Kit("script", shell_runner, Shell(script="true"), Shell(script=f"sleep {LONG_S}"), Shell(script="exit 3"), True),
    Kit("argv", shell_runner, Argv(argv=("true",)), Argv(argv=("sleep", str(LONG_S))), Argv(argv=("false",)), True),
    Kit(
        "http",
        lambda _: HttpRunner(),
        Http(url=address() + "/json"),
        Http(url=address() + "/wait"),
        Http(url=address() + "/broken"),
    ),
    Kit(
        "agent",
        lambda _: AgentRunner({"OPENAI_BASE_URL": models_at()}),
        Agent(prompt="x", model="openai:say:x"),
        Agent(prompt="x", model="openai:wait"),
        Agent(prompt="x", model="openai:broken"),
    ),
    Kit(
        "lua",
        guest_runner,
        Lua(code="function run() return 1 end"),
        Lua(code="function run() while true do pcall(function() while true do end end) end end"),
        Lua(code="function run() error('no') end"),
    ),
    Kit(
        "js",
        guest_runner,
        Js(code="function run() { return 1 }"),
        Js(code="function run() { for (;;); }"),
        Js(code="function run() { throw 1 }"),
    ),
    Kit(
        "python",
        python_runner,
        Python(code="def run(): return 1"),
        Python(code=f"import time\ndef run(): time.sleep({LONG_S})"),
        Python(code="def run(): return 1 / 0"),
    ),
    Kit("tool", tool_runner, Tool("t", "pid"), Tool("t", "wait"), Tool("t", "fail")),
    Kit("tool over HTTP", tool_runner, Tool("h", "pid"), Tool("h", "wait"), Tool("h", "fail")),
    Kit("sleep", lambda _: SleepRunner(), Sleep(seconds=0.001), Sleep(seconds=LONG_S), None),
    Kit("fake", lambda _: FakeRunner(_script), Sleep(seconds=0), Sleep(seconds=LONG_S), Sleep(seconds=-1)),
]
