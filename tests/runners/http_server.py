"""A server on loopback for the tests of requests: it answers as the path says, and remembers what it was sent."""

import atexit
import gzip
import json
import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SEEN: list[dict[str, Any]] = []
ANSWERS: dict[str, tuple[int, dict[str, str], bytes]] = {
    "/json": (200, {"Content-Type": "application/json; charset=utf-8"}, b'{"rows": [1, null]}'),
    "/text": (200, {"Content-Type": "text/plain; charset=latin-1"}, "né".encode("latin-1")),
    "/bad-json": (200, {"Content-Type": "application/json"}, b"{bad"),
    "/bytes": (200, {"Content-Type": "application/octet-stream"}, b"\xff\x00"),
    "/empty": (204, {}, b""),
    "/busy": (429, {"Retry-After": "7"}, b"come back"),
    "/broken": (500, {}, b"why"),
    "/packed": (200, {"Content-Type": "application/json", "Content-Encoding": "gzip"}, gzip.compress(b"x" * 1_000_000)),
    "/moved": (302, {"Location": "/json"}, b""),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        SEEN.append({"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body})
        path = self.path.partition("?")[0]
        if path == "/wait":
            self.connection.recv(1)  # until the client has left
            return
        if path == "/echo":
            status, headers, body = 200, {"Content-Type": "application/json"}, json.dumps(self.path).encode()
        elif path.startswith("/size/"):
            status, headers, body = 200, {"Content-Type": "text/plain"}, b"x" * int(path.rpartition("/")[2])
        else:
            status, headers, body = ANSWERS.get(path, (404, {}, b"no such page"))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = _answer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name there
        """Say nothing."""


@cache
def address() -> str:
    """Where the server is, which is started when it is first asked for and lives as long as the process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    atexit.register(server.server_close)
    return f"http://127.0.0.1:{server.server_port}"
