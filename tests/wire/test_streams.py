"""Streams: what is written, and what is read as its bytes come."""

from __future__ import annotations

import gc
import weakref

import pytest

from tests.wire.wire_objects import ring
from trioserf._exceptions import LocalProtocolError, RemoteProtocolError
from trioserf._wire.codec import encode
from trioserf._wire.compression import compress_message
from trioserf._wire.encryption import encrypt, overhead
from trioserf._wire.limits import (
    MAX_FRAME,
    MAX_NODES,
    MAX_USER_MESSAGE,
    MAX_USER_STATE,
    RECORD_SIZE,
    THREAD_THRESHOLD,
)
from trioserf._wire.messages import (
    Ack,
    Compressed,
    ErrorReply,
    NodeRecord,
    Ping,
    PushPullHeader,
    encode_message,
)
from trioserf._wire.streams import (
    EncryptedFrame,
    Frame,
    PushPullState,
    StreamCodec,
    StreamError,
    StreamParser,
    StreamRequest,
    UserMessageStream,
    ValueReader,
    decode_frame,
    decode_layer,
    dial_prefix,
    footprint,
    footprint_inside,
    frame,
    push_pull_bytes,
    user_message_bytes,
    weight,
)

KEY, OTHER = bytes(range(16)), b"o" * 32
NONCE, COUNTED_NONCE = bytes(12), bytes(range(0xA0, 0xAC))
PLAIN = StreamCodec(compress=False)
KEYED = StreamCodec(compress=False, keyring=ring(KEY))
RECORD = NodeRecord("node-a", b"\x7f\0\0\1", 7946, b"meta", 1, 0, bytes((1, 5, 2, 2, 5, 4)))
USER = user_message_bytes(b"hi")


def _frame(
    data: bytes, codec: StreamCodec = PLAIN, *, accept: bool = True, step: int = 1 << 30
) -> Frame | StreamRequest | None:
    """What a parser returns when bytes come ``step`` at a time."""
    parser = StreamParser(codec, accept_side=accept)
    for at in range(0, len(data), step):
        result = parser.receive(data[at : at + step])
        if result is not None:
            return result
    return None


def _read(
    data: bytes, codec: StreamCodec = PLAIN, *, accept: bool = True, step: int = 1 << 30
) -> StreamRequest | None:
    """The same, decoded."""
    result = _frame(data, codec, accept=accept, step=step)
    return None if result is None else decode_frame(result, codec)


def _refusal(data: bytes, codec: StreamCodec = PLAIN, *, accept: bool = True) -> StreamError:
    with pytest.raises(StreamError) as caught:
        _read(data, codec, accept=accept)
    with pytest.raises(StreamError):
        _read(data, codec, accept=accept, step=1)
    return caught.value


# --- whole, bit by bit, with more behind --------------------------------------------------

_REQUESTS: list[tuple[bytes, StreamRequest]] = [
    (push_pull_bytes(True, [RECORD] * 3, b"hello"), PushPullState(True, (RECORD,) * 3, b"hello")),
    (push_pull_bytes(False, [], b""), PushPullState(False, (), b"")),
    (USER, UserMessageStream(b"hi")),
    (user_message_bytes(b""), UserMessageStream(b"")),
    (encode_message(Ping(1, "b")), Ping(1, "b")),
    (encode_message(Ack(42)), Ack(42)),
    (encode_message(ErrorReply("boom")), ErrorReply("boom")),
]
_CODECS = [
    StreamCodec(
        label=label,
        compress=compress,
        keyring=None if version is None else ring(KEY),
        encryption_version=version or 0,
    )
    for label in (b"", b"blue")
    for compress in (False, True)
    for version in (None, 0, 1)
]


@pytest.mark.parametrize("codec", _CODECS, ids=range(len(_CODECS)))
@pytest.mark.parametrize(("plain", "expected"), _REQUESTS, ids=range(len(_REQUESTS)))
@pytest.mark.parametrize("accept", [True, False], ids=["request", "reply"])
def test_a_request_is_read_however_its_bytes_arrive(
    codec: StreamCodec, plain: bytes, expected: StreamRequest, accept: bool
) -> None:
    data = frame(plain, codec, NONCE if codec.encrypts else None)
    if accept:
        data = dial_prefix(codec) + data
    assert expected == _read(data, codec, accept=accept)
    assert expected == _read(data + b"\xc1\xffmore", codec, accept=accept)
    assert expected == _read(data, codec, accept=accept, step=1)
    assert expected == _read(data, codec, accept=accept, step=3)
    for end in range(len(data)):
        assert _read(data[:end], codec, accept=accept) is None


