"""`tool` steps against real servers: a program on its standard streams, and one on loopback."""

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tools import COMMAND, listen, tool_runner

from weft.host import procfs
from weft.model.output import ErrorRecord, Usage
from weft.model.workflow import Rate, Server, Tool, Value
from weft.ports import Ended
from weft.runners import mcp_http, mcp_stdio, mcp_tool
from weft.testing.runners import Reports, make_job

Call = tuple[str, dict[str, Value]]


def call(
    folder: Path, *calls: Call, servers: dict[str, Server] | None = None, secrets: dict[str, str] | None = None
) -> list[Ended]:
    """Call tools, `server/tool` with arguments, one after the other in one run."""

    async def main() -> list[Ended]:
        runner, reports, found = tool_runner(folder, servers, secrets), Reports(), []
        try:
            for n, (tool, inputs) in enumerate(calls):
                server, _, name = tool.partition("/")
                job = make_job(folder, Tool(server, name), f"s{n}", inputs=inputs, cwd=folder, form="json")
                runner.start(job, reports)
                found.append(await reports.ended(job.key))
        finally:
            await runner.close()
        return found

    return asyncio.run(main())


def outputs(ends: Sequence[Ended]) -> list[Any]:
    assert [end.error for end in ends] == [None] * len(ends)
    return [msgspec.json.decode(end.payload) for end in ends if isinstance(end.payload, bytes)]


def error(end: Ended) -> ErrorRecord:
    assert end.outcome == "failed"
    assert end.error is not None
    return end.error


@pytest.mark.parametrize("server", ["t", "h"])
def test_what_comes_back(tmp_path: Path, server: str) -> None:
    ends = call(
        tmp_path,
        (f"{server}/add", {"a": 1, "b": 2}),
        (f"{server}/echo", {"text": "{not: json}"}),
        (f"{server}/two_texts", {}),
        (f"{server}/picture", {}),
    )
    picture = [{"type": "image", "data": "AAAA", "mimeType": "image/png"}]
    assert outputs(ends) == [{"sum": 3, "of": [1, 2]}, "{not: json}", "one\ntwo", picture]


@pytest.mark.parametrize("server", ["t", "h"])
def test_an_error_of_the_tool_is_a_failure_with_its_text(tmp_path: Path, server: str) -> None:
    record = error(call(tmp_path, (f"{server}/fail", {"why": "no such page"}))[0])
    assert record.message.startswith(f"`{server}/fail`: ")
    assert record.message.endswith("no such page")
    assert record.tail.endswith("no such page\nand more")
    assert record.exception == "ToolError"


def test_a_tool_tells_what_it_used(tmp_path: Path) -> None:
    good, refused, odd = call(
        tmp_path, ("t/spend", {"tokens": 7}), ("t/spend", {"tokens": 7, "wrong": True}), ("t/spend", {"tokens": -1})
    )
    assert (good.outcome, good.usage) == ("ok", Usage(tokens_in=7, cost=0.5))
    assert (refused.usage, error(refused).retry_after_s) == (Usage(tokens_in=7, cost=0.5), 3.0)
    assert (error(odd).kind, odd.payload) == ("invalid_output", None)
    assert error(odd).message.startswith("what the tool says that it used cannot be read: ")


HOSTILE = ['"; touch X #', "$(touch X)", "a\nb", "--flag", "nul \0 inside", "\u2028${{ 1 }}`", "é" * 5_000_000]


@pytest.mark.parametrize("server", ["t", "h"])
def test_values_arrive_byte_for_byte(tmp_path: Path, server: str) -> None:
    found = outputs(call(tmp_path, *((f"{server}/echo", {"text": text}) for text in HOSTILE)))
    assert found == HOSTILE
    assert os.listdir(tmp_path) in ([], ["servers"])


def test_arguments_are_checked_before_the_call(tmp_path: Path) -> None:
    count = tmp_path / "count"
    servers = {"t": Server(command=(*COMMAND, "--count", str(count)))}
    ends = call(
        tmp_path, ("t/add", {"a": 1, "b": "2"}), ("t/add", {"a": 1}), ("t/ad", {}), ("t/add", {"a": 1, "b": 2}), servers=servers
    )
    told = [(record.kind, record.message, record.hint) for record in map(error, ends[:3])]
    assert told == [
        ("input", "`t/add` cannot be called with this: `b`: '2' is not of type 'integer'", "it takes `a`, `b`"),
        ("input", "`t/add` cannot be called with this: 'b' is a required property", "it takes `a`, `b`"),
        ("input", "the server `t` has no tool `ad`", "did you mean `add`?"),
    ]
    assert count.read_text() == "1+2\n"


