"""Attacks by packets.  Each is a function of an `Attacker` that returns when it is over."""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Iterator

import trio

from trioserf._wire.keyring import Keyring
from trioserf._wire.messages import (
    Ack,
    Dead,
    IndirectPing,
    Nack,
    Ping,
    Suspect,
    encode_message,
)
from trioserf._wire.packets import PacketCodec, encode_packet, make_compound
from trioserf._wire.serf_messages import KeyRequest, encode_serf

from . import crafting
from .attacker import TICK, Attacker
from .crafting import Run

LAST = (1 << 64) - 1
"""The last Lamport time that there is."""


# --- user events --------------------------------------------------------------------------


async def events_large(attacker: Attacker) -> None:
    """Events of a megabyte, compressed to two kilobytes, each of a Lamport time of its own."""
    await attacker.flood(
        crafting.large_event(attacker.next_time(), 1_000_000) for _ in itertools.count()
    )


async def events_of_one_time(attacker: Attacker) -> None:
    """Thousands of events of 1.2 kB, all of one Lamport time."""
    payload = bytes(1150)
    time = attacker.next_time()
    await attacker.flood(crafting.event(time, f"e{i}", payload) for i in itertools.count())


async def events_of_many_times(attacker: Attacker) -> None:
    """Events of 9 kB in many Lamport times."""
    payload = attacker.rng.randbytes(9000)
    await attacker.flood(
        crafting.event(attacker.next_time() + i % 5, f"e{i}", payload) for i in itertools.count()
    )


async def events_small(attacker: Attacker) -> None:
    """As many short events as fit into a packet, each of a Lamport time of its own."""
    await attacker.flood(
        crafting.compounds(crafting.event(attacker.next_time(), "e") for _ in itertools.count())
    )


async def queries_small(attacker: Attacker) -> None:
    """As many short queries as fit into a packet, which are passed on by all."""
    await attacker.flood(
        crafting.compounds(
            crafting.query(attacker.next_time(), i, flags=0) for i in itertools.count()
        )
    )


# --- Lamport times ------------------------------------------------------------------------


async def time_last_event(attacker: Attacker) -> None:
    """An event of the last Lamport time, again and again."""
    await attacker.flood(crafting.event(LAST - i % 3, f"last {i}") for i in itertools.count())


async def time_last_query(attacker: Attacker) -> None:
    """A query of the last Lamport time, again and again."""
    await attacker.flood(crafting.query(LAST - i % 3, i, flags=0) for i in itertools.count())


async def time_far_query(attacker: Attacker) -> None:
    """One query far in the future that nobody passes on: the victim alone jumps ahead."""
    attacker.send(crafting.query(1 << 40, 1))
    await attacker.wait_end()


async def time_far_event(attacker: Attacker) -> None:
    """One event far in the future that is too long for gossip."""
    attacker.send(crafting.event(1 << 40, "far", bytes(8000)))
    await attacker.wait_end()


async def time_creeping(attacker: Attacker) -> None:
    """Times that climb by what may be plausible, as fast as they can."""
    step = 1 << 31

    def messages() -> Iterator[bytes]:
        for i in itertools.count(1):
            yield crafting.query(i * step, i)
            yield crafting.event(i * step, "creeping", bytes(1350))
            yield crafting.join(i * step, attacker.honest)

    await attacker.flood(messages())


async def time_last_leave(attacker: Attacker) -> None:
    """Honest members are said to leave, at the last Lamport time."""

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            yield crafting.leave(LAST - i % 2, attacker.honest, prune=i % 4 == 3)
            yield crafting.leave(LAST - i % 2, attacker.victim)
            yield crafting.join(LAST, attacker.honest)

    await attacker.flood(messages())


# --- logs ---------------------------------------------------------------------------------


