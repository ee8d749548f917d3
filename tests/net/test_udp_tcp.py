"""The real transport: what goes beyond the laws of all transports."""

from __future__ import annotations

import errno
import os
import re
import socket
from contextlib import closing, suppress

import pytest
import trio
import trio.lowlevel
from trio.testing import wait_all_tasks_blocked

from trioserf._net.interfaces import machine_addresses
from trioserf._net.udp_tcp import DRAIN, NetTransport
from trioserf.abc import Address, Packet


class Fake:
    """A datagram socket that answers from a list; exceptions in it are raised."""

    def __init__(self, answers: list[object]) -> None:
        self.answers = answers

    def recvfrom(self, _size: int) -> object:
        if not self.answers:
            raise BlockingIOError
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def getsockopt(self, *_: int) -> bytes:
        raise OSError("no socket")

    def sendto(self, _data: bytes, _to: object) -> int:
        [answer] = self.answers
        assert isinstance(answer, Exception)
        raise answer


FROM = ("127.0.0.1", 7000)


def drain(answers: list[object]) -> tuple[bool, list[bytes], NetTransport]:
    transport = NetTransport("127.0.0.1", 0)
    read = transport._read(Fake(answers))  # type: ignore[arg-type]
    return read is not None, [data for data, _ in read or ()], transport


async def test_one_wake_up_reads_a_limited_number_of_packets() -> None:
    answers: list[object] = [(b"%d" % n, FROM) for n in range(DRAIN + 5)]
    useful, got, transport = drain(answers)
    assert DRAIN == len(got) == transport.statistics().packets_received
    assert 5 == len(answers)
    assert useful


async def test_an_error_of_an_earlier_datagram_does_not_hide_the_next_packets() -> None:
    refused = ConnectionRefusedError(errno.ECONNREFUSED, "refused")
    useful, got, transport = drain([(b"a", FROM), refused, (b"b", FROM)])
    assert [b"a", b"b"] == got
    assert 1 == transport.statistics().receive_errors
    assert useful


async def test_a_round_of_errors_alone_makes_the_loop_rest() -> None:
    down = OSError(errno.ENETDOWN, "network is down")
    useful, got, transport = drain([down, down, down])
    assert [] == got
    assert 3 == transport.statistics().receive_errors
    assert not useful


async def test_a_wake_up_for_nothing_is_no_error() -> None:
    useful, _, _ = drain([])
    assert useful


async def open_with(answers: list[object]) -> NetTransport:
    transport = NetTransport("127.0.0.1", 0)
    await transport.open()
    assert transport._bound is not None
    transport._bound.udp.close()
    object.__setattr__(transport._bound, "udp", Fake(answers))
    return transport


async def test_a_full_buffer_loses_the_packet_and_counts_it() -> None:
    transport = await open_with([BlockingIOError()])
    transport.send_packet(b"x", Address("127.0.0.1", 7000))
    statistics = transport.statistics()
    assert (1, 0) == (statistics.packets_lost, statistics.packets_sent)
    assert transport._listener is not None
    await transport._listener.aclose()


async def test_what_the_system_refuses_to_send_is_a_broken_resource() -> None:
    transport = await open_with([OSError(errno.ENETUNREACH, "Network is unreachable")])
    with pytest.raises(trio.BrokenResourceError, match=r"127.0.0.1:7000.*unreachable"):
        transport.send_packet(b"x", Address("127.0.0.1", 7000))
    assert 1 == transport.statistics().send_errors
    assert transport._listener is not None
    await transport._listener.aclose()


@pytest.mark.parametrize(
    "to", [Address("example.org", 7000), Address("127.0.0.1", 0), Address("::1", 7000)]
)
async def test_an_address_that_cannot_be_reached_is_refused_without_asking_anybody(
    to: Address,
) -> None:
    transport = NetTransport("127.0.0.1", 0)
    await transport.open()
    with pytest.raises(trio.BrokenResourceError):
        transport.send_packet(b"x", to)
    transport.close()


