"""What crashed, stalled or bloated some release of memberlist, sent to our parsers.

Each test names the release that fixed it; the dangers that concern rules rather than bytes
have their tests beside the rules.

Source: hashicorp/memberlist, commits 45d05f1, 7a84acf, b72e704, 371698b, bc32294, 7de15ac,
defd4ba, 1b4c746, 313d20c.
"""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.wire import slow_lzw
from tests.wire.wire_objects import ring
from trioserf._exceptions import KeyringError, LocalProtocolError, RemoteProtocolError
from trioserf._wire.codec import encode
from trioserf._wire.compression import compress_message
from trioserf._wire.encryption import encrypt
from trioserf._wire.limits import MAX_NODES, MAX_PIECES, MAX_USER_MESSAGE, MAX_USER_STATE
from trioserf._wire.messages import (
    Alive,
    Compressed,
    NodeRecord,
    PushPullHeader,
    Suspect,
    UserMessage,
    UserMessageHeader,
    decode_message,
    encode_message,
)
from trioserf._wire.packets import (
    DecodedPacket,
    PacketCodec,
    PacketError,
    decode_packet,
    encode_packet,
    make_compound,
)
from trioserf._wire.query_filters import NodeFilter, decode_filter, encode_filter
from trioserf._wire.serf_messages import (
    PushPull,
    QueryResponseMessage,
    UserEventRecord,
    UserEventSlot,
    decode_push_pull,
    decode_serf,
    encode_serf,
)
from trioserf._wire.streams import (
    StreamCodec,
    StreamError,
    StreamParser,
    StreamRequest,
    decode_frame,
    frame,
)

KEY, NONCE = b"k" * 16, bytes(12)
PLAIN, KEYED = PacketCodec(), PacketCodec(keyring=ring(KEY))
STREAM, KEYED_STREAM = StreamCodec(compress=False), StreamCodec(keyring=ring(KEY), compress=False)


@contextmanager
def bounded(seconds: float, size: int) -> Iterator[None]:
    """The block takes at most so long, and so much memory at once (bytes)."""
    tracemalloc.start()
    started = time.process_time()
    try:
        yield
        elapsed = time.process_time() - started
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert elapsed < seconds
    assert peak < size


def _decoded(data: bytes, codec: StreamCodec) -> StreamRequest:
    result = StreamParser(codec, accept_side=True).receive(data)
    assert result is not None, "nothing is missing"
    return decode_frame(result, codec)


def _stream_error(data: bytes, codec: StreamCodec = STREAM) -> StreamError:
    with pytest.raises(StreamError) as caught:
        _decoded(data, codec)
    return caught.value


# --- empty things -------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"\x07\x01\x00\x00", compress_message(b"")])
def test_an_empty_message_is_dropped(data: bytes) -> None:  # fixed in v0.2.4
    try:
        assert DecodedPacket((), ("message",)) == decode_packet(data, PLAIN)
    except PacketError as error:
        assert "empty message" in str(error)  # noqa: PT017


def test_an_empty_part_does_not_hide_its_neighbours() -> None:  # fixed in v0.2.4
    decoded = decode_packet(bytes.fromhex("07 03 0002 0000 0002 0861 0862"), PLAIN)
    assert DecodedPacket((UserMessage(b"a"), UserMessage(b"b")), ("message",)) == decoded


def test_nothing_empty_is_sent() -> None:
    for make in (
        lambda: encode_packet(b"", PLAIN, crc=False),
        lambda: make_compound([b"a", b""]),
        lambda: make_compound([]),
        lambda: frame(b"", STREAM, None),
    ):
        with pytest.raises(LocalProtocolError):
            make()


def test_an_encrypted_packet_of_nothing_is_dropped() -> None:
    encrypted = encrypt(b"", key=KEY, nonce=NONCE, version=1)
    with pytest.raises(PacketError, match="empty message"):
        decode_packet(encrypted, KEYED)


def test_an_encrypted_stream_of_nothing_is_refused() -> None:  # crashes memberlist main
    for version in (0, 1):
        length = 29 if version else 45
        header = b"\x0a" + length.to_bytes(4, "big")
        encrypted = encrypt(b"", key=KEY, nonce=NONCE, version=version, aad=header)
        error = _stream_error(header + encrypted, KEYED_STREAM)
        assert "nothing" in str(error)
        assert error.reply


