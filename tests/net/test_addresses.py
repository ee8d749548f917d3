"""Address strings, host names, socket addresses, and the choice of what to advertise."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._config import MemberlistConfig
from trioserf._exceptions import ConfigError
from trioserf._net import addresses
from trioserf._net.addresses import (
    ParsedAddress,
    advertised_address,
    choose_advertised,
    family_of,
    from_sockaddr,
    is_private,
    parse_address,
    pick_advertise,
    to_sockaddr,
    zone_number,
)
from trioserf._net.interfaces import InterfaceAddress, machine_addresses
from trioserf.abc import Address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1", ("", "127.0.0.1", 7946)),
        ("::1", ("", "::1", 7946)),
        ("[::1]", ("", "::1", 7946)),
        ("127.0.0.1:9000", ("", "127.0.0.1", 9000)),
        ("[::1]:9000", ("", "::1", 9000)),
        ("[fe80::1%eth0]:9000", ("", "fe80::1%eth0", 9000)),
        ("node/127.0.0.1", ("node", "127.0.0.1", 7946)),
        ("node/::1", ("node", "::1", 7946)),
        ("node/[::1]:9000", ("node", "::1", 9000)),
        ("localhost", ("", "localhost", 7946)),
        ("localhost:1234", ("", "localhost", 1234)),
        ("a/b/127.0.0.1", ("a/b", "127.0.0.1", 7946)),
        ("", ("", "", 7946)),
        (":7946", ("", "", 7946)),
        ("host:0", ("", "host", 0)),
        ("host:65535", ("", "host", 65535)),
        ("host:0080", ("", "host", 80)),
    ],
)
def test_an_address_string_is_taken_apart_as_in_go(
    text: str, expected: tuple[str, str, int]
) -> None:
    assert ParsedAddress(*expected) == parse_address(text, 7946)


@pytest.mark.parametrize(
    "text",
    [
        "/127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:http",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1:70000",
        "127.0.0.1:٣",
        "host:" + "9" * 5000,
        "[::1",
        "[::1]x",
        "[::1]x:80",
        "[::1]:",
    ],
)
def test_a_wrong_address_string_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parse_address(text, 7946)
    assert repr(text)[:50] in str(caught.value)
    assert 300 > len(str(caught.value))


@given(st.text(max_size=30))
def test_any_string_is_taken_apart_or_refused(text: str) -> None:
    try:
        parsed = parse_address(text, 7946)
    except ValueError:
        return
    assert 0 <= parsed.port <= 65535


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.1.2.3", True),
        ("100.64.0.1", True),
        ("172.16.0.1", True),
        ("172.32.0.1", False),
        ("192.168.1.1", True),
        ("198.18.0.1", True),
        ("fd00::1", True),
        ("127.0.0.1", False),
        ("169.254.1.1", False),
        ("192.0.2.1", False),
        ("8.8.8.8", False),
        ("0.0.0.0", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fe80::1", False),
        ("2001:db8::1", False),
        ("2001:4860::1", True),
        ("2a00::1", False),
    ],
)
def test_private_means_what_go_means(text: str, expected: bool) -> None:
    assert expected is is_private(ip_address(text))


def interface(text: str, prefix: int, *, default: bool = False) -> InterfaceAddress:
    return InterfaceAddress(ip_address(text), prefix, default)


CANDIDATES = [
    interface("127.0.0.1", 8),
    interface("10.9.0.1", 24),
    interface("172.16.0.1", 12),
    interface("fd00::2", 64, default=True),
    interface("192.168.7.2", 24, default=True),
    interface("8.8.8.8", 24, default=True),
]


def test_the_private_ipv4_address_of_the_default_interface_goes_first() -> None:
    assert ip_address("192.168.7.2") == choose_advertised(CANDIDATES, ipv6_first=False)


def test_bound_to_every_ipv6_address_a_real_one_is_chosen() -> None:
    assert ip_address("fd00::2") == choose_advertised(CANDIDATES, ipv6_first=True)


def test_without_a_default_interface_the_larger_network_goes_first() -> None:
    assert ip_address("172.16.0.1") == choose_advertised(CANDIDATES[:3], ipv6_first=False)


def test_without_a_private_address_the_error_asks_for_one() -> None:
    with pytest.raises(ValueError, match="give the one to advertise"):
        choose_advertised([interface("8.8.8.8", 24, default=True)], ipv6_first=False)


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        ("10.0.0.1", bytes([10, 0, 0, 1])),
        ("127.0.0.1", bytes([127, 0, 0, 1])),
        ("fd00::1", ip_address("fd00::1").packed),
        ("fe80::1%eth0", ip_address("fe80::1").packed),
    ],
)
def test_a_single_bound_address_is_advertised(bound: str, expected: bytes) -> None:
    assert expected == pick_advertise(bound)


@pytest.mark.parametrize("bound", ["0.0.0.0", "::"])
def test_what_is_chosen_on_this_machine_is_private_or_refused(bound: str) -> None:
    if any(is_private(address.ip) for address in machine_addresses()):
        assert is_private(ip_address(pick_advertise(bound)))
    else:
        with pytest.raises(ValueError, match="no private one"):
            pick_advertise(bound)


def test_what_is_configured_goes_first():
    settings = MemberlistConfig.lan(advertise_addr="192.0.2.7", advertise_port=99)
    assert Address("192.0.2.7", 99) == advertised_address(settings, Address("10.0.0.1", 7946))
    settings = MemberlistConfig.lan(advertise_addr="2001:db8::0:7")
    assert Address("2001:db8::7", 7946) == advertised_address(settings, Address("::1", 7946))


def test_then_what_is_bound():
    assert Address("10.0.0.1", 7946) == advertised_address(
        MemberlistConfig.lan(), Address("10.0.0.1", 7946)
    )


def test_bound_to_every_address_one_is_chosen(monkeypatch):
    monkeypatch.setattr(addresses, "pick_advertise", lambda host: b"\x0a\x01\x02\x03")
    assert Address("10.1.2.3", 5) == advertised_address(
        MemberlistConfig.lan(), Address("0.0.0.0", 5)
    )


@pytest.mark.parametrize("error", [OSError("no"), ValueError("none is private")])
def test_with_nothing_to_choose_the_user_must_give_an_address(monkeypatch, error):
    def pick(host):
        raise error

    monkeypatch.setattr(addresses, "pick_advertise", pick)
    with pytest.raises(ConfigError, match="advertise_addr") as caught:
        advertised_address(MemberlistConfig.lan(), Address("0.0.0.0", 5))
    # What is named is not a setting that nobody gave.
    assert "bind_addr" == caught.value.field
    assert "0.0.0.0" == caught.value.value


def test_a_zone_is_not_advertised():
    settings = MemberlistConfig.lan(advertise_addr="fe80::1%eth0")
    assert Address("fe80::1", 5) == advertised_address(settings, Address("::", 5))


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
