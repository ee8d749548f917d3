"""The ground that the laws of transports stand on: inboxes, open transports, patience."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import wraps
from typing import TypeAlias

import attrs
import trio

from ..abc import Address, Packet, Transport

MakeTransport: TypeAlias = Callable[[], Transport]
"""Gives a new transport that was not opened."""

TransportLaw: TypeAlias = Callable[[MakeTransport], Coroutine[object, object, None]]
"""One law."""

PATIENCE = 10.0
"""Seconds after which something that should happen counts as not happening."""


def law(check: TransportLaw) -> TransportLaw:
    """Let a law raise its ``AssertionError`` bare, not in the groups of its nurseries."""

    @wraps(check)
    async def checked(make: MakeTransport) -> None:
        try:
            await check(make)
        except BaseExceptionGroup as group:
            failures = group.subgroup(AssertionError)
            if failures is None:
                raise
            raise _first(failures) from group

    return checked


def _first(group: BaseExceptionGroup[AssertionError]) -> AssertionError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


@attrs.define(eq=False)
class Inbox:
    """A handler that keeps packets, and waits for them."""

    packets: list[Packet] = attrs.field(factory=list)
    _came: trio.Event = attrs.field(factory=trio.Event)

    def __call__(self, packet: Packet) -> None:
        self.packets.append(packet)
        self._came.set()
        self._came = trio.Event()

    @property
    def data(self) -> list[bytes]:
        """The bytes of each packet."""
        return [packet.data for packet in self.packets]

    async def wait(self, count: int) -> list[bytes]:
        """The first ``count`` packets, once they are there."""
        with trio.move_on_after(PATIENCE):
            while len(self.packets) < count:
                await self._came.wait()
        got = len(self.packets)
        assert got >= count, f"of {count} packets, {got} arrived within {PATIENCE} s"
        return self.data[:count]


@asynccontextmanager
async def opened(make: MakeTransport, count: int) -> AsyncIterator[list[Transport]]:
    """So many transports, opened, and closed at the end."""
    transports = [make() for _ in range(count)]
    try:
        for transport in transports:
            await transport.open()
        yield transports
    finally:
        for transport in transports:
            transport.close()


@asynccontextmanager
async def receiving(transport: Transport, inbox: Inbox) -> AsyncIterator[None]:
    """While the block runs, the transport's packets go to the inbox."""
    async with trio.open_nursery() as nursery:
        await nursery.start(_receive, transport, inbox)
        yield
        nursery.cancel_scope.cancel()


async def _receive(
    transport: Transport,
    inbox: Inbox,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    await transport.receive_packets(inbox, task_status=task_status)


@contextmanager
def must_raise(*expected: type[Exception]) -> Iterator[None]:
    """The block must raise one of these."""
    names = " or ".join(kind.__name__ for kind in expected)
    try:
        yield
    except expected:
        return
    raise AssertionError(f"expected {names}, but nothing was raised")


@contextmanager
def in_time(what: str) -> Iterator[None]:
    """The block must end within `PATIENCE`."""
    with trio.move_on_after(PATIENCE) as scope:
        yield
    assert not scope.cancelled_caught, f"{what} did not happen within {PATIENCE} s"


async def stream_pair(
    dialler: Transport, listener: Transport
) -> tuple[trio.abc.Stream, trio.abc.Stream, Address]:
    """A stream from one transport to another: both ends, and the dialler's address."""
    accepted: list[tuple[trio.abc.Stream, Address]] = []

    async def accept() -> None:
        accepted.append(await listener.accept_stream())

    with in_time("a stream opening"):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept)
            dialled = await dialler.connect_stream(listener.local_address)
    [(far, source)] = accepted
    return dialled, far, source


async def read_all(stream: trio.abc.ReceiveStream) -> bytes:
    """Everything until the end of the stream."""
    pieces = []
    with in_time("the end of a stream"):
        while piece := await stream.receive_some():
            pieces.append(bytes(piece))
    return b"".join(pieces)
