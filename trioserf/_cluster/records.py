"""A node of the membership half, seen as a Serf member.

Source: hashicorp/serf v0.9.4, serf/serf.go, memberState, handleNodeJoin; main,
serf/merge_delegate.go, nodeToMember, validateMemberInfo.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

import attrs

from .._config import check_node_name
from .._events import IPAddress, Member, MemberStatus
from .._exceptions import InvalidNodeName, MergeRefused
from .._wire.tags import decode_tags
from ..abc import Address, NodeView
from .sizes import TAGS_LIMIT


@attrs.define(eq=False)
class Record:
    """What is known about one member.

    Args:
      member: its public face; replaced as a whole at every change.
      status_ltime: Lamport time of the newest intent about it.
      leave_time: when it failed or left (seconds); None while it is up.
      pruning: a wait that will end in forgetting it is under way.
    """

    member: Member
    status_ltime: int = 0
    leave_time: float | None = None
    pruning: bool = False


@lru_cache(maxsize=4096)
def member_ip(addr: bytes) -> IPAddress:
    """The IP address in 4 or 16 bytes; anything else is shown as 0.0.0.0."""
    if len(addr) == 4:
        return IPv4Address(addr)
    if len(addr) == 16:
        address = IPv6Address(addr)
        return address.ipv4_mapped or address
    return IPv4Address(0)


def member_of(node: NodeView, status: MemberStatus) -> tuple[Member, bool]:
    """``node`` as a member, and whether its metadata is broken (then the tags may lack some).

    Equal nodes give one and the same object.  Members are immutable, and a simulation with a
    thousand nodes in one process would otherwise hold a million of them.
    """
    return _shared_member(node.name, node.addr, node.port, node.meta, node.versions, status)


@lru_cache(maxsize=4096)
def _shared_member(
    name: str, addr: bytes, port: int, meta: bytes, versions: bytes, status: MemberStatus
) -> tuple[Member, bool]:
    tags, broken = decode_tags(meta)
    pmin, pmax, pcur, dmin, dmax, dcur = versions
    member = Member(
        name=name,
        addr=member_ip(addr),
        port=port,
        tags=tags,
        status=status,
        protocol_min=pmin,
        protocol_max=pmax,
        protocol_cur=pcur,
        delegate_min=dmin,
        delegate_max=dmax,
        delegate_cur=dcur,
    )
    return member, broken


def member_address(member: Member) -> Address:
    """Where packets for ``member`` go."""
    return Address(str(member.addr), member.port)


def check_peer(node: NodeView, *, validate_name: bool) -> Member:
    """``node`` as the merge callback sees it: status left if it left, else none.

    Raises:
      MergeRefused: name, address or metadata are impossible.
    """
    if validate_name:
        try:
            check_node_name(node.name)
        except InvalidNodeName as error:
            raise MergeRefused(str(error)) from error
    if len(node.addr) not in (4, 16):
        raise MergeRefused(
            f"IP byte length is invalid: {len(node.addr)} bytes is not either 4 or 16"
        )
    if len(node.meta) > TAGS_LIMIT:
        raise MergeRefused(
            f"Encoded length of tags exceeds limit of {TAGS_LIMIT} bytes: {len(node.meta)} bytes"
        )
    status = MemberStatus.LEFT if node.status == _NODE_LEFT else MemberStatus.NONE
    return member_of(node, status)[0]


_NODE_LEFT = 3
