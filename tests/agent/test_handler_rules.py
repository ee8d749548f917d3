"""What handlers are, and what their commands see."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from trioserf import EventType, Member, MemberEvent, MemberStatus, Query, UserEvent
from trioserf._agent.handler_rules import (
    InvalidHandler,
    environment_bytes,
    exit_text,
    handler_environment,
    handler_input,
    parse_handler,
    parse_handlers,
    tag_variable,
)


def member(name: str = "a", **tags: str) -> Member:
    return Member(name, ip_address("127.0.0.1"), 7946, tags, MemberStatus.ALIVE)


def event(name: str = "deploy", payload: bytes = b"") -> UserEvent:
    return UserEvent(3, name, payload)


def query(name: str = "load", payload: bytes = b"") -> Query:
    return Query(4, name, payload, "b", 0.0)


JOIN = MemberEvent(EventType.MEMBER_JOIN, (member(),))


@pytest.mark.parametrize(
    ("text", "keys", "command"),
    [
        ("h.sh", ["*:"], "h.sh"),
        ("/h.sh --level=info", None, ""),
        ("=h.sh --level=info", ["*:"], "h.sh --level=info"),
        (",=x", None, ""),
        ("member-join,user:deploy=h.sh", ["member-join:", "user:deploy"], "h.sh"),
        ("user=h.sh", ["user:"], "h.sh"),
        ("query:load=a=b", ["query:load"], "a=b"),
        ("*=FOO=bar x", ["*:"], "FOO=bar x"),
        ("", ["*:"], ""),
        ("user:deploy", ["*:"], "user:deploy"),
    ],
)
def test_a_handler_is_cut_at_its_first_equals_sign(
    text: str, keys: list[str] | None, command: str
) -> None:
    if keys is None:
        with pytest.raises(InvalidHandler):
            parse_handler(text)
        return
    handlers = parse_handler(text)
    assert keys == [handler.key for handler in handlers]
    assert {command} == {handler.command for handler in handlers}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("foo=x.sh", "Event 'foo' invoking 'x.sh'"),
        (",=x", "Event '' invoking 'x'"),
        ("member-join:web=x", "Event 'member-join:web' invoking 'x'"),
        ("/h.sh --level=info", "Event '/h.sh --level' invoking 'info'"),
        ("user, query=x", "Event ' query' invoking 'x'"),
        ("User=x", "Event 'User' invoking 'x'"),
    ],
)
def test_events_that_there_are_not_are_named(text: str, complaint: str) -> None:
    with pytest.raises(InvalidHandler) as raised:
        parse_handler(text)
    assert complaint == str(raised.value)


def test_a_handler_runs_for_what_it_wants() -> None:
    everything, users, deploys, joins, loads = parse_handlers(
        ["a", "user=b", "user:deploy=c", "member-join=d", "query:load=e"]
    )
    assert [True, True, True, False, False] == [
        each.wants(event()) for each in (everything, users, deploys, joins, loads)
    ]
    assert not deploys.wants(event("other"))
    assert joins.wants(JOIN)
    assert loads.wants(query())
    assert not loads.wants(event("load"))


def test_the_environment_of_a_user_event() -> None:
    node = member("alpha", role="web", **{"my-Tag.1": "v=1,2", "é.z": "x"})
    assert {
        "SERF_EVENT": "user",
        "SERF_SELF_NAME": "alpha",
        "SERF_SELF_ROLE": "web",
        "SERF_TAG_ROLE": "web",
        "SERF_TAG_MY_TAG_1": "v=1,2",
        "SERF_TAG___Z": "x",
        "SERF_USER_EVENT": "deploy",
        "SERF_USER_LTIME": "3",
    } == handler_environment(event(), node)


def test_the_environment_of_other_events() -> None:
    variables = handler_environment(query(), member())
    assert ("load", "4") == (variables["SERF_QUERY_NAME"], variables["SERF_QUERY_LTIME"])
    assert {
        "SERF_EVENT": "member-join",
        "SERF_SELF_NAME": "a",
        "SERF_SELF_ROLE": "",
    } == handler_environment(JOIN, member())


def test_no_variable_has_a_zero_byte() -> None:
    assert "ab" == handler_environment(event("a\0b"), member())["SERF_USER_EVENT"]


def test_each_character_that_is_not_allowed_is_one_underscore() -> None:
    assert "SERF_TAG_A_B__C" == tag_variable("a.b--c")


def test_names_that_are_no_text_keep_their_bytes() -> None:
    assert {b"A": b"1", b"X": b"\xff"} == environment_bytes({b"A": b"1"}, {"X": "\udcff"})


@pytest.mark.parametrize(
    ("payload", "text"),
    [(b"text", b"text\n"), (b"text\n", b"text\n"), (b"a\nb", b"a\nb\n"), (b"", b"")],
)
def test_a_newline_is_added_to_a_payload_that_has_none(payload: bytes, text: bytes) -> None:
    assert text == handler_input(event(payload=payload)) == handler_input(query(payload=payload))


def test_each_member_has_a_line() -> None:
    members = (member("a", role="db", x="a b"), member("tab\there\n"))
    event = MemberEvent(EventType.MEMBER_JOIN, members)
    assert b"a\t127.0.0.1\tdb\trole=db,x=a b\ntab\\there\\n\t127.0.0.1\t\t\n" == handler_input(
        event
    )


def test_ends_are_named_as_go_names_them() -> None:
    assert ("", "exit status 3", "signal: killed") == (
        exit_text(0, ""),
        exit_text(3, ""),
        exit_text(-9, "killed"),
    )
