"""`http` steps against a real server on loopback."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from http_server import SEEN, address

from weft.model.workflow import Http
from weft.ports import Ended
from weft.runners import http
from weft.runners.http import HttpRunner, retry_after_s
from weft.testing.runners import Reports, make_job


def ask(folder: Path, path: str, env: dict[str, str] | None = None, **action: Any) -> Ended:
    async def main() -> Ended:
        runner, reports = HttpRunner(), Reports()
        url = address() + path if path.startswith("/") else path
        job = msgspec.structs.replace(make_job(folder, Http(url=url, **action)), env=env or {})
        runner.start(job, reports)
        try:
            return await reports.ended(job.key)
        finally:
            await runner.close()

    return asyncio.run(main())


def output(ended: Ended) -> Any:
    assert ended.error is None
    assert isinstance(ended.payload, bytes)
    return msgspec.json.decode(ended.payload)


@pytest.mark.parametrize(
    ("path", "status", "content"),
    [
        ("/json", 200, {"body": {"rows": [1, None]}}),
        ("/text", 200, {"body": "né"}),
        ("/bad-json", 200, {"body": "{bad"}),
        ("/bytes", 200, {"body": None, "body_base64": "/wA="}),
        ("/empty", 204, {"body": ""}),
    ],
)
def test_what_comes_back(tmp_path: Path, path: str, status: int, content: dict[str, Any]) -> None:
    found = output(ask(tmp_path, path))
    assert found.pop("status") == status
    assert found.pop("headers")["content-length"]
    assert found.pop("url") == address() + path
    assert found == content


def test_what_is_sent(tmp_path: Path) -> None:
    found = output(ask(tmp_path, "/echo", query={"a": [1, "x y"], "b": True}, headers={"X-N": 5, "Accept": "text/csv"}))
    assert found["body"] == "/echo?a=1&a=x+y&b=true"
    assert (SEEN[-1]["headers"]["X-N"], SEEN[-1]["headers"]["Accept"]) == ("5", "text/csv")
    ask(tmp_path, "/echo?kept=1", method="POST", body={"day": "Mon"})
    assert (SEEN[-1]["method"], SEEN[-1]["path"], SEEN[-1]["body"]) == ("POST", "/echo?kept=1", b'{"day":"Mon"}')
    assert SEEN[-1]["headers"]["Content-Type"] == "application/json"
    ask(tmp_path, "/echo", method="PUT", body="né\n", headers={"Content-Type": "text/plain"})
    assert (SEEN[-1]["body"], SEEN[-1]["headers"]["Content-Type"]) == ("né\n".encode(), "text/plain")


def test_a_refusal_is_a_failure_with_a_name(tmp_path: Path) -> None:
    error = ask(tmp_path, "/busy").error
    assert error is not None
    assert (error.kind, error.exception, error.retry_after_s, error.tail) == ("error", "HTTP429 HTTPError", 7.0, "come back")
    assert error.message == f"GET {address()}/busy was answered with 429 Too Many Requests"


def test_what_is_expected_is_no_failure(tmp_path: Path) -> None:
    assert output(ask(tmp_path, "/none", expect=(404,)))["status"] == 404
    assert ask(tmp_path, "/json", expect=(404,)).outcome == "failed"


def test_redirects(tmp_path: Path) -> None:
    assert output(ask(tmp_path, "/moved"))["body"] == {"rows": [1, None]}
    assert output(ask(tmp_path, "/moved", redirects=False))["status"] == 302


def test_secrets_go_out_as_headers_and_follow_no_redirect(tmp_path: Path) -> None:
    secrets = {"TOKEN": "s3cret", "KEY": "k3y"}
    found = output(ask(tmp_path, "/moved", secrets, bearer="TOKEN", secret_headers={"X-Api-Key": "KEY"}))
    assert found["status"] == 302
    assert (SEEN[-1]["headers"]["Authorization"], SEEN[-1]["headers"]["X-Api-Key"]) == ("Bearer s3cret", "k3y")


def test_too_large_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "BODY_BYTES_MAX", 1 << 20)
    assert len(output(ask(tmp_path, f"/size/{1 << 20}"))["body"]) == 1 << 20
    error = ask(tmp_path, f"/size/{(1 << 20) + 1}").error
    assert error is not None
    assert error.kind == "invalid_output"


@pytest.mark.parametrize(
    ("url", "name"),
    [("http://127.0.0.1:1/", "ConnectError"), ("ftp://127.0.0.1/", "UnsupportedProtocol"), ("nowhere", "UnsupportedProtocol")],
)
def test_requests_that_cannot_be_made(tmp_path: Path, url: str, name: str) -> None:
    error = ask(tmp_path, url).error
    assert error is not None
    assert error.exception.split()[0] == name


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("", None), ("soon", None), ("30", 30.0), ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0), ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0)],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    assert retry_after_s(text, 100.0) == seconds
