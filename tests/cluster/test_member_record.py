"""Nodes of the membership half as members of Serf; who is forgotten, and who is tried again."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._cluster.member_record import (
    MAX_NEVER_REACHED,
    Record,
    SortedMembers,
    check_peer,
    choose_reconnect,
    member_address,
    member_ip,
    member_of,
    overdue,
    too_many,
)
from trioserf._events import Member, MemberStatus
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
    seen = check_peer(node("foo", addr=bytes(size)), validate_name=False)
    assert ("foo", 32 if size == 4 else 128) == (seen.name, seen.addr.max_prefixlen)


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


# --- the list of all members --------------------


def test_members_are_ordered_by_name() -> None:
    roster = SortedMembers()
    for name in ("m", "a", "z"):
        roster.put(member(name))
    assert ["a", "m", "z"] == [one.name for one in roster.snapshot()]


def test_a_snapshot_is_the_same_object_until_a_change() -> None:
    roster = SortedMembers()
    assert () == roster.snapshot()
    roster.put(member("a"))
    first = roster.snapshot()
    assert roster.snapshot() is first
    roster.put(member("a", MemberStatus.FAILED))
    assert roster.snapshot() is not first
    assert first[0].status is MemberStatus.ALIVE
    assert roster.snapshot()[0].status is MemberStatus.FAILED


def test_a_removed_member_is_gone() -> None:
    roster = SortedMembers()
    for name in ("a", "b", "c"):
        roster.put(member(name))
    roster.remove("b")
    assert ["a", "c"] == [one.name for one in roster.snapshot()]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([None, *MemberStatus]))))
def test_a_roster_is_a_sorted_mapping_that_knows_how_many_are_alive(
    changes: list[tuple[str, MemberStatus | None]],
) -> None:
    roster, model = SortedMembers(), {}
    for name, put in changes:
        if put is not None:
            roster.put(member(name, put))
            model[name] = member(name, put)
        elif name in model:
            roster.remove(name)
            del model[name]
        assert tuple(model[key] for key in sorted(model)) == roster.snapshot()
        alive = [one for one in model.values() if one.status is MemberStatus.ALIVE]
        assert len(alive) == roster.alive


# --- reaping and reconnecting --------------------


def gone(name: str, at: float) -> Record:
    return Record(member(name, MemberStatus.LEFT), leave_time=at)


def names(records: list[Record]) -> list[str]:
    return [record.member.name for record in records]


def test_only_records_over_the_timeout_are_overdue() -> None:
    """Checklist 67."""
    records = [gone("now", 10.0), gone("5 s", 5.0), gone("equal", 4.0), gone("10 s", 0.0)]
    assert ["10 s"] == names(overdue(records, now=10.0, timeout=6.0))


def test_an_override_decides_for_each_member() -> None:
    """Checklist 48."""
    asked: list[tuple[str, float]] = []

    def override(one: Member, timeout: float) -> float:
        asked.append((one.name, timeout))
        return 0.000001 if one.name == "quick" else timeout

    records = [gone("quick", 9.0), gone("slow", 9.0)]
    assert ["quick"] == names(overdue(records, 10.0, 30.0, override))
    assert [("quick", 30.0), ("slow", 30.0)] == asked


class Draw(random.Random):
    """A source whose share of one is always the same."""

    def __init__(self, share: float) -> None:
        super().__init__(1)
        self.share = share

    def random(self) -> float:
        return self.share


def test_without_failed_members_there_is_no_reconnect() -> None:
    assert choose_reconnect(Draw(0.0), num_members=5, failed=(), num_left=0) is None


def test_a_draw_of_exactly_the_chance_is_a_try() -> None:
    failed = [member("a", MemberStatus.FAILED)]
    assert failed[0] is choose_reconnect(Draw(0.25), num_members=5, failed=failed, num_left=0)
    assert choose_reconnect(Draw(0.26), num_members=5, failed=failed, num_left=0) is None


def test_a_node_that_knows_nobody_up_but_itself_always_tries() -> None:
    failed = [member("a", MemberStatus.FAILED)]
    assert failed[0] is choose_reconnect(Draw(0.99), num_members=2, failed=failed, num_left=0)


def test_every_failed_member_is_chosen_sometimes() -> None:
    failed = [member(name, MemberStatus.FAILED) for name in "abc"]
    rng = random.Random(1)
    chosen = [choose_reconnect(rng, num_members=3, failed=failed, num_left=0) for _ in range(99)]
    assert set("abc") == {one.name for one in chosen if one is not None}
    assert None not in chosen


def test_the_chance_of_a_try_is_failed_over_those_that_are_up() -> None:
    failed = [member("a", MemberStatus.FAILED)]
    rng = random.Random(1)
    tries = [choose_reconnect(rng, num_members=13, failed=failed, num_left=2) for _ in range(5000)]
    share = sum(one is not None for one in tries) / len(tries)
    assert 0.08 < share < 0.12


def test_every_other_try_is_of_a_member_that_was_reached() -> None:
    failed = [member(f"f{number}", MemberStatus.FAILED) for number in range(100)]
    rng = random.Random(1)

    def share(reached: list[Member]) -> float:
        tries = [
            choose_reconnect(rng, num_members=101, failed=failed, num_left=0, reached=reached)
            for _ in range(2000)
        ]
        return sum(one in failed[:2] for one in tries) / len(tries)

    assert 0.45 < share(failed[:2]) < 0.57
    assert share([]) < 0.05
    assert share(failed) < 0.05


def test_of_members_that_were_never_reached_those_that_went_first_are_too_many() -> None:
    def record(number: int, reached: bool) -> Record:
        gone = member(f"n{number}", MemberStatus.FAILED)
        return Record(gone, leave_time=float(-number), reached=reached)

    doubtful = [record(number, False) for number in range(MAX_NEVER_REACHED + 5)]
    others = [record(number, True) for number in range(1000)]
    assert [] == too_many([*others, *doubtful], alive=5)
    assert doubtful[-1:-4:-1] == too_many([*others, *doubtful], alive=2)
