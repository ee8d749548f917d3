"""Attacks by streams.  Each is a function of an `Attacker` that returns when it is over."""

from __future__ import annotations

import itertools
import socket

import trio

from trioserf._wire.codec import encode
from trioserf._wire.keyring import Keyring
from trioserf._wire.messages import NodeRecord, PushPullHeader
from trioserf._wire.serf_messages import (
    PushPull,
    UserEventRecord,
    UserEventSlot,
    encode_serf,
)
from trioserf._wire.streams import StreamCodec, frame, push_pull_bytes

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
    from trioserf._wire.streams import user_message_bytes

    async def use(stream: trio.SocketStream) -> None:
        body = crafting.event(attacker.next_time(), "streamed", bytes(1_000_000))[1:]
        await attacker.send_all(stream, attacker.stream_frame(user_message_bytes(body)))
        await attacker.read_all(stream)

    await attacker.streams_at_rate(use)
