"""What the parts of a simulated network share: hosts, links, time, dice and counts."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias, TypeVarTuple, Unpack

import attrs
import trio

from ..abc import Address
from .deliveries import Deliveries
from .links import Constant, Link
from .network_statistics import Counts
from .topology import Topology
from .tracing import Trace, TraceEntry

if TYPE_CHECKING:
    from .sim_stream import Pipe, SimStream
    from .sim_transport import SimTransport

_Ts = TypeVarTuple("_Ts")

Distance: TypeAlias = Callable[[str, str], float]
"""Seconds from one host to another, added to the latency of their link."""

LOOPBACK = Link(latency=Constant(0.00002))
"""The way of a host to itself: never lossy, never cut."""
RETRANSMIT = 0.2
"""Seconds until a lost segment of a stream is sent again, doubled each time (RFC 6298)."""
_MOST_RETRANSMISSIONS = 12


@attrs.define(eq=False)
class Host:
    """One simulated machine: an address, and a process with sockets and streams.

    Args:
      address: its IP address as text.
      held: calls that wait for the process to go on.
    """

    address: str
    sockets: dict[int, SimTransport] = attrs.field(factory=dict)
    streams: dict[SimStream, None] = attrs.field(factory=dict)
    paused: bool = False
    held: list[Callable[[], object]] = attrs.field(factory=list)
    _port: int = attrs.field(default=49151, init=False)

    def free_port(self) -> int:
        """A port that no socket of this host has."""
        for _ in range(16384):
            self._port = self._port + 1 if self._port < 65535 else 49152
            if self._port not in self.sockets:
                return self._port
        raise OSError(f"{self.address} has no free port left")


@attrs.define(eq=False)
class NetworkState:
    """The common ground of one network.

    Args:
      rng: the only source of chance.
      receive_buffer: bytes that a socket holds for a slow receiver.
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
    stalled: dict[Pipe, None] = attrs.field(factory=dict)
    """Streams whose segments wait for a wall to fall."""
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

    def note(self, what: str, source: Address, target: Address, data: bytes = b"") -> None:
        """Tell the trace, if there is one."""
        if self.trace is not None:
            self.trace(TraceEntry(trio.current_time(), what, source, target, data))

    def retry_streams(self) -> None:
        """Send again what waits on streams: something in the network became passable."""
        for pipe in tuple(self.stalled):
            pipe.retry()
