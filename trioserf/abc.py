"""The seams of trioserf: what can be plugged in, and what is called.

`Transport` carries packets and streams; the real one is UDP and TCP on one port, the
simulated one lives in `trioserf.testing`.  `Delegate` and the other handlers are what the
membership half calls: Serf is one such user, a program of yours may be another.  `Tap`
observes.  All handlers are plain functions: they are called between a packet and the next,
must not wait, and must not call back into the membership half unless documented.

Source: hashicorp/memberlist v0.2.2, transport.go, delegate.go, event_delegate.go,
conflict_delegate.go, merge_delegate.go, alive_delegate.go, ping_delegate.go.
"""

from __future__ import annotations

import errno
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal, NamedTuple, Protocol, final, runtime_checkable

import trio

from . import _attrs as attrs
from ._text import host_and_port, is_short_ipv4, short_repr


class Address(NamedTuple):
    """Where packets and streams go: an IP address as text, and a port.

    Args:
      host: IPv4 or IPv6 address in its shortest usual text form.
      port: 1 to 65535.
    """

    host: str
    port: int

    @classmethod
    def from_bytes(cls, addr: bytes, port: int) -> Address:
        """The address of 4 or 16 bytes; an IPv4 address in 16 bytes becomes plain IPv4.

        Raises:
          ValueError: neither 4 nor 16 bytes.
        """
        return cls(_host_text(addr), port)

    def to_bytes(self) -> bytes:
        """The host as 4 or 16 bytes; a zone is lost.  Raises ``ValueError`` for a name."""
        return ip_address(self.host.partition("%")[0]).packed

    def __str__(self) -> str:
        return host_and_port(*self)


@lru_cache(maxsize=4096)
def _host_text(addr: bytes) -> str:
    if len(addr) == 4:
        return str(IPv4Address(addr))
    address = IPv6Address(addr)
    return str(address.ipv4_mapped or address)


class Packet(NamedTuple):
    """One datagram as it arrived.

    Args:
      data: the whole datagram.
      source: who sent it, according to the network.
      received_at: when it was read (trio clock, seconds).
    """

    data: bytes
    source: Address
    received_at: float


@final
@attrs.frozen(kw_only=True)
class TransportStatistics:
    """Counts since the transport was opened.

    Args:
      packets_sent, bytes_sent: handed to the system.
      packets_lost: not sent because the system's buffer was full.
      send_errors: refused by the system.
      packets_received, bytes_received: handed to the receiver.
      receive_errors: errors that reading raised.
      wake_ups: waits for readability; packets_received / wake_ups shows how well
        draining works.
      streams_dialled, streams_accepted: streams that came to be.
      dial_errors: streams that did not.
      receive_buffer: bytes that the system keeps for datagrams.
      packets_dropped: datagrams that found this buffer full; None if the system does not say.
    """

    packets_sent: int = 0
    bytes_sent: int = 0
    packets_lost: int = 0
    send_errors: int = 0
    packets_received: int = 0
    bytes_received: int = 0
    receive_errors: int = 0
    wake_ups: int = 0
    streams_dialled: int = 0
    streams_accepted: int = 0
    dial_errors: int = 0
    receive_buffer: int = 0
    packets_dropped: int | None = None


async def resolve(host: str, port: int) -> list[Address]:
    """Every address of a host, in the system's order, each once.  *Checkpoint*: always.

    DIFFERS: Go first asks the DNS server for all records of a dotted name over TCP, and
    loses zones.  Servers refuse that kind of question by now (RFC 8482), and the system's
    resolver turns to TCP by itself when an answer is long; a zone is kept, since without
    it a link-local address leads nowhere (test_a_zone_is_kept).

    Raises:
      OSError: the host is unknown.

    Source: hashicorp/memberlist v0.2.2, memberlist.go: resolveAddr.
    """
    try:
        ip = ip_address(host)
    except ValueError:
        return await _look_up(host, port)
    await trio.lowlevel.checkpoint()
    return [_plain_address(ip, port)]


def _plain_address(ip: IPv4Address | IPv6Address, port: int) -> Address:
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        return Address(str(ip.ipv4_mapped), port)
    return Address(str(ip), port)


async def _look_up(host: str, port: int) -> list[Address]:
    if not host:
        await trio.lowlevel.checkpoint()
        raise socket.gaierror(socket.EAI_NONAME, "an empty host name has no address")
    if is_short_ipv4(host):
        await trio.lowlevel.checkpoint()
        raise socket.gaierror(
            socket.EAI_NONAME, f"{short_repr(host)} is neither an address nor a name"
        )
    try:
        answers = await trio.socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise socket.gaierror(error.errno, f"{short_repr(host)}: {error.strerror}") from error
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, f"{short_repr(host)} is no host name") from error
    addresses = [_plain_address(ip_address(str(answer[4][0])), port) for answer in answers]
    return list(dict.fromkeys(addresses))