def test_a_label_may_come_alone_first() -> None:
    codec = StreamCodec(label=b"blue", compress=False)
    parser = StreamParser(codec, accept_side=True)
    assert parser.receive(dial_prefix(codec)) is None
    assert UserMessageStream(b"hi") == parser.receive(USER)


def test_a_long_user_message_arrives_over_many_slices() -> None:
    body = bytes(range(256)) * 2000
    data = user_message_bytes(body)
    assert UserMessageStream(body) == _read(data)
    assert UserMessageStream(body) == _read(data, step=70_000)


def test_reprs_are_short() -> None:
    assert "PushPullState(join=True, records=<1>, user_state=<5 bytes>)" == repr(
        PushPullState(True, (RECORD,), b"hello")
    )
    assert "UserMessageStream(body=<5 bytes>)" == repr(UserMessageStream(b"hello"))


# --- the end of the stream ----------------------------------------------------------------


def test_a_stream_that_ends_before_it_began_is_no_error() -> None:
    parser = StreamParser(PLAIN, accept_side=True)
    assert parser.receive(b"") is None
    parser.eof()


@pytest.mark.parametrize("data", [b"\x08", b"\xf4", b"\x0a\0\0", b"\x09\x82", b"\x06\x83\xa4"])
def test_a_stream_that_ends_in_the_middle_is_an_error(data: bytes) -> None:
    parser = StreamParser(KEYED if data[0] == 10 else PLAIN, accept_side=True)
    assert parser.receive(data) is None
    with pytest.raises(StreamError, match="ended early") as caught:
        parser.eof()
    assert not caught.value.reply


# --- refusals, and error replies -----------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        (b"\xf4\x03red", StreamCodec(label=b"blue")),
        (b"", StreamCodec(label=b"blue")),
        (b"\xf4\x04blue", PLAIN),
        (b"\xf4\x00", PLAIN),
        (b"\xf4\x04blue", StreamCodec(label=b"blue", skip_inbound_label_check=True)),
    ],
    ids=["wrong", "missing", "unexpected", "empty", "checked elsewhere"],
)
def test_a_wrong_label_ends_the_stream_without_reply(label: bytes, codec: StreamCodec) -> None:
    assert not _refusal(label + USER, codec).reply


def test_a_reply_has_no_label() -> None:
    codec = StreamCodec(label=b"blue", compress=False)
    assert UserMessageStream(b"hi") == _read(USER, codec, accept=False)
    assert "type 244" in str(_refusal(dial_prefix(codec) + USER, codec, accept=False))


def test_a_reply_is_authenticated_with_the_label() -> None:
    blue = StreamCodec(label=b"blue", compress=False, keyring=ring(KEY))
    reply = frame(USER, blue, NONCE)
    assert UserMessageStream(b"hi") == _read(reply, blue, accept=False)
    assert "no installed keys" in str(_refusal(reply, KEYED, accept=False))


@pytest.mark.parametrize(
    ("data", "codec", "text"),
    [
        (frame(USER, KEYED, NONCE), PLAIN, "encryption is not configured"),
        (frame(USER, KEYED, NONCE), StreamCodec(keyring=ring()), "encryption is not configured"),
        (USER, KEYED, "remote state is not encrypted"),
        (frame(USER, KEYED, NONCE), StreamCodec(keyring=ring(OTHER)), "no installed keys"),
        (b"\x0a" + (MAX_FRAME + 1).to_bytes(4, "big"), KEYED, "too long"),
        (b"\x0a\0\0\0\0", KEYED, "encryption version"),
        (b"\x0a\0\0\0\1\1", KEYED, "too few"),
        (b"\x09\xc1", PLAIN, "msgpack"),
        (b"\x09\x82\xa4Algo\x01\xa3Buf\xa0", PLAIN, "algorithm 1"),
        (b"\x09\x81\xa3Buf\xa1\x00", PLAIN, "LZW"),
        (b"\x09\x05", PLAIN, "where a struct belongs"),
        (compress_message(USER), StreamCodec(max_output=5), "longer than 5"),
    ],
)
def test_what_fails_before_the_message_is_reported_to_the_peer(
    data: bytes, codec: StreamCodec, text: str
) -> None:
    error = _refusal(data, codec)
    assert text in str(error)
    assert error.reply


