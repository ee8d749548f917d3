"""What is too long is refused, with the number of bytes in the text."""

from __future__ import annotations

import pytest

from trioserf._cluster.size_limits import (
    check_intent,
    check_query,
    check_relay,
    check_response,
    check_tags,
    check_user_event,
    payload_bytes,
)
from trioserf._exceptions import (
    LocalProtocolError,
    QueryTooLarge,
    ResponseTooLarge,
    TagsTooLarge,
    UserEventTooLarge,
)
from trioserf._wire.tags import encode_tags


def test_tags_of_exactly_512_bytes_fit() -> None:
    """Checklist 14, 15, the rule."""
    check_tags(encode_tags({"a": "x" * 505}, 4))
    with pytest.raises(TagsTooLarge, match="expected at most 512 bytes, names") as caught:
        check_tags(encode_tags({"a": "x" * 506}, 4))
    assert "513 bytes" in str(caught.value)
    with pytest.raises(
        TagsTooLarge, match=r"expected at most 100 bytes, .*: what fits into a packet"
    ):
        check_tags(encode_tags({"a": "x" * 200}, 4), 100)


def test_a_user_event_is_measured_in_bytes_not_in_characters() -> None:
    check_user_event("é" * 5, b"", b"", 10)
    with pytest.raises(UserEventTooLarge, match="limit of 10 bytes before encoding: 11 bytes"):
        check_user_event("é" * 5, b"1", b"", 10)


def test_an_encoded_user_event_has_the_same_limit() -> None:
    check_user_event("e", b"", bytes(512), 512)
    with pytest.raises(UserEventTooLarge, match="limit of 512 bytes after encoding: 513 bytes"):
        check_user_event("e", b"", bytes(513), 512)


def test_queries_and_responses_name_limit_and_size() -> None:
    check_query(bytes(10), 10)
    check_response(bytes(10), 10)
    check_relay(bytes(10), 10)
    with pytest.raises(QueryTooLarge, match=r"^query exceeds limit of 10 bytes: 11 bytes$"):
        check_query(bytes(11), 10)
    with pytest.raises(ResponseTooLarge, match=r"^response exceeds limit of 10 bytes: 11 bytes$"):
        check_response(bytes(11), 10)
    with pytest.raises(ResponseTooLarge, match=r"^relayed response exceeds .* 10 bytes: 11 bytes$"):
        check_relay(bytes(11), 10)


@pytest.mark.parametrize("payload", [42, "text", None, [1], object()])
def test_a_payload_that_is_nothing_like_bytes_is_refused(payload: object) -> None:
    with pytest.raises(TypeError, match="expected bytes, bytearray or memoryview"):
        payload_bytes("e", payload)


def test_payloads_become_bytes() -> None:
    for payload in (b"ab", bytearray(b"ab"), memoryview(b"ab")):
        assert b"ab" == payload_bytes("e", payload)
    with pytest.raises(TypeError, match="name=b'e': expected a str"):
        payload_bytes(b"e", b"")


def test_an_intent_must_fit_into_a_packet() -> None:
    check_intent("x" * 100, 200)
    with pytest.raises(LocalProtocolError, match="a node name of 300 bytes"):
        check_intent("x" * 300, 200)


def test_what_fits_no_packet_names_the_limit_of_packets() -> None:
    with pytest.raises(QueryTooLarge, match="limit of 5 bytes: what fits into a packet"):
        check_query(bytes(6), 10, 5)
    with pytest.raises(UserEventTooLarge, match="limit of 5 bytes: what fits into a packet"):
        check_user_event("e", b"", bytes(6), 10, 5)
    with pytest.raises(TagsTooLarge, match=r"at most 5 bytes, .*: what fits into a packet"):
        check_tags(bytes(6), 5)
