"""The client for commands that ask once, against a served node and against what is none."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
import trio

from tests.programs_under_test import loaded_after
from tests.serf.clusters import cluster
from trioserf._exceptions import RemoteProtocolError, RPCError
from trioserf._rpc.blocking import connect
from trioserf._rpc.server import RPCServer, serve
from trioserf._serf.serf import Serf

T = TypeVar("T")


@asynccontextmanager
async def served(
    address: str = "127.0.0.1:0", auth_key: str | None = None
) -> AsyncIterator[tuple[Serf, RPCServer]]:
    async with cluster() as net:
        serf = await net.start("alpha")
        async with trio.open_nursery() as nursery:
            server = await nursery.start(partial(serve, serf, address, auth_key=auth_key))
            yield serf, server
            nursery.cancel_scope.cancel()


async def in_thread(function: Callable[[], T]) -> T:
    with trio.fail_after(10):
        return await trio.to_thread.run_sync(function, abandon_on_cancel=True)


@contextmanager
def answering(*pieces: bytes) -> Iterator[str]:
    """Something that listens, and sends this to the first who connects."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                for piece in pieces:
                    connection.sendall(piece)
                while connection.recv(65536):
                    pass

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(5)


async def test_commands_are_answered() -> None:
    def work() -> None:
        with connect(server.address) as agent:
            (member,) = agent.call("members")["Members"]
            assert ("alpha", "alive") == (member["Name"], member["Status"])
            assert agent.call("event", {"Name": "x", "Payload": b"y"}) is None
            assert "alpha" == agent.call("stats")["agent"]["name"]
            with pytest.raises(RPCError, match=r"^1/1 nodes reported failure$") as caught:
                agent.call("list-keys")
            assert isinstance(caught.value.response, dict)
            assert 1 == caught.value.response["NumErr"]

    async with served() as (_, server):
        await in_thread(work)


async def test_a_socket_in_the_file_system_will_do(tmp_path: Path) -> None:
    def work() -> None:
        with connect(server.address, "s3cret") as agent:
            assert 1 == len(agent.call("members")["Members"])

    async with served(f"unix:{tmp_path / 'serf.sock'}", "s3cret") as (_, server):
        await in_thread(work)


async def test_a_query_is_read_to_its_end() -> None:
    body = {"Name": "q", "RequestAck": True, "Timeout": 200_000_000}

    def work() -> None:
        with connect(server.address) as agent:
            records = list(agent.records("query", body))
            assert [{"From": "alpha", "Payload": b"", "Type": "ack"}] == records
            assert 1 == len(agent.call("members")["Members"])

    async with served() as (_, server):
        await in_thread(work)


async def test_a_stream_goes_on_until_the_agent_goes() -> None:
    def work() -> list[str]:
        names: list[str] = []
        with connect(server.address) as agent:
            assert agent.fileno() > 0
            records = agent.records("stream", {"Type": "user:x,user:end"})
            while "end" not in names:
                names.append(next(records)["Name"])
            trio.from_thread.run_sync(closing.set)
            with pytest.raises(ConnectionError, match=r"^client closed$"):
                list(records)
        return names

    async with served() as (serf, server):
        closing = trio.Event()

        async def fire() -> None:
            while not closing.is_set():
                await serf.user_event("x")
                await serf.user_event("end")
                await trio.sleep(0.01)
            await serf.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(fire)
            assert "end" in await in_thread(work)


async def test_refusals_are_errors() -> None:
    def work() -> None:
        with pytest.raises(RPCError, match=r"^Invalid authentication token$"):
            connect(server.address, "wrong")
        with connect(server.address) as agent:
            for _ in range(2):
                with pytest.raises(RPCError, match=r"^Authentication required$"):
                    agent.call("members")
        with (
            connect(server.address, "s3cret") as agent,
            pytest.raises(RPCError, match=r"^Invalid event filter$"),
        ):
            next(agent.records("stream", {"Type": "bogus"}))

    async with served(auth_key="s3cret") as (_, server):
        await in_thread(work)


def test_a_deadline_ends_a_call() -> None:
    with answering() as address, pytest.raises(TimeoutError):
        connect(address, timeout=0.1)
    handshake = bytes.fromhex("82a54572726f72a0a353657101")
    with answering(handshake) as address, connect(address) as agent:
        agent.deadline = time.monotonic() + 0.05
        for _ in range(2):
            with pytest.raises(TimeoutError):
                agent.call("members")


def test_what_is_no_agent_is_an_error() -> None:
    with answering(b"SSH-2.0-x\r\n") as address, pytest.raises(RemoteProtocolError):
        connect(address)
    with pytest.raises(ConnectionRefusedError):
        connect("127.0.0.1:1")
    with pytest.raises(ValueError, match="address nonsense: missing port in address"):
        connect("nonsense")


def test_it_needs_neither_trio_nor_attrs() -> None:
    loaded = loaded_after("import trioserf._rpc.blocking")
    heavy = {"trio", "attr", "attrs", "argparse", "asyncio", "cryptography", "ipaddress", "logging"}
    assert set() == heavy & loaded


async def test_answers_to_other_commands_are_passed_over() -> None:
    def work() -> None:
        with connect(server.address) as agent:
            agent.send("stats")
            assert 1 == len(agent.call("members")["Members"])
            agent.send("respond", {"ID": 99, "Payload": b""})  # is refused: there is no such query
            body = {"Name": "q", "RequestAck": True, "Timeout": 200_000_000}
            assert ["ack"] == [record["Type"] for record in agent.records("query", body)]

    async with served() as (_, server):
        await in_thread(work)


def test_a_record_of_nobody_ends_no_query_and_is_not_shown() -> None:
    """A Go agent sends one at the end of a query."""

    def header(seq: int) -> bytes:
        return b"\x82\xa5Error\xa0\xa3Seq" + bytes([seq])

    def record(kind: bytes, sender: bytes) -> bytes:
        text = bytes([0xA0 + len(kind)]) + kind, bytes([0xA0 + len(sender)]) + sender
        fields = b"\xa4Type%b\xa4From%b\xa7Payload\xa0" % text
        return header(2) + b"\x83" + fields

    pieces = [
        *(header(1), header(2), record(b"response", b""), record(b"response", b"beta")),
        record(b"done", b""),
    ]
    with answering(*pieces) as address, connect(address) as agent:
        body = {"Name": "q", "Timeout": 200_000_000}
        assert ["beta"] == [each["From"] for each in agent.records("query", body)]


def test_a_short_form_of_an_address_is_no_host() -> None:
    """The system would read 127.1 as 127.0.0.1, and 1.2.3 as 1.2.0.3; Go does not."""
    with pytest.raises(OSError, match=r"'127\.1' is neither an address nor a name"):
        connect("127.1:7373")
