"""The client of an agent, in a program that runs on asyncio."""

from __future__ import annotations

import asyncio
import inspect
import socket
from contextlib import suppress

import pytest
import trio

import trioserf.asyncio
import trioserf.client
import trioserf.ipc
from tests.asyncio.kit import config, run
from trioserf import NodeResponse, Query, UserEvent
from trioserf.asyncio import RPCClient


async def serve(node: trioserf.Serf, port: int) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(trioserf.ipc.serve, node, f"127.0.0.1:{port}")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def connected(port: int) -> None:
    while True:
        try:
            async with trioserf.asyncio.open_client(f"127.0.0.1:{port}"):
                return
        except OSError:
            await asyncio.sleep(0.002)


def test_it_asks_an_agent_and_reads_its_events() -> None:
    port = free_port()

    async def main() -> None:
        async with trioserf.asyncio.open(config("a")) as a:
            serving = asyncio.create_task(a.in_trio(serve, port))
            await connected(port)
            async with trioserf.asyncio.open_client(f"127.0.0.1:{port}") as agent:
                assert ("a",) == (await agent.members(status="alive")).names
                assert agent.address in repr(agent)
                async with agent.stream("user", "query") as events:
                    await agent.user_event("deploy", b"v42")
                    event = await anext(events)
                    assert isinstance(event, UserEvent)
                    assert b"v42" == event.payload
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(anext(events), 0.02)
                    async with agent.query("load", timeout=5) as answers:
                        query = await anext(events)
                        assert isinstance(query, Query)
                        await query.respond(b"42")
                        assert NodeResponse("a", b"42") == await anext(answers)
                    assert 0 == events.lost
                with pytest.raises(trioserf.RPCError):
                    await agent.list_keys()
                async with agent.monitor("DEBUG") as lines:
                    assert "lost" in repr(lines)
            with pytest.raises(trio.ClosedResourceError):
                await agent.members()
        with suppress(trio.ClosedResourceError):  # it ends with the node, or with its thread
            await serving

    run(main)


def test_nobody_there_is_an_os_error() -> None:
    async def main() -> None:
        with pytest.raises(OSError, match=r"127\.0\.0\.1|[Cc]onnect"):
            async with trioserf.asyncio.open_client(f"127.0.0.1:{free_port()}"):
                pass

    run(main)


def test_it_has_the_methods_of_the_client_of_trio() -> None:
    theirs = {name for name in vars(trioserf.client.RPCClient) if not name.startswith("_")}
    assert set() == theirs - set(vars(RPCClient))
    for name in theirs:
        here, there = (getattr(cls, name) for cls in (RPCClient, trioserf.client.RPCClient))
        assert inspect.getdoc(here), name
        assert list(inspect.signature(there).parameters) == list(inspect.signature(here).parameters)
    opening, other = trioserf.asyncio.open_client, trioserf.client.open_client
    assert inspect.signature(other).parameters == inspect.signature(opening).parameters
