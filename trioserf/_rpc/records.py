"""Members and events of a node, as the RPC protocol carries them.

Source: hashicorp/serf v0.9.4, cmd/serf/command/agent/ipc.go, Member, filterMembers;
ipc_event_stream.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from .. import _attrs as attrs
from .._events import Member, MemberEvent, Query, UserEvent
from .._wire.rpc_codec import pack

NodeEvent: TypeAlias = MemberEvent | UserEvent | Query


def member_fields(member: Member) -> dict[str, Any]:
    """One member."""
    return {
        "Addr": member.addr.packed,
        "DelegateCur": member.delegate_cur,
        "DelegateMax": member.delegate_max,
        "DelegateMin": member.delegate_min,
        "Name": member.name,
        "Port": member.port,
        "ProtocolCur": member.protocol_cur,
        "ProtocolMax": member.protocol_max,
        "ProtocolMin": member.protocol_min,
        "Status": str(member.status),
        "Tags": dict(sorted(member.tags.items())),
    }


def pack_members(members: Iterable[Member]) -> bytes:
    """The body of the reply to ``members``."""
    return pack({"Members": [member_fields(member) for member in members]})


def event_kind(event: NodeEvent) -> tuple[str, str]:
    """What filters look at: the kind in Go's text, and the name ("" for member events)."""
    return str(event.type), "" if isinstance(event, MemberEvent) else event.name


def pack_event(event: MemberEvent | UserEvent) -> bytes:
    """The record of an event, the same for all clients."""
    if isinstance(event, MemberEvent):
        members = [member_fields(member) for member in event.members]
        return pack({"Event": str(event.type), "Members": members})
    return pack(
        {
            "Coalesce": event.coalesce,
            "Event": "user",
            "LTime": event.ltime,
            "Name": event.name,
            "Payload": event.payload or None,
        }
    )


_QUERY_START: Final = b"\x85" + pack("Event") + pack("query") + pack("ID")


@attrs.frozen(eq=False)
class QueryRecord:
    """The record of a query; each client answers it by a number of its own.

    Args:
      id: that number.
      rest: the fields behind it, shared by all clients: see `pack_query_rest`.
    """

    id: int
    rest: bytes = attrs.field(repr=False)

    def encode(self) -> bytes:
        """Its bytes."""
        return b"".join((_QUERY_START, pack(self.id), self.rest))


def pack_query_rest(query: Query) -> bytes:
    """The fields of a query record that are the same for all clients."""
    fields = {"LTime": query.ltime, "Name": query.name, "Payload": query.payload or None}
    return b"".join(pack(name) + pack(value) for name, value in fields.items())
