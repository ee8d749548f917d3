"""The state of a simulated network, and the way of a packet through it.

Hosts, links, what is under way, one random source, and counts: sockets and streams know this and
not each other, so that nothing here imports them.
"""

from __future__ import annotations

import math
import random
from abc import abstractmethod
from collections.abc import Callable
from typing import Protocol, TypeAlias, TypeVarTuple, Unpack

import trio

from .. import _attrs as attrs
from ..abc import Address
from .deliveries import Deliveries
from .links import Constant, Link
from .observation import Counts, Trace, TraceEntry
from .topology import Topology

_Ts = TypeVarTuple("_Ts")

Distance: TypeAlias = Callable[[str, str], float]
"""Seconds from one host to another, added to the latency of their link."""

LOOPBACK = Link(latency=Constant(0.00002))
"""The way of a host to itself: never lossy, never cut."""
RETRANSMIT = 0.2
"""Seconds until a lost segment of a stream is sent again, doubled each time (RFC 6298)."""
_MOST_RETRANSMISSIONS = 12
UNREACHABLES = 6.0
"""ICMP messages to one host at once; one more every second (Linux, icmp_ratelimit)."""
MAX_DATAGRAM = 65507
"""Most bytes that UDP carries over IPv4."""


class StreamEnd(trio.abc.HalfCloseableStream):
    """What a host knows of a stream that ends on it; `SimStream` is the one kind."""

    @property
    @abstractmethod
    def peer(self) -> Address:
        """The address of the other end."""

    @abstractmethod
    def wake(self) -> None:
        """Let the tasks that wait on this stream look again."""

    @abstractmethod
    def reset(self) -> None:
        """Close at once; the peer sees a reset."""

    @abstractmethod
    def reset_both(self) -> None:
        """Break both ends at once."""


class Socket(Protocol):
    """What the network asks of a bound socket; `SimTransport` is the one kind."""

    def has_room(self, size: int) -> bool:
        """Whether a packet of so many bytes finds room."""

    def put_packet(self, data: bytes, source: Address) -> None:
        """A packet arrived."""

    def has_backlog_room(self) -> bool:
        """Whether one more stream may wait to be accepted."""

    def put_refusal(self, address: Address) -> None:
        """The host of an address says that no process has the port."""

    def put_stream(self, stream: StreamEnd, peer: Address) -> None:
        """A peer opened a stream."""

    def moved(self) -> None:
        """The host has another address now."""

    def go_on(self) -> None:
        """The host was stopped and goes on."""

    def close(self) -> None:
        """Free the port."""


class Stalled(Protocol):
    """A direction of a stream that waits until its hosts can reach each other again."""

    def retry(self) -> None:
        """Send again what waits, if it can pass now."""


@attrs.define(eq=False)
class Host:
    """One simulated machine: an address, and a process with sockets and streams.

    Args:
      address: its IP address as text.
      waiting: sends that wait for the process to go on.
      down: whether the machine is off: it answers nothing at all.
      backlog_full: whether no stream finds room to wait for the process.
    """

    address: str
    sockets: dict[int, Socket] = attrs.field(factory=dict)
    streams: dict[StreamEnd, None] = attrs.field(factory=dict)
    paused: bool = False
    waiting: list[Callable[[], object]] = attrs.field(factory=list)
    down: bool = False
    backlog_full: bool = False
    _unreachables: dict[str, tuple[float, float]] = attrs.field(factory=dict, init=False)
    """When the last ICMP message went to a host, and how many more might have."""
    _port: int = attrs.field(default=49151, init=False)

    def free_port(self) -> int:
        """A port that no socket of this host has."""
        for _ in range(16384):
            self._port = self._port + 1 if self._port < 65535 else 49152
            if self._port not in self.sockets:
                return self._port
        raise OSError(f"{self.address} has no free port left")

    def may_say_unreachable(self, to: str, now: float) -> bool:
        """Whether one more ICMP message may go to a host: Linux sends few to each."""
        if to == self.address:
            return True
        last, left = self._unreachables.get(to, (now, UNREACHABLES))
        left = min(UNREACHABLES, left + now - last)
        allowed = left >= 1.0
        self._unreachables[to] = now, left - allowed
        return allowed


