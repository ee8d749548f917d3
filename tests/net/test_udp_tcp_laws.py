"""Real sockets keep the laws of transports, on loopback, for both families."""

from __future__ import annotations

import socket

import pytest

from trioserf._net.udp_tcp import NetTransport
from trioserf.testing.check_transport import TRANSPORT_LAWS, TransportLaw


@pytest.mark.parametrize("law", TRANSPORT_LAWS, ids=lambda law: law.__name__)
async def test_udp_and_tcp_over_ipv4_keep(law: TransportLaw) -> None:
    await law(lambda: NetTransport("127.0.0.1", 0))


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
@pytest.mark.parametrize("law", TRANSPORT_LAWS, ids=lambda law: law.__name__)
async def test_udp_and_tcp_over_ipv6_keep(law: TransportLaw) -> None:
    await law(lambda: NetTransport("::1", 0))
