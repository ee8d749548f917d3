"""Addresses of agents."""

from __future__ import annotations

import pytest

from trioserf._wire.rpc_address import DEFAULT_ADDRESS, TCPAddress, UnixAddress, parse_rpc_address

GOOD = {
    "127.0.0.1:7373": TCPAddress("127.0.0.1", 7373),
    "[::1]:7373": TCPAddress("::1", 7373),
    "[fe80::1%eth0]:1": TCPAddress("fe80::1%eth0", 1),
    "agent.example:0": TCPAddress("agent.example", 0),
    ":7373": TCPAddress("", 7373),
    "unix:/run/serf.sock": UnixAddress("/run/serf.sock"),
    "unix:///run/serf.sock": UnixAddress("/run/serf.sock"),
    "unix:serf.sock": UnixAddress("serf.sock"),
}
BAD = {
    "": "missing address",
    "nonsense": "address nonsense: missing port in address",
    "[::1]": "missing port in address",
    "[::1:7373": "missing ']' in address",
    "[::1]x:1": "missing port in address",
    "::1:7373": "too many colons in address",
    "host:": "missing port in address",
    "host:http": "address tcp/http: unknown port",
    "host:-1": "address -1: invalid port",
    "host:65536": "address 65536: invalid port",
    "host:700000000000000000000": "address 700000000000000000000: invalid port",
    "unix:": "missing path",
}


@pytest.mark.parametrize(("text", "address"), GOOD.items())
def test_addresses_are_taken_apart(text: str, address: TCPAddress | UnixAddress) -> None:
    assert address == parse_rpc_address(text)


@pytest.mark.parametrize(("text", "complaint"), BAD.items())
def test_a_bad_address_is_refused_in_gos_words(text: str, complaint: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared below
        parse_rpc_address(text)
    assert complaint in str(caught.value)


def test_the_default_is_gos() -> None:
    assert TCPAddress("127.0.0.1", 7373) == parse_rpc_address(DEFAULT_ADDRESS)
