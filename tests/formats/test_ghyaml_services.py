"""Agents and requests of YAML workflows, run against a model and a server on loopback."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ghyaml_workflows import SEEDS, outputs_of, run, whole

HOSTILE = '"; touch X #$(touch X)\n--flag {{variables.secret}} ${{ inputs.secret }}'


class Service:
    """What it was asked, and how it answers: a chat completion, or JSON that repeats what came."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.url = ""

    def answer(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append(request)
        if request["path"].endswith("/chat/completions"):
            texts = [message["content"] for message in request["body"]["messages"] if message["role"] == "user"]
            message = {"role": "assistant", "content": f"answer to: {texts[-1]}"}
            usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            return 200, {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
        return self.statuses.pop(0) if self.statuses else 200, {"came": request["body"]}


@contextmanager
def serve() -> Iterator[Service]:
    service = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            is_json = self.headers.get("Content-Type", "").startswith("application/json")
            asked = {"method": self.command, "path": self.path, "body": json.loads(text) if is_json else text}
            status, answer = service.answer({**asked, "headers": dict(self.headers.items())})
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_PUT = do_GET

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        service.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield service
        finally:
            server.shutdown()


@pytest.fixture
def service() -> Iterator[Service]:
    with serve() as found:
        yield found


def models(service: Service) -> dict[str, str]:
    return {"OPENAI_BASE_URL": f"{service.url}/v1", "OPENAI_API_KEY": "sk-none", "WEFT_MODEL": "openai:m"}


def said(request: dict[str, Any], role: str) -> str:
    texts = [message["content"] for message in request["body"]["messages"] if message["role"] == role]
    return "\n".join(texts)


def test_agents_are_asked(tmp_path: Path, service: Service) -> None:
    (tmp_path / "agents").mkdir()
    (tmp_path / "agents" / "reviewer.yaml").write_text(
        "name: reviewer\nmetadata: { languageModel: { preferred: big } }\nsystemPrompt: { type: content, value: You review. }\n"
    )
    (tmp_path / "notes.md").write_text("the notes")
    text = whole(
        """
- { id: build, name: B, type: script, config: { command: echo, args: ["built {{variables.v}}"] } }
- id: review
  name: Review
  type: agent
  config: { agent: reviewer, prompt: "Look at {{steps.build.stdout}}", parameters: { depth: "{{variables.depth}}" } }
- { id: read, name: R, type: agent, config: { agent: reviewer, prompt: "Read {{readFile('notes.md')}} for {{variables.v}}" } }
- id: use
  name: U
  type: script
  config: { command: printf, args: ["[%s]", "{{steps.review.response}}", "{{steps.read.output}}", "{{steps.review.agentId}}"] }
- id: times
  name: T
  type: script
  config: { command: echo, args: ["{{steps.review.executionTime}}", "{{steps.read.executionTime}}"] }
- { id: tell, name: T, type: script, config: { command: "true" }, condition: "steps.read.response.includes('the notes')" }
"""
    )
    outputs = outputs_of(tmp_path, text, json.dumps({"v": HOSTILE, "depth": 3}), **models(service))
    review, read = sorted(service.asked, key=lambda asked: "the notes" in said(asked, "user"))
    assert f"Look at built {HOSTILE}" in said(review, "user")
    assert f"Read the notes for {HOSTILE}" in said(read, "user")
    assert "You review." in said(review, "system")
    assert (review["body"]["model"], '"depth":3' in said(review, "user").replace(" ", "")) == ("big", True)
    result = outputs["review"]
    assert (result["agentId"], result["metadata"]) == ("reviewer", {})
    assert result["response"].startswith("answer to: ")
    assert result["executionTime"] >= 0
    assert outputs["use"]["stdout"] == f"[{result['response']}][{outputs['read']['response']}][reviewer]"
    assert all(
        0 <= int(took) <= outputs[id_]["executionTime"]
        for id_, took in zip(("review", "read"), outputs["times"]["stdout"].split(), strict=True)
    )
    assert outputs["tell"]["exitCode"] == 0
    assert not (tmp_path / "X").exists()


def test_the_fragment_with_its_pools_runs(tmp_path: Path, service: Service) -> None:
    """As printed, but for the address of the request, and the pools that it lacks."""
    (tmp_path / "bin").mkdir()
    curl = tmp_path / "bin" / "curl"
    curl.write_text('#!/bin/sh\necho "curl $*"\n')
    curl.chmod(0o755)
    script = tmp_path / "process-data.sh"
    script.write_text("#!/bin/sh\necho processed\n")
    script.chmod(0o755)
    pools = "parallel: { resources: { cpu: 1, memory: 3, network: 5 } }\n"
    outputs = outputs_of(tmp_path, pools + (SEEDS / "step_level.yaml").read_text(), **models(service))
    assert outputs["cpu-intensive-task"]["stdout"] == "processed"
    assert outputs["memory-task"]["response"] == "answer to: Process large dataset"
    assert outputs["network-task"]["stdout"] == "curl -X POST https://api.example.com/webhook"


def test_requests_are_made(tmp_path: Path, service: Service) -> None:
    text = whole(
        """
- id: send
  name: S
  type: http
  config: { url: "{{base}}/hook", method: POST, headers: { X-Id: "{{id}}" }, body: { v: "{{v}}", list: ["{{record}}"] } }
- { id: dated, name: D, type: http, config: { url: "{{base}}/at/{{substring(date(), 0, 2)}}", method: put, body: "<{{v}}>" } }
- id: retried
  name: R
  type: http
  config: { url: "{{base}}/{{steps.dated.status}}/{{steps.send.came.list[0].a}}", retries: 1 }
"""
    )
    service.statuses = []
    given = {"base": service.url, "v": HOSTILE, "id": "7", "record": {"a": 1}}
    outputs = outputs_of(tmp_path, text, json.dumps(given))
    send, dated, last = sorted(service.asked, key=lambda asked: ["/hook", "/at/20", "/200/1"].index(asked["path"]))
    assert (send["method"], send["headers"]["X-Id"], send["body"]) == ("POST", "7", {"v": HOSTILE, "list": [{"a": 1}]})
    assert (dated["method"], dated["body"]) == ("PUT", f"<{HOSTILE}>")
    assert (last["method"], outputs["retried"]["status"]) == ("GET", 200)


def test_requests_are_tried_again(tmp_path: Path, service: Service) -> None:
    service.statuses = [503, 200, 404]
    text = whole(
        f"""
- {{ id: a, name: A, type: http, config: {{ url: "{service.url}/a", retries: 1 }} }}
- {{ id: b, name: B, type: http, config: {{ url: "{service.url}/b" }}, dependsOn: [a] }}
"""
    )
    printed, told, code = run(tmp_path, text)
    assert code == 1, told
    assert printed["stepResults"]["a"]["success"] is True
    assert "was answered with 404" in printed["stepResults"]["b"]["error"]
    assert len(service.asked) == 3


def test_a_header_cannot_become_two(tmp_path: Path, service: Service) -> None:
    text = whole(f'- {{ id: a, name: A, type: http, config: {{ url: "{service.url}/a", headers: {{ X-Id: "{{{{v}}}}" }} }} }}')
    printed, _, code = run(tmp_path, text, json.dumps({"v": "1\r\nX-Evil: 2"}))
    assert code == 1
    assert printed["stepResults"]["a"]["error"]
    assert not service.asked