@attrs.define(eq=False)
class NetworkState:
    """The state of one network.

    Args:
      rng: the only random source.
      receive_buffer: bytes that a socket keeps for a slow receiver.
      stream_window: bytes under way and unread on one direction of a stream.
      give_up: seconds after which a stream that cannot deliver is broken.
      count_links: whether to count every pair of hosts by itself.
    """

    rng: random.Random
    topology: Topology
    deliveries: Deliveries
    distance: Distance | None
    receive_buffer: int
    stream_window: int
    give_up: float
    count_links: bool
    trace: Trace | None = None
    counts: Counts = attrs.field(factory=Counts)
    hosts: dict[str, Host] = attrs.field(factory=dict)
    stalled: dict[Stalled, None] = attrs.field(factory=dict)
    """Directions of streams whose segments wait for a partition or a cut to end."""
    _busy_until: dict[tuple[str, str], float] = attrs.field(factory=dict)

    def host(self, address: str) -> Host:
        """The host with this address, made on first use."""
        host = self.hosts.get(address)
        if host is None:
            host = self.hosts[address] = Host(address)
        return host

    def link(self, source: str, target: str) -> Link:
        """The link in force between two hosts."""
        return LOOPBACK if source == target else self.topology.link(source, target)

    def journey(self, link: Link, source: str, target: str) -> float:
        """Draw the time of one journey (seconds)."""
        time = link.latency(self.rng)
        if self.distance is not None and source != target:
            time += self.distance(source, target)
        return time

    def backlog(self, source: str, target: str) -> float:
        """Seconds until the bandwidth of a link is free."""
        return max(0.0, self._busy_until.get((source, target), 0.0) - trio.current_time())

    def occupy(self, link: Link, source: str, target: str, size: int) -> float:
        """Put ``size`` bytes into the queue of a link; seconds until they have left it."""
        if link.bandwidth == math.inf:
            return 0.0
        wait = self.backlog(source, target) + size / link.bandwidth
        self._busy_until[source, target] = trio.current_time() + wait
        return wait

    def note(self, what: str, source: Address, target: Address, data: bytes = b"") -> None:
        """Add an entry to the trace, if there is one."""
        if self.trace is not None:
            self.trace(TraceEntry(trio.current_time(), what, source, target, data))

    # --- packets -----------------------------------------------------------------------------

    def send_packet(self, host: Host, source: Address, data: bytes, to: Address) -> None:
        """Put one packet under way.

        Raises:
          trio.BrokenResourceError: longer than a datagram can be.
        """
        if len(data) > MAX_DATAGRAM:
            raise trio.BrokenResourceError(
                f"cannot send {len(data)} bytes to {to}: a datagram carries at most {MAX_DATAGRAM}"
            )
        if host.down:
            return
        if host.paused:
            host.waiting.append(lambda: self._launch(source, data, to))
        else:
            self._launch(source, data, to)

    def _launch(self, source: Address, data: bytes, to: Address) -> None:
        counts, topology = self.counts, self.topology
        counts.packets_sent += 1
        counts.bytes_sent += len(data)
        start, end = source.host, to.host
        if self.count_links:
            counted = counts.links.setdefault((start, end), [0, 0, 0])
            counted[0] += 1
            counted[1] += len(data)
        if self.trace is not None:
            self.note("send", source, to, data)
        if topology.divided and topology.blocked(start, end):
            self._drop("cut", source, data, to)
            return
        link = self.link(start, end)
        if link.loss and self.rng.random() < link.loss:
            self._drop("loss", source, data, to)
            return
        if link.simple:
            due = trio.current_time() + self.journey(link, start, end)
            self.deliveries.push(due, self.arrive, source, data, to)
        else:
            self._launch_with_defects(link, source, data, to)

    def _launch_with_defects(self, link: Link, source: Address, data: bytes, to: Address) -> None:
        rng = self.rng
        start, end = source.host, to.host
        if len(data) > link.mtu:
            self._drop("mtu", source, data, to)
            return
        if link.bandwidth < math.inf and self._queued(link, start, end) > link.queue:
            self._drop("queue", source, data, to)
            return
        copies = 1
        if link.duplicate and rng.random() < link.duplicate:
            self.counts.duplicated += 1
            copies = 2
        for _ in range(copies):
            delay = self.occupy(link, start, end, len(data)) + self.journey(link, start, end)
            if link.reorder and rng.random() < link.reorder:
                self.counts.reordered += 1
                delay += link.reorder_by
            sent = data
            if link.corrupt and data and rng.random() < link.corrupt:
                self.counts.corrupted += 1
                sent = self._flip_a_bit(data)
            self.deliveries.push(trio.current_time() + delay, self.arrive, source, sent, to)

    def _queued(self, link: Link, start: str, end: str) -> float:
        return self.backlog(start, end) * link.bandwidth

    def _flip_a_bit(self, data: bytes) -> bytes:
        place = self.rng.randrange(len(data) * 8)
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        return bytes(changed)

    def arrive(self, source: Address, data: bytes, to: Address) -> None:
        """A packet is at the end of its way: it is handed over, or dropped."""
        topology = self.topology
        if topology.divided and topology.blocked(source.host, to.host):
            self._drop("cut", source, data, to)
            return
        if topology.rejecting:
            reject = topology.reject(source.host, to.host)
            if reject is not None and reject.packets:
                self._drop("reject", source, data, to)
                if reject.by == "host":
                    self._say_unreachable(source, to)
                return
        host = self.hosts.get(to.host)
        socket = None if host is None or host.down else host.sockets.get(to.port)
        if socket is None:
            self._drop("nobody", source, data, to)
            if host is not None and not host.down:
                self._say_unreachable(source, to)
        elif not socket.has_room(len(data)):
            self._drop("buffer", source, data, to)
        else:
            counts = self.counts
            counts.packets_delivered += 1
            counts.bytes_delivered += len(data)
            if self.trace is not None:
                self.note("deliver", source, to, data)
            socket.put_packet(data, source)

    def _say_unreachable(self, source: Address, to: Address) -> None:
        """Answer a datagram with ICMP port unreachable, as the host that it went to."""
        if self.host(to.host).may_say_unreachable(source.host, trio.current_time()):
            self.post(to.host, source.host, self._unreachable, source, to)

    def _unreachable(self, source: Address, to: Address) -> None:
        host = self.hosts.get(source.host)
        socket = None if host is None or host.down else host.sockets.get(source.port)
        if socket is not None:
            self.counts.refusals += 1
            self.note("refuse", to, source)
            socket.put_refusal(to)

    def _drop(self, reason: str, source: Address, data: bytes, to: Address) -> None:
        self.counts.dropped[reason] += 1
        if self.count_links:
            self.counts.links.setdefault((source.host, to.host), [0, 0, 0])[2] += 1
        if self.trace is not None:
            self.note(f"drop {reason}", source, to, data)

    # --- streams -----------------------------------------------------------------------------

    def post(
        self,
        source: str,
        target: str,
        call: Callable[[Unpack[_Ts]], object],
        *args: *_Ts,
    ) -> None:
        """Carry one small control packet of a stream, or lose it."""
        link = self.link(source, target)
        if self.topology.blocked(source, target):
            return
        if link.loss and self.rng.random() < link.loss:
            return
        due = trio.current_time() + self.journey(link, source, target)
        self.deliveries.push(due, self._posted, source, target, call, args)

    def _posted(
        self, source: str, target: str, call: Callable[..., object], args: tuple[object, ...]
    ) -> None:
        if not self.topology.blocked(source, target):
            call(*args)

    def stream_delay(self, source: str, target: str, size: int) -> float:
        """Draw how long a segment of a stream takes, lost tries included (seconds)."""
        link = self.link(source, target)
        delay = self.occupy(link, source, target, size) + self.journey(link, source, target)
        if link.loss:
            again = RETRANSMIT
            for _ in range(_MOST_RETRANSMISSIONS):
                if self.rng.random() >= link.loss:
                    break
                delay += again
                again *= 2
        return delay

    def retry_streams(self) -> None:
        """Send again what waits on streams: something in the network became passable."""
        for pipe in tuple(self.stalled):
            pipe.retry()
