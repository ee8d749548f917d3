"""Attacks by streams.  Each is a function of an `Attacker` that returns when it is over."""

from __future__ import annotations

import itertools
import socket

import trio

from trioserf._wire.codec import encode
from trioserf._wire.keyring import Keyring
from trioserf._wire.messages import (
    Ack,
    ErrorReply,
    NodeRecord,
    Ping,
    PushPullHeader,
    encode_message,
)
from trioserf._wire.serf_messages import (
    PushPull,
    UserEventRecord,
    UserEventSlot,
    encode_serf,
)
from trioserf._wire.streams import StreamCodec, frame, push_pull_bytes, user_message_bytes

from . import crafting
from .attacker import Attacker
from .crafting import Run
from .floods import LAST

SMALL_WINDOW = 1024
"""Receive buffer of a stream that does not read (bytes)."""
EMPTY = encode_serf(PushPull(1, {}, (), 1, (), 1))


def ghost_record(number: int, status: int = 0) -> NodeRecord:
    host = f"127.{120 + number // 65536}.{number // 256 % 256}.{number % 256}"
    return NodeRecord(
        f"ghost-{number}", socket.inet_aton(host), 9, b"", 1, status, crafting.VERSIONS
    )


def inflated_state(size: int) -> bytes:
    """A compressed push/pull of two kilobytes a megabyte, whose state has ``size`` bytes."""
    head = b"\x06" + encode(PushPullHeader(0, size, False))
    return crafting.compressed(head, Run(0, size))


async def silent(attacker: Attacker) -> None:
    """Streams that say nothing."""

    async def hold(stream: trio.SocketStream) -> None:
        await attacker.read_all(stream)

    await attacker.streams_at_rate(hold)


async def silent_150(attacker: Attacker) -> None:
    """150 streams at once that say nothing."""

    async def hold(stream: trio.SocketStream) -> None:
        await attacker.read_all(stream)

    attacker.stream_rate, kept = 1000, attacker.stream_rate
    await attacker.streams_at_rate(hold, most=150)
    attacker.stream_rate = kept


async def trickle(attacker: Attacker) -> None:
    """Streams that send a push/pull byte by byte."""
    data = attacker.stream_frame(push_pull_bytes(False, [ghost_record(1)], EMPTY))

    async def drip(stream: trio.SocketStream) -> None:
        for byte in data:
            await attacker.send_all(stream, bytes((byte,)))
            await trio.sleep(0.5)

    await attacker.streams_at_rate(drip)


async def trickle_of_all_kinds(attacker: Attacker) -> None:
    """Streams of every kind that come byte by byte, stop in the middle, or after the first byte."""
    key = attacker.rng.randbytes(16)
    codec = StreamCodec(keyring=Keyring((key,)), compress=False)
    whole = push_pull_bytes(False, [ghost_record(1)], EMPTY)
    kinds = itertools.cycle(
        (
            b"\xf4\xff" + bytes(300),
            b"\xf4\x03abc" + whole,
            frame(whole, codec, attacker.rng.randbytes(12)),
            user_message_bytes(bytes(60_000)),
            crafting.compressed(b"\x06", Run(0x80, 10_000)),
            encode_message(Ping(1, attacker.victim)),
            encode_message(Ack(1, bytes(500))),
            encode_message(ErrorReply("x" * 500)),
            b"\x06\x83\xa5Nodes\xce\x00\x0f\xff\xff",
            b"\x0a\x00\x00\x00\x00",
        )
    )

    async def drip(stream: trio.SocketStream) -> None:
        data = next(kinds)
        if attacker.key is not None and data[0] not in (10, 244):
            data = attacker.stream_frame(data)
        pause, step = attacker.rng.choice(((0.3, 1), (0.01, 1), (0.5, 100), (5.0, 7)))
        for start in range(0, len(data), step):
            await attacker.send_all(stream, data[start : start + step])
            await trio.sleep(pause)
        await attacker.read_all(stream)

    await attacker.streams_at_rate(drip)


async def slow_readers(attacker: Attacker) -> None:
    """Requests that inflate to 20 MB, from peers that do not read the answer."""
    data = attacker.stream_frame(inflated_state(20_000_000))

    async def stall(stream: trio.SocketStream) -> None:
        await attacker.send_all(stream, data)
        await trio.sleep_forever()

    await attacker.streams_at_rate(stall, window=SMALL_WINDOW)


