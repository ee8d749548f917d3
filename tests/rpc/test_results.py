"""What agents send, read into our values; and what is no value."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from trioserf._events import Member, MemberStatus
from trioserf._exceptions import RemoteProtocolError
from trioserf._rpc.records import member_fields
from trioserf._rpc.results import read_event, read_member, read_query_record

MEMBER = Member(
    "a", ip_address("10.0.0.1"), 7946, {"x": "1"}, MemberStatus.FAILED, 1, 5, 2, 2, 5, 5
)


async def refuse(number: int, payload: bytes) -> None:
    raise AssertionError("nothing is to be answered")


@pytest.mark.parametrize("text", ["10.0.0.1", "::1"])
def test_a_member_is_the_same_on_the_other_side(text: str) -> None:
    fields = member_fields(MEMBER) | {"Addr": ip_address(text).packed}
    member = read_member(fields)
    assert ip_address(text) == member.addr
    assert fields == member_fields(member)


def test_a_mapped_address_is_one_of_ipv4() -> None:
    fields = member_fields(MEMBER) | {"Addr": ip_address("::ffff:10.0.0.1").packed}
    assert MEMBER == read_member(fields)


@pytest.mark.parametrize("change", [{"Addr": b""}, {"Addr": b"12345"}, {"Status": "gone"}])
def test_what_is_no_member_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError, match="a member has"):
        read_member(member_fields(MEMBER) | change)


def test_an_unknown_kind_of_event_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="'member-sing'"):
        read_event({"Event": "member-sing"}, refuse)


def test_records_without_a_sender_are_dropped() -> None:
    """Go agents send some just before the end of a query."""
    assert read_query_record({"Type": "ack", "From": "", "Payload": b""}) is None
