"""What the bytes of a packet cost.

Run ``python -m benchmarks.wire``.  Machines differ and are shared: each figure is processor
time of the least disturbed of many rounds, and what matters is put beside something measured
in the same minute.

``python -m benchmarks.wire --check`` fails if a figure is far beyond what it should be.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Mapping

import msgpack

from trioserf._wire.compression import compress, compress_message, decompress
from trioserf._wire.keyring import Keyring
from trioserf._wire.messages import Alive, NodeRecord, Ping, encode_message
from trioserf._wire.packets import (
    PacketCodec,
    decode_packet,
    encode_packet,
    make_compound,
    split_compound,
)
from trioserf._wire.streams import StreamCodec, StreamParser, decode_frame, frame, push_pull_bytes

ROUND = 0.004
"""Length of one round of one measurement (seconds)."""
ROUNDS = 60
VERSIONS = bytes((1, 5, 2, 2, 5, 4))
NONCE = bytes(12)
PLAIN = PacketCodec(compress=False)
ENCRYPTED = PacketCodec(compress=False, keyring=Keyring((bytes(16),)))
ADDRESS = b"\x7f\0\0\1"
PING = encode_message(Ping(42, "node-b", ADDRESS, 7946, "node-a"))


def measure(works: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds for one call of each, measured in turns so that all share the machine's moods."""
    counts = {}
    for name, work in works.items():
        started = time.process_time()
        work()
        counts[name] = max(1, int(ROUND / max(1e-9, time.process_time() - started)))
    best = dict.fromkeys(works, float("inf"))
    for _ in range(ROUNDS):
        for name, work in works.items():
            turns = range(counts[name])
            started = time.process_time()
            for _turn in turns:
                work()
            best[name] = min(best[name], (time.process_time() - started) / counts[name])
    return best


# --- samples ------------------------------------------------------------------------------


def text_like(size: int) -> bytes:
    """Words in random order, as many as fill ``size`` bytes."""
    words = (
        b"alpha beta gamma member cluster node failed alive suspect gossip 10.0.0.1:7946".split()
    )
    rng = random.Random(1)
    return b" ".join(rng.choices(words, k=size))[:size]


def record(index: int) -> NodeRecord:
    """One of many similar nodes."""
    address = bytes((10, 0, index >> 8, index & 255))
    meta = b"\xff\x82\xa4role\xa3web\xa2dc\xa4east"
    return NodeRecord(f"node-{index:04}", address, 7946, meta, index % 7, 0, VERSIONS)


def gossip() -> bytes:
    """A compound of alives that fills a packet of 1,400 bytes."""
    parts: list[bytes] = []
    size = 2
    while size < 1400 - 100:
        node = record(len(parts))
        parts.append(
            encode_message(Alive(node.incarnation, node.name, node.addr, 7946, node.meta, VERSIONS))
        )
        size += 2 + len(parts[-1])
    return make_compound(parts)


def decoded(data: bytes, codec: StreamCodec) -> object:
    """What is in a frame."""
    result = StreamParser(codec, accept_side=True).receive(data)
    assert result is not None, "a whole frame"
    return decode_frame(result, codec)


# --- report -------------------------------------------------------------------------------


def packets() -> tuple[dict[str, float], float]:
    """Seconds per packet, and the share of bare msgpack in a compressed gossip packet."""
    message = gossip()
    compressed = encode_packet(message, PacketCodec(), crc=True)
    bodies = [part[1:] for part in split_compound(message[1:])[0]]
    encrypted_ping = encode_packet(PING, ENCRYPTED, crc=False, nonce=NONCE)
    figures = measure(
        {
            "decode ping": lambda: decode_packet(PING, PLAIN),
            "encode ping": lambda: encode_packet(PING, PLAIN, crc=False),
            "encode ping, trying to compress": lambda: encode_packet(
                PING, PacketCodec(), crc=False
            ),
            "decode ping, encrypted": lambda: decode_packet(encrypted_ping, ENCRYPTED),
            "encode ping, encrypted": lambda: encode_packet(
                PING, ENCRYPTED, crc=False, nonce=NONCE
            ),
            f"decode gossip, {len(message)} bytes": lambda: decode_packet(message, PLAIN),
            f"decode gossip, compressed to {len(compressed)}, CRC": lambda: decode_packet(
                compressed, PLAIN
            ),
            "encode gossip, compressed": lambda: encode_packet(message, PacketCodec(), crc=True),
            "bare msgpack of that gossip": lambda: [
                msgpack.unpackb(body, raw=True) for body in bodies
            ],
        }
    )
    names = list(figures)
    return figures, figures[names[6]] / figures[names[8]]


def lzw() -> dict[str, tuple[float, float]]:
    """For each text: MB/s of encoding and decoding, counted in plain bytes."""
    push_pull = push_pull_bytes(True, [record(index) for index in range(1300)], b"")[:100_000]
    texts = {
        "text-like": text_like(100_000),
        "push/pull": push_pull,
        "random": random.Random(2).randbytes(100_000),
    }
    rates = {}
    for name, text in texts.items():
        stream = compress(text)
        times = measure(
            {
                "encode": lambda text=text: compress(text),
                "decode": lambda stream=stream: decompress(stream, 1 << 20),
            }
        )
        rates[name] = (len(text) / times["encode"] / 1e6, len(text) / times["decode"] / 1e6)
    return rates


def streams() -> dict[str, float]:
    """Seconds per push/pull of a thousand nodes."""
    records = [record(index) for index in range(1000)]
    plain = push_pull_bytes(True, records, b"state")
    codec = StreamCodec(keyring=Keyring((bytes(16),)))
    data = frame(plain, codec, NONCE)
    return measure(
        {
            "build push/pull": lambda: push_pull_bytes(True, records, b"state"),
            "compress it": lambda: compress_message(plain),
            "read it, plain": lambda: decoded(plain, StreamCodec()),
            "read it, encrypted and compressed": lambda: decoded(data, codec),
        }
    )


def main() -> None:
    """Print all figures."""
    times, ratio = packets()
    for name, seconds in times.items():
        print(f"{name:46} {seconds * 1e6:9.2f} µs")
    print(f"{'decoding it beside bare msgpack':46} {ratio:9.1f} ×")
    rates = lzw()
    for name, (encoding, decoding) in rates.items():
        print(f"LZW, 100 kB, {name:33} {encoding:9.1f} MB/s out {decoding:9.1f} MB/s in")
    for name, seconds in streams().items():
        print(f"{'1,000 nodes: ' + name:46} {seconds * 1e3:9.2f} ms")
    if "--check" in sys.argv[1:]:
        check(times, ratio, rates)


def check(
    times: Mapping[str, float], ratio: float, rates: Mapping[str, tuple[float, float]]
) -> None:
    """Fail where something has become several times slower than it was."""
    bare = times["bare msgpack of that gossip"]
    assert times["decode ping"] < 0.5 * bare, "decoding a ping takes as long as 16 bare messages"
    assert ratio < 60, "opening gossip is far from the cost of its msgpack"
    encoding, decoding = rates["text-like"]
    assert encoding > 2.5, "LZW is written half as fast as it should be"
    assert decoding > 7.5, "LZW is read half as fast as it should be"


if __name__ == "__main__":
    main()
