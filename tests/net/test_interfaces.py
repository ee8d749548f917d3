"""The addresses of this machine."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest

from trioserf._net import interfaces
from trioserf._net.interfaces import machine_addresses


def test_the_loopback_address_is_among_them() -> None:
    found = {address.ip: address for address in machine_addresses()}
    assert ip_address("127.0.0.1") in found


def test_each_address_is_there_once_with_a_possible_prefix() -> None:
    found = machine_addresses()
    assert len(found) == len({address.ip for address in found})
    assert all(0 <= address.prefix <= address.ip.max_prefixlen for address in found)


def test_loopback_does_not_lead_to_the_world() -> None:
    assert not any(address.default for address in machine_addresses() if address.ip.is_loopback)


def test_lines_of_the_kernel_that_make_no_sense_are_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "if_inet6"
    table.write_text(
        "nonsense\n"
        "fd000000000000000000000000000002 04 40 00 82     eth0\n"
        "zz000000000000000000000000000002 04 40 00 82     eth0\n"
    )
    monkeypatch.setattr(interfaces, "_IF_INET6", table)
    assert [(ip_address("fd00::2"), 64, "eth0")] == list(interfaces._linux_ipv6())


def test_without_the_kernels_table_there_is_no_ipv6(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interfaces, "_IF_INET6", tmp_path / "missing")
    assert [] == list(interfaces._linux_ipv6())


def test_elsewhere_the_names_of_the_host_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(host: str, port: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", ("10.0.0.5", 0)), (10, 1, 6, "", ("fe80::1%3", 0, 0, 3))]

    monkeypatch.setattr(interfaces, "_ON_LINUX", False)
    monkeypatch.setattr(interfaces.socket, "getaddrinfo", answer)
    found = [ip for ip, _, _ in interfaces._interface_addresses()]
    assert [ip_address("10.0.0.5"), ip_address("fe80::1")] == found