@pytest.mark.parametrize(
    "data",
    [
        b"\x01\x80",
        b"\x07\x01\x00\x01\x08",
        b"\x0c\0\0\0\0\x08",
        b"\xff",
        b"\x00\xc1",
        b"\x00\x81\xa5SeqNo\xff",
        b"\x06" + encode(PushPullHeader(1, 0, True)) + b"\x05",
        b"\x06" + encode(PushPullHeader(1, 0, True)) + b"\xdc\xff\xff",
        compress_message(compress_message(USER)),
        compress_message(USER[:-1]),
        compress_message(b"\x06\x80\x80"[:1]),
    ],
)
def test_what_fails_inside_the_message_ends_the_stream_without_reply(data: bytes) -> None:
    assert not _refusal(data).reply


def test_plain_streams_are_read_despite_keys_if_configured_so() -> None:
    codec = StreamCodec(keyring=ring(KEY), verify_incoming=False)
    assert UserMessageStream(b"hi") == _read(USER, codec)


def test_version_0_may_be_refused() -> None:
    old = StreamCodec(keyring=ring(KEY), compress=False, encryption_version=0)
    data = frame(USER, old, NONCE)
    assert UserMessageStream(b"hi") == _read(data, KEYED)
    strict = StreamCodec(keyring=ring(KEY), accept_v0=False)
    assert "version 0 is refused" in str(_refusal(data, strict))


def test_an_encrypted_frame_ends_where_its_header_says() -> None:
    aad = b"\x0a" + (29 + len(USER) - 1).to_bytes(4, "big")
    cut = aad + encrypt(USER[:-1], key=KEY, nonce=NONCE, version=1, aad=aad)
    assert "cut short" in str(_refusal(cut, KEYED))


def test_all_records_together_are_bounded() -> None:
    parser = StreamParser(PLAIN, accept_side=True)
    record = encode(NodeRecord("node-a", None, 0, bytes(1_000_000)))
    parser.receive(b"\x06" + encode(PushPullHeader(100, 0, True)))
    for _ in range(41):
        assert parser.receive(record) is None
    with pytest.raises(StreamError, match="node records of more than"):
        parser.receive(record)


# --- threads ------------------------------------------------------------------------------

