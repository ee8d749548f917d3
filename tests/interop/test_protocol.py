"""The protocol below members and events, against a real agent: probes, streams, names, keys."""

from __future__ import annotations

import base64
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

import trioserf
from tests.interop.addresses import free_host, free_port
from tests.interop.agents import GoAgent, go_agent
from tests.interop.nodes import trioserf_node
from tests.interop.waiting import becomes, found, limit, stays
from trioserf._net.udp_tcp import NetTransport
from trioserf._wire.messages import Ack, IndirectPing, Nack, Ping, encode_message
from trioserf._wire.packets import MAX_PARTS, PacketCodec, decode_packet, make_compound
from trioserf.abc import Address, Packet, Transport


@asynccontextmanager
async def node_at(
    bind: str, *, name: str = "py-1", transport: Transport | None = None, **fields: Any
) -> AsyncIterator[trioserf.Serf]:
    """A trioserf node at a given address, or over a given transport; it ends without a leave."""
    host, _, port = bind.rpartition(":")
    memberlist = trioserf.MemberlistConfig.lan(
        bind_addr=host, bind_port=int(port), transport=transport
    )
    config = trioserf.Config(node_name=name, memberlist=memberlist, leave_on_exit=False, **fields)
    async with trioserf.open(config) as serf:
        yield serf


def free_bind() -> str:
    host = free_host()
    return f"{host}:{free_port(host)}"


