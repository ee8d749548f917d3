"""What the seams do by themselves: resolving names, and transports that count nothing."""

from __future__ import annotations

import errno
import pickle
import socket

import pytest
import trio

from tests.memberlist.kit import Wire
from trioserf.abc import Address, DialRefused, resolve


def test_a_transport_need_not_count() -> None:
    assert Wire().statistics() is None


def test_a_transport_need_not_learn_of_refusals() -> None:
    assert Wire().refusals() is None


def test_a_refused_dial_says_what_refused_it() -> None:
    error = DialRefused(Address("10.0.0.1", 7946), "rst")
    assert isinstance(error, ConnectionRefusedError)
    assert errno.ECONNREFUSED == error.errno
    assert "10.0.0.1:7946: Connection refused, no process listens there" in str(error)
    assert "rejected on the way" in str(DialRefused(error.address, "icmp"))
    twin = pickle.loads(pickle.dumps(error))
    assert (error.address, "rst", str(error)) == (twin.address, twin.source, str(twin))


async def test_a_transport_resolves_as_the_system_does_by_default() -> None:
    assert [Address("10.0.0.1", 7946)] == await Wire().resolve("10.0.0.1", 7946)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
    ],
)
async def test_an_ip_address_resolves_to_its_shortest_form(host: str, expected: str) -> None:
    with trio.testing.assert_checkpoints():
        assert [Address(expected, 7946)] == await resolve(host, 7946)


async def test_a_zone_is_kept() -> None:
    assert [Address("fe80::1%eth0", 7946)] == await resolve("fe80::1%eth0", 7946)


class Resolver(trio.abc.HostnameResolver):
    """Knows one name with three addresses, one of them twice."""

    async def getaddrinfo(  # type: ignore[override]
        self, host: bytes | None, port: object, family: int, type: int, proto: int, flags: int
    ) -> list[tuple[object, ...]]:
        if host != b"cluster.example":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        rows = [("10.0.0.1", port), ("fd00::1", port, 0, 0), ("10.0.0.1", port)]
        return [(socket.AF_INET, type, 0, "", row) for row in rows]

    async def getnameinfo(self, sockaddr: object, flags: int) -> tuple[str, str]:
        raise OSError("not asked")


async def test_a_name_resolves_to_all_its_addresses_each_once() -> None:
    trio.socket.set_custom_hostname_resolver(Resolver())
    expected = [Address("10.0.0.1", 9000), Address("fd00::1", 9000)]
    assert expected == await resolve("cluster.example", 9000)


@pytest.mark.parametrize("host", ["nowhere.example", "b/127.0.0.1", "", "a" * 70, "a..b", "\udcff"])
async def test_an_unknown_name_is_an_os_error(host: str) -> None:
    trio.socket.set_custom_hostname_resolver(Resolver())
    with pytest.raises(OSError, match=r"Name or service not known|no host name|no address"):
        await resolve(host, 7946)


@pytest.mark.parametrize("host", ["1.2.3", "127.1", "0x7f000001"])
async def test_half_an_address_leads_nowhere(host: str) -> None:
    with pytest.raises(socket.gaierror, match="neither an address nor a name"):
        await resolve(host, 1)
