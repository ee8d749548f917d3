"""The responses of a node to queries."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from tests.serf.clusters import cluster
from trioserf._cluster.effects import SendTo
from trioserf._events import Query
from trioserf._exceptions import RelayError
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
