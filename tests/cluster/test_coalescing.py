"""Events in quick succession become few."""

from __future__ import annotations

import math

import attrs
from hypothesis import given
from hypothesis import strategies as st

from trioserf._cluster.coalescing import MemberCoalescer, UserCoalescer
from trioserf._events import EventType, Member, MemberEvent, MemberStatus, Query, UserEvent

from .samples import member

JOIN, LEAVE, FAILED, UPDATE, REAP = (
    EventType.MEMBER_JOIN,
    EventType.MEMBER_LEAVE,
    EventType.MEMBER_FAILED,
    EventType.MEMBER_UPDATE,
    EventType.MEMBER_REAP,
)
QUERY = Query(1, "q", b"", "n", 1.0)


def event(kind: EventType, name: str, **tags: str) -> MemberEvent:
    return MemberEvent(kind, (member(name, tags=tags),))


def members_coalescer() -> MemberCoalescer:
    return MemberCoalescer(period=3.0, quiescent=1.0)


def test_the_last_state_of_each_member_comes_out_grouped_by_kind() -> None:
    """Checklist 108."""
    coalescer = members_coalescer()
    for one in [
        event(JOIN, "foo"),
        event(LEAVE, "foo"),
        event(LEAVE, "bar"),
        event(UPDATE, "zip", role="foo"),
        event(UPDATE, "zip", role="bar"),
        event(REAP, "dead"),
    ]:
        coalescer.add(one, 0.0)
    assert [
        MemberEvent(LEAVE, (member("foo"), member("bar"))),
        MemberEvent(UPDATE, (member("zip", tags={"role": "bar"}),)),
        MemberEvent(REAP, (member("dead"),)),
    ] == coalescer.flush()
    assert [] == coalescer.flush()


def test_updates_in_separate_periods_are_both_published() -> None:
    """Checklist 109."""
    coalescer = members_coalescer()
    for role in ("foo", "bar", "bar"):
        coalescer.add(event(UPDATE, "zip", role=role), 0.0)
        assert [event(UPDATE, "zip", role=role)] == coalescer.flush()


def test_an_update_is_published_once() -> None:
    coalescer = members_coalescer()
    coalescer.add(event(UPDATE, "zip"), 0.0)
    coalescer.flush()
    coalescer.add(event(JOIN, "foo"), 10.0)
    assert [event(JOIN, "foo")] == coalescer.flush()


def test_members_handle_the_five_kinds_of_member_events() -> None:
    """Checklist 110."""
    coalescer = members_coalescer()
    for kind in (JOIN, LEAVE, FAILED, UPDATE, REAP):
        assert coalescer.handles(MemberEvent(kind, ()))
    assert not coalescer.handles(UserEvent(1, "e", b"", True))
    assert not coalescer.handles(QUERY)


def test_a_member_that_returns_unchanged_within_one_period_is_not_published() -> None:
    coalescer = members_coalescer()
    coalescer.add(event(JOIN, "foo"), 0.0)
    coalescer.flush()
    coalescer.add(event(FAILED, "foo"), 10.0)
    coalescer.add(event(JOIN, "foo"), 10.0)
    assert [] == coalescer.flush()


def test_a_member_that_returns_changed_within_one_period_is_published() -> None:
    coalescer = members_coalescer()
    coalescer.add(event(JOIN, "foo"), 0.0)
    coalescer.flush()
    coalescer.add(event(FAILED, "foo"), 10.0)
    coalescer.add(event(JOIN, "foo", role="new"), 10.0)
    assert [event(JOIN, "foo", role="new")] == coalescer.flush()


def test_a_change_reverted_within_one_period_is_not_published() -> None:
    coalescer = members_coalescer()
    coalescer.add(event(JOIN, "foo", role="old"), 0.0)
    coalescer.flush()
    for role in ("new", "old"):
        coalescer.add(event(UPDATE, "foo", role=role), 10.0)
    assert [] == coalescer.flush()
    coalescer.add(event(UPDATE, "foo", role="new"), 20.0)
    assert [event(UPDATE, "foo", role="new")] == coalescer.flush()
    coalescer.add(event(FAILED, "foo", role="new"), 30.0)
    coalescer.add(event(JOIN, "foo", role="new"), 30.0)
    assert [] == coalescer.flush(), "it was up, and is up"


