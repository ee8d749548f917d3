"""The client's rules: numbers, shapes of answers, records, and servers that misbehave."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._exceptions import RemoteProtocolError
from trioserf._wire.rpc_client_session import ClientSession, Record, Reply
from trioserf._wire.rpc_codec import pack
from trioserf._wire.rpc_messages import COMMANDS, pack_query_record
from trioserf._wire.rpc_server_session import Request, ServerSession


def header(seq: int, error: str = "") -> bytes:
    return pack({"Error": error, "Seq": seq})


def events(session: ClientSession, data: bytes) -> list[Reply | Record]:
    session.feed(data)
    found = []
    while (event := session.next_event()) is not None:
        found.append(event)
    return found


def test_numbers_go_up_from_one() -> None:
    session = ClientSession()
    assert [1, 2, 3] == [session.request("stats")[0] for _ in range(3)]


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"handshake", "auth"}))
def test_what_a_client_writes_a_server_reads(command: str) -> None:
    client, server = ClientSession(), ServerSession(None)
    server.feed(client.request("handshake", {"Version": 1})[1])
    server.next_request()
    seq, data = client.request(command)
    server.feed(data)
    request = server.next_request()
    assert isinstance(request, Request)
    assert (command, seq) == request[:2]
    assert (COMMANDS[command].request or {}).keys() == request.fields.keys()


def test_a_field_that_a_command_does_not_have_is_a_mistake() -> None:
    with pytest.raises(AssertionError, match="event has no such field"):
        ClientSession().request("event", {"Nmae": "x"})


def test_a_body_follows_where_one_is_due() -> None:
    session = ClientSession()
    session.request("join")
    session.request("event")
    got = events(session, header(1) + pack({"Num": 3}) + header(2))
    assert [Reply(1, "", {"Num": 3}), Reply(2, "", None)] == got


def test_a_body_comes_with_an_error_too() -> None:
    session = ClientSession()
    session.request("join")
    assert [Reply(1, "no", {"Num": 0})] == events(session, header(1, "no") + pack({"Num": 0}))


@pytest.mark.parametrize(
    "error", ["Authentication required", "Handshake required", "Unsupported command"]
)
def test_no_body_comes_with_the_errors_before_a_command(error: str) -> None:
    session = ClientSession()
    session.request("join")
    session.request("event")
    assert [Reply(1, error), Reply(2, "")] == events(session, header(1, error) + header(2))


def test_the_second_refusal_of_a_go_agent_is_ignored() -> None:
    session = ClientSession()
    session.request("event")
    session.request("stats")
    error = "Authentication required"
    got = events(session, header(1, error) + header(1, error) + header(2, error))
    assert [Reply(1, error), Reply(2, error)] == got


def test_records_follow_an_accepted_stream_even_after_its_stop() -> None:
    session = ClientSession()
    session.request("monitor")
    session.request("stop", {"Stop": 1})
    line = pack({"Log": "x"})
    got = events(session, header(1) + header(1) + line + header(2) + header(1) + line)
    record = Record(1, {"Log": "x"})
    assert [Reply(1, ""), record, Reply(2, ""), record] == got


def test_no_record_follows_a_refused_stream() -> None:
    session = ClientSession()
    session.request("stream")
    session.request("stats")
    got = events(session, header(1, "Invalid event filter") + header(2) + pack({"a": {"b": "c"}}))
    assert [Reply(1, "Invalid event filter"), Reply(2, "", {"a": {"b": "c"}})] == got


def test_a_query_is_over_with_done() -> None:
    session = ClientSession()
    session.request("query")
    got = events(session, header(1) + header(1) + pack_query_record("done") + header(1))
    done = {"From": "", "Payload": b"", "Type": "done"}
    assert [Reply(1, ""), Record(1, done)] == got


def test_a_record_of_an_event_has_every_field() -> None:
    session = ClientSession()
    session.request("stream")
    raw = pack({"Event": "user", "LTime": 5, "Name": "x", "Payload": None, "Coalesce": True})
    _, record = events(session, header(1) + header(1) + raw)
    expected = {"Event": "user", "LTime": 5, "Name": "x", "Payload": b"", "Coalesce": True}
    assert {**expected, "ID": 0, "Members": []} == record[-1]


def test_answers_and_records_may_come_byte_by_byte() -> None:
    data = header(1) + header(1) + pack({"Log": "x"}) + header(2) + pack({"Num": 3})
    whole, pieces = ClientSession(), ClientSession()
    for session in (whole, pieces):
        session.request("monitor")
        session.request("join")
    expected = events(whole, data)
    assert 3 == len(expected)
    assert expected == [event for byte in data for event in events(pieces, bytes([byte]))]


@pytest.mark.parametrize("raw", [5, "text", [], {}, {"Seq": 1}, {"Error": ""}, None])
def test_what_is_no_header_ends_the_connection(raw: Any) -> None:
    session = ClientSession()
    session.request("stats")
    session.feed(pack(raw))
    with pytest.raises(RemoteProtocolError, match="expected the header of a reply"):
        session.next_event()


def test_a_body_of_wrong_types_ends_the_connection() -> None:
    session = ClientSession()
    session.request("join")
    session.feed(header(1) + pack({"Num": "x"}))
    with pytest.raises(RemoteProtocolError, match="Num"):
        session.next_event()


@given(st.binary(max_size=200))
def test_any_bytes_are_events_or_an_error(data: bytes) -> None:
    session = ClientSession()
    for command in ("stream", "query", "members", "stats", "get-coordinate"):
        session.request(command)
    session.feed(header(1) + header(2))
    with contextlib.suppress(RemoteProtocolError):
        events(session, data)
