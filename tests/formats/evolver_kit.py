"""What the tests of Code Evolver files share: a folder with tools and programs, a language model on loopback, and a run in it."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from weft.formats import Loaded, Outside, load
from weft.host.source import read_folder, read_source
from weft.model.workflow import Step, Workflow

SEEDS = Path(__file__).parent / "seeds" / "evolver"
WEFT = Path(sys.executable).with_name("weft")
SAY = "tools: { say: { type: executable, command: echo, args: ['{prompt}'] } }\n"


def read(text: str | dict[str, Any], name: str = "w.yaml", **outside: Any) -> Loaded:
    if isinstance(text, dict):
        text, name = json.dumps(text, indent=1), "w.json"
    return load(text.encode(), name, read=read_source, outside=Outside(folder=read_folder, **outside))


def workflow_of(text: str | dict[str, Any], name: str = "w.yaml", **outside: Any) -> Workflow:
    loaded = read(text, name, **outside)
    assert loaded.workflow is not None, loaded.problems
    return loaded.workflow


def needs_of(workflow: Workflow) -> dict[str, list[str]]:
    return {step.id: list(step.needs) for step in workflow.steps}


def step_of(workflow: Workflow, id_: str) -> Step:
    return next(step for step in workflow.steps if step.id == id_)


def codes(loaded: Loaded) -> list[str]:
    return [problem.code for problem in loaded.problems]


def program(folder: Path, name: str, code: str) -> None:
    """A stand-in on PATH, in Python."""
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{code}")
    path.chmod(0o755)


def run(folder: Path, text: str | dict[str, Any], *arguments: str, name: str = "", **variables: str) -> tuple[Any, str, int]:
    """The outputs, what was said, and the exit code."""
    name = name or ("w.json" if isinstance(text, dict) else "w.yaml")
    (folder / name).write_text(json.dumps(text) if isinstance(text, dict) else text)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    command = [str(WEFT), "run", name, *arguments]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return json.loads(done.stdout or "null"), done.stderr, done.returncode


class Model:
    """A server that answers like Ollama and like OpenAI, with the prompt between brackets. `asked`: path and body of requests."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.keys: list[str | None] = []
        """The `Authorization` of each."""
        self.failures = 0
        """Requests that are answered with 500 first."""


@contextmanager
def model_server() -> Iterator[Model]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.answer({"path": self.path})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            model.asked.append((self.path, body))
            model.keys.append(self.headers["Authorization"])
            if model.failures:
                model.failures -= 1
                self.send_error(500)
            elif self.path == "/api/generate":
                self.answer({"response": f"[{body['prompt']}]", "prompt_eval_count": 3, "eval_count": 4})
            elif self.path == "/v1/chat/completions":
                content = body["messages"][-1]["content"]
                choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": f"[{content}]"}}
                usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
                whole = {
                    "id": "1",
                    "object": "chat.completion",
                    "created": 1,
                    "model": "stub",
                    "choices": [choice],
                    "usage": usage,
                }
                self.answer(whole)
            else:
                self.answer({"path": self.path, "body": body})

        def answer(self, value: Any) -> None:
            data = json.dumps(value).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    model = Model(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def portable(url: str) -> dict[str, Any]:
    tool = {"tool_id": "t", "name": "T", "description": "d", "type": "llm", "model": "llama3", "system_prompt": "Be brief."}
    return {
        "workflow_id": "article",
        "version": "1.0.0",
        "description": "write and translate",
        "portable": True,
        "inputs": {"topic": {"type": "string", "required": True}, "language": {"type": "string", "default": "Spanish"}},
        "outputs": {"article": {"type": "string", "source_reference": "steps.translate.output"}},
        "steps": [
            {
                "step_id": "outline",
                "type": "llm_call",
                "tool": "writer",
                "prompt_template": "Outline {topic}",
                "input_mapping": {"topic": "inputs.topic"},
                "output_name": "plan",
            },
            {
                "step_id": "translate",
                "type": "llm_call",
                "tool": "translator",
                "prompt_template": "To {language}: {text}",
                "input_mapping": {"text": "steps.outline.plan", "language": "inputs.language"},
            },
        ],
        "tools": {"writer": {**tool, "endpoint": url, "temperature": 0.2}, "translator": {**tool, "endpoint": url}},
    }
