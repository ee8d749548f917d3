"""The merged timeline, from events made by hand."""

from __future__ import annotations

from ipaddress import ip_address

from trioserf import EventsDropped, EventType, Member, MemberEvent, Query, UserEvent
from trioserf.testing import Timeline


def about(kind: EventType, *names: str) -> MemberEvent:
    members = (Member(name=name, addr=ip_address("10.0.0.1"), port=1) for name in names)
    return MemberEvent(kind, tuple(members))


def test_every_event_has_its_words() -> None:
    timeline = Timeline()
    for event in (
        about(EventType.MEMBER_JOIN, "x", "y"),
        UserEvent(1, "deploy", b"123"),
        Query(1, "load", b"", "z", 5.0),
        EventsDropped(7),
    ):
        timeline.note(1.5, "a", event)
    timeline.note(2.0, "", "— healed")
    expected = [
        "     1.500  a             member-join: x, y",
        "     1.500  a             user deploy (3 bytes)",
        "     1.500  a             query load from z",
        "     1.500  a             7 events dropped",
        "     2.000  (network)     — healed",
    ]
    assert expected == str(timeline).splitlines()


def test_it_can_be_asked_by_node_by_member_and_by_event() -> None:
    timeline = Timeline()
    timeline.note(1, "a", about(EventType.MEMBER_JOIN, "x", "y"))
    timeline.note(2, "b", about(EventType.MEMBER_FAILED, "x"))
    timeline.note(3, "b", UserEvent(1, "deploy", b""))
    timeline.note(4, "a", "— crashes")
    assert [1] == [entry.time for entry in timeline.seen_by("a")]
    assert [1, 2] == [entry.time for entry in timeline.about("x")]
    assert [2] == [entry.time for entry in timeline.about("x", EventType.MEMBER_FAILED)]
    assert [3] == [entry.time for entry in timeline.user_events("deploy")]
    assert [] == timeline.user_events("other")
