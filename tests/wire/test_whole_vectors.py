"""Golden vectors of whole datagrams and streams, and captures between running agents."""

from __future__ import annotations

import zlib
from typing import Any

import pytest

from tests import vector_files
from tests.vector_files import Vector
from tests.wire.wire_objects import from_fields, ring
from trioserf._exceptions import LocalProtocolError, RemoteProtocolError
from trioserf._text import raw_text
from trioserf._wire.compression import decompress_message
from trioserf._wire.encryption import decrypt
from trioserf._wire.labels import take_label
from trioserf._wire.messages import (
    BODY_TYPES,
    Ack,
    ErrorReply,
    MessageType,
    NodeRecord,
    Ping,
    UserMessage,
    encode_message,
)
from trioserf._wire.packets import PacketCodec, decode_packet, encode_packet
from trioserf._wire.streams import (
    PushPullState,
    StreamCodec,
    StreamParser,
    StreamRequest,
    UserMessageStream,
    decode_frame,
    dial_prefix,
    frame,
    push_pull_bytes,
    user_message_bytes,
)

_ROOMY = 1 << 26


def _settings(fields: dict[str, Any]) -> dict[str, Any]:
    encryption = fields.get("encryption")
    return {
        "label": raw_text(fields.get("label") or ""),
        "compress": fields["compression"],
        "keyring": ring(encryption["key"]) if encryption else None,
        "encryption_version": encryption["version"] if encryption else 1,
    }


def _nonce(fields: dict[str, Any]) -> bytes | None:
    return fields["encryption"]["nonce"] if fields.get("encryption") else None


# --- datagrams ----------------------------------------------------------------------------


@pytest.mark.parametrize("vector", vector_files.params("packet", "crc"))
def test_datagrams(vector: Vector) -> None:
    fields = vector.input
    codec = PacketCodec(**_settings(fields))
    if vector.error:
        with pytest.raises((LocalProtocolError, RemoteProtocolError)):
            _write_and_read(vector, codec)
        return
    assert vector.data is not None
    message, crc = fields["message"], fields["crc"]
    if vector.encodes:
        assert vector.data == encode_packet(message, codec, crc=crc, nonce=_nonce(fields))
    assert message == _unwrapped(vector.data, codec, [])
    bare = PacketCodec()
    try:
        expected = decode_packet(message, bare)
    except RemoteProtocolError:  # a message of random bytes
        with pytest.raises(RemoteProtocolError):
            decode_packet(vector.data, codec)
    else:
        assert expected == decode_packet(vector.data, codec)


def _write_and_read(vector: Vector, codec: PacketCodec) -> None:
    if vector.encodes:
        fields = vector.input
        encode_packet(fields["message"], codec, crc=fields["crc"], nonce=_nonce(fields))
    else:
        decode_packet(vector.data or b"", codec)


def _unwrapped(data: bytes, codec: PacketCodec, steps: list[str]) -> bytes:
    """The message in a datagram, taken apart by hand; ``steps`` names what was there."""
    label, data = take_label(data)
    assert codec.label == label
    if codec.keyring:
        steps.append(f"encrypt v{data[0]}")
        data = decrypt(data, keyring=codec.keyring, aad=label)
    if data[0] == MessageType.HAS_CRC:
        steps.append("crc")
        assert data[1:5] == zlib.crc32(data[5:]).to_bytes(4, "big")
        data = data[5:]
    if data[0] == MessageType.COMPRESS:
        steps.append("compress")
        data = decompress_message(data[1:], _ROOMY)
    return data


# --- streams ------------------------------------------------------------------------------

_DIALLED = ("push-pull, initiator side", "user message", "TCP fallback ping")


def _request(fields: dict[str, Any]) -> StreamRequest:
    """The request or reply of the vector."""
    if "nodes" in fields:
        records = tuple(from_fields(NodeRecord, node) for node in fields["nodes"])
        return PushPullState(fields["join"], records, fields["user_state"] or b"")
    if "ping" in fields:
        return from_fields(Ping, fields["ping"])
    if "ack" in fields:
        return from_fields(Ack, fields["ack"])
    if "error" in fields:
        return from_fields(ErrorReply, fields["error"])
    return UserMessageStream(fields["body"])


