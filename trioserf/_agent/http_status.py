"""Health and metrics over HTTP, for those who ask for it: on loopback alone.

``/healthz`` answers as long as the event loop runs, ``/readyz`` once the node serves RPC and has
joined, ``/metrics`` in the form that Prometheus reads.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

import trio

from .. import _attrs as attrs

MAX_REQUEST: Final = 8 * 1024
"""Longest head of a request (bytes)."""
REQUEST_LIMIT: Final = 5.0
"""Longest time for one request (seconds)."""
MAX_CLIENTS: Final = 64
"""Requests at the same time; a further one is closed."""
_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    503: "Service Unavailable",
}


class Reply(NamedTuple):
    """Status and text of an answer."""

    status: int
    text: str
    kind: str = "text/plain; charset=utf-8"

    def encode(self, *, head_only: bool = False) -> bytes:
        """The bytes of the answer, which ends the connection."""
        body = self.text.encode("utf-8", "replace")
        head = (
            f"HTTP/1.1 {self.status} {_REASONS[self.status]}\r\n"
            f"Content-Type: {self.kind}\r\nContent-Length: {len(body)}\r\n"
            "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
        )
        return head.encode("ascii") + (b"" if head_only else body)


def requested_path(head: bytes) -> tuple[str, str] | None:
    """Method and path of the head of a request; None if it is none."""
    words = head.split(b"\r\n", 1)[0].split(b" ")
    if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return None
    return words[0].decode("latin-1"), words[1].decode("latin-1").partition("?")[0]


@attrs.define(eq=False)
class HTTPStatus:
    """The server.

    Args:
      not_ready: why the node is not ready; "" when it is.
      metrics: the page of metrics.
    """

    not_ready: Callable[[], str]
    metrics: Callable[[], str]
    _clients: int = attrs.field(default=0, init=False)

    def reply(self, method: str, path: str) -> Reply:
        """The answer to a request."""
        if method not in ("GET", "HEAD"):
            return Reply(405, "GET or HEAD\n")
        if path == "/healthz":
            return Reply(200, "ok\n")
        if path == "/readyz":
            reason = self.not_ready()
            return Reply(503, f"not ready: {reason}\n") if reason else Reply(200, "ready\n")
        if path == "/metrics":
            return Reply(200, self.metrics(), "text/plain; version=0.0.4; charset=utf-8")
        return Reply(404, "/healthz, /readyz or /metrics\n")

    async def serve_client(self, stream: trio.abc.Stream) -> None:
        """Task: one request."""
        self._clients += 1
        try:
            with trio.move_on_after(REQUEST_LIMIT), suppress(trio.BrokenResourceError):
                async with stream:
                    if self._clients <= MAX_CLIENTS:
                        await self._answer(stream)
        finally:
            self._clients -= 1

    async def _answer(self, stream: trio.abc.Stream) -> None:
        head = b""
        while b"\r\n\r\n" not in head and len(head) < MAX_REQUEST:
            data = await stream.receive_some(4096)
            if not data:
                break
            head += data
        wanted = requested_path(head) if b"\r\n\r\n" in head else None
        if wanted is None:
            await stream.send_all(Reply(400, "HTTP/1.1, please\n").encode())
            return
        reply = self.reply(*wanted)
        await stream.send_all(reply.encode(head_only=wanted[0] == "HEAD"))
