"""Any bytes into any parser: a value or RemoteProtocolError, nothing else.

Bytes at random seldom get past the first check.  So every golden vector is damaged as well:
bits flipped, pieces cut out, doubled, exchanged, and glued to those of others.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import vector_files
from tests.wire.wire_objects import ring
from trioserf._exceptions import KeyringError, RemoteProtocolError
from trioserf._wire import messages
from trioserf._wire.codec import decode, decode_prefix, unpack_prefix, unpack_value
from trioserf._wire.compression import decompress, decompress_message
from trioserf._wire.encryption import decrypt
from trioserf._wire.keyring_file import parse_keyring_file
from trioserf._wire.labels import take_label
from trioserf._wire.packets import PacketCodec, decode_packet, split_compound
from trioserf._wire.streams import StreamCodec, StreamParser, decode_frame

KEYS = ring(bytes.fromhex("30313233343536373839616263646566"), b"k" * 32)
_LIMIT = 1 << 18

_CLASSES = [
    messages.Ping,
    messages.IndirectPing,
    messages.Ack,
    messages.Nack,
    messages.Suspect,
    messages.Alive,
    messages.Dead,
    messages.ErrorReply,
    messages.PushPullHeader,
    messages.NodeRecord,
    messages.UserMessageHeader,
    messages.Compressed,
]


def _stream(data: bytes, *, codec: StreamCodec, accept: bool, step: int) -> object:
    parser = StreamParser(codec, accept_side=accept)
    for at in range(0, len(data), step):
        result = parser.receive(data[at : at + step])
        if result is not None:
            return decode_frame(result, codec)
    return parser.eof()


def _keyring_file(data: bytes) -> object:
    try:
        return parse_keyring_file(data)
    except KeyringError as error:
        raise RemoteProtocolError from error


_lenient = {"verify_incoming": False, "max_output": _LIMIT}
PARSERS: dict[str, Callable[[bytes], Any]] = {
    "value": unpack_value,
    "prefix": unpack_prefix,
    "message": messages.decode_message,
    "compound": split_compound,
    "lzw": partial(decompress, max_output=_LIMIT),
    "compress": partial(decompress_message, max_output=_LIMIT),
    "label": take_label,
    "decrypt": partial(decrypt, keyring=KEYS),
    "keyring": _keyring_file,
    "packet": partial(decode_packet, codec=PacketCodec(max_output=_LIMIT)),
    "encrypted packet": partial(decode_packet, codec=PacketCodec(keyring=KEYS)),
    "lenient packet": partial(decode_packet, codec=PacketCodec(keyring=KEYS, **_lenient)),
    "labelled packet": partial(decode_packet, codec=PacketCodec(label=b"prod", keyring=KEYS)),
    "request": partial(_stream, codec=StreamCodec(max_output=_LIMIT), accept=True, step=50),
    "reply": partial(
        _stream, codec=StreamCodec(keyring=KEYS, **_lenient), accept=False, step=1 << 20
    ),
    "labelled request": partial(
        _stream, codec=StreamCodec(label=b"prod", keyring=KEYS), accept=True, step=7
    ),
    **{cls.__name__: partial(decode, cls) for cls in _CLASSES},
    **{f"{cls.__name__} and more": partial(decode_prefix, cls) for cls in _CLASSES[:3]},
}


def _check(parse: Callable[[bytes], Any], data: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        parse(data)


@pytest.mark.parametrize("name", PARSERS)
@settings(max_examples=60)
@given(data=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(name: str, data: bytes) -> None:
    _check(PARSERS[name], data)


@pytest.mark.parametrize("kind", range(256))
def test_any_first_byte_is_read_or_refused(kind: int) -> None:
    for rest in (b"", b"\x00", b"\x80", b"\xc0", bytes(60), b"\xff" * 60, b"\x81\xa3Buf" * 9):
        for parse in PARSERS.values():
            _check(parse, bytes((kind,)) + rest)


# --- damaged vectors ----------------------------------------------------------------------

_LAYERS = [
    "memberlist-message",
    "compound",
    "compress",
    "encrypt",
    "label",
    "crc",
    "packet",
    "stream",
    "keyring",
    "decode",
    "capture",
]


@cache
def _samples(layer: str) -> list[bytes]:
    try:
        vectors = vector_files.load(layer)
    except FileNotFoundError:
        pytest.skip(f"{vector_files.folder()} has no vectors of layer {layer}")
    return [v.data for v in vectors if v.data and len(v.data) < 20_000]


def _damaged(rng: random.Random, sample: bytes, others: list[bytes]) -> bytes:
    data = bytearray(sample)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) + 1)
        to = min(len(data), at + rng.choice((1, 2, 4, 16, 64)))
        match rng.randrange(7):
            case 0 if data:
                data[at % len(data)] ^= 1 << rng.randrange(8)
            case 1 if data:
                data[at % len(data)] = rng.choice(
                    b"\x00\x07\x09\x0a\x0c\x7f\x80\xc0\xdc\xdf\xf4\xff"
                )
            case 2:
                del data[at:]
            case 3:
                del data[at:to]
            case 4:
                data[at:at] = data[at:to]
            case 5:
                data[at:to] = rng.randbytes(rng.randrange(20))
            case _:
                other = rng.choice(others)
                data[at:] = other[rng.randrange(len(other)) :]
    return bytes(data)


@pytest.mark.parametrize("layer", _LAYERS)
def test_damaged_vectors_are_read_or_refused(layer: str) -> None:
    samples = _samples(layer)
    rng = random.Random(layer)
    parsers = list(PARSERS.values())
    slowest = 0.0
    for sample in samples:
        for _ in range(max(1, 240 // len(samples))):
            data = _damaged(rng, sample, samples)
            started = time.process_time()
            for parse in parsers:
                _check(parse, data)
                _check(parse, data[1:])
            slowest = max(slowest, time.process_time() - started)
    assert slowest < 2.0


@pytest.mark.parametrize("layer", ["memberlist-message", "compound", "label", "crc", "encrypt"])
def test_vectors_cut_at_every_length_are_read_or_refused(layer: str) -> None:
    parsers = [
        PARSERS[name] for name in ("message", "packet", "encrypted packet", "request", "label")
    ]
    for sample in _samples(layer):
        step = 1 + len(sample) // 100
        for length in range(0, len(sample), step):
            for parse in parsers:
                _check(parse, sample[:length])
