"""Attacks by nodes that do not exist, or are not who they say.

Each is a function of an `Attacker` that returns when it is over.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import selectors
import socket
from collections.abc import Iterator

import trio

from trioserf._exceptions import RemoteProtocolError
from trioserf._wire.codec import encode
from trioserf._wire.keyring import Keyring
from trioserf._wire.messages import (
    Ack,
    Dead,
    ErrorReply,
    NodeRecord,
    Ping,
    PushPullHeader,
    Suspect,
    UserMessage,
    encode_message,
)
from trioserf._wire.packets import PacketCodec, decode_packet, make_compound
from trioserf._wire.serf_messages import (
    CoordinateRecord,
    PushPull,
    QueryMessage,
    decode_serf,
    encode_ping_payload,
    encode_serf,
)
from trioserf._wire.streams import push_pull_bytes

from . import crafting
from .attacker import TICK, Attacker
from .crafting import Run
from .floods import LAST


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
                            ear.sendto(
                                attacker.seal(encode_message(Ack(message.seq_no, b""))), source
                            )

    def send(number: int) -> None:
        ear = ears[number % len(ears)]
        host, port = ear.getsockname()
        address, name = socket.inet_aton(host), f"ghost-{number}"
        ping = encode_message(Ping(number, attacker.victim, address, port, name))
        message = make_compound([crafting.alive(name, host, port), ping])
        attacker.packets += 1
        attacker.bytes_sent += len(message)
        with contextlib.suppress(OSError):
            ear.sendto(attacker.seal(message), attacker.target)

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


async def ghosts_serving(attacker: Attacker) -> None:
    """Made-up nodes that answer pings, and streams with bombs, lies, drips, silence, and errors."""
    head, _, _ = attacker.host.rpartition(".")
    rng, vast = attacker.rng, PushPullHeader(1_000_000, 0, True)
    lie = encode_serf(PushPull(LAST, {attacker.victim: LAST}, (), LAST, (), LAST))
    records = [
        NodeRecord(f"g{i}", socket.inet_aton("127.112.0.1"), 9, b"", 1, i % 4, crafting.VERSIONS)
        for i in range(3000)
    ]
    answers = itertools.cycle(
        [
            crafting.compressed(
                b"\x06" + encode(PushPullHeader(0, 30_000_000, False)), Run(0, 30_000_000)
            ),
            crafting.compressed(b"\x06" + encode(vast), Run(0x80, 9_000_000)),
            push_pull_bytes(False, records, lie),
            push_pull_bytes(True, records[:1], b"")[:-1],
            encode_message(ErrorReply("no " * 100_000)),
            encode_message(ErrorReply("x\n\x1b[2J")),
            encode_message(Ack(1, bytes(5000))),
            b"\xff" * 100,
            b"",
        ]
    )

    async def serve(stream: trio.SocketStream) -> None:
        data, slowly = next(answers), rng.random() < 0.3
        if data and attacker.key is not None:
            data = attacker.stream_frame(data)
        with contextlib.suppress(OSError, trio.BrokenResourceError):
            if slowly:
                for byte in data[:1000]:
                    await stream.send_all(bytes((byte,)))
                    await trio.sleep(0.05)
            else:
                await stream.send_all(data)
            attacker.streams += 1
            await attacker.read_all(stream)

    async def node(number: int, nursery: trio.Nursery) -> None:
        (listener,) = await trio.open_tcp_listeners(0, host=f"{head}.{100 + number}")
        host, port = listener.socket.getsockname()
        ear = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        await ear.bind((host, port))
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        nursery.start_soon(_answer_pings, attacker, ear)
        name, address = f"ghost-{number}", socket.inet_aton(host)
        ping = Ping(number, attacker.victim, address, port, name)
        for incarnation in itertools.count(1):
            attacker.send(crafting.alive(name, host, port, incarnation))
            attacker.send(encode_message(ping))
            await trio.sleep(0.5)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(node, number, nursery)
        await attacker.wait_end()
        nursery.cancel_scope.cancel()


async def _answer_pings(attacker: Attacker, ear: trio.socket.SocketType) -> None:
    """Ack every ping, with coordinates that no network has."""
    codec = PacketCodec(keyring=None if attacker.key is None else Keyring((attacker.key,)))
    wild = itertools.cycle((math.nan, math.inf, 1e308, -1e308, 0.0))
    while True:
        data, source = await ear.recvfrom(65536)
        with contextlib.suppress(RemoteProtocolError, OSError):
            for message in decode_packet(data, codec).messages:
                if isinstance(message, Ping):
                    value = next(wild)
                    record = CoordinateRecord((value,) * 8, value, value, value)
                    payload = encode_ping_payload(record)
                    await ear.sendto(
                        attacker.seal(encode_message(Ack(message.seq_no, payload))), source
                    )


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


async def ghosts_of_long_names(attacker: Attacker) -> None:
    """Made-up nodes whose names have 1, 50 and 900 kilobytes."""

    def long(number: int, size: int) -> bytes:
        head, _, tail = crafting.alive("NAME", f"127.108.0.{number % 250}", 9).partition(b"NAME")
        name = Run(65 + number % 26, size)
        length = b"\xdb" + (size + 8).to_bytes(4, "big")
        return crafting.compressed(head[:-1] + length + f"{number:08}".encode(), name, tail)

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            yield long(2 * i, 900_000)
            yield long(2 * i + 1, 50_000)
            name = f"{i:08}" + "x" * 1000
            yield crafting.alive(name, f"127.108.1.{i % 250}", 9)
            yield encode_message(Suspect(1, name, name))
            yield crafting.join(attacker.next_time(), name)

    await attacker.flood(messages())


async def ghosts_of_odd_tags(attacker: Attacker) -> None:
    """Made-up nodes whose tags are nested, cut short, of numbers, of names of odd bytes."""
    odd = (
        b"\xff\x81\xa4role" + b"\x91" * 480,
        b"\xff" + b"\xdf\xff\xff\xff\xff" * 100,
        b"\xff\xde\x00\xff" + b"".join(b"\xa1" + bytes((i,)) for i in range(250)),
        b"\xff\x82\x01\x02\xc0\xc0",
        b"\xff\x81\xa4role\xd9\x80" + "\x1b[2J\n\u202e".encode() * 14,
        b"\xfe" * 512,
        b"\xff\xdc\xff\xff" + b"\xa0" * 500,
        b"\xff\x81\xda\x01\xf0" + b"k" * 496 + b"\xa0",
    )

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            name = f"ghost-{i % 50}" if i % 3 else f"g\n\x00{i % 50}\udcff"
            yield crafting.alive(name, f"127.109.0.{i % 50}", 9, 1 + i, odd[i % len(odd)])

    await attacker.flood(messages())


async def names_of_snapshots(attacker: Attacker) -> None:
    """Nodes and events whose names are lines of a snapshot."""
    lines = (
        "x 127.0.0.1:9\nclock: 18446744073709551615",
        "x\nevent-clock: 18446744073709551614\nquery-clock: 18446744073709551614",
        "x\nleave",
        f"x\nnot-alive: {attacker.honest}",
        f"x\nalive: {attacker.honest} 127.0.0.1:9",
        "#" * 100,
        "\n" * 100,
    )

    def messages() -> Iterator[bytes]:
        for i in itertools.count():
            name = f"{lines[i % len(lines)]}\n{i % 40 or ''}"
            yield crafting.alive(name, f"127.110.0.{i % 200}", 9, 1 + i)
            yield encode_message(Dead(1 + i, name, name))
            yield crafting.event(attacker.next_time(), name)
            yield crafting.query(attacker.next_time(), i, name=name)

    await attacker.flood(messages(), share=0.3)


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
