"""The filters of a query: which nodes shall answer.

Each is a type byte and a value: a list of node names, or a map of tag and expression.  What
an expression means is decided in `trioserf._cluster.filters`.

Source: hashicorp/serf v0.9.4, serf/messages.go, filterType; serf/query.go, encodeFilters,
shouldProcessQuery.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from .. import _attrs as attrs
from .._exceptions import RemoteProtocolError
from .._text import text
from .codec import Kind, decode, encode, pack_value, unpack_value, wire
from .limits import MAX_FILTER_NAMES


class FilterType(enum.IntEnum):
    """First byte of a query filter."""

    NODE = 0
    TAG = 1


@attrs.frozen
class NodeFilter:
    """Go's ``filterNode``: the node's name must be in the list."""

    names: tuple[str, ...]


@attrs.frozen
class TagFilter:
    """Go's ``filterTag``: ``expr`` (RE2) must be found in tag ``tag``."""

    tag: str = wire("Tag", Kind.STR)
    expr: str = wire("Expr", Kind.STR)


Filter: TypeAlias = NodeFilter | TagFilter

_NODE_FILTER: Final = bytes((FilterType.NODE,))
_TAG_FILTER: Final = bytes((FilterType.TAG,))


def encode_filter(filter: Filter) -> bytes:
    """One filter: its type byte and its value."""
    if isinstance(filter, NodeFilter):
        return _NODE_FILTER + pack_value(filter.names)
    return _TAG_FILTER + encode(filter)


def encode_filters(nodes: Sequence[str], tags: Mapping[str, str]) -> tuple[bytes, ...]:
    """The filters of a query: first the list of nodes if there is one, then the tags.

    Args:
      nodes: names of the nodes that shall answer; empty for any.
      tags: tag to the RE2 expression that must be found in it.
    """
    filters: list[Filter] = [NodeFilter(tuple(nodes))] if nodes else []
    filters += [TagFilter(tag, expr) for tag, expr in tags.items()]
    return tuple(map(encode_filter, filters))


def decode_filter(data: bytes | None) -> Filter:
    """One filter of a query.

    Raises:
      RemoteProtocolError: empty, of unknown type, or a bad value.

    DIFFERS: Go crashes on an empty filter.
    Test: test_an_empty_filter_is_refused.
    """
    if not data:
        raise RemoteProtocolError("empty filter")
    if data[0] == FilterType.TAG:
        return decode(TagFilter, data[1:])
    if data[0] != FilterType.NODE:
        raise RemoteProtocolError(f"filter of unknown type {data[0]}")
    names = unpack_value(data[1:], MAX_FILTER_NAMES)
    if names is None:
        return NodeFilter(())
    if not isinstance(names, list) or not all(isinstance(n, bytes | None) for n in names):
        raise RemoteProtocolError("node filter: expected a list of names")
    return NodeFilter(tuple([text(name or b"") for name in names]))
