"""The envelope around compressed messages.

    09 || {Algo: 0, Buf: LZW stream}

Source: hashicorp/memberlist v0.2.2, util.go: compressPayload, decompressPayload.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from .._exceptions import RemoteProtocolError
from .codec import decode, encode
from .lzw import compress, compress_within, decompress
from .messages import TYPE_BYTES, Compressed, MessageType

LZW: Final = 0
"""The only algorithm."""
_WORTH_A_LOOK: Final = 300
"""Longer messages (bytes) are compressed without estimating first."""
_ENVELOPE: Final = 13
"""Bytes of the shortest envelope."""


def compress_message(data: bytes) -> bytes:
    """A message in its envelope, type byte first; it may well be longer than the message."""
    return _envelope(compress(data))


def _envelope(stream: bytes) -> bytes:
    return TYPE_BYTES[MessageType.COMPRESS] + encode(Compressed(LZW, stream))


def decompress_message(body: bytes, max_output: int) -> bytes:
    """The message in the body of an envelope.

    Args:
      body: what follows the type byte.
      max_output: refuse a longer message (bytes).

    Raises:
      RemoteProtocolError: not such an envelope, an unknown algorithm, or as
        `lzw.decompress`.
    """
    return open_envelope(decode(Compressed, body), max_output)


def open_envelope(envelope: Compressed, max_output: int) -> bytes:
    """The message in an envelope; arguments and errors as `decompress_message`."""
    if envelope.algorithm != LZW:
        raise RemoteProtocolError(f"compression algorithm {envelope.algorithm}")
    return decompress(envelope.buffer or b"", max_output)


def compress_if_shorter(data: bytes) -> bytes:
    """A message in its envelope if that is shorter, else the message as it is."""
    size = len(data)
    if size < _WORTH_A_LOOK and _least_size(data) >= size:
        return data
    stream = compress_within(data, size - _ENVELOPE)
    if stream is None:
        return data
    compressed = _envelope(stream)
    return compressed if len(compressed) < size else data


def _least_size(data: bytes) -> int:
    """A size that the compressed form of a short message cannot fall below.

    Where two bytes meet for the first time, no code can reach across, so there are more codes
    than different pairs of neighbours; each code has 9 bits, and so have clear and end.  For
    the usual ping this is a fifth of the work of finding out that it does not get shorter.
    """
    codes = len(set(pairwise(data))) + 1
    return _ENVELOPE + (9 * (codes + 2) + 7) // 8
