"""A network inside a test: real bytes, simulated links, trio's clock.

::

    async with SimNetwork(seed=1, latency=(0.001, 0.005), loss=0.01) as network:
        a = network.transport("192.0.2.1")
        b = network.transport("192.0.2.2")
        ...
        network.partition(["192.0.2.1"], ["192.0.2.2"])

Time is trio's: with ``MockClock(autojump_threshold=0)`` an hour passes in a moment, with the
real clock it passes as always.  Every random choice comes from one source, so with a seeded
scheduler (`trioserf.testing.determinism`) one seed gives one run.
"""

from __future__ import annotations

import random
from contextlib import AbstractAsyncContextManager, ExitStack
from ipaddress import IPv4Address, ip_address
from types import TracebackType
from typing import Literal, Self, Unpack, final

import trio

from .._seams import sleepers
from ..abc import Address
from .deliveries import Deliveries
from .determinism import threads_in_place
from .jump_sleeper import sleeper_for_this_run
from .links import LatencyLike, Link, LinkChanges
from .network_state import Distance, NetworkState
from .observation import NetworkStatistics, Trace
from .pausing import Processes, join_process
from .sim_transport import SimTransport
from .topology import Hosts, Reject, Topology
from .trio_internals import MockClock

DEFAULT_PORT = 7946
"""The port of Serf."""
_PRIVATE = IPv4Address("10.0.0.0")