def test_one_session_for_all_calls_and_none_after_the_run(tmp_path: Path) -> None:
    started = tmp_path / "started"
    servers = {"t": Server(command=(*COMMAND, "--started", str(started)))}

    async def main() -> None:
        runner, reports = tool_runner(tmp_path, servers), Reports()
        jobs = [make_job(tmp_path, Tool("t", "pid"), f"s{n}") for n in range(20)]
        for job in jobs:
            runner.start(job, reports)
        pids = {msgspec.json.decode((await reports.ended(job.key)).payload) for job in jobs}  # type: ignore[arg-type]
        assert pids == {started.read_text().strip()}
        await runner.close()

    asyncio.run(main())
    assert procfs.stat(int(started.read_text())) is None


def test_calls_that_gather_keep_the_rate_of_the_server(tmp_path: Path) -> None:
    """Ten at once, then one each 20 ms, as they would have been started had the server not been slow; each tool by itself."""

    async def main() -> list[float]:
        runner, reports = tool_runner(tmp_path, {"t": Server(command=COMMAND, rate=Rate(10, 0.2))}), Reports()
        loop, took = asyncio.get_running_loop(), []
        for tool, count in (("pid", 1), ("pid", 21), ("folder", 10)):
            began, jobs = loop.time(), [make_job(tmp_path, Tool("t", tool), f"{tool}{count}-{n}") for n in range(count)]
            for job in jobs:
                runner.start(job, reports)
            for job in jobs:
                await reports.ended(job.key)
            took.append(loop.time() - began)
        await runner.close()
        return took

    _, many, other = asyncio.run(main())
    assert many >= 0.2
    assert other < many


def test_a_server_that_dies_is_told_and_replaced(tmp_path: Path) -> None:
    died, after = call(tmp_path, ("t/die", {}), ("t/echo", {"text": "again"}))
    record = error(died)
    assert (record.message, record.tail) == ("the server `t` has ended (exit 7) instead of answering", "something dreadful")
    assert outputs([after]) == ["again"]


def test_those_who_wait_for_a_server_that_dies_are_told_too(tmp_path: Path) -> None:
    async def main() -> list[Ended]:
        runner, reports = tool_runner(tmp_path), Reports()
        jobs = [make_job(tmp_path, Tool("t", name), name) for name in ("wait", "die")]
        for job in jobs:
            runner.start(job, reports)
        ends = [await reports.ended(job.key) for job in jobs]
        await runner.close()
        return ends

    assert {error(end).message for end in asyncio.run(main())} == {"the server `t` has ended (exit 7) instead of answering"}


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (("false",), "the server `x` has ended (exit 1) instead of answering"),
        (("cat",), "the server `x`: Method not found"),
        (("no-such-program-anywhere",), "there is no program `no-such-program-anywhere`"),
        ((sys.executable, "-c", "print('hello')"), "the server `x` has ended (exit 0) instead of answering"),
        ((sys.executable, "-c", "print('x' * 5000)"), "the server `x` has ended (exit 0) instead of answering"),
    ],
)
def test_what_is_no_server(tmp_path: Path, command: tuple[str, ...], message: str) -> None:
    assert error(call(tmp_path, ("x/y", {}), servers={"x": Server(command=command)})[0]).message == message


def test_a_server_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_tool, "START_S", 0.2)
    record = error(call(tmp_path, ("x/y", {}), servers={"x": Server(command=("sleep", "1000"))})[0])
    assert record.message == "the server `x` has not answered within 0.2 seconds of its start"


def test_a_message_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_stdio, "MESSAGE_BYTES_MAX", 100)
    record = error(call(tmp_path, ("x/y", {}), servers={"x": Server(command=("yes", "x" * 50_000))})[0])
    assert "the server `x`" in record.message


