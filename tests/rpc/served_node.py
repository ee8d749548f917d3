"""A server on connections in memory, and clients of it: raw ones and our own."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import msgpack
import trio
from trio.testing import lockstep_stream_pair, memory_stream_pair

from tests.serf.clusters import cluster
from trioserf._rpc.client import RPCClient, client_on
from trioserf._rpc.server import RPCServer, serve_listener
from trioserf._serf.serf import Serf


class MemoryListener(trio.abc.Listener[trio.abc.Stream]):
    """Accepts connections that are made by `connect`."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[trio.abc.Stream](math.inf)

    def connect(self, *, lockstep: bool = False) -> trio.abc.Stream:
        """A connection; with ``lockstep`` each write waits until it is read."""
        ours, theirs = lockstep_stream_pair() if lockstep else memory_stream_pair()
        self.take(theirs)
        return ours

    def take(self, stream: trio.abc.Stream) -> None:
        """Accept a connection that somebody else has made."""
        self._send.send_nowait(stream)

    async def accept(self) -> trio.abc.Stream:
        return await self._receive.receive()

    async def aclose(self) -> None:
        self._receive.close()
        await trio.lowlevel.checkpoint()


def pack(value: Any) -> bytes:
    packed: bytes = msgpack.packb(value, unicode_errors="surrogateescape")
    return packed


@attrs.define(eq=False)
class RawClient:
    """One connection on which objects go to and fro as the test says."""

    stream: trio.abc.Stream
    seq: int = 0
    unpacker: Any = attrs.field(
        factory=lambda: msgpack.Unpacker(unicode_errors="surrogateescape", strict_map_key=False)
    )

    async def send(self, command: str, body: object = None, *, seq: int | None = None) -> int:
        """Header, and body if there is one; the number used."""
        self.seq = self.seq + 1 if seq is None else seq
        header = pack({"Command": command, "Seq": self.seq})
        await self.stream.send_all(header + (b"" if body is None else pack(body)))
        return self.seq

    async def next(self) -> Any:
        """The next object; None when the server has closed."""
        while True:
            try:
                return self.unpacker.unpack()
            except msgpack.OutOfData:
                data = await self.stream.receive_some(65536)
                if not data:
                    return None
                self.unpacker.feed(data)

    async def header(self, seq: int) -> str:
        """The header of the reply to this command: its error."""
        got = await self.next()
        assert isinstance(got, dict), got
        assert ["Error", "Seq"] == sorted(got), got
        assert seq == got["Seq"]
        error: str = got["Error"]
        return error

    async def ask(self, command: str, body: object = None, *, seq: int | None = None) -> str:
        """A command without a body in its reply: the error."""
        return await self.header(await self.send(command, body, seq=seq))

    async def get(self, command: str, body: object = None, *, error: str = "") -> Any:
        """A command with a body in its reply."""
        assert error == await self.header(await self.send(command, body))
        return await self.next()

    async def record(self, seq: int) -> dict[str, Any]:
        """One record of a command that goes on."""
        assert "" == await self.header(seq)
        record: dict[str, Any] = await self.next()
        return record

    async def quiet(self, seconds: float = 1.0) -> None:
        """Nothing comes for a while."""
        with trio.move_on_after(seconds):
            raise AssertionError(f"nothing was due: {await self.next()}")


@attrs.define(eq=False)
class ServedNode:
    """A served node."""

    serf: Serf
    server: RPCServer
    listener: MemoryListener
    nursery: trio.Nursery
    auth_key: str | None = None
    raw: list[RawClient] = attrs.field(factory=list)

    async def connect(self, *, handshake: bool = True, lockstep: bool = False) -> RawClient:
        """A raw client, logged in unless ``handshake`` is False."""
        client = RawClient(self.listener.connect(lockstep=lockstep))
        self.raw.append(client)
        if handshake:
            assert "" == await client.ask("handshake", {"Version": 1})
            if self.auth_key:
                assert "" == await client.ask("auth", {"AuthKey": self.auth_key})
        return client

    async def client(self) -> RPCClient:
        """A `trioserf.client`, until the end of the test."""
        client: RPCClient = await self.nursery.start(self._hold_client)
        return client

    async def _hold_client(self, *, task_status: trio.TaskStatus[RPCClient]) -> None:
        stream = self.listener.connect()
        async with client_on(stream, "memory", self.auth_key, connect_timeout=10) as client:
            task_status.started(client)
            await trio.sleep_forever()


@asynccontextmanager
async def serve_node(
    serf: Serf, *, auth_key: str | None = None, **options: Any
) -> AsyncIterator[ServedNode]:
    """Serve a node on connections in memory."""
    listener = MemoryListener()
    serve = partial(serve_listener, serf, listener, "memory", auth_key=auth_key, **options)
    async with trio.open_nursery() as nursery:
        server: RPCServer = await nursery.start(serve)
        yield ServedNode(serf, server, listener, nursery, auth_key)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def served(
    *, auth_key: str | None = None, hooks: Any = None, **fields: Any
) -> AsyncIterator[ServedNode]:
    """A node that is alone, served on connections in memory."""
    async with cluster() as net:
        serf = await net.start("alpha", **fields)
        async with serve_node(serf, auth_key=auth_key, hooks=hooks) as node:
            yield node
