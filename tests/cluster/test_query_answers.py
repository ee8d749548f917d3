"""The right to answer a query, once."""

from __future__ import annotations

import random

import pytest

from trioserf._cluster.queries import QueryResponder, reply_address
from trioserf._exceptions import (
    AlreadyResponded,
    DeadlineExceeded,
    QueryError,
    RelayError,
    ResponseTooLarge,
)
from trioserf._wire.serf_messages import (
    QueryMessage,
    QueryResponseMessage,
    decode_relay,
    decode_serf,
)
from trioserf.abc import Address

from .samples import OWN, member
from .test_queries import query


def responder(msg: QueryMessage | None = None, *, limit: int = 1024) -> QueryResponder:
    return QueryResponder(msg or query(7, 8), deadline=10.0, own_name=OWN, limit=limit)


def test_an_answer_goes_to_the_asker_once() -> None:
    answer = responder()
    reply = answer.answer(b"0.4", 1.0)
    assert (Address("127.0.0.1", 7946), "n1") == (reply.address, reply.name)
    assert QueryResponseMessage(7, 8, OWN, 0, b"0.4") == decode_serf(reply.message)
    assert answer.answered
    with pytest.raises(AlreadyResponded, match="response already sent"):
        answer.answer(b"0.4", 1.0)


def test_an_empty_answer_is_sent_as_nil() -> None:
    assert QueryResponseMessage(7, 8, OWN, 0, None) == decode_serf(
        responder().answer(b"", 1.0).message
    )


def test_an_answer_after_the_deadline_is_refused() -> None:
    late = responder()
    with pytest.raises(DeadlineExceeded, match=r"past the deadline .* by 0\.500 s"):
        late.answer(b"", 10.5)
    assert not late.answered
    late.answer(b"", 10.0)


def test_an_answer_over_the_limit_may_be_shortened() -> None:
    answer = responder(limit=100)
    with pytest.raises(ResponseTooLarge, match=r"^response exceeds limit of 100 bytes: \d+"):
        answer.answer(bytes(100), 1.0)
    answer.answer(b"short", 1.0)


def test_the_largest_answer_of_a_short_name_has_981_bytes() -> None:
    answer = QueryResponder(query(7, 2**31), deadline=10.0, own_name="n1", limit=1024)
    with pytest.raises(ResponseTooLarge, match="1025 bytes"):
        answer.answer(bytes(982), 1.0)
    answer.answer(bytes(981), 1.0)


def test_an_answer_to_an_impossible_address_is_refused() -> None:
    with pytest.raises(QueryError, match="address of 3 bytes"):
        responder(query(addr=bytes(3))).answer(b"", 1.0)
    with pytest.raises(QueryError, match="port 0"):
        reply_address(query(port=0))


def test_an_answer_is_relayed_as_often_as_wanted() -> None:
    members = tuple(member(name) for name in (OWN, "a", "b", "c"))
    answer = responder(query(relay_factor=2))
    direct = answer.answer(b"x", 1.0)
    copies = answer.relays(rng=random.Random(1), members=members)
    assert 2 == len({copy.name for copy in copies} - {OWN})
    assert {direct.message} == {decode_relay(copy.message)[1] for copy in copies}


def test_an_answer_too_long_to_relay_was_sent_directly() -> None:
    answer = responder(query(relay_factor=1), limit=100)
    answer.answer(bytes(40), 1.0)
    with pytest.raises(RelayError, match="relayed response exceeds limit of 100 bytes"):
        answer.relays(rng=random.Random(1), members=[member("a"), member("b")])
    assert answer.answered
