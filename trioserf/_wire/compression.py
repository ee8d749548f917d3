"""The envelope around compressed messages.

    09 || {Algo: 0, Buf: LZW stream}

Source: hashicorp/memberlist v0.2.2, util.go: compressPayload, decompressPayload.
"""

from __future__ import annotations

from typing import Final

from .._exceptions import RemoteProtocolError
from .codec import decode, encode
from .lzw import compress, decompress
from .messages import Compressed

LZW: Final = 0
"""The only algorithm."""


def compress_message(data: bytes) -> bytes:
    """A message in its envelope, type byte first; it may well be longer than the message."""
    return b"\x09" + encode(Compressed(LZW, compress(data)))


def decompress_message(body: bytes, max_output: int) -> bytes:
    """The message in the body of an envelope.

    Args:
      body: what follows the type byte.
      max_output: refuse a longer message (bytes).

    Raises:
      RemoteProtocolError: not such an envelope, an unknown algorithm, or as
        `lzw.decompress`.
    """
    envelope = decode(Compressed, body)
    if envelope.algorithm != LZW:
        raise RemoteProtocolError(f"compression algorithm {envelope.algorithm}")
    return decompress(envelope.buffer or b"", max_output)
