"""The examples load without a problem, and do what their comments say."""

import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from xml.etree import ElementTree

import pytest

from weft.formats import Outside, load
from weft.host.programs import evaluate_lua
from weft.host.source import read_source
from weft.model.workflow import Python

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(tmp_path: Path, name: str, *inputs: str) -> subprocess.CompletedProcess[str]:
    """`weft run` of an example in an empty folder."""
    weft = Path(sys.executable).with_name("weft")
    command = [str(weft), "run", str(EXAMPLES / f"{name}.weft.yaml"), *inputs]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize("path", sorted(EXAMPLES.rglob("*.weft.yaml")), ids=lambda path: path.name)
def test_it_loads(path: Path) -> None:
    loaded = load(path.read_bytes(), str(path), read=read_source, outside=Outside(evaluate_lua=evaluate_lua))
    races = path.name in ("races.weft.yaml", "counter.weft.yaml")
    assert [problem.code for problem in loaded.problems] == (["W501"] if races else [])
    assert loaded.workflow is not None


def test_hello(tmp_path: Path) -> None:
    done = run(tmp_path, "hello")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"said": "hello, world"}


def test_rate_limit(tmp_path: Path) -> None:
    done = run(tmp_path, "rate_limit")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["pages"]) == 5


def test_adaptive(tmp_path: Path) -> None:
    done = run(tmp_path, "adaptive")
    assert done.returncode == 0, done.stderr
    assert "server to 2 slots: a timeout" in done.stderr


def test_breaker(tmp_path: Path) -> None:
    done = run(tmp_path, "breaker")
    assert done.returncode == 0, done.stderr
    assert "server is open after 2 failures in a row" in done.stderr
    assert "server is closed again" in done.stderr


@pytest.mark.parametrize("name", ["races", "dataflow", "limits"])
def test_it_succeeds(tmp_path: Path, name: str) -> None:
    done = run(tmp_path, name)
    assert done.returncode == 0, done.stderr


def test_a_lua_file(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("weft")), "run", str(EXAMPLES / "parallel_demo.lua"), "--schedule", "dataflow"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["both"] == ["hello", 5]


def test_a_code_evolver_file(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("weft")), "run", str(EXAMPLES / "code_evolver" / "joke.json")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"french": "une blague sur weaving", "words": [4, 4]}
    assert "Executing 2 steps in parallel:" in done.stderr


def test_a_yaml_workflow(tmp_path: Path) -> None:
    weft, folder = str(Path(sys.executable).with_name("weft")), EXAMPLES / "yaml_workflow"
    command = [weft, "run", str(folder / "release.yaml"), "version=1.2.0", "deployStaging=true"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)["stepResults"]
    assert results["stage"]["output"]["stdout"] == "1.2.0 to beta, 2 files, lint: failure"
    assert [results[id_]["status"] for id_ in ("lint", "explain", "publish")] == ["failed", "skipped", "completed"]
    assert "Parallel Execution Statistics:\n- Total parallel groups: 4" in done.stderr
    command = [weft, "run", str(folder / "greet_ada.yaml")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert json.loads(done.stdout)["stepResults"]["greet"]["output"]["stdout"] == "hello Ada, 2"


def test_languages(tmp_path: Path) -> None:
    done = run(tmp_path, "languages")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"most": {"word": "warp", "count": 2}}


def test_http(tmp_path: Path) -> None:
    """The server is busy at first: the answer is that of the second attempt."""
    answers = [(429, {"Retry-After": "0"}, b""), (200, {"Content-Type": "application/json"}, b'{"rows": [1, 2, 3]}')]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path == "/rows?day=Mon"
            status, headers, body = answers.pop(0)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = run(tmp_path, "http", f"address=http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"rows": 3, "status": 200}


def test_tools(tmp_path: Path) -> None:
    """The example names `python3` and a file beside it: both are found where it is run."""
    shutil.copy(EXAMPLES / "tool_server.py", tmp_path)
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "XDG_STATE_HOME": str(tmp_path / "state")}
    command = [str(Path(sys.executable).with_name("weft")), "run", str(EXAMPLES / "tools.weft.yaml")]
    refused = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert refused.returncode == 2
    assert "`weft allow FILE`" in refused.stderr
    done = subprocess.run([*command, "-y"], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"said": "A occurs 3 times."}