@final
class DialRefused(ConnectionRefusedError):
    """A stream was refused, and it is known by what.  No stream came to be.

    A transport that cannot tell raises a plain ``ConnectionRefusedError``, which is evidence of
    nothing.

    Args:
      address: what was dialled.
      source: ``"rst"`` if the address itself answered that no process listens there, and
        nothing else did; ``"icmp"`` if a router or a packet filter may have answered instead.
    """

    def __init__(self, address: Address, source: Literal["rst", "icmp"]) -> None:
        reason = {"rst": "no process listens there", "icmp": "it is rejected on the way"}[source]
        text = f"cannot connect to {address}: Connection refused, {reason}"
        super().__init__(errno.ECONNREFUSED, text)
        self.address: Address = address
        self.source: Literal["rst", "icmp"] = source

    def __reduce__(self) -> tuple[type[DialRefused], tuple[Address, str]]:
        return DialRefused, (self.address, self.source)


class Transport(ABC):
    """Packets and streams between nodes.

    Life: `open` once, then any of the other calls, then `close` once; after that every
    call raises ``trio.ClosedResourceError``.  The laws that every transport must keep are
    in ``trioserf.testing.check_transport``.
    """

    @abstractmethod
    async def open(self) -> None:
        """Bind.  Raises ``OSError`` with an address in its text when that fails."""

    @property
    @abstractmethod
    def local_address(self) -> Address:
        """The bound address and the port that the system chose."""

    @abstractmethod
    def send_packet(self, data: bytes, to: Address) -> None:
        """Send one datagram, at once or never: a full socket buffer loses it.

        Raises:
          trio.BrokenResourceError: the system refused it (no route, too long, …).
          trio.ClosedResourceError: the transport is closed.
        """

    @abstractmethod
    async def receive_packets(
        self,
        handler: Callable[[Packet], object],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Call ``handler`` for every datagram, in order, until cancelled or closed.

        ``handler`` is a plain function that does not raise.  If what it returns can be called, that
        may be awaited before the next datagram: a busy receiver leaves them to the system so.  One
        receiver at a time (``trio.BusyResourceError``).  Returns when the transport is closed.
        """

    @abstractmethod
    async def connect_stream(self, to: Address) -> trio.abc.Stream:
        """Open a stream.  The caller sets the time limit.

        Raises:
          DialRefused: refused, and it is known by what.
          OSError: refused, unreachable.
          trio.ClosedResourceError: the transport is closed.
        """

    @abstractmethod
    async def accept_stream(self) -> tuple[trio.abc.Stream, Address]:
        """Wait for the next stream that a peer opened.

        Raises:
          OSError: this accept failed (too many open files, …); try again later.
          trio.ClosedResourceError: the transport is closed.
        """

    @abstractmethod
    def close(self) -> None:
        """Release every socket at once.  Idempotent, never waits."""

    async def resolve(self, host: str, port: int) -> list[Address]:
        """Every address that a name in a join stands for.  *Checkpoint*: always.

        The default is `resolve`: an IP address as it is, or what the system knows of a name.

        Raises:
          OSError: the name is unknown.
        """
        return await resolve(host, port)

    def leads_here(self, address: Address) -> bool:
        """Whether a stream to this address would come back to this transport.

        The default is that only `local_address` does.
        """
        return address == self.local_address

    def has_address(self, host: str) -> bool:
        """Whether an IP address is one of this machine now.

        The default is that it is: addresses of a simulated machine stay.
        """
        return True

    def refusals(self) -> trio.MemoryReceiveChannel[Address] | None:
        """Addresses that refuse packets: the network says that no process has the port.

        The same channel at each call, before `open` and after `close`, too.  Only what the host
        of the address said itself belongs here, not what a router said in its place.  An address
        that is repeated within a moment may come once; of too many the rest is dropped: what
        comes is a reason to check, and anybody might have forged it.

        The default is None: this transport does not learn of refusals.
        """
        return None

    def statistics(self) -> TransportStatistics | None:
        """What was sent, received and lost so far; None, the default, if it does not count."""
        return None


class NodeView(Protocol):
    """What handlers may read of a node of the membership half (never keep or change it).

    ``status`` is 0 alive, 1 suspect, 2 dead, 3 left; ``versions`` are the six version bytes
    ``pmin pmax pcur dmin dmax dcur``; ``addr`` holds 4 or 16 bytes exactly as received;
    ``reached`` is whether this node ever had an answer of it, rather than knowing it by hearsay.
    """

    @property
    def name(self) -> str: ...
    @property
    def addr(self) -> bytes: ...
    @property
    def port(self) -> int: ...
    @property
    def meta(self) -> bytes: ...
    @property
    def versions(self) -> bytes: ...
    @property
    def incarnation(self) -> int: ...
    @property
    def status(self) -> int: ...
    @property
    def reached(self) -> bool: ...


class Delegate(Protocol):
    """What rides on membership: metadata, messages, broadcasts and state exchange.

    It may be a `BulkDelegate`, a `PublishingDelegate` and a `LargeStateDelegate` besides: that is
    found out by the methods it has, once, when the node is made.
    """

    def node_meta(self, limit: int) -> bytes:
        """The metadata of the local node, at most ``limit`` bytes."""

    def notify_message(self, message: bytes) -> None:
        """A user message arrived, by packet or by stream."""

    def get_broadcasts(self, overhead: int, limit: int) -> list[bytes]:
        """Messages to piggy-back: the sum of ``len + overhead`` stays within ``limit``."""

    def local_state(self, join: bool) -> bytes:
        """What to send to a peer in a push/pull."""

    def merge_remote_state(self, state: bytes, join: bool) -> None:
        """What a peer sent in a push/pull; never empty."""


@runtime_checkable
class BulkDelegate(Delegate, Protocol):
    """A delegate that handles many messages at little cost; one without this works as in Go."""

    def get_broadcasts_for(self, copies: int, overhead: int, limit: int) -> list[bytes]:
        """As `Delegate.get_broadcasts`, for a packet to ``copies`` nodes that have nothing of it.

        0 means a packet to any one node, and -1 a further packet to the node of the last call.
        """

    def waiting(self) -> int:
        """Bytes that wait to be broadcast."""

    def unsent(self) -> int:
        """Those of them that are new: they are in the next packets to several nodes."""

    def is_duplicate(self, message: bytes) -> bool:
        """Whether a user message in a packet is one that need not be handed over again."""

    def is_request(self, message: bytes) -> bool:
        """Whether handling a user message sends something to wherever the message says.

        Of one packet only as many are handed over as an honest one has room for.
        """


@runtime_checkable
class PublishingDelegate(Delegate, Protocol):
    """A delegate that publishes what other tasks read.

    Without `is_behind` they get one turn for each batch of messages, however much that published.
    """

    def is_behind(self) -> bool:
        """Whether readers have much to catch up with, and do: then they get some turns first."""


@runtime_checkable
class LargeStateDelegate(Delegate, Protocol):
    """A delegate whose part of a push/pull takes long to handle.

    One without this works as in Go: `Delegate.local_state` and `Delegate.merge_remote_state` hold
    up everything else for as long as they take.
    """

    def state_version(self) -> object:
        """What is equal as long as the local state is the same: it is not encoded again."""

    def state_encoder(self, join: bool) -> Callable[[], bytes]:
        """Note the local state; the function returned encodes it, perhaps in another thread."""

    def decode_state(self, state: bytes) -> object:
        """Decode what a peer sent, perhaps in another thread; changes nothing, never raises."""

    def merge_decoded(self, decoded: object, join: bool, began: bool) -> Iterator[None]:
        """Merge what `decode_state` returned; each step is short, and others run in between.

        Args:
          join: the flag of the push/pull.
          began: whether this node began the push/pull.
        """


class EventHandler(Protocol):
    """Notified of every change of membership, the local node included."""

    def notify_join(self, node: NodeView) -> None: ...
    def notify_leave(self, node: NodeView) -> None: ...
    def notify_update(self, node: NodeView) -> None: ...


class ConflictHandler(Protocol):
    """Notified when a second address uses a known name."""

    def notify_conflict(self, existing: NodeView, other: NodeView) -> None: ...


class MergeHandler(Protocol):
    """May refuse the whole state of a joining peer by raising `MergeRefused`."""

    def notify_merge(self, nodes: Sequence[NodeView]) -> None: ...


class AliveHandler(Protocol):
    """May refuse a single alive message by raising `MergeRefused`."""

    def notify_alive(self, node: NodeView) -> None: ...


class PingHandler(Protocol):
    """Exchanges a payload with every direct probe, and learns its round-trip time."""

    def ack_payload(self) -> bytes: ...

    def notify_ping_complete(self, node: NodeView, rtt: float, payload: bytes) -> None:
        """A direct probe was answered after ``rtt`` seconds."""


class Tap(Protocol):
    """Observes a node.  A tap that raises is removed and logged.

    ``name`` is a metric name as Go's, parts joined by dots; ``labels`` those of the
    configuration, plus the metric's own.
    """

    def count(self, name: str, value: float, labels: Mapping[str, str]) -> None: ...
    def gauge(self, name: str, value: float, labels: Mapping[str, str]) -> None: ...
    def sample(self, name: str, value: float, labels: Mapping[str, str]) -> None: ...
