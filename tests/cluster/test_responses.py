"""The right to answer a query, once; and answers sent a second way."""

from __future__ import annotations

import random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._cluster.effects import SendTo
from trioserf._cluster.responses import (
    QueryResponder,
    Relays,
    choose_relays,
    forward,
    reply_address,
)
from trioserf._cluster.size_limits import MAX_FORWARD
from trioserf._events import Member, MemberStatus
from trioserf._exceptions import (
    AlreadyResponded,
    DeadlineExceeded,
    QueryError,
    RelayError,
    RemoteProtocolError,
    ResponseTooLarge,
)
from trioserf._wire.serf_messages import (
    QueryMessage,
    QueryResponseMessage,
    RelayHeader,
    UDPAddr,
    decode_relay,
    decode_serf,
    encode_relay,
)
from trioserf.abc import Address

from .samples import LOCAL, config, member
from .test_queries import query


def relays(*members: Member, limit: int = 1024, name: str = LOCAL) -> Relays:
    settings = attrs.evolve(config(query_response_size_limit=limit), node_name=name)
    return Relays(settings, random.Random(1), lambda: members)


def responder(
    msg: QueryMessage | None = None, *members: Member, limit: int = 1024, name: str = LOCAL
) -> QueryResponder:
    known = relays(*members, limit=limit, name=name)
    return QueryResponder(msg or query(7, 8), deadline=10.0, relays=known)


def test_an_answer_goes_to_the_source_of_the_query_once() -> None:
    answer = responder()
    reply = answer.answer(b"0.4", 1.0)
    assert (Address("127.0.0.1", 7946), "n1") == (reply.address, reply.name)
    assert QueryResponseMessage(7, 8, LOCAL, 0, b"0.4") == decode_serf(reply.message)
    assert answer.answered
    with pytest.raises(AlreadyResponded, match="response already sent"):
        answer.answer(b"0.4", 1.0)


