"""The responses of a node to queries."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from tests.serf.clusters import cluster
from trioserf._cluster.effects import Deliver, SendTo
from trioserf._cluster.key_responses import KeyAction, key_payload
from trioserf._events import Query
from trioserf._exceptions import DeadlineExceeded, RelayError
from trioserf._serf.internal_queries import _MAX_WAITING
from trioserf._wire.serf_messages import QueryMessage
from trioserf.abc import Address


async def test_a_response_whose_relays_fail_was_sent_all_the_same(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b, _c = await net.joined("a", "b", "c")
        async with a.query("x", filter_nodes=["b"], relay_factor=1) as response:
            async for event in b.events:
                if isinstance(event, Query):
                    break
            internal = b._delegate.internal
            send = internal.send
            sent: list[Address] = []

            def only_direct(reply: SendTo) -> None:
                if sent:
                    raise trio.BrokenResourceError("no route")
                sent.append(reply.address)
                send(reply)

            internal.send = only_direct
            with pytest.raises(RelayError, match="no route"):
                await event.respond(b"1")  # type: ignore[union-attr]
            assert b"1" == (await anext(aiter(response))).payload


async def test_a_response_that_could_not_be_sent_may_be_sent_again(
    autojump_clock: MockClock,
) -> None:
    async with cluster() as net:
        a, b = await net.joined("a", "b")
        async with a.query("x") as response:
            async for event in b.events:
                if isinstance(event, Query):
                    break
            internal = b._delegate.internal
            send = internal.send

            def fail(reply: SendTo) -> None:
                raise trio.BrokenResourceError("no route")

            internal.send = fail
            with pytest.raises(trio.BrokenResourceError):
                await event.respond(b"1")  # type: ignore[union-attr]
            internal.send = send
            await event.respond(b"2")  # type: ignore[union-attr]
            assert b"2" == (await anext(aiter(response))).payload


@pytest.mark.parametrize(
    ("error", "level", "text"),
    [
        (trio.BrokenResourceError("no route"), "ERROR", "failed to respond to '_serf_ping'"),
        (trio.ClosedResourceError(), "DEBUG", "closed before the response to '_serf_ping'"),
        (DeadlineExceeded("too late"), "ERROR", "failed to respond to '_serf_ping': too late"),
    ],
)
async def test_a_response_to_an_internal_query_that_fails_is_only_logged(
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    level: str,
    text: str,
) -> None:
    caplog.set_level("DEBUG", logger="trioserf")
    async with cluster() as net:
        a = await net.start("a")
        internal = a._delegate.internal

        def fail(*_arguments: object) -> None:
            raise error

        monkeypatch.setattr(type(internal), "_respond", fail)
        query = QueryMessage(
            ltime=3,
            id=9,
            addr=bytes((10, 0, 0, 9)),
            port=7946,
            timeout=10**9,
            name="_serf_ping",
            source_node="b",
        )
        internal._send_response(Deliver(query, trio.current_time() + 5), b"x")
        said = [r for r in caplog.records if text in r.getMessage()]
        assert [level] == [r.levelname for r in said]


async def test_more_key_changes_than_may_wait_for_the_disk_are_refused(
    autojump_clock: MockClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is answered: the one who asked must not wait in vain."""
    async with cluster() as net:
        path = tmp_path / "keyring.json"
        path.write_text('["AAAAAAAAAAAAAAAAAAAAAA=="]')
        a = await net.start("a", keyring_file=str(path))
        internal = a._delegate.internal
        sent: list[bytes] = []
        monkeypatch.setattr(
            type(internal), "_send_response", lambda self, delivery, payload: sent.append(payload)
        )
        key = key_payload(bytes(16))
        for number in range(_MAX_WAITING + 2):
            query = QueryMessage(
                ltime=number,
                id=number,
                addr=bytes((10, 0, 0, 9)),
                port=7946,
                timeout=10**9,
                name=KeyAction.INSTALL.value,
                source_node="b",
                payload=key,
            )
            internal.put(Deliver(query, trio.current_time() + 5))
        [refusal] = sent  # one is written, and 64 wait
        assert b"64 changes wait already" in refusal
