"""The simulated network keeps the laws, and the laws find transports that do not."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count

import pytest
import trio
from trio.testing import MockClock

from trioserf.abc import Address, DialRefused, Packet, Transport
from trioserf.testing import SimNetwork
from trioserf.testing.check_transport import (
    TRANSPORT_LAWS,
    TransportLaw,
    check_a_burst_arrives_in_order,
    check_a_packet_arrives_whole_with_its_source,
    check_a_packet_that_is_too_long_is_refused,
    check_closing_wakes_those_who_wait,
    check_refusals_name_the_address_alone,
    check_transport,
)


def maker(network: SimNetwork) -> Callable[[], Transport]:
    numbers = count(1)
    return lambda: network.transport(f"10.0.0.{next(numbers)}", 0)


@pytest.mark.parametrize("law", TRANSPORT_LAWS, ids=lambda law: law.__name__)
async def test_the_simulated_network_keeps(law: TransportLaw, autojump_clock: MockClock) -> None:
    async with SimNetwork(latency=0.001) as network:
        await law(maker(network))


async def test_all_laws_run_one_after_the_other_over_ipv6(autojump_clock: MockClock) -> None:
    numbers = count(1)
    async with SimNetwork(latency=0.001, grain=0.0005) as network:
        await check_transport(lambda: network.transport(f"fd00::{next(numbers):x}", 0))


class Wrapped(Transport):
    """A transport that hands everything on; the faulty ones below change one thing."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner

    async def open(self) -> None:
        await self.inner.open()

    @property
    def local_address(self) -> Address:
        return self.inner.local_address

    def send_packet(self, data: bytes, to: Address) -> None:
        self.inner.send_packet(data, to)

    async def receive_packets(
        self,
        handler: Callable[[Packet], object],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        await self.inner.receive_packets(handler, task_status=task_status)

    async def connect_stream(self, to: Address) -> trio.abc.Stream:
        return await self.inner.connect_stream(to)

    async def accept_stream(self) -> tuple[trio.abc.Stream, Address]:
        return await self.inner.accept_stream()

    def close(self) -> None:
        self.inner.close()


class Forgetful(Wrapped):
    """Loses every 50th packet."""

    sent = 0

    def send_packet(self, data: bytes, to: Address) -> None:
        self.sent += 1
        if self.sent % 50:
            super().send_packet(data, to)


class Anonymous(Wrapped):
    """Does not say who sent a packet."""

    async def receive_packets(
        self,
        handler: Callable[[Packet], object],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        def hide(packet: Packet) -> None:
            handler(packet._replace(source=Address("10.9.9.9", 1)))

        await self.inner.receive_packets(hide, task_status=task_status)


class Undying(Wrapped):
    """Keeps waiting after it was closed."""

    def close(self) -> None:
        pass


class Raw(Wrapped):
    """Lets the system's own errors through."""

    def send_packet(self, data: bytes, to: Address) -> None:
        try:
            super().send_packet(data, to)
        except trio.BrokenResourceError:
            return


class Slanderous(Wrapped):
    """Says of another address that it refused a packet."""

    def __init__(self, inner: Transport) -> None:
        super().__init__(inner)
        self.reports, self.channel = trio.open_memory_channel[Address](math.inf)

    def refusals(self) -> trio.MemoryReceiveChannel[Address]:
        return self.channel

    def send_packet(self, data: bytes, to: Address) -> None:
        super().send_packet(data, to)
        self.reports.send_nowait(to)


class Hasty(Wrapped):
    """Takes a firewall for the one that refused, every time."""

    async def connect_stream(self, to: Address) -> trio.abc.Stream:
        try:
            return await super().connect_stream(to)
        except ConnectionRefusedError:
            raise DialRefused(to, "icmp") from None


@pytest.mark.parametrize(
    ("fault", "broken_law"),
    [
        (Slanderous, check_refusals_name_the_address_alone),
        (Hasty, check_refusals_name_the_address_alone),
        (Forgetful, check_a_burst_arrives_in_order),
        (Anonymous, check_a_packet_arrives_whole_with_its_source),
        (Undying, check_closing_wakes_those_who_wait),
        (Raw, check_a_packet_that_is_too_long_is_refused),
    ],
)
async def test_a_faulty_transport_is_found_out(
    fault: Callable[[Transport], Transport], broken_law: TransportLaw, autojump_clock: MockClock
) -> None:
    async with SimNetwork(latency=0.001) as network:
        make = maker(network)
        with pytest.raises(AssertionError):
            await broken_law(lambda: fault(make()))
        with pytest.raises(AssertionError):
            await check_transport(lambda: fault(make()))
