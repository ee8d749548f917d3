"""Messages of membership as type byte and body."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._exceptions import LocalProtocolError, RemoteProtocolError
from trioserf._wire.messages import (
    Ack,
    Alive,
    Compressed,
    Dead,
    ErrorReply,
    IndirectPing,
    Nack,
    Ping,
    Suspect,
    UserMessage,
    decode_message,
    encode_message,
)

_u32 = st.integers(0, 2**32 - 1)
_u16 = st.integers(0, 2**16 - 1)
_name = st.binary(max_size=300).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
_blob = st.none() | st.binary(max_size=600)
_source = st.none() | st.binary(min_size=4, max_size=16)

_messages = st.one_of(
    st.builds(Ping, _u32, _name, _source, _u16, _name),
    st.builds(IndirectPing, _u32, _blob, _u16, _name, st.booleans(), _source, _u16, _name),
    st.builds(Ack, _u32, _blob),
    st.builds(Nack, _u32),
    st.builds(Suspect, _u32, _name, _name),
    st.builds(Alive, _u32, _name, _blob, _u16, _blob, _blob),
    st.builds(Dead, _u32, _name, _name),
    st.builds(UserMessage, st.binary(max_size=600)),
)


@given(_messages)
def test_messages_come_back(message: Any) -> None:
    assert message == decode_message(encode_message(message))


@given(_messages.filter(lambda message: not isinstance(message, UserMessage)), st.binary())
def test_bytes_after_a_body_are_ignored(message: Any, more: bytes) -> None:
    assert message == decode_message(encode_message(message) + more)


@pytest.mark.parametrize(
    ("message", "kind"),
    [(Ping(), 0), (IndirectPing(), 1), (Ack(), 2), (Suspect(), 3), (Alive(), 4), (Dead(), 5),
     (UserMessage(b""), 8), (Nack(), 11), (ErrorReply(), 13)],
)  # fmt: skip
def test_the_first_byte_is_the_type(message: Any, kind: int) -> None:
    assert kind == encode_message(message)[0]


@pytest.mark.parametrize("kind", [6, 7, 9, 10, 12, 13, 14, 99, 244, 255])
def test_types_that_are_no_bare_message_of_a_packet_are_refused(kind: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"type {kind} in a packet"):
        decode_message(bytes((kind, 0x80)))


@pytest.mark.parametrize("data", ["", "00", "0081", "00a0", "0081a55365714e6fff"])
def test_an_empty_message_and_a_broken_body_are_refused(data: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_message(bytes.fromhex(data))


def test_a_message_that_no_peer_could_read_is_not_written() -> None:
    with pytest.raises(LocalProtocolError, match="field Incarnation"):
        encode_message(Suspect(2**32, "a", "b"))


def test_nil_in_place_of_a_body_is_a_message_of_zeros() -> None:
    assert Ping() == decode_message(b"\x00\xc0")


def test_long_bodies_are_shown_as_their_length() -> None:
    assert "UserMessage(body=b'short')" == repr(UserMessage(b"short"))
    assert "UserMessage(body=<4000 bytes>)" == repr(UserMessage(bytes(4000)))
    assert "Compressed(algorithm=0, buffer=<99 bytes>)" == repr(Compressed(0, bytes(99)))