def test_pml(tmp_path: Path) -> None:
    """It stops at its checkpoint, and goes on when that is approved."""
    shutil.copytree(EXAMPLES / "pml", tmp_path / "pml")
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "XDG_STATE_HOME": str(tmp_path / "state")}

    def weft(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("weft")), *arguments]
        return subprocess.run(command, cwd=tmp_path / "pml", env=env, capture_output=True, text=True, timeout=100, check=False)

    asked = weft("run", "-y", "merge.json")
    assert asked.returncode == 3, asked.stderr
    told = json.loads(asked.stdout)
    assert (told["status"], told["checkpoint_id"]) == ("approval_required", "merge")
    assert told["description"] == "Merge what a and the others say? (risk: low)"
    done = weft("approve")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["results"][-1]["output"] == "merged 3 files"


def test_fan_out(tmp_path: Path) -> None:
    done = run(tmp_path, "fan_out")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"total": {"rows": 1000, "failed": ["broken"]}}
    done = run(tmp_path, "fan_out", "sources=[]")
    assert json.loads(done.stdout) == {"total": {"rows": 0, "failed": []}}


def test_matrix(tmp_path: Path) -> None:
    done = run(tmp_path, "matrix")
    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)["said"]) == ["3.11-debian", "3.11-alpine", "3.14-debian", "3.15-debian"]


def test_sub_workflow(tmp_path: Path) -> None:
    done = run(tmp_path, "sub_workflow")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"once": 5, "most": 3}
    done = run(tmp_path, "word_count", "text=one two three")
    assert json.loads(done.stdout) == {"words": 3}


def test_machine(tmp_path: Path) -> None:
    done = run(tmp_path, "machine")
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)
    assert outputs["greedy"] == "out_of_memory"
    assert set(outputs["gpus"]) <= {"0", "1"}


def test_shared_pool(tmp_path: Path) -> None:
    """Two runs at once: each use is alone."""
    command = [str(Path(sys.executable).with_name("weft")), "run", str(EXAMPLES / "shared_pool.weft.yaml")]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        second = run(tmp_path, "shared_pool")
        told, complaints = first.communicate(timeout=100)
    assert (first.returncode, second.returncode) == (0, 0), complaints + second.stderr
    assert json.loads(told)["one"] != json.loads(second.stdout)["one"]


def test_reuse(tmp_path: Path) -> None:
    first, second = run(tmp_path, "reuse"), run(tmp_path, "reuse")
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert json.loads(first.stdout) == json.loads(second.stdout) == {"rows": "2", "total": 374.5}
    assert [line.split()[1:3] for line in second.stderr.splitlines() if "as in run" in line] == [
        ["reused", "table"],
        ["reused", "clean"],
        ["reused", "total"],
    ]
    other = run(tmp_path, "reuse", "tax=19")
    assert json.loads(other.stdout)["total"] == 416.5
    assert "changed    total  with.tax" in other.stderr
    until = run(tmp_path, "reuse", "--no-reuse", "--until", "clean")
    assert json.loads(until.stdout) == {"rows": "2"}
    (tmp_path / "clean.csv").write_text("west,1\n")
    mended = run(tmp_path, "reuse")
    assert json.loads(mended.stdout)["total"] == 374.5
    assert "`clean.csv`, which it wrote, has changed since" in mended.stderr


def test_failures(tmp_path: Path) -> None:
    done = run(tmp_path, "failures")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "flaky": "attempt 3",
        "cope": "optional said 'ConnectionError: nobody is there', so we go on",
        "after_rare": None,
        "clean_up": "done",
    }
    assert run(tmp_path, "failures", "strict=true").returncode == 1


def test_time_limits(tmp_path: Path) -> None:
    done = run(tmp_path, "time_limits")
    assert done.returncode == 1, done.stderr
    assert "retry      slow_once" in done.stderr
    assert "its `deadline`" in done.stderr or "exit 1" in done.stderr


def test_the_demo(tmp_path: Path) -> None:
    done = run(tmp_path, "library_report", "out=report")
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)
    assert outputs["packages"] > 5
    assert outputs["functions"] > 1000
    assert Path(outputs["report"]) == tmp_path / "report" / "index.html"
    for chart in ("size.svg", "imports.svg"):
        words = "".join(ElementTree.parse(tmp_path / "report" / chart).getroot().itertext())
        assert "asyncio" in words
    page = Path(outputs["report"]).read_text()
    assert "size.svg" in page
    assert f"{outputs['lines']:,}" in page


