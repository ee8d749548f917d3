"""Many messages in one.

    07 || count (1 byte) || count lengths (2 bytes each) || the messages

Source: hashicorp/memberlist v0.2.4, util.go: makeCompoundMessage, decodeCompoundMessage.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from .._exceptions import LocalProtocolError, RemoteProtocolError

MAX_PARTS: Final = 127
"""Most parts to send: memberlist v0.2.2 doubles the count in eight bits."""
MAX_PART: Final = 0xFFFF
"""Longest part (bytes)."""


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
    return b"".join((struct.pack(f">BB{count}H", 7, count, *lengths), *parts))


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