def test_a_stream_frame_decompressing_to_nothing_is_refused() -> None:  # fixed on main
    assert "nothing" in str(_stream_error(compress_message(b"")))
    inner = compress_message(b"")
    assert "nothing" in str(_stream_error(frame(inner, KEYED_STREAM, NONCE), KEYED_STREAM))


# --- compounds ----------------------------------------------------------------------------


@pytest.mark.parametrize("count", [127, 128, 200, 255])
def test_compounds_of_128_parts_and_more_are_split_right(count: int) -> None:  # fixed in v0.2.4
    parts = [b"\x08" + index.to_bytes(2, "big") for index in range(count)]
    lengths = b"".join(len(part).to_bytes(2, "big") for part in parts)
    data = b"".join((b"\x07", bytes((count,)), lengths, *parts))
    assert [part[1:] for part in parts] == [m.body for m in decode_packet(data, PLAIN).messages]


def test_compounds_of_128_parts_and_more_are_not_sent() -> None:
    with pytest.raises(LocalProtocolError):
        make_compound([b"\x08"] * 128)


# --- labels -------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"\xf4\x00", b"\xf4\x00\x08", b"\xf4\x03abc", b"\xf4\x04blux"])
def test_a_bad_label_header_on_a_stream_closes_it(data: bytes) -> None:  # fixed in v0.5.4
    assert not _stream_error(data, StreamCodec(label=b"blue")).reply


# --- lengths ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "state"),
    [(-1, 0), (MAX_NODES + 1, 0), (2**62, 0), (0, -1), (0, MAX_USER_STATE + 1), (0, 2**62)],
)
def test_impossible_lengths_of_a_push_pull_are_refused(nodes: int, state: int) -> None:
    # fixed in v0.6.0
    with bounded(2.0, 1_000_000):
        error = _stream_error(b"\x06" + encode(PushPullHeader(nodes, state, True)))
    assert not error.reply


def test_great_lengths_of_a_push_pull_allocate_nothing() -> None:  # fixed in v0.6.0
    data = b"\x06" + encode(PushPullHeader(MAX_NODES, MAX_USER_STATE, True))
    with bounded(2.0, 1_000_000):
        assert StreamParser(STREAM, accept_side=True).receive(data) is None


@pytest.mark.parametrize("length", [-1, MAX_USER_MESSAGE + 1, 2**62])
def test_impossible_lengths_of_a_user_message_are_refused(length: int) -> None:  # fixed on main
    with bounded(2.0, 1_000_000):
        _stream_error(b"\x08" + encode(UserMessageHeader(length)))


def test_a_great_length_of_a_user_message_allocates_nothing() -> None:  # fixed on main
    data = b"\x08" + encode(UserMessageHeader(MAX_USER_MESSAGE)) + b"begin"
    with bounded(2.0, 1_000_000):
        assert StreamParser(STREAM, accept_side=True).receive(data) is None


def test_a_great_length_of_a_frame_allocates_nothing() -> None:
    with bounded(2.0, 1_000_000):
        parser = StreamParser(KEYED_STREAM, accept_side=True)
        assert parser.receive(b"\x0a\x01\x40\x00\x00begin") is None
        assert _stream_error(b"\x0a\x01\x40\x00\x01", KEYED_STREAM).reply


def test_a_million_node_records_of_next_to_nothing_are_refused() -> None:
    data = b"\x06" + encode(PushPullHeader(MAX_NODES, 0, True)) + b"\xc0" * MAX_NODES
    with bounded(3.0, 5_000_000):
        assert "only" in str(_stream_error(data))


@pytest.mark.parametrize("header", ["c6ffffffff", "dbffffffff", "ddffffffff", "dfffffffff"])
def test_length_fields_of_msgpack_allocate_nothing(header: str) -> None:
    body = bytes.fromhex("81a55365714e6f" + header)
    for pad in (0, 1000):
        with bounded(2.0, 1_000_000), pytest.raises(RemoteProtocolError):
            decode_message(b"\x00" + body + bytes(pad))
    with bounded(2.0, 1_000_000), suppress(StreamError):
        assert StreamParser(STREAM, accept_side=True).receive(b"\x00" + body) is None


def test_depth_of_msgpack_is_bounded() -> None:
    body = b"\x81\xa4Junk" + b"\xdd\x00\x00\xff\xff" * 900 + bytes(60_000)
    for read in (
        lambda: decode_message(b"\x00" + body),
        lambda: StreamParser(STREAM, accept_side=True).receive(b"\x00" + body),
    ):
        with bounded(2.0, 4_000_000), pytest.raises(RemoteProtocolError):
            read()


