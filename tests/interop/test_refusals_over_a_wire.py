"""What a transport makes of packets and connects that a system or a firewall rejects.

As far as the network goes each host has a kernel of its own, so that a closed port is refused as
between machines.  The wire plays the firewalls, of which the first knows nothing.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.interop.processes import Child, child
from tests.interop.rejections import Kind, Rejection
from tests.interop.waiting import becomes, limit
from tests.interop.wire import Packet, Rule, WiredHost, why_not, wired
from tests.source_tree import ROOT

V4 = [f"10.79.0.{number}" for number in (1, 2, 3)]
V6 = [f"fd79::{number}" for number in (1, 2, 3)]
GOSSIP, CLOSED = 7946, 7947
EVERYBODY = [0, 1, 2]


@pytest.fixture(autouse=True)
def _allowed() -> None:
    if reason := why_not():
        pytest.skip(reason)


def started(stack: ExitStack, folder: Path, on: WiredHost, file: str, **settings: Any) -> Child:
    """A transport on this host, for as long as ``stack`` is open."""
    command = [*on.inside, sys.executable, "-m", "tests.interop.transport_program"]
    words = [*command, json.dumps({"port": GOSSIP, **settings})]
    return stack.enter_context(child(words, output_path=folder / file, cwd=ROOT))


def lines(program: Child, key: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in program.output.splitlines() if line.endswith("}")]
    return [line for line in found if key in line]


class Seen:
    """What the first host saw of the others, and what these received."""

    def __init__(self, result: dict[str, Any], received: Sequence[int]) -> None:
        self.refused: list[str] = result["refused"]
        self.dialled: list[str] = list(result["dialled"].values())
        self.errors: int = result["errors"]
        self.wake_ups: int = result["wake_ups"]
        self.received = list(received)


async def seen(
    folder: Path,
    addresses: Sequence[str],
    rule: Rule,
    peers: Sequence[tuple[int, int]],
    *,
    bind: str = "",
    listening: Sequence[int] = (1, 2),
    seconds: float = 1.5,
) -> Seen:
    """Have the first host send to ``peers`` (number of the host, port), and connect to them."""
    async with wired([[address] for address in addresses], rule) as wire:
        with ExitStack() as stack:
            others = [
                started(stack, folder, wire.hosts[n], f"host-{n}", host=addresses[n])
                for n in listening
            ]
            for other in others:
                await becomes(1, lambda other=other: len(lines(other, "ready")), seconds=20)
            to = [(addresses[number], port) for number, port in peers]
            settings = {"host": bind or addresses[0], "peers": to, "seconds": seconds}
            first = started(stack, folder, wire.hosts[0], "first", **settings)
            await becomes(1, lambda: len(lines(first, "dialled")), seconds=30)
            [result] = lines(first, "dialled")
            return Seen(result, [len(lines(other, "received")) for other in others])


def at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@pytest.mark.parametrize(("addresses", "bind"), [(V4, ""), (V6, ""), (V4, "0.0.0.0"), (V6, "::")])
@limit(60)
async def test_a_closed_port_refuses_by_its_own_kernel_and_its_neighbour_loses_nothing(
    tmp_path: Path, addresses: list[str], bind: str
) -> None:
    found = await seen(tmp_path, addresses, lambda _: 0.002, [(1, CLOSED), (2, GOSSIP)], bind=bind)
    assert [at(addresses[1], CLOSED)] == found.refused
    assert ["rst", "connected"] == found.dialled
    assert [0, 4] == found.received
    assert 0 == found.errors
    assert found.wake_ups < 40


@pytest.mark.parametrize("addresses", [V4, V6])
@pytest.mark.parametrize(
    ("kind", "by_router", "refused", "dialled"),
    [
        (Kind.RESET, False, False, "rst"),
        (Kind.PORT_UNREACHABLE, False, True, "icmp"),
        (Kind.PORT_UNREACHABLE, True, False, "icmp"),
        (Kind.HOST_UNREACHABLE, True, False, "No route to host"),
        (Kind.PROHIBITED, False, False, "No route to host"),
    ],
)
@limit(60)
async def test_a_firewall_is_distinguished_from_a_closed_port(
    tmp_path: Path,
    addresses: list[str],
    kind: Kind,
    by_router: bool,
    refused: bool,
    dialled: str,
) -> None:
    """In front of the second host, whose process lives."""
    answer = Rejection(kind, addresses[2] if by_router else "")

    def rule(packet: Packet) -> float | Rejection:
        return answer if packet.target == addresses[1] else 0.002

    found = await seen(tmp_path, addresses, rule, [(1, GOSSIP), (2, GOSSIP)])
    assert ([at(addresses[1], GOSSIP)] if refused else []) == found.refused
    if kind is Kind.PROHIBITED and ":" in addresses[0]:
        dialled = "Permission denied"
    assert [dialled, "connected"] == found.dialled
    assert [0, 4] == found.received
    assert 0 == found.errors


@pytest.mark.parametrize("rejected", ["tcp", "udp"])
@limit(60)
async def test_either_protocol_may_be_rejected_alone(tmp_path: Path, rejected: str) -> None:
    def rule(packet: Packet) -> float | Rejection:
        if packet.target == V4[1] and packet.protocol == rejected:
            return Rejection(Kind.PORT_UNREACHABLE)
        return 0.002

    found = await seen(tmp_path, V4, rule, [(1, GOSSIP), (2, GOSSIP)])
    assert ([at(V4[1], GOSSIP)] if rejected == "udp" else []) == found.refused
    assert ["icmp" if rejected == "tcp" else "connected", "connected"] == found.dialled
    assert [4 if rejected == "tcp" else 0, 4] == found.received


@limit(60)
async def test_what_is_rejected_on_the_way_back_is_no_refusal(tmp_path: Path) -> None:
    """The second host receives, and its answers are rejected: it is the one that is refused."""

    def rule(packet: Packet) -> float | Rejection:
        if packet.source == V4[1] and packet.protocol != "icmp":
            return Rejection(Kind.RESET if packet.protocol == "tcp" else Kind.PORT_UNREACHABLE)
        return 0.002

    found = await seen(tmp_path, V4, rule, [(1, GOSSIP), (2, GOSSIP)])
    assert [] == found.refused
    assert ["no answer", "connected"] == found.dialled
    assert [4, 4] == found.received


@limit(60)
async def test_a_host_that_is_gone_says_nothing(tmp_path: Path) -> None:
    def rule(packet: Packet) -> float | None:
        return None if V4[1] in (packet.source, packet.target) else 0.002

    found = await seen(tmp_path, V4, rule, [(1, GOSSIP), (2, GOSSIP)])
    assert [] == found.refused
    assert ["no answer", "connected"] == found.dialled


@limit(60)
async def test_refusals_come_through_distance_and_loss(tmp_path: Path) -> None:
    chance = random.Random(14)

    def rule(packet: Packet) -> float | None:
        return None if chance.random() < 0.2 else 0.05

    found = await seen(tmp_path, V4, rule, [(1, CLOSED), (2, GOSSIP)], seconds=10)
    assert [at(V4[1], CLOSED)] == found.refused
    assert ["rst", "connected"] == found.dialled
    assert 0 == found.errors


@limit(60)
async def test_one_peer_in_turns_with_many_that_refuse_loses_nothing(tmp_path: Path) -> None:
    """Every datagram to it follows one that is refused, by loopback at once."""
    ports = range(8000, 8020)
    peers = list(itertools.chain.from_iterable([(0, port), (2, GOSSIP)] for port in ports))
    found = await seen(tmp_path, V4, lambda _: 0.0, peers, listening=(2,))
    assert sorted(at(V4[0], port) for port in ports) == found.refused
    assert [4 * len(ports)] == found.received
    assert 0 == found.errors


@limit(60)
async def test_a_closed_port_in_the_range_that_the_system_chooses_from_gives_no_connection(
    tmp_path: Path,
) -> None:
    """The range has two ports here, of which the system takes the even one first."""
    script = [
        "set -e; ip link set lo up",
        "echo 40000 40001 > /proc/sys/net/ipv4/ip_local_port_range",
        'exec "$@"',
    ]
    peers = [("127.0.0.1", 40000)]
    settings = {"host": "127.0.0.1", "port": GOSSIP, "peers": peers, "seconds": 2}
    command = [sys.executable, "-m", "tests.interop.transport_program", json.dumps(settings)]
    with child(
        ["unshare", "--net", "sh", "-c", "\n".join(script), "sh", *command],
        output_path=tmp_path / "output",
        cwd=ROOT,
    ) as program:
        await becomes(1, lambda: len(lines(program, "dialled")), seconds=20)
        [result] = lines(program, "dialled")
    # Refused, and no RST of anybody; a second connect would get that.
    assert {"127.0.0.1:40000": "Connection refused"} == result["dialled"]
