"""The server as a whole: what it counts, and the end of it."""

from __future__ import annotations

import logging
import socket
import struct
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from tests.rpc.served_node import MemoryListener, served
from tests.serf.clusters import cluster, until
from trioserf._rpc.agent_hooks import AgentHooks
from trioserf._rpc.log_feed import LogFeed
from trioserf._rpc.server import RPCServer, serve, serve_listener


async def test_clients_and_commands_are_counted(autojump_clock: MockClock) -> None:
    counted: list[str] = []
    async with served(hooks=AgentHooks(count=counted.append)) as node:
        first, second = await node.connect(), await node.connect()
        await first.get("stats")
        await second.stream.aclose()
        await until(lambda: node.server.statistics().clients == 1)
        now = node.server.statistics()
        assert (1, 2, 1, 0) == (now.clients, now.accepted, now.commands, now.records_dropped)
        assert "<RPCServer on memory: 1 clients>" == repr(node.server)
    assert ["agent.ipc.accept", "agent.ipc.accept", "agent.ipc.command"] == counted


async def test_a_key_is_asked_for(autojump_clock: MockClock) -> None:
    async with served(auth_key="s3cret") as node:
        client = await node.connect(handshake=False)
        assert "" == await client.ask("handshake", {"Version": 1})
        assert "Authentication required" == await client.ask("event", {"Name": "x"})
        assert "" == await client.ask("auth", {"AuthKey": "s3cret"})
        assert "" == await client.ask("event", {"Name": "x"})


async def test_it_ends_with_the_node(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        serf = await net.start("alpha")
        async with trio.open_nursery() as nursery:
            server = partial(serve_listener, serf, MemoryListener(), "memory")
            assert isinstance(await nursery.start(server), RPCServer)
            await serf.aclose()


async def test_a_closed_node_is_not_served(autojump_clock: MockClock) -> None:
    async with cluster() as net:
        serf = await net.start("alpha")
        await serf.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await serve(serf, "127.0.0.1:0")


async def test_it_takes_no_part_in_logging_afterwards(autojump_clock: MockClock) -> None:
    handlers = list(logging.getLogger("trioserf").handlers)
    async with served():
        (added,) = [h for h in logging.getLogger("trioserf").handlers if h not in handlers]
        assert isinstance(added, LogFeed)
    assert handlers == logging.getLogger("trioserf").handlers


async def test_garbage_on_many_connections_holds_nobody_up(autojump_clock: MockClock) -> None:
    """On the virtual clock nothing that is done for the others takes time, unless it waits."""
    async with served() as node:
        for number in range(200):
            client = await node.connect(handshake=False)
            await client.stream.send_all(bytes([number]) * 500)
        started = trio.current_time()
        client = await node.connect()
        await client.get("members")
        assert started == trio.current_time()


async def test_a_client_that_went_before_it_was_served_is_named_so(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A load balancer looks whether the port is open, and resets the connection."""
    caplog.set_level("INFO")
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    with socket.create_connection(listener.socket.getsockname()) as client:
        stream = await listener.accept()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await trio.testing.wait_all_tasks_blocked()
    async with served() as node:
        node.listener.take(stream)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert "Accepted client: (gone)" in caplog.text
        assert 0 == node.server.statistics().clients
    await listener.aclose()
