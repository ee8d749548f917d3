"""Golden vectors of the membership half, in both directions.

Source: bytes from memberlist v0.2.2, v0.5.4 and main; tests/vectors/README.md tells how.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests import vector_files
from tests.vector_files import Vector
from tests.wire.wire_objects import as_sent, from_fields, ring
from trioserf._exceptions import LocalProtocolError, RemoteProtocolError
from trioserf._text import raw_text
from trioserf._wire.codec import decode, encode
from trioserf._wire.compression import compress_message, decompress_message
from trioserf._wire.encryption import decrypt, encrypt
from trioserf._wire.keyring import Keyring
from trioserf._wire.keyring_file import keyring_file_text, parse_keyring_file
from trioserf._wire.labels import add_label, take_label
from trioserf._wire.messages import (
    BODY_TYPES,
    Ack,
    Alive,
    Compressed,
    Dead,
    ErrorReply,
    IndirectPing,
    MessageType,
    Nack,
    NodeRecord,
    Ping,
    PushPullHeader,
    Suspect,
    UserMessage,
    UserMessageHeader,
    decode_message,
    encode_message,
)
from trioserf._wire.packets import MAX_PARTS, make_compound, split_compound

_ROOMY = 1 << 26


def _check_decoding(vector: Vector, read: Any, expected: Any) -> None:
    """``read`` gives what one of the readings of these bytes expects, or fails as it does."""
    readings = vector_files.readings(vector)
    wanted = [expected(v) for v in readings if not v.error]
    try:
        actual = read(vector.data)
    except RemoteProtocolError:
        assert any(v.error for v in readings)
    else:
        assert actual in wanted


# --- messages -----------------------------------------------------------------------------


def _message_class(vector: Vector) -> type[Any]:
    kind = vector.input["type"]
    if kind is None:
        return NodeRecord
    if kind == MessageType.PUSH_PULL:
        return PushPullHeader
    if kind == MessageType.USER:
        return UserMessageHeader
    return BODY_TYPES[MessageType(kind)]


@pytest.mark.parametrize("vector", vector_files.params("memberlist-message"))
def test_messages(vector: Vector) -> None:
    assert vector.data is not None
    if "body" in vector.input:
        message = UserMessage(vector.input["body"])
        assert vector.data == encode_message(message)
        assert message == decode_message(vector.data)
        return
    cls = _message_class(vector)
    message = from_fields(cls, vector.input["msg"])
    head = b"" if vector.input["type"] is None else bytes((vector.input["type"],))
    expected = vector_files.writings(vector)
    if expected:
        assert {head + encode(message)} == expected
    assert as_sent(message) == decode(cls, vector.data[len(head) :])
    assert as_sent(message) == decode(cls, vector.data[len(head) :] + b"more")
    if cls in BODY_TYPES.values():
        assert head + encode(message) == encode_message(message)
    if cls in BODY_TYPES.values() and cls is not ErrorReply:
        assert as_sent(message) == decode_message(vector.data)


_DECODED = {
    "ping": Ping,
    "indirect ping": IndirectPing,
    "ack": Ack,
    "nack": Nack,
    "error": ErrorReply,
    "suspect": Suspect,
    "alive": Alive,
    "dead": Dead,
    "push-pull header": PushPullHeader,
    "push-pull node": NodeRecord,
    "user message header": UserMessageHeader,
    "compress": Compressed,
}


@pytest.mark.parametrize(
    "vector",
    [
        param
        for param in vector_files.params("decode")
        if param.values[0] is None or param.values[0].input["type"] in _DECODED
    ],
)
def test_odd_but_possible_input(vector: Vector) -> None:
    cls = _DECODED[vector.input["type"]]
    _check_decoding(
        vector, lambda data: decode(cls, data), lambda v: from_fields(cls, v.input["msg"])
    )


# --- layers -------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", vector_files.params("compound"))
def test_compounds(vector: Vector) -> None:
    assert vector.data is not None
    parts = vector.input["parts"]
    if vector.error:
        with pytest.raises(RemoteProtocolError):
            split_compound(vector.data[1:])
        return
    assert (parts, vector.input.get("truncated", 0)) == split_compound(vector.data[1:])
    if vector.encodes and 1 <= len(parts) <= MAX_PARTS and all(parts):
        assert vector.data == make_compound(parts)
    elif vector.encodes:  # Go makes these, and older Go crashes on them
        with pytest.raises(LocalProtocolError):
            make_compound(parts)


@pytest.mark.parametrize("vector", vector_files.params("compress"))
def test_compression(vector: Vector) -> None:
    if vector.expect is not None:
        for length, size, digest in vector.expect["rows"]:
            data = vector.input["data"](length)
            message = compress_message(data)
            assert (size, digest) == (len(message), hashlib.sha256(message).hexdigest()[:16])
            assert data == decompress_message(message[1:], _ROOMY)
        return
    assert vector.data is not None
    if vector.error:
        with pytest.raises(RemoteProtocolError):
            decompress_message(vector.data[1:], _ROOMY)
        return
    assert vector.input["data"] == decompress_message(vector.data[1:], _ROOMY)
    if vector.encodes:
        assert vector.data == compress_message(vector.input["data"])


@pytest.mark.parametrize("vector", vector_files.params("encrypt"))
def test_encryption(vector: Vector) -> None:
    assert vector.data is not None
    fields = vector.input
    aad = fields["aad"] or b""
    if vector.encodes:
        made = encrypt(
            fields["plaintext"] or b"",
            key=fields["key"],
            nonce=fields["nonce"],
            version=fields["version"],
            aad=aad,
        )
        assert vector.data == made
    keys = ring(*fields.get("keys", ())) if "keys" in fields else ring(fields["key"])
    if vector.error:
        with pytest.raises(RemoteProtocolError):
            decrypt(vector.data, keyring=keys, aad=aad)
    else:
        assert (fields["plaintext"] or b"") == decrypt(vector.data, keyring=keys, aad=aad)


@pytest.mark.parametrize("vector", vector_files.params("label"))
def test_labels(vector: Vector) -> None:
    if vector.encodes:
        label, payload = raw_text(vector.input["label"]), vector.input["payload"] or b""
        if vector.error:
            with pytest.raises(LocalProtocolError):
                add_label(payload, label)
            return
        assert vector.data == add_label(payload, label)
        assert (label, payload) == take_label(vector.data)
        return
    _check_decoding(
        vector,
        take_label,
        lambda v: (raw_text(v.input["label"]), v.input["payload"] or b""),
    )


# --- key rings ----------------------------------------------------------------------------


@pytest.mark.parametrize("vector", vector_files.params("keyring"))
def test_keyrings(vector: Vector) -> None:
    assert vector.data is not None
    keyring = Keyring.create(vector.input["keys"], vector.input["primary"])
    assert vector.data == keyring_file_text(keyring)
    assert keyring == parse_keyring_file(vector.data)
    if "ops" in vector.input:
        assert keyring == _operate(vector.input["ops"])


def _operate(operations: list[dict[str, Any]]) -> Keyring:
    keyring = Keyring()
    for operation in operations:
        match operation:
            case {"new": keys, "primary": primary}:
                keyring = Keyring.create(keys, primary)
            case {"add": key}:
                keyring = keyring.add(key)
            case {"use": key}:
                keyring = keyring.with_primary(key)
            case {"remove": key}:
                keyring = keyring.remove(key)
            case _:
                raise AssertionError(f"operation {operation}")
    return keyring
