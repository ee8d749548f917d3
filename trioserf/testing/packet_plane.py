"""Packets of a simulated network: what happens between sending and arriving."""

from __future__ import annotations

import math

import attrs
import trio

from ..abc import Address
from .fabric import Fabric, Host
from .links import Link

MAX_DATAGRAM = 65507
"""Most bytes that UDP carries over IPv4."""


@attrs.define(eq=False)
class PacketPlane:
    """Sends, loses, bends and delivers packets."""

    fabric: Fabric

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
        fabric = self.fabric
        counts, topology = fabric.counts, fabric.topology
        counts.packets_sent += 1
        counts.bytes_sent += len(data)
        start, end = source.host, to.host
        if fabric.count_links:
            counted = counts.links.setdefault((start, end), [0, 0, 0])
            counted[0] += 1
            counted[1] += len(data)
        if fabric.trace is not None:
            fabric.note("send", source, to, data)
        if topology.walled and topology.blocked(start, end):
            self._drop("cut", source, data, to)
            return
        link = fabric.link(start, end)
        if link.loss and fabric.rng.random() < link.loss:
            self._drop("loss", source, data, to)
            return
        if link.simple:
            due = trio.current_time() + fabric.journey(link, start, end)
            fabric.deliveries.push(due, self._arrive, source, data, to)
        else:
            self._launch_with_defects(link, source, data, to)

    def _launch_with_defects(self, link: Link, source: Address, data: bytes, to: Address) -> None:
        fabric, rng = self.fabric, self.fabric.rng
        start, end = source.host, to.host
        if len(data) > link.mtu:
            self._drop("mtu", source, data, to)
            return
        if link.bandwidth < math.inf and self._queued(link, start, end) > link.queue:
            self._drop("queue", source, data, to)
            return
        copies = 1
        if link.duplicate and rng.random() < link.duplicate:
            fabric.counts.duplicated += 1
            copies = 2
        for _ in range(copies):
            delay = fabric.occupy(link, start, end, len(data)) + fabric.journey(link, start, end)
            if link.reorder and rng.random() < link.reorder:
                fabric.counts.reordered += 1
                delay += link.reorder_by
            sent = data
            if link.corrupt and data and rng.random() < link.corrupt:
                fabric.counts.corrupted += 1
                sent = self._flip_a_bit(data)
            fabric.deliveries.push(trio.current_time() + delay, self._arrive, source, sent, to)

    def _queued(self, link: Link, start: str, end: str) -> float:
        return self.fabric.backlog(start, end) * link.bandwidth

    def _flip_a_bit(self, data: bytes) -> bytes:
        place = self.fabric.rng.randrange(len(data) * 8)
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        return bytes(changed)

    def _arrive(self, source: Address, data: bytes, to: Address) -> None:
        fabric = self.fabric
        if fabric.topology.walled and fabric.topology.blocked(source.host, to.host):
            self._drop("cut", source, data, to)
            return
        host = fabric.hosts.get(to.host)
        socket = None if host is None else host.sockets.get(to.port)
        if socket is None:
            self._drop("nobody", source, data, to)
        elif not socket.has_room(len(data)):
            self._drop("buffer", source, data, to)
        else:
            counts = fabric.counts
            counts.packets_delivered += 1
            counts.bytes_delivered += len(data)
            if fabric.trace is not None:
                fabric.note("deliver", source, to, data)
            socket.put_packet(data, source)

    def _drop(self, reason: str, source: Address, data: bytes, to: Address) -> None:
        fabric = self.fabric
        fabric.counts.dropped[reason] += 1
        if fabric.count_links:
            fabric.counts.links.setdefault((source.host, to.host), [0, 0, 0])[2] += 1
        if fabric.trace is not None:
            fabric.note(f"drop {reason}", source, to, data)
