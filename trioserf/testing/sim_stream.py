"""Streams of a simulated network: TCP as its users meet it.

A stream is two pipes, one for each direction.  Segments arrive in order and whole; loss
and bandwidth only make them late.  Kept from TCP, because node code meets it in the field:

* a cut between the hosts keeps segments back, and they arrive after it has ended; only
  after ``give_up`` seconds does the sender get an error, and a reader waits for ever;
* a sender waits when a window's worth of bytes is under way or unread;
* closing a stream with unread bytes, or sending to a closed one, resets it: the other side
  reads what had arrived and then gets ``trio.BrokenResourceError``.

Left out: the way back of acknowledgements, so a window is free again as soon as the peer
has read.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias, final

import trio

from .. import _attrs as attrs
from ..abc import Address
from .network_state import Host, NetworkState, StreamEnd

Kind: TypeAlias = Literal["open", "data", "eof", "reset"]

_READ = 65536
"""Bytes that a read without a limit gives at most."""


@attrs.define(eq=False)
class Pipe:
    """One direction of a stream.

    Args:
      start, end: the hosts that the stream was opened between.
      source, target: their addresses then; a host that moved is out of reach.
    """

    network: NetworkState
    start: Host
    end: Host
    source: Address
    target: Address
    writer: SimStream = attrs.field(init=False)
    reader: SimStream = attrs.field(init=False)
    unread: bytearray = attrs.field(factory=bytearray, init=False)
    eof: bool = attrs.field(default=False, init=False)
    _under_way: int = attrs.field(default=0, init=False)
    _last_due: float = attrs.field(default=0.0, init=False)
    _waiting: list[tuple[Kind, bytes]] = attrs.field(factory=list, init=False)
    _stalls: int = attrs.field(default=0, init=False)
    _flying: int = attrs.field(default=0, init=False)
    """Segments that will arrive."""
    _apart: bool = attrs.field(default=False, init=False)

    @property
    def room(self) -> int:
        """Bytes that may be sent before the window is full."""
        return self.network.stream_window - self._under_way - len(self.unread)

    def send(self, kind: Kind, data: bytes = b"") -> None:
        """Put a segment under way, behind all before it."""
        self._under_way += len(data)
        self._launch(kind, data)

    def _launch(self, kind: Kind, data: bytes) -> None:
        network = self.network
        delay = network.stream_delay(self.source.host, self.target.host, len(data))
        self._flying += 1
        self._last_due = max(self._last_due, trio.current_time() + delay)
        network.deliveries.push(self._last_due, self._arrive, kind, data)

    def _passable(self) -> bool:
        network, start, end = self.network, self.source.host, self.target.host
        return (
            network.hosts.get(start) is self.start
            and network.hosts.get(end) is self.end
            and not network.topology.blocked(start, end)
            and network.link(start, end).loss < 1
        )

    def _arrive(self, kind: Kind, data: bytes) -> None:
        self._flying -= 1
        back = self.reader.outgoing
        self._take_in(kind, data)
        self.let_go(back)

    def _take_in(self, kind: Kind, data: bytes) -> None:
        if self._waiting:
            self._waiting.append((kind, data))
            return
        if not self._passable():
            self._stall(kind, data)
            return
        reject = self.network.topology.reject(self.source.host, self.target.host)
        if reject is not None and reject.streams is not None:
            self.writer.reset_both()
            return
        self._under_way -= len(data)
        if self.network.trace is not None:
            self.network.note(f"stream {kind}", self.source, self.target, data)
        self.network.counts.stream_bytes += len(data)
        self.reader.segment_arrived(kind, data)

    def _stall(self, kind: Kind, data: bytes) -> None:
        self._waiting.append((kind, data))
        self.network.stalled[self] = None
        self._stalls += 1
        due = trio.current_time() + self.network.give_up
        self.network.deliveries.push(due, self._give_up, self._stalls)

    def _give_up(self, stall: int) -> None:
        if self._waiting and stall == self._stalls:
            self.drop_waiting()
            self.writer.broken_by_network("the connection timed out")

    def retry(self) -> None:
        """Send what waits again, if it can pass now."""
        if self._passable():
            waiting = tuple(self._waiting)
            self._waiting.clear()
            self.network.stalled.pop(self, None)
            self._stalls += 1
            for kind, data in waiting:
                self._launch(kind, data)

    def let_go(self, back: Pipe) -> None:
        """Once both ends are closed, and nothing is under way, they need each other no more.

        Otherwise they would live until the next collection of garbage.
        """
        if self._flying or self._waiting or back._flying or back._waiting or self._apart:
            return
        if self.writer.closed and self.reader.closed:
            for pipe in (self, back):
                pipe._apart = True
                del pipe.writer, pipe.reader

    def drop_waiting(self) -> None:
        """Forget what waits: the stream is at its end."""
        self._waiting.clear()
        self.network.stalled.pop(self, None)


@final
class SimStream(StreamEnd):
    """One end of a simulated stream; see the module for how it behaves.

    Args:
      host: the host whose end this is.
      outgoing, incoming: the pipes away from it and towards it.
    """

    def __init__(self, host: Host, outgoing: Pipe, incoming: Pipe) -> None:
        self._host = host
        self.outgoing: Pipe = outgoing
        self._incoming = incoming
        outgoing.writer = self
        incoming.reader = self
        self.closed: bool = False
        self._broken: str | None = None
        self._eof_sent = False
        self._sending = False
        self._receiving = False
        self._changed: trio.Event | None = None
        host.streams[self] = None

    def __repr__(self) -> str:
        return f"<SimStream {self.outgoing.source} → {self.outgoing.target}>"

    def announce(self) -> None:
        """Let the far end come out of its listener."""
        self.outgoing.send("open")

    # --- what the network calls -----------------------------------------------------------

    def segment_arrived(self, kind: Kind, data: bytes) -> None:
        """Take a segment of the incoming pipe."""
        match kind:
            case "reset":
                self.broken_by_network("the peer reset the connection")
            case _ if self.closed:
                if kind == "data":
                    self.outgoing.send("reset")
            case "data":
                self._incoming.unread += data
            case "eof":
                self._incoming.eof = True
            case "open":
                socket = self._host.sockets.get(self.outgoing.source.port)
                if socket is None:
                    self.reset()
                else:
                    socket.put_stream(self, self.outgoing.target)
        self.wake()

    def broken_by_network(self, why: str) -> None:
        """No more bytes pass; what has arrived may still be read."""
        if self._broken is None:
            self._broken = why
        self.outgoing.drop_waiting()
        self.wake()

    def reset(self) -> None:
        """Close at once; the peer sees a reset."""
        self._close(reset=True)

    def reset_both(self) -> None:
        """Break both ends at once, as a box between them may."""
        why = "the network reset the connection"
        self.broken_by_network(why)
        self._incoming.writer.broken_by_network(why)

    @property
    def peer(self) -> Address:
        """The address that this end talks to."""
        return self.outgoing.target

    def wake(self) -> None:
        """Let the tasks that wait on this stream look again."""
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set()

    # --- what users call ------------------------------------------------------------------

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes; waits while the window is full."""
        with self._one_sender():
            self._check_sendable()
            await trio.lowlevel.checkpoint()
            rest = bytes(data)
            while rest:
                await self._room()
                piece, rest = rest[: self.outgoing.room], rest[self.outgoing.room :]
                self.outgoing.send("data", piece)
            self._check_sendable()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is room in the window."""
        with self._one_sender():
            self._check_sendable()
            await trio.lowlevel.checkpoint()
            if self._broken is None:
                await self._room()

    async def send_eof(self) -> None:
        """Say that no more bytes will be sent; reading goes on."""
        with self._one_sender():
            if self.closed:
                raise trio.ClosedResourceError("this stream was closed")
            await trio.lowlevel.checkpoint()
            if not self._eof_sent:
                self._check_sendable()
                self._eof_sent = True
                self.outgoing.send("eof")

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Wait for bytes; b"" once the peer has sent its last."""
        if self._receiving:
            raise trio.BusyResourceError("another task is receiving from this stream")
        limit = _READ if max_bytes is None else operator.index(max_bytes)
        if limit < 1:
            raise ValueError(f"max_bytes={max_bytes!r}: expected 1 or more")
        self._receiving = True
        try:
            await trio.lowlevel.checkpoint()
            unread = self._incoming.unread
            while self._host.paused or not (unread or self._incoming.eof or self._broken):
                self._check_open()
                await self._change()
            self._check_open()
            return self._take(limit)
        finally:
            self._receiving = False

    def _take(self, limit: int) -> bytes:
        incoming = self._incoming
        if incoming.unread:
            piece = bytes(incoming.unread[:limit])
            del incoming.unread[:limit]
            incoming.writer.wake()
            return piece
        if incoming.eof:
            return b""
        raise trio.BrokenResourceError(self._broken)

    async def aclose(self) -> None:
        """Close both directions.  *Checkpoint*: always; closed even if cancelled."""
        self.close()
        await trio.lowlevel.checkpoint()

    def close(self) -> None:
        """Close both directions at once.  Unread bytes make it a reset."""
        self._close(reset=bool(self._incoming.unread))

    # --- inside ---------------------------------------------------------------------------

    def _close(self, *, reset: bool) -> None:
        if self.closed:
            return
        self.closed = True
        if self._broken is None:
            if reset:
                self.outgoing.send("reset")
            elif not self._eof_sent:
                self.outgoing.send("eof")
        self._incoming.unread.clear()
        self._incoming.writer.wake()
        self._host.streams.pop(self, None)
        self.wake()
        self.outgoing.let_go(self._incoming)

    def _check_open(self) -> None:
        if self.closed:
            raise trio.ClosedResourceError("this stream was closed")

    def _check_sendable(self) -> None:
        self._check_open()
        if self._eof_sent:
            raise trio.ClosedResourceError("the end of this stream was sent")
        if self._broken is not None:
            raise trio.BrokenResourceError(self._broken)

    async def _room(self) -> None:
        while self._host.paused or self.outgoing.room <= 0:
            self._check_sendable()
            await self._change()
        self._check_sendable()

    async def _change(self) -> None:
        """Wait until `wake` is called."""
        if self._changed is None:
            self._changed = trio.Event()
        await self._changed.wait()

    @contextmanager
    def _one_sender(self) -> Iterator[None]:
        if self._sending:
            raise trio.BusyResourceError("another task is sending on this stream")
        self._sending = True
        try:
            yield
        finally:
            self._sending = False


def connect_pair(
    network: NetworkState, near: Host, near_address: Address, far: Host, far_address: Address
) -> tuple[SimStream, SimStream]:
    """The two ends of a new stream: the near one, then the far one."""
    there = Pipe(network, near, far, near_address, far_address)
    back = Pipe(network, far, near, far_address, near_address)
    network.counts.streams += 1
    return SimStream(near, there, back), SimStream(far, back, there)
