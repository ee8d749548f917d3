from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from trioserf._swim.admission import AllowedNetworks, defect

from .builders import VERSIONS, alive, ip


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"addr": bytes(15) + b"\x01"},
        {"port": 1},
        {"port": 65535},
        {"incarnation": 1},
        {"incarnation": 2**32 - 1},
        {"meta": None},
        {"meta": bytes(512)},
        {"versions": VERSIONS + b"more"},
    ],
)
def test_a_well_formed_alive_message_has_no_defect(fields: dict[str, Any]) -> None:
    assert defect(alive(**fields)) is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": ""}, "no name"),
        ({"addr": None}, "an address of 0 bytes"),
        ({"addr": b"\x0a\0\0"}, "an address of 3 bytes"),
        ({"addr": bytes(17)}, "an address of 17 bytes"),
        ({"port": 0}, "port 0"),
        ({"incarnation": 0}, "incarnation 0"),
        ({"versions": None}, "versions missing"),
        ({"versions": VERSIONS[:5]}, "versions 0105020205"),
        ({"versions": bytes(6)}, "versions 000000000000"),
        ({"versions": bytes((3, 2, 2, 0, 0, 0))}, "versions 030202000000"),
        ({"meta": bytes(513)}, "metadata of 513 bytes"),
    ],
)
def test_a_malformed_alive_message_has_a_defect(fields: dict[str, Any], reason: str) -> None:
    assert reason == defect(alive(**fields))


def test_without_networks_every_address_is_allowed() -> None:
    networks = AllowedNetworks(())
    assert not networks
    assert networks.allow(ip("b"))
    assert networks.allow(b"odd")


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        (bytes((10, 1, 2, 3)), True),
        ("10.1.2.3", True),
        (bytes(10) + b"\xff\xff" + bytes((10, 1, 2, 3)), True),
        (bytes((11, 1, 2, 3)), False),
        (bytes(10) + b"\xff\xff" + bytes((11, 1, 2, 3)), False),
        (b"\xfd" + bytes(15), True),
        ("fd00::1%eth0", True),
        (bytes(16), False),
        (b"\x0a\0\0", False),
        (b"", False),
        ("a name", False),
    ],
)
def test_an_address_is_allowed_if_one_network_contains_it(
    address: bytes | str, allowed: bool
) -> None:
    networks = AllowedNetworks([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])
    assert networks
    assert allowed == networks.allow(address)