async def slow_readers_of_much(attacker: Attacker) -> None:
    """The same, after the state was filled with events as far as that goes."""
    for _ in range(30):
        attacker.send(crafting.large_event(attacker.next_time(), 1_000_000))
    for _ in range(1000):
        attacker.send(crafting.event(attacker.next_time(), "e", bytes(9000)))
    data = attacker.stream_frame(push_pull_bytes(False, [], EMPTY))

    async def stall(stream: trio.SocketStream) -> None:
        await attacker.send_all(stream, data)
        await trio.sleep_forever()

    await attacker.streams_at_rate(stall, window=SMALL_WINDOW)


async def stream_mix(attacker: Attacker) -> None:
    """Everything that a stream can do wrong."""
    whole = attacker.stream_frame(push_pull_bytes(False, [ghost_record(2)], EMPTY))
    inflated = attacker.stream_frame(inflated_state(10_000_000))
    many = attacker.stream_frame(
        crafting.compressed(
            b"\x06" + encode(PushPullHeader(1_000_000, 0, True)), Run(0x80, 9_000_000)
        )
    )
    nested = attacker.stream_frame(crafting.compressed(b"\x06", Run(0x91, 20_000_000)))
    claims = b"\x0a\x01\x3f\xff\xff" + bytes(60_000)
    half = attacker.stream_frame(b"\x08" + b"\x81\xaaUserMsgLen\xce\x01\x00\x00\x00") + bytes(
        60_000
    )
    web = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    pool = itertools.cycle((b"", whole, inflated, many, nested, claims, half, web, whole[:-3]))

    async def use(stream: trio.SocketStream) -> None:
        await attacker.send_all(stream, next(pool))
        await trio.sleep_forever()

    await attacker.streams_at_rate(use, window=SMALL_WINDOW)


async def state_of_times(attacker: Attacker) -> None:
    """Push/pulls whose Lamport times are the last that there are."""
    statuses = {attacker.victim: LAST, attacker.honest: LAST - 1}
    slot = UserEventSlot(LAST, (UserEventRecord("last", b""),))
    left = (attacker.honest, attacker.victim)
    states = [
        encode_serf(PushPull(LAST, statuses, (), LAST, (slot,), LAST)),
        encode_serf(PushPull(LAST, statuses, left, 1, (), 1)),
        encode_serf(PushPull(1, {}, (), 1 << 40, (), 1 << 40)),
    ]
    pool = itertools.cycle(
        attacker.stream_frame(push_pull_bytes(join, [], state))
        for join in (True, False)
        for state in states
    )

    async def use(stream: trio.SocketStream) -> None:
        await attacker.send_all(stream, next(pool))
        await attacker.read_all(stream)

    await attacker.streams_at_rate(use)


async def state_of_events(attacker: Attacker) -> None:
    """Push/pulls full of events, 2 MB of them and no two alike."""

    def state() -> bytes:
        slots = tuple(
            UserEventSlot(
                attacker.next_time(),
                tuple(
                    UserEventRecord(f"e{j} {attacker.rng.random()}", bytes(1000)) for j in range(40)
                ),
            )
            for _ in range(50)
        )
        time = attacker.next_time()
        return encode_serf(PushPull(1, {}, (), time, slots, 1))

    pool = itertools.cycle(
        [attacker.stream_frame(push_pull_bytes(False, [], state())) for _ in range(6)]
    )

    async def use(stream: trio.SocketStream) -> None:
        await attacker.send_all(stream, next(pool))
        await attacker.read_all(stream)

    await attacker.streams_at_rate(use)


async def state_of_intents(attacker: Attacker) -> None:
    """Push/pulls with the Lamport times of 20,000 members that nobody knows, who left or joined."""
    numbers = itertools.count()

    def state() -> bytes:
        base = 20_000 * next(numbers)
        times = {f"nobody-{base + i}": attacker.next_time() for i in range(20_000)}
        left = tuple(list(times)[::2])
        return encode_serf(PushPull(attacker.next_time(), times, left, 1, (), 1))

    pool = itertools.cycle(
        [attacker.stream_frame(push_pull_bytes(False, [], state())) for _ in range(4)]
    )

    async def use(stream: trio.SocketStream) -> None:
        await attacker.send_all(stream, next(pool))
        await attacker.read_all(stream)

    await attacker.streams_at_rate(use)


