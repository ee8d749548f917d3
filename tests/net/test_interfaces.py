"""The addresses of this machine."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
import sys
from ipaddress import ip_address
from types import SimpleNamespace

import pytest

from trioserf._net import interfaces
from trioserf._net.interfaces import machine_addresses

ALIASES = """
set -e
ip link set lo up
ip link add eth0 type veth peer name p0
ip link set eth0 up
ip addr add 203.0.113.9/24 dev eth0
ip addr add 192.168.140.5/17 dev eth0
ip addr add fd00:7::5/64 dev eth0 nodad
ip addr add fd00:8::5/48 dev eth0 nodad
"""
SHOW = """
from trioserf._net.interfaces import machine_addresses
print(*(f"{one.ip}/{one.prefix}" for one in machine_addresses()))
"""


def test_the_loopback_address_is_among_them() -> None:
    found = {address.ip: address for address in machine_addresses()}
    assert ip_address("127.0.0.1") in found


def test_each_address_is_there_once_with_a_possible_prefix() -> None:
    found = machine_addresses()
    assert len(found) == len({address.ip for address in found})
    assert all(0 <= address.prefix <= address.ip.max_prefixlen for address in found)


def test_loopback_does_not_lead_to_the_world() -> None:
    assert not any(address.default for address in machine_addresses() if address.ip.is_loopback)


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("ip") is None,
    reason="an interface of one's own needs Linux, root, and the program ip",
)
def test_every_address_of_an_interface_is_found() -> None:
    script = f"{ALIASES}\nexec {sys.executable} -c '{SHOW}'"
    done = subprocess.run(
        ["unshare", "--net", "sh", "-c", script], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no network namespace with an interface: {done.stderr.strip()}")
    wanted = {"203.0.113.9/24", "192.168.140.5/17", "fd00:7::5/64", "fd00:8::5/48", "127.0.0.1/8"}
    assert wanted <= set(done.stdout.split())


class Memory:
    """Socket addresses in memory, and the list that ``getifaddrs`` makes of them."""

    def __init__(self, *, has_length: bool) -> None:
        self.has_length = has_length
        self._kept: list[ctypes.Array[ctypes.c_char]] = []

    def sockaddr(self, family: int, ip: str, length: int | None = None) -> int:
        place, raw = (4 if family == socket.AF_INET else 8), ip_address(ip).packed
        size = 16 if family == socket.AF_INET else 28
        head = (
            bytes((size if length is None else length, family))
            if self.has_length
            else family.to_bytes(2, sys.byteorder)
        )
        buffer = ctypes.create_string_buffer(
            (head + bytes(place - 2) + raw).ljust(size, b"\0"), size
        )
        self._kept.append(buffer)
        return ctypes.addressof(buffer)

    def entries(self, *rows: tuple[str, int, int | None, int | None]) -> object:
        entry: object = None
        for name, flags, address, netmask in reversed(rows):
            contents = SimpleNamespace(
                name=name.encode(), flags=flags, address=address, netmask=netmask, next=entry
            )
            entry = SimpleNamespace(contents=contents)
        return entry


@pytest.mark.parametrize("has_length", [False, True])
def test_entries_are_read_as_each_system_writes_them(
    has_length: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interfaces, "_HAS_LENGTH", has_length)
    memory = Memory(has_length=has_length)
    v4, v6 = socket.AF_INET, socket.AF_INET6
    # On BSD the end of a netmask may be left out, and its family is 0.
    short = memory.sockaddr(v4, "255.255.128.0", 7 if has_length else None)
    entries = memory.entries(
        ("eth0", 0x1043, memory.sockaddr(v4, "203.0.113.9"), memory.sockaddr(v4, "255.255.255.0")),
        ("eth0", 0x1043, memory.sockaddr(v4, "192.168.140.5"), short),
        ("eth0", 0x1043, memory.sockaddr(v6, "fd00:7::5"), memory.sockaddr(v6, "ffff:ffff::")),
        ("down0", 0x1002, memory.sockaddr(v4, "10.0.0.1"), None),
        ("odd0", 0x1043, memory.sockaddr(17, "10.0.0.1"), None),
        ("none0", 0x1043, None, None),
        ("tun0", 0x1043, memory.sockaddr(v4, "10.9.0.1"), None),
    )
    assert [
        (ip_address("203.0.113.9"), 24, "eth0"),
        (ip_address("192.168.140.5"), 17, "eth0"),
        (ip_address("fd00:7::5"), 32, "eth0"),
        (ip_address("10.9.0.1"), 32, "tun0"),
    ] == list(interfaces._read_entries(ctypes, entries))


def test_a_system_without_that_call_is_asked_for_the_names_of_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(host: str, port: object) -> list[tuple[object, ...]]:
        return [(2, 1, 6, "", ("10.0.0.5", 0)), (10, 1, 6, "", ("fe80::1%3", 0, 0, 3))]

    def no_library(name: object, **options: object) -> object:
        raise OSError("no C library")

    monkeypatch.setattr(ctypes, "CDLL", no_library)
    monkeypatch.setattr(interfaces.socket, "getaddrinfo", answer)
    found = [ip for ip, _, _ in interfaces._interface_addresses()]
    assert [ip_address("10.0.0.5"), ip_address("fe80::1")] == found


def test_the_addresses_of_one_interface_are_found_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [
        (ip_address("127.0.0.1"), 8, "lo"),
        (ip_address("203.0.113.9"), 24, "eth0"),
        (ip_address("::1"), 128, "lo"),
    ]
    name = socket.if_nameindex()[0][1]
    named = [(ip, prefix, name if each == "lo" else "other0") for ip, prefix, each in rows]
    monkeypatch.setattr(interfaces, "_of_interfaces", lambda: named)
    assert [ip_address("127.0.0.1"), ip_address("::1")] == interfaces.interface_addresses(name)
    with pytest.raises(OSError, match=r"interface|device|name"):
        interfaces.interface_addresses("none-of-that")


def test_a_system_whose_call_fails_is_asked_for_the_names_of_the_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_entries: object) -> int:
        return -1

    library = SimpleNamespace(getifaddrs=fail, freeifaddrs=lambda _entries: None)
    monkeypatch.setattr(ctypes, "CDLL", lambda *_arguments, **_options: library)
    monkeypatch.setattr(
        interfaces.socket, "getaddrinfo", lambda *_arguments: [(2, 1, 6, "", ("10.0.0.5", 0))]
    )
    found = [ip for ip, _, _ in interfaces._interface_addresses()]
    assert [ip_address("10.0.0.5")] == found