_MANY = push_pull_bytes(True, [RECORD] * (THREAD_THRESHOLD // 60), b"state")


@pytest.mark.parametrize(
    "codec",
    [KEYED, StreamCodec(), StreamCodec(keyring=ring(KEY))],
    ids=["encrypted", "compressed", "both"],
)
def test_the_weight_of_a_heavy_layer_is_above_the_threshold(codec: StreamCodec) -> None:
    data = frame(_MANY, codec, NONCE if codec.encrypts else None)
    result = _frame(data, codec, step=5000)
    weights = []
    while isinstance(result, Frame):
        weights.append(weight(result))
        result = decode_layer(result, codec)
    assert THREAD_THRESHOLD < max(weights)
    assert THREAD_THRESHOLD > weights[0] or not codec.encrypts
    assert isinstance(result, PushPullState)
    assert (THREAD_THRESHOLD // 60, b"state") == (len(result.records), result.user_state)


def test_layers_come_off_one_by_one() -> None:
    codec = StreamCodec(keyring=ring(KEY))
    first = _frame(frame(USER, codec, NONCE), codec)
    assert isinstance(first, EncryptedFrame)
    second = decode_layer(first, codec)
    assert isinstance(second, Compressed)
    third = decode_layer(second, codec)
    assert USER == third
    assert UserMessageStream(b"hi") == decode_layer(third, codec)


def test_decrypting_and_decompressing_may_be_heavy() -> None:
    random_looking = bytes((i * i * 31 + i // 7) % 251 for i in range(40_000))
    compressed = _frame(compress_message(user_message_bytes(random_looking)), StreamCodec())
    assert isinstance(compressed, Compressed)
    assert THREAD_THRESHOLD < weight(compressed)
    assert UserMessageStream(random_looking) == decode_frame(compressed, StreamCodec())
    encrypted = _frame(frame(user_message_bytes(bytes(3_000_000)), KEYED, NONCE), KEYED)
    assert isinstance(encrypted, EncryptedFrame)
    assert THREAD_THRESHOLD < weight(encrypted)
    assert UserMessageStream(bytes(3_000_000)) == decode_frame(encrypted, KEYED)


def test_a_broken_frame_is_found_when_it_is_opened_and_the_peer_gets_a_reply() -> None:
    broken = bytearray(frame(user_message_bytes(bytes(3_000_000)), KEYED, NONCE))
    broken[-1] ^= 1
    encrypted = _frame(bytes(broken), KEYED)
    assert isinstance(encrypted, EncryptedFrame)
    with pytest.raises(StreamError) as caught:
        decode_layer(encrypted, KEYED)
    assert caught.value.reply


def test_plain_streams_are_parsed_as_they_come() -> None:
    request = _frame(_MANY, step=65536)
    assert isinstance(request, PushPullState)


@pytest.mark.parametrize(
    "plain", [b"", b"\x06", USER[:-1], push_pull_bytes(True, [RECORD], b"u")[:-1]]
)
def test_a_whole_frame_that_is_cut_short_inside_is_refused(plain: bytes) -> None:
    with pytest.raises(StreamError, match="cut short inside") as caught:
        decode_layer(plain, PLAIN)
    assert not caught.value.reply


def test_a_frame_whose_header_is_odd_needs_room_for_its_bytes() -> None:
    assert 4 == footprint_inside(b"\x06abc")
    assert 5 == footprint_inside(b"\x08abcd")


# --- writing ------------------------------------------------------------------------------

# Made by Go.
_PUSH_PULL = (
    "0683a44a6f696ec3a54e6f64657301ac5573657253746174654c656e05"
    "87a441646472a47f000001ab496e6361726e6174696f6e01a44d657461a46d657461a44e616d65a66e6f64652d61"
    "a4506f7274cd1f0aa5537461746500a356736ea6010502020504"
    "68656c6c6f"
)
_USER_ENCRYPTED = (
    "0a0000002d01a0a1a2a3a4a5a6a7a8a9aaaba20792ee0dec4147f91ff9652810d809cadde7fc43e16c190b505"
    "34ac05754d9"
)


def test_a_push_pull_is_header_records_and_user_state() -> None:
    assert _PUSH_PULL == push_pull_bytes(True, [RECORD], b"hello").hex()


def test_a_user_message_has_its_length_in_front() -> None:
    assert "0881aa557365724d73674c656e026869" == user_message_bytes(b"hi").hex()


def test_pings_acks_and_errors_are_as_in_packets() -> None:
    assert "0082a44e6f6465a162a55365714e6f01" == encode_message(Ping(1, "b")).hex()
    assert "0282a75061796c6f6164c0a55365714e6f2a" == encode_message(Ack(42)).hex()
    assert "0d81a54572726f72a4626f6f6d" == encode_message(ErrorReply("boom")).hex()


def test_the_label_is_written_when_dialling() -> None:
    assert b"\xf4\x04blue" == dial_prefix(StreamCodec(label=b"blue"))
    assert b"" == dial_prefix(StreamCodec())


def test_a_frame_is_compressed_even_if_it_gets_longer() -> None:
    plain = encode_message(Ping(1, "b"))
    assert plain == frame(plain, StreamCodec(compress=False), None)
    compressed = frame(plain, StreamCodec(), None)
    assert 9 == compressed[0]
    assert len(compressed) > len(plain)


def test_a_frame_is_encrypted_as_go_does_it() -> None:
    codec = StreamCodec(keyring=ring(KEY), compress=False)
    assert codec.encrypts
    assert _USER_ENCRYPTED == frame(user_message_bytes(b"hi"), codec, COUNTED_NONCE).hex()


def test_the_label_is_authenticated_but_not_part_of_the_frame() -> None:
    plain = user_message_bytes(b"hi")
    bare = frame(plain, StreamCodec(keyring=ring(KEY), compress=False), COUNTED_NONCE)
    codec = StreamCodec(keyring=ring(KEY), compress=False, label=b"blue")
    labelled = frame(plain, codec, COUNTED_NONCE)
    assert bare[:-16] == labelled[:-16]
    assert bare[-16:] != labelled[-16:]


def test_sending_in_clear_despite_keys_can_be_chosen() -> None:
    codec = StreamCodec(keyring=ring(KEY), compress=False, verify_outgoing=False)
    assert not codec.encrypts
    assert b"\x08x" == frame(b"\x08x", codec, None)


def test_what_no_peer_would_read_is_not_written() -> None:
    codec = StreamCodec(keyring=ring(KEY), compress=False)
    with pytest.raises(LocalProtocolError, match="empty frame"):
        frame(b"", codec, COUNTED_NONCE)
    with pytest.raises(LocalProtocolError, match="nonce"):
        frame(b"\x08", codec, None)
    largest = MAX_FRAME - overhead(1)
    assert 5 + MAX_FRAME == len(frame(bytes(largest), codec, COUNTED_NONCE))
    with pytest.raises(LocalProtocolError, match=f"frame of {MAX_FRAME + 1} bytes"):
        frame(bytes(largest + 1), codec, COUNTED_NONCE)
    with pytest.raises(LocalProtocolError, match="too large"):
        push_pull_bytes(False, [], bytes(MAX_USER_STATE + 1))
    with pytest.raises(LocalProtocolError, match="too large"):
        push_pull_bytes(False, [RECORD] * (MAX_NODES + 1), b"")
    with pytest.raises(LocalProtocolError, match="expected at most 20971520"):
        user_message_bytes(bytes(MAX_USER_MESSAGE + 1))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP"),
        (b"GET / HTTP/1.1\r\n", "HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        (b"\x16\x03\x01\x02\x00\x01", "TLS"),
    ],
)
@pytest.mark.parametrize("codec", [PLAIN, KEYED, StreamCodec(label=b"blue")])
def test_other_protocols_are_called_by_their_names_whatever_the_settings(
    data: bytes, what: str, codec: StreamCodec
) -> None:
    for accept in (False, True):
        error = _refusal(data, codec, accept=accept)
        assert f"this looks like {what}" in str(error)
        assert not error.reply


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"GET / HTTP/1.1\r\n", "this looks like HTTP, not gossip: message type 71 on a stream"),
        (b"HTTP/1.1 400 Bad Request\r\n", "this looks like HTTP, not gossip: message type 72"),
        (b"\x16\x03\x01\x02\x00", "this looks like TLS, not gossip: message type 22"),
        (b"SSH-2.0-OpenSSH\r\n", "this looks like SSH, not gossip: message type 83"),
        (b"\xfe", "message type 254 on a stream"),
    ],
)
@pytest.mark.parametrize("accept_side", [False, True])
def test_what_speaks_another_protocol_is_named(
    data: bytes, problem: str, accept_side: bool
) -> None:
    parser = StreamParser(StreamCodec(), accept_side=accept_side)
    with pytest.raises(StreamError) as caught:
        parser.receive(data)
    assert str(caught.value).startswith(problem)


# --- values, piece by piece ---------------------------------------------------------------


def test_values_and_raw_bytes_are_taken_as_they_arrive() -> None:
    reader = ValueReader(100)
    reader.feed(b"\x92\x01")
    assert reader.take_value() is None
    reader.feed(b"\x02\xc0raw")
    assert ([1, 2],) == reader.take_value()
    assert (None,) == reader.take_value()
    assert (b"ra", 6) == (reader.take_bytes(2), reader.taken())
    assert (b"w", b"") == (reader.take_bytes(9), reader.take_bytes(9))
    assert reader.take_value() is None


def test_a_value_that_does_not_end_is_refused() -> None:
    reader = ValueReader(100)
    reader.feed(b"\xda\x00\x60" + bytes(60))
    assert reader.take_value() is None
    with pytest.raises(RemoteProtocolError, match="too long"):
        reader.feed(bytes(60))


@pytest.mark.parametrize("data", ["c1", "dcffff", "de0fff", "81" + "90" + "01"])
def test_what_claims_too_much_is_refused_before_it_arrives(data: str) -> None:
    reader = ValueReader(1 << 20)
    reader.feed(bytes.fromhex(data))
    with pytest.raises(RemoteProtocolError):
        reader.take_value()


@pytest.mark.parametrize("data", [USER, push_pull_bytes(False, [RECORD], b""), b"", USER[:2]])
def test_a_parser_is_freed_as_soon_as_nobody_has_it(data: bytes) -> None:
    gc.collect()
    gc.disable()
    try:
        parser = StreamParser(PLAIN, accept_side=True)
        parser.receive(data)
        freed = weakref.ref(parser)
        del parser
        assert freed() is None, "its buffers wait for the next collection of garbage"
    finally:
        gc.enable()


# --- memory -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frame_", "size", "kept"),
    [
        (EncryptedFrame(b"", b"c" * 70), 5, 70),
        (Compressed(0, b"b" * 30), 5, 30),
        (Compressed(0, None), 5, 0),
        (b"\x06abc", 5, 4),
        (PushPullState(True, [RECORD] * 3, b""), 500, 500 + 3 * RECORD_SIZE),
        (UserMessageStream(b"hi"), 9, 9),
        (Ping(1, "n1"), 12, 12),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_frame_or_a_request_keeps(
    frame_: Frame | StreamRequest, size: int, kept: int
) -> None:
    assert kept == footprint(frame_, size)


def test_a_push_pull_whose_header_is_odd_needs_what_it_has() -> None:
    assert 4 == footprint_inside(b"\x06\xc1\xc1\xc1")
    few = push_pull_bytes(True, [RECORD] * 3, b"")
    assert len(few) + 3 * RECORD_SIZE == footprint_inside(few)
    assert 140 == footprint_inside(EncryptedFrame(b"", b"c" * 70))
