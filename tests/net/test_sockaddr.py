"""Addresses in the form of socket calls, there and back."""

from __future__ import annotations

import socket

import pytest

from trioserf._net.sockaddr import family_of, from_sockaddr, to_sockaddr, zone_number
from trioserf.abc import Address

V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.mark.parametrize(
    ("host", "family", "expected"),
    [
        ("10.0.0.1", V4, ("10.0.0.1", 80)),
        ("::ffff:10.0.0.1", V4, ("10.0.0.1", 80)),
        ("10.0.0.1", V6, ("::ffff:10.0.0.1", 80, 0, 0)),
        ("fd00::1", V6, ("fd00::1", 80, 0, 0)),
        ("fe80::1%3", V6, ("fe80::1", 80, 0, 3)),
    ],
)
def test_an_address_becomes_what_the_socket_needs(
    host: str, family: socket.AddressFamily, expected: tuple[object, ...]
) -> None:
    assert expected == to_sockaddr(Address(host, 80), family)


@pytest.mark.parametrize(
    ("host", "port", "family", "words"),
    [
        ("fd00::1", 80, V4, "cannot reach an IPv6 address"),
        ("example.org", 80, V4, "does not appear to be"),
        ("10.0.0.1", 0, V4, "0 is no port"),
        ("10.0.0.1", 70000, V4, "70000 is no port"),
        ("fe80::1%nowhere0", 80, V6, "no interface 'nowhere0'"),
    ],
)
def test_what_no_socket_can_reach_is_refused(
    host: str, port: int, family: socket.AddressFamily, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        to_sockaddr(Address(host, port), family)


@pytest.mark.parametrize(
    ("sockaddr", "expected"),
    [
        (("10.0.0.1", 80), Address("10.0.0.1", 80)),
        (("::ffff:10.0.0.1", 80, 0, 0), Address("10.0.0.1", 80)),
        (("fd00::1", 80, 0, 0), Address("fd00::1", 80)),
        (("fe80::1", 80, 0, 999999), Address("fe80::1%999999", 80)),
        (("fe80::1%eth0", 80, 0, 2), Address("fe80::1%eth0", 80)),
    ],
)
def test_what_the_socket_gives_becomes_an_address(
    sockaddr: tuple[str, int] | tuple[str, int, int, int], expected: Address
) -> None:
    assert expected == from_sockaddr(sockaddr)


def test_a_zone_goes_by_name_both_ways() -> None:
    [(number, name), *_] = socket.if_nameindex()
    assert number == zone_number(name)
    assert Address(f"fe80::1%{name}", 80) == from_sockaddr(("fe80::1", 80, 0, number))


def test_the_family_follows_the_address() -> None:
    assert V4 == family_of(Address("10.0.0.1", 1))
    assert V4 == family_of(Address("::ffff:10.0.0.1", 1))
    assert V6 == family_of(Address("fe80::1%eth0", 1))
