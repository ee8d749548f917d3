"""Health and metrics over HTTP."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from trioserf._agent.http_status import HTTPStatus, requested_path


def server(reason: str = "") -> HTTPStatus:
    return HTTPStatus(lambda: reason, lambda: "a_total 1\n")


async def ask(request: bytes, reason: str = "") -> bytes:
    ours, theirs = trio.testing.memory_stream_pair()
    answer = b""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server(reason).serve_client, theirs)
        await ours.send_all(request)
        await ours.send_eof()
        async for data in ours:
            answer += data
    return answer


@pytest.mark.parametrize(
    ("path", "reason", "status", "text"),
    [
        ("/healthz", "joining", 200, "ok\n"),
        ("/readyz", "", 200, "ready\n"),
        ("/readyz", "joining", 503, "not ready: joining\n"),
        ("/metrics", "", 200, "a_total 1\n"),
        ("/", "", 404, "/healthz, /readyz or /metrics\n"),
    ],
)
def test_each_path_has_its_answer(path: str, reason: str, status: int, text: str) -> None:
    assert (status, text) == server(reason).reply("GET", path)[:2]


async def test_an_answer_ends_the_connection() -> None:
    answer = await ask(b"GET /healthz?x=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"ok\n" == body
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Content-Length: 3" in head


async def test_a_head_request_has_no_body() -> None:
    answer = await ask(b"HEAD /healthz HTTP/1.0\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n")


async def test_nothing_can_be_changed() -> None:
    assert (await ask(b"POST /healthz HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize(
    "request_bytes", [b"", b"\r\n\r\n", b"GET /\r\n\r\n", b"x" * 100_000, b"GET / SPDY\r\n\r\n"]
)
async def test_what_is_no_request_is_refused(request_bytes: bytes) -> None:
    assert (await ask(request_bytes)).startswith(b"HTTP/1.1 400 ")


async def test_a_client_that_says_nothing_is_let_go(
    autojump_clock: trio.testing.MockClock,
) -> None:
    _ours, theirs = trio.testing.memory_stream_pair()
    await server().serve_client(theirs)
    assert 5.0 == trio.current_time()


def test_the_path_has_no_query() -> None:
    assert ("GET", "/a") == requested_path(b"GET /a?b HTTP/1.1\r\n")
