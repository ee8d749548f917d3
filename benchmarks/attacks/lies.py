"""Attacks by lies about real members, in messages of every kind.

Each is a function of an `Attacker` that returns when it is over.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator

from trioserf._wire.codec import encode
from trioserf._wire.messages import (
    Alive,
    Dead,
    IndirectPing,
    Nack,
    Suspect,
    encode_message,
)
from trioserf._wire.packets import make_compound
from trioserf._wire.serf_messages import RelayHeader, UDPAddr, encode_relay

from . import crafting
from .attacker import Attacker

LAST_INCARNATION = (1 << 32) - 1


async def leaves_forged(attacker: Attacker) -> None:
    """Members are said to leave, and to be forgotten, at times that are plausible."""

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            for name in (attacker.honest, attacker.victim):
                yield crafting.leave(attacker.next_time(), name, prune=i % 2 == 1)

    await attacker.flood(messages(), share=0.05)


async def dead_by_their_own_word(attacker: Attacker) -> None:
    """Members are said to have declared themselves dead, with every incarnation."""

    def messages() -> Iterator[bytes]:
        for i in itertools.count(1):
            for name in (attacker.honest, attacker.victim):
                yield encode_message(Dead(i, name, name))
                yield encode_message(Suspect(i, name, name))

    await attacker.flood(messages(), share=0.1)


async def incarnations_last(attacker: Attacker) -> None:
    """Members are suspected, dead and alive elsewhere with the last incarnations that there are."""
    address = socket.inet_aton(attacker.host)

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            number = LAST_INCARNATION - i % 5
            for name in (attacker.honest, attacker.victim):
                yield encode_message(Suspect(number, name, f"s{i}"))
                yield encode_message(Dead(number, name, f"s{i}"))
                yield encode_message(Dead(number, name, name))
                yield encode_message(
                    Alive(number, name, address, 9, b"\xff\x80", crafting.VERSIONS)
                )

    await attacker.flood(messages(), share=0.2)


async def addresses_taken(attacker: Attacker) -> None:
    """Members are said to be alive at other addresses, nearby and impossible ones."""
    hosts = (
        attacker.host,
        attacker.target[0],
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "127.0.0.1",
    )

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            address = socket.inet_aton(hosts[i % len(hosts)])
            if i % 7 == 6:
                address = bytes(12) + address
            for name in (attacker.honest, attacker.victim):
                alive = Alive(2 + i, name, address, 1 + i % 65535, None, crafting.VERSIONS)
                yield encode_message(alive)

    await attacker.flood(messages(), share=0.2)


async def versions_of_all_kinds(attacker: Attacker) -> None:
    """Members and others speak versions that nobody understands, or none."""
    rng = attacker.rng

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            versions = rng.randbytes(rng.choice((0, 1, 5, 6, 6, 6, 7, 300)))
            name = (attacker.honest, attacker.victim, f"ghost-{i}")[i % 3]
            host = attacker.target[0] if i % 2 else attacker.host
            address = socket.inet_aton(host)
            yield b"\x04" + encode(Alive(1 + i, name, address, 7946, b"", versions))

    await attacker.flood(messages())


async def refusals_claimed(attacker: Attacker) -> None:
    """Somebody says in the answers of helpers that a member's port is closed."""
    host = socket.inet_aton(attacker.host)

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            suspect = encode_message(Suspect(1 + i % 3, attacker.honest, attacker.victim))
            yield make_compound([suspect, *[encode_message(Nack(i * 100 + j)) for j in range(100)]])
            ask = IndirectPing(i, host, 9, attacker.honest, True, host, 9, "nobody")
            yield encode_message(ask)

    await attacker.flood(messages(), share=0.2)


async def relays(attacker: Attacker) -> None:
    """Messages that are to be sent on: to the sink, to members, to the victim, one in another."""
    target = UDPAddr(socket.inet_aton(attacker.target[0]), attacker.target[1])
    sink = UDPAddr(socket.inet_aton(attacker.host), 9)
    nested = crafting.response(5, 7, "nobody", bytes(500))[1:]
    for _ in range(20):
        nested = encode_relay(RelayHeader(target, attacker.victim), b"\x08" + nested)

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            inner = crafting.leave(attacker.next_time(), attacker.honest)
            yield crafting.user(encode_relay(RelayHeader(target, attacker.victim), inner))
            yield crafting.user(encode_relay(RelayHeader(sink, f"sink {i}"), bytes(1000)))
            yield crafting.user(nested)
            short = crafting.user(encode_relay(RelayHeader(sink, ""), b"\x08"))
            yield make_compound([short] * 30)

    await attacker.flood(messages())


async def queries_to_be_relayed(attacker: Attacker) -> None:
    """Queries in the names of members that want an ack, and 255 relays of it."""
    sink = socket.inet_aton(attacker.host)

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            for name, address in (
                ("nobody", sink),
                (attacker.honest, sink),
                (attacker.victim, socket.inet_aton(attacker.target[0])),
            ):
                yield crafting.query(
                    attacker.next_time(),
                    i,
                    source_node=name,
                    addr=address,
                    port=9 if address == sink else attacker.target[1],
                    flags=1,
                    relay_factor=(1, 2, 255)[i % 3],
                    name=("hostile", "_serf_ping", "_serf_list-keys", "_serf_conflict")[i % 4],
                    payload=attacker.victim.encode(),
                )

    await attacker.flood(messages(), share=0.3)
