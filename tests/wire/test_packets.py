"""Datagrams, layer by layer."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.wire_objects import ring
from trioserf._exceptions import LocalProtocolError, RemoteProtocolError
from trioserf._wire.compression import compress_message
from trioserf._wire.labels import add_label
from trioserf._wire.limits import MAX_COMPRESSED, MAX_DEPTH, MAX_PIECES
from trioserf._wire.messages import Ack, Ping, UserMessage, encode_message
from trioserf._wire.packets import (
    MAX_PART,
    DecodedPacket,
    PacketCodec,
    PacketError,
    decode_packet,
    encode_packet,
    make_compound,
    split_compound,
)

KEY, OTHER = b"k" * 16, b"o" * 32
NONCE = bytes(12)
PLAIN = PacketCodec(compress=False)
PING = Ping(7, "node-b", b"\x7f\0\0\1", 7946, "node-a")
PING_BYTES = encode_message(PING)


def _user(body: bytes) -> bytes:
    return b"\x08" + body


# --- both ways ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "version", "compress", "crc", "parts"),
    [
        *itertools.product((b"", b"blue"), (None, 0, 1), (False, True), (False, True), (1, 20)),
    ],
)
def test_a_packet_of_any_layers_comes_back(
    label: bytes, version: int | None, compress: bool, crc: bool, parts: int
) -> None:
    codec = PacketCodec(
        label=label,
        keyring=None if version is None else ring(KEY, OTHER),
        encryption_version=version or 0,
        compress=compress,
    )
    message = PING_BYTES if parts == 1 else make_compound([PING_BYTES] * parts)
    data = encode_packet(message, codec, crc=crc, nonce=NONCE if codec.encrypts else None)
    assert DecodedPacket((PING,) * parts) == decode_packet(data, codec)
    expected_start = b"\xf4" if label else {0: b"\0", 1: b"\1", None: data[:1]}[version]
    assert expected_start == data[:1]


def test_only_what_gets_shorter_is_compressed() -> None:
    codec = PacketCodec()
    assert PING_BYTES == encode_packet(PING_BYTES, codec, crc=False)
    assert 9 == encode_packet(_user(b"a" * 50), codec, crc=False)[0]
    assert 8 == encode_packet(_user(b"a" * 50), PLAIN, crc=False)[0]


def test_an_empty_message_is_never_sent() -> None:
    with pytest.raises(LocalProtocolError, match="empty"):
        encode_packet(b"", PLAIN, crc=False)


def test_an_encrypted_packet_needs_a_nonce() -> None:
    codec = PacketCodec(keyring=ring(KEY))
    assert codec.encrypts
    with pytest.raises(LocalProtocolError, match="nonce"):
        encode_packet(PING_BYTES, codec, crc=False)


def test_keys_do_not_show_in_the_repr() -> None:
    assert repr(KEY) not in repr(PacketCodec(keyring=ring(KEY)))


# --- who may send what --------------------------------------------------------------------


def _layer(data: bytes, codec: PacketCodec) -> str:
    with pytest.raises(PacketError) as caught:
        decode_packet(data, codec)
    return caught.value.layer


@pytest.mark.parametrize(
    ("received", "expected"),
    [(b"red", b"blue"), (b"", b"blue"), (b"blue", b"")],
    ids=["wrong", "missing", "unexpected"],
)
def test_a_packet_with_another_label_is_refused(received: bytes, expected: bytes) -> None:
    data = encode_packet(PING_BYTES, PacketCodec(label=received), crc=False)
    assert "label" == _layer(data, PacketCodec(label=expected))


def test_where_labels_are_checked_elsewhere_the_label_still_authenticates() -> None:
    codec = PacketCodec(label=b"blue", keyring=ring(KEY))
    data = encode_packet(PING_BYTES, codec, crc=False, nonce=NONCE)
    behind = PacketCodec(label=b"blue", keyring=ring(KEY), skip_inbound_label_check=True)
    assert (PING,) == decode_packet(data[6:], behind).messages
    assert "label" == _layer(data, behind)
    other = PacketCodec(label=b"red", keyring=ring(KEY), skip_inbound_label_check=True)
    assert "decrypt" == _layer(data[6:], other)


def test_with_keys_plain_packets_are_refused_unless_configured_otherwise() -> None:
    assert "decrypt" == _layer(PING_BYTES, PacketCodec(keyring=ring(KEY)))
    lenient = PacketCodec(keyring=ring(KEY), verify_incoming=False)
    assert (PING,) == decode_packet(PING_BYTES, lenient).messages
    encrypted = encode_packet(PING_BYTES, lenient, crc=False, nonce=NONCE)
    assert (PING,) == decode_packet(encrypted, lenient).messages


def test_sending_in_clear_despite_keys_can_be_chosen() -> None:
    codec = PacketCodec(keyring=ring(KEY), verify_outgoing=False)
    assert not codec.encrypts
    assert PING_BYTES == encode_packet(PING_BYTES, codec, crc=False)


def test_an_empty_ring_is_no_encryption() -> None:
    codec = PacketCodec(keyring=ring())
    assert not codec.encrypts
    assert (PING,) == decode_packet(PING_BYTES, codec).messages


def test_version_0_may_be_refused() -> None:
    old = PacketCodec(keyring=ring(KEY), encryption_version=0)
    data = encode_packet(PING_BYTES, old, crc=False, nonce=NONCE)
    assert (PING,) == decode_packet(data, PacketCodec(keyring=ring(KEY))).messages
    assert "decrypt" == _layer(data, PacketCodec(keyring=ring(KEY), accept_v0=False))


# --- defects ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "layer"),
    [
        (b"", "message"),
        (b"\x0c", "message"),
        (b"\x0c\0\0\0", "message"),
        (b"\x0c\0\0\0\0", "message"),
        (b"\x0c\0\0\0\0\x08", "crc"),
        (b"\x06\x80", "message"),
        (b"\x0a\x80", "message"),
        (b"\x00\x81", "message"),
        (b"\x07", "compound"),
        (b"\x07\x02\x00", "compound"),
        (b"\x09", "compress"),
        (b"\x09\x80", "compress"),
        (compress_message(b""), "message"),
        (compress_message(b"\x00\x81"), "message"),
        (compress_message(b"\x07\x09"), "compound"),
        (compress_message(b"\x0c\0\0\0\0\x08"), "message"),
        (b"\xf4\x00", "label"),
        (b"\xff" * 1400, "message"),
    ],
)
def test_a_useless_packet_is_refused_with_its_layer(data: bytes, layer: str) -> None:
    assert layer == _layer(data, PLAIN)


def test_the_error_is_a_serf_error() -> None:
    with pytest.raises(RemoteProtocolError, match="message type 6 in a packet"):
        decode_packet(b"\x06", PLAIN)


def test_good_parts_are_used_and_bad_ones_are_reported() -> None:
    parts = [PING_BYTES, b"\x00\x81", _user(b"u"), b"\x09\x80", b"\x63", PING_BYTES]
    decoded = decode_packet(make_compound(parts), PLAIN)
    assert (PING, UserMessage(b"u"), PING) == decoded.messages
    assert ("message", "compress", "message") == decoded.problems


def test_a_cut_compound_yields_the_parts_before_the_cut() -> None:
    data = make_compound([_user(b"1"), _user(b"2"), _user(b"3")])[:-1]
    expected = DecodedPacket((UserMessage(b"1"), UserMessage(b"2")), ("compound",))
    assert expected == decode_packet(data, PLAIN)


def test_a_compound_of_nothing_is_no_problem() -> None:
    assert DecodedPacket(()) == decode_packet(b"\x07\x00", PLAIN)


def test_nested_parts_keep_their_order() -> None:
    inner = make_compound([_user(b"2"), compress_message(_user(b"3"))])
    data = compress_message(make_compound([_user(b"1"), inner, _user(b"4")]))
    expected = tuple(UserMessage(bytes((c,))) for c in b"1234")
    assert expected == decode_packet(data, PLAIN).messages


def test_bytes_after_a_message_are_ignored() -> None:
    assert (PING,) == decode_packet(PING_BYTES + b"more", PLAIN).messages


# --- bounds -------------------------------------------------------------------------------


def _nested(depth: int, wrap: Any) -> bytes:
    data = PING_BYTES
    for _ in range(depth):
        data = wrap(data)
    return data


@pytest.mark.parametrize("wrap", [compress_message, lambda data: make_compound([data])])
def test_nesting_up_to_a_bound_is_read(wrap: Any) -> None:
    assert (PING,) == decode_packet(_nested(MAX_DEPTH, wrap), PLAIN).messages


def test_nesting_is_bounded() -> None:
    assert "compress" == _layer(_nested(MAX_DEPTH + 1, compress_message), PLAIN)
    deep = _nested(MAX_DEPTH + 1, lambda data: make_compound([data]))
    assert DecodedPacket((), ("compound",)) == decode_packet(deep, PLAIN)


def test_the_output_of_one_packet_is_bounded() -> None:
    codec = PacketCodec(max_output=1000)
    fits, bomb = compress_message(_user(bytes(999))), compress_message(_user(bytes(1000)))
    assert 1 == len(decode_packet(fits, codec).messages)
    assert "compress" == _layer(bomb, codec)
    two = make_compound([compress_message(_user(bytes(499)))] * 2)
    assert 2 == len(decode_packet(two, codec).messages)
    three = make_compound([compress_message(_user(bytes(499)))] * 3)
    assert ("compress",) == decode_packet(three, codec).problems


def test_a_packet_of_many_bombs_is_bounded() -> None:
    bomb = compress_message(_user(bytes(5000)))
    data = make_compound([*[bomb] * 100, PING_BYTES])
    decoded = decode_packet(data, PacketCodec(max_output=4000))
    assert DecodedPacket((PING,), ("compress",) * 100) == decoded


def test_after_a_bomb_nothing_more_of_the_packet_is_decompressed() -> None:
    bomb, good = compress_message(_user(bytes(5000))), compress_message(_user(b"good"))
    codec = PacketCodec(max_output=4000)
    assert () == decode_packet(make_compound([good, PING_BYTES]), codec).problems
    decoded = decode_packet(make_compound([bomb, good, PING_BYTES]), codec)
    assert DecodedPacket((PING,), ("compress", "compress")) == decoded


def test_few_messages_of_a_packet_are_compressed_for_themselves() -> None:
    """Each takes as long as ten others; Go compresses a packet once, as a whole."""
    tiny = compress_message(PING_BYTES)
    decoded = decode_packet(make_compound([tiny] * 100), PLAIN)
    assert DecodedPacket((PING,) * MAX_COMPRESSED, ("compress",) * (100 - MAX_COMPRESSED)) == (
        decoded
    )
    inside = compress_message(make_compound([tiny] * 100))
    assert MAX_COMPRESSED - 1 == len(decode_packet(inside, PLAIN).messages)


def test_the_number_of_messages_in_a_packet_is_bounded() -> None:
    many = make_compound([_user(b"")] * 127)
    decoded = decode_packet(compress_message(make_compound([many] * 127)), PLAIN)
    assert 0 < len(decoded.messages) <= MAX_PIECES
    assert {"compound"} == set(decoded.problems)


@pytest.mark.parametrize("codec", [PLAIN, PacketCodec(label=b"blue", keyring=ring(KEY))])
def test_a_damaged_packet_never_crashes(codec: PacketCodec) -> None:
    rng = random.Random(1)
    message = compress_message(make_compound([PING_BYTES, encode_message(Ack(7, b"x" * 30))] * 5))
    data = encode_packet(message, codec, crc=True, nonce=NONCE if codec.encrypts else None)
    for length in range(len(data)):
        with pytest.raises(RemoteProtocolError):
            decode_packet(data[:length], codec)
    for _ in range(500):
        broken = bytearray(data)
        broken[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        with pytest.raises(RemoteProtocolError):
            decode_packet(bytes(broken), codec)


def test_a_double_label_is_refused() -> None:
    assert "message" == _layer(add_label(add_label(PING_BYTES, b"blue"), b"blue"),
                               PacketCodec(label=b"blue"))  # fmt: skip


# --- compounds ----------------------------------------------------------------------------


@given(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=127), st.binary())
def test_parts_are_split_with_any_bytes_behind_them(parts: list[bytes], more: bytes) -> None:
    assert (parts, 0) == split_compound(make_compound(parts)[1:] + more)


@pytest.mark.parametrize(
    "parts",
    [[], [b"a"] * 128, [b"a", b""], [bytes(MAX_PART + 1)]],
    ids=["none", "128", "an empty one", "a long one"],
)
def test_what_older_go_cannot_read_is_not_written(parts: list[bytes]) -> None:
    with pytest.raises(LocalProtocolError):
        make_compound(parts)


def test_the_longest_and_the_most_parts_are_written() -> None:
    assert 1 + 1 + 2 + MAX_PART == len(make_compound([bytes(MAX_PART)]))
    assert 127 == make_compound([b"a"] * 127)[1]


def test_parts_before_a_cut_are_given_and_the_rest_counted() -> None:
    body = make_compound([b"one", b"two", b"three"])[1:]
    assert ([b"one", b"two"], 1) == split_compound(body[:-1])
    assert ([b"one"], 2) == split_compound(body[:-6])
    assert ([], 3) == split_compound(body[:7])


@pytest.mark.parametrize("body", [b"", b"\x01", b"\x01\x00", b"\x02\x00\x01\x00", b"\xff" * 510])
def test_a_compound_without_its_lengths_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        split_compound(body)


def test_a_compound_of_nothing_and_empty_parts_are_read() -> None:
    assert ([], 0) == split_compound(b"\x00")
    assert ([b"", b"x", b""], 0) == split_compound(bytes.fromhex("03 0000 0001 0000 78"))


@given(st.binary(max_size=600))
def test_any_bytes_give_parts_of_them_or_an_error(body: bytes) -> None:
    try:
        parts, missing = split_compound(body)
    except RemoteProtocolError:
        return
    assert body[0] == len(parts) + missing
    assert sum(map(len, parts)) <= len(body)
