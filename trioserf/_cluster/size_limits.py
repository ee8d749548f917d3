"""The size limits of Serf's messages, and the errors for what exceeds them.

Source: hashicorp/serf v0.9.4, serf/serf.go, UserEvent, Query; serf/query.go; serf/config.go.
"""

from __future__ import annotations

from typing import Final

from .._exceptions import QueryTooLarge, ResponseTooLarge, TagsTooLarge, UserEventTooLarge
from .._swim.nodes import META_LIMIT
from .._text import raw_text

TAGS_LIMIT: Final = META_LIMIT
"""Longest encoded tags, which are the metadata of a node (bytes)."""
MAX_FORWARD: Final = 65_507
"""Longest message that fits into one datagram, and so can be relayed (bytes)."""


def check_tags(encoded: bytes) -> None:
    """Raise `TagsTooLarge` unless the encoded tags fit into node metadata."""
    if len(encoded) > TAGS_LIMIT:
        raise TagsTooLarge(
            "tags",
            f"<{len(encoded)} bytes encoded>",
            f"Encoded length of tags exceeds limit of {TAGS_LIMIT} bytes",
        )


def check_user_event(name: str, payload: bytes, raw: bytes, limit: int) -> None:
    """Raise `UserEventTooLarge` if the event exceeds ``limit``, encoded (``raw``) or before."""
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


def check_query(raw: bytes, limit: int) -> None:
    """Raise `QueryTooLarge` if the encoded query is longer than ``limit`` bytes."""
    if len(raw) > limit:
        raise QueryTooLarge(f"query exceeds limit of {limit} bytes: {len(raw)} bytes")


def check_response(raw: bytes, limit: int) -> None:
    """Raise `ResponseTooLarge` if the encoded response is longer than ``limit`` bytes."""
    if len(raw) > limit:
        raise ResponseTooLarge(f"response exceeds limit of {limit} bytes: {len(raw)} bytes")


def check_relay(raw: bytes, limit: int) -> None:
    """Raise `ResponseTooLarge` if the encoded relay message is longer than ``limit`` bytes."""
    if len(raw) > limit:
        raise ResponseTooLarge(f"relayed response exceeds limit of {limit} bytes: {len(raw)} bytes")
