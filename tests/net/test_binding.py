"""Binding one port for UDP and TCP."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from trioserf._net import binding
from trioserf._net.binding import BoundPair, bind_pair
from trioserf.abc import Address


@contextmanager
def bound(host: str, port: int) -> Iterator[BoundPair]:
    pair = bind_pair(host, port)
    try:
        yield pair
    finally:
        pair.udp.close()
        pair.tcp.close()


def test_port_0_takes_one_port_for_both() -> None:
    with bound("127.0.0.1", 0) as pair:
        port = pair.address.port
        assert port > 0
        assert ("127.0.0.1", port) == pair.udp.getsockname() == pair.tcp.getsockname()


def test_a_taken_port_is_named_with_the_way_out() -> None:
    with bound("127.0.0.1", 0) as pair:
        port = pair.address.port
        with pytest.raises(OSError, match=f"127.0.0.1:{port}.*port 0") as caught:
            bind_pair("127.0.0.1", port)
        assert errno.EADDRINUSE == caught.value.errno


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_port_taken_for_either_kind_is_taken(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        with pytest.raises(OSError, match="in use"):
            bind_pair("127.0.0.1", other.getsockname()[1])


def test_port_0_tries_again_when_udp_has_taken_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = binding._bind_once

    def fail_three_times(host: str, port: int) -> BoundPair:
        calls.append(port)
        if len(calls) < 4:
            raise OSError(errno.EADDRINUSE, "taken for UDP")
        return real(host, port)

    monkeypatch.setattr(binding, "_bind_once", fail_three_times)
    with bound("127.0.0.1", 0):
        assert [0, 0, 0, 0] == calls


def test_port_0_gives_up_after_ten_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fail(host: str, port: int) -> BoundPair:
        calls.append(port)
        raise OSError(errno.EADDRINUSE, "taken for UDP")

    monkeypatch.setattr(binding, "_bind_once", fail)
    with pytest.raises(OSError, match=r"127\.0\.0\.1:0"):
        bind_pair("127.0.0.1", 0)
    assert 10 == len(calls)


def test_an_address_of_another_machine_is_refused_with_advice() -> None:
    with pytest.raises(OSError, match="address of this machine"):
        bind_pair("203.0.113.77", 0)


def test_a_name_is_no_address_to_bind_to() -> None:
    with pytest.raises(ValueError, match="example"):
        bind_pair("example.org", 0)


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_every_address_means_both_families(host: str) -> None:
    with bound(host, 0) as pair:
        assert socket.AF_INET6 == pair.family
        assert Address(host, pair.address.port) == pair.address
        for target in ("127.0.0.1", "::1"):
            socket.create_connection((target, pair.address.port), timeout=5).close()


def test_without_ipv6_every_address_means_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding.socket, "has_ipv6", False)
    with bound("0.0.0.0", 0) as pair:
        assert socket.AF_INET == pair.family


def test_the_system_is_asked_for_a_large_receive_buffer() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        usual = plain.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    with bound("127.0.0.1", 0) as pair:
        assert pair.receive_buffer >= usual


def test_a_refused_buffer_is_halved_until_granted() -> None:
    class Stingy(socket.socket):
        asked: list[int] = []  # noqa: RUF012

        def setsockopt(self, level: int, name: int, value: int) -> None:  # type: ignore[override]
            self.asked.append(value)
            if value > 600_000:
                raise OSError(errno.ENOBUFS, "too large")
            super().setsockopt(level, name, value)

    with Stingy(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        binding._ask_receive_buffer(udp)
    assert [4 << 20, 2 << 20, 1 << 20, 1 << 19] == Stingy.asked


def test_where_ipv6_is_switched_off_every_address_means_ipv4(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = binding._bind_family

    def refuse_ipv6(family: socket.AddressFamily, *rest: object) -> BoundPair:
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "no IPv6 here")
        return real(family, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(binding, "_bind_family", refuse_ipv6)
    with bound("0.0.0.0", 0) as pair:
        assert socket.AF_INET == pair.family
    with pytest.raises(OSError, match="cannot bind"):
        bind_pair("::", 0)


def test_an_error_without_a_number_keeps_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(host: str, port: int) -> BoundPair:
        raise OSError("something odd")

    monkeypatch.setattr(binding, "_bind_once", fail)
    with pytest.raises(OSError, match=r"127.0.0.1:5: something odd$"):
        bind_pair("127.0.0.1", 5)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not say")
def test_the_system_says_how_many_datagrams_found_the_buffer_full() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
    ):
        udp.bind(("127.0.0.1", 0))
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        assert 0 == binding.dropped_datagrams(udp)
        for _ in range(100):
            peer.sendto(bytes(1000), udp.getsockname())
        dropped = binding.dropped_datagrams(udp)
        assert dropped is not None
        assert 50 < dropped < 100
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "platform", "plan9")
        assert binding.dropped_datagrams(udp) is None
    assert binding.dropped_datagrams(udp) is None, "it is closed"


def test_a_buffer_that_is_refused_in_any_size_stays_as_it_is() -> None:
    class Refusing(socket.socket):
        def setsockopt(self, level: int, name: int, value: int) -> None:  # type: ignore[override]
            raise OSError(errno.EPERM, "not here")

    with Refusing(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        usual = udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        assert usual == binding._ask_receive_buffer(udp)
