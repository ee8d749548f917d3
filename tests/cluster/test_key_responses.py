"""Counting the answers to key operations."""

from __future__ import annotations

import base64

import pytest

from trioserf._cluster.key_responses import KeyTally, decode_key, key_payload
from trioserf._exceptions import KeyringError
from trioserf._wire.serf_messages import KeyAnswer, KeyRequest, decode_key_request, encode_serf

KEY = bytes(range(32))


def test_keys_come_as_base64_or_as_bytes() -> None:
    assert KEY == decode_key(base64.b64encode(KEY).decode())
    assert KEY == decode_key(KEY)
    assert b"ABC" == decode_key("QUJD")


@pytest.mark.parametrize("text", ["%%%%", "QUJD=", "QUJDé", "not base64"])
def test_a_key_that_is_not_base64_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(KeyringError, match="not standard base64") as caught:
        decode_key(text)
    assert text not in str(caught.value)


def test_a_request_carries_the_raw_key() -> None:
    assert KeyRequest(KEY) == decode_key_request(key_payload(KEY))
    assert bytes.fromhex("0781a34b6579a0") == key_payload(None)


def test_answers_are_summed() -> None:
    """Checklist 93, the rule."""
    tally = KeyTally(3)
    tally.add("a", encode_serf(KeyAnswer(result=True, keys=("k1", "k2"), primary_key="k1")))
    tally.add("b", encode_serf(KeyAnswer(result=True, keys=("k1",), primary_key="k1")))
    complete = [tally.complete]
    assert "2/3 nodes reported success" == tally.error()
    tally.add("c", encode_serf(KeyAnswer(result=True, message="truncated", primary_key="k2")))
    complete.append(tally.complete)
    assert complete == [False, True]
    assert tally.error() is None
    response = tally.response()
    assert (3, 3, 0) == (response.num_nodes, response.num_resp, response.num_err)
    assert {"k1": 2, "k2": 1} == dict(response.keys)
    assert {"k1": 2, "k2": 1} == dict(response.primary_keys)
    assert {"c": "truncated"} == dict(response.messages)


def test_answers_without_keys_count_under_no_primary_key() -> None:
    tally = KeyTally()
    tally.add("a", encode_serf(KeyAnswer(result=True)))
    tally.num_nodes = 1
    assert tally.complete
    assert {"": 1} == dict(tally.response().primary_keys)


def test_failures_are_reported_by_node() -> None:
    """Checklist 91, the rule."""
    tally = KeyTally(4)
    tally.add("a", encode_serf(KeyAnswer(result=True)))
    tally.add("b", encode_serf(KeyAnswer(result=False, message="no such key")))
    tally.add("c", b"\x07\x80")
    tally.add("d", b"\x08\x81")
    response = tally.response()
    assert (4, 3) == (response.num_resp, response.num_err)
    assert "no such key" == response.messages["b"]
    assert response.messages["c"].startswith("Invalid key query response type: ")
    assert response.messages["d"].startswith("Failed to decode key query response: ")
    assert "3/4 nodes reported failure" == tally.error()
    assert {"a", "b"} == set(tally.answers)


def test_a_report_does_not_show_keys() -> None:
    tally = KeyTally(1)
    tally.add("a", encode_serf(KeyAnswer(result=True, keys=("secret",), primary_key="secret")))
    assert "secret" not in repr(tally.response())


def test_a_report_in_a_notebook_numbers_the_keys_and_says_who_reported_what() -> None:
    tally = KeyTally(3)
    for name in "ab":
        keys = ("secret", "other") if name == "a" else ("secret",)
        tally.add(name, encode_serf(KeyAnswer(result=True, keys=keys, primary_key="secret")))
    tally.add("c", encode_serf(KeyAnswer(result=False, message="no such key")))
    table = tally.response()._table()
    assert (
        ("nodes alive", "3"),
        ("answered", "3"),
        ("reported failure", "1"),
        ("key 1", "held by 2, first of 2"),
        ("key 2", "held by 1, first of 0"),
        ("said by c", "no such key"),
    ) == table.rows
