"""The size limits of Serf's messages, and the errors for what exceeds them.

Source: hashicorp/serf v0.9.4, serf/serf.go, UserEvent, Query; serf/query.go; serf/config.go.
"""

from __future__ import annotations

from typing import Final

from .._exceptions import (
    LocalProtocolError,
    QueryTooLarge,
    ResponseTooLarge,
    TagsTooLarge,
    UserEventTooLarge,
)
from .._swim.nodes import META_LIMIT
from .._text import raw_text, short_repr
from .._wire.limits import MAX_I64, MAX_U64
from .._wire.serf_messages import LeaveIntent, encode_serf

TAGS_LIMIT: Final = META_LIMIT
"""Longest encoded tags, which are the metadata of a node (bytes)."""
NO_LIMIT: Final = MAX_I64
"""Where packets do not bound a message, because Go's rules are kept (bytes)."""
_PACKET: Final = "what fits into a packet of udp_buffer_size, label and encryption counted"
MAX_FORWARD: Final = 65_507
"""Longest message that fits into one datagram, and so can be relayed (bytes)."""


def payload_bytes(name: object, payload: object) -> bytes:
    """The payload of an event, a query or a response as bytes.

    Args:
      name: of the event or query.

    Raises:
      TypeError: the name is no text, or the payload is nothing like bytes.
    """
    if not isinstance(name, str):
        raise TypeError(f"name={short_repr(name)}: expected a str")
    if not isinstance(payload, bytes | bytearray | memoryview):
        kind = type(payload).__name__
        hint = "; encode text first" if isinstance(payload, str) else ""
        raise TypeError(f"payload of type {kind}: expected bytes, bytearray or memoryview{hint}")
    return bytes(payload)


def check_tags(encoded: bytes, packet_limit: int = TAGS_LIMIT) -> None:
    """Raise `TagsTooLarge` unless the encoded tags fit into node metadata, and into a packet.

    Args:
      packet_limit: longest metadata that a packet of this node has room for (bytes).
    """
    limit = min(TAGS_LIMIT, packet_limit)
    if len(encoded) > limit:
        expected = f"at most {limit} bytes, names and values together"
        if limit < TAGS_LIMIT:
            expected += f": {_PACKET}"
        raise TagsTooLarge("tags", f"<{len(encoded)} bytes encoded>", expected)


def check_user_event(
    name: str, payload: bytes, raw: bytes, limit: int, packet_limit: int = NO_LIMIT
) -> None:
    """Raise `UserEventTooLarge` if the event exceeds ``limit``, encoded (``raw``) or before.

    DIFFERS (unless ``faithful_go``): Go accepts an event that fits into no packet, delivers
    it to itself alone, and keeps it at the head of its queue for ever
    (test_an_event_that_fits_no_packet_is_refused).

    Args:
      packet_limit: longest message that a packet of gossip has room for (bytes).
    """
    size = len(raw_text(name)) + len(payload)
    if size > limit:
        raise UserEventTooLarge(
            f"user event exceeds configured limit of {limit} bytes before encoding: {size} bytes"
        )
    if len(raw) > limit:
        raise UserEventTooLarge(
            f"encoded user event exceeds configured limit of {limit} bytes after encoding: "
            f"{len(raw)} bytes"
        )
    if len(raw) > packet_limit:
        raise UserEventTooLarge(
            f"encoded user event exceeds limit of {packet_limit} bytes: {_PACKET}: {len(raw)} bytes"
        )


def check_query(raw: bytes, limit: int, packet_limit: int = NO_LIMIT) -> None:
    """Raise `QueryTooLarge` if the encoded query is longer than ``limit`` bytes, or no packet
    of gossip has room for it.

    DIFFERS (unless ``faithful_go``): as `check_user_event`
    (test_a_query_that_fits_no_packet_is_refused).
    """
    if len(raw) > limit:
        raise QueryTooLarge(f"query exceeds limit of {limit} bytes: {len(raw)} bytes")
    if len(raw) > packet_limit:
        raise QueryTooLarge(
            f"query exceeds limit of {packet_limit} bytes: {_PACKET}: {len(raw)} bytes"
        )


def check_intent(name: str, packet_limit: int) -> None:
    """Raise `LocalProtocolError` if no packet of gossip has room for an intent about ``name``."""
    longest = encode_serf(LeaveIntent(MAX_U64, name, True))
    if len(longest) > packet_limit:
        raise LocalProtocolError(
            f"a node name of {len(raw_text(name))} bytes makes a message of {len(longest)} bytes: "
            f"expected at most {packet_limit}: {_PACKET}"
        )


def check_response(raw: bytes, limit: int) -> None:
    """Raise `ResponseTooLarge` if the encoded response is longer than ``limit`` bytes."""
    if len(raw) > limit:
        raise ResponseTooLarge(f"response exceeds limit of {limit} bytes: {len(raw)} bytes")


def check_relay(raw: bytes, limit: int) -> None:
    """Raise `ResponseTooLarge` if the encoded relay message is longer than ``limit`` bytes."""
    if len(raw) > limit:
        raise ResponseTooLarge(f"relayed response exceeds limit of {limit} bytes: {len(raw)} bytes")
