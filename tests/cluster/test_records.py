"""Nodes of the membership half as members of Serf."""

from __future__ import annotations

import pytest

from trioserf._cluster.records import check_peer, member_address, member_ip, member_of
from trioserf._events import MemberStatus
from trioserf._exceptions import MergeRefused
from trioserf.abc import Address

from .samples import member, node


@pytest.mark.parametrize(
    ("addr", "shown"),
    [
        (bytes([10, 1, 2, 3]), "10.1.2.3"),
        (bytes(10) + b"\xff\xff" + bytes([10, 1, 2, 3]), "10.1.2.3"),
        (bytes(15) + b"\x01", "::1"),
        (b"", "0.0.0.0"),
        (bytes(17), "0.0.0.0"),
    ],
)
def test_addresses_of_4_and_16_bytes_are_shown(addr: bytes, shown: str) -> None:
    assert shown == str(member_ip(addr))
    assert shown == str(member_of(node("foo", addr=addr), MemberStatus.ALIVE)[0].addr)


def test_equal_nodes_share_one_member() -> None:
    first, _ = member_of(node("foo", {"a": "b"}), MemberStatus.ALIVE)
    second, _ = member_of(node("foo", {"a": "b"}), MemberStatus.ALIVE)
    other, _ = member_of(node("foo", {"a": "c"}), MemberStatus.ALIVE)
    assert first is second
    assert first != other


def test_a_member_has_an_address_for_packets() -> None:
    assert Address("10.0.0.1", 80) == member_address(member("foo", port=80))


def test_a_peer_is_shown_to_the_merge_callback() -> None:
    peer = check_peer(node("foo", {"a": "b"}), validate_name=True)
    assert ("foo", MemberStatus.NONE, {"a": "b"}) == (peer.name, peer.status, dict(peer.tags))
    gone = check_peer(node("foo", status=3), validate_name=True)
    assert gone.status is MemberStatus.LEFT


@pytest.mark.parametrize("size", [2, 17])
def test_a_peer_with_an_impossible_address_is_refused(size: int) -> None:
    """Checklist 96."""
    with pytest.raises(MergeRefused, match=f"IP byte length is invalid: {size} bytes"):
        check_peer(node("foo", addr=bytes(size)), validate_name=False)


@pytest.mark.parametrize("size", [4, 16])
def test_a_peer_with_a_possible_address_is_accepted(size: int) -> None:
    """Checklist 96."""
    check_peer(node("foo", addr=bytes(size)), validate_name=False)


@pytest.mark.parametrize("name", ["space space", "x" * 132])
def test_peer_names_are_checked_only_on_demand(name: str) -> None:
    """Checklist 96."""
    check_peer(node(name), validate_name=False)
    with pytest.raises(MergeRefused, match="node_name"):
        check_peer(node(name), validate_name=True)


def test_a_peer_with_too_much_metadata_is_refused() -> None:
    """Checklist 96."""
    peer = node("foo")
    peer.meta = bytes(512)
    check_peer(peer, validate_name=False)
    peer.meta = bytes(513)
    with pytest.raises(MergeRefused, match="exceeds limit of 512 bytes: 513 bytes"):
        check_peer(peer, validate_name=False)