def test_an_empty_answer_is_sent_as_nil() -> None:
    assert QueryResponseMessage(7, 8, LOCAL, 0, None) == decode_serf(
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
    answer = responder(query(7, 2**31), name="n1")
    with pytest.raises(ResponseTooLarge, match="1025 bytes"):
        answer.answer(bytes(982), 1.0)
    answer.answer(bytes(981), 1.0)


def test_an_answer_to_an_impossible_address_is_refused() -> None:
    with pytest.raises(QueryError, match="address of 3 bytes"):
        responder(query(addr=bytes(3))).answer(b"", 1.0)
    with pytest.raises(QueryError, match="port 0"):
        reply_address(query(port=0))


def test_an_answer_is_relayed_as_often_as_wanted() -> None:
    members = tuple(member(name) for name in (LOCAL, "a", "b", "c"))
    answer = responder(query(relay_factor=2), *members)
    direct = answer.answer(b"x", 1.0)
    copies = answer.relayed()
    assert 2 == len({copy.name for copy in copies} - {LOCAL})
    assert {direct.message} == {decode_relay(copy.message)[1] for copy in copies}


def test_an_answer_too_long_to_relay_was_sent_directly() -> None:
    answer = responder(query(relay_factor=1), member("a"), member("b"), limit=100)
    answer.answer(bytes(40), 1.0)
    with pytest.raises(RelayError, match="relayed response exceeds limit of 100 bytes"):
        answer.relayed()
    assert answer.answered


# --- relays ----------------------------------------


QUERY = QueryMessage(addr=bytes([127, 0, 0, 1]), port=7946, source_node="n1", relay_factor=2)


def ninety() -> list[Member]:
    return [
        member(f"n{number}", MemberStatus.ALIVE if number % 3 else MemberStatus.FAILED)
        for number in range(90)
    ]


def test_three_of_ninety_are_chosen_at_random() -> None:
    """Checklist 82."""
    rng = random.Random(1)
    draws = [choose_relays(rng, ninety(), "n1", 3) for _ in range(3)]
    for draw in draws:
        names = [one.name for one in draw]
        assert 3 == len(set(names))
        assert "n1" not in names
        assert all(one.status is MemberStatus.ALIVE for one in draw)
    assert draws[0] != draws[1] != draws[2] != draws[0]


@given(
    st.lists(st.tuples(st.sampled_from(MemberStatus), st.integers(3, 6)), max_size=8),
    st.integers(0, 5),
    st.integers(),
)
def test_relays_are_distinct_alive_able_and_others(
    kinds: list[tuple[MemberStatus, int]], factor: int, seed: int
) -> None:
    members = [
        member(f"n{number}", status, protocol_max=protocol)
        for number, (status, protocol) in enumerate(kinds)
    ]
    chosen = choose_relays(random.Random(seed), members, "n0", factor)
    assert len(chosen) <= factor
    assert len(chosen) == len({one.name for one in chosen})
    for one in chosen:
        assert one.status is MemberStatus.ALIVE
        assert one.protocol_max >= 5
        assert one.name != "n0"


def test_no_candidate_is_missed() -> None:
    members = [member(LOCAL), member("a"), member("b")]
    for seed in range(500):
        chosen = choose_relays(random.Random(seed), members, LOCAL, 2)
        assert {"a", "b"} == {one.name for one in chosen}


def test_each_relay_gets_the_answer_wrapped() -> None:
    members = [member(LOCAL), member("a", port=1), member("b", port=2)]
    copies = relays(*members).copies(b"\x05rest", QUERY)
    wrapped = encode_relay(RelayHeader(UDPAddr(bytes([127, 0, 0, 1]), 7946), "n1"), b"\x05rest")
    assert {
        (Address("10.0.0.1", 1), "a", wrapped),
        (Address("10.0.0.1", 2), "b", wrapped),
    } == {(copy.address, copy.name, copy.message) for copy in copies}


@pytest.mark.parametrize("names", [[], [LOCAL], [LOCAL, "a"]])
def test_a_cluster_too_small_for_the_factor_relays_nothing(names: list[str]) -> None:
    copies = relays(*map(member, names)).copies(b"\x05", QUERY)
    assert [] == copies


def test_a_copy_over_the_limit_is_refused() -> None:
    with pytest.raises(ResponseTooLarge, match="relayed response exceeds limit of 100 bytes"):
        relays(*map(member, "abc"), limit=100).copies(bytes(90), QUERY)


def test_a_relay_passes_on_what_it_carries_unseen() -> None:
    raw = encode_relay(RelayHeader(UDPAddr(bytes([127, 0, 0, 1]), 7946), "n1"), b"\x05anything")
    assert SendTo(Address("127.0.0.1", 7946), "n1", b"\x05anything") == forward(raw)


def test_the_longest_message_that_fits_a_datagram_is_passed_on() -> None:
    inner = bytes(MAX_FORWARD)
    raw = encode_relay(RelayHeader(UDPAddr(bytes(4), 1), "n1"), inner)
    assert inner == forward(raw).message


@pytest.mark.parametrize(
    ("header", "inner"),
    [
        (RelayHeader(UDPAddr(b"\x7f\x00\x00", 7946), "n1"), b"\x05"),
        (RelayHeader(UDPAddr(None, 7946), "n1"), b"\x05"),
        (RelayHeader(UDPAddr(bytes(4), 0), "n1"), b"\x05"),
        (RelayHeader(UDPAddr(bytes(4), 65536), "n1"), b"\x05"),
        (RelayHeader(UDPAddr(bytes(4), -1), "n1"), b"\x05"),
        (RelayHeader(UDPAddr(bytes(4), 7946), "n1"), bytes(MAX_FORWARD + 1)),
    ],
)
def test_a_relay_that_cannot_be_sent_is_refused(header: RelayHeader, inner: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="relay"):
        forward(encode_relay(header, inner))


def test_a_broken_relay_header_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        forward(b"\x09\x82\xa8")