def test_the_demo_copes_with_a_missing_package(tmp_path: Path) -> None:
    path = EXAMPLES / "library_report.weft.yaml"
    workflow = load(path.read_bytes(), path.name).workflow
    assert workflow is not None
    actions = {step.id: step.action for step in workflow.steps}

    def call(step: str, **inputs: object) -> object:
        action = actions[step]
        assert isinstance(action, Python)
        names: dict[str, object] = {}
        exec(action.code, names)
        function = names["run"]
        assert callable(function)
        return function(**inputs)

    gone = call("xml", root=str(tmp_path), package="xml")
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "good.py").write_text('"""Docs."""\n\nimport xml\n\ndef f(): pass  # TODO\n')
    (tmp_path / "json" / "bad.py").write_text("def")
    there = call("json", root=str(tmp_path), package="json")
    assert gone == {"package": "xml", "found": False}
    merged = call("merge", measured=[gone, there, None])
    assert isinstance(merged, dict)
    assert merged["missing"] == ["xml"]
    assert [row["package"] for row in merged["rows"]] == ["json"]
    assert merged["total"] == {
        "files": 1,
        "lines": 5,
        "told": 1,
        "blank": 2,
        "functions": 1,
        "classes": 0,
        "public": 1,
        "documented": 0,
        "reminders": 1,
    }


def test_fallback(tmp_path: Path) -> None:
    done = run(tmp_path, "fallback", "-q")
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)
    assert outputs["bill"] == "the price is unknown"
    assert outputs["why_not"]["exit_code"] == 3
    assert outputs["pages"] == {"0": "fresh news", "1": "old shop", "2": "fresh web"}
    (tmp_path / "yesterday.txt").write_text("41\n")
    assert json.loads(run(tmp_path, "fallback", "-q").stdout)["bill"] == "the price is 41"
    assert json.loads(run(tmp_path, "fallback", "market=open", "-q").stdout)["why_not"] is None


@pytest.mark.parametrize(("wrong", "status"), [("false", "succeeded"), ("true", "failed")])
def test_finally(tmp_path: Path, wrong: str, status: str) -> None:
    done = run(tmp_path, "finally", f"go_wrong={wrong}")
    assert done.returncode == (wrong == "true"), done.stderr
    assert not (tmp_path / "server.txt").exists()
    assert f"has {status}, the tests have {status}" in (tmp_path / "told.txt").read_text()
    outputs = json.loads(done.stdout)
    assert outputs["server"] == "http://localhost:8000"
    assert (outputs["tests"] is None) == (wrong == "true")


def test_budget(tmp_path: Path) -> None:
    done = run(tmp_path, "budget")
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout) == {"answers": ["an answer", "another answer", None]}
    assert "the budget is spent" in done.stderr
    assert "1,200 tokens, cost 1.2 of the budget of 1,000 tokens, cost 2.5" in done.stderr
    assert run(tmp_path, "budget", "tokens=100").returncode == 0


def test_interrupted(tmp_path: Path) -> None:
    assert run(tmp_path, "interrupted").returncode == -9
    weft = [str(Path(sys.executable).with_name("weft")), "resume"]
    waits = subprocess.run(weft, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert waits.returncode == 3, waits.stderr
    assert "it is done: weft approve" in waits.stderr
    assert (tmp_path / "payments.txt").read_text() == "paying 100\n"
    wrong = subprocess.run([*weft, "--again", "prepare"], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert wrong.returncode == 2
    assert "is not interrupted" in wrong.stderr
    again = subprocess.run([*weft, "--again", "pay"], cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout) == {"receipt": "receipt: paid"}
    assert (tmp_path / "payments.txt").read_text() == "paying 100\n" * 2


def answer(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [str(Path(sys.executable).with_name("weft")), "approve", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)


def test_approval(tmp_path: Path) -> None:
    done = run(tmp_path, "approval")
    assert done.returncode == 3, done.stderr
    assert "Publish 42 rows?" in done.stderr
    assert answer(tmp_path, "@", "review", "--form", "channel=mail").returncode == 3
    done = answer(tmp_path, "@", "clean", "--with", "folder=cache")
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)
    assert outputs["published"].startswith("42 rows to mail, approved by ")
    assert outputs["cleaned"] == "emptying cache"


def test_layer_gates(tmp_path: Path) -> None:
    assert run(tmp_path, "layer_gates").returncode == 3
    assert answer(tmp_path, "--skip", "slow").returncode == 3
    done = answer(tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"report": "done"}