async def log_long_names(attacker: Attacker) -> None:
    """Names of a megabyte, in everything of which a log might speak."""
    size = 900_000

    def long(message: bytes, mark: bytes) -> bytes:
        head, _, tail = message.partition(mark)
        return crafting.compressed(
            head[:-1] + b"\xdb" + size.to_bytes(4, "big"), Run(65, size), tail
        )

    mark = b"NAME"
    pool = [
        long(crafting.response(5, 7, "NAME"), mark),
        long(crafting.event(1, "NAME"), mark),
        long(crafting.query(1, 5, name="NAME"), mark),
        long(crafting.query(1 << 20, 6, name="_serf_NAME"), b"_serf_NAME"),
        long(crafting.leave(1 << 20, "NAME"), mark),
        long(encode_message(Suspect(1, attacker.victim, "NAME")), mark),
        long(encode_message(Ping(1, "NAME")), mark),
    ]
    await attacker.flood(itertools.cycle(pool))


async def log_control_characters(attacker: Attacker) -> None:
    """Names that would forge lines of a log, or move the cursor of a terminal."""
    evil = (
        "x\n2026/01/01 [ERR] all is lost",
        "\x1b[2J\x1b[31mred",
        "a\u202ecba",
        "tab\there\r\x00\x7f",
    )

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            name = f"{evil[i % 4]} {i // 40}"
            yield crafting.event(1 + attacker.next_time() % 600, name)
            yield crafting.query(attacker.next_time(), i, name=name, source_node=name)
            yield crafting.query(1 + i % 100, i, name=name, source_node=name)
            yield crafting.query(attacker.next_time(), i, name=f"_serf_{name}", source_node=name)
            yield crafting.query(attacker.next_time(), i, name=name, filters=(b"\x07", b"\x01\xc1"))
            yield crafting.response(5, 7, name)
            yield encode_message(Suspect(1, attacker.victim, name))
            yield encode_message(Ping(1, name))
            yield crafting.leave(attacker.next_time(), name)
            if i % 50 == 0:
                yield crafting.alive(name, "127.9.9.9", 9)
                yield crafting.alive(name, "127.9.9.8", 9)

    await attacker.flood(messages())


async def log_old_events(attacker: Attacker) -> None:
    """Events and queries that are too old, and responses to queries that nobody asked."""
    attacker.send(crafting.event(100_000, "now"))
    attacker.send(crafting.query(100_000, 1))
    await attacker.flood(
        itertools.chain.from_iterable(
            (
                crafting.event(1 + i % 1000, f"old {i}"),
                crafting.query(1 + i % 1000, i),
                crafting.response(1 + i % 1000, i, f"n{i}"),
            )
            for i in itertools.count()
        )
    )


# --- cheap to multiply --------------------------------------------------------------------


async def many_keys(attacker: Attacker) -> None:
    """Thousands of keys are installed, and then comes garbage that every key is tried on."""

    def install() -> Iterator[bytes]:
        for i in range(2000):
            payload = encode_serf(KeyRequest(attacker.rng.randbytes(16)))
            yield crafting.query(attacker.next_time(), i, name="_serf_install-key", payload=payload)

    await attacker.flood(install())
    await attacker.flood(attacker.again(lambda: b"\x01" + attacker.rng.randbytes(800)), raw=True)


async def conflict_queries(attacker: Attacker) -> None:
    """Two hundred conflict queries in a packet, whose answers go to somebody else."""
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind((attacker.host, 0))
    host, port = sink.getsockname()

    def message() -> bytes:
        parts = [
            crafting.query(
                attacker.next_time(),
                attacker.rng.getrandbits(31),
                name="_serf_conflict",
                payload=attacker.victim.encode(),
                addr=socket.inet_aton(host),
                port=port,
                flags=3,
            )
            for _ in range(200)
        ]
        return make_compound([make_compound(parts[:100]), make_compound(parts[100:])])

    await attacker.flood(attacker.again(message), share=0.1)
    sink.close()


async def acks_guessed(attacker: Attacker) -> None:
    """Acks and nacks with every number that a ping might have."""

    def messages() -> Iterator[bytes]:
        for i in itertools.count(0, 60):
            yield make_compound(
                [encode_message(Ack((i + j) % 5000, b"\x01")) for j in range(60)]
                + [encode_message(Nack((i + j) % 5000)) for j in range(60)]
            )

    await attacker.flood(messages())


async def acks_and_nacks(attacker: Attacker) -> None:
    """Acks and nacks that nobody waits for, with payloads as long as they may be."""

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            yield encode_message(Nack(i))
            yield encode_message(Ack(i, bytes(i % 1200)))

    await attacker.flood(crafting.compounds(messages()))


