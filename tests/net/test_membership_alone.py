"""The membership half over real sockets: IPv4, IPv6, names, labels and keys."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from tests.interop.waiting import becomes
from trioserf._config import MemberlistConfig
from trioserf.lowlevel import Memberlist, open_memberlist

KEY = bytes(range(32))
needs_ipv6 = pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")


@asynccontextmanager
async def two(host: str, **fields: Any) -> AsyncIterator[tuple[Memberlist, Memberlist]]:
    """Two nodes on free ports of ``host``."""
    settings = {"bind_addr": host, "bind_port": 0, "push_pull_interval": 0.0, **fields}
    with trio.fail_after(10):
        async with (
            open_memberlist(MemberlistConfig.local(name="a", **settings)) as one,
            open_memberlist(MemberlistConfig.local(name="b", **settings)) as other,
        ):
            yield one, other


async def see_each_other(*nodes: Memberlist) -> None:
    await becomes([len(nodes)] * len(nodes), lambda: [node.num_alive for node in nodes])


@pytest.mark.parametrize("fields", [{}, {"label": "blue"}, {"label": "blue", "secret_key": KEY}])
@pytest.mark.parametrize("host", ["127.0.0.1", pytest.param("::1", marks=needs_ipv6)])
async def test_two_nodes_meet(host: str, fields: dict[str, Any]) -> None:
    async with two(host, **fields) as (one, other):
        assert 1 == await one.join([f"b/{other.advertise_address}"])
        await see_each_other(one, other)
        assert 0 < await one.ping("b", other.advertise_address) < 1
        assert {} == dict(other.statistics().bad_input)
        assert 0 == other.statistics().packets_lost


async def test_a_name_is_looked_up_by_the_system() -> None:
    async with two("127.0.0.1") as (one, other):
        assert 1 == await one.join([f"localhost:{other.advertise_address.port}"])
        await see_each_other(one, other)


@needs_ipv6
async def test_bound_to_every_address_both_families_are_joined() -> None:
    async with two("0.0.0.0", advertise_addr="127.0.0.1") as (one, other):
        port = other.advertise_address.port
        assert 2 == await one.join([f"[::1]:{port}", f"127.0.0.1:{port}"])
        await see_each_other(one, other)