# --- bombs --------------------------------------------------------------------------------


def test_a_packet_bomb_is_bounded() -> None:  # fixed on main, at 40 MiB
    bomb = compress_message(b"\x08" + bytes(4_000_000))
    with bounded(3.0, 12_000_000), pytest.raises(PacketError, match="longer than"):
        decode_packet(bomb, PLAIN)


def test_a_stream_bomb_is_bounded() -> None:  # fixed on main
    stream = slow_bomb(45_000_000)
    bomb = b"\x09" + encode(Compressed(0, stream))
    frame = StreamParser(STREAM, accept_side=True).receive(bomb)
    assert isinstance(frame, Compressed)
    with bounded(15.0, 120_000_000), pytest.raises(StreamError, match="longer than") as caught:
        decode_frame(frame, STREAM)
    assert caught.value.reply


def slow_bomb(size: int) -> bytes:
    """A stream of so many zeros and more, made of one block of codes over and over."""
    block = [0, *range(258, 4095), 256]
    text = sum(range(1, 3839))
    return slow_lzw.pack(block * (size // text + 1))


def test_compression_inside_compression_is_bounded() -> None:
    data = b"\x08x"
    for _ in range(9):
        data = compress_message(data)
    with bounded(2.0, 4_000_000), pytest.raises(PacketError, match="nested deeper"):
        decode_packet(data, PLAIN)
    assert "type 9" in str(_stream_error(compress_message(compress_message(b"\x08"))))


def test_compounds_inside_compounds_are_bounded() -> None:
    data = b"\x08x"
    for _ in range(4000):
        data = make_compound([data])
        if len(data) > 60_000:
            break
    with bounded(2.0, 4_000_000):
        assert DecodedPacket((), ("compound",)) == decode_packet(data, PLAIN)


def test_a_packet_of_very_many_messages_does_not_stall() -> None:
    inner = make_compound([b"\x00\x80"] * 127)
    bomb = compress_message(make_compound([make_compound([inner] * 127)] * 10))
    with bounded(3.0, 8_000_000):  # 30 ms where memory is not traced
        decoded = decode_packet(bomb, PLAIN)
    assert 127 < len(decoded.messages) <= MAX_PIECES
    assert {"compound"} == set(decoded.problems)


_UNKNOWN_FIELD = b"\x81\xa4Junk"
ODD_MESSAGES = {
    "lists": b"\x00" + _UNKNOWN_FIELD + b"\xdc\x03\x80" + b"\x90" * 0x380,
    "maps": b"\x00" + _UNKNOWN_FIELD + b"\xdc\x03\x80" + b"\x80" * 0x380,
    "headers": b"\x00" + _UNKNOWN_FIELD + b"\xdc\x03\x80" + b"\xdc\0\0" * 10 + bytes(0x376),
}
"""Pings that no Go node sends and each would read: slow to read for their length."""


@pytest.mark.parametrize("odd", ODD_MESSAGES.values(), ids=ODD_MESSAGES)
def test_odd_parts_of_a_compound_are_read_up_to_a_bound(odd: bytes) -> None:
    good = encode_message(Suspect(3, "node-b", "node-a"))
    first = decode_packet(make_compound([odd, good]), PLAIN)
    assert (2, ()) == (len(first.messages), first.problems)
    many = make_compound([make_compound([odd] * 63)] * 7 + [good])
    bomb = compress_message(many)
    assert len(bomb) < 6000
    started = time.process_time()
    decoded = decode_packet(bomb, PLAIN)
    assert time.process_time() - started < 0.15  # 12 ms; 250 ms without the bound
    assert len(decoded.messages) < 20
    assert {"message"} == set(decoded.problems)


def test_flat_parts_are_read_as_long_as_a_sender_can_pack_them() -> None:
    messages = [
        encode_message(Alive(1, f"node-{n}", b"\x0a\0\0\1", 7946, b"m" * 300, bytes(6)))
        for n in range(170)
    ]
    compounds = [
        make_compound(messages[:100]),
        make_compound(messages[100:]),
    ]
    decoded = decode_packet(compress_message(make_compound(compounds)), PLAIN)
    assert (170, ()) == (len(decoded.messages), decoded.problems)
    too_many = make_compound([make_compound(messages[:100])] * 3)
    assert 0 < len(decode_packet(compress_message(too_many), PLAIN).messages) < 200


@pytest.mark.parametrize("size", [60_000, 1_000_000])
def test_a_single_value_of_a_million_lists_is_not_made(size: int) -> None:
    field = b"\xdd" + size.to_bytes(4, "big") + b"\x90" * size
    for read in (
        lambda: decode_message(b"\x00" + _UNKNOWN_FIELD + field),
        lambda: decode_serf(b"\x04\x81\xa7Filters" + field),
        lambda: decode_serf(b"\x03" + _UNKNOWN_FIELD + field),
        lambda: decode_filter(b"\x00" + field),
    ):
        with bounded(1.0, 3_000_000), pytest.raises(RemoteProtocolError):
            read()


def test_the_user_state_of_a_push_pull_holds_a_bounded_number_of_values() -> None:
    def nested(depth: int) -> bytes:
        return b"\x9f" + nested(depth - 1) * 15 if depth else b"\x90"

    state = b"\x02" + _UNKNOWN_FIELD + nested(5)
    with bounded(5.0, 10_000_000), pytest.raises(RemoteProtocolError, match="values"):
        decode_push_pull(state)  # 0.1 s; 0.5 s and 60 MB for each 800 kB without the bound
    events = [UserEventRecord(f"event-{n}", bytes((0x90,)) * 200) for n in range(5)]
    slots = tuple(UserEventSlot(time, tuple(events)) for time in range(512))
    members = {f"node-{n}": n for n in range(20_000)}
    large = PushPull(1, members, (), 2, slots, 3)
    assert large == decode_push_pull(encode_serf(large))


def test_long_texts_are_no_reason_to_refuse() -> None:
    body = random.Random(1).randbytes(60_000)
    answer = QueryResponseMessage(ltime=1, id=2, from_node="a", flags=0, payload=body)
    assert answer == decode_serf(encode_serf(answer))
    names = NodeFilter(tuple(f"節点-{n}" for n in range(5000)))
    assert names == decode_filter(encode_filter(names))


# --- versions and padding -----------------------------------------------------------------


@pytest.mark.parametrize("versions", [None, b"", b"\1", b"\1\5", b"\1\5\2\2\5", bytes(6), bytes(9)])
def test_version_vectors_of_any_length_are_read_as_they_are(versions: bytes | None) -> None:
    # crashed up to v0.6.0; users of them must check the length
    alive = Alive(1, "a", b"\x7f\0\0\1", 7946, None, versions)
    assert alive == decode_message(encode_message(alive))
    record = NodeRecord("a", b"\x7f\0\0\1", 7946, None, 1, 0, versions)
    data = b"\x06" + encode(PushPullHeader(1, 0, True)) + encode(record)
    request = StreamParser(STREAM, accept_side=True).receive(data)
    assert (record,) == request.records  # type: ignore[union-attr]


@pytest.mark.parametrize("last", [0, 17, 33, 200, 255])
def test_padding_larger_than_the_text_is_refused(last: int) -> None:  # crashes memberlist main
    plain = bytes(31) + bytes((last,))
    captured = encrypt(plain, key=KEY, nonce=NONCE, version=1)
    with pytest.raises(PacketError, match="padding"):
        decode_packet(b"\0" + captured[1:], KEYED)


def test_a_packet_of_version_1_cannot_pass_for_version_0_where_that_is_refused() -> None:
    captured = encrypt(bytes(31) + b"\1", key=KEY, nonce=NONCE, version=1)
    strict = PacketCodec(keyring=ring(KEY), accept_v0=False)
    with pytest.raises(PacketError, match="version 0 is refused"):
        decode_packet(b"\0" + captured[1:], strict)


# --- keys ---------------------------------------------------------------------------------


def test_a_ring_in_use_does_not_change() -> None:  # raced up to v0.5.4
    old = ring(KEY)
    codec = PacketCodec(keyring=old)
    new = old.add(b"n" * 16).with_primary(b"n" * 16).remove(KEY)
    assert (b"n" * 16,) == new.keys
    assert (KEY, KEY) == (codec.key, old.primary)


def test_removing_from_an_empty_ring_does_not_crash() -> None:  # crashes memberlist main
    assert 0 == len(ring().remove(KEY))
    with pytest.raises(KeyringError):
        ring().with_primary(KEY)
