"""The ordered snapshot of members."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trioserf._cluster.roster import Roster
from trioserf._events import MemberStatus

from .samples import member


def test_members_are_ordered_by_name() -> None:
    roster = Roster()
    for name in ("m", "a", "z"):
        roster.put(member(name))
    assert ["a", "m", "z"] == [one.name for one in roster.snapshot()]


def test_a_snapshot_is_the_same_object_until_a_change() -> None:
    roster = Roster()
    assert () == roster.snapshot()
    roster.put(member("a"))
    first = roster.snapshot()
    assert roster.snapshot() is first
    roster.put(member("a", MemberStatus.FAILED))
    assert roster.snapshot() is not first
    assert first[0].status is MemberStatus.ALIVE
    assert roster.snapshot()[0].status is MemberStatus.FAILED


def test_a_removed_member_is_gone() -> None:
    roster = Roster()
    for name in ("a", "b", "c"):
        roster.put(member(name))
    roster.remove("b")
    assert ["a", "c"] == [one.name for one in roster.snapshot()]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans())))
def test_a_roster_is_a_sorted_mapping(changes: list[tuple[str, bool]]) -> None:
    roster, model = Roster(), {}
    for name, put in changes:
        if put:
            roster.put(member(name))
            model[name] = member(name)
        elif name in model:
            roster.remove(name)
            del model[name]
        assert tuple(model[key] for key in sorted(model)) == roster.snapshot()
