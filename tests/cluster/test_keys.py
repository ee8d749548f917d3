"""Counting the answers to key operations."""

from __future__ import annotations

import base64

import pytest

from trioserf._cluster.keys import KeyTally, decode_key, encode_key, key_payload
from trioserf._exceptions import KeyringError
from trioserf._wire.serf_messages import KeyAnswer, KeyRequest, decode_key_request, encode_serf

KEY = bytes(range(32))


def test_keys_come_as_base64_or_as_bytes() -> None:
    assert decode_key(base64.b64encode(KEY).decode()) == KEY
    assert decode_key(KEY) == KEY
    assert decode_key(encode_key(KEY)) == KEY


@pytest.mark.parametrize("text", ["%%%%", "QUJD=", "QUJDé", "not base64"])
def test_a_key_that_is_not_base64_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(KeyringError, match="not standard base64") as caught:
        decode_key(text)
    assert text not in str(caught.value)


def test_a_request_carries_the_raw_key() -> None:
    assert decode_key_request(key_payload(KEY)) == KeyRequest(KEY)
    assert key_payload(None) == bytes.fromhex("0781a34b6579a0")


def test_answers_are_summed() -> None:
    """Checklist 93, the rule."""
    tally = KeyTally(3)
    tally.add("a", encode_serf(KeyAnswer(result=True, keys=("k1", "k2"), primary_key="k1")))
    tally.add("b", encode_serf(KeyAnswer(result=True, keys=("k1",), primary_key="k1")))
    assert not tally.complete
    assert tally.error() == "2/3 nodes reported success"
    tally.add("c", encode_serf(KeyAnswer(result=True, message="truncated", primary_key="k2")))
    assert tally.complete
    assert tally.error() is None
    response = tally.response()
    assert (response.num_nodes, response.num_resp, response.num_err) == (3, 3, 0)
    assert dict(response.keys) == {"k1": 2, "k2": 1}
    assert dict(response.primary_keys) == {"k1": 2, "k2": 1}
    assert dict(response.messages) == {"c": "truncated"}


def test_answers_without_keys_count_under_no_primary_key() -> None:
    tally = KeyTally()
    tally.add("a", encode_serf(KeyAnswer(result=True)))
    tally.num_nodes = 1
    assert tally.complete
    assert dict(tally.response().primary_keys) == {"": 1}


def test_failures_are_reported_by_node() -> None:
    """Checklist 91, the rule."""
    tally = KeyTally(4)
    tally.add("a", encode_serf(KeyAnswer(result=True)))
    tally.add("b", encode_serf(KeyAnswer(result=False, message="no such key")))
    tally.add("c", b"\x07\x80")
    tally.add("d", b"\x08\x81")
    response = tally.response()
    assert (response.num_resp, response.num_err) == (4, 3)
    assert response.messages["b"] == "no such key"
    assert response.messages["c"].startswith("Invalid key query response type: ")
    assert response.messages["d"].startswith("Failed to decode key query response: ")
    assert tally.error() == "3/4 nodes reported failure"
    assert set(tally.answers) == {"a", "b"}


def test_a_report_does_not_show_keys() -> None:
    tally = KeyTally(1)
    tally.add("a", encode_serf(KeyAnswer(result=True, keys=("secret",), primary_key="secret")))
    assert "secret" not in repr(tally.response())