def test_a_refuted_leave_intent_is_not_published() -> None:
    coalescer = members_coalescer()
    joined = event(JOIN, "foo")
    leaving = attrs.evolve(joined.members[0], status=MemberStatus.LEAVING)
    coalescer.add(attrs.evolve(joined, members=(leaving,)), 0.0)
    coalescer.flush()
    coalescer.add(event(FAILED, "foo"), 10.0)
    coalescer.add(joined, 10.0)
    assert [] == coalescer.flush()


def test_a_member_that_joined_and_was_reaped_within_one_period_is_not_published() -> None:
    coalescer = members_coalescer()
    for kind in (JOIN, FAILED, REAP):
        coalescer.add(event(kind, "foo"), 0.0)
    assert [] == coalescer.flush()
    for kind in (REAP, JOIN):
        coalescer.add(event(kind, "foo"), 0.0)
    assert [event(JOIN, "foo")] == coalescer.flush()


def test_a_join_followed_by_an_update_is_published_as_both() -> None:
    coalescer = members_coalescer()
    coalescer.add(event(JOIN, "foo"), 0.0)
    coalescer.add(event(UPDATE, "foo", role="new"), 0.0)
    coalescer.add(event(UPDATE, "foo", role="newer"), 0.0)
    coalescer.add(event(JOIN, "bar"), 0.0)
    joins, update = coalescer.flush()
    assert {"foo": {}, "bar": {}} == {each.name: dict(each.tags) for each in joins.members}
    assert (JOIN, event(UPDATE, "foo", role="newer")) == (joins.type, update)


def test_a_join_whose_update_is_reverted_is_a_join() -> None:
    coalescer = members_coalescer()
    coalescer.add(event(JOIN, "foo"), 0.0)
    coalescer.add(event(UPDATE, "foo", role="new"), 0.0)
    coalescer.add(event(UPDATE, "foo"), 0.0)
    assert [event(JOIN, "foo")] == coalescer.flush()


def test_a_member_that_was_reaped_may_join_again() -> None:
    coalescer = members_coalescer()
    for kind in (JOIN, REAP, JOIN):
        coalescer.add(event(kind, "foo"), 0.0)
        assert [event(kind, "foo")] == coalescer.flush()


def test_no_state_is_left_of_a_member_that_was_reaped() -> None:
    coalescer = members_coalescer()
    for _ in range(2):
        coalescer.add(event(REAP, "foo"), 0.0)
        assert [event(REAP, "foo")] == coalescer.flush()


def test_an_event_of_several_members_counts_for_each() -> None:
    coalescer = members_coalescer()
    coalescer.add(MemberEvent(JOIN, (member("a"), member("b"))), 0.0)
    coalescer.add(event(LEAVE, "a"), 0.0)
    assert [event(LEAVE, "a"), event(JOIN, "b")] == coalescer.flush()


def test_the_quantum_bounds_the_wait() -> None:
    """Checklist 113."""
    coalescer = MemberCoalescer(period=0.005, quiescent=1.0)
    assert math.inf == coalescer.next_deadline()
    coalescer.add(event(JOIN, "a"), 10.0)
    coalescer.add(event(JOIN, "b"), 10.004)
    assert 10.005 == coalescer.next_deadline()
    assert [] == coalescer.expired(10.0049)
    assert [MemberEvent(JOIN, (member("a"), member("b")))] == coalescer.expired(10.005)
    assert math.inf == coalescer.next_deadline()
    assert [] == coalescer.expired(11.0)


