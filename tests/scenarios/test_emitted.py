"""What never leaves a node: looked for in every packet and on every stream of a whole run.

The bytes are read by a small reader of their own, so that a mistake shared by our writer and our
reader would be seen.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trioserf._wire.messages import Alive
from trioserf.testing import SimCluster, TraceEntry

from .kit import inject

COMPOUND, USER, CRC, PUSH_PULL = 7, 8, 12, 6
WITH_NODES = {3: "suspect", 4: "alive", 5: "dead"}


class Forbidden(Exception):
    """A form that old peers cannot read."""


def read(data: bytes, at: int) -> tuple[Any, int]:
    """One msgpack value in the forms of the older codec of Go; no other form is let through."""
    head = data[at]
    at += 1
    if head <= 0x7F:
        return head, at
    if head <= 0x8F:
        return _pairs(data, at, head & 0x0F)
    if head <= 0x9F:
        return _items(data, at, head & 0x0F)
    if head <= 0xBF:
        size = head & 0x1F
        return data[at : at + size], at + size
    if head in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[head], at
    if head in (0xDA, 0xDB):
        width = 2 if head == 0xDA else 4
        size = int.from_bytes(data[at : at + width], "big")
        at += width
        return data[at : at + size], at + size
    numbers = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q"}
    numbers |= {0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
    if head in numbers:
        size = struct.calcsize(numbers[head])
        return struct.unpack_from(numbers[head], data, at)[0], at + size
    if head in (0xDC, 0xDE):
        count = int.from_bytes(data[at : at + 2], "big")
        return (_items if head == 0xDC else _pairs)(data, at + 2, count)
    if head >= 0xE0:
        return head - 0x100, at
    raise Forbidden(f"byte {head:#04x}")


def _items(data: bytes, at: int, count: int) -> tuple[list[Any], int]:
    items = []
    for _ in range(count):
        item, at = read(data, at)
        items.append(item)
    return items, at


def _pairs(data: bytes, at: int, count: int) -> tuple[dict[Any, Any], int]:
    flat, at = _items(data, at, 2 * count)
    keys = flat[::2]
    if keys != sorted(keys):
        raise Forbidden(f"keys in the order {keys}")
    return dict(zip(keys, flat[1::2], strict=True)), at


def bare_messages(data: bytes) -> Iterator[bytes]:
    """The messages of a datagram without label, key and compression."""
    if data[0] == CRC:
        data = data[5:]
    if data[0] != COMPOUND:
        yield data
        return
    count = data[1]
    if not 1 <= count <= 127:
        raise Forbidden(f"a compound of {count} parts")
    sizes = struct.unpack_from(f">{count}H", data, 2)
    at = 2 + 2 * count
    for size in sizes:
        yield data[at : at + size]
        at += size
    assert len(data) == at


def check_message(message: bytes) -> int:
    """Raise `Forbidden` for what must not be sent; the type of the message."""
    if not message:
        raise Forbidden("an empty message")
    kind = message[0]
    if kind == USER:
        if len(message) < 2:
            raise Forbidden("an empty user message")
        return kind
    body, end = read(message, 1)
    if end != len(message):
        raise Forbidden(f"{len(message) - end} bytes after a body")
    if kind in WITH_NODES:
        check_node(body, alive=kind == 4)
    return kind


def check_node(body: dict[bytes, Any], *, alive: bool) -> None:
    if not 0 < body[b"Incarnation"] < 2**32:
        raise Forbidden(f"incarnation {body[b'Incarnation']}")
    if not alive:
        return
    if len(body[b"Vsn"]) != 6 or body[b"Port"] == 0 or len(body[b"Addr"]) not in (4, 16):
        raise Forbidden(f"an alive of {body}")


class Inspector:
    """A trace that reads everything that is sent."""

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}
        self.wrong: list[str] = []
        self.addresses: set[bytes] = set()

    def __call__(self, entry: TraceEntry) -> None:
        try:
            if entry.what == "send":
                for message in bare_messages(entry.data):
                    kind = check_message(message)
                    self.seen[kind] = self.seen.get(kind, 0) + 1
                    if kind == 4:
                        self.addresses.add(read(message, 1)[0][b"Addr"])
            elif entry.what == "stream data" and entry.data[:1] == bytes([PUSH_PULL]):
                self.read_push_pull(entry.data)
        except Forbidden as error:
            self.wrong.append(f"{entry.what} from {entry.source}: {error}")

    def read_push_pull(self, data: bytes) -> None:
        header, at = read(data, 1)
        for _ in range(header[b"Nodes"]):
            node, at = read(data, at)
            check_node(node, alive=True)
        self.seen[PUSH_PULL] = self.seen.get(PUSH_PULL, 0) + 1


@pytest.mark.slow
async def test_nothing_is_sent_that_an_old_peer_cannot_read(autojump_clock: MockClock) -> None:
    inspector = Inspector()
    async with SimCluster(seed=1) as cluster:
        cluster.network.trace = inspector
        nodes = await cluster.spawn(6, enable_compression=False)
        await cluster.converged()
        # Every kind of message, and many at once.
        for node in nodes:
            await node.serf.set_tags({"role": "x" * 300})
            with suppress(trio.WouldBlock):  # the queue is full: enough
                for number in range(30):
                    node.serf.user_event_nowait(f"e{number}", bytes(range(40)))
        cluster.network.change_link(loss=0.3)
        await trio.sleep(30)
        cluster.stop(1)
        await trio.sleep(30)
        cluster.resume(1)
        await trio.sleep(10)
        await cluster.crash(2)
        await trio.sleep(30)
        await cluster.leave(3)
        await trio.sleep(5)
    assert [] == inspector.wrong
    # ping, indirect ping, ack, suspect, alive, dead, push/pull, user, nack
    assert {0, 1, 2, 3, 4, 5, 6, 8, 11} <= inspector.seen.keys()


@pytest.mark.slow
async def test_an_address_is_passed_on_as_it_was_received(autojump_clock: MockClock) -> None:
    inspector = Inspector()
    async with SimCluster(seed=1) as cluster:
        await cluster.spawn(3, enable_compression=False)
        await cluster.converged()
        cluster.network.trace = inspector
        mapped = bytes(10) + b"\xff\xff" + b"\x0a\x63\x00\x01"
        inject(
            cluster, Alive(1, "unknown", mapped, 7946, b"", b"\x01\x05\x02\x02\x05\x04"), "node-1"
        )
        await trio.sleep(2)
    assert mapped in inspector.addresses
    assert mapped[-4:] not in inspector.addresses
    assert [] == inspector.wrong


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x08",
        b"\x03\x81\xc4\x01x\x01",
        b"\x03\x81\xd9\x01x\x01",
        b"\x03\x83\xa4From\xa1a\xabIncarnation\x00\xa4Node\xa1b",
        b"\x03\x83\xabIncarnation\x01\xa4From\xa1a\xa4Node\xa1b",
    ],
)
def test_the_inspector_finds_what_is_forbidden(message: bytes) -> None:
    with pytest.raises(Forbidden):
        check_message(message)
