"""Events and members as values: numbers and texts as Go's, frozen, short to read."""

from __future__ import annotations

from ipaddress import IPv4Address

import attrs
import pytest

from trioserf._events import (
    Event,
    EventsDropped,
    EventType,
    Member,
    MemberEvent,
    MemberStatus,
    Query,
    SerfState,
    UserEvent,
)
from trioserf._exceptions import QueryError


def test_event_types_have_the_numbers_and_texts_of_go() -> None:
    """Checklist of Serf, items 32 and 35."""
    expected = {
        0: "member-join",
        1: "member-leave",
        2: "member-failed",
        3: "member-update",
        4: "member-reap",
        5: "user",
        6: "query",
    }
    assert expected == {int(kind): str(kind) for kind in EventType}
    with pytest.raises(ValueError, match="100"):
        EventType(100)


def test_member_statuses_have_the_numbers_and_texts_of_go() -> None:
    """Checklist of Serf, item 36."""
    expected = {0: "none", 1: "alive", 2: "leaving", 3: "left", 4: "failed"}
    assert expected == {int(status): str(status) for status in MemberStatus}
    with pytest.raises(ValueError, match="100"):
        MemberStatus(100)


def test_states_of_a_node_have_the_texts_of_go() -> None:
    assert ["alive", "leaving", "left", "shutdown"] == [str(state) for state in SerfState]


def test_events_begin_as_they_print_in_go() -> None:
    """Checklist of Serf, items 32 to 34."""
    assert "member-leave" == str(MemberEvent(EventType.MEMBER_LEAVE, ()))
    assert "user-event: test" == str(UserEvent(1, "test", b""))
    query = Query(1, "update", b"", "", 0.0)
    assert "query: update" == str(query)
    assert (EventType.USER, EventType.QUERY) == (UserEvent(1, "t", b"").type, query.type)


def member(name: str, last: int = 1, **tags: str) -> Member:
    return Member(name, IPv4Address(f"10.0.0.{last}"), 7946, tags=tags)


def test_an_event_is_one_line_with_names_addresses_and_payload() -> None:
    one = MemberEvent(EventType.MEMBER_FAILED, (member("web-1", role="web"),))
    assert "member-failed: web-1 10.0.0.1:7946" == str(one)
    two = MemberEvent(EventType.MEMBER_JOIN, (member("a"), member("b", 2)))
    assert "member-join: a 10.0.0.1:7946, b 10.0.0.2:7946" == str(two)
    assert 'user-event: deploy "v42"' == str(UserEvent(7, "deploy", b"v42"))
    assert 'query: load from web-1: "cpu"' == str(Query(7, "load", b"cpu", "web-1", 0.0))
    assert "query: load from web-1" == str(Query(7, "load", b"", "web-1", 0.0))
    dropped = "missing here, because the reader was too slow"
    assert f"events-dropped: 1 event is {dropped}" == str(EventsDropped(1))
    assert f"events-dropped: 12 events are {dropped}" == str(EventsDropped(12))


def test_only_an_update_shows_the_tags_which_may_have_changed() -> None:
    update = MemberEvent(EventType.MEMBER_UPDATE, (member("a", role="web", dc="x"),))
    assert "member-update: a 10.0.0.1:7946 (dc=x,role=web)" == str(update)
    untagged = MemberEvent(EventType.MEMBER_UPDATE, (member("a"),))
    assert "member-update: a 10.0.0.1:7946" == str(untagged)


def test_the_line_of_a_merged_event_stays_short() -> None:
    many = MemberEvent(EventType.MEMBER_JOIN, tuple(member(f"n{i}") for i in range(1000)))
    assert str(many).endswith(", n7 10.0.0.1:7946, and 992 more")


FORGED = "x\n2026-11-28 INFO member-join: y\x1b[31m\u202e\udcff"


@pytest.mark.parametrize(
    "event",
    [
        MemberEvent(EventType.MEMBER_JOIN, (member(FORGED),)),
        MemberEvent(EventType.MEMBER_UPDATE, (member("a", **{FORGED: FORGED}),)),
        UserEvent(1, FORGED, FORGED.encode("utf-8", "surrogateescape")),
        Query(1, FORGED, FORGED.encode("utf-8", "surrogateescape"), FORGED, 0.0),
        UserEvent(1, "n" * 1_000_000, b"p" * 1_000_000),
    ],
    ids=["name", "tags", "user event", "query", "large"],
)
def test_what_a_peer_gave_cannot_forge_a_line(event: Event) -> None:
    line = str(event)
    assert line.isprintable()
    assert len(line) < 600


def test_a_large_payload_has_a_short_repr() -> None:
    shown = repr(UserEvent(1, "e", b"x" * 5000))
    assert len(shown) < 150
    assert "5000 bytes" in shown


def test_members_are_frozen_with_read_only_tags() -> None:
    tags = {"role": "web"}
    member = Member(name="a", addr=IPv4Address("127.0.0.1"), port=1, tags=tags)
    tags["role"] = "db"
    assert {"role": "web"} == dict(member.tags)
    with pytest.raises(TypeError):
        member.tags["x"] = "y"  # type: ignore[index]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        member.name = "b"  # type: ignore[misc]
    assert hash(member) == hash(attrs.evolve(member))


@pytest.mark.parametrize("kind", [EventType.USER, EventType.QUERY])
def test_a_member_event_of_another_kind_is_an_error(kind: EventType) -> None:
    """Checklist of Serf, item 32."""
    with pytest.raises(ValueError, match="five kinds"):
        MemberEvent(kind, ())


async def test_a_query_without_a_node_cannot_be_answered() -> None:
    with pytest.raises(QueryError, match="'q'"):
        await Query(1, "q", b"", "n", 0.0).respond(b"x")


async def test_respond_hands_the_payload_to_the_responder() -> None:
    given: list[bytes] = []

    async def responder(payload: bytes) -> None:
        given.append(payload)

    await Query(1, "q", b"", "n", 0.0, responder=responder).respond(b"x")
    assert [b"x"] == given