def test_an_answer_without_an_end_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails the call alone: the next one is in the same session."""
    monkeypatch.setattr(mcp_http, "MESSAGE_BYTES_MAX", 1 << 20)
    server, address = listen("--json")
    calls = [("x/pid", {}), ("x/echo", {"text": "é" * 600_000}), ("x/echo", {"text": "é" * 1000}), ("x/pid", {})]
    first, long, short, last = call(tmp_path, *calls, servers={"x": Server(url=address)})
    server.communicate()
    assert "the answer has more than 1MiB; let the tool write a file" in error(long).message
    assert error(long).message.startswith("the server `x`: ")
    assert outputs([short]) == ["é" * 1000]
    assert first.payload == last.payload


def test_an_answer_that_is_packed(tmp_path: Path) -> None:
    from http_server import SEEN, address

    record = error(call(tmp_path, ("x/y", {}), servers={"x": Server(url=address() + "/packed")})[0])
    assert "the answer is compressed, and no compression was asked for" in record.message
    assert {name.lower(): value for name, value in SEEN[-1]["headers"].items()}["accept-encoding"] == "identity"


def test_nobody_listens(tmp_path: Path) -> None:
    record = error(call(tmp_path, ("x/y", {}), servers={"x": Server(url="http://127.0.0.1:1/mcp")})[0])
    assert record.message == "the server `x`: All connection attempts failed"
    assert record.exception.split()[0] == "ConnectError"  # so `retry.when` can name it


def test_a_server_over_http_that_is_gone(tmp_path: Path) -> None:
    first, address = listen()

    async def main() -> list[Ended]:
        runner, reports = tool_runner(tmp_path, {"x": Server(url=address)}), Reports()
        ends = []
        for n in range(3):
            job = make_job(tmp_path, Tool("x", "die" if n == 1 else "pid"), f"s{n}")
            runner.start(job, reports)
            ends.append(await reports.ended(job.key))
        await runner.close()
        return ends

    ends = asyncio.run(main())
    first.communicate()
    assert [end.outcome for end in ends] == ["ok", "failed", "failed"]


def test_what_the_program_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "private")
    servers = {"t": Server(command=COMMAND, env={"A": "given"}, secrets=("TOKEN",))}
    names = ("A", "TOKEN", "SOME_KEY", "WEFT_RUN", "PATH")
    ends = call(tmp_path, *(("t/env", {"name": name}) for name in names), servers=servers, secrets={"TOKEN": "s3cret"})
    assert outputs(ends) == ["given", "s3cret", "(none)", "test-run", os.environ["PATH"]]


def test_a_program_works_in_the_folder_of_the_project(tmp_path: Path) -> None:
    assert outputs(call(tmp_path, ("t/folder", {}))) == [str(tmp_path)]


def test_headers_and_secrets_of_an_address(tmp_path: Path) -> None:
    from http_server import SEEN, address

    server = Server(url=address() + "/nothing", headers={"X-A": "b"}, bearer="TOKEN", secret_headers={"X-Key": "KEY"})
    end = call(tmp_path, ("x/y", {}), servers={"x": server}, secrets={"TOKEN": "t0ken", "KEY": "k3y"})[0]
    assert end.outcome == "failed"
    headers = {name.lower(): value for name, value in SEEN[-1]["headers"].items()}
    assert (headers["x-a"], headers["authorization"], headers["x-key"]) == ("b", "Bearer t0ken", "k3y")


def test_a_stubborn_program_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp_stdio, "EXIT_GRACE_S", 0.1)
    started = tmp_path / "started"
    servers = {"t": Server(command=(*COMMAND, "--stubborn", "--started", str(started)))}
    assert outputs(call(tmp_path, ("t/echo", {"text": "x"}), servers=servers)) == ["x"]
    assert procfs.stat(int(started.read_text())) is None


ENGINE = """
import asyncio, os, sys
from pathlib import Path
from weft.model.workflow import Server, Tool
from weft.runners.mcp_tool import ToolRunner
from weft.testing.runners import Reports, make_job

async def main():
    folder = Path(sys.argv[1])
    runner, reports = ToolRunner({"t": Server(command=tuple(sys.argv[2:]))}, {}, os.environ, folder, "test-run"), Reports()
    job = make_job(folder, Tool("t", "pid"))
    runner.start(job, reports)
    await reports.ended(job.key)
    print("ready", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_programs_die_with_an_engine_that_is_killed(tmp_path: Path) -> None:
    started = tmp_path / "started"
    command = [sys.executable, "-c", ENGINE, str(tmp_path), *COMMAND, "--stubborn", "--started", str(started)]
    engine = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert engine.stdout
    assert engine.stdout.readline() == b"ready\n"
    server = os.pidfd_open(int(started.read_text()))
    engine.send_signal(signal.SIGKILL)
    engine.wait()
    engine.stdout.close()
    assert select.select([server], [], [], 20)[0], "the server lives on"
    os.close(server)
