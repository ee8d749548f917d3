"""What agents send, as the values that a node of this library gives.

Source: hashicorp/serf v0.9.4, client/rpc_client.go, Member; client/const.go.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

from .._cluster.key_responses import KeyResponse
from .._cluster.query_collector import NodeAck, NodeResponse
from .._events import (
    EventType,
    Member,
    MemberEvent,
    MemberStatus,
    Query,
    UserEvent,
)
from .._exceptions import RemoteProtocolError
from .._vivaldi.coordinate import Coordinate

_STATUS = {str(status): status for status in MemberStatus}
_MEMBER_EVENTS = {str(kind): kind for kind in EventType if kind < EventType.USER}

Respond = Callable[[int, bytes], Awaitable[None]]


def read_member(fields: Mapping[str, Any]) -> Member:
    """One member.  Raises `RemoteProtocolError`: an address or a status that there is not."""
    status = _STATUS.get(fields["Status"])
    if status is None:
        raise RemoteProtocolError(f"a member has the status {fields['Status']!r}")
    return Member(
        name=fields["Name"],
        addr=_read_address(fields["Addr"]),
        port=fields["Port"],
        tags=fields["Tags"],
        status=status,
        protocol_min=fields["ProtocolMin"],
        protocol_max=fields["ProtocolMax"],
        protocol_cur=fields["ProtocolCur"],
        delegate_min=fields["DelegateMin"],
        delegate_max=fields["DelegateMax"],
        delegate_cur=fields["DelegateCur"],
    )


def _read_address(packed: bytes) -> IPv4Address | IPv6Address:
    if len(packed) not in (4, 16):
        raise RemoteProtocolError(f"a member has an address of {len(packed)} bytes")
    address = ip_address(packed)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def read_event(fields: Mapping[str, Any], respond: Respond) -> MemberEvent | UserEvent | Query:
    """A record of a stream.

    Args:
      fields: of the record.
      respond: answers a query by its number.

    Raises:
      RemoteProtocolError: a kind of event that there is not.
    """
    kind = fields["Event"]
    if kind in _MEMBER_EVENTS:
        members = tuple(read_member(member) for member in fields["Members"])
        return MemberEvent(_MEMBER_EVENTS[kind], members)
    if kind == "user":
        return UserEvent(fields["LTime"], fields["Name"], fields["Payload"], fields["Coalesce"])
    if kind == "query":
        number = fields["ID"]
        return Query(
            fields["LTime"],
            fields["Name"],
            fields["Payload"],
            source_node="",
            deadline=math.inf,
            responder=lambda payload: respond(number, payload),
        )
    raise RemoteProtocolError(f"an event is of the kind {kind!r}")


def read_query_record(fields: Mapping[str, Any]) -> NodeAck | NodeResponse | None:
    """A record of a query; None for one without a sender, which Go agents send at the end."""
    node = fields["From"]
    if not node:
        return None
    if fields["Type"] == "ack":
        return NodeAck(node)
    return NodeResponse(node, fields["Payload"])


def read_keys(fields: Mapping[str, Any]) -> KeyResponse:
    """The report of a key operation; which keys are primary is not part of it."""
    return KeyResponse(
        messages=fields["Messages"],
        num_nodes=fields["NumNodes"],
        num_resp=fields["NumResp"],
        num_err=fields["NumErr"],
        keys=fields["Keys"],
        primary_keys={},
    )


def read_coordinate(fields: Mapping[str, Any]) -> Coordinate | None:
    """A coordinate; None if the agent knows none."""
    if not fields["Ok"]:
        return None
    found = fields["Coord"]
    return Coordinate(tuple(found["Vec"]), found["Error"], found["Adjustment"], found["Height"])