async def labels(attacker: Attacker) -> None:
    """Packets with the label of another cluster, always another one."""

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            label = f"label {i} \x1b[31m".encode()
            yield bytes((244, len(label))) + label + crafting.alive(f"ghost-{i}", "127.105.0.1", 9)

    await attacker.flood(messages(), raw=True)


async def pings(attacker: Attacker) -> None:
    """Pings and indirect pings, answers to which go to somebody else."""
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind((attacker.host, 0))
    host, port = sink.getsockname()
    address = socket.inet_aton(host)

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            ping = encode_message(Ping(i, attacker.victim, address, port, "sink"))
            indirect = encode_message(
                IndirectPing(i, address, port, "sink", True, address, port, "sink")
            )
            yield make_compound([ping, indirect] * 20)

    await attacker.flood(messages())
    sink.close()


async def suspects(attacker: Attacker) -> None:
    """The victim and an honest node are suspected and declared dead by all sorts of names."""

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            for name in (attacker.victim, attacker.honest):
                yield encode_message(Suspect(i % 100, name, f"s{i}"))
                yield encode_message(Dead(i % 100, name, f"s{i}"))

    await attacker.flood(messages(), share=0.1)


async def many_sources(attacker: Attacker) -> None:
    """Each packet from an address of its own: broken ones, and nodes that come from there."""
    head, _, _, _ = attacker.host.split(".")

    def send(number: int) -> None:
        host = f"{head}.{200 + number % 50}.{number // 50 % 250}.{1 + number // 12_500 % 250}"
        messages = (
            b"\x00\xc1",
            encode_message(Ping(number, "nobody")),
            crafting.alive(f"ghost-{number}", host, 9),
            b"\xf4\x03abc",
            encode_message(Ack(number, b"")),
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            made.bind((host, 0))
            made.sendto(attacker.seal(messages[number % len(messages)]), attacker.target)
        attacker.packets += 1

    numbers, due = itertools.count(), 0.0
    while attacker.left > 0:
        due += attacker.rate * TICK
        for number in itertools.islice(numbers, int(due)):
            with contextlib.suppress(OSError):
                send(number)
        due %= 1
        await trio.sleep(TICK)


async def garbage(attacker: Attacker) -> None:
    """Bytes that mean nothing."""

    def message() -> bytes:
        kind = attacker.rng.choice((0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 244, 255))
        return bytes((kind,)) + attacker.rng.randbytes(attacker.rng.choice((0, 3, 40, 1300)))

    await attacker.flood(attacker.again(message), raw=True)


async def wrong_key(attacker: Attacker) -> None:
    """Whole packets that were encrypted by a key that nobody has."""
    codec = PacketCodec(keyring=Keyring((attacker.rng.randbytes(16),)), compress=False)

    def message() -> bytes:
        plain = crafting.event(attacker.next_time(), "e", attacker.rng.randbytes(1200))
        return encode_packet(plain, codec, crc=False, nonce=attacker.rng.randbytes(12))

    pool = [message() for _ in range(500)]
    await attacker.flood(itertools.cycle(pool), raw=True)


async def no_key(attacker: Attacker) -> None:
    """Packets that are not encrypted, of every kind, to a cluster that has a key."""

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            yield crafting.alive(f"ghost-{i}", "127.107.0.1", 9)
            yield crafting.event(attacker.next_time(), "e", bytes(1000))
            yield encode_message(Suspect(i % 100, attacker.victim, f"s{i}"))
            yield crafting.leave(attacker.next_time(), attacker.honest)
            yield encode_message(Ping(i, attacker.victim))

    await attacker.flood(messages(), raw=True)


async def bombs(attacker: Attacker) -> None:
    """Compressed megabytes of things that are dear to parse."""
    size = 1_000_000
    pool = [
        crafting.compressed(b"\x08\x03", Run(byte, size)) for byte in (0x90, 0x81, 0xC0, 0x07, 0xDF)
    ]
    pool += [crafting.compressed(b"\x07\xff", Run(0, size)), crafting.compressed(Run(9, size))]
    pool += [crafting.compressed(b"\x04", Run(byte, size)) for byte in (0x90, 0x81, 0xDD)]
    await attacker.flood(itertools.cycle(pool))
