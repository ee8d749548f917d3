"""One simulated socket for packets and streams: `abc.Transport` over a `SimNetwork`."""

from __future__ import annotations

import contextvars
import errno
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import final

import outcome
import trio

from ..abc import Address, Packet, Transport
from .connecting import ConnectAttempt, open_stream
from .network_state import Host, NetworkState, StreamEnd

_PACKET_OVERHEAD = 256
"""Bytes that a kernel spends on each packet that waits in a socket."""
_BACKLOG = 128
"""Streams that may wait to be accepted."""
_REFUSALS = 64
"""Refusals that may wait to be read."""
_REPEATED = 0.02
"""Seconds in which a repeated refusal is not reported."""


@final
class SimTransport(Transport):
    """Made by `SimNetwork.transport`.

    The handler of packets runs in the network's delivery task, in the context of the task
    that receives.  If it raises, that task gets the exception.
    """

    def __init__(self, network: NetworkState, host: Host, port: int) -> None:
        self._network = network
        self._host = host
        self._address = Address(host.address, port)
        self._state = "new"
        self._handler: Callable[[Packet], object] | None = None
        self._receiver: trio.lowlevel.Task | None = None
        self._context: contextvars.Context | None = None
        self._waiting: deque[tuple[bytes, Address]] = deque()
        self._waiting_bytes = 0
        self._streams: list[tuple[StreamEnd, Address]] = []
        self._accepting = False
        self._stream_came = trio.Event()
        self._connecting: dict[ConnectAttempt, None] = {}
        self._refused, self._refusals = trio.open_memory_channel[Address](_REFUSALS)
        self._refused_at: dict[Address, float] = {}

    def __repr__(self) -> str:
        return f"<SimTransport {self._address} {self._state}>"

    # --- opening and closing ------------------------------------------------------------------

    async def open(self) -> None:
        """Bind.  Raises ``OSError`` if the port is taken."""
        if self._state != "new":
            self._check_open()
            raise trio.BusyResourceError(f"{self._address} is open already")
        await trio.lowlevel.checkpoint()
        if not self._network.deliveries.running:
            raise RuntimeError(
                "the simulated network does not run, and would deliver nothing: "
                "use 'async with SimNetwork() as network'"
            )
        host, port = self._host, self._address.port or self._host.free_port()
        if port in host.sockets:
            raise OSError(
                errno.EADDRINUSE, f"{host.address}:{port} is in use; port 0 takes a free one"
            )
        self._address = Address(host.address, port)
        host.sockets[port] = self
        self._state = "open"

    @property
    def local_address(self) -> Address:
        """The host's address and the port."""
        return self._address

    def close(self) -> None:
        """Free the port; wake the tasks that wait.  Streams that were handed out stay open."""
        if self._state == "open":
            del self._host.sockets[self._address.port]
        self._state = "closed"
        self._waiting.clear()
        self._wake_receiver(outcome.Value(None))
        self._stream_came.set()
        for stream, _ in self._streams:
            stream.reset()
        self._streams.clear()
        for attempt in self._connecting:
            attempt.abandon()

    def _check_open(self) -> None:
        if self._state == "closed":
            raise trio.ClosedResourceError("this transport was closed")
        if self._state == "new":
            raise RuntimeError("this transport was not opened yet")

    # --- packets ------------------------------------------------------------------------------

    def send_packet(self, data: bytes, to: Address) -> None:
        """Put one datagram under way.  A stopped host sends it when it goes on."""
        if self._state != "open":
            self._check_open()
        self._network.send_packet(self._host, self._address, bytes(data), to)

    async def receive_packets(
        self,
        handler: Callable[[Packet], object],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Let ``handler`` be called for every datagram, until cancelled or closed."""
        self._check_open()
        if self._handler is not None:
            raise trio.BusyResourceError("another task receives from this transport")
        self._receiver = trio.lowlevel.current_task()
        self._context = self._receiver.context
        self._handler = handler
        if self._waiting:
            self._network.deliveries.push(trio.current_time(), self.drain)
        task_status.started()

        def abort(_raise_cancel: object) -> trio.lowlevel.Abort:
            self._receiver = self._handler = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def has_room(self, size: int) -> bool:
        """Whether a packet of so many bytes finds room."""
        if not self._waiting:
            return True
        return self._waiting_bytes + size + _PACKET_OVERHEAD <= self._network.receive_buffer

    def put_packet(self, data: bytes, source: Address) -> None:
        """A packet arrived: hand it over, or keep it for the receiver."""
        if self._handler is None or self._host.paused or self._waiting:
            self._waiting.append((data, source))
            self._waiting_bytes += len(data) + _PACKET_OVERHEAD
        else:
            self._hand_over(data, source)

    def drain(self) -> None:
        """Hand over what waited."""
        waiting = self._waiting
        while waiting and self._handler is not None and not self._host.paused:
            data, source = waiting.popleft()
            self._waiting_bytes -= len(data) + _PACKET_OVERHEAD
            self._hand_over(data, source)

    def _hand_over(self, data: bytes, source: Address) -> None:
        assert self._context is not None, "a handler is registered together with its context"
        try:
            self._context.run(
                self._handler,  # type: ignore[arg-type]  # not None: the callers looked
                Packet(data, source, self._network.deliveries.now),
            )
        except Exception as error:
            # The receiver owns the handler: its bug belongs into that task, not into
            # the task that serves every host.
            self._wake_receiver(outcome.Error(error))

    def _wake_receiver(self, result: outcome.Outcome[None]) -> None:
        receiver, self._receiver, self._handler = self._receiver, None, None
        if receiver is not None:
            trio.lowlevel.reschedule(receiver, result)

    def refusals(self) -> trio.MemoryReceiveChannel[Address]:
        """Addresses that refused packets of this socket."""
        return self._refusals

    def put_refusal(self, address: Address) -> None:
        """The host of an address says that no process has the port."""
        now = trio.current_time()
        for known, at in tuple(self._refused_at.items()):
            if now - at >= _REPEATED:
                del self._refused_at[known]
        if address not in self._refused_at:
            with suppress(trio.WouldBlock):
                self._refused.send_nowait(address)
                self._refused_at[address] = now

    # --- streams ------------------------------------------------------------------------------

    async def connect_stream(self, to: Address) -> trio.abc.Stream:
        """Open a stream; takes the time of a journey there and back."""
        self._check_open()
        near = Address(self._host.address, self._host.free_port())
        attempt = ConnectAttempt(self._network, self._host, near, to)
        self._connecting[attempt] = None
        try:
            return await open_stream(attempt)
        finally:
            self._connecting.pop(attempt, None)

    async def accept_stream(self) -> tuple[trio.abc.Stream, Address]:
        """Wait for the next stream that a peer opened."""
        self._check_open()
        if self._accepting:
            raise trio.BusyResourceError("another task accepts from this transport")
        self._accepting = True
        try:
            await trio.lowlevel.checkpoint()
            while self._state == "open" and (self._host.paused or not self._streams):
                await self._stream_came.wait()
            self._check_open()
            return self._streams.pop(0)
        finally:
            self._accepting = False

    def has_backlog_room(self) -> bool:
        """Whether one more stream may wait to be accepted."""
        return len(self._streams) < _BACKLOG

    def put_stream(self, stream: StreamEnd, peer: Address) -> None:
        """A stream was opened by a peer."""
        self._streams.append((stream, peer))
        self.wake()

    def wake(self) -> None:
        """Let the task that accepts look again."""
        self._stream_came.set()
        if self._state == "open":
            self._stream_came = trio.Event()

    # --- what the network does to the host ----------------------------------------------------

    def moved(self) -> None:
        """The host has another address now."""
        self._address = Address(self._host.address, self._address.port)

    def go_on(self) -> None:
        """The host was stopped and goes on."""
        self._network.deliveries.push(trio.current_time(), self.drain)
        self.wake()
