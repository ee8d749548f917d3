"""The rules of one client's connection, as bytes in and requests out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._exceptions import RemoteProtocolError
from trioserf._wire.rpc_codec import REQUEST_SIZE, UNTRUSTED_SIZE, pack
from trioserf._wire.rpc_messages import COMMANDS
from trioserf._wire.rpc_server_session import Answer, Request, ServerSession

HANDSHAKE = pack({"Command": "handshake", "Seq": 1}) + pack({"Version": 1})


def sent(command: str, seq: int, *bodies: Any) -> bytes:
    return pack({"Command": command, "Seq": seq}) + b"".join(map(pack, bodies))


def outcomes(session: ServerSession, data: bytes) -> list[Request | Answer]:
    session.feed(data)
    found = []
    while (outcome := session.next_request()) is not None:
        found.append(outcome)
    return found


def opened(auth_key: str | None = None) -> ServerSession:
    session = ServerSession(auth_key)
    assert [Answer(1)] == outcomes(session, HANDSHAKE)
    return session


# --- handshake ----------------------------------------------------------------------------


@pytest.mark.parametrize("body", [{"Version": v} for v in (0, 2, -1, 2**31 - 1)] + [{}, None])
def test_another_version_is_refused_and_may_be_followed_by_the_right_one(body: Any) -> None:
    session = ServerSession(None)
    assert [Answer(5, "Unsupported IPC version")] == outcomes(session, sent("handshake", 5, body))
    assert [Answer(1)] == outcomes(session, HANDSHAKE)


def test_a_second_handshake_is_refused_after_a_look_at_its_version() -> None:
    session = opened()
    assert [Answer(1, "Handshake already performed")] == outcomes(session, HANDSHAKE)
    got = outcomes(session, sent("handshake", 2, {"Version": 9}))
    assert [Answer(2, "Unsupported IPC version")] == got


@pytest.mark.parametrize("command", [*sorted(COMMANDS.keys() - {"handshake"}), "bogus"])
def test_nothing_goes_before_the_handshake(command: str) -> None:
    session = ServerSession(None)
    session.feed(sent(command, 3))
    assert Answer(3, "Handshake required", close=True) == session.next_request()


# --- authentication -----------------------------------------------------------------------


@pytest.mark.parametrize("command", [*sorted(COMMANDS.keys() - {"handshake", "auth"}), "bogus"])
def test_a_command_before_authentication_is_refused_once(command: str) -> None:
    session = opened("s3cret")
    spec = COMMANDS.get(command)
    bodies = [] if spec is None or spec.request is None else [{}]
    got = outcomes(session, sent(command, 2, *bodies) + sent("auth", 3, {"AuthKey": "s3cret"}))
    assert [Answer(2, "Authentication required"), Answer(3)] == got
    assert [Request("stats", 4, {})] == outcomes(session, sent("stats", 4))


def test_a_refused_body_may_be_anything() -> None:
    session = opened("s3cret")
    got = outcomes(session, sent("event", 2, ["no", "fields", 5]))
    assert [Answer(2, "Authentication required")] == got


@pytest.mark.parametrize("key", ["wrong", "", "s3cret ", "s3cre", "S3CRET", "\udcff"])
def test_a_wrong_key_is_refused_and_takes_nothing_away(key: str) -> None:
    session = opened("s3cret")
    wrong = sent("auth", 2, {"AuthKey": key})
    assert [Answer(2, "Invalid authentication token")] == outcomes(session, wrong)
    assert [Answer(3)] == outcomes(session, sent("auth", 3, {"AuthKey": "s3cret"}))
    assert [Answer(2, "Invalid authentication token")] == outcomes(session, wrong)
    assert [Request("stats", 4, {})] == outcomes(session, sent("stats", 4))


def test_without_a_key_only_the_empty_one_is_right() -> None:
    session = opened(None)
    assert [Answer(2)] == outcomes(session, sent("auth", 2, {}))
    got = outcomes(session, sent("auth", 3, {"AuthKey": "x"}))
    assert [Answer(3, "Invalid authentication token")] == got


# --- requests -----------------------------------------------------------------------------


def test_a_request_has_every_field() -> None:
    got = outcomes(opened(), sent("event", 2**64 - 1, {"Name": "x", "More": 1, "name": 5}))
    assert [Request("event", 2**64 - 1, {"Coalesce": False, "Name": "x", "Payload": b""})] == got


def test_requests_may_follow_each_other_in_one_piece_or_byte_by_byte() -> None:
    data = b"".join(sent("stop", n, {"Stop": n}) + sent("stats", n) for n in range(20))
    session, session2 = opened(), opened()
    whole = outcomes(session, data)
    assert 40 == len(whole)
    assert whole == [got for byte in data for got in outcomes(session2, bytes([byte]))]


def test_an_unknown_command_ends_the_connection() -> None:
    for name in ("bogus", "Members", " members", ""):
        got = outcomes(opened(), sent(name, 7))
        assert [Answer(7, "Unsupported command", close=True)] == got


def test_a_header_without_keys_repeats_the_one_before() -> None:
    """Go reads every header into one struct, and clients live with it."""
    session = opened()
    assert [Request("stats", 5, {})] == outcomes(session, sent("stats", 5))
    assert [Request("stats", 5, {})] == outcomes(session, pack({}))
    assert [Request("stats", 5, {})] == outcomes(session, pack([]))
    assert [Request("stats", 6, {})] == outcomes(session, pack({"Seq": 6}))
    assert [Request("leave", 6, {})] == outcomes(session, pack({"Command": "leave"}))
    assert [Request("stats", 9, {})] == outcomes(session, pack(["stats", 9]))
    assert [Answer(0, "Unsupported command", close=True)] == outcomes(session, pack(None))


def test_old_clients_may_send_bytes_for_texts_and_texts_for_bytes() -> None:
    raw = (
        b"\x82\xc4\x07Command\xc4\x05event\xa3Seq\x05"
        + b"\x82\xa4Name\xc4\x01x\xa7Payload\xa2\xff\xfe"
    )
    got = outcomes(opened(), raw)
    assert [Request("event", 5, {"Coalesce": False, "Name": "x", "Payload": b"\xff\xfe"})] == got


@pytest.mark.parametrize(
    "header", [{"Command": 5, "Seq": 1}, {"Command": "stats", "Seq": -1}, 7, "stats", {1: 2}]
)
def test_a_header_of_wrong_types_is_an_error(header: Any) -> None:
    session = opened()
    session.feed(pack(header))
    with pytest.raises(RemoteProtocolError, match=r"^failed to decode request header: "):
        session.next_request()


def test_a_body_of_wrong_types_is_an_error_that_names_command_and_field() -> None:
    session = opened()
    session.feed(sent("query", 2, {"Timeout": 1.5}))
    with pytest.raises(RemoteProtocolError) as caught:
        session.next_request()
    assert (
        "Failed to evaluate request: decode failed: query: Timeout: expected an integer from "
        "-9223372036854775808 to 9223372036854775807, got float"
    ) == str(caught.value)


def test_more_is_accepted_of_those_who_may_ask() -> None:
    body = {"Existing": ["x" * 1000] * 70}
    for session in (ServerSession(None), opened("s3cret")):
        session.feed(sent("join", 2))
        if session.next_request() is None:
            session.feed(pack(body))
            with pytest.raises(RemoteProtocolError, match=f"more than {UNTRUSTED_SIZE} bytes"):
                session.next_request()
    session = opened("s3cret")
    outcomes(session, sent("auth", 2, {"AuthKey": "s3cret"}))
    for trusted in (session, opened(None)):
        (got,) = outcomes(trusted, sent("join", 2, body))
        assert isinstance(got, Request)
        assert body["Existing"] == got.fields["Existing"]
        trusted.feed(sent("event", 2) + b"\x81\xa4Name\xdb" + REQUEST_SIZE.to_bytes(4, "big"))
        with pytest.raises(RemoteProtocolError, match=f"more than {REQUEST_SIZE} bytes"):
            trusted.next_request()


def test_the_key_is_not_shown() -> None:
    assert "s3cret" not in repr(opened("s3cret"))


@given(st.binary(max_size=200), st.sampled_from([None, "key"]))
def test_any_bytes_are_requests_or_an_error(data: bytes, auth_key: str | None) -> None:
    session = opened(auth_key)
    try:
        for outcome in outcomes(session, data):
            assert isinstance(outcome, Request | Answer)
    except RemoteProtocolError:
        pass


@given(st.data())
def test_any_values_as_header_and_body_are_requests_or_an_error(data: st.DataObject) -> None:
    plain = st.none() | st.booleans() | st.integers(-5, 300) | st.text(max_size=3) | st.floats()
    value = plain | st.lists(plain, max_size=3) | st.dictionaries(st.text(max_size=3), plain)
    command = data.draw(st.sampled_from(sorted(COMMANDS)))
    fields = COMMANDS[command].request or {"none": None}
    body = data.draw(st.dictionaries(st.sampled_from(sorted(fields)), value) | value)
    session = opened()
    try:
        for outcome in outcomes(session, sent(command, 2, body)):
            if isinstance(outcome, Request) and outcome.seq == 2 and outcome.fields:
                assert fields.keys() == outcome.fields.keys()
    except RemoteProtocolError:
        pass
