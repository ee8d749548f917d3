"""The real transport, but deaf to some peers, silent to some, or slow."""

from __future__ import annotations

from collections.abc import Callable

import trio

from trioserf._net.udp_tcp import NetTransport
from trioserf.abc import Address, Packet, Transport


class FaultyTransport(Transport):
    """Sockets whose packets do not all pass; streams do.

    Args:
      host: a loopback address; the port is a free one.
      delay: how long each packet that arrives is delayed (seconds).

    Attributes:
      drops_from: nothing that these addresses send arrives.
      drops_to: nothing is sent to these addresses.
      sent: every packet that was sent, and where to.
    """

    def __init__(self, host: str, *, delay: float = 0.0) -> None:
        self.drops_from: set[str] = set()
        self.drops_to: set[str] = set()
        self.sent: list[tuple[bytes, str]] = []
        self._delay = delay
        self._inner = NetTransport(host, 0)

    async def open(self) -> None:
        await self._inner.open()

    @property
    def local_address(self) -> Address:
        return self._inner.local_address

    def send_packet(self, data: bytes, to: Address) -> None:
        if str(to) not in self.drops_to:
            self.sent.append((data, str(to)))
            self._inner.send_packet(data, to)

    async def receive_packets(
        self,
        handler: Callable[[Packet], object],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        async def hand_over_late(packet: Packet) -> None:
            await trio.sleep(self._delay)
            handler(packet._replace(received_at=packet.received_at + self._delay))

        async with trio.open_nursery() as nursery:

            def take(packet: Packet) -> None:
                if str(packet.source) not in self.drops_from:
                    nursery.start_soon(hand_over_late, packet)

            await self._inner.receive_packets(take, task_status=task_status)

    async def connect_stream(self, to: Address) -> trio.abc.Stream:
        return await self._inner.connect_stream(to)

    async def accept_stream(self) -> tuple[trio.abc.Stream, Address]:
        return await self._inner.accept_stream()

    def close(self) -> None:
        self._inner.close()