async def state_of_long_names(attacker: Attacker) -> None:
    """Push/pulls of nodes with names of 100 kB, also as members that left, and as events."""
    numbers = itertools.count()

    def state() -> bytes:
        base = 40 * next(numbers)
        names = [f"{base + i:08}" + "x" * 100_000 for i in range(40)]
        address = socket.inet_aton("127.111.0.1")
        records = [
            NodeRecord(name, address, 9, b"", 1, i % 4, crafting.VERSIONS)
            for i, name in enumerate(names)
        ]
        times = dict.fromkeys(names, 5)
        slot = UserEventSlot(attacker.next_time(), (UserEventRecord(names[0], b""),))
        serf = encode_serf(PushPull(5, times, tuple(names), 1, (slot,), 1))
        return push_pull_bytes(False, records, serf)

    async def use(stream: trio.SocketStream) -> None:
        await attacker.send_all(stream, attacker.stream_frame(state()))
        await attacker.read_all(stream)

    attacker.stream_rate, kept = min(10, attacker.stream_rate), attacker.stream_rate
    await attacker.streams_at_rate(use)
    attacker.stream_rate = kept


async def user_messages_of_all_kinds(attacker: Attacker) -> None:
    """User messages of megabytes on streams, of whatever is dear to read."""

    def inflated(head: bytes, byte: int, size: int) -> bytes:
        header = b"\x08\x81\xaaUserMsgLen\xce" + (len(head) + size).to_bytes(4, "big")
        return attacker.stream_frame(crafting.compressed(header + head, Run(byte, size)))

    size = 6_000_000
    kinds = [
        inflated(bytes((kind,)) + head, byte, size)
        for kind in (0, 1, 3, 4, 5, 6, 9)
        for head, byte in (
            (b"\x81\xa4Junk\xdd\x00\x5b\x8d\x80", 0xC0),
            (b"\xdd\x00\x5b\x8d\x80", 0x90),
            (b"", 0x81),
        )
    ]
    filters = b"\x04\x8b\xa7Filters\xdd\x00\x5b\x8d\x80"
    kinds += [inflated(filters, 0xA0, size), inflated(b"\x03", 0xDF, size)]
    pool = itertools.cycle(kinds)

    async def use(stream: trio.SocketStream) -> None:
        await attacker.send_all(stream, next(pool))
        await attacker.read_all(stream)

    await attacker.streams_at_rate(use)


async def join_flag(attacker: Attacker) -> None:
    """Requests with and without the flag of a join, in turn, to a node that knows 2,000."""
    records = [ghost_record(i) for i in range(2000)]
    stream = await attacker.open_stream()
    await attacker.send_all(stream, attacker.stream_frame(push_pull_bytes(False, records, EMPTY)))
    await attacker.read_all(stream)
    await stream.aclose()
    pool = itertools.cycle(
        [attacker.stream_frame(push_pull_bytes(join, [], b"")) for join in (True, False)]
    )

    async def use(stream: trio.SocketStream) -> None:
        await attacker.send_all(stream, next(pool))
        await attacker.read_all(stream)

    await attacker.streams_at_rate(use)


async def state_of_ghosts(attacker: Attacker) -> None:
    """Push/pulls of a thousand made-up nodes each, always others."""
    numbers = itertools.count()

    async def use(stream: trio.SocketStream) -> None:
        base = 1000 * next(numbers)
        records = [ghost_record(base + i, status=i % 4) for i in range(1000)]
        await attacker.send_all(
            stream, attacker.stream_frame(push_pull_bytes(base % 2000 == 0, records, EMPTY))
        )
        await attacker.read_all(stream)

    await attacker.streams_at_rate(use)


async def ghosts_through_peer(attacker: Attacker) -> None:
    """Another member, Go's if there is one, is given 5,000 made-up nodes by push/pulls."""
    for base in range(0, 5000, 500):
        records = [ghost_record(base + i) for i in range(500)]
        stream = await attacker.open_stream(to=attacker.peer)
        await attacker.send_all(
            stream, attacker.stream_frame(push_pull_bytes(False, records, EMPTY))
        )
        with trio.move_on_after(2):
            await attacker.read_all(stream)
        await trio.aclose_forcefully(stream)
    await attacker.wait_end()


async def wrong_key_streams(attacker: Attacker) -> None:
    """Streams encrypted by a key that nobody has, as long as a frame may be."""
    codec = StreamCodec(keyring=Keyring((attacker.rng.randbytes(16),)), compress=False)
    data = frame(push_pull_bytes(False, [], bytes(4_000_000)), codec, attacker.rng.randbytes(12))

    async def use(stream: trio.SocketStream) -> None:
        await attacker.send_all(stream, data)
        await attacker.read_all(stream)

    await attacker.streams_at_rate(use)


async def user_messages(attacker: Attacker) -> None:
    """User messages on streams: events and queries that no packet would carry."""

    async def use(stream: trio.SocketStream) -> None:
        body = crafting.event(attacker.next_time(), "streamed", bytes(1_000_000))[1:]
        await attacker.send_all(stream, attacker.stream_frame(user_message_bytes(body)))
        await attacker.read_all(stream)

    await attacker.streams_at_rate(use)
