"""A server on loopback that speaks the chat protocol of OpenAI: it answers as the name of the model says, and remembers what it
was asked."""

import atexit
import json
import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ASKED: list[dict[str, Any]] = []
"""What came: the body, and under `headers` the headers with small letters."""
WAITING = threading.Semaphore(0)
"""Released by each question to the model `wait`."""

FAILURES: dict[str, tuple[int, dict[str, str], str]] = {
    "busy": (429, {"Retry-After": "7"}, "slow down"),
    "full": (429, {}, "too many"),
    "down": (503, {}, "come back later"),
    "broken": (500, {}, "oh no"),
    "nowhere": (404, {}, "there is no such model"),
    "odd": (599, {}, ""),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        ASKED.append({**asked, "path": self.path, "headers": headers})
        model = asked["model"]
        if model == "wait":
            WAITING.release()
            self.connection.recv(1)  # until the client has left
        elif model == "cut":
            self.close_connection = True
        elif model == "denied":
            self._send(401, {}, {"error": {"message": f"wrong key: {headers['authorization']}", "code": "invalid_api_key"}})
        elif model == "junk":
            self._send(200, {}, {"nonsense": 1})
        elif model == "page":
            self._send(502, {"Content-Type": "text/html"}, "<html>\n")
        elif model in FAILURES:
            status, more, message = FAILURES[model]
            self._send(status, more, {"error": {"message": message}})
        else:
            self._send(200, {}, _completion(model, answer(asked)))

    def _send(self, status: int, headers: dict[str, str], body: Any) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Say nothing."""


def answer(asked: dict[str, Any]) -> str:
    """What the model says. `say:…` says the rest of its name; `fix:…` does so when it has been told that it was wrong."""
    kind, _, rest = asked["model"].partition(":")
    if kind == "say":
        return str(rest)
    if kind == "fix":
        return rest if any(message["role"] == "assistant" for message in asked["messages"]) else "{}"
    if kind == "long":
        return "x" * int(rest)
    return str(asked["messages"][-1]["content"])


def _completion(model: str, text: str) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    counted = {} if model == "silent" else {"usage": usage}
    return {"id": "1", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], **counted}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


@cache
def models_at() -> str:
    """The address to give as OPENAI_BASE_URL. The server starts when it is first asked for and lives as long as the process."""
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    atexit.register(server.server_close)
    return f"http://127.0.0.1:{server.server_port}/v1"
