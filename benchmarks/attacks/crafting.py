"""Bytes as an attacker would write them: with the library's own codecs, and fast.

What must differ from packet to packet stands in front, as plain codes of the compressed stream;
the long rest is compressed once.
"""

from __future__ import annotations

import random
import socket
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from trioserf._wire.codec import encode
from trioserf._wire.compression import _envelope, compress
from trioserf._wire.messages import Alive
from trioserf._wire.packets import make_compound
from trioserf._wire.serf_messages import (
    JoinIntent,
    LeaveIntent,
    QueryMessage,
    QueryResponseMessage,
    UserEventMessage,
    encode_serf,
)

VERSIONS = bytes((1, 5, 2, 2, 5, 4))
USER = b"\x08"


@attrs.frozen
class Run:
    """So many times the same byte."""

    byte: int
    count: int


class _Bits:
    """Codes of LZW in the order of the stream."""

    def __init__(self) -> None:
        self.value = self.size = 0
        self.done = bytearray()
        self.place = 0

    def add(self, code: int) -> None:
        place = self.place
        width = 9 if place < 255 else 10 if place < 767 else 11 if place < 1791 else 12
        self.value |= code << self.size
        self.size += width
        self.place += 1
        if code == 256:
            self.place = 0
        if self.size > 4096:
            whole = self.size // 8
            self.done += (self.value & ((1 << 8 * whole) - 1)).to_bytes(whole, "little")
            self.value >>= 8 * whole
            self.size -= 8 * whole

    def finish(self) -> bytes:
        self.add(257)
        return bytes(self.done) + self.value.to_bytes((self.size + 7) // 8, "little")


def lzw_of(*parts: bytes | Run) -> bytes:
    """A stream of LZW: runs are as short as can be, bytes stand as they are."""
    bits = _Bits()
    for part in parts:
        bits.add(256)
        if isinstance(part, bytes):
            for number, byte in enumerate(part):
                if number % 3000 == 2999:
                    bits.add(256)
                bits.add(byte)
            continue
        left, length = part.count, 1
        while left:
            if length == 1 and bits.place:
                bits.add(256)
            step = min(length, left)
            bits.add(part.byte if step == 1 else 256 + step)
            left -= step
            length = 1 if length == 3837 else length + 1
    return bits.finish()


def compressed(*parts: bytes | Run) -> bytes:
    """A compressed message of such parts, type byte first."""
    return _envelope(lzw_of(*parts))


class Spliced:
    """Compressed messages that differ in their first bytes alone; the rest is compressed once."""

    def __init__(self, rest: bytes) -> None:
        stream = compress(rest)  # begins with a clear
        self._rest = int.from_bytes(stream, "little")
        self._size = 8 * len(stream)

    def message(self, head: bytes) -> bytes:
        """A compressed message of ``head``, at most 250 bytes, and the rest."""
        value = sum(byte << 9 * number for number, byte in enumerate(head))
        bits = 9 * len(head)
        # A decoder begins with an empty table, so codes of 9 bits need no clear before them.
        value |= self._rest << bits
        return _envelope(value.to_bytes((bits + self._size + 7) // 8, "little"))


def user(body: bytes) -> bytes:
    """A message of Serf as one of memberlist."""
    return USER + body


def event(ltime: int, name: str, payload: bytes = b"") -> bytes:
    return user(encode_serf(UserEventMessage(ltime, name, payload, False)))


def large_event(ltime: int, size: int) -> bytes:
    """A compressed event whose payload has so many bytes, all alike."""
    short = event(ltime, "large", b"PAYLOAD")
    head, _, tail = short.partition(b"PAYLOAD")
    head = head[:-1] + (b"\xdb" + size.to_bytes(4, "big"))  # raw of 32-bit length
    return compressed(head, Run(ltime & 0x7F, size), tail)


def query(ltime: int, number: int, **fields: Any) -> bytes:
    """A query that wants nothing passed on and no ack, unless fields say otherwise."""
    values: dict[str, Any] = {
        "addr": socket.inet_aton("127.0.0.1"),
        "port": 9,
        "source_node": "nobody",
        "filters": None,
        "flags": 2,
        "relay_factor": 0,
        "timeout": 5_000_000_000,
        "name": "hostile",
        "payload": None,
    }
    return user(encode_serf(QueryMessage(ltime, number, **(values | fields))))


def response(ltime: int, number: int, name: str, payload: bytes = b"", flags: int = 0) -> bytes:
    return user(encode_serf(QueryResponseMessage(ltime, number, name, flags, payload)))


def leave(ltime: int, node: str, prune: bool = False) -> bytes:
    return user(encode_serf(LeaveIntent(ltime, node, prune)))


def join(ltime: int, node: str) -> bytes:
    return user(encode_serf(JoinIntent(ltime, node)))


def alive(name: str, host: str, port: int, incarnation: int = 1, meta: bytes = b"") -> bytes:
    return b"\x04" + encode(Alive(incarnation, name, socket.inet_aton(host), port, meta, VERSIONS))


def compounds(messages: Iterable[bytes], limit: int = 1300) -> Iterable[bytes]:
    """The messages in as few compounds as fit."""
    batch: list[bytes] = []
    size = 2
    for message in messages:
        if batch and (size + len(message) + 2 > limit or len(batch) == 127):
            yield make_compound(batch)
            batch, size = [], 2
        batch.append(message)
        size += len(message) + 2
    if batch:
        yield make_compound(batch)


def crc(message: bytes) -> bytes:
    """The checksum of a message, as it stands in front of it."""
    return zlib.crc32(message).to_bytes(4, "big")


def random_bytes(rng: random.Random, sizes: Sequence[int]) -> bytes:
    return rng.randbytes(rng.choice(sizes))