async def test_a_dial_to_a_name_is_an_os_error() -> None:
    transport = NetTransport("127.0.0.1", 0)
    await transport.open()
    with pytest.raises(OSError, match="example"):
        await transport.connect_stream(Address("example.org", 7000))
    assert 1 == transport.statistics().dial_errors
    transport.close()


async def test_a_refused_dial_names_the_address() -> None:
    transport = NetTransport("127.0.0.1", 0)
    await transport.open()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(ConnectionRefusedError) as caught:
            await transport.connect_stream(Address("127.0.0.1", port))
    # Once, and in the form in which addresses are given.
    text = f"cannot connect to 127.0.0.1:{port}: Connection refused"
    assert re.fullmatch(
        rf"\[Errno {errno.ECONNREFUSED}\] {re.escape(text)}(, .*)?", str(caught.value)
    )
    transport.close()


async def test_closing_ends_a_dial_under_way() -> None:
    transport = NetTransport("127.0.0.1", 0)
    await transport.open()
    # A listener that accepts nobody and has no room left: dials to it hang.
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filler in (first, second):
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        async with trio.open_nursery() as nursery:

            async def dial() -> None:
                with pytest.raises(trio.ClosedResourceError):
                    await transport.connect_stream(Address(*full.getsockname()))

            nursery.start_soon(dial)
            await wait_all_tasks_blocked(0.01)
            transport.close()


async def test_a_handler_that_closes_the_transport_is_handed_no_further_packet() -> None:
    a, b = NetTransport("127.0.0.1", 0), NetTransport("127.0.0.1", 0)
    await a.open()
    await b.open()
    for number in range(3):
        a.send_packet(b"%d" % number, b.local_address)
    got: list[bytes] = []

    def handle(packet: Packet) -> None:
        got.append(packet.data)
        b.close()

    with trio.fail_after(5):
        await b.receive_packets(handle)
    assert [b"0"] == got
    a.close()


async def test_statistics_count_both_ways() -> None:
    a, b = NetTransport("127.0.0.1", 0), NetTransport("127.0.0.1", 0)
    await a.open()
    await b.open()
    for _ in range(3):
        a.send_packet(b"12345", b.local_address)
    got: list[Packet] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(b.receive_packets, got.append)
        with trio.fail_after(5):
            while len(got) < 3:
                await trio.lowlevel.checkpoint()
        near = await a.connect_stream(b.local_address)
        far, _ = await b.accept_stream()
        await near.aclose()
        await far.aclose()
        b.close()
    sent, received = a.statistics(), b.statistics()
    assert (3, 15, 1) == (sent.packets_sent, sent.bytes_sent, sent.streams_dialled)
    assert (3, 15, 1) == (
        received.packets_received,
        received.bytes_received,
        received.streams_accepted,
    )
    assert received.receive_buffer > 0
    a.close()


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
async def test_bound_to_every_address_both_families_are_received_in_their_plain_form() -> None:
    wide = NetTransport("0.0.0.0", 0)
    await wide.open()
    port = wide.local_address.port
    got: list[Packet] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wide.receive_packets, got.append)
        for host in ("127.0.0.1", "::1"):
            narrow = NetTransport(host, 0)
            await narrow.open()
            answers: list[Packet] = []
            nursery.start_soon(narrow.receive_packets, answers.append)
            narrow.send_packet(b"question", Address(host, port))
            with trio.fail_after(5):
                while not got:
                    await trio.lowlevel.checkpoint()
                assert narrow.local_address == got[-1].source
                wide.send_packet(b"answer", got[-1].source)
                while not answers:
                    await trio.lowlevel.checkpoint()
            assert Address(host, port) == answers[0].source
            got.clear()
            narrow.close()
        wide.close()


def test_its_repr_shows_its_address_and_state() -> None:
    assert "<NetTransport 127.0.0.1:7946 new>" == repr(NetTransport("127.0.0.1", 7946))
    assert Address("127.0.0.1", 7946) == NetTransport("127.0.0.1", 7946).local_address


