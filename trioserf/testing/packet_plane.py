"""Packets of a simulated network: what happens between sending and arriving."""

from __future__ import annotations

import math

import attrs
import trio

from ..abc import Address
from .links import Link
from .network_state import Host, NetworkState

MAX_DATAGRAM = 65507
"""Most bytes that UDP carries over IPv4."""


@attrs.define(eq=False)
class PacketPlane:
    """Sends, loses, bends and delivers packets."""

    network: NetworkState

    def send(self, host: Host, source: Address, data: bytes, to: Address) -> None:
        """Put one packet under way.

        Raises:
          trio.BrokenResourceError: longer than a datagram can be.
        """
        if len(data) > MAX_DATAGRAM:
            raise trio.BrokenResourceError(
                f"cannot send {len(data)} bytes to {to}: a datagram carries at most {MAX_DATAGRAM}"
            )
        if host.paused:
            host.held.append(lambda: self._launch(source, data, to))
        else:
            self._launch(source, data, to)

    def _launch(self, source: Address, data: bytes, to: Address) -> None:
        network = self.network
        counts, topology = network.counts, network.topology
        counts.packets_sent += 1
        counts.bytes_sent += len(data)
        start, end = source.host, to.host
        if network.count_links:
            counted = counts.links.setdefault((start, end), [0, 0, 0])
            counted[0] += 1
            counted[1] += len(data)
        if network.trace is not None:
            network.note("send", source, to, data)
        if topology.walled and topology.blocked(start, end):
            self._drop("cut", source, data, to)
            return
        link = network.link(start, end)
        if link.loss and network.rng.random() < link.loss:
            self._drop("loss", source, data, to)
            return
        if link.simple:
            due = trio.current_time() + network.journey(link, start, end)
            network.deliveries.push(due, self._arrive, source, data, to)
        else:
            self._launch_with_defects(link, source, data, to)

    def _launch_with_defects(self, link: Link, source: Address, data: bytes, to: Address) -> None:
        network, rng = self.network, self.network.rng
        start, end = source.host, to.host
        if len(data) > link.mtu:
            self._drop("mtu", source, data, to)
            return
        if link.bandwidth < math.inf and self._queued(link, start, end) > link.queue:
            self._drop("queue", source, data, to)
            return
        copies = 1
        if link.duplicate and rng.random() < link.duplicate:
            network.counts.duplicated += 1
            copies = 2
        for _ in range(copies):
            delay = network.occupy(link, start, end, len(data)) + network.journey(link, start, end)
            if link.reorder and rng.random() < link.reorder:
                network.counts.reordered += 1
                delay += link.reorder_by
            sent = data
            if link.corrupt and data and rng.random() < link.corrupt:
                network.counts.corrupted += 1
                sent = self._flip_a_bit(data)
            network.deliveries.push(trio.current_time() + delay, self._arrive, source, sent, to)

    def _queued(self, link: Link, start: str, end: str) -> float:
        return self.network.backlog(start, end) * link.bandwidth

    def _flip_a_bit(self, data: bytes) -> bytes:
        place = self.network.rng.randrange(len(data) * 8)
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        return bytes(changed)

    def _arrive(self, source: Address, data: bytes, to: Address) -> None:
        network = self.network
        if network.topology.walled and network.topology.blocked(source.host, to.host):
            self._drop("cut", source, data, to)
            return
        host = network.hosts.get(to.host)
        socket = None if host is None else host.sockets.get(to.port)
        if socket is None:
            self._drop("nobody", source, data, to)
        elif not socket.has_room(len(data)):
            self._drop("buffer", source, data, to)
        else:
            counts = network.counts
            counts.packets_delivered += 1
            counts.bytes_delivered += len(data)
            if network.trace is not None:
                network.note("deliver", source, to, data)
            socket.put_packet(data, source)

    def _drop(self, reason: str, source: Address, data: bytes, to: Address) -> None:
        network = self.network
        network.counts.dropped[reason] += 1
        if network.count_links:
            network.counts.links.setdefault((source.host, to.host), [0, 0, 0])[2] += 1
        if network.trace is not None:
            network.note(f"drop {reason}", source, to, data)
