"""A server at an address that speaks the Model Context Protocol, by its streamable HTTP.

What it sends is bounded: each event of a stream by the client, a whole answer here. It is asked for no compression, and taken at
its word: a few bytes could stand for any number.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import httpx2
from mcp.client.streamable_http import streamable_http_client

from weft.model.units import format_size
from weft.model.workflow import Server
from weft.runners.mcp_stdio import MESSAGE_BYTES_MAX

_STREAM: Final = "text/event-stream"
_PLAIN: Final = "identity"


@asynccontextmanager
async def connect(server: Server, secrets: Mapping[str, str], connect_s: float) -> AsyncIterator[Any]:
    """The streams that a client of the protocol wants. `secrets`: the values of those of the run. How long an answer may take is
    for the step to say: its `timeout`."""
    headers = {"Accept-Encoding": _PLAIN, **server.headers}
    headers |= {header: secrets[secret] for header, secret in server.secret_headers.items()}
    if server.bearer:
        headers["Authorization"] = f"Bearer {secrets[server.bearer]}"
    timeout, hooks = httpx2.Timeout(None, connect=connect_s), {"response": [_bound]}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=timeout, event_hooks=hooks) as client,
        streamable_http_client(server.url, http_client=client, max_sse_event_size=MESSAGE_BYTES_MAX) as streams,
    ):
        yield streams


async def _bound(response: httpx2.Response) -> None:
    assert isinstance(response.stream, httpx2.AsyncByteStream)
    plain = response.headers.get("content-encoding", _PLAIN) == _PLAIN
    is_stream = response.headers.get("content-type", "").lower().startswith(_STREAM)
    response.stream = _Bounded(response.stream, plain=plain, bytes_max=None if is_stream else MESSAGE_BYTES_MAX)


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends with StreamError, which the client understands, after so many bytes; at once if it is not plain."""

    def __init__(self, stream: httpx2.AsyncByteStream, *, plain: bool, bytes_max: int | None) -> None:
        self._stream, self._plain, self._bytes_max = stream, plain, bytes_max

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if not self._plain:
            raise httpx2.StreamError("the answer is compressed, and no compression was asked for")
        size = 0
        async for piece in self._stream:
            size += len(piece)
            if self._bytes_max is not None and size > self._bytes_max:
                raise httpx2.StreamError(f"the answer has more than {format_size(self._bytes_max)}; let the tool write a file")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
