"""Answers sent a second way."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trioserf._cluster.effects import Reply
from trioserf._cluster.relays import MAX_FORWARD, choose_relays, forward, relayed_copies
from trioserf._events import Member, MemberStatus
from trioserf._exceptions import RemoteProtocolError, ResponseTooLarge
from trioserf._wire.serf_messages import QueryMessage, RelayHeader, UDPAddr, encode_relay
from trioserf.abc import Address

from .samples import OWN, member

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
    members = [member(OWN), member("a"), member("b")]
    for seed in range(500):
        chosen = choose_relays(random.Random(seed), members, OWN, 2)
        assert {"a", "b"} == {one.name for one in chosen}


def test_each_relay_gets_the_answer_wrapped() -> None:
    members = [member(OWN), member("a", port=1), member("b", port=2)]
    copies = relayed_copies(
        b"\x05rest", QUERY, own_name=OWN, limit=1024, rng=random.Random(1), members=members
    )
    wrapped = encode_relay(RelayHeader(UDPAddr(bytes([127, 0, 0, 1]), 7946), "n1"), b"\x05rest")
    assert {
        (Address("10.0.0.1", 1), "a", wrapped),
        (Address("10.0.0.1", 2), "b", wrapped),
    } == {(copy.address, copy.name, copy.message) for copy in copies}


@pytest.mark.parametrize("names", [[], [OWN], [OWN, "a"]])
def test_a_cluster_too_small_for_the_factor_relays_nothing(names: list[str]) -> None:
    copies = relayed_copies(
        b"\x05",
        QUERY,
        own_name=OWN,
        limit=1024,
        rng=random.Random(1),
        members=[member(name) for name in names],
    )
    assert [] == copies


def test_a_copy_over_the_limit_is_refused() -> None:
    with pytest.raises(ResponseTooLarge, match="relayed response exceeds limit of 100 bytes"):
        relayed_copies(
            bytes(90),
            QUERY,
            own_name=OWN,
            limit=100,
            rng=random.Random(1),
            members=[member(name) for name in "abc"],
        )


def test_a_relay_passes_on_what_it_carries_unseen() -> None:
    raw = encode_relay(RelayHeader(UDPAddr(bytes([127, 0, 0, 1]), 7946), "n1"), b"\x05anything")
    assert Reply(Address("127.0.0.1", 7946), "n1", b"\x05anything") == forward(raw)


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