class WithoutPackets(Transport):
    """UDP and TCP, of which UDP can be blocked in both directions."""

    def __init__(self, inner: Transport) -> None:
        self.inner = inner
        self.blocked = False
        self.lost = 0

    async def open(self) -> None:
        await self.inner.open()

    @property
    def local_address(self) -> Address:
        return self.inner.local_address

    def send_packet(self, data: bytes, to: Address) -> None:
        if self.blocked:
            self.lost += 1
        else:
            self.inner.send_packet(data, to)

    async def receive_packets(
        self,
        handler: Callable[[Packet], object],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        def pass_on(packet: Packet) -> None:
            if self.blocked:
                self.lost += 1
            else:
                handler(packet)

        await self.inner.receive_packets(pass_on, task_status=task_status)

    async def connect_stream(self, to: Address) -> trio.abc.Stream:
        return await self.inner.connect_stream(to)

    async def accept_stream(self) -> tuple[trio.abc.Stream, Address]:
        return await self.inner.accept_stream()

    def close(self) -> None:
        self.inner.close()


@limit(90)
async def test_probes_succeed_both_ways_for_a_minute_and_carry_coordinates(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-1") as agent,
        trioserf_node(nursery, name="py-1") as node,
    ):
        await node.serf.join([agent.address])
        await becomes("alive", lambda: agent.status_of("py-1"))
        await stays("alive", lambda: agent.status_of("py-1"), seconds=60)
        assert "Suspect" not in agent.log
        assert "refuting" not in agent.log
        statistics = node.serf.statistics().memberlist
        assert statistics.probes >= 50
        assert (0, 0, 0) == (statistics.probes_failed, statistics.refuted, statistics.suspect)
        # A coordinate comes with each ack: in both directions.
        assert node.serf.cached_coordinate("go-1") is not None
        assert "rtt" in await agent.command("rtt", "go-1", "py-1")


@limit(60)
async def test_with_udp_blocked_streams_keep_both_sides_alive(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    bind = free_bind()
    host, _, port = bind.rpartition(":")
    transport = WithoutPackets(NetTransport(host, int(port)))
    async with (
        go_agent(binary, tmp_path, name="go-1") as agent,
        node_at(bind, transport=transport) as serf,
    ):
        await serf.join([agent.address])
        await becomes("alive", lambda: agent.status_of("py-1"))
        transport.blocked = True

        def theirs() -> str:
            member = serf.members().get("go-1")
            return str(member.status) if member else "unknown"

        async def both() -> tuple[str | None, str]:
            return await agent.status_of("py-1"), theirs()

        await stays(("alive", "alive"), both, seconds=20)
        assert transport.lost > 20
        assert "Was able to connect to py-1 but other probes failed" in agent.log


@limit(60)
async def test_a_restart_at_the_same_address_has_a_higher_incarnation_than_the_former_run(
    binary: Path, tmp_path: Path
) -> None:
    bind = free_bind()
    async with go_agent(binary, tmp_path, name="go-1") as agent:
        async with node_at(bind) as serf:
            await serf.join([agent.address])
            for number in range(3):
                await serf.set_tags({"version": str(number)})
            before = serf.memberlist.local_node.incarnation
            await becomes({"version": "2"}, lambda: agent.tags_of("py-1"))
        async with node_at(bind, tags={"version": "new"}) as serf:
            assert 1 == serf.memberlist.local_node.incarnation
            await serf.join([agent.address])
            await becomes(before + 1, lambda: serf.memberlist.local_node.incarnation)
            await becomes({"version": "new"}, lambda: agent.tags_of("py-1"))
            assert "alive" == await agent.status_of("py-1")


@limit(60)
async def test_the_name_of_a_dead_node_is_a_conflict_to_go_until_it_forgets(
    binary: Path, tmp_path: Path
) -> None:
    async with go_agent(binary, tmp_path, name="go-1", profile="local") as agent:
        async with node_at(free_bind()) as serf:
            await serf.join([agent.address])
            await becomes("alive", lambda: agent.status_of("py-1"))
        await becomes("failed", lambda: agent.status_of("py-1"), seconds=20)
        elsewhere = free_bind()
        async with node_at(elsewhere, enable_name_conflict_resolution=False) as serf:
            await serf.join([agent.address])
            await agent.wait_for_log("Conflicting address for py-1")
            assert "failed" == await agent.status_of("py-1")
            # The record is dropped 15 s after the dead message; what it sends then is not stale.

            async def listed_again() -> str | None:
                await serf.join([agent.address])
                return await agent.status_of("py-1")

            await becomes("alive", listed_again, seconds=30)
            assert elsewhere == (await agent.members())["py-1"].addr


async def ask(agent: GoAgent, *packets: bytes, answers: int) -> list[Any]:
    """Send raw datagrams to an agent; its acks and nacks, in order, without what they piggyback."""
    host, _, port = agent.address.rpartition(":")
    got: list[Any] = []
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        await udp.bind((free_host(), 0))
        for packet in packets:
            await udp.sendto(packet, (host, int(port)))
        with trio.move_on_after(5):
            while len(got) < answers:
                messages = decode_packet(await udp.recv(65507), PacketCodec()).messages
                got += [message for message in messages if isinstance(message, Ack | Nack)]
    return got


@limit(30)
async def test_an_agent_handles_every_part_of_our_largest_compound(
    binary: Path, tmp_path: Path
) -> None:
    async with go_agent(binary, tmp_path, name="go-1") as agent:
        numbers = range(1000, 1000 + MAX_PARTS)
        pings = [encode_message(Ping(number, "go-1", None, 0, "")) for number in numbers]
        acks = await ask(agent, make_compound(pings), answers=MAX_PARTS)
        assert 127 == MAX_PARTS
        assert set(numbers) == {ack.seq_no for ack in acks}


@limit(30)
async def test_an_agent_pings_for_a_trioserf_node_and_sends_nacks_for_a_silent_one(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        go_agent(binary, tmp_path, name="go-1") as agent,
        trioserf_node(nursery, name="py-1") as node,
    ):
        host, _, port = node.address.rpartition(":")
        here = Address(host, int(port))
        silent = Address(free_host(), free_port(host))
        asked = IndirectPing(7, here.to_bytes(), here.port, "py-1", True, None, 0, "")
        in_vain = IndirectPing(8, silent.to_bytes(), silent.port, "nobody", True, None, 0, "")
        answers = await ask(agent, encode_message(asked), encode_message(in_vain), answers=2)
        # What rides on our ack is not passed on.
        assert [Ack(7, b""), Nack(8)] == [_plain(answer) for answer in answers]


def _plain(answer: Any) -> Any:
    return Ack(answer.seq_no, answer.payload or b"") if isinstance(answer, Ack) else answer


@limit(60)
async def test_a_key_is_rotated_by_an_agent_and_no_node_is_lost(
    binary: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    old, new = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
    async with (
        go_agent(binary, tmp_path, name="go-1", key=b"\x01" * 32) as agent,
        trioserf_node(nursery, name="py-1", key=b"\x01" * 32) as node,
    ):
        await node.serf.join([agent.address])
        await becomes("alive", lambda: agent.status_of("py-1"))
        for change in (f"-install={new}", f"-use={new}", f"-remove={old}"):
            await agent.command("keys", change)
            await stays("alive", lambda: agent.status_of("py-1"), seconds=1)
        ring = node.serf.memberlist.keyring
        assert ring is not None
        assert (b"\x02" * 32,) == tuple(ring.keys)
        await agent.event("after", "rotation")
        payloads = await found(lambda: node.user_events("after") or None)
        assert [b"rotation"] == payloads
        assert "alive" == node.status_of("go-1")