async def test_a_call_before_open_is_a_mistake() -> None:
    with pytest.raises(RuntimeError, match="not opened"):
        NetTransport("127.0.0.1", 0).send_packet(b"", Address("127.0.0.1", 1))


async def test_a_peer_that_is_gone_before_it_was_accepted_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    transport = NetTransport("127.0.0.1", 0)
    await transport.open()
    gone = await transport.connect_stream(transport.local_address)
    there = await transport.connect_stream(transport.local_address)
    calls: list[object] = []

    def fail_once(sock: object) -> object:
        calls.append(sock)
        if len(calls) == 1:
            raise OSError(errno.ENOTCONN, "not connected")
        return ("127.0.0.1", 5)

    monkeypatch.setattr("trio._socket._SocketType.getpeername", fail_once)
    stream, peer = await transport.accept_stream()
    assert (2, Address("127.0.0.1", 5)) == (len(calls), peer)
    for each in (gone, there, stream):
        await each.aclose()
    transport.close()


def test_closing_a_transport_that_was_never_open_is_fine() -> None:
    transport = NetTransport("127.0.0.1", 0)
    transport.close()
    assert "<NetTransport 127.0.0.1:0 closed>" == repr(transport)


async def test_what_leads_to_the_bound_port_of_this_machine_leads_here():
    everywhere, loopback = NetTransport("0.0.0.0", 0), NetTransport("127.0.0.1", 0)
    for transport in (everywhere, loopback):
        await transport.open()
    machine = [str(one.ip) for one in machine_addresses()]
    port = everywhere.local_address.port
    for host in ("127.0.0.1", "127.9.9.9", "0.0.0.0", "::1", "::ffff:127.0.0.1", *machine):
        assert everywhere.leads_here(Address(host, port)), host
        assert not everywhere.leads_here(Address(host, port ^ 1))
    assert not everywhere.leads_here(Address("192.0.2.77", port))
    port = loopback.local_address.port
    for host in ("127.0.0.1", "0.0.0.0", "::ffff:127.0.0.1"):
        assert loopback.leads_here(Address(host, port)), host
    for host in ("127.0.0.2", *(host for host in machine if host != "127.0.0.1")):
        assert not loopback.leads_here(Address(host, port)), host
    for transport in (everywhere, loopback):
        transport.close()


@pytest.mark.skipif(os.name != "posix", reason="this system has no such limit")
async def test_without_descriptors_dialling_fails_and_works_again() -> None:
    import resource

    transport = NetTransport("127.0.0.1", 0)
    await transport.open()
    with closing(transport):
        taken = []
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, soft), hard))
        try:
            with suppress(OSError):
                while True:
                    taken.append(socket.socket())
            with pytest.raises(OSError, match="Too many open files") as caught:
                await transport.connect_stream(Address("127.0.0.1", 7))
            assert errno.EMFILE == caught.value.errno
            assert 1 == transport.statistics().dial_errors
        finally:
            for sock in taken:
                sock.close()
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        stream = await transport.connect_stream(transport.local_address)
        await stream.aclose()


async def test_what_a_handler_returns_is_awaited_before_the_next_packet() -> None:
    """What comes meanwhile stays with the system, and keeps its order."""
    got: list[bytes] = []
    free = trio.Event()

    def handler(packet: Packet) -> object:
        got.append(packet.data)
        return free.wait if b"1" == packet.data else None

    async with trio.open_nursery() as nursery:
        a, b = NetTransport("127.0.0.1", 0), NetTransport("127.0.0.1", 0)
        await a.open()
        await b.open()
        await nursery.start(b.receive_packets, handler)
        for number in range(4):
            a.send_packet(b"%d" % number, b.local_address)
        with trio.fail_after(5):
            while len(got) < 2:  # noqa: ASYNC110
                await trio.sleep(0.001)
            await trio.sleep(0.01)
            assert [b"0", b"1"] == got
            free.set()
            while len(got) < 4:  # noqa: ASYNC110
                await trio.sleep(0.001)
        assert [b"0", b"1", b"2", b"3"] == got
        a.close()
        b.close()
