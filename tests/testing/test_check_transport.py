"""The simulated network keeps the laws, and the laws find transports that do not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest
from trio.testing import MockClock

from trioserf.abc import Transport
from trioserf.testing import SimNetwork
from trioserf.testing.check_transport import (
    TRANSPORT_LAWS,
    TransportLaw,
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
