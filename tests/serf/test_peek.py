"""Looking at a cluster without joining it, at simulated nodes and at what else listens on ports."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import trio

import trioserf
from trioserf._config import Config
from trioserf._events import MemberStatus
from trioserf._exceptions import ConfigError, LocalProtocolError, RemoteProtocolError
from trioserf._serf.members_view import Members
from trioserf._serf.open import open_serf
from trioserf._serf.peek import MAX_ADDRESSES, _codec, look
from trioserf._serf.serf import Serf
from trioserf._wire.messages import ErrorReply, NodeRecord, Ping, encode_message
from trioserf._wire.streams import StreamCodec, frame, push_pull_bytes

from .clusters import Cluster, address, cluster, drain, host, status, until

KEY = b"k" * 16
OTHER = b"o" * 16


async def peek(c: Cluster, at: str, key: bytes | None = None, label: str = "") -> Members:
    """From a host of the simulated network that has no node."""
    transport = c.network.transport("10.0.1.1", 0)
    await transport.open()
    try:
        return await look(at, _codec(key, label), 10.0, connect=transport.connect_stream)
    finally:
        transport.close()


def traces(node: Serf) -> tuple[object, ...]:
    """Everything of a node that a visitor could have changed."""
    counts = node.statistics()
    memberlist = counts.memberlist
    return (
        node.members(),
        drain(node),
        (counts.member_time, counts.event_time, counts.query_time, counts.stored_intents),
        {name: queue.depth for name, queue in counts.queues.items()},
        (memberlist.queued_broadcasts, memberlist.bad_input, counts.bad_input),
        (memberlist.seeds, memberlist.lost, memberlist.conflicts, memberlist.refuted),
        memberlist.incarnation,
    )


@pytest.mark.parametrize(
    "fields",
    [{}, {"secret_key": KEY}, {"label": "blue"}, {"secret_key": KEY, "label": "blue"}],
    ids=["plain", "encrypted", "labelled", "both"],
)
async def test_the_members_are_seen_and_nobody_sees_who_looks(
    autojump_clock: trio.testing.MockClock, fields: dict[str, Any]
) -> None:
    async with cluster() as c:
        nodes = await c.joined("a", "b", tags={"role": "web"}, **fields)
        before = [traces(node) for node in nodes]
        key, label = fields.get("secret_key"), fields.get("label", "")
        assert nodes[0].members() == await peek(c, address(nodes[0]), key, label)
        await trio.sleep(60)
        assert before == [traces(node) for node in nodes]


async def test_statuses_are_those_of_serf(autojump_clock: trio.testing.MockClock) -> None:
    async with cluster() as c:
        nodes = await c.joined("a", "b", "c", "d")
        await nodes[1].leave()
        await nodes[1].aclose()
        await nodes[2].aclose()
        await until(lambda: status(nodes[0], "c") is MemberStatus.FAILED)
        await nodes[0].remove_failed_node("c")
        await nodes[3].aclose()
        await until(lambda: status(nodes[0], "d") is MemberStatus.FAILED)
        seen = await peek(c, address(nodes[0]))
        assert ["alive", "left", "left", "failed"] == [str(member.status) for member in seen]
        await trio.sleep(60)  # the records are dropped, the names are not
        seen = await peek(c, address(nodes[0]))
        assert ["alive", "left", "left", "failed"] == [str(member.status) for member in seen]
        assert ("0.0.0.0", 0) == (str(seen[3].addr), seen[3].port)


@pytest.mark.parametrize(
    ("fields", "key", "label", "text"),
    [
        ({"secret_key": KEY}, None, "", "encrypts, and no encrypt_key was given"),
        ({"secret_key": KEY}, OTHER, "", "encrypts with another key than encrypt_key"),
        ({}, KEY, "", "does not encrypt, and an encrypt_key was given"),
        ({"label": "blue"}, None, "", "has a label, and none was given"),
        ({"label": "blue"}, None, "red", "has another label than 'red'"),
        ({}, None, "red", "has another label than 'red'"),
    ],
)
async def test_a_wrong_key_or_label_is_named(
    autojump_clock: trio.testing.MockClock,
    fields: dict[str, Any],
    key: bytes | None,
    label: str,
    text: str,
) -> None:
    async with cluster() as c:
        node = await c.start("a", **fields)
        with pytest.raises(RemoteProtocolError, match=text):
            await peek(c, address(node), key, label)


async def test_a_stopped_process_and_a_host_that_is_down_differ(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async with cluster() as c:
        node = await c.start("a")
        c.network.pause(host(node))
        with pytest.raises(TimeoutError, match="accepts connections, but sent no state"):
            await peek(c, address(node))
        c.network.resume(host(node))
        with pytest.raises(TimeoutError, match="did not answer within 10 s"):
            await peek(c, "10.9.9.9:7946")
        with pytest.raises(ConnectionRefusedError):
            await peek(c, f"{host(node)}:1")


@pytest.mark.parametrize("bad", ["h:x", "/h", "h:99999"])
async def test_an_impossible_address_is_said_at_once(bad: str) -> None:
    with pytest.raises(LocalProtocolError):
        await trioserf.peek(bad)


async def test_an_impossible_key_or_label_is_said_at_once() -> None:
    with pytest.raises(ConfigError, match="encrypt_key"):
        await trioserf.peek("127.0.0.1", encrypt_key="short")
    with pytest.raises(LocalProtocolError, match="label"):
        await trioserf.peek("127.0.0.1", label="l" * 256)


# --- on loopback --------------------------------------------------------------------------


async def served(
    nursery: trio.Nursery, handler: Callable[[trio.SocketStream], Awaitable[object]]
) -> str:
    """The address of a server; each connection goes to the handler."""

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            with suppress(trio.BrokenResourceError):
                await handler(stream)

    listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
    return f"127.0.0.1:{listeners[0].socket.getsockname()[1]}"


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "speaks HTTP and is no node"),
        (b"<!DOCTYPE html>", "speaks HTTP and is no node"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "speaks SSH and is no node"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "speaks TLS and is no node"),
        (b"-ERR unknown\r\n", "sent what no node sends"),
        (b"", "closed the connection without a reply"),
        (
            frame(encode_message(Ping(1, "x", None, 0, "")), StreamCodec(), None),
            "replied with Ping, expected its state",
        ),
        (
            frame(encode_message(ErrorReply("no room")), StreamCodec(), None),
            "replied with an error: no room",
        ),
    ],
)
async def test_what_is_no_node_is_named(nursery: trio.Nursery, reply: bytes, text: str) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(reply)

    with pytest.raises(RemoteProtocolError, match=text):
        await trioserf.peek(await served(nursery, answer), timeout=5)


async def test_a_server_that_waits_for_the_end_of_the_request_gets_it(
    nursery: trio.Nursery,
) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        while await stream.receive_some():
            pass
        await stream.send_all(b"HTTP/1.0 400 Bad request syntax\r\n\r\n")

    with pytest.raises(RemoteProtocolError, match="speaks HTTP"):
        await trioserf.peek(await served(nursery, answer), timeout=0.2)


async def test_a_peer_that_resets_the_connection_is_named(nursery: trio.Nursery) -> None:
    async def answer(stream: trio.SocketStream) -> None:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with pytest.raises((ConnectionResetError, RemoteProtocolError)):
        await trioserf.peek(await served(nursery, answer), timeout=5)


async def test_nobody_there_is_a_refused_connection_with_the_address() -> None:
    with pytest.raises(ConnectionRefusedError, match=r"127\.0\.0\.1:9: "):
        await trioserf.peek("127.0.0.1:9")


async def test_a_name_that_nobody_knows_is_an_error_of_the_resolver() -> None:
    resolver = FakeResolver({})
    trio.socket.set_custom_hostname_resolver(resolver)
    with pytest.raises(socket.gaierror, match="nobody"):
        await trioserf.peek("nobody.example:7946")


async def test_a_resolver_that_is_silent_costs_no_more_than_the_time_limit(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Silent(FakeResolver):
        async def getaddrinfo(self, *arguments, **options):  # type: ignore[no-untyped-def,override]
            await trio.sleep_forever()

    trio.socket.set_custom_hostname_resolver(Silent({}))
    started = trio.current_time()
    with pytest.raises(TimeoutError, match=r"no address of 'some\.example' was found within 3 s"):
        await trioserf.peek("some.example", timeout=3)
    assert 3.0 == trio.current_time() - started


async def test_an_address_on_a_link_that_is_not_there_is_named() -> None:
    with pytest.raises(OSError, match=r"cannot connect to .*fe80::1%nolink"):
        await trioserf.peek("[fe80::1%nolink]:7946", timeout=5)


class FakeResolver(trio.abc.HostnameResolver):
    """Knows the addresses of some names."""

    def __init__(self, names: dict[str, list[str]]) -> None:
        self.names = names

    async def getaddrinfo(self, host, port, family=0, type=0, proto=0, flags=0):  # type: ignore[no-untyped-def,override]
        name = host.decode() if isinstance(host, bytes) else host
        if name not in self.names:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in self.names[name]]

    async def getnameinfo(self, sockaddr, flags):  # type: ignore[no-untyped-def,override]
        raise AssertionError("no address is looked up backwards")


async def test_the_addresses_of_a_name_are_tried_in_turn(nursery: trio.Nursery) -> None:
    config = Config.local(node_name="a", bind="127.0.0.1:0", leave_on_exit=False)
    async with open_serf(config) as node:
        port = node.memberlist.advertise_address.port
        names = {
            "some.example": ["127.0.9.1", "127.0.9.2", "127.0.0.1"],
            "none.example": [f"127.0.9.{last}" for last in range(1, MAX_ADDRESSES + 5)],
        }
        trio.socket.set_custom_hostname_resolver(FakeResolver(names))
        seen = await trioserf.peek(f"some.example:{port}")
        assert ["a"] == list(seen.names)
        with pytest.raises(ConnectionRefusedError, match=r"127\.0\.9\.1:") as caught:
            await trioserf.peek(f"none.example:{port}")
        assert MAX_ADDRESSES - 1 == len(caught.value.__notes__)


async def test_records_that_no_node_could_use_are_left_out(nursery: trio.Nursery) -> None:
    versions = bytes((1, 5, 2, 2, 5, 4))
    records = [
        NodeRecord("a", b"\x0a\0\0\1", 7946, b"", 1, 0, versions),
        NodeRecord("b", None, 7946, None, 1, 1, None),
        NodeRecord("c", b"\x0a\0\0\1", 7946, b"", 1, 9, versions),
        NodeRecord("", b"\x0a\0\0\1", 7946, b"", 1, 0, versions),
    ]
    reply = frame(push_pull_bytes(False, records, b""), StreamCodec(), None)

    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(reply)

    seen = await trioserf.peek(await served(nursery, answer))
    assert {"a": MemberStatus.ALIVE, "b": MemberStatus.ALIVE} == {
        member.name: member.status for member in seen
    }