def _plain(request: StreamRequest) -> bytes:
    match request:
        case PushPullState():
            return push_pull_bytes(request.join, request.records, request.user_state)
        case UserMessageStream():
            return user_message_bytes(request.body)
        case Ping():
            return encode_message(request)
        case Ack():
            return encode_message(request)
        case ErrorReply():
            return encode_message(ErrorReply(request.error))


def _parse(data: bytes, codec: StreamCodec, dialled: bool, step: int) -> StreamRequest | None:
    """What a parser makes of bytes that come ``step`` at a time."""
    parser = StreamParser(codec, accept_side=dialled)
    for start in range(0, len(data), step):
        result = parser.receive(data[start : start + step])
        if result is not None:
            return decode_frame(result, codec)
    return None


@pytest.mark.parametrize("vector", vector_files.params("stream"))
def test_streams(vector: Vector) -> None:
    assert vector.data is not None
    fields, data = vector.input, vector.data
    codec = StreamCodec(**_settings(fields))
    dialled = fields["kind"] in _DIALLED
    request = _request(fields)
    expected = vector_files.writings(vector)
    if expected and vector.encodes:
        prefix = dial_prefix(codec) if dialled else b""
        assert {prefix + frame(_plain(request), codec, _nonce(fields))} == expected
    assert request == _parse(data, codec, dialled, len(data))
    assert request == _parse(data + b"\x00\x85trailing", codec, dialled, len(data) + 10)
    assert request == _parse(data, codec, dialled, 1)
    assert request == _parse(data, codec, dialled, 7)
    assert _parse(data[:-1], codec, dialled, 1000) is None


# --- captures -----------------------------------------------------------------------------

_CAPTURES = vector_files.params("capture")


def _check_message(expected: dict[str, Any], actual: Any) -> None:
    if expected["type"] == MessageType.USER:
        assert isinstance(actual, UserMessage)
        assert expected["serf"]["type"] == actual.body[0]
        return
    cls = BODY_TYPES[MessageType(expected["type"])]
    assert from_fields(cls, expected.get("msg") or expected["header"]) == actual


@pytest.mark.parametrize(
    "vector",
    [p for p in _CAPTURES if p.values[0] is None or p.values[0].input["transport"] == "packet"],
)
def test_captured_datagrams(vector: Vector) -> None:
    assert vector.data is not None
    keyring = ring(*vector.input["keys"]) if vector.input["keys"] else None
    label, _ = take_label(vector.data)
    codec = PacketCodec(keyring=keyring, label=label)
    steps: list[str] = []
    _unwrapped(vector.data, codec, steps)
    assert [step for step in vector.input["steps"] if "label" not in step] == steps
    decoded = decode_packet(vector.data, codec)
    assert () == decoded.problems
    message = vector.input["message"]
    expected = message.get("parts") or [message]
    assert len(expected) == len(decoded.messages)
    for one, other in zip(expected, decoded.messages, strict=True):
        _check_message(one, other)


@pytest.mark.parametrize(
    "vector",
    [p for p in _CAPTURES if p.values[0] is None or p.values[0].input["transport"] == "stream"],
)
def test_captured_streams(vector: Vector) -> None:
    assert vector.data is not None
    keyring = ring(*vector.input["keys"]) if vector.input["keys"] else None
    label, _ = take_label(vector.data)
    codec = StreamCodec(keyring=keyring, label=label)
    request = _parse(vector.data, codec, True, 11)
    assert request == _parse(vector.data, codec, True, len(vector.data))
    message = vector.input["message"]
    match request:
        case PushPullState():
            header = message["header"]
            assert header["Join"] == request.join
            assert header["UserStateLen"] == len(request.user_state)
            records = tuple(from_fields(NodeRecord, node) for node in message["nodes"])
            assert records == request.records
        case UserMessageStream():
            assert message["header"]["UserMsgLen"] == len(request.body)
        case _:
            _check_message(message, request)
