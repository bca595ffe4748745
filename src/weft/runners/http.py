"""`http`: one request on the engine's own loop. A step that waits for an answer costs a socket and no process.

- A status of 400 or more has failed, unless the step expects it; `HTTP429` is then the name of the exception, for `retry`, and a
  server's Retry-After is handed on.
- Secrets are sent as headers to the address that the step names, and to no other: with them, no redirect is followed.
"""

import base64
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from weft.model.output import ErrorRecord
from weft.model.workflow import Http
from weft.ports import Ended, Job
from weft.runners.tasks import TaskRunner

if TYPE_CHECKING:
    import httpx

BODY_BYTES_MAX: Final = 64 << 20
"""What is larger belongs into a file: `run: [curl, …]`."""
CONNECT_S: Final = 30.0
"""A server that cannot be reached in this time is taken to be down. The whole request is bounded by the step's `timeout`."""
CONNECTIONS_MAX: Final = 256
"""As many as there may be waiting attempts."""
TAIL_CHARS_MAX: Final = 4096
"""Of the body of an answer that is an error."""


class HttpRunner(TaskRunner):
    """Runs Http actions. All requests of a run share one client and its connections."""

    def __init__(self) -> None:
        import httpx

        limits = httpx.Limits(max_connections=CONNECTIONS_MAX)
        super().__init__()
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(None, connect=CONNECT_S), limits=limits)

    async def close(self) -> None:
        await super().close()
        await self._client.aclose()

    async def _do(self, job: Job) -> Ended:
        action = job.action
        assert isinstance(action, Http)
        request = self._request(action, job)
        follows = action.redirects and not (action.bearer or action.secret_headers)
        response = await self._client.send(request, stream=True, follow_redirects=follows)
        try:
            body = bytearray()
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > BODY_BYTES_MAX:
                    message = f"the answer of {request.url} has more than {BODY_BYTES_MAX >> 20} MiB"
                    error = ErrorRecord(
                        kind="invalid_output", message=message, hint="let a program write it to a file: `run: [curl, …]`"
                    )
                    return Ended(key=job.key, outcome="failed", error=error)
        finally:
            await response.aclose()
        expected = response.status_code in action.expect if action.expect else response.status_code < 400
        if not expected:
            return Ended(key=job.key, outcome="failed", error=_refused(response, bytes(body)))
        payload = {
            "status": response.status_code,
            "headers": dict(response.headers),
            "url": str(response.url),
            **_content(response, bytes(body)),
        }
        return Ended(key=job.key, outcome="ok", payload=msgspec.json.encode(payload))

    def _request(self, action: Http, job: Job) -> "httpx.Request":
        headers = {name: _text(value) for name, value in action.headers.items()}
        headers |= {name: job.env[secret] for name, secret in action.secret_headers.items()}
        if action.bearer:
            headers["Authorization"] = f"Bearer {job.env[action.bearer]}"
        content: bytes | None = None
        if isinstance(action.body, str):
            content = action.body.encode()
        elif action.body is not None:
            content = msgspec.json.encode(action.body)
            headers = {"Content-Type": "application/json", **headers}
        query: dict[str, Any] = {name: _listed(value) for name, value in action.query.items()}
        return self._client.build_request(action.method, action.url, headers=headers, params=query or None, content=content)


def _text(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _listed(value: object) -> str | list[str]:
    return [_text(item) for item in value] if isinstance(value, list) else _text(value)


def _content(response: "httpx.Response", body: bytes) -> dict[str, Any]:
    """`body`: JSON if it says that it is and is, else text; or `body_base64`, for what is neither."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return {"body": msgspec.json.decode(body)}
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass  # then as text
    try:
        return {"body": body.decode(response.charset_encoding or "utf-8")}
    except (UnicodeDecodeError, LookupError):
        return {"body": None, "body_base64": base64.b64encode(body).decode()}


def _refused(response: "httpx.Response", body: bytes) -> ErrorRecord:
    code = response.status_code
    message = f"{response.request.method} {response.request.url} was answered with {code} {response.reason_phrase}".rstrip()
    return ErrorRecord(
        kind="error",
        message=message,
        exception=f"HTTP{code} HTTPError",
        retry_after_s=retry_after_s(response.headers.get("retry-after", ""), time.time()),
        tail=body[: TAIL_CHARS_MAX * 4].decode("utf-8", "replace")[:TAIL_CHARS_MAX],
    )


def retry_after_s(text: str, now: float) -> float | None:
    """The wait that a Retry-After header asks for, in seconds or as a date (RFC 9110, 10.2.3); None if it asks for none."""
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError):
        return None