def test_silence_ends_the_wait_early() -> None:
    """Checklist 113."""
    coalescer = UserCoalescer(period=10.0, quiescent=0.01)
    coalescer.add(UserEvent(1, "e", b"", True), 5.0)
    assert 5.01 == coalescer.next_deadline()
    coalescer.add(UserEvent(2, "e", b"", True), 5.005)
    assert 5.015 == coalescer.next_deadline()
    assert [] == coalescer.expired(5.01)
    assert [UserEvent(2, "e", b"", True)] == coalescer.expired(5.015)
    assert math.inf == coalescer.next_deadline()


def test_user_events_are_handled_if_they_may_be_coalesced() -> None:
    """Checklist 111."""
    coalescer = UserCoalescer(period=1.0, quiescent=1.0)
    assert coalescer.handles(UserEvent(1, "e", b"", True))
    assert not coalescer.handles(UserEvent(1, "e", b"", False))
    assert not coalescer.handles(event(JOIN, "a"))
    assert not coalescer.handles(QUERY)


def test_the_newest_user_events_of_each_name_come_out() -> None:
    """Checklist 112."""
    coalescer = UserCoalescer(period=1.0, quiescent=1.0)
    for ltime, name, payload in [
        (1, "foo", b""),
        (2, "foo", b""),
        (2, "bar", b"test1"),
        (2, "bar", b"test2"),
        (1, "bar", b"old"),
    ]:
        coalescer.add(UserEvent(ltime, name, payload, True), 0.0)
    assert [
        UserEvent(2, "foo", b"", True),
        UserEvent(2, "bar", b"test1", True),
        UserEvent(2, "bar", b"test2", True),
    ] == coalescer.flush()
    assert [] == coalescer.flush()


def test_an_update_of_a_failed_member_does_not_hide_the_failure() -> None:
    coalescer = members_coalescer()
    for kind, one in (
        (JOIN, member("b", tags={"t": "x"})),
        (FAILED, member("b", MemberStatus.FAILED, tags={"t": "x"})),
        (UPDATE, member("b", MemberStatus.FAILED, tags={"t": "y"})),
    ):
        coalescer.add(MemberEvent(kind, (one,)), 0.0)
    assert [FAILED] == [event.type for event in coalescer.flush()]
    coalescer.add(MemberEvent(JOIN, (member("b", tags={"t": "y"}),)), 0.0)
    assert [JOIN] == [event.type for event in coalescer.flush()]


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["join", "fail", "leave", "update", "reap", "flush"]),
        st.sampled_from("ab"),
        st.sampled_from("xyz"),
    )
)


@given(CHANGES)
def test_folding_coalesced_events_gives_the_same_members(
    changes: list[tuple[str, str, str]],
) -> None:
    coalescer = members_coalescer()
    now: dict[str, Member] = {}
    published: dict[str, Member] = {}

    def read() -> None:
        for one in coalescer.flush():
            for seen in one.members:
                if one.type is EventType.MEMBER_REAP:
                    assert published.pop(seen.name, None) is not None, (
                        "only members that were published"
                    )
                else:
                    assert published.get(seen.name) != seen, "something changed"
                    published[seen.name] = seen

    for change, name, tag in changes:
        known = now.get(name)
        up = known is not None and known.status is MemberStatus.ALIVE
        if change == "flush":
            read()
            continue
        if change == "join" and not up:
            kind, after = JOIN, member(name, tags={"t": tag})
        elif change == "update" and known is not None and known.tags != {"t": tag}:
            kind, after = UPDATE, attrs.evolve(known, tags={"t": tag})
        elif change == "fail" and known is not None and up:
            kind, after = FAILED, attrs.evolve(known, status=MemberStatus.FAILED)
        elif change == "leave" and known is not None and up:
            kind, after = LEAVE, attrs.evolve(known, status=MemberStatus.LEFT)
        elif change == "reap" and known is not None and not up:
            kind, after = REAP, known
        else:
            continue
        if kind is REAP:
            del now[name]
        else:
            now[name] = after
        coalescer.add(MemberEvent(kind, (after,)), 0.0)
    read()
    assert now == published
