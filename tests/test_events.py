"""Events and members as values: numbers and texts as Go's, frozen, short to read."""

from __future__ import annotations

from ipaddress import IPv4Address

import attrs
import pytest

from trioserf._events import (
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


def test_events_print_as_in_go() -> None:
    """Checklist of Serf, items 32 to 34."""
    assert "member-leave" == str(MemberEvent(EventType.MEMBER_LEAVE, ()))
    assert "user-event: test" == str(UserEvent(1, "test", b""))
    query = Query(1, "update", b"", "n", 0.0)
    assert "query: update" == str(query)
    assert (EventType.USER, EventType.QUERY) == (UserEvent(1, "t", b"").type, query.type)


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