@final
class SimNetwork:
    """Hosts, their links, and everything under way between them.

    Args:
      seed: fixes every random choice of the network.
      rng: the random source itself, instead of a seed.
      latency, loss: of the default link; the short form of ``link``.
      link: the default link, instead of ``latency`` and ``loss``.
      distance: seconds from host to host, added to the latency of their link; for networks
        with a geography.
      grain: arrivals are put off to the next multiple of this (seconds), so that those
        close to each other share one wake-up; 0 is exact.
      receive_buffer: bytes that wait in a socket whose owner is slow or stopped.
      stream_window: bytes under way and unread on each direction of a stream.
      give_up: seconds after which a stream that cannot deliver breaks; Linux's own limit.
      count_links: count packets for each pair of hosts too; costs memory with the square of
        the number of hosts.
      trace: is called for everything that happens; see `TraceDigest`.
    """

    def __init__(
        self,
        *,
        seed: int | str = 0,
        rng: random.Random | None = None,
        latency: LatencyLike = 0.0005,
        loss: float = 0.0,
        link: Link | None = None,
        distance: Distance | None = None,
        grain: float = 0.0,
        receive_buffer: int = 2 * 1024 * 1024,
        stream_window: int = 256 * 1024,
        give_up: float = 924.6,
        count_links: bool = False,
        trace: Trace | None = None,
    ) -> None:
        default = Link(latency=latency, loss=loss) if link is None else link
        self._state = NetworkState(
            rng=random.Random(seed) if rng is None else rng,
            topology=Topology(default),
            deliveries=Deliveries(grain),
            distance=distance,
            receive_buffer=receive_buffer,
            stream_window=stream_window,
            give_up=give_up,
            count_links=count_links,
            trace=trace,
        )
        self._processes = Processes()
        self._last_host = 0
        self._in_place = ExitStack()
        self._nursery_manager: AbstractAsyncContextManager[trio.Nursery] | None = None
        self._nursery: trio.Nursery | None = None

    # --- start and end ------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        """Start the delivery task, and let nodes sleep and work as the clock of this run allows."""
        sleepers.set(sleeper_for_this_run)
        self._nursery_manager = trio.open_nursery()
        self._nursery = await self._nursery_manager.__aenter__()
        await self._nursery.start(self._state.deliveries.run)
        if isinstance(trio.lowlevel.current_clock(), MockClock):
            self._in_place.enter_context(threads_in_place())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let stopped hosts go on, close every transport, end the delivery task."""
        assert self._nursery is not None
        assert self._nursery_manager is not None
        for host in tuple(self._state.hosts):
            self.resume(host)
        self.close()
        self._nursery.cancel_scope.cancel()
        # The exception of the body stays outside of the nursery, so that it leaves this
        # block as it is and not in a group.
        with self._in_place:
            await self._nursery_manager.__aexit__(None, None, None)

    def close(self) -> None:
        """Close every transport.  Idempotent."""
        for host in self._state.hosts.values():
            for socket in tuple(host.sockets.values()):
                socket.close()

    # --- hosts --------------------------------------------------------------------------------

    def transport(self, host: str, port: int = DEFAULT_PORT) -> SimTransport:
        """A transport for a process on a host; it binds when it is opened.

        Args:
          host: an IP address; the host is made if it is new.
          port: 0 takes a free one.

        Raises:
          ValueError: not an IP address.
        """
        ip_address(host)
        return SimTransport(self._state, self._state.host(host), port)

    def free_host(self) -> str:
        """An address of 10.0.0.0/8 that no host has yet, in rising order."""
        hosts = self._state.hosts
        while True:
            self._last_host += 1
            host = str(_PRIVATE + self._last_host)
            if self._last_host % 256 not in (0, 255) and host not in hosts:
                return host

    def inject_packet(self, data: bytes, source: Address, to: Address) -> None:
        """Let a packet arrive at this very moment, without loss.

        For input that no node of the network sends; nobody needs to be at ``source``.
        """
        self._state.arrive(source, data, to)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses of all hosts, oldest first."""
        return tuple(self._state.hosts)

    def run_on(self, host: str) -> None:
        """Declare that the calling task, and all that it will start, is a process of a host.

        `pause` stops such tasks; others only find that nothing arrives.
        """
        join_process(self._state.host(host))

    def pause(self, host: str) -> None:
        """Stop the process of a host while time goes on.

        Its tasks (see `run_on`) stand still, what arrives waits in its sockets as long as
        there is room, and its kernel still answers connection attempts.
        """
        stopped = self._state.host(host)
        stopped.paused = True
        self._processes.stop(stopped)

    def resume(self, host: str) -> None:
        """Let a stopped host go on: all that waited happens now."""
        stopped = self._state.host(host)
        if not stopped.paused:
            return
        stopped.paused = False
        self._processes.go_on(stopped)
        waiting, stopped.waiting = stopped.waiting, []
        for send in waiting:
            send()
        for socket in stopped.sockets.values():
            socket.go_on()
        for stream in tuple(stopped.streams):
            stream.wake()

    def is_paused(self, host: str) -> bool:
        """Whether the host is stopped."""
        return self._state.host(host).paused

    def power_off(self, host: str) -> None:
        """Let a machine be gone: nothing leaves it, nothing is answered, by its kernel neither.

        Without this, the kernel of a host whose process has ended refuses what comes to its ports.
        """
        self._state.host(host).down = True

    def power_on(self, host: str) -> None:
        """The machine is back."""
        self._state.host(host).down = False

    def fill_backlog(self, host: str, *, full: bool = True) -> None:
        """Let no new stream to a host find room: its SYN is not answered, as by Linux."""
        self._state.host(host).backlog_full = full

    def move(self, host: str, new_host: str) -> None:
        """Give a host another address, as DHCP may: its sockets stay, old streams hang.

        Links, cuts and partitions belong to addresses and do not move.

        Raises:
          ValueError: the new address is no IP address, or taken.
        """
        ip_address(new_host)
        hosts = self._state.hosts
        if new_host in hosts:
            raise ValueError(f"{new_host} is taken")
        moved = self._state.host(host)
        del hosts[host]
        hosts[new_host] = moved
        moved.address = new_host
        for socket in moved.sockets.values():
            socket.moved()

    def reset_streams(self, host: str, other: str | None = None) -> int:
        """Break every stream of a host, or those with one other host; how many there were."""
        count = 0
        for stream in tuple(self._state.host(host).streams):
            if other is None or stream.peer.host == other:
                stream.reset_both()
                count += 1
        return count

    # --- links --------------------------------------------------------------------------------

    def link(self, source: str, target: str) -> Link:
        """The link in force from one host to another."""
        return self._state.link(source, target)

    def set_link(
        self, source: Hosts, target: Hosts, link: Link | None, *, both_ways: bool = False
    ) -> None:
        """Replace the link from ``source`` to ``target``.

        Args:
          source, target: a host, several, or None for all.  A link for a pair goes before
            one from the source, that before one to the target, that before the default,
            which is the link from None to None.
          link: None takes the replacement away again.
          both_ways: do the same for the way back.
        """
        self._state.topology.set_link(source, target, link)
        if both_ways:
            self._state.topology.set_link(target, source, link)
        self._state.retry_streams()

    def change_link(
        self,
        source: Hosts = None,
        target: Hosts = None,
        *,
        both_ways: bool = False,
        **changes: Unpack[LinkChanges],
    ) -> None:
        """Change some fields of the link from ``source`` to ``target``; see `set_link`."""
        self._state.topology.change_link(source, target, **changes)
        if both_ways:
            self._state.topology.change_link(target, source, **changes)
        self._state.retry_streams()

    def cut(self, source: Hosts, target: Hosts = None, *, both_ways: bool = False) -> None:
        """Let nothing pass from ``source`` to ``target``, neither what is under way."""
        self._state.topology.cut(source, target)
        if both_ways:
            self._state.topology.cut(target, source)

    def mend(self, source: Hosts, target: Hosts = None, *, both_ways: bool = False) -> None:
        """Take back a `cut` made with the same arguments."""
        self._state.topology.mend(source, target)
        if both_ways:
            self._state.topology.mend(target, source)
        self._state.retry_streams()

    def reject(
        self,
        source: Hosts,
        target: Hosts = None,
        *,
        both_ways: bool = False,
        packets: bool = True,
        streams: Literal["rst", "icmp"] | None = "rst",
        by: Literal["host", "router"] = "host",
    ) -> None:
        """Let firewalls refuse what goes from ``source`` to ``target``, and say so.

        It keeps no state: answers to what went the other way are refused, too, and so are
        streams that exist.  One between two hosts goes before one from the source, that before
        one to the target.

        Args:
          source, target: a host, several, or None for all.
          both_ways: do the same for the way back.
          packets, streams, by: see `Reject`.
        """
        reject = Reject(packets=packets, streams=streams, by=by)
        self._state.topology.set_reject(source, target, reject)
        if both_ways:
            self._state.topology.set_reject(target, source, reject)

    def accept(self, source: Hosts, target: Hosts = None, *, both_ways: bool = False) -> None:
        """Take back a `reject` made with the same arguments."""
        self._state.topology.set_reject(source, target, None)
        if both_ways:
            self._state.topology.set_reject(target, source, None)

    def isolate(self, *hosts: str) -> None:
        """Cut hosts off from all others and from each other."""
        self.cut(hosts, None, both_ways=True)

    def partition(self, *groups: Hosts) -> None:
        """Let nothing pass between groups of hosts; the hosts not named form one more group.

        Replaces the partition in force; without groups there is none.
        """
        self._state.topology.partition(group or () for group in groups)
        self._state.retry_streams()

    def heal(self) -> None:
        """Take away the partition and every cut.  Links stay as they are."""
        self._state.topology.heal()
        self._state.retry_streams()

    def reachable(self, source: str, target: str) -> bool:
        """Whether no cut and no partition stands between ``source`` and ``target``, this way."""
        return not self._state.topology.blocked(source, target)

    # --- watching -----------------------------------------------------------------------------

    @property
    def trace(self) -> Trace | None:
        """The function that is called for everything that happens."""
        return self._state.trace

    @trace.setter
    def trace(self, trace: Trace | None) -> None:
        self._state.trace = trace

    def statistics(self) -> NetworkStatistics:
        """Packets, bytes and drops so far."""
        deliveries = self._state.deliveries
        return self._state.counts.snapshot(wake_ups=deliveries.wake_ups, under_way=len(deliveries))

    def inject(self, data: bytes, *, source: Address, to: Address) -> None:
        """Send a packet from any address, without a transport: forged, replayed, or garbage."""
        self._state.send_packet(self._state.host(source.host), source, data, to)
