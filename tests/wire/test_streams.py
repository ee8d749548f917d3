"""Writing streams."""

from __future__ import annotations

import pytest

from tests.wire.wire_objects import ring
from trioserf._exceptions import LocalProtocolError
from trioserf._wire.encryption import overhead
from trioserf._wire.limits import MAX_FRAME, MAX_NODES, MAX_USER_STATE
from trioserf._wire.messages import Ack, NodeRecord, Ping
from trioserf._wire.streams import (
    MAX_USER_MESSAGE,
    StreamCodec,
    ack_bytes,
    dial_prefix,
    error_bytes,
    frame,
    ping_bytes,
    push_pull_bytes,
    user_message_bytes,
)

KEY = bytes(range(16))
NONCE = bytes(range(0xA0, 0xAC))
RECORD = NodeRecord("node-a", b"\x7f\0\0\1", 7946, b"meta", 1, 0, bytes((1, 5, 2, 2, 5, 4)))

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
    assert "0082a44e6f6465a162a55365714e6f01" == ping_bytes(Ping(1, "b")).hex()
    assert "0282a75061796c6f6164c0a55365714e6f2a" == ack_bytes(Ack(42)).hex()
    assert "0d81a54572726f72a4626f6f6d" == error_bytes("boom").hex()


def test_the_label_is_written_when_dialling() -> None:
    assert b"\xf4\x04blue" == dial_prefix(StreamCodec(label=b"blue"))
    assert b"" == dial_prefix(StreamCodec())


def test_a_frame_is_compressed_even_if_it_gets_longer() -> None:
    plain = ping_bytes(Ping(1, "b"))
    assert plain == frame(plain, StreamCodec(compress=False), None)
    compressed = frame(plain, StreamCodec(), None)
    assert 9 == compressed[0]
    assert len(compressed) > len(plain)


def test_a_frame_is_encrypted_as_go_does_it() -> None:
    codec = StreamCodec(keyring=ring(KEY), compress=False)
    assert codec.encrypts
    assert _USER_ENCRYPTED == frame(user_message_bytes(b"hi"), codec, NONCE).hex()


def test_the_label_is_authenticated_but_not_part_of_the_frame() -> None:
    plain = user_message_bytes(b"hi")
    bare = frame(plain, StreamCodec(keyring=ring(KEY), compress=False), NONCE)
    codec = StreamCodec(keyring=ring(KEY), compress=False, label=b"blue")
    labelled = frame(plain, codec, NONCE)
    assert bare[:-16] == labelled[:-16]
    assert bare[-16:] != labelled[-16:]


def test_sending_in_clear_despite_keys_can_be_chosen() -> None:
    codec = StreamCodec(keyring=ring(KEY), compress=False, verify_outgoing=False)
    assert not codec.encrypts
    assert b"\x08x" == frame(b"\x08x", codec, None)


def test_what_no_peer_would_read_is_not_written() -> None:
    codec = StreamCodec(keyring=ring(KEY), compress=False)
    with pytest.raises(LocalProtocolError, match="empty frame"):
        frame(b"", codec, NONCE)
    with pytest.raises(LocalProtocolError, match="nonce"):
        frame(b"\x08", codec, None)
    largest = MAX_FRAME - overhead(1)
    assert 5 + MAX_FRAME == len(frame(bytes(largest), codec, NONCE))
    with pytest.raises(LocalProtocolError, match=f"frame of {MAX_FRAME + 1} bytes"):
        frame(bytes(largest + 1), codec, NONCE)
    with pytest.raises(LocalProtocolError, match="too large"):
        push_pull_bytes(False, [], bytes(MAX_USER_STATE + 1))
    with pytest.raises(LocalProtocolError, match="too large"):
        push_pull_bytes(False, [RECORD] * (MAX_NODES + 1), b"")
    with pytest.raises(LocalProtocolError, match="expected at most 20971520"):
        user_message_bytes(bytes(MAX_USER_MESSAGE + 1))
