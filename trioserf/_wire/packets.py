"""A datagram, layer by layer, both ways.

::

    datagram := [label] (ciphertext | plain)
    plain    := [CRC] message
    message  := compound | compressed message | one message with its body
    compound := 07 || count (1 byte) || count lengths (2 bytes each) || the messages

What a datagram can cost is bounded: depth, number of pieces, bytes after decompression.

Source: hashicorp/memberlist v0.2.4, net.go: ingestPacket, handleCommand, handleCompound,
handleCompressed, rawSendMsgPacket; util.go: makeCompoundMessage, decodeCompoundMessage;
v0.5.4, label.go.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from typing import Final, NamedTuple, final

from .. import _attrs as attrs
from .._exceptions import LocalProtocolError, RemoteProtocolError
from . import limits
from .codec import count_containers
from .codec_settings import CodecSettings
from .compression import compress_if_shorter, decompress_message
from .encryption import decrypt, encrypt
from .keyring import Keyring
from .labels import add_label, check_label, take_label
from .messages import (
    TYPE_BYTES,
    USER_PREFIX,
    MessageType,
    PacketMessage,
    UserMessage,
    decode_message,
)

MAX_PARTS: Final = 127
"""Most parts to send: memberlist v0.2.2 doubles the count in eight bits."""
MAX_PART: Final = 0xFFFF
"""Longest part (bytes)."""
_COMPOUND: Final = int(MessageType.COMPOUND)
_COMPRESS: Final = int(MessageType.COMPRESS)
_USER: Final = int(MessageType.USER)
_CONTAINERS: Final = frozenset({_COMPOUND, _COMPRESS})
"""Kinds with messages inside."""
_HAS_CRC: Final = TYPE_BYTES[MessageType.HAS_CRC]
_HAS_LABEL: Final = TYPE_BYTES[MessageType.HAS_LABEL]
CRC_HEADER: Final = 5
"""Type byte and checksum (bytes)."""


class PacketError(RemoteProtocolError):
    """A datagram is unusable as a whole.  It was dropped.

    ``layer`` is where: label, decrypt, crc, compound, compress or message.
    """

    def __init__(self, layer: str, text: str) -> None:
        super().__init__(text)
        self.layer = layer


@final
@attrs.frozen(kw_only=True)
class PacketCodec(CodecSettings):
    """How packets are written and read.

    Args:
      max_output: most bytes that a datagram may decompress to.
      compress_above: messages up to this length are not compressed (bytes).
    """

    max_output: int = limits.MAX_PACKET_OUTPUT
    compress_above: int = 0


class DecodedPacket(NamedTuple):
    """What was in a datagram.

    Args:
      messages: in the order in which they were packed.
      problems: for each part that had to be dropped, the layer where it failed.
    """

    messages: tuple[PacketMessage, ...]
    problems: tuple[str, ...] = ()


# --- compounds ----------------------------------------------------------------------------


def make_compound(parts: Sequence[bytes]) -> bytes:
    """One message of many, type byte first.

    Raises:
      LocalProtocolError: not 1 to 127 parts, or a part that is empty (it crashes memberlist
        v0.2.2) or longer than 65,535 bytes.
    """
    if not 1 <= len(parts) <= MAX_PARTS:
        raise LocalProtocolError(f"a compound of {len(parts)} parts: expected 1 to {MAX_PARTS}")
    lengths = [*map(len, parts)]
    if min(lengths) == 0 or max(lengths) > MAX_PART:
        raise LocalProtocolError(f"parts of a compound must have 1 to {MAX_PART} bytes")
    count = len(parts)
    return b"".join((struct.pack(f">BB{count}H", MessageType.COMPOUND, count, *lengths), *parts))


def split_compound(body: bytes) -> tuple[list[bytes], int]:
    """The parts in the body of a compound, and how many more it promises.

    Parts may be empty.  Bytes behind the last part are ignored.

    Raises:
      RemoteProtocolError: the count or the lengths are cut short.
    """
    if not body:
        raise RemoteProtocolError("compound without a count")
    count = body[0]
    start = 1 + 2 * count
    if len(body) < start:
        raise RemoteProtocolError("compound without all lengths")
    parts: list[bytes] = []
    for length in struct.unpack_from(f">{count}H", body, 1):
        end = start + length
        if end > len(body):
            break
        parts.append(body[start:end])
        start = end
    return parts, count - len(parts)


# --- writing ------------------------------------------------------------------------------


def encode_packet(
    message: bytes, codec: PacketCodec, *, crc: bool, nonce: bytes | None = None
) -> bytes:
    """A datagram around one message, which may be a compound.

    Args:
      message: type byte and body.
      codec: how to write.
      crc: add a checksum; only for nodes whose protocol maximum is 5 or more.
      nonce: 12 random bytes; needed if the codec encrypts.

    Raises:
      LocalProtocolError: an empty message, or no nonce where one is needed.
    """
    if not message:
        raise LocalProtocolError("an empty message cannot be sent")
    if codec.compress and len(message) > codec.compress_above:
        message = compress_if_shorter(message)
    if crc:
        message = _HAS_CRC + zlib.crc32(message).to_bytes(4, "big") + message
    if codec.key is not None:
        if nonce is None:
            raise LocalProtocolError("an encrypted packet needs a nonce")
        version = codec.encryption_version
        message = encrypt(message, key=codec.key, nonce=nonce, version=version, aad=codec.label)
    return add_label(message, codec.label) if codec.label else message


# --- reading ------------------------------------------------------------------------------


def decode_packet(data: bytes, codec: PacketCodec) -> DecodedPacket:
    """The messages in a datagram.

    Raises:
      PacketError: nothing in it can be used.  Defects of single parts of a compound are
        reported beside the other parts.
    """
    if codec.label or data[:1] == _HAS_LABEL:
        data = _without_label(data, codec)
    if codec.keyring:
        data = _decrypted(data, codec.keyring, codec)
    if data[:1] == _HAS_CRC and len(data) >= CRC_HEADER:
        checksum, data = data[1:CRC_HEADER], data[CRC_HEADER:]
        if zlib.crc32(data) != int.from_bytes(checksum, "big"):
            raise PacketError("crc", "the checksum does not fit")
    kind = data[0] if data else -1
    if kind in _CONTAINERS:
        return _unpack(data, codec.max_output)
    if kind == _USER:
        return DecodedPacket((UserMessage(data[1:]),))
    try:
        return DecodedPacket((decode_message(data),))
    except RemoteProtocolError as error:
        raise PacketError("message", str(error)) from error


def _without_label(data: bytes, codec: PacketCodec) -> bytes:
    try:
        label, rest = take_label(data)
        check_label(label, codec.label, skip=codec.skip_inbound_label_check)
    except RemoteProtocolError as error:
        raise PacketError("label", str(error)) from error
    return rest


def _decrypted(data: bytes, keyring: Keyring, codec: PacketCodec) -> bytes:
    try:
        return decrypt(data, keyring=keyring, aad=codec.label, accept_v0=codec.accept_v0)
    except RemoteProtocolError as error:
        if codec.verify_incoming:
            raise PacketError("decrypt", str(error)) from error
        return data  # a cluster on its way into or out of encryption


def _unpack(data: bytes, max_output: int) -> DecodedPacket:
    """The messages inside nested compounds and compressed messages.

    DIFFERS: Go recurses as deep as the packet asks for, decompresses without a bound, and
    reads all that the parts hold.
    `test_nesting_is_bounded`, `test_a_packet_of_many_bombs_is_bounded`,
    `test_few_messages_of_a_packet_are_compressed_for_themselves`,
    `test_odd_parts_of_a_compound_are_read_up_to_a_bound`.
    """
    messages: list[PacketMessage] = []
    problems: list[str] = []
    first = ""  # in words
    whole = True  # nothing was split yet, so a problem concerns everything
    todo = [(data, 0)]  # the next one is the last
    room, compressed = limits.MAX_PIECES, limits.MAX_COMPRESSED
    size = 0  # of the messages that were parts
    while todo:
        piece, depth = todo.pop()
        kind = piece[0] if piece else -1
        layer = "compound" if kind == _COMPOUND else "compress"
        try:
            if kind not in _CONTAINERS:
                layer = "message"
                if not whole:
                    size += len(piece)
                    if size > limits.FREE_PARTS_SIZE:
                        _check_part(piece, size)
                messages.append(decode_message(piece))
            elif depth == limits.MAX_DEPTH:
                raise RemoteProtocolError(f"nested deeper than {limits.MAX_DEPTH}")
            elif kind == _COMPOUND:
                parts, missing = split_compound(piece[1:])
                whole = False
                if missing:
                    problems.append("compound")
                if len(parts) > room:
                    problems.append("compound")
                    del parts[room:]
                room -= len(parts)
                todo += [(part, depth + 1) for part in reversed(parts)]
            elif not compressed:
                raise RemoteProtocolError(f"more than {limits.MAX_COMPRESSED} compressed messages")
            else:
                compressed -= 1
                allowed, max_output = max_output, 0  # of a packet with a bomb, no more is read
                plain = decompress_message(piece[1:], allowed)
                max_output = allowed - len(plain)
                todo.append((plain, depth + 1))
        except RemoteProtocolError as error:
            problems.append(layer)
            first = first or str(error)
    if whole and problems:
        raise PacketError(problems[0], first)
    return DecodedPacket(tuple(messages), tuple(problems))


def _check_part(piece: bytes, size: int) -> None:
    """Refuse more than a sender may pack, and long before that what is no flat message.

    A few kilobytes may decompress to a megabyte of messages, and a message may hold a thousand
    empty lists in an unknown field: reading that would take half a second.

    Args:
      piece: a message that was a part of a compound.
      size: of all such messages, this one included (bytes).
    """
    if size > limits.MAX_PARTS_SIZE:
        raise RemoteProtocolError(f"more than {limits.MAX_PARTS_SIZE} bytes of messages")
    if piece[:1] != USER_PREFIX and count_containers(piece) > limits.FLAT_CONTAINERS:
        raise RemoteProtocolError("a message that is not flat, behind many others")
