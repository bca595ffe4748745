"""The REST interface on a real loopback server, which runs real workflows."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

DEMO = """
workflow = {
  name = "parallel_demo", description = "Two steps.",
  steps = {
    greet = { language = "lua", code = "function run() return 'hello' end" },
    shout = { language = "bash", depends_on = { "greet" }, code = [[ echo "{\\"said\\": $INPUT_GREET}" ]] },
  },
}
"""
BROKEN = "workflow = { steps = { a = { language = 'cobol', code = 'x' } } }"
FAILING = "steps: { a: { run: 'echo no >&2; exit 3' }, b: { run: echo b, needs: a }, c: { run: echo c } }\n"
ASKING = "inputs: { n: { type: integer } }\nsteps: { a: { run: 'echo $n', with: { n: '${{ inputs.n }}' }, output: json } }\n"
TOKEN = "a secret of this test"


class Served:
    """A server in a child process, and how to ask it."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        env = {**os.environ, "WEFT_TOKEN": TOKEN, **variables}
        command = [sys.executable, "-m", "weft.cli.main", "serve", *arguments]
        self.process = subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True)
        assert self.process.stderr is not None
        line = self.process.stderr.readline()
        self.address = line.removeprefix("listening at ").strip().removesuffix("/api/workflows")
        assert self.address.startswith("http://127.0.0.1:"), line

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {TOKEN}", **(headers or {})}
        return httpx.request(method, self.address + path, headers=headers, timeout=60, trust_env=False, **more)

    def run(self, name: str, **more: Any) -> dict[str, Any]:
        answer = self.ask("POST", f"/api/workflows/{name}/run", **more)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    files = folder / "workflows"
    files.mkdir()
    for name, text in {"demo.lua": DEMO, "broken.lua": BROKEN, "failing.weft.yaml": FAILING, "asking.yaml": ASKING}.items():
        (files / name).write_text(text)
    server = Served(folder, "--port", "0")
    yield server
    server.process.send_signal(signal.SIGINT)
    _, said = server.process.communicate(timeout=30)
    assert server.process.returncode == 130, said
    assert "Traceback" not in said


def test_files_are_listed(served: Served) -> None:
    listed = {item["name"]: item for item in served.ask("GET", "/api/workflows").json()}
    assert listed["demo"] == {
        "name": "demo",
        "display_name": "parallel_demo",
        "description": "Two steps.",
        "path": "workflows/demo.lua",
    }
    assert listed.keys() == {"demo", "broken", "failing", "asking"}
    assert "there is no language `cobol`" in listed["broken"]["description"]


def test_a_run_is_told_step_by_step(served: Served) -> None:
    told = served.run("demo")
    assert told["workflow_name"] == "demo"
    assert told["status"] == "completed"
    assert told["error"] is None
    assert told["total_duration_ms"] >= max(step.pop("duration_ms") for step in told["steps"])
    assert told["steps"] == [
        {"step_number": 1, "name": "greet", "language": "lua", "output": "hello", "status": "success"},
        {"step_number": 2, "name": "shout", "language": "shell", "output": {"said": "hello"}, "status": "success"},
    ]


def test_a_failure_is_told_with_what_ran(served: Served) -> None:
    told = served.run("failing")
    assert told["status"] == "failed"
    assert {step["name"]: step["status"] for step in told["steps"]} == {"a": "failed", "b": "pending", "c": "success"}
    assert told["error"].startswith("Step 'a' failed: ")


def test_inputs_are_given(served: Served) -> None:
    assert served.run("asking", json={"inputs": {"n": 7}})["steps"][0]["output"] == 7
    refused = served.ask("POST", "/api/workflows/asking/run", json={"inputs": {"n": "x"}})
    assert refused.status_code == 422
    assert "`x` is not an integer" in refused.json()["error"]
    assert served.ask("POST", "/api/workflows/asking/run", json={"inputs": [1]}).status_code == 400
    assert served.ask("POST", "/api/workflows/asking/run", content=b"{").status_code == 400
    assert served.ask("POST", "/api/workflows/asking/run", content=b" " * (2 << 20)).status_code == 400


def test_what_cannot_be_run_is_said(served: Served) -> None:
    missing = served.ask("POST", "/api/workflows/dmeo/run")
    assert (missing.status_code, missing.json()["error"]) == (404, "there is no workflow `dmeo`; did you mean `demo`?")
    broken = served.ask("POST", "/api/workflows/broken/run")
    assert broken.status_code == 422
    assert "workflows/broken.lua:1: there is no language `cobol`" in broken.json()["error"]
    assert served.ask("POST", "/api/workflows/..%2F..%2Fetc%2Fpasswd/run").status_code == 404
    assert served.ask("DELETE", "/api/workflows").status_code == 405


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}"])
def test_nothing_is_told_without_the_token(served: Served, given: str) -> None:
    for method, path in (("GET", "/api/workflows"), ("POST", "/api/workflows/demo/run")):
        answer = served.ask(method, path, headers={"Authorization": given})
        assert answer.status_code == 401
        assert "token" in answer.json()["error"]


def test_another_host_name_is_refused(served: Served) -> None:
    """As a web page would use it that has its own name point to 127.0.0.1."""
    assert served.ask("GET", "/api/workflows", headers={"Host": "attacker.example"}).status_code == 400


def test_runs_are_runs_like_any_other(served: Served) -> None:
    served.run("demo")
    command = [sys.executable, "-m", "weft.cli.main", "runs", "--json"]
    folder = Path(f"/proc/{served.process.pid}/cwd")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    assert "parallel_demo" in json.dumps(json.loads(done.stdout))


def test_the_configuration_says_which_files_there_are(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for name in ("a.lua", "b.lua", "c.wf", "d.yaml"):
        (tmp_path / "mine" / name).write_text(DEMO)
    (tmp_path / "config.toml").write_text(
        '[workflows]\ndirectory = "mine"\nextensions = ["wf", ".lua"]\nmax_workflows = 2\n[server]\nport = 0\n'
    )
    server = Served(tmp_path)
    try:
        listed = server.ask("GET", "/api/workflows").json()
        assert [item["path"] for item in listed] == ["mine/c.wf", "mine/a.lua"]
    finally:
        server.process.send_signal(signal.SIGINT)
        server.process.communicate(timeout=30)
    command = [sys.executable, "-m", "weft.cli.main", "serve"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        env = {**os.environ, "HWFE_SERVER_PORT": str(port), "HWFE_SERVER_PROT": "1"}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert f"nobody can listen at 127.0.0.1:{port}" in done.stderr
    assert "warning: HWFE_SERVER_PROT (environment): nothing is called so; did you mean `HWFE_SERVER_PORT`?" in done.stderr


def test_bad_usage(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "weft.cli.main", "serve"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "there is no folder `workflows`: name one with --folder" in done.stderr
