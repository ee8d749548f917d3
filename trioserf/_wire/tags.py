"""Tags as the metadata of a node.

Source: hashicorp/serf v0.9.4, serf/serf.go, encodeTags, decodeTags.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .._events import NIL_TAGS
from .._exceptions import RemoteProtocolError
from .._text import raw_text, text
from .codec import pack_value, unpack_prefix, unpack_value

_MAGIC: Final = 0xFF
"""First byte of metadata that holds a map of tags."""
_MAP_VERSION: Final = 3
"""Serf protocol version from which on all tags are sent, not the role alone."""
_ROLE: Final = "role"
_SALVAGE_LIMIT: Final = 4096
"""How much of broken metadata is searched (bytes); whole metadata has at most 512."""


def encode_tags(tags: Mapping[str, str], protocol: int) -> bytes:
    """The metadata of a node with Serf protocol version ``protocol``.

    QUIRK: version 2 sends the tag ``role`` alone, as bare text; all others are lost.
    """
    if protocol < _MAP_VERSION:
        return raw_text(tags.get(_ROLE, ""))
    return bytes((_MAGIC,)) + pack_value(dict(tags))


def decode_tags(meta: bytes) -> tuple[Mapping[str, str], bool]:
    """The tags in a node's metadata, and whether they are broken.

    Broken metadata gives the tags in front of the damage, as in Go.
    """
    if not meta or meta[0] != _MAGIC:
        return {_ROLE: text(meta)}, False
    try:
        value = unpack_value(meta[1:])
        if value is None:
            return NIL_TAGS, False
        if isinstance(value, dict):
            return {_string(key): _string(item) for key, item in value.items()}, False
    except RemoteProtocolError:
        pass
    return _salvage(meta[:_SALVAGE_LIMIT]), True


def _string(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return text(value)
    raise RemoteProtocolError(f"tags: {type(value).__name__} where a string belongs")


def _salvage(meta: bytes) -> dict[str, str]:
    """The whole pairs at the front of a broken map."""
    tags: dict[str, str] = {}
    count, offset = _map_header(meta)
    try:
        for _ in range(count):
            raw_key, offset = unpack_prefix(meta, offset)
            key = _string(raw_key)
            raw_value, offset = unpack_prefix(meta, offset)
            tags[key] = _string(raw_value)
    except RemoteProtocolError:
        pass
    return tags


def _map_header(meta: bytes) -> tuple[int, int]:
    """How many pairs follow the magic byte (0 if no map), and where they begin."""
    head = meta[1] if len(meta) > 1 else 0
    if head & 0xF0 == 0x80:
        return head & 0x0F, 2
    width = {0xDE: 2, 0xDF: 4}.get(head, 0)
    return int.from_bytes(meta[2 : 2 + width], "big"), 2 + width
